"""MemoryRegistry: what is registered comes back through the same decoder as everything else."""

from __future__ import annotations

import json
from typing import Any, List

import pytest

from regcache import Endpoint, Node, Service, Snapshot, Unavailable, Value, Weights, decode
from regcache.registry import ConsulRegistry, MemoryRegistry
from tests.together import Threads, together


def node(number: int, **more: Any) -> Node:
    return Node(f"greeter-{number}", f"10.0.0.{number}", 8000 + number, **more)


def load(registry: MemoryRegistry, service: str = "greeter") -> Snapshot:
    with registry.fetch(service) as answer:
        return decode(b"".join(answer.chunks()), service, index=answer.index)


def ids(registry: MemoryRegistry, service: str = "greeter") -> List[str]:
    return [node.id for node in load(registry, service)]


def test_everything_that_is_registered_comes_back() -> None:
    endpoint = Endpoint("Say.Hello", Value("Request", "Request", (Value("name", "string"),)), None, {"stream": "<&>"})
    nodes = (
        node(
            1,
            metadata={
                "protocol": "grpc",
                "naïve": "\u2028\ud83c\udf88".encode("utf-16", "surrogatepass").decode("utf-16"),
            },
        ),
        node(2, status="warning", weights=Weights(5, 2), meta={"m": "1"}, node_meta={"n": "2"}, tags=("eu-west-1",)),
        node(3, status="critical"),
        node(4, status="maintenance", node_name="rack", datacenter="dc7"),
    )
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", None, (endpoint,), nodes))
    snapshot = load(registry)
    assert not snapshot.warnings
    for got, given in zip(snapshot, nodes):
        assert got.version == "1.0"
        assert list(got.endpoints) == [endpoint]
        for name in ("id", "address", "port", "status", "weights", "tags", "datacenter"):
            assert getattr(got, name) == getattr(given, name), name
        for name in ("metadata", "meta", "node_meta"):
            assert dict(getattr(got, name)) == dict(getattr(given, name)), name
    assert [n.node_name for n in snapshot] == ["memory"] * 3 + ["rack"]


def test_the_body_is_written_as_go_writes_it() -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=(node(1, metadata={"a": "<b>"}),)))
    with registry.fetch("greeter") as answer:
        body = b"".join(answer.chunks())
    # The tag is Go's JSON (< as an escape); in the body's JSON its backslash is escaped once more.
    assert rb'"t={\"a\":\"\\u003cb\\u003e\"}","v=1.0"' in body
    assert json.loads(body)[0]["Service"]["Tags"] == ['t={"a":"\\u003cb\\u003e"}', "v=1.0"]


def test_registering_and_deregistering() -> None:
    registry = MemoryRegistry()
    assert registry.services() == []
    assert ids(registry) == []
    registry.register(Service("greeter", "1.0", nodes=(node(1), node(2))))
    registry.register(Service("greeter", "2.0", nodes=(node(2), node(3))))
    assert ids(registry) == ["greeter-1", "greeter-2", "greeter-3"]
    assert [n.version for n in load(registry)] == ["1.0", "2.0", "2.0"]
    registry.deregister("greeter-2")
    assert ids(registry) == ["greeter-1", "greeter-3"]
    registry.deregister(Service("greeter", nodes=(node(1),)))
    registry.deregister("nobody")
    assert ids(registry) == ["greeter-3"]
    assert registry.services() == ["greeter"]
    registry.deregister("greeter-3")
    assert registry.services() == []


def test_a_raw_body_takes_the_place_of_what_was_registered() -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", nodes=(node(1),)))
    registry.put("greeter", b"[ ]")
    with registry.fetch("greeter") as answer:
        assert b"".join(answer.chunks()) == b"[ ]"
    assert registry.services() == ["greeter"]
    registry.register(Service("greeter", nodes=(node(2),)))
    assert ids(registry) == ["greeter-2"]


