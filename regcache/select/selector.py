"""The selector: hands out nodes of the newest snapshot, and learns from what becomes of the calls.

Everything that depends on the snapshot and on what was learned is arranged when one of the two changes: by the thread
that brings the snapshot, or by the caller whose outcome changed something. A pick (:class:`~.picks.Front`) only reads.
"""

from __future__ import annotations

import copy
import math
import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, List, Optional, Protocol, Sequence, Tuple, Union

from ..cache.events import Event, EventKind, Notifier
from ..errors import Throttled, Unavailable
from .attempts import Attempts
from .budget import RetryBudget, TokenBucket
from .health import Feedback, Health
from .peers import Peer, Pool
from .picks import Call, Front, Picker
from .report import PeerStatus, SelectorStatus
from .sieve import Kept, Sieve, none_available
from .strategies import Strategy, check_strategy, make_picker
from .subset import Chooser, Subset

if TYPE_CHECKING:
    from ..cache.slot import Slot
    from ..codec import Node, Snapshot
    from .filters import Filter, Predicate

__all__ = ["Selector", "Source"]

#: What a selector learns unless it is told otherwise.
FEEDBACK = Feedback()
#: With more nodes than this no caller arranges them while there is a picker: that would take more than a millisecond or
#: two (of 10,000 nodes: two, and with "hash" a quarter of a second; docs/selector.md).
AT_ONCE = 100
#: Seconds after which a caller arranges them all the same, if nobody else did.
OVERDUE = 1.0


class Source(Protocol):
    """Where a selector's snapshots come from: an entry of a cache. Times are seconds."""

    service: str

    @property
    def slot(self) -> "Optional[Slot]":
        """Rings when somebody must look after the snapshot; ``None``: nobody has to."""

    @property
    def clock(self) -> Callable[[], float]:
        """Rising."""

    def get(self, timeout: Optional[float]) -> "Snapshot":
        """The newest snapshot; waits only if there is none, and raises why."""

    async def get_async(self, timeout: Optional[float]) -> "Snapshot":
        """The same, awaited."""

    def view(self) -> "Tuple[Optional[Snapshot], int, Optional[str]]":
        """What is held now, its generation, and why an answer is held back, if one is."""

    def listen(self, call: Callable[[], object]) -> None:
        """Call this, from now on, whenever the view changes. A bound method is held weakly."""

    def soon(self, call: Callable[[], object]) -> bool:
        """Call this on another thread, soon. False: there is none."""

    def pin(self) -> None:
        """Somebody depends on it."""

    def unpin(self) -> None:
        """One less does."""


