"""One service in the cache, as its callers see it: they never wait while anything is held."""

from __future__ import annotations

import math
import threading
import weakref
from contextlib import suppress
from types import MethodType
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple, Union

from ..errors import RegcacheError, Timeout
from .course import Course, Listener
from .flight import Flight, again
from .load import closed
from .state import State
from .status import Status, ago, count

if TYPE_CHECKING:
    from ..codec import Snapshot

__all__ = ["Entry", "checked_timeout"]


class Entry(Course):
    """One service. Made as :class:`Course` is."""

    def __init__(self, service: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(service, *args, **kwargs)
        # One for each who must find it here; its length is changed in one step, without a lock.
        self._pins: List[None] = []

    # -- what callers do -----------------------------------------------------------------------------------------

    def get(self, timeout: Optional[float] = None, spent: float = 0.0) -> "Snapshot":
        """The newest snapshot. Waits only if there is none (or one beyond max_stale), at most ``timeout`` seconds
        (``cold_wait`` if that is ``None``), of which so many are ``spent`` already.

        Raises:
            Timeout: there is none, and the request in flight did not end in time. It goes on.
            RegcacheError: there is none, and this is why the last request failed.
            ValueError: there is none, and the timeout is below 0.
        """
        snapshot = self.slot.look()
        if snapshot is not None:
            return snapshot
        found = self._attend()
        if not isinstance(found, Flight):
            return found
        seconds = self._settings.cold_wait if timeout is None else checked_timeout(timeout)
        if not found.wait(seconds - spent):
            raise self._late(seconds)
        return found.result()

    async def get_async(self, timeout: Optional[float] = None) -> "Snapshot":
        """The same for a task of asyncio; the loop is never blocked."""
        snapshot = self.slot.look()
        if snapshot is not None:
            return snapshot
        found = self._attend()
        if not isinstance(found, Flight):
            return found
        seconds = self._settings.cold_wait if timeout is None else checked_timeout(timeout)
        if not await found.wait_async(seconds):
            raise self._late(seconds)
        return found.result()

    def start(self) -> None:
        """See to it that there is something, or will be, without waiting for it."""
        with suppress(RegcacheError):
            self._attend()

    # -- for those who prepare something of each snapshot ----------------------------------------------------------

    def view(self) -> "Tuple[Optional[Snapshot], Optional[str]]":
        """The newest snapshot, and why an answer is held back (``None``: none is). Asks nobody."""
        with self._lock:
            return self.slot.get(), None if self._doubt is None else self._doubt.why

    def listen(self, listener: Callable[[], object]) -> None:
        """Call this whenever :meth:`view` says something else: after each publishing, when an answer is held back, when
        it no longer is, and when the service is closed.

        In the child of a fork the slot and the listeners are the same; nothing is called before its first answer.

        Called without a lock of ours, on the thread that brought it about: one of the cache's, or who called
        :meth:`accept` or :meth:`close`. Two calls may overlap, or come in another order than what they tell of: what
        counts is what ``view`` says now. What it raises is logged. It is not kept alive: when it is gone (of a bound
        method: its object), so is its place here.
        """
        made: Listener = weakref.WeakMethod(listener) if isinstance(listener, MethodType) else weakref.ref(listener)
        with self._lock:
            # A new list: the one before may be being gone through.
            self._listeners = [*(one for one in self._listeners if one() is not None), made]

    def soon(self, call: Callable[[], object]) -> bool:
        """Call this on a thread of the cache, soon. False: it will not be, and whoever asked has to do it."""
        try:
            self._refresher.at(self.clock(), call)
        except Exception:  # closed, or no thread to be had
            return False
        return True

    def pin(self) -> None:
        """Do not forget this service, though it may never have had nodes."""
        self._pins.append(None)

    def unpin(self) -> None:
        """Take back one :meth:`pin`. The garbage collector may do that, in the middle of anything."""
        self._pins.pop()

    # -- what is going on -----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Seen now: an answer grows stale without anybody's doing."""
        with self._lock:
            return self._seen(self.clock())

    def status(self) -> Status:
        """What is going on, as data and in words."""
        with self._lock:
            now, held, doubt = self.clock(), self.slot.get(), self._doubt
            watching = self._load is not None and self._blocking
            attempt = 0.0 if self._load is not None and not watching else self._next - now
            return Status(
                self.service,
                self._seen(now).value,
                None if held is None else len(held),
                0 if held is None else held.index,
                None if held is None else now - self._confirmed,
                None if held is None else now - self._since,
                self._source,
                watching,
                self._error,
                None if self._error is None else now - self._failed,
                self._pace.failures,
                max(0.0, attempt) if attempt < math.inf else None,
                None if doubt is None else doubt.status(now),
            )

    # -- what a snapshot says of itself; this entry served it first ------------------------------------------------

    def is_stale(self, snapshot: "Snapshot") -> bool:
        """Is it no longer served, or did nobody confirm it for too long?"""
        return snapshot is not self.slot.get() or self.clock() >= self._fresh_until

    def is_held(self, snapshot: "Snapshot") -> bool:
        """Is it served while another answer is held back?"""
        return self._doubt is not None and snapshot is self.slot.get()

    def explain(self, snapshot: "Snapshot") -> str:
        """Where it comes from, and why it is served, or no longer."""
        told = str(self.status())
        if self.slot.get() is snapshot:
            return told
        taken = "" if snapshot.age is None else f", taken {ago(snapshot.age)}"
        nodes = count(len(snapshot), "node")
        return f"a snapshot with {nodes} (index {snapshot.index}{taken}) that is not what is served; {told}"

    # -- what changes it -------------------------------------------------------------------------------------------

    def accept(self) -> bool:
        """Believe the answer that is held back. Was there one?"""

        def change(now: float) -> bool:
            doubt = self._doubt
            if doubt is None or self._state is State.CLOSED:
                return False
            self._stop()
            self._publish(doubt.snapshot, doubt.generation, now, "it was accepted by hand")
            return True

        return self._change(change)

    def close(self) -> None:
        """Let go of everything, tell those who wait, and ignore the answer that is still to come."""

        def change(now: float) -> "Optional[Snapshot]":
            held = self.slot.get()
            self._move(State.CLOSED)
            self._stop()
            self._doubt = None
            self._due = self._too_old = math.inf
            self._land(closed(self.service))
            self.slot.close()
            self._news = True
            return held

        self._change(change)  # what was held is dropped here, without the lock: that may run code of anybody's

    def rest(self) -> None:
        """Ask no more until the next caller comes; what is held is kept."""
        self._change(lambda now: None if self._state is State.CLOSED else self._rest())

    def forget(self) -> bool:
        """Ask no more, unless something is lost with it: it had nodes once, or a selector or a caller is waiting for
        some. Was nothing?"""

        def change(now: float) -> bool:
            if self._had_nodes or self._pins or self._flight:
                return False
            if self._state is not State.CLOSED:
                self._rest()
            return True

        return self._change(change)

    def after_fork(self) -> None:
        """In the child: what was in flight is the parent's, and its threads are not here."""
        # Another thread of the parent may have held these locks.
        self._lock = threading.RLock()
        self.slot.renew()
        self._load = self._timer = self._flight = None
        self._events = []
        # What was held back is not, here. Those who listen are told with the first answer, not now: other threads of
        # the parent may have held their locks as well, and these are renewed when all of us have been called.
        self._news, self._untold, self._doubt = False, self._doubt is not None, None
        self._change(lambda now: self.slot.close() if self._state is State.CLOSED else self._rest())

    # -- the rare part of get() ------------------------------------------------------------------------------------

    def _attend(self) -> "Union[Snapshot, Flight]":
        """See to the next request, and to those who have nothing."""
        self.slot.used = True
        now = self.clock()
        if now >= self._due:
            try:
                if self.slot.claim():
                    self._change(lambda _: self._ask_alone(now))
            except BaseException:
                # KeyboardInterrupt, wherever it came: somebody else shall do it. If it came before the claim, this
                # gives back another's, and whoever takes it next finds that his request is in flight.
                self.slot.release()
                raise
        elif now >= self._overdue:
            self._replace(now)
        snapshot = self.slot.get()
        if snapshot is not None and now < self._too_old:
            return snapshot
        return self._change(lambda _: self._join(now))

    def _ask_alone(self, now: float) -> None:
        if self._load is None and self._timer is None and self._state is not State.CLOSED:
            self._ask(now)

    def _join(self, now: float) -> "Union[Snapshot, Flight]":
        """The request that those who have nothing wait for; a new one if there is none."""
        if self._state is State.CLOSED:
            raise closed(self.service)
        snapshot = self.slot.get()
        if snapshot is not None and now < self._too_old:
            return snapshot
        if self._flight is None:
            if self._load is None or self._blocking:
                if self._error is not None and now < self._retry:
                    raise self._again(self._error, now)
                self.slot.claim()
                self._ask(now, urgent=True)
                if self._load is None:  # it could not even be sent
                    assert self._error is not None
                    raise self._again(self._error, now)
            self._flight = Flight()
        return self._flight

    def _again(self, error: RegcacheError, now: float) -> RegcacheError:
        return again(self._why(error, now))

    def _late(self, timeout: float) -> RegcacheError:
        late = Timeout(f"no answer about {self.service!r} within {timeout:g} s; the request goes on")
        if self.slot.get() is None:
            return late
        since = self._error if self._failed >= self._confirmed else None  # one from before it was confirmed is over
        return self._why(since or late, self.clock())


def checked_timeout(timeout: float) -> float:
    """The timeout itself, if it can be one.

    Raises:
        ValueError: it is below 0 seconds, or not a number.
    """
    if not timeout >= 0.0:
        raise ValueError(f"a timeout is at least 0 seconds, not {timeout!r}")
    return timeout