@pytest.mark.parametrize("body", ["text", 5, None, [1]])
def test_a_body_that_is_none_changes_nothing(body: Any) -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", nodes=(node(1),)))
    index = load(registry).index
    with pytest.raises(TypeError, match=f"a body is bytes, not {type(body).__name__}"):
        registry.put("greeter", body)
    assert (ids(registry), load(registry).index) == (["greeter-1"], index)


def test_nothing_that_goes_is_no_change() -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", nodes=(node(1),)))
    index = load(registry).index
    for unknown in ("nobody", Service("greeter", nodes=(node(2),)), Service("other", nodes=(node(1),))):
        registry.deregister(unknown)
        assert load(registry).index == index


def test_the_index_grows_with_every_change() -> None:
    registry = MemoryRegistry()
    seen = [load(registry).index]
    for change in (
        lambda: registry.register(Service("greeter", nodes=(node(1),))),
        lambda: registry.deregister("greeter-1"),
        lambda: registry.put("other", b"[]"),
    ):
        change()
        seen.append(load(registry).index)
    assert seen == sorted(set(seen)) and seen[0] >= 1


def test_a_large_body_comes_in_chunks() -> None:
    registry = MemoryRegistry()
    registry.put("greeter", b"[" + b" " * 200_000 + b"]")
    with registry.fetch("greeter") as answer:
        sizes = [len(chunk) for chunk in answer.chunks()]
    assert len(sizes) > 1 and sum(sizes) == 200_002


def test_a_blocking_fetch_wakes_with_the_change() -> None:
    registry = MemoryRegistry()
    index = load(registry).index
    waiting = Threads(3, lambda _: registry.fetch("greeter", index=index, wait=60).index)
    registry.register(Service("greeter", nodes=(node(1),)))
    assert waiting.join() == [index + 1] * 3


def test_a_blocking_fetch_ends_with_its_wait_and_with_close() -> None:
    registry = MemoryRegistry()
    index = load(registry).index
    assert registry.fetch("greeter", index=index, wait=0.001).index == index

    def closed(_: int) -> None:
        with pytest.raises(Unavailable, match="closed"):
            registry.fetch("greeter", index=index, wait=60)

    waiting = Threads(2, closed)
    registry.close()
    waiting.join()


def test_many_threads() -> None:
    registry = MemoryRegistry()

    def work(number: int) -> None:
        for _ in range(50):
            registry.register(Service("greeter", nodes=(node(number),)))
            assert f"greeter-{number}" in ids(registry)
            registry.deregister(f"greeter-{number}")

    together(8, work)
    assert ids(registry) == []
    assert load(registry).index == 1 + 8 * 50 * 2


def test_what_cannot_be_registered() -> None:
    registry = MemoryRegistry()
    for service in (Service(""), Service("greeter", nodes=(Node(""),)), Service("\ud800")):
        with pytest.raises(ValueError):
            registry.register(service)
    assert registry.services() == []


@pytest.mark.parametrize("make", [MemoryRegistry, ConsulRegistry])
def test_an_id_that_is_none_is_said_to_be_one(make: Any) -> None:
    with pytest.raises(ValueError, match="^a node's ID may not be empty$"):
        make().deregister("")
    with pytest.raises(ValueError, match=r"^nodes\[1\]\.id may not be empty$"):
        make().deregister(Service("greeter", nodes=(node(1), Node(""))))


@pytest.mark.parametrize("make", [MemoryRegistry, ConsulRegistry])
def test_other_types_are_said(make: Any) -> None:
    registry = make()
    with pytest.raises(TypeError, match="a regcache.Service or a node's ID, a str, is wanted, not int"):
        registry.deregister(5)
    with pytest.raises(TypeError, match="a regcache.Service is wanted, not str"):
        registry.register("greeter")
    with pytest.raises(TypeError, match="ttl must be a number of seconds, not str"):
        registry.register(Service("greeter", nodes=(node(1),)), ttl="30s")
    with pytest.raises(TypeError, match="deregister_after must be a number of seconds, not str"):
        registry.register(Service("greeter", nodes=(node(1),)), deregister_after="2m")
    with pytest.raises(TypeError, match="tags must be an iterable of str, not str"):
        registry.register(Service("greeter", nodes=(node(1),)), tags="eu")