class Selector(Front):
    """Picks nodes of one service. May be shared by threads, by tasks of asyncio, and by forked processes; keeps its
    place, and what it learned, over refreshes.

    Args:
        source: what :meth:`regcache.Cache.selector` gives it.
        strategy: ``"p2c"`` (of two random nodes the one with fewer calls in flight), ``"random"``, ``"round_robin"``,
            ``"weighted"`` (Consul's weights), ``"peak_ewma"`` (latency), ``"hash"`` (``key=``), or a
            :class:`~regcache.Strategy` for this selector alone.
        filters: what every one of them says yes to may be used; see :mod:`regcache.select.filters`.
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
        ValueError: there is no such strategy.
        TypeError: a filter or a strategy is none.
    """

    def __init__(
        self,
        source: Source,
        *,
        strategy: Union[str, Strategy] = "p2c",
        filters: "Iterable[Union[Filter, Predicate]]" = (),
        feedback: Optional[Feedback] = FEEDBACK,
        subset: Optional[Subset] = None,
        limit: Union[float, TokenBucket, None] = None,
        budget: Optional[RetryBudget] = None,
        clock: Optional[Callable[[], float]] = None,
        seed: Optional[int] = None,
        on_event: Optional[Callable[[Event], object]] = None,
    ) -> None:
        check_strategy(strategy)
        clock = source.clock if clock is None else clock
        super().__init__(source.slot, clock)
        self.service = source.service
        self._source = source
        self._clock = clock
        self._strategy = strategy
        self._sieve = Sieve(self.service, filters)
        self._feedback = feedback
        self._health = Health(feedback, weighted=strategy == "weighted")
        self._chooser = None if subset is None else Chooser(subset)
        self._limit = limit if limit is None or isinstance(limit, TokenBucket) else TokenBucket(limit, clock=clock)
        self._budget = RetryBudget(clock=clock) if budget is None else budget
        self._notifier = Notifier(on_event, clock)
        self._seed = _seed() if seed is None else seed
        self._lock = threading.Lock()
        # All that follows changes under the lock; callers read the picker, the failure and the pool.
        self._pool = self._new_pool()
        self._snapshot: "Optional[Snapshot]" = None
        self._doubt: Optional[str] = None
        self._kept: Optional[Kept] = None
        #: What each of the kept peers weighs by its checks.
        self._shares: Sequence[float] = ()
        self._used: Sequence[Peer] = ()
        self._healthy = 0
        self._panic: Optional[str] = None
        self._failure: Optional[Exception] = None
        #: What picks now, and the last that did: the rounds go on from there.
        self._current: Optional[Picker] = None
        self._before: Optional[Picker] = None
        #: When time alone changes something; was something learned since; until when is another thread trusted to see
        #: to it.
        self._due = math.inf
        self._changed = False
        self._promised = -math.inf
        self._arranged = 0
        self._closed = False
        self._events: List[Event] = []
        source.pin()
        self._unpin = weakref.finalize(self, source.unpin)
        self._unpin.atexit = False
        source.listen(self._refreshed)
        _selectors.add(self)

    def __repr__(self) -> str:
        filters = f", filters={self._sieve!r}" if self._sieve else ""
        return f"<Selector of {self.service!r}, strategy={self._strategy!r}{filters}>"

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
        """
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            return
        peer = self._pool.get(node)
        if peer is not None:
            verdict = peer._record(error is None, elapsed, self._clock())
            if verdict:
                self._verdict(peer, verdict)

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
        with self._lock:
            now = self._clock()
            used = set(self._used)
            return SelectorStatus(
                self.service,
                self._strategy if isinstance(self._strategy, str) else repr(self._strategy),
                repr(self._sieve) if self._sieve else "",
                None if self._snapshot is None else len(self._snapshot),
                tuple(
                    PeerStatus(
                        peer.node.id,
                        peer.node.target,
                        peer.node.status,
                        peer.state,
                        peer in used,
                        peer.weight if peer in used else 0.0,
                        peer.in_flight,
                        peer.failures,
                        peer.latency,
                        self._health.left(peer, now),
                    )
                    for peer in (() if self._kept is None else self._kept.peers)
                ),
                self._healthy,
                len(used),
                self._panic,
                self._failure,
                self._pool.in_flight,
                None if self._chooser is None else repr(self._chooser.subset),
                self._closed,
            )

    def reset(self) -> None:
        """Forget what was learned of the nodes, the place in the round, and the calls in flight (go-micro: ``Reset``).
        Nobody is ejected any more."""
        with self._changing() as now:
            self._forget(now)

    def close(self) -> None:
        """Hand out no more nodes: later calls raise :class:`~regcache.Unavailable`. The cache goes on."""
        with self._changing():
            self._closed = True
            self._kept, self._snapshot, self._failure, self._before = None, None, None, None
            self._used = ()
            self._put(None)
        self._unpin()

    # -- the rare part of select(), in the order in which it happens -----------------------------------------------

    def _slow(self, timeout: Optional[float], key: object) -> Peer:
        self._admit()
        self._source.get(timeout)
        return self._attend().pick(key, self._clock())

    async def _slow_async(self, timeout: Optional[float], key: object) -> Peer:
        self._admit()
        await self._source.get_async(timeout)
        return self._attend().pick(key, self._clock())

    def _other(self, peer: Peer, tried: "Sequence[Peer]", key: object) -> Peer:
        """This pick, or another one if it was tried before; for attempts after the first."""
        # A refresh may have brought other objects for the nodes that were tried.
        known = [self._pool.get(one.node) or one for one in tried]
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
                    f"the limit of {self._limit.rate:g} calls of {self.service!r} a second is reached; "
                    f"the next may be made in {wait:.3g} s",
                    wait,
                )

    def _attend(self) -> Picker:
        """The picker; arranges first what has to be. Only who has none waits for another who does that."""
        if self._current is None:
            with self._changing() as now:
                self._look(now)
        elif self._lock.acquire(blocking=False):
            try:
                self._have_looked(self._clock())
            finally:
                events, self._events = self._events, []
                self._lock.release()
            self._tell(events)
        picker, failure = self._current, self._failure
        if picker is None:
            raise self._gone() if failure is None else _again(failure)
        return picker

    def _gone(self) -> Unavailable:
        what = "selector" if self._closed else "cache"
        return Unavailable(f"the {what} is closed; there are no nodes of {self.service!r}")

    def _verdict(self, peer: Peer, bits: int) -> None:
        """The outcome of a call that may change something."""
        with self._changing() as now:
            # A call may be older than the last refresh: its node is another object now, or was away in between.
            known = self._pool.get(peer.node)
            why = None if known is None else self._health.hear(known, bits, now)
            if why is None:
                return
            node = f"{peer.node.id!r} ({peer.node.target})"
            if why:
                self._happened("ejected", f"{node} is ejected for {self._health.left(peer, now):.0f} s: {why}")
            else:
                self._happened("readmitted", f"{node} answers again, and gets its share of the calls")
            self._changed = True
            self._have_looked(now)

    def _refreshed(self) -> None:
        """The source has something new to show; on a thread of the cache."""
        with self._changing() as now:
            self._look(now)

    # -- arranging; from here on under the lock ----------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[float]:
        """Under the lock; afterwards what happened is told."""
        events: List[Event] = []
        try:
            with self._lock:
                try:
                    yield self._clock()
                finally:
                    events, self._events = self._events, events
        finally:
            self._tell(events)

    def _have_looked(self, now: float) -> None:
        """:meth:`_look`; of many nodes on another thread, while callers go on with the old picker."""
        if self._current is None or self._kept is None or len(self._kept.peers) <= AT_ONCE:
            self._look(now)
        elif self._outdated(now):
            if self._promised == -math.inf and self._source.soon(self._refreshed):
                self._promised = now + OVERDUE
                self._set_alarm(self._promised)
            elif now >= self._promised:
                self._look(now)

    def _outdated(self, now: float) -> bool:
        """Did something change: the snapshot, the guard's doubts, what was learned, or what depends on the time?"""
        snapshot, _, doubt = self._source.view()
        return self._changed or snapshot is not self._snapshot or doubt != self._doubt or now >= self._due

    def _look(self, now: float) -> None:
        """Arrange everything anew if something changed."""
        if self._closed or not self._outdated(now):
            return
        snapshot, _, doubt = self._source.view()
        try:
            if snapshot is not self._snapshot:
                self._kept = self._failure = None
                if snapshot is not None:
                    peers = self._pool.renew(snapshot)
                    self._health.renew(peers, now)
                    self._kept = self._sieve.sift(peers)
                    self._shares = [self._health.share(peer.node) for peer in self._kept.peers]
            if self._kept is not None:
                self._arrange(self._kept, doubt, now)
                self._failure = None
            else:
                self._put(None)
        except Exception as error:  # also one of a filter or a strategy that somebody else wrote
            self._failure, self._used, self._healthy, self._panic = error, (), 0, None
            self._put(None)
        self._snapshot, self._doubt, self._changed, self._promised = snapshot, doubt, False, -math.inf

    def _arrange(self, kept: Kept, doubt: Optional[str], now: float) -> None:
        health, everyone, shares = self._health, kept.peers, self._shares
        health.settle(everyone, now)
        places = self._sieve.candidates(kept, lambda place: shares[place] > 0 and everyone[place].state != "ejected")
        health.among = len(places)
        if len(places) == len(everyone):
            chosen = health.choose(everyone, shares, doubt, now)
        else:
            chosen = health.choose(
                [everyone[place] for place in places], [shares[place] for place in places], doubt, now
            )
        if not chosen.peers:
            raise none_available(self.service, kept.peers)
        peers, weights = chosen.peers, chosen.weights
        if self._chooser is not None:
            health.among = min(health.among, self._chooser.subset.size)
            weighs = dict(zip(peers, weights))
            peers = self._chooser.choose(peers)
            weights = [weighs[peer] for peer in peers]
        for peer, weight in zip(peers, weights):
            if peer.weight != weight:
                peer._set(weight=weight)
        self._arranged += 1
        # Another seed each time: with the same one the first picks after each refresh would be of the same nodes.
        picker = make_picker(self._strategy, peers, weights, before=self._before, seed=self._seed + self._arranged)
        if (chosen.panic is None) != (self._panic is None):
            if chosen.panic is not None:
                self._happened("panic", f"calls go to every node: {chosen.panic}")
            else:
                self._happened("calm", f"calls go to healthy nodes only again: {chosen.healthy} of {len(places)}")
        self._used, self._healthy, self._panic = peers, chosen.healthy, chosen.panic
        self._before = picker
        self._put(picker, health.alarm(kept.peers, now))

    def _put(self, picker: Optional[Picker], due: float = math.inf) -> None:
        """From now on this one picks."""
        self._current, self._due = picker, due
        # With a limit every call goes through _slow, and asks it.
        self._set_picker(None if self._limit is not None else picker)
        self._set_alarm(due)

    def _forget(self, now: float) -> None:
        self._pool = self._new_pool()
        self._health = Health(self._feedback, weighted=self._strategy == "weighted")
        self._snapshot = self._kept = self._failure = self._before = None
        self._changed = True
        self._look(now)

    def _new_pool(self) -> Pool:
        learns = self._feedback
        if learns is None:
            return Pool(failures=0, calls=0)
        return Pool(failures=learns.failures, rate=learns.rate, calls=learns.calls)

    def _happened(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind, self.service, text, self._snapshot))

    def _tell(self, events: List[Event]) -> None:
        for event in events:
            self._notifier(event)

    # -- forks -----------------------------------------------------------------------------------------------------

    def _after_fork(self) -> None:
        """In the child: other threads of the parent may have held the locks, and their calls are not ours."""
        self._lock = threading.Lock()
        self._notifier.renew()
        self._budget._renew()
        if self._limit is not None:
            self._limit._renew()
        self._events = []
        self._seed = _seed()
        # The source may have another slot now.
        super().__init__(self._source.slot, self._clock)
        self._pool = self._new_pool()
        self._snapshot = self._kept = self._failure = self._before = None
        self._changed = True
        if not self._closed:
            with self._changing() as now:
                self._look(now)


def _seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


def _again(error: Exception) -> Exception:
    """A copy for each caller, if it can be copied: an exception collects the tracebacks of everybody who raises it."""
    try:
        copied = copy.copy(error)
    except Exception:
        return error
    if type(copied) is not type(error):
        return error
    copied.__cause__ = error
    return copied


_selectors: "weakref.WeakSet[Selector]" = weakref.WeakSet()


def _after_fork() -> None:
    for selector in list(_selectors):
        selector._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
