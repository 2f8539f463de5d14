"""``select()`` by 1 to 8 threads at once, beside the plain Python that threads may share.

The time is that of one call of all threads together: what does not get worse with the threads gets shorter with them
where they run side by side, and stays as it is where they take turns.
"""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any, Callable, Iterator, List

import pytest

from regcache import Cache, MemoryRegistry

from . import made, measure

ROUNDS = 12
NODES = 100
#: Calls of each thread in one round.
CALLS = 50_000
BATCH = [None] * 500


@pytest.fixture(scope="module")
def cache() -> Iterator[Cache]:
    registry = MemoryRegistry()
    registry.put(made.SERVICE, made.body(NODES, "shared").data)
    with Cache(registry) as cache:
        cache.get(made.SERVICE, timeout=10.0)
        yield cache


def _locked(nodes: List[Any]) -> Callable[[], Any]:
    """Round robin over a list that somebody else may replace."""
    lock, turns = threading.Lock(), itertools.count()

    def pick() -> Any:
        with lock:
            return nodes[next(turns) % len(nodes)]

    return pick


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


@pytest.mark.parametrize("way", ["random.choice", "lock", "round_robin", "random"])
@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_threads(threads: int, way: str, cache: Cache, race: Any) -> None:
    nodes = list(cache.get(made.SERVICE))

    def prepare(way: str) -> Callable[[], Any]:
        if way == "random.choice":
            return lambda: random.choice(nodes)
        if way == "lock":
            return _locked(nodes)
        selector = cache.selector(made.SERVICE, strategy=way)
        selector.select(timeout=10.0)
        return selector.select

    assert prepare(way)() in nodes
    race(
        prepare,
        group=f"select by {threads} {'thread' if threads == 1 else 'threads'} at once",
        rounds=ROUNDS,
        baseline="lock",
        by=_together(threads),
        threads=threads,
    )
