"""The selector: hands out nodes of the newest snapshot, and learns from what becomes of the calls.

Everything that depends on the snapshot and on what was learned is arranged when one of the two changes: by the thread
that brings the snapshot, or by the caller whose outcome changed something. A pick (:class:`~.picks.Front`) only reads.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Callable, Deque, List, Optional, Sequence, TypeVar, Union

from ..arguments import check_kind
from ..cache.events import Event, Notifier
from ..cache.flight import again
from ..errors import Throttled, Unavailable
from .arrangement import Arrangement
from .attempts import Attempts
from .budget import RetryBudget, TokenBucket
from .health import Feedback
from .peers import Peer
from .picks import Call, Front, Picker
from .report import SelectorStatus
from .source import Source
from .strategies import Strategy
from .subset import Subset

if TYPE_CHECKING:
    from ..codec import Node
    from .filters import Filters

__all__ = ["Selector"]

T = TypeVar("T")

#: What a selector learns unless it is told otherwise.
FEEDBACK = Feedback()
#: With more nodes than this no caller arranges them while there is a picker: that would take more than a millisecond or
#: two (docs/selector.md).
AT_ONCE = 100
#: Seconds after which a caller arranges them all the same, if nobody else did.
OVERDUE = 1.0


class Selector(Front):
    """Picks nodes of one service. May be shared by threads, by tasks of asyncio, and by forked processes; keeps its
    place, and what it learned, over refreshes.

    Args:
        source: what :meth:`regcache.Cache.selector` gives it.
        strategy: ``"p2c"`` (of two random nodes the one with fewer calls in flight), ``"random"``, ``"round_robin"``,
            ``"weighted"`` (Consul's weights), ``"peak_ewma"`` (latency), ``"hash"`` (``key=``), or a
            :class:`~regcache.Strategy` for this selector alone.
        filters: what every one of them says yes to may be used, or a single one; see :mod:`regcache.select.filters`.
        feedback: when nodes that fail are ejected, and when calls go to all nodes; ``None``: never.
        subset: use a part of a large service only; ``None``: all of it.
        limit: calls a second that may be made through this selector, or a :class:`~regcache.TokenBucket`; beyond it
            there is :class:`~regcache.Throttled`. ``None``: no limit. Every node that is handed out counts.
        budget: of the retries of :meth:`attempts`; ``None``: ``RetryBudget()`` with its defaults, for this selector.
        clock: seconds, rising; by default the source's.
        seed: of the random choices; ``None``: unlike any other's.
        on_event: called with each :class:`~regcache.Event` (ejected, readmitted, panic, calm), on the thread on which
            it happened, with no lock held. It should be quick; what it raises is logged.

    Raises:
        ValueError: there is no such strategy, or a number makes no sense.
        TypeError: a filter, a strategy, or one of the others is none.
    """

    def __init__(
        self,
        source: Source,
        *,
        strategy: Union[str, Strategy] = "p2c",
        filters: "Filters" = (),
        feedback: Optional[Feedback] = FEEDBACK,
        subset: Optional[Subset] = None,
        limit: Union[float, TokenBucket, None] = None,
        budget: Optional[RetryBudget] = None,
        clock: Optional[Callable[[], float]] = None,
        seed: Optional[int] = None,
        on_event: Optional[Callable[[Event], object]] = None,
    ) -> None:
        check_kind("feedback", feedback, Feedback, "Feedback(failures=3), or None")
        check_kind("subset", subset, Subset, "Subset(25), or None")
        check_kind("budget", budget, RetryBudget, "RetryBudget(ratio=0.1), or None")
        clock = source.clock if clock is None else clock
        super().__init__(source.slot, clock)
        self.service: str = source.service
        #: Where its snapshots come from, for adapters that follow all nodes of the service.
        self.source: Source = source
        self._clock = clock
        self._limit = limit if limit is None or isinstance(limit, TokenBucket) else TokenBucket(limit, clock=clock)
        self._budget = RetryBudget(clock=clock) if budget is None else budget
        self._notifier = Notifier(on_event, clock)
        self._lock = threading.Lock()
        #: The thread that has the lock; what it says where nobody has it means nothing.
        self._owner = 0
        #: Changes whose makers could not wait for the lock. Whoever has it makes them when he is done.
        self._left: Deque[Callable[[float], object]] = deque()
        # All that follows changes under the lock. Callers read the picker, the failure, and the peers.
        self._arrangement = Arrangement(
            self.service,
            strategy=strategy,
            filters=filters,
            feedback=feedback,
            subset=subset,
            seed=_seed() if seed is None else seed,
        )
        self._doubt: Optional[str] = None
        self._current: Optional[Picker] = None
        self._failure: Optional[Exception] = None
        #: Was something learned since the last arranging? And until when is another thread trusted to do the next?
        self._changed = False
        self._promised = -math.inf
        self._closed = False
        source.pin()
        self._unpin = weakref.finalize(self, source.unpin)
        self._unpin.atexit = False
        source.listen(self._refreshed)
        _selectors.add(self)

    def __repr__(self) -> str:
        sieve = self._arrangement.sieve
        filters = f", filters={sieve!r}" if sieve else ""
        return f"<Selector of {self.service!r}, strategy={self._arrangement.strategy!r}{filters}>"

    # -- what callers do; select() is inherited ------------------------------------------------------------------

    async def select_async(self, timeout: Optional[float] = None, key: object = None) -> "Node":
        """:meth:`select` for a task of asyncio: waiting for a first answer does not block the loop."""
        picker = self._ready()
        if picker is None:
            return (await self._slow_async(timeout, key)).node
        return picker.pick(key, self._clock()).node

    def call(self, timeout: Optional[float] = None, key: object = None) -> Call:
        """A call that is counted while it is in flight, and whose outcome is learned from:
        ``with selector.call(timeout=0.5) as call:``, or ``async with``. See :class:`~.picks.Call`.

        Args:
            timeout: seconds, from now on; finding the node counts. ``call.remaining`` is what is left of them.
            key: see :meth:`select`.
        """
        return Call(self, timeout, key)

    def mark(self, node: "Node", error: object = None, elapsed: Optional[float] = None) -> None:
        """How a call went that was made without :meth:`call` (go-micro: ``Mark``).

        Args:
            node: one that this selector picked. Of one that is gone nothing is learned.
            error: ``None``: it went well. An exception that is not an ``Exception`` (a task was cancelled) says nothing
                about the node.
            elapsed: seconds that it took, if that is known.

        Raises:
            TypeError: it is no node.
        """
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            return
        try:
            peer = self._arrangement.peer(node)
        except AttributeError:
            raise TypeError(f"mark() takes a node that was picked, not {node!r}") from None
        if peer is not None:
            now = self._clock()
            verdict = peer._record(error is None, elapsed, now)
            if verdict:
                self._verdict(peer, verdict, now if elapsed is None else now - elapsed)

    def attempts(self, timeout: Optional[float] = None, tries: int = 3, key: object = None) -> Attempts:
        """Several tries of one call, each at another node, within one timeout and the retry budget::

            for attempt in selector.attempts(timeout=1.0, tries=3):
                with attempt as call:
                    return session.get(f"http://{call.node.target}/hello", timeout=call.remaining)

        An exception that leaves the block is swallowed if there is another try, and raised otherwise; see
        :class:`Attempts`. For tasks ``async for`` and ``async with``. Only for what may be done twice.
        """
        return Attempts(self, self._budget, timeout, tries, key)

    def status(self) -> SelectorStatus:
        """Where calls go and where not, and why. Asks nobody. As data, and by ``str()`` in words."""
        return self._read(self._report)

    def _report(self, now: float) -> SelectorStatus:
        arranged = self._arrangement
        return SelectorStatus(
            self.service,
            arranged.strategy if isinstance(arranged.strategy, str) else repr(arranged.strategy),
            repr(arranged.sieve) if arranged.sieve else "",
            None if arranged.snapshot is None else len(arranged.snapshot),
            arranged.report(now),
            arranged.healthy,
            len(arranged.used),
            arranged.panic,
            self._failure,
            arranged.in_flight,
            None if arranged.subset is None else repr(arranged.subset),
            self._closed,
        )

    def reset(self) -> None:
        """Forget what was learned of the nodes, the place in the round, and the calls in flight (go-micro: ``Reset``).
        Nobody is ejected any more."""
        self._change(self._begin_anew)

    def close(self) -> None:
        """Hand out no more nodes: later calls raise :class:`~regcache.Unavailable`. The cache goes on."""
        self._closed = True
        self._change(self._let_go)
        self._unpin()

    # -- the rare part of select(), in the order in which it happens -----------------------------------------------

    def _slow(self, timeout: Optional[float], key: object) -> Peer:
        self._admit()
        self.source.get(timeout)
        return self._attend().pick(key, self._clock())

    async def _slow_async(self, timeout: Optional[float], key: object) -> Peer:
        self._admit()
        await self.source.get_async(timeout)
        return self._attend().pick(key, self._clock())

    def _other(self, peer: Peer, tried: "Sequence[Peer]", key: object) -> Peer:
        """This pick, or another one if it was tried before; for attempts after the first."""
        # A refresh may have brought other objects for the nodes that were tried.
        known = [self._arrangement.peer(one.node) or one for one in tried]
        picker = self._current
        if peer not in known or picker is None:
            return peer
        now = self._clock()
        # All were tried: at least not the one that just failed.
        return picker._other(key, known, now) or picker._other(key, known[-1:], now) or peer

    def _admit(self) -> None:
        if self._closed:
            raise self._gone()
        if self._limit is not None:
            wait = self._limit.take()
            if wait:
                raise Throttled(
                    f"the limit of {self._limit.rate:g} call{'' if self._limit.rate == 1 else 's'} of {self.service!r} "
                    f"a second is reached; the next may be made in {wait:.3g} s",
                    wait,
                )

    def _attend(self) -> Picker:
        """The picker; arranges first what has to be. Only who has none waits for another who does that."""
        if self._current is None:
            self._change(self._look)
        elif not self._lock.locked():
            self._change(self._have_looked)
        picker = self._current
        if picker is None:
            picker, failure = self._read(lambda _: (self._current, self._failure))  # the two belong together
            if picker is None:
                raise self._gone() if failure is None else again(failure)
        return picker

    def _gone(self) -> Unavailable:
        slot = self.source.slot
        if self._closed:
            why = "the selector is closed"
        elif slot is None or slot.closed:
            why = "the cache is closed"
        else:  # a signal's handler, or what the garbage collector runs, asks in the middle of the first arranging
            why = "the first answer is just being arranged by this very thread"
        return Unavailable(f"{why}; there are no nodes of {self.service!r}")

    def _verdict(self, peer: Peer, bits: int, begun: float) -> None:
        """The outcome of a call that may change something. It never waits for another who arranges; the garbage
        collector may bring it, too, in the middle of that."""
        self._left.append(partial(self._hear, peer, bits, begun))
        self._make_up()

    def _refreshed(self) -> None:
        """The source has something new to show; on a thread of the cache."""
        self._change(self._look)

    # -- under the lock ----------------------------------------------------------------------------------------------

    def _mine(self) -> bool:
        """Does this very thread have the lock? Then it was interrupted: by a signal's handler, or by what the garbage
        collector runs."""
        # Only this thread writes its own number there.
        return self._lock.locked() and self._owner == threading.get_ident()

    def _change(self, change: Callable[[float], object]) -> None:
        """Make this change as soon as the lock is free; where this very thread has it, when that is done with it."""
        if self._mine():
            self._left.append(change)
        else:
            self._alone(change)

    def _read(self, look: Callable[[float], T]) -> T:
        """What this says that changes nothing. Where this very thread has the lock it is asked as it is."""
        return look(self._clock()) if self._mine() else self._alone(look)

    def _alone(self, act: Callable[[float], T]) -> T:
        try:
            return self._locked(act)
        finally:
            self._make_up()

    def _make_up(self) -> None:
        """Make the changes that were left, unless somebody has the lock: then it is his to do."""
        while self._left and not self._lock.locked():
            self._locked(self._make_left)

    def _make_left(self, now: float) -> None:
        while self._left:
            self._left.popleft()(now)

    def _locked(self, act: Callable[[float], T]) -> T:
        """Call this under the lock, with the time; afterwards what happened is told.

        The lock is taken and given back in one frame. An interrupt may come where Python enters or leaves a generator,
        and whoever kept the exception would keep the lock with it.
        """
        events: List[Event] = []
        me = threading.get_ident()  # no call between taking the lock and saying whose it is: that is where signals come
        try:
            with self._lock:
                try:
                    self._owner = me
                    return act(self._clock())
                except BaseException:  # interrupted in the middle of anything: whoever comes next arranges it anew
                    self._changed, self._promised = True, -math.inf
                    self._set_alarm(-math.inf)
                    raise
                finally:
                    events, self._arrangement.events = self._arrangement.events, events
                    self._owner = 0
        finally:
            self._tell(events)

    def _begin_anew(self, now: float) -> None:
        self._arrangement.forget()
        self._changed = True
        self._look(now)

    def _let_go(self, _: float) -> None:
        self._arrangement.forget()
        self._failure = None
        self._put(None)

    def _hear(self, peer: Peer, bits: int, begun: float, now: float) -> None:
        if self._arrangement.hear(peer, bits, begun, now):
            self._changed = True
            self._have_looked(now)

    def _have_looked(self, now: float) -> None:
        """:meth:`_look`; of many nodes on another thread, while callers go on with the old picker."""
        if self._current is None or self._arrangement.size <= AT_ONCE:
            self._look(now)
        elif self._outdated(now):
            if self._promised == -math.inf and self.source.soon(self._refreshed):
                self._promised = now + OVERDUE
                self._set_alarm(self._promised)
            elif now >= self._promised:
                self._look(now)

    def _outdated(self, now: float) -> bool:
        """Did something change: the snapshot, the guard's doubts, what was learned, or what depends on the time?"""
        snapshot, doubt = self.source.view()
        arranged = self._arrangement
        return self._changed or snapshot is not arranged.snapshot or doubt != self._doubt or now >= arranged.due

    def _look(self, now: float) -> None:
        """Arrange everything anew if something changed."""
        if self._closed or not self._outdated(now):
            return
        snapshot, doubt = self.source.view()
        picker: Optional[Picker] = None
        failure: Optional[Exception] = None
        try:
            picker = self._arrangement.arrange(snapshot, doubt, now)
        except Exception as error:  # also one of a filter or a strategy that somebody else wrote
            failure = error
        self._failure = failure
        self._doubt, self._changed, self._promised = doubt, False, -math.inf
        self._put(picker)

    def _put(self, picker: Optional[Picker]) -> None:
        """From now on this one picks."""
        self._current = picker
        # With a limit every call goes through _slow, and asks it.
        self._set_picker(None if self._limit is not None else picker)
        self._set_alarm(self._arrangement.due)

    def _tell(self, events: List[Event]) -> None:
        for event in events:
            self._notifier(event)

    # -- forks -----------------------------------------------------------------------------------------------------

    def _after_fork(self) -> None:
        """In the child: other threads of the parent may have held the locks, and their calls are not ours."""
        self._lock = threading.Lock()
        self._left.clear()
        self._notifier.renew()
        self._budget._renew()
        if self._limit is not None:
            self._limit._renew()
        if not self._closed:
            self._arrangement.events = []
            self._arrangement.leave_behind(_seed())
            self._changed = True
            self._change(self._look)


def _seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


_selectors: "weakref.WeakSet[Selector]" = weakref.WeakSet()


def _after_fork() -> None:
    for selector in list(_selectors):
        selector._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
