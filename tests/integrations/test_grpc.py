"""grpc with a real server for each node."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Iterator, List, Tuple

import pytest

import regcache
from regcache import Cache, Feedback, Node, NotFound, Selector
from tests.eventually import eventually
from tests.integrations.grpc_servers import Gate, Nodes, Stub, failing, grpc
from tests.integrations.servers import closed_port
from tests.integrations.test_httpx import failures, in_flight
from tests.integrations.tls import papers
from tests.together import HANG, together

from regcache.integrations.grpc import Channel  # isort: skip

Code = grpc.StatusCode
FEEDBACK = Feedback()


@pytest.fixture
def nodes() -> "Iterator[Nodes]":
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture
def cache(nodes: Nodes) -> "Iterator[Cache]":
    with Cache(nodes.registry) as made:
        yield made


def watched(
    cache: Cache, strategy: str = "round_robin", feedback: Any = FEEDBACK, **options: Any
) -> "Tuple[Selector, Channel]":
    selector = cache.selector("greeter", strategy, feedback=feedback)
    return selector, Channel(selector, **options)


def idle(selector: Selector) -> None:
    """Ends of streams are told on a thread of grpc, after the caller has them."""
    eventually(lambda: not in_flight(selector))


def test_each_call_finds_a_node(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)
    with Channel(cache, "greeter", strategy="round_robin") as channel:
        stub = Stub(channel)
        assert Counter(stub.Hello("hi", timeout=HANG) for _ in range(4)) == {server.name: 2 for server in servers}
        assert len(channel.links) == 2
    assert [len(server.peers) for server in servers] == [1, 1], "calls to one node use one connection"


def test_all_kinds_of_calls(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, channel = watched(cache)
    with channel:
        stub = Stub(channel)
        assert stub.Hello.with_call("hi", timeout=HANG)[0] == server.name
        assert stub.Hello.future("hi", timeout=HANG).result(HANG) == server.name
        assert list(stub.Many("hi", timeout=HANG)) == [server.name] * 2
        assert stub.All(iter("abc"), timeout=HANG) == server.name
        assert stub.All.with_call(iter("abc"), timeout=HANG)[1].code() is Code.OK
        assert stub.All.future(iter("abc"), timeout=HANG).result(HANG) == server.name
        assert list(stub.Chat(iter("abc"), timeout=HANG)) == [server.name] * 3
        idle(selector)
    assert server.calls == [b"hi"] * 4 + [b"abc"] * 3 + [b"a", b"b", b"c"]
    assert failures(selector) == [0] and selector.status().peers[0].latency is not None


def test_stubs_of_protobuf(nodes: Nodes, cache: Cache) -> None:
    pytest.importorskip("grpc_health.v1")
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    (server,) = nodes.start(1)
    server.server.stop(None).wait()
    from concurrent import futures

    healthy = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), healthy)
    port = healthy.add_insecure_port("127.0.0.1:0")
    healthy.start()
    nodes.register(Node("health-1", "127.0.0.1", port), service="Health/Check")
    with Channel(cache, "Health/Check") as channel:
        stub = health_pb2_grpc.HealthStub(grpc.intercept_channel(channel))
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=HANG).status == 1
    healthy.stop(None).wait()


def test_metadata_and_authority(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda request, context: dict(context.invocation_metadata())["who"].encode()
    with Channel(cache, "greeter") as channel:
        assert Stub(channel).Hello("hi", timeout=HANG, metadata=[("who", "me")]) == "me"
        assert channel.rules.arguments(server.node) == [("grpc.default_authority", "greeter")]


def test_where_nodes_are(nodes: Nodes, cache: Cache) -> None:
    with Channel(cache, "größe", server_hostname=lambda node: node.id, arguments=[("a", 1)]) as channel:
        assert channel.rules.target(Node("1", "10.0.0.1", 80)) == "dns:///10.0.0.1:80"
        assert channel.rules.target(Node("1", "::1", 80)) == "dns:///[::1]:80"
        assert channel.rules.target(Node("1", "10.0.0.1", 0)) == "dns:///10.0.0.1"
        assert channel.rules.arguments(Node("1", "", 0)) == [("a", 1), ("grpc.ssl_target_name_override", "1")]


@pytest.mark.parametrize(
    "option, name", [(None, "greeter"), ("other.test", "other.test"), (lambda node: node.id, "greeter-1")]
)
def test_certificates_are_those_of_the_service(nodes: Nodes, cache: Cache, option: Any, name: str) -> None:
    authority, _, certificate = papers(name)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (server,) = nodes.start(1, grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)]))
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with Channel(cache, "greeter", credentials=credentials, server_hostname=option) as channel:
        assert Stub(channel).Hello("hi", timeout=HANG) == server.name
    with Channel(cache, "greeter", credentials=credentials, server_hostname="wrong.test") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            Stub(channel).Hello("hi", timeout=HANG)
        assert raised.value.code() is Code.UNAVAILABLE


def test_nodes_that_speak_something_else(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("http", "127.0.0.1", closed_port(), metadata={"protocol": "http"}))
    with Channel(cache, "greeter", strategy="round_robin") as channel:
        assert {Stub(channel).Hello("hi", timeout=HANG) for _ in range(4)} == {server.name}


# -- errors ----------------------------------------------------------------------------------------------------------


def test_no_such_service(nodes: Nodes, cache: Cache) -> None:
    with Channel(cache, "greeter") as channel:
        stub = Stub(channel)

        def stream() -> None:
            for _ in stub.Many("hi"):
                pass

        for call in (
            lambda: stub.Hello("hi"),
            lambda: stub.Hello.future("hi").result(),
            lambda: stub.All(iter("a")),
            stream,
        ):
            with pytest.raises(grpc.RpcError, match="greeter") as raised:
                call()
            assert raised.value.code() is Code.UNAVAILABLE
            assert isinstance(raised.value.__cause__, NotFound)
            assert raised.value.details() == str(raised.value.__cause__)
        failed = stub.Hello.future("hi")
        assert failed.done() and failed.exception() is failed and not failed.cancel()
        lengths = set()
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as raised:
                failed.result()
            lengths.add(len(raised.traceback))
        assert len(lengths) == 1, "nobody finds the tracebacks of others in his"


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
    with Cache(registry) as cache, Channel(cache, "greeter") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            Stub(channel).Hello("hi", timeout=0.05)
        assert raised.value.code() is Code.DEADLINE_EXCEEDED
        assert isinstance(raised.value.__cause__, regcache.Timeout)
        answer.set()


def test_a_timeout_that_is_over_says_nothing_about_the_node(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, channel = watched(cache)
    with channel:
        Stub(channel).Hello("hi", timeout=HANG)
        for timeout in (0, -1.0):
            with pytest.raises(grpc.RpcError) as raised:
                Stub(channel).Hello("hi", timeout=timeout)
            assert raised.value.code() is Code.DEADLINE_EXCEEDED
    assert failures(selector) == [0] and in_flight(selector) == 0 and len(server.calls) == 1


# -- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, failed",
    [
        ("UNAVAILABLE", 1),
        ("INTERNAL", 1),
        ("INVALID_ARGUMENT", 0),
        ("NOT_FOUND", 0),
        ("UNKNOWN", 0),
        ("RESOURCE_EXHAUSTED", 0),
    ],
)
def test_outcomes(nodes: Nodes, cache: Cache, code: str, failed: int) -> None:
    (server,) = nodes.start(1)
    server.behave = failing(Code[code])
    selector, channel = watched(cache)
    with channel:
        stub = Stub(channel)

        def calls() -> "Iterator[Any]":
            yield lambda: stub.Hello("hi", timeout=HANG)
            yield lambda: stub.Hello.future("hi", timeout=HANG).result(HANG)
            yield lambda: list(stub.Many("hi", timeout=HANG))
            yield lambda: list(stub.Chat(iter("ab"), timeout=HANG))

        for count, call in enumerate(calls(), 1):
            with pytest.raises(grpc.RpcError) as raised:
                call()
            assert raised.value.code() is Code[code]
            idle(selector)
            assert failures(selector) == [count * failed]


def test_a_failing_node_is_ejected(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = failing(Code.UNAVAILABLE)
    events: "List[Any]" = []
    with Channel(cache, "greeter", strategy="round_robin", on_event=events.append) as channel:
        stub, failed = Stub(channel), 0
        for _ in range(10):
            try:
                stub.Hello("hi", timeout=HANG)
            except grpc.RpcError:
                failed += 1
        assert failed == 5 and [event.kind for event in events] == ["ejected"]
        assert {stub.Hello("hi", timeout=HANG) for _ in range(10)} == {good.name}


def test_a_node_that_is_down(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.stop()
    selector, channel = watched(cache)
    with channel, pytest.raises(grpc.RpcError) as raised:
        Stub(channel).Hello("hi", timeout=HANG)
    assert raised.value.code() is Code.UNAVAILABLE and failures(selector) == [1]


def test_a_deadline_is_the_node_s_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = Gate()
    selector, channel = watched(cache)
    with channel:
        cache.get("greeter")
        with pytest.raises(grpc.RpcError) as raised:
            Stub(channel).Hello("hi", timeout=0.1)
        assert raised.value.code() is Code.DEADLINE_EXCEEDED
    assert failures(selector) == [1] and in_flight(selector) == 0


def test_cancelled_calls_say_nothing(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, channel = watched(cache)
    with channel:
        for name in ("Many", "Hello"):
            server.behave = gate = Gate()
            method = getattr(Stub(channel), name)
            call = method.future("hi") if name == "Hello" else method("hi")
            assert gate.entered.wait(HANG) and in_flight(selector) == 1
            call.cancel()
            idle(selector)
        server.behave = gate = Gate()
        forgotten = Stub(channel).Many("hi")
        assert gate.entered.wait(HANG)
        del forgotten
        idle(selector)
    assert failures(selector) == [0] and selector.status().peers[0].latency is None


def test_serializers_are_the_caller_s(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    selector, channel = watched(cache)
    with channel:
        for call in (Stub(channel).Hello, Stub(channel).Hello.future):
            with pytest.raises(Exception):  # noqa: B017 (grpc's own choice)
                call(3, timeout=HANG)
    assert failures(selector) == [0] and in_flight(selector) == 0


def test_in_flight_until_a_stream_ends(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    more = threading.Event()

    def requests() -> "Iterator[str]":
        yield "a"
        more.wait(HANG)
        yield "b"

    selector, channel = watched(cache)
    with channel:
        chat = Stub(channel).Chat(requests(), timeout=HANG)
        assert next(chat) and in_flight(selector) == 1
        more.set()
        assert len(list(chat)) == 1
        idle(selector)


# -- retries ---------------------------------------------------------------------------------------------------------


def test_what_may_be_repeated_is_tried_elsewhere(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = failing(Code.UNAVAILABLE)
    for idempotent in (True, ["/greeter.Say/Hello"]):
        selector, channel = watched(cache, tries=2, idempotent=idempotent, feedback=None)
        with channel:
            assert {Stub(channel).Hello("hi", timeout=HANG) for _ in range(4)} == {good.name}
            with pytest.raises(grpc.RpcError):
                for _ in range(2):
                    list(Stub(channel).Many("hi", timeout=HANG))
            idle(selector)
    assert bad.calls


def test_what_may_not(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)
    for code, idempotent in ((Code.UNAVAILABLE, ["/greeter.Say/Other"]), (Code.INTERNAL, True)):
        for server in servers:
            server.behave = failing(code)
            server.calls.clear()
        with Channel(cache, "greeter", tries=3, idempotent=idempotent) as channel:
            with pytest.raises(grpc.RpcError):
                Stub(channel).Hello("hi", timeout=HANG)
        assert sum(len(server.calls) for server in servers) == 1


def test_wrong_arguments(cache: Cache) -> None:
    for error, options in (
        (ValueError, {"tries": 0}),
        (ValueError, {"tries": 2}),
        (TypeError, {"tries": 2, "idempotent": "/greeter.Say/Hello"}),
    ):
        with pytest.raises(error):
            Channel(cache, "greeter", **options)
    with pytest.raises(TypeError, match="one service"):
        Channel(cache)
    with pytest.raises(TypeError, match="strategy"):
        Channel(cache.selector("greeter"), strategy="random")


def test_consistent_hashing(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    with Channel(cache, "greeter", strategy="hash", key=lambda request, metadata: request or "stream") as channel:
        stub = Stub(channel)
        for user in "abcd":
            assert len({stub.Hello(user, timeout=HANG) for _ in range(4)}) == 1
        assert len({stub.All(iter(user), timeout=HANG) for user in "abcd"}) == 1


# -- nodes come and go, and the end ----------------------------------------------------------------------------------


def test_calls_to_a_node_that_is_gone_come_to_their_end(nodes: Nodes, cache: Cache) -> None:
    (gone,) = nodes.start(1)
    gone.behave = gate = Gate(gone.name)
    with Channel(cache, "greeter", grace=0.0) as channel:
        stub = Stub(channel)
        call = stub.Hello.future("hi", timeout=HANG)
        assert gate.entered.wait(HANG)
        (stays,) = nodes.start(1)
        nodes.remove(gone)
        eventually(lambda: [node.id for node in cache.get("greeter")] == [stays.name])
        assert {stub.Hello("hi", timeout=HANG) for _ in range(4)} == {stays.name}
        assert len(channel.links) == 2
        gate.open.set()
        assert call.result(HANG) == gone.name
        eventually(lambda: len(channel.links) == 1)


def test_a_node_that_comes_back_finds_its_connection(nodes: Nodes, cache: Cache) -> None:
    first, second = nodes.start(2)
    with Channel(cache, "greeter", strategy="round_robin", grace=HANG) as channel:
        stub = Stub(channel)
        for _ in range(4):
            stub.Hello("hi", timeout=HANG)
        nodes.remove(first)
        eventually(lambda: {stub.Hello("hi", timeout=HANG) for _ in range(4)} == {second.name})
        nodes.register(first.node)
        eventually(lambda: len({stub.Hello("hi", timeout=HANG) for _ in range(4)}) == 2)
    assert len(first.peers) == 1


def test_many_threads(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector, channel = watched(cache, "p2c")
    with channel:
        stub = Stub(channel)
        together(8, lambda number: [stub.Hello("hi", timeout=HANG) for _ in range(20)])
    assert in_flight(selector) == 0


def test_ready_is_who_has_nodes(nodes: Nodes, cache: Cache) -> None:
    channel = Channel(cache, "greeter")
    states: "List[Any]" = []
    channel.subscribe(states.append, try_to_connect=True)
    assert states[0] is grpc.ChannelConnectivity.IDLE
    eventually(lambda: states[-1] is grpc.ChannelConnectivity.TRANSIENT_FAILURE)
    ready = grpc.channel_ready_future(channel)
    nodes.start(1)
    ready.result(HANG)
    channel.close()
    assert states[-1] is grpc.ChannelConnectivity.SHUTDOWN
    channel.unsubscribe(states.append)
    assert not channel._subscribed


def test_a_subscriber_that_raises_silences_nobody(nodes: Nodes, cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    def broken(state: Any) -> None:
        raise ZeroDivisionError("a mistake of its own")

    nodes.start(1)
    with Channel(cache, "greeter") as channel:
        states: "List[Any]" = []
        channel.subscribe(broken)
        channel.subscribe(states.append)
        cache.get("greeter", HANG)
        eventually(lambda: states[-1] is grpc.ChannelConnectivity.READY)
    assert states[-1] is grpc.ChannelConnectivity.SHUTDOWN
    assert "a mistake of its own" in caplog.text


def test_closing(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    channel = Channel(cache, "greeter")
    stub = Stub(channel)
    stub.Hello("hi", timeout=HANG)
    channel.close()
    with pytest.raises(grpc.RpcError, match="closed"):
        stub.Hello("hi", timeout=HANG)
    assert cache.get("greeter").nodes and not len(channel.links)
    # A selector that was handed over stays open; the channel is closed all the same.
    channel = Channel(cache.selector("greeter"))
    channel.close()
    with pytest.raises(grpc.RpcError, match="closed"):
        Stub(channel).Hello("hi", timeout=HANG)
    assert not len(channel.links)
