"""go-micro's own tests of its selector, with the same cases: what its users know works here as it does there.

The cases are those of go-micro's ``selector/filter_test.go``, ``strategy_test.go``, ``default_test.go``,
``common_test.go`` and ``blacklist/black_list_selector_test.go``. A service of go-micro without nodes stands here with
one node, since it is nodes that are chosen. Each registry is filled as go-micro fills its mock.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterator, List, Sequence

import pytest

from regcache import (  # fmt: skip
    Cache,
    Endpoint,
    MemoryRegistry,
    Node,
    NoneAvailable,
    NotFound,
    Selector,
    Service,
    Unavailable,
    endpoint,
    label,
    version,
)
from tests.together import HANG

#: testData of common_test.go.
FOO = (
    Service(
        "foo",
        "1.0.0",
        nodes=(Node("foo-1.0.0-123", "localhost", 9999), Node("foo-1.0.0-321", "localhost", 9999)),
    ),
    Service("foo", "1.0.1", nodes=(Node("foo-1.0.1-321", "localhost", 6666),)),
    Service("foo", "1.0.3", nodes=(Node("foo-1.0.3-345", "localhost", 8888),)),
)
IDS = {node.id for service in FOO for node in service.nodes}


CACHES: List[Cache] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while CACHES:
        CACHES.pop().close()


def selecting(services: Sequence[Service], **how: Any) -> Selector:
    registry = MemoryRegistry()
    for service in services:
        registry.register(service)
    CACHES.append(Cache(registry))
    return CACHES[-1].selector(services[0].name, **how)


def chosen(services: Sequence[Service], wanted: Any) -> List[str]:
    """The versions of the services that a filter leaves."""
    selector = selecting(services, filters=[wanted], strategy="round_robin")
    try:
        return sorted({selector.select(timeout=HANG).version for _ in range(10)})
    except NoneAvailable:
        return []


def serving(number: str, **more: Any) -> Service:
    return Service("test", number, nodes=(Node(f"test-{number}", "localhost", 80, **more),))


@pytest.mark.parametrize(
    ("endpoints", "wanted", "left"),
    [
        (("Foo.Bar", "Baz.Bar"), "Foo.Bar", ["1.0.0"]),
        (("Foo.Bar", "Foo.Bar"), "Bar.Baz", []),
    ],
)
def test_filter_endpoint(endpoints: Any, wanted: str, left: List[str]) -> None:
    """TestFilterEndpoint."""
    services = [serving(number, endpoints=(Endpoint(name),)) for number, name in zip(("1.0.0", "1.1.0"), endpoints)]
    assert chosen(services, endpoint(wanted)) == left


@pytest.mark.parametrize(
    ("metadata", "left"),
    [(({"foo": "bar"}, {"foo": "baz"}), ["1.0.0"]), (({}, {}), [])],
)
def test_filter_label(metadata: Any, left: List[str]) -> None:
    """TestFilterLabel."""
    services = [serving(number, metadata=held) for number, held in zip(("1.0.0", "1.1.0"), metadata)]
    assert chosen(services, label("foo", "bar")) == left


@pytest.mark.parametrize(("wanted", "left"), [("1.0.0", ["1.0.0"]), ("2.0.0", [])])
def test_filter_version(wanted: str, left: List[str]) -> None:
    """TestFilterVersion."""
    assert chosen([serving("1.0.0"), serving("1.1.0")], version(wanted)) == left


@pytest.mark.parametrize("strategy", ["random", "round_robin"])
def test_strategies(strategy: str) -> None:
    """TestStrategies: a hundred picks over the nodes of two versions."""
    services = [
        Service("test1", "latest", nodes=(Node("test1-1", "10.0.0.1", 1001), Node("test1-2", "10.0.0.2", 1002))),
        Service("test1", "default", nodes=(Node("test1-3", "10.0.0.3", 1003), Node("test1-4", "10.0.0.4", 1004))),
    ]
    selector = selecting(services, strategy=strategy)
    counts = Counter(selector.select(timeout=HANG).id for _ in range(100))
    assert set(counts) == {"test1-1", "test1-2", "test1-3", "test1-4"}
    if strategy == "round_robin":
        assert set(counts.values()) == {25}


def test_the_default_selector() -> None:
    """TestDefaultSelector, with the default strategy, over the mock's data."""
    selector = selecting(FOO)
    assert {selector.select(timeout=HANG).id for _ in range(100)} == IDS


def test_not_found() -> None:
    """ErrNotFound: the registry has no such service."""
    with Cache(MemoryRegistry()) as cache, pytest.raises(NotFound):
        cache.selector("foo").select(timeout=HANG)


def test_none_available() -> None:
    """ErrNoneAvailable: the filters left nothing. Here the error says more."""
    selector = selecting(FOO, filters=[version("2.0.0")])
    with pytest.raises(NoneAvailable, match=r"version\('2.0.0'\) left none .* \(versions: '1.0.0', '1.0.1', '1.0.3'\)"):
        selector.select(timeout=HANG)


def test_filters_are_applied_one_after_the_other() -> None:
    selector = selecting(FOO, filters=[lambda node: node.version != "1.0.3", version("1.0.0", "1.0.3")])
    assert {selector.select(timeout=HANG).id for _ in range(50)} == {"foo-1.0.0-123", "foo-1.0.0-321"}


def test_black_list() -> None:
    """TestBlackList, which go-micro skips since Mark does nothing there: a node that was marked is not picked, and the
    others are. Where all are marked go-micro wants ErrNoneAvailable; here calls go on, since a caller who is told that
    every node is bad is likelier to be wrong himself."""
    nodes = tuple(Node(f"test-{number}", "localhost", 10000 + number) for number in (1, 2, 3))
    selector = selecting([Service("test", "", nodes=nodes)])
    marked = selector.select(timeout=HANG)
    for _ in range(5):  # go-micro: 4
        selector.mark(marked, error=OSError("error"))
    assert {selector.select().id for _ in range(100)} == {node.id for node in nodes} - {marked.id}
    for _ in range(50):
        selector.mark(selector.select(), error=OSError("error"))
    assert len({selector.select().id for _ in range(100)}) == 2


def test_reset() -> None:
    """TestBlackListSelector: after Reset a node that was marked is picked again."""
    selector = selecting(FOO, strategy="round_robin")
    marked = selector.select(timeout=HANG)
    for _ in range(5):
        selector.mark(marked, error=OSError("blacklist"))
    assert marked.id not in {selector.select().id for _ in range(20)}
    selector.reset()
    assert {selector.select().id for _ in range(4)} == IDS


def test_round_robin_in_turn() -> None:
    """TestRoundRobin (v3): each in its turn. There Select began anew each time (#2799)."""
    selector = selecting(FOO, strategy="round_robin")
    turns = [selector.select(timeout=HANG).id for _ in range(8)]
    assert set(turns[:4]) == IDS and turns[:4] == turns[4:]


def test_close() -> None:
    """Close: an error to use it afterwards, none to close it again."""
    selector = selecting(FOO)
    selector.select(timeout=HANG)
    selector.close()
    selector.close()
    with pytest.raises(Unavailable, match="the selector is closed"):
        selector.select()
