"""Registrations without an agent: what is refused, what the client is asked, and the thread that keeps them."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from regcache import AccessDenied, Node, RequestError, ServerError, Service, Unavailable, Weights
from regcache.registry import ConsulRegistry, MemoryRegistry, Registration
from regcache.registry.agent import AgentNodes
from regcache.registry.definition import define
from tests.faulty import FaultyServer, response
from tests.together import HANG, Threads

consul = pytest.importorskip("consul", reason="the extra consul is not installed")

NODE = Node("greeter-1", "10.0.0.1", 8080)


def service(*nodes: Node, **more: Any) -> Service:
    return Service(more.pop("name", "greeter"), more.pop("version", "1.0"), nodes=nodes or (NODE,), **more)


def node(id: str = "greeter-1", address: str = "10.0.0.1", port: int = 8080, **more: Any) -> Node:
    return Node(id, address, port, **more)


def defined(given: Service, **more: Any) -> Any:
    return define(given, **{"ttl": 30.0, "deregister_after": None, "form": "both", "tags": (), **more})


# -- what is refused -------------------------------------------------------------------------------------------------

REFUSED: List[Tuple[Service, Dict[str, Any], str]] = [
    (service(name=""), {}, "name may not be empty"),
    (service(name="\ud800"), {}, "name .* lone surrogate"),
    (service(name="a\nb"), {}, "name 'a.nb' has characters"),
    (service(name="a/../b"), {}, "name .* redirect"),
    (service(version="\ud800"), {}, "version .* lone surrogate"),
    (Service("greeter"), {}, "nodes is empty"),
    (
        service(
            node(""),
        ),
        {},
        r"nodes\[0\].id may not be empty",
    ),
    (service(NODE, node("..")), {}, r"nodes\[1\].id '..' is a path"),
    (service(NODE, NODE), {}, r"nodes\[1\].id 'greeter-1' is there twice"),
    (service(node(address="0.0.0.0")), {}, r"nodes\[0\].address '0.0.0.0' is no address"),
    *(
        (service(node(address=address)), {}, r"nodes\[0\].address .* is no host name or IP address; the port goes into")
        for address in (
            "10.0.0.1 ",
            "a b",
            "a\nb",
            "http://x",
            "10.0.0.1:80",
            "host:80",
            "[::1]:80",
            "[::1",
            "[host]",
            "u@h",
            "a%20b",
        )
    ),
    (service(node(port=-1)), {}, r"nodes\[0\].port must be 0 to 65535, not -1"),
    (service(node(port=65536)), {}, r"nodes\[0\].port must be 0 to 65535, not 65536"),
    (service(node(meta={"a.b": ""})), {}, r"the key 'a.b' of nodes\[0\].meta must be of"),
    (service(node(meta={"": ""})), {}, r"the key '' of nodes\[0\].meta must be of"),
    (service(node(meta={"consul-a": ""})), {}, r"the key 'consul-a' of nodes\[0\].meta: Consul keeps"),
    (service(node(meta={"k" * 129: ""})), {}, r"of nodes\[0\].meta has 129 bytes"),
    (service(node(meta={"k": "\u00fc" * 257})), {}, r"nodes\[0\].meta\['k'\] has 514 bytes"),
    (service(node(meta={f"k{i}": "" for i in range(65)})), {}, r"nodes\[0\].meta has 65 pairs"),
    (service(node(metadata={"k": "\ud800"})), {}, r"nodes\[0\].metadata\['k'\] .* lone surrogate"),
    (service(node(metadata={"k": "x" * 2**20})), {}, r"nodes\[0\]: what its tags say is more than readers take"),
    (service(node(tags=("t-1234",))), {}, "begins with 't-'"),
    (service(node(weights=Weights(0, 1))), {}, r"nodes\[0\].weights.passing must be 1 to 65535, not 0"),
    (service(node(weights=Weights(1, -1))), {}, r"nodes\[0\].weights.warning must be 0 to 65535, not -1"),
    (service(), {"ttl": 0.5}, "ttl must be from 1 to 1,000,000,000 s, not 0.5"),
    (service(), {"ttl": float("nan")}, "ttl must be from 1 to 1,000,000,000 s, not nan"),
    (service(), {"deregister_after": 59.0}, "deregister_after must be from 60 "),
    (service(), {"ttl": None, "deregister_after": 60.0}, "deregister_after needs a ttl"),
    (service(), {"form": "xml"}, "form must be one of both, go-micro, compact, not"),
    (service(), {"tags": ["e-12"]}, "begins with 'e-'"),
]


@pytest.mark.parametrize("given, more, message", REFUSED)
def test_what_is_refused_names_the_member(given: Service, more: Dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        defined(given, **more)


@pytest.mark.parametrize("given, more, message", REFUSED)
def test_what_consul_refuses_is_refused_in_memory_too(given: Service, more: Dict[str, Any], message: str) -> None:
    """What passes with this one in tests is not to raise where it counts."""
    registry = MemoryRegistry()
    with pytest.raises(ValueError, match=message):
        registry.register(given, **more)
    assert registry.services() == []


@pytest.mark.parametrize("address", ["", "10.0.0.1", "::1", "[::1]", "fe80::1", "host.example", "a_b", "größe", "h"])
def test_addresses_that_can_be_called(address: str) -> None:
    (definition,) = defined(service(node(address=address)))
    assert definition.address == address


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="a regcache.Service is wanted, not str"):
        defined("greeter")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tags must be an iterable of str"):
        defined(service(), tags="eu")
    with pytest.raises(TypeError, match="name must be a str, not int"):
        defined(service(name=1))
    with pytest.raises(TypeError, match=r"nodes\[0\].metadata\['k'\] must be a str|metadata"):
        defined(service(node(metadata={"k": 1})))


def test_nothing_is_sent_when_one_of_many_is_refused() -> None:
    with FaultyServer(response(b"")) as server:
        with pytest.raises(ValueError):
            ConsulRegistry(server.url).register(service(NODE, node("two", port=-1)))
        assert not server.requests


@pytest.mark.parametrize(
    "given, ttl, after",
    [
        ({}, "30000ms", "65000ms"),
        ({"ttl": 90.0}, "90000ms", "95000ms"),
        ({"ttl": 1.5, "deregister_after": 60}, "1500ms", "60000ms"),
        ({"deregister_after": 0}, "30000ms", "0ms"),
    ],
)
def test_durations(given: Dict[str, Any], ttl: str, after: str) -> None:
    sent = requests_of(lambda nodes: nodes.put("greeter-1"), **given)
    body = sent[0][2]
    check = body["check"] if "check" in body else body["checks"][0]  # python-consul2's way, and py-consul's
    assert (check["TTL"], check["DeregisterCriticalServiceAfter"], check["Status"]) == (ttl, after, "passing")


# -- what the client is asked ------------------------------------------------------------------------------------------


def requests_of(work: Callable[[AgentNodes], None], given: Optional[Service] = None, **more: Any) -> List[Any]:
    """The method, path and body of each request that some work makes."""
    sent: List[Any] = []

    def send(method: str, path: str, body: Optional[bytes] = None, *, timeout: float) -> bytes:
        sent.append((method, path, json.loads(body) if body else None))
        return b""

    work(AgentNodes(send, defined(given or service(), **more), timeout=1.0))
    return sent


def test_a_node_as_it_is_sent() -> None:
    given = service(node(meta={"a": "b"}, weights=Weights(5, 2), tags=("eu",)))
    (put, passed) = requests_of(lambda nodes: nodes.put("greeter-1"), given, tags=["more"], form="go-micro")
    assert put[:2] == ("PUT", "/v1/agent/service/register")
    body = put[2]
    assert (body["name"], body["id"], body["address"], body["port"]) == ("greeter", "greeter-1", "10.0.0.1", 8080)
    assert (body["meta"], body["Weights"]) == ({"a": "b"}, {"Passing": 5, "Warning": 2})
    assert body["tags"] == ["v-789c33d433000001220090", "eu", "more"]
    assert passed[:2] == ("PUT", "/v1/agent/check/pass/service:greeter-1")


def test_ids_are_one_part_of_a_path() -> None:
    odd = "a/b?c%d ü"
    sent = requests_of(lambda nodes: (nodes.touch(odd), nodes.remove(odd)) and None, service(node(odd)))
    assert [path for _, path, _ in sent] == [
        "/v1/agent/check/pass/service:a%2Fb%3Fc%25d%20%C3%BC",
        "/v1/agent/service/deregister/a%2Fb%3Fc%25d%20%C3%BC",
    ]


def test_without_a_ttl_a_sign_of_life_is_another_registration() -> None:
    sent = requests_of(lambda nodes: nodes.touch("greeter-1"), ttl=None)
    assert [path for _, path, _ in sent] == ["/v1/agent/service/register"]
    assert not {"check", "checks"} & set(sent[0][2])


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "consul", None)
    with FaultyServer(response(b"")) as server:
        with pytest.raises(ImportError, match=r"pip install 'regcache\[consul\]'"):
            ConsulRegistry(server.url).register(service())
        assert not server.requests


def whole_request(connection: socket.socket, head: bytes) -> bytes:
    """What is left of a request after what was read with its head; the server would reset the connection otherwise."""
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    body = head.partition(b"\r\n\r\n")[2]
    while len(body) < length:
        body += connection.recv(65536)
    return body


def answering(answer: bytes) -> Callable[[socket.socket, bytes], None]:
    def script(connection: socket.socket, head: bytes) -> None:
        whole_request(connection, head)
        connection.sendall(answer)

    return script


def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-consul2 would let it override the address and the token, and requests would use the proxy."""
    for name in ("CONSUL_HTTP_ADDR", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "wrong")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    with FaultyServer(answering(response(b"", headers={"Connection": "close"}))) as server:
        ConsulRegistry(server.url, token="right").register(service())
        assert len(server.requests) == 2
        for request in server.requests:
            assert b"X-Consul-Token: right" in request and b"wrong" not in request


