"""Picking a node: ``Selector.select()`` beside a method that does nothing, and beside what people write by hand.

``empty``: a method of a Cython class that does nothing, compiled in the same run. The others: ``baselines/picks.py``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Dict, Iterator

import pytest

from regcache import Cache, MemoryRegistry, Node, Service

from .baselines import picks
from .empty import empty_method
from .measure import looped

ROUNDS = 40
SIZES = (3, 100, 10_000)
STRATEGIES = ("random", "round_robin", "weighted", "p2c", "peak_ewma", "hash")
#: What "hash" is asked for.
KEY = "user-1234"


@pytest.fixture(scope="module")
def caches() -> Iterator[Callable[[int], Cache]]:
    """A cache of a service of so many nodes, which is not refreshed meanwhile."""
    made: Dict[int, Cache] = {}

    def cache(count: int) -> Cache:
        if count not in made:
            registry = MemoryRegistry()
            nodes = tuple(
                Node(f"n{i}", f"10.0.{i // 250}.{i % 250}", 8080, weights=(1 + i % 3, 1)) for i in range(count)
            )
            registry.register(Service("greeter", "1.0", nodes=nodes))
            made[count] = Cache(registry, ttl=3600)
        return made[count]

    yield cache
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def empty() -> Callable[[], object]:
    return empty_method()


@pytest.mark.parametrize("way", ["empty", "plain", "cycle", "cachetools", "select"])
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_select(strategy: str, count: int, way: str, caches: Any, race: Any, empty: Any) -> None:
    cache = caches(count)
    nodes = list(cache.get("greeter"))
    assert len(nodes) == count

    def prepare(way: str) -> Callable[[], Any]:
        if way == "empty":
            return empty  # type: ignore[no-any-return]
        if way == "plain":
            return picks.PLAIN[strategy](nodes, KEY)
        if way != "select":
            return {"cycle": picks.cycle, "cachetools": picks.cachetools}[way](nodes)
        select = cache.selector("greeter", strategy=strategy).select
        select(10.0, KEY)
        return (lambda: select(None, KEY)) if strategy == "hash" else select

    if way == "select":
        pick = prepare(way)
        picked = Counter(pick().id for _ in range(count))
        assert set(picked) <= {node.id for node in nodes}
        if strategy == "round_robin":
            assert set(picked.values()) == {1}, "not each node once"
    race(
        prepare,
        group=f"select: {strategy}, {count:,} nodes",
        rounds=ROUNDS,
        baseline="empty",
        by=looped,
    )


@pytest.mark.parametrize("way", ["empty", "select", "call", "call with a timeout", "select and mark"])
def test_call(way: str, caches: Any, race: Any, empty: Any) -> None:
    """Around a call: counted while it is in flight, and its outcome recorded."""

    def prepare(way: str) -> Callable[[], Any]:
        if way == "empty":
            return empty  # type: ignore[no-any-return]
        selector = caches(100).selector("greeter")
        node = selector.select(10.0)
        timeout = 0.5 if "timeout" in way else None

        def call() -> Any:
            with selector.call(timeout) as made:
                return made.node

        def mark() -> Any:
            selector.mark(selector.select(), None, 0.01)
            return node

        return {"select": selector.select, "select and mark": mark}.get(way, call)

    assert prepare(way)() is not None
    race(prepare, group="call: p2c, 100 nodes", rounds=ROUNDS, baseline="empty", by=looped)
