"""Picking a node: ``Selector.select()`` beside the plainest Python that does it over a list that never changes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import cycle
from typing import Any, Callable, Dict, Iterator, List

import pytest

from regcache import Cache, MemoryRegistry, Node, Service

from .measure import looped

ROUNDS = 40
SIZES = (3, 100, 10_000)


@pytest.fixture(scope="module")
def caches() -> Iterator[Callable[[int], Cache]]:
    """A cache of a service of so many nodes, which is not refreshed meanwhile."""
    made: Dict[int, Cache] = {}

    def cache(count: int) -> Cache:
        if count not in made:
            registry = MemoryRegistry()
            nodes = tuple(Node(f"n{i}", f"10.0.{i // 250}.{i % 250}", 8080) for i in range(count))
            registry.register(Service("greeter", "1.0", nodes=nodes))
            made[count] = Cache(registry, ttl=3600)
        return made[count]

    yield cache
    for one in made.values():
        one.close()


def _naive(strategy: str, nodes: List[Any]) -> Callable[[], Any]:
    if strategy == "random":
        return lambda: random.choice(nodes)
    turns = cycle(nodes)
    return lambda: next(turns)


@pytest.mark.parametrize("way", ["naive", "select"])
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("strategy", ["random", "round_robin"])
def test_select(strategy: str, count: int, way: str, caches: Any, race: Any) -> None:
    cache = caches(count)
    nodes = list(cache.get("greeter"))
    assert len(nodes) == count

    def prepare(way: str) -> Callable[[], Any]:
        if way == "naive":
            return _naive(strategy, nodes)
        selector = cache.selector("greeter", strategy=strategy)
        selector.select(timeout=10.0)
        return selector.select

    pick = prepare(way)
    picked = Counter(pick().id for _ in range(count))
    if strategy == "round_robin":
        assert set(picked.values()) == {1}, "not each node once"
    assert set(picked) <= {node.id for node in nodes}
    race(
        prepare,
        group=f"select: {strategy}, {count:,} nodes",
        rounds=ROUNDS,
        baseline="naive",
        by=looped,
    )
