"""How long the slowest calls take while the list is refreshed several times a second, and while it is not.

One thread asks some thousand times a second, as a busy service does. Other caches load the list in the thread that
finds it expired, with the best reader that there is from packages and all tags remembered; regcache asks in the
background. The body has 1,000 nodes, a tenth of which changes each time. The times of this group are the medians of
single calls, with a look at the clock in them.
"""

from __future__ import annotations

import contextlib
import gc
import random
import time
from array import array
from typing import Any, Callable, Dict, Iterator, List

import pytest

from regcache import Cache, MemoryRegistry
from regcache.registry import Answer

from . import made
from .baselines import best, caches

NODES = 1_000
#: Seconds for which a list is fresh. regcache asks again after two thirds of it.
TTL = {"quiet": 3600.0, "refreshed": 0.25}
SECONDS = 3.0
#: Seconds from a call to the next, at least. Without a pause one call in a million would load the list, and Linux takes
#: the CPU away from a thread of real-time priority after 0.95 s.
PAUSE = 100e-6
#: Parts of the calls that took at most as long as what is kept.
PARTS = (0.5, 0.9, 0.99, 0.999, 0.9999, 1.0)


class Changing:
    """A registry that says one of two things in turns. Nobody can watch it."""

    blocking = False

    def __init__(self) -> None:
        self.bodies = [made.body(NODES, "shared").data, made.body(NODES, "shared", 0.1).data]
        self.asked = 0
        self._home = MemoryRegistry()

    def body(self) -> bytes:
        self.asked += 1
        return self.bodies[self.asked % 2]

    def fetch(self, service: str, **how: Any) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`."""
        self._home.put(service, self.body())
        return self._home.fetch(service)

    def services(self) -> List[str]:
        return self._home.services()

    def close(self) -> None:
        self._home.close()


@contextlib.contextmanager
def _peer(name: str, registry: Changing, ttl: float) -> Iterator[Callable[[], Any]]:
    memo: Dict[str, Any] = {}
    for body in registry.bodies:
        best.versions(body, memo)
    get, choice = caches.SYNC[name](lambda: best.versions(registry.body(), memo), ttl), random.choice
    yield lambda: choice(get())


@contextlib.contextmanager
def _get(registry: Changing, ttl: float) -> Iterator[Callable[[], Any]]:
    with Cache(registry, ttl=ttl) as cache:
        choice = random.choice
        cache.get(made.SERVICE, timeout=30.0)
        yield lambda: choice(cache.get(made.SERVICE).nodes)


@contextlib.contextmanager
def _select(registry: Changing, ttl: float) -> Iterator[Callable[[], Any]]:
    with Cache(registry, ttl=ttl) as cache:
        select = cache.selector(made.SERVICE, strategy="random").select
        select(30.0)
        yield select


@contextlib.contextmanager
def _nothing(registry: Changing, ttl: float) -> Iterator[Callable[[], Any]]:
    nodes, choice = best.versions(registry.body(), {}), random.choice
    yield lambda: choice(nodes)


WAYS: Dict[str, Callable[[Changing, float], Any]] = {
    "a list, never refreshed": _nothing,
    **{name: lambda registry, ttl, name=name: _peer(name, registry, ttl) for name in caches.SYNC},
    "regcache, get and random.choice": _get,
    "regcache, select": _select,
}


def _calls(work: Callable[[], Any], seconds: float) -> "array[int]":
    """Nanoseconds of each call, sorted."""
    took = array("q")
    keep, clock, sleep = took.append, time.perf_counter_ns, time.sleep
    work()
    gc.collect()
    until = clock() + int(seconds * 1e9)
    while True:
        begun = clock()
        work()
        ended = clock()
        keep(ended - begun)
        if ended > until:
            return array("q", sorted(took))
        sleep(PAUSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", TTL)
def test_calls(how: str, way: str, record: Any, request: pytest.FixtureRequest) -> None:
    option = request.config.getoption
    rounds, seconds = (1, 0.3) if option("quick") or option("benchmark_disable") else (3, SECONDS)
    shown: List[List[float]] = []
    refreshes = 0
    for _ in range(rounds):
        registry = Changing()
        with contextlib.closing(registry), WAYS[way](registry, TTL[how]) as work:
            work()
            before = registry.asked
            took = _calls(work, seconds)
            refreshes += registry.asked - before
        shown.append([took[min(len(took) - 1, int(len(took) * part))] / 1e9 for part in PARTS])
    often = "refreshed several times a second" if how == "refreshed" else "never refreshed"
    record(
        [row[0] for row in shown],
        f"single calls, the list is {often}",
        way=way,
        calls={
            "how": how,
            "parts": PARTS,
            "refreshes": refreshes,
            "seconds": rounds * seconds,
            "rounds": shown,
            "middle": [sorted(column)[len(column) // 2] for column in zip(*shown)],
        },
    )
