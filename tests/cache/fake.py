"""A refresher that does what a test says: requests end when the test ends them, timers run when it moves the clock."""

from __future__ import annotations

import itertools
import threading
from typing import Any, Callable, List, Optional, Tuple

from regcache import Cache, Node, RegcacheError, Snapshot
from regcache.cache.refresh import Outcome
from regcache.registry import MemoryRegistry
from tests.cache.stub import Clock, node


class FakeLoad:
    """One request that the cache has sent."""

    def __init__(self, refresher: "FakeRefresher", service: str, done: Callable[[Outcome], None], how: Any) -> None:
        self.refresher = refresher
        self.service = service
        self.index: Optional[int] = how["index"]
        self.wait: Optional[float] = how["wait"]
        self.previous: Optional[Snapshot] = how["previous"]
        self.consistency: Optional[str] = how["consistency"]
        self.urgent: bool = how["urgent"]
        self.asked = refresher.clock.now
        self.cancelled = False
        #: Does it wait for its turn?
        self.queued = False
        self.over = False
        self._done = done

    def cancel(self) -> None:
        self.cancelled = True
        self.refresher._remove(self)

    def answer(self, *nodes: Node, index: int = 1) -> Snapshot:
        """The registry answers with these nodes."""
        before = () if self.previous is None else self.previous.nodes
        snapshot = Snapshot(
            self.service,
            nodes,
            index=index,
            added=[n for n in nodes if n not in before],
            removed=[n for n in before if n not in nodes],
        )
        self.end(Outcome(snapshot, None, index, False, 0.0, self.asked))
        return snapshot

    def many(self, count: int, index: int = 1) -> Snapshot:
        """It answers with nodes 1 to ``count``."""
        return self.answer(*map(node, range(1, count + 1)), index=index)

    def unchanged(self) -> None:
        """A blocking query ends without a change."""
        assert self.index
        self.end(Outcome(None, None, self.index, True, 0.0, self.asked))

    def fail(self, error: RegcacheError) -> None:
        self.end(Outcome(None, error, 0, False, 0.0, self.asked))

    def end(self, outcome: Outcome) -> None:
        self.over = True
        self.refresher._remove(self)
        self._done(outcome)


class FakeTimer:
    def __init__(self, refresher: "FakeRefresher", when: float, call: Callable[[], None]) -> None:
        self.refresher, self.when, self.call = refresher, when, call

    def cancel(self) -> None:
        if self in self.refresher.timers:
            self.refresher.timers.remove(self)


class FakeRefresher:
    """
    Attributes:
        loads: all requests, in order; in_flight: those that have neither ended nor been cancelled.
        timers: those that have not run.
        broken: raised by the next request in place of sending it.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.loads: List[FakeLoad] = []
        self.in_flight: List[FakeLoad] = []
        self.timers: List[FakeTimer] = []
        self.broken: Optional[Exception] = None
        self.closed = False
        self.most = 0
        self._lock = threading.Lock()

    def load(self, service: str, done: Callable[[Outcome], None], **how: Any) -> FakeLoad:
        for name in ("index", "wait", "previous", "consistency"):
            how.setdefault(name, None)
        if self.broken is not None:
            raise self.broken
        load = FakeLoad(self, service, done, how)
        with self._lock:
            self.loads.append(load)
            self.in_flight.append(load)
            self.most = max(self.most, sum(other.service == service for other in self.in_flight))
        return load

    def _remove(self, load: FakeLoad) -> None:
        with self._lock:
            if load in self.in_flight:
                self.in_flight.remove(load)

    def at(self, when: float, call: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self, when, call)
        self.timers.append(timer)
        return timer

    def close(self, timeout: float = 5.0) -> None:
        self.closed = True

    # -- for the test

    @property
    def now(self) -> FakeLoad:
        """The one request in flight."""
        (load,) = self.in_flight
        return load

    def advance(self, seconds: float) -> None:
        """Let the clock go on, and the timers run that are due by then, each at its time."""
        until = self.clock.now + seconds
        for _ in itertools.count():
            due = [timer for timer in self.timers if timer.when <= until]
            if not due:
                break
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.clock.now = max(self.clock.now, first.when)
            first.call()
        self.clock.now = until


def faked(**options: Any) -> Tuple[Cache, FakeRefresher]:
    """A cache whose refresher is a fake. Jitter is off: every wait is the longest it can be."""
    refresher = FakeRefresher()
    options.setdefault("random", lambda: 0.0)
    cache = Cache(MemoryRegistry(), clock=refresher.clock, refresher=refresher, **options)  # type: ignore[arg-type]
    return cache, refresher


def started(**options: Any) -> Tuple[Cache, FakeRefresher]:
    """The same, and the first request for ``greeter`` is in flight."""
    cache, refresher = faked(**options)
    cache._entry("greeter").start()
    return cache, refresher


def running(count: int = 10, index: int = 10, **options: Any) -> Tuple[Cache, FakeRefresher]:
    """The same, and it brought nodes 1 to ``count``."""
    cache, refresher = started(**options)
    refresher.now.many(count, index)
    return cache, refresher
