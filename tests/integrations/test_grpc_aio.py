"""grpc.aio with a real server for each node. What both channels share is tested with the other one."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import Counter
from contextlib import suppress
from typing import Any, AsyncIterator, Callable, Coroutine, Iterator, List, Tuple

import pytest

import regcache
from regcache import Cache, NotFound
from tests.integrations.grpc_servers import Gate, Nodes, Stub, failing, grpc
from tests.integrations.test_httpx import failures, in_flight
from tests.integrations.tls import papers
from tests.together import HANG

from regcache.integrations.grpc.aio import Channel  # isort: skip

Code = grpc.StatusCode


@pytest.fixture
def nodes() -> "Iterator[Nodes]":
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture
def cache(nodes: Nodes) -> "Iterator[Cache]":
    with Cache(nodes.registry) as made:
        yield made


def run(work: "Callable[[], Coroutine[Any, Any, None]]") -> None:
    async def main() -> None:
        await asyncio.wait_for(work(), HANG)

    asyncio.run(main())


async def until(condition: "Callable[[], object]") -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def several(*messages: str) -> "AsyncIterator[str]":
    for message in messages:
        yield message


def test_each_call_finds_a_node(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)

    async def work() -> None:
        async with Channel(cache, "greeter", strategy="round_robin") as channel:
            stub = Stub(channel)
            answers = Counter([await stub.Hello("hi", timeout=HANG) for _ in range(4)])
            assert answers == {server.name: 2 for server in servers}

    run(work)
    assert [len(server.peers) for server in servers] == [1, 1], "calls to one node use one connection"


def test_all_kinds_of_calls(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Channel(selector) as channel:
            stub = Stub(channel)
            call = stub.Hello("hi", timeout=HANG, metadata=(("who", "me"),))
            assert await call == server.name and await call.code() is Code.OK
            assert [answer async for answer in stub.Many("hi", timeout=HANG)] == [server.name] * 2
            many = stub.Many("hi", timeout=HANG)
            assert await many.read() == server.name
            assert in_flight(selector) == 1
            assert await many.read() == server.name and await many.read() == grpc.aio.EOF
            assert await stub.All(several("a", "b"), timeout=HANG) == server.name
            call = stub.All(timeout=HANG)
            await call.write("a")
            await call.done_writing()
            assert await call == server.name
            assert [answer async for answer in stub.Chat(several("a", "b"), timeout=HANG)] == [server.name] * 2
            chat = stub.Chat(timeout=HANG)
            await chat.write("a")
            assert await chat.read() == server.name
            await chat.done_writing()
            assert await chat.read() == grpc.aio.EOF
            await until(lambda: not in_flight(selector))

    run(work)
    assert failures(selector) == [0] and selector.status().peers[0].latency is not None


def test_nothing_is_remembered_of_stubs_that_are_gone(nodes: Nodes, cache: Cache) -> None:
    """A stub may bring functions of its own, and be gone before its call is awaited."""
    (server,) = nodes.start(1)

    async def work() -> None:
        async with Channel(cache, "greeter") as channel:

            def begun() -> "Tuple[Any, Any]":
                def serialize(message: str) -> bytes:
                    return message.encode()

                call = channel.unary_unary("/greeter.Say/Hello", serialize, bytes.decode)("hi", timeout=HANG)
                return call, weakref.ref(serialize)

            call, serializer = begun()
            assert await call == server.name
            del call
            gc.collect()
            assert serializer() is None

    run(work)


def test_certificates_are_those_of_the_service(nodes: Nodes, cache: Cache) -> None:
    authority, _, certificate = papers("greeter")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (server,) = nodes.start(1, grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)]))
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())

    async def work() -> None:
        async with Channel(cache, "greeter", credentials=credentials) as channel:
            assert await Stub(channel).Hello("hi", timeout=HANG) == server.name

    run(work)


def test_no_such_service(nodes: Nodes, cache: Cache) -> None:
    async def work() -> None:
        async with Channel(cache, "greeter") as channel:
            stub = Stub(channel)

            async def stream() -> None:
                async for _ in stub.Many("hi"):
                    pass

            async def one() -> None:
                await stub.Hello("hi")

            for call in (one, stream):
                with pytest.raises(grpc.aio.AioRpcError, match="greeter") as raised:
                    await call()
                assert raised.value.code() is Code.UNAVAILABLE
                assert isinstance(raised.value.__cause__, NotFound)
                assert raised.value.details() == str(raised.value.__cause__)

    run(work)


def test_finding_counts_in_the_timeout() -> None:
    class Silent:
        blocking = False
        timeout = HANG

        def fetch(self, service: str, **options: Any) -> Any:
            answer.wait(HANG)
            raise NotFound("too late")

        def close(self) -> None: ...

    answer = threading.Event()
    registry: Any = Silent()

    async def work() -> None:
        async with Channel(cache, "greeter") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await Stub(channel).Hello("hi", timeout=0.05)
            assert raised.value.code() is Code.DEADLINE_EXCEEDED
            assert isinstance(raised.value.__cause__, regcache.Timeout)

    with Cache(registry) as cache:
        run(work)
        answer.set()


@pytest.mark.parametrize("code, failed", [("UNAVAILABLE", 1), ("INTERNAL", 1), ("NOT_FOUND", 0), ("UNKNOWN", 0)])
def test_outcomes(nodes: Nodes, cache: Cache, code: str, failed: int) -> None:
    (server,) = nodes.start(1)
    server.behave = failing(Code[code])
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Channel(selector) as channel:
            stub = Stub(channel)

            async def one() -> None:
                await stub.Hello("hi", timeout=HANG)

            async def stream() -> None:
                async for _ in stub.Many("hi", timeout=HANG):
                    pass

            for count, call in enumerate((one, stream), 1):
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call()
                assert raised.value.code() is Code[code]
                await until(lambda: not in_flight(selector))
                assert failures(selector) == [count * failed]

    run(work)


def test_a_failing_node_is_ejected(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = failing(Code.UNAVAILABLE)
    events: "List[Any]" = []

    async def work() -> None:
        async with Channel(cache, "greeter", strategy="round_robin", on_event=events.append) as channel:
            stub, failed = Stub(channel), 0
            for _ in range(10):
                try:
                    await stub.Hello("hi", timeout=HANG)
                except grpc.RpcError:
                    failed += 1
            assert failed == 5 and [event.kind for event in events] == ["ejected"]
            assert {await stub.Hello("hi", timeout=HANG) for _ in range(10)} == {good.name}

    run(work)


def test_a_deadline_is_the_node_s_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = Gate()
    selector = cache.selector("greeter")

    async def work() -> None:
        cache.get("greeter")
        async with Channel(selector) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await Stub(channel).Hello("hi", timeout=0.1)
            assert raised.value.code() is Code.DEADLINE_EXCEEDED

    run(work)
    assert failures(selector) == [1] and in_flight(selector) == 0


@pytest.mark.parametrize("name", ["Hello", "Many"])
@pytest.mark.parametrize("tries", [1, 2])
def test_cancelled_tasks_say_nothing(nodes: Nodes, cache: Cache, name: str, tries: int) -> None:
    (server,) = nodes.start(1)
    server.behave = gate = Gate()
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Channel(selector, tries=tries, idempotent=True) as channel:

            async def call() -> None:
                if name == "Hello":
                    await Stub(channel).Hello("hi", timeout=HANG)
                else:
                    async for _ in Stub(channel).Many("hi", timeout=HANG):
                        pass

            task = asyncio.ensure_future(call())
            await until(gate.entered.is_set)
            assert in_flight(selector) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not in_flight(selector))

    run(work)
    assert failures(selector) == [0] and selector.status().peers[0].latency is None


def test_serializers_are_the_caller_s(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Channel(selector) as channel:
            with suppress(Exception):  # grpc.aio logs it, and sends nothing
                await Stub(channel).Hello(3, timeout=HANG)
            await until(lambda: not in_flight(selector))

    run(work)
    assert failures(selector) == [0]


def test_what_may_be_repeated_is_tried_elsewhere(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = failing(Code.UNAVAILABLE)
    selector = cache.selector("greeter", "round_robin", feedback=None)

    async def work() -> None:
        async with Channel(selector, tries=2, idempotent=True) as channel:
            stub = Stub(channel)
            assert {await stub.Hello("hi", timeout=HANG) for _ in range(4)} == {good.name}
            good.behave = failing(Code.UNAVAILABLE)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.Hello("hi", timeout=HANG)
            assert raised.value.code() is Code.UNAVAILABLE

    run(work)
    assert bad.calls and in_flight(selector) == 0


def test_calls_to_a_node_that_is_gone_come_to_their_end(nodes: Nodes, cache: Cache) -> None:
    (gone,) = nodes.start(1)
    gone.behave = gate = Gate(gone.name)

    async def work() -> None:
        async with Channel(cache, "greeter", grace=0.0) as channel:
            stub = Stub(channel)
            call = asyncio.ensure_future(_awaited(stub.Hello("hi", timeout=HANG)))
            await until(gate.entered.is_set)
            (stays,) = nodes.start(1)
            nodes.remove(gone)
            await until(lambda: [node.id for node in cache.get("greeter")] == [stays.name])
            assert {await stub.Hello("hi", timeout=HANG) for _ in range(4)} == {stays.name}
            assert len(channel.links) == 2
            gate.open.set()
            assert await call == gone.name
            await until(lambda: len(channel.links) == 1)

    run(work)


async def _awaited(call: Any) -> Any:
    return await call


def test_a_node_that_comes_back_finds_its_connection(nodes: Nodes, cache: Cache) -> None:
    first, second = nodes.start(2)

    async def work() -> None:
        async with Channel(cache, "greeter", strategy="round_robin", grace=HANG) as channel:
            stub = Stub(channel)
            for _ in range(4):
                await stub.Hello("hi", timeout=HANG)
            nodes.remove(first)
            while {await stub.Hello("hi", timeout=HANG) for _ in range(4)} != {second.name}:
                pass
            nodes.register(first.node)
            while len({await stub.Hello("hi", timeout=HANG) for _ in range(4)}) != 2:
                pass

    run(work)
    assert len(first.peers) == 1


def test_many_tasks(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Channel(selector) as channel:
            stub = Stub(channel)
            await asyncio.gather(*(_awaited(stub.Hello("hi", timeout=HANG)) for _ in range(50)))

    run(work)
    assert in_flight(selector) == 0


def test_ready_is_who_has_nodes(nodes: Nodes, cache: Cache) -> None:
    async def work() -> None:
        channel = Channel(cache, "greeter")
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE
        ready = asyncio.ensure_future(channel.channel_ready())
        await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
        assert channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE
        nodes.start(1)
        await ready
        await channel.close()
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
        with pytest.raises(grpc.aio.UsageError):
            await channel.channel_ready()

    run(work)


def test_a_timeout_that_is_over(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)

    async def work() -> None:
        async with Channel(cache, "greeter") as channel:
            await Stub(channel).Hello("hi", timeout=HANG)
            for timeout in (0, -1.0):
                with pytest.raises(grpc.RpcError) as raised:
                    await Stub(channel).Hello("hi", timeout=timeout)
                assert raised.value.code() is Code.DEADLINE_EXCEEDED

    run(work)
