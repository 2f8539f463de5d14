"""``select()`` by 1 to 8 threads at once, beside the plain Python that threads may share (``baselines/picks.py``).

The time is that of one call of all threads together: what does not get worse with the threads gets shorter with them
where they run side by side, and stays as it is where they take turns. They run side by side where Python has no GIL.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable, Dict, Iterator

import pytest

from regcache import Cache, MemoryRegistry

from . import made, measure
from .baselines import picks

ROUNDS = 10
SIZES = (3, 100, 10_000)
#: Calls of each thread in one round.
CALLS = 25_000
BATCH = [None] * 500
STRATEGIES = ("random", "round_robin", "weighted", "p2c", "peak_ewma", "hash")
KEY = "user-1234"
GIL = getattr(sys, "_is_gil_enabled", lambda: True)()

OTHERS: Dict[str, Callable[[Any], Callable[[], Any]]] = {
    "lock": picks.lock,
    "cycle": picks.cycle,
    "random.choice": lambda nodes: picks.PLAIN["random"](nodes, KEY),
}


@pytest.fixture(scope="module")
def caches() -> Iterator[Callable[[int], Cache]]:
    """A cache of a service of so many nodes, which is not refreshed meanwhile."""
    filled: Dict[int, Cache] = {}

    def cache(nodes: int) -> Cache:
        if nodes not in filled:
            registry = MemoryRegistry()
            registry.put(made.SERVICE, made.body(nodes, "shared").data)
            filled[nodes] = Cache(registry, ttl=3600)
        return filled[nodes]

    yield cache
    for one in filled.values():
        one.close()


def _together(threads: int) -> Callable[[Callable[[], Any]], float]:
    def by(pick: Callable[[], Any]) -> float:
        ready, go = threading.Barrier(threads + 1), threading.Event()

        def run() -> None:
            ready.wait()
            go.wait()
            for _ in range(CALLS // len(BATCH)):
                for _ in BATCH:
                    pick()

        running = [threading.Thread(target=run) for _ in range(threads)]
        for thread in running:
            thread.start()
        ready.wait()
        begun = measure.clock()
        go.set()
        for thread in running:
            thread.join()
        return (measure.clock() - begun) / (threads * CALLS)

    return by


@pytest.mark.parametrize("way", [*OTHERS, *STRATEGIES])
@pytest.mark.parametrize("threads", [1, 2, 4, 8])
@pytest.mark.parametrize("nodes", [pytest.param(n, marks=[] if n == 100 else pytest.mark.long) for n in SIZES])
def test_threads(nodes: int, threads: int, way: str, caches: Any, race: Any) -> None:
    cache = caches(nodes)
    listed = list(cache.get(made.SERVICE, timeout=60.0))
    assert len(listed) == nodes

    def prepare(way: str) -> Callable[[], Any]:
        if way in OTHERS:
            return OTHERS[way](listed)
        select = cache.selector(made.SERVICE, strategy=way).select
        select(10.0, KEY)
        return (lambda: select(None, KEY)) if way == "hash" else select

    assert prepare(way)() in listed
    by = "1 thread" if threads == 1 else f"{threads} threads at once"
    race(
        prepare,
        group=f"select among {nodes:,} nodes by {by}{'' if GIL else ', without the GIL'}",
        rounds=ROUNDS,
        baseline="cycle",
        by=_together(threads),
        threads=threads,
        among=nodes,
        gil=GIL,
    )
