"""When the registry is asked about a service, and what becomes of its answers.

Policy only. It has no thread and speaks no HTTP: it calls a refresher, and is called back with outcomes.
"""

from __future__ import annotations

import math
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Callable, List, Optional, TypeVar, cast

from ..errors import RegcacheError, Timeout, Unavailable
from .events import Event, Notifier
from .flight import Flight
from .guard import Doubt, Guard
from .pace import Pace
from .settings import Settings
from .slot import Slot
from .state import MOVES, State
from .status import ago, count

if TYPE_CHECKING:
    from ..codec import Snapshot
    from ..registry import Consistency
    from .entry import Entry
    from .refresh import Load, Outcome, Refresher, Timer

__all__ = ["Course"]

T = TypeVar("T")

#: A weak reference to what is to be called.
Listener = Callable[[], Optional[Callable[[], object]]]

#: The kinds of events after which something else is served, or is to be believed of it.
NEWS = frozenset({"refreshed", "held", "released"})


class Course:
    """The course of one service. The slot, with its alarm, is read without the lock; all else under it.

    Somebody is responsible for the next request: a request in flight, a timer, or the next caller who comes after
    ``_due``. In the first two cases the slot's claim is taken; in the third, whoever takes it asks.

    Args:
        service: its exact name.
        refresher: who asks the registry.
        settings, guard: see :class:`Settings` and :class:`Guard`.
        timeout: seconds that the registry may take for an answer.
        source: the registry, for status.
        notify: told of each event, without any lock.
        clock: seconds, rising.
        random: floats from 0 to 1, 1 excluded.
    """

    def __init__(
        self,
        service: str,
        refresher: "Refresher",
        *,
        settings: Settings,
        guard: Guard,
        timeout: float,
        source: str,
        notify: Notifier,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.service = service
        self._refresher = refresher
        self._settings = settings
        self._guard = guard
        self._timeout = timeout
        self._source = source
        self._notify = notify
        self.clock = clock
        #: What is served, and until when callers may take it without looking any further.
        self.slot: Slot = Slot(clock)
        # Taken again by who is in it: a guard, which is asked under it, may ask what a snapshot of ours is.
        self._lock = threading.RLock()
        self._state = State.COLD
        self._events: List[Event] = []
        #: Who wants to know that something else is served, or believed; and is there anything to tell them?
        self._listeners: List[Listener] = []
        self._news = self._untold = False
        #: Counts requests and timers; what belongs to an older number is not listened to.
        self._generation = 0
        self._load: Optional["Load"] = None
        self._blocking = False
        self._timer: Optional["Timer"] = None
        self._flight: Optional[Flight] = None
        self._doubt: Optional[Doubt] = None
        #: Where a blocking query goes on; 0: ask without.
        self._index = 0
        self._pace = Pace(settings, random)
        self._had_nodes = False
        self._error: Optional[RegcacheError] = None
        #: When did somebody last see that a caller had come?
        self._last_used = clock()
        self.slot.used = True
        # Times. Callers look at the slot's alarm alone, which is the earliest of these three.
        self._due = math.inf  # a caller may start a refresh
        self._overdue = math.inf  # the request in flight is dead
        self._too_old = math.inf  # what is held counts as nothing
        self._retry = -math.inf  # until then those who have nothing are told of the last failure
        self._next = math.inf  # the timer
        self._fresh_until = math.inf
        self._confirmed = self._since = self._failed = -math.inf

    # -- the one place where the state changes -------------------------------------------------------------------

    def _change(self, change: Callable[[float], T]) -> T:
        """Call this under the lock, with the time; afterwards callers know when to look again, and what happened is
        told.

        The lock is taken and given back in one frame. An interrupt may come where Python enters or leaves a generator,
        and whoever kept the exception would keep the lock with it.
        """
        events: List[Event] = []
        listeners: List[Listener] = []
        try:
            with self._lock:
                try:
                    return change(self.clock())
                except RegcacheError:
                    raise
                except BaseException:
                    # Interrupted in the middle of anything, with nobody responsible: the next caller asks.
                    if self._load is None and self._timer is None and self._state is not State.CLOSED:
                        self._leave(-math.inf)
                    raise
                finally:
                    self.slot.set_alarm(min(self._due, self._overdue, self._too_old))
                    events, self._events = self._events, events
                    if self._news:
                        self._news, listeners = False, self._listeners
        finally:
            # The listeners first: whoever is told that there is a new snapshot finds them ready for it.
            for listener in listeners:
                self._call(listener)
            for event in events:
                self._notify(event)

    def _call(self, listener: Listener) -> None:
        call = listener()
        if call is not None:
            try:
                call()
            except Exception as error:
                self._notify.failed(self.service, f"{call!r}, which listens,", error)

    def _move(self, new: State) -> None:
        if new is self._state:
            return
        if new not in MOVES[self._state]:
            raise AssertionError(f"{self.service!r}: no way from {self._state.value} to {new.value}")
        self._state = new

    def _seen(self, now: float) -> State:
        return State.STALE if self._state is State.FRESH and now >= self._fresh_until else self._state

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._news = self._news or event.kind in NEWS

    # -- asking; from here on under the lock, but for what takes it itself -----------------------------------------

    def _ask(
        self, now: float, *, index: int = 0, consistency: "Optional[Consistency]" = None, urgent: bool = False
    ) -> None:
        """Send the one request."""
        self._stop()
        self._due = math.inf
        self._blocking = index > 0
        if not self._blocking and self._state is not State.HELD:
            self._move(State.REFRESHING)
        self._overdue = now + self._settings.overdue(self._blocking, self._timeout)
        try:
            self._load = self._refresher.load(
                self.service,
                partial(self._done, self._generation),
                index=index or None,
                wait=self._settings.blocking_wait if self._blocking else None,
                previous=self.slot.get(),
                consistency=consistency,
                urgent=urgent,
            )
        except Exception as error:
            self._overdue = math.inf
            self._fail(Unavailable(f"{self.service!r} cannot be asked for: {error}"), now)

    def _later(self, when: float, *, index: int = 0, consistency: "Optional[Consistency]" = None) -> None:
        """Ask then, without anybody's coming."""
        self._stop()
        self._due, self._next = math.inf, when
        self._overdue = when + self._settings.grace
        fire = partial(self._fire, self._generation, index, consistency)
        try:
            self._timer = self._refresher.at(when, fire)
        except Exception:  # no thread to be had: the next caller does it
            self._leave(when)

    def _fire(self, generation: int, index: int, consistency: "Optional[Consistency]") -> None:
        def change(now: float) -> None:
            if generation == self._generation and self._state is not State.CLOSED:
                self._timer = None
                self._ask(now, index=index, consistency=consistency)

        self._change(change)

    def _leave(self, due: float) -> None:
        """The first caller after this time asks."""
        self._next, self._overdue, self._due = math.inf, math.inf, due
        self.slot.release()

    def _stop(self) -> None:
        """Nothing is in flight any more, and nothing planned."""
        self._generation += 1
        load, self._load = self._load, None
        timer, self._timer = self._timer, None
        self._overdue = self._next = math.inf
        if load is not None:
            load.cancel()
        if timer is not None:
            timer.cancel()

    def _replace(self, now: float) -> None:
        """The refresher owes an outcome and does not give one: go on without."""

        def change(_: float) -> None:
            if self._load is not None and self._load.queued:  # it waits for its turn, which is nobody's fault
                self._overdue = now + self._settings.grace
            elif now >= self._overdue:
                self._tell(Event("stuck", self.service, "a request never came or never ended; another takes its place"))
                self._ask(now, urgent=self._flight is not None)

        self._change(change)

    def _rest(self) -> None:
        held = self.slot.get() is not None
        self._stop()
        if self._doubt is not None:
            why = "nobody asks for the service any more; the next caller does so anew"
            self._tell(Event("released", self.service, f"nothing is held back any more: {why}", self.slot.get()))
        self._doubt, self._index, self._fresh_until = None, 0, -math.inf
        if self._flight is not None:
            self._land(Timeout(f"{self.service!r} is no longer asked for"))
        self._move(State.STALE if held else State.COLD)
        # -inf and not now: the clock of the alarm may still be a little before that.
        self._leave(-math.inf if held else math.inf)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def _done(self, generation: int, outcome: "Outcome") -> None:
        """The refresher's answer, on one of its threads."""
        self._change(lambda now: self._heed(generation, outcome, now))

    def _heed(self, generation: int, outcome: "Outcome", now: float) -> None:
        if generation != self._generation or self._state is State.CLOSED:
            return
        # It stays overdue until one of these has seen to what comes next: somebody goes on even if the thread dies.
        self._load = None
        self._news, self._untold = self._news or self._untold, False
        try:
            if outcome.error is not None:
                self._fail(outcome.error, now)
            elif outcome.snapshot is not None:
                self._hear(outcome.snapshot, generation, now)
            else:
                self._confirm(outcome.index, now)
        except BaseException as error:
            # Of a guard that somebody else wrote, or thrown into the thread: it goes on, whatever happens.
            self._fail(Unavailable(f"an answer about {self.service!r} could not be used: {error!r}"), now)
            if not isinstance(error, Exception):
                raise

    def _hear(self, snapshot: "Snapshot", generation: int, now: float) -> None:
        """An answer: believe it, or hold it back and ask again."""
        self._pace.failures = 0
        held, doubt = self.slot.get(), self._doubt
        why = self._guard.doubts(held, snapshot) if held is not None and now < self._too_old else None
        if why is None:
            self._publish(snapshot, generation, now, "the nodes are back")
            return
        if doubt is None:
            doubt = self._doubt = Doubt(self._guard, snapshot, generation, why, now)
            self._tell(Event("held", self.service, f"an answer is held back: {why}", snapshot))
        else:
            doubt.hear(snapshot, generation, why)
        believed = doubt.believed(now)
        if believed is not None:
            self._publish(snapshot, generation, now, believed)
            return
        self._move(State.HELD)
        delay, consistency = doubt.ask()
        self._later(now + delay, consistency=consistency)

    def _publish(self, snapshot: "Snapshot", generation: int, now: float, why: str) -> None:
        held, doubt, self._doubt = self.slot.get(), self._doubt, None
        same = held is not None and 0 < snapshot.index == held.index
        if not (same and not snapshot.added and not snapshot.changed and not snapshot.removed):
            snapshot._attach(cast("weakref.ref[Entry]", weakref.ref(self)))
            self.slot.publish(snapshot, generation)
            self._since, held = now, snapshot
            self._had_nodes = self._had_nodes or len(snapshot) > 0
            self._tell(Event("refreshed", self.service, _changes(snapshot), snapshot))
        if doubt is not None:
            self._tell(Event("released", self.service, f"nothing is held back any more: {why}", held))
        self._confirm(snapshot.index, now)

    def _confirm(self, index: int, now: float) -> None:
        """What is held is what the registry says. What next?"""
        settings, held = self._settings, self.slot.get()
        if held is None:  # a query that found no change, though there is nothing that could have changed
            self._ask(now)
            return
        self._confirmed = now
        fresh = self._pace.answered(len(held))
        self._too_old = now + settings.too_old()
        self._fresh_until = now + (math.inf if settings.watch else settings.ttl)
        self._move(State.FRESH)
        self._land(None)
        # An index that went backwards is another history: the next request begins anew.
        self._index = index if index >= self._index else 0
        if not settings.watch:
            self._leave(now + fresh)
        elif not self._wanted(now):
            self._rest()
        else:
            delay = self._pace.churning(now)
            if delay:
                self._later(now + delay, index=self._index)
            else:
                self._ask(now, index=self._index)

    def _fail(self, error: RegcacheError, now: float) -> None:
        settings, held = self._settings, self.slot.get()
        self._error, self._failed = error, now
        self._index = 0
        if settings.watch:
            self._fresh_until = -math.inf  # nobody would tell us of a change
        delay, remembered = self._pace.failed(error)
        self._retry = now + remembered
        self._tell(Event("error", self.service, f"{type(error).__name__}: {error}", error=error))
        self._move(State.FAILED)
        self._land(error)
        if held is None:
            self._leave(math.inf)  # whoever has nothing asks in _join
        elif not settings.watch and self._doubt is None:
            self._leave(now + min(delay, settings.ttl))
        elif not self._wanted(now):
            self._rest()
        else:
            self._later(now + delay, consistency=self._doubt.ask()[1] if self._doubt is not None else None)

    def _land(self, error: Optional[RegcacheError]) -> None:
        """Tell those who have waited."""
        flight, self._flight = self._flight, None
        if flight is not None:
            now = self.clock()
            flight.end(self.slot.get() if error is None else None, error and self._why(error, now))

    def _wanted(self, now: float) -> bool:
        """Has a caller come within the idle time?"""
        if self.slot.used:
            self.slot.used, self._last_used = False, now
        return now - self._last_used < self._settings.idle

    def _why(self, error: RegcacheError, now: float) -> RegcacheError:
        """The error of a caller who gets nothing: this one, or, if something is held, that it is too old."""
        if self.slot.get() is None or self._state is State.CLOSED:
            return error
        age = ago(now - self._confirmed)
        told = Unavailable(
            f"what is held of {self.service!r} was confirmed {age}, which is beyond max_stale, and the registry "
            f"failed since: {type(error).__name__}: {error}"
        )
        told.__cause__ = error
        return told


def _changes(snapshot: "Snapshot") -> str:
    nodes = count(len(snapshot), "node")
    return f"{nodes}: {len(snapshot.added)} new, {len(snapshot.changed)} changed, {len(snapshot.removed)} gone"
