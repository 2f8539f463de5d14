"""The selector: which node is next, and why there is none."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, List, Optional

import pytest

from regcache import Node, NoneAvailable, NotFound, Service, Snapshot
from regcache.cache import Cache
from regcache.registry import MemoryRegistry
from regcache.select import Random, Selector, label, version
from tests.together import HANG, together


def node(number: int, **more: Any) -> Node:
    return Node(f"greeter-{number}", f"10.0.0.{number}", 8000 + number, **more)


class Source:
    """A selector's source whose snapshot the test sets."""

    def __init__(self, *nodes: Node) -> None:
        self.snapshot = Snapshot("greeter", nodes)
        self.timeouts: List[Optional[float]] = []

    def __call__(self, timeout: Optional[float]) -> Snapshot:
        self.timeouts.append(timeout)
        return self.snapshot

    def refresh(self, *nodes: Node) -> None:
        self.snapshot = Snapshot("greeter", nodes)


def picks(selector: Selector, count: int) -> List[str]:
    return [selector.select().id.rpartition("-")[2] for _ in range(count)]


@pytest.mark.parametrize("strategy", ["random", "round_robin"])
def test_through_the_cache(strategy: str) -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=(node(1), node(2))))
    with Cache(registry) as cache:
        selector = cache.selector("greeter", strategy)
        assert {selector.select(timeout=HANG).id for _ in range(100)} == {"greeter-1", "greeter-2"}


def test_the_timeout_is_handed_on() -> None:
    source = Source(node(1))
    selector = Selector("greeter", source)
    selector.select(0.2)
    assert set(source.timeouts) == {0.2}


# -- strategies ------------------------------------------------------------------------------------------------------


def test_random_is_even() -> None:
    """Chi-square over 10 nodes: above 33.7 in one of 10,000 runs of a fair choice."""
    selector = Selector("greeter", Source(*map(node, range(10))), strategy=Random(random.Random(1).random))
    counts = Counter(picks(selector, 10_000))
    assert sum((counts[str(n)] - 1000) ** 2 / 1000 for n in range(10)) < 33.7


def test_random_reaches_the_first_and_the_last() -> None:
    numbers = iter([0.0, 1 - 2**-53])
    selector = Selector("greeter", Source(*map(node, range(7))), strategy=Random(lambda: next(numbers)))
    assert picks(selector, 2) == ["0", "6"]


def test_round_robin_goes_round() -> None:
    selector = Selector("greeter", Source(node(1), node(2), node(3)), strategy="round_robin")
    assert picks(selector, 7) == ["1", "2", "3", "1", "2", "3", "1"]


def test_round_robin_goes_on_over_refreshes() -> None:
    source = Source(node(1), node(2), node(3))
    selector = Selector("greeter", source, strategy="round_robin")
    seen = []
    for _ in range(6):
        seen += picks(selector, 1)
        source.refresh(node(1), node(2), node(3))
    assert seen == ["1", "2", "3", "1", "2", "3"]


def test_round_robin_goes_on_when_nodes_come_and_go() -> None:
    source = Source(node(1), node(2), node(3), node(4))
    selector = Selector("greeter", source, strategy="round_robin")
    assert picks(selector, 2) == ["1", "2"]
    source.refresh(node(9), node(1), node(2), node(4))  # 3 would have been next
    assert picks(selector, 3) == ["4", "9", "1"]
    source.refresh(node(7), node(8))  # nobody is left
    assert picks(selector, 3) == ["7", "8", "7"]


def test_round_robin_is_fair_to_threads() -> None:
    selector = Selector("greeter", Source(*map(node, range(4))), strategy="round_robin")
    counts = Counter(sum(together(8, lambda _: picks(selector, 500)), []))
    assert set(counts.values()) == {1000}


def test_a_strategy_of_ones_own() -> None:
    class First:
        prepared = 0

        def prepare(self, nodes: Any) -> Any:
            self.prepared += 1
            return lambda: nodes[0]

    source, first = Source(node(1), node(2)), First()
    selector = Selector("greeter", source, strategy=first)
    assert picks(selector, 3) == ["1", "1", "1"]
    assert first.prepared == 1
    source.refresh(node(2))
    assert picks(selector, 2) == ["2", "2"]
    assert first.prepared == 2


def test_an_unknown_strategy() -> None:
    with pytest.raises(ValueError, match="'fastest'; there are random, round_robin"):
        Selector("greeter", Source(), strategy="fastest")


# -- which nodes -----------------------------------------------------------------------------------------------------


def test_passing_and_warning_nodes_are_used() -> None:
    nodes = [node(1), node(2, status="warning"), node(3, status="critical"), node(4, status="maintenance")]
    assert set(picks(Selector("greeter", Source(*nodes)), 100)) == {"1", "2"}


def test_no_nodes() -> None:
    selector = Selector("greeter", Source())
    raised = []
    for _ in range(2):
        with pytest.raises(NotFound, match="no service 'greeter'") as caught:
            selector.select()
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_no_usable_nodes_and_back_again() -> None:
    source = Source(node(1, status="critical"), node(2, status="critical"), node(3, status="maintenance"))
    selector = Selector("greeter", source)
    with pytest.raises(NoneAvailable, match="none of the 3 nodes of 'greeter' may be used: 2 critical, 1 maintenance"):
        selector.select()
    source.refresh(node(1))
    assert picks(selector, 1) == ["1"]


# -- filters ---------------------------------------------------------------------------------------------------------


def test_filters_by_version_and_label() -> None:
    nodes = [
        node(1, version="1.0", metadata={"zone": "a"}),
        node(2, version="2.0", metadata={"zone": "a"}),
        node(3, version="2.0", metadata={"zone": "b"}),
        node(4, version="2.0"),
    ]

    def used(*filters: Any) -> List[str]:
        return sorted(set(picks(Selector("greeter", Source(*nodes), strategy="round_robin", filters=filters), 8)))

    assert used(version("1.0")) == ["1"]
    assert used(label("zone", "a")) == ["1", "2"]
    assert used(version("2.0"), label("zone", "b")) == ["3"]
    assert used(lambda n: n.port > 8002) == ["3", "4"]


def test_a_filter_is_asked_once_for_each_snapshot() -> None:
    asked: List[str] = []

    def wanted(chosen: Node) -> bool:
        asked.append(chosen.id)
        return True

    selector = Selector("greeter", Source(node(1), node(2)), filters=[wanted])
    picks(selector, 50)
    assert asked == ["greeter-1", "greeter-2"]


def test_filters_that_leave_none_say_which_and_what_there_is() -> None:
    source = Source(node(1, version="1.0"), node(2, version="1.1"))
    selector = Selector("greeter", source, filters=[version("2.0")])
    expected = r"the filter version\('2.0'\) left none of 2 usable nodes of 'greeter' \(versions: '1.0', '1.1'\)"
    with pytest.raises(NoneAvailable, match=expected):
        selector.select()


def test_a_filter_that_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="'1.0' cannot be called"):
        Selector("greeter", Source(), filters=["1.0"])  # type: ignore[list-item]