def test_a_redirect_does_not_get_the_token() -> None:
    with FaultyServer(response(b"")) as other:
        there = {"Location": other.url + "/v1/agent/service/register"}
        with FaultyServer(answering(response(b"", status="307 Temporary Redirect", headers=there))) as server:
            with pytest.raises(RequestError, match="redirects are not followed"):
                ConsulRegistry(server.url, token="hush").register(service())
        assert not other.requests


@pytest.mark.parametrize(
    "status, error",
    [("403 Forbidden", AccessDenied), ("400 Bad Request", RequestError), ("500 Internal Server Error", ServerError)],
)
def test_errors_are_ours(status: str, error: Any) -> None:
    with FaultyServer(answering(response(b"Because", status=status))) as server:
        with pytest.raises(error, match="Because"):
            ConsulRegistry(server.url).register(service())
        with pytest.raises(error, match="Because"):
            ConsulRegistry(server.url).deregister("greeter-1")


def test_newer_agents_say_404_to_an_unknown_node_which_is_no_error() -> None:
    with FaultyServer(answering(response(b"Unknown service ID", status="404 Not Found"))) as server:
        ConsulRegistry(server.url).deregister("nobody")
        with pytest.raises(ValueError):
            ConsulRegistry(server.url).deregister("")


def test_nobody_listens(unused_port: int) -> None:
    registry = ConsulRegistry(f"http://127.0.0.1:{unused_port}")
    for work in (
        lambda: registry.register(service(), keep=True),
        lambda: registry.deregister("x"),
        registry.registered,
    ):
        with pytest.raises(Unavailable, match="is the agent running"):
            work()


# -- the thread ------------------------------------------------------------------------------------------------------


class Nodes:
    """Nodes that answer as told: one outcome for each touch, then all is well."""

    def __init__(self, *outcomes: Optional[Exception]) -> None:
        self.outcomes = list(outcomes)
        self.calls: List[Tuple[str, str]] = []
        self.refuse_put: Optional[Exception] = None

    def put(self, node_id: str) -> None:
        self.calls.append(("put", node_id))
        if self.refuse_put is not None:
            raise self.refuse_put

    def touch(self, node_id: str) -> None:
        self.calls.append(("touch", node_id))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    def remove(self, node_id: str) -> None:
        self.calls.append(("remove", node_id))


class Time:
    """A clock that goes forward by waiting, for so many rounds; then it stands still until the end of the test."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.now = 1000.0
        self.waits: List[float] = []
        self.standing = threading.Event()
        self.over = threading.Event()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) > self.rounds:
            self.standing.set()
            assert self.over.wait(HANG)
            return True
        self.now += seconds
        return False


def kept(nodes: Nodes, rounds: int, ids: Tuple[str, ...] = ("a",), draw: float = 1.0) -> Tuple[Registration, Time]:
    """A registration after so many rounds."""
    time = Time(rounds)
    registration = Registration(
        nodes, ids, about="greeter", interval=20.0, clock=time.clock, draw=lambda: draw, wait=time.wait
    )
    assert time.standing.wait(HANG)
    time.over.set()
    return registration, time


def test_a_sign_of_life_every_interval_at_the_latest() -> None:
    nodes = Nodes()
    registration, time = kept(nodes, 3, ("a", "b"), draw=0.0)
    assert nodes.calls == [("touch", "a"), ("touch", "b")] * 3
    assert time.waits == [20.0] * 4
    status = registration.status
    assert (status.registered, status.failures, status.again, status.last_error) == (True, 0, 0, None)
    assert status.last_pass >= status.since
    registration.close()
    assert nodes.calls[-2:] == [("remove", "a"), ("remove", "b")]


def test_signs_of_life_of_many_do_not_come_together() -> None:
    registration, time = kept(Nodes(), 2, draw=0.5)
    assert time.waits == [19.0] * 3
    registration.close()


def test_failures_are_tried_again_with_full_jitter_and_doubling() -> None:
    down = [Unavailable("down")] * 9
    registration, time = kept(Nodes(*down), 9, draw=1.0)
    assert time.waits[1:] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    status = registration.status
    assert (status.registered, status.failures) == (False, 9)
    assert isinstance(status.last_error, Unavailable)
    registration.close()
    registration, time = kept(Nodes(*down), 9, draw=0.5)
    assert time.waits[1:4] == [0.125, 0.25, 0.5]
    registration.close()


@pytest.mark.parametrize("lost", [ServerError("500"), RequestError("404")])
def test_what_was_lost_is_registered_again_at_once(lost: Exception) -> None:
    nodes = Nodes(None, lost)
    registration, time = kept(nodes, 2, ("a", "b"), draw=0.0)
    assert nodes.calls == [("touch", "a"), ("touch", "b"), ("put", "b"), ("touch", "a"), ("touch", "b")]
    status = registration.status
    assert (status.registered, status.again, status.failures) == (True, 1, 0)
    assert time.waits == [20.0] * 3
    registration.close()


def test_one_node_in_trouble_does_not_cost_the_others_their_life() -> None:
    nodes = Nodes(AccessDenied("no"), None)
    registration, _ = kept(nodes, 1, ("a", "b"))
    assert nodes.calls == [("touch", "a"), ("touch", "b")]
    assert (registration.status.registered, registration.status.failures) == (False, 1)
    registration.close()


def test_a_registry_that_is_down_is_asked_once_in_a_round() -> None:
    nodes = Nodes(Unavailable("down"))
    registration, _ = kept(nodes, 1, ("a", "b"))
    assert nodes.calls == [("touch", "a")]
    registration.close()


def test_registering_again_may_fail_too() -> None:
    nodes = Nodes(ServerError("lost"))
    nodes.refuse_put = AccessDenied("no")
    registration, _ = kept(nodes, 1)
    assert isinstance(registration.status.last_error, AccessDenied)
    assert not registration.status.registered
    registration.close()


def test_the_thread_outlives_whatever_is_raised() -> None:
    nodes = Nodes(RuntimeError("a bug"))
    registration, _ = kept(nodes, 2)
    assert nodes.calls == [("touch", "a"), ("touch", "a")]
    assert registration.status.registered
    assert isinstance(registration.status.last_error, RuntimeError)
    registration.close()


def test_the_log_says_a_trouble_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="regcache.registry")
    registration, _ = kept(Nodes(*[Unavailable("down")] * 8), 9, draw=1.0)
    registration.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "greeter: no sign of life arrived (1 in a row): down",
        "greeter: passes again, after 8 failures",
        "greeter: deregistered",
    ]


def test_the_log_repeats_a_trouble_that_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    registration, time = kept(Nodes(*[Unavailable("down")] * 20), 20, draw=1.0)
    registration.close()
    assert 3 <= len(caplog.records) <= 2 + sum(time.waits) / 60


def test_closing() -> None:
    nodes = Nodes()
    registration = Registration(nodes, ["a"], about="greeter", interval=3600.0)
    assert not registration.closed
    assert "registered" in repr(registration)
    Threads(4, lambda _: registration.close()).join()
    registration.close()
    assert nodes.calls == [("remove", "a")]
    assert registration.closed
    assert not registration.status.registered
    assert "closed" in repr(registration)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("regcache-registration")]


def test_closing_waits_for_the_request_in_flight_so_that_nothing_is_registered_after_it() -> None:
    going_on, go_on = threading.Event(), threading.Event()

    class Slow(Nodes):
        def put(self, node_id: str) -> None:
            going_on.set()
            assert go_on.wait(HANG)
            super().put(node_id)

    nodes = Slow(ServerError("lost"))
    registration = Registration(nodes, ["a"], about="greeter", interval=0.001)
    assert going_on.wait(HANG)
    closing = Threads(1, lambda _: registration.close())
    go_on.set()
    closing.join()
    assert nodes.calls[-1] == ("remove", "a")


def test_an_end_that_fails_is_an_error_and_can_be_tried_again() -> None:
    class Stubborn(Nodes):
        def remove(self, node_id: str) -> None:
            super().remove(node_id)
            if len(self.calls) == 1:
                raise Unavailable("down")

    nodes = Stubborn()
    registration = Registration(nodes, ["a"], about="greeter", interval=None)
    with pytest.raises(Unavailable):
        registration.close()
    registration.close()
    registration.close()
    assert nodes.calls == [("remove", "a")] * 2


def test_one_node_in_trouble_does_not_keep_the_others_from_going() -> None:
    class Stubborn(Nodes):
        def remove(self, node_id: str) -> None:
            super().remove(node_id)
            if self.calls.count(("remove", "b")) == 1 and node_id == "b":
                raise ServerError("b is in trouble")

    nodes = Stubborn()
    registration = Registration(nodes, ["a", "b", "c"], about="greeter", interval=None)
    with pytest.raises(ServerError, match="b is in trouble"):
        registration.close()
    assert nodes.calls == [("remove", "a"), ("remove", "b"), ("remove", "c")]
    registration.close()


def test_the_error_of_a_block_is_not_hidden_by_the_end() -> None:
    class Down(Nodes):
        def remove(self, node_id: str) -> None:
            raise Unavailable("down")

    with pytest.raises(ZeroDivisionError):
        with Registration(Down(), ["a"], about="greeter", interval=None, at_exit=False):
            raise ZeroDivisionError
    with pytest.raises(Unavailable):
        with Registration(Down(), ["a"], about="greeter", interval=None, at_exit=False):
            pass


def test_after_a_fork_it_is_the_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = Nodes()
    registration = Registration(nodes, ["a"], about="greeter", interval=3600.0)
    real = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: real + 1)
    assert registration.closed
    assert not registration.status.registered
    registration.close()
    assert not nodes.calls
    monkeypatch.setattr(os, "getpid", lambda: real)
    registration.close()
    assert nodes.calls == [("remove", "a")]


# -- the registry in memory stands in for Consul -----------------------------------------------------------------------


def test_the_same_calls_on_a_registry_in_memory() -> None:
    registry = MemoryRegistry()
    with registry.register(service(), ttl=5.0, form="compact", tags=("eu",), keep=True) as registration:
        assert registration.ids == ("greeter-1",)
        assert registry.services() == ["greeter"]
        with registry.fetch("greeter") as answer:
            assert b'"eu"' in b"".join(answer.chunks())
    assert registry.services() == []
    assert registry.register(service()) is None
    registry.deregister(service())
    assert registry.services() == []
