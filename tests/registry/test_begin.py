"""Requests that are sent and then wait without a thread: ``begin``."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
from typing import Any

import pytest

from regcache import Node, ProtocolError, Service, Timeout, Unavailable
from regcache.cache.refresh import Refresher
from regcache.registry import ConsulRegistry, MemoryRegistry
from tests.cache.asked import ask
from tests.faulty import FaultyServer, response
from tests.together import HANG, Threads


def body(pending: Any) -> bytes:
    with pending.answer() as answer:
        return b"".join(answer.chunks())


def readable(pending: Any, seconds: float = HANG) -> bool:
    return bool(select.select([pending.fileno()], [], [], seconds)[0])


def again_and_again(connection: socket.socket, request: bytes) -> None:
    while request:
        connection.sendall(response(b"[1]"))
        request = connection.recv(4096)


# -- Consul ------------------------------------------------------------------------------------------------------------


def test_the_request_is_sent_and_the_answer_comes_later() -> None:
    go = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        assert go.wait(HANG)
        connection.sendall(response(b"[1]"))

    with FaultyServer(serve) as server:
        registry = ConsulRegistry(server.url, token="secret")
        pending = registry.begin("gr/eeter", index=7, wait=30, consistency="default")
        assert not readable(pending, 0)
        go.set()
        assert readable(pending)
        assert pending.ready()
        answer = pending.answer()
        assert answer.index == 7
        assert b"".join(answer.chunks()) == b"[1]"
        answer.close()
        assert server.requests[0].startswith(b"GET /v1/health/service/gr%2Feeter?index=7&wait=30000ms HTTP/1.1\r\n")
        assert b"X-Consul-Token: secret\r\n" in server.requests[0]
        registry.close()


def test_a_connection_is_used_again_once_its_answer_was_read_to_the_end() -> None:
    with FaultyServer(again_and_again) as server:
        registry = ConsulRegistry(server.url)
        for _ in range(3):
            pending = registry.begin("greeter")
            assert body(pending) == b"[1]"
            pending.close()  # it is no longer its connection
        assert server.connections == 1
        with registry.begin("greeter").answer():
            pass
        assert body(registry.begin("greeter")) == b"[1]"
        assert server.connections == 2
        first, second = registry.begin("greeter"), registry.begin("greeter")
        assert first.fileno() != second.fileno()
        assert body(second) == body(first) == b"[1]"
        last = registry.begin("greeter")
        registry.close()
        assert body(last) == b"[1]"
        assert registry._kept._connections == []
        with pytest.raises(Unavailable, match=r"the registry of http://127\.0\.0\.1:\d+ is closed"):
            registry.begin("greeter")


def test_a_kept_connection_that_the_server_closes_as_it_is_used() -> None:
    """A request without an index is sent again on another; with one it may have begun, so that is an error."""
    closing = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(response(b"[1]"))
        if server.connections == 1:
            connection.recv(4096)
            closing.set()

    with FaultyServer(serve) as server:
        registry = ConsulRegistry(server.url)
        assert body(registry.begin("greeter")) == b"[1]"
        assert body(registry.begin("greeter")) == b"[1]"
        assert closing.is_set() and server.connections == 2
    with FaultyServer(serve) as server:
        registry = ConsulRegistry(server.url)
        assert body(registry.begin("greeter")) == b"[1]"
        with pytest.raises(Unavailable, match="closed the connection"):
            registry.begin("greeter", index=7, wait=30).answer()


def test_after_a_connection_was_lost_nothing_is_asked_with_an_index() -> None:
    """The server may have been restarted without its data: it would let an index that is too high wait in vain."""
    with FaultyServer(response(b"[1]")) as server:
        registry = ConsulRegistry(server.url)
        pending = registry.begin("greeter", index=7, wait=30)
        assert body(pending) == b"[1]"
        gone = registry._kept._connections[0].sock
        assert gone is not None and select.select([gone], [], [], HANG)[0]
        assert body(registry.begin("greeter", index=7, wait=30)) == b"[1]"
        assert [b"index=7" in request for request in server.requests] == [True, False]


def test_an_index_of_another_history_is_not_taken_for_no_change() -> None:
    """What was asked without an index, because a connection was lost, counts even where the number is the same."""
    with FaultyServer(response(b"[]")) as server:
        registry = ConsulRegistry(server.url)
        assert body(registry.begin("greeter", index=7, wait=30)) == b"[]"
        gone = registry._kept._connections[0].sock
        assert gone is not None and select.select([gone], [], [], HANG)[0]
        refresher = Refresher(registry)
        outcome = ask(refresher, index=7, wait=30.0)
        assert [b"index=7" in request for request in server.requests] == [True, False]
        assert not outcome.unchanged and outcome.snapshot is not None and outcome.index == 7
        refresher.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_closing_in_a_child_does_not_wait_for_the_parents_locks() -> None:
    registry = ConsulRegistry("http://127.0.0.1:1")
    with registry._kept._lock:  # as another thread of the parent may have it
        child = os.fork()
        if not child:
            signal.alarm(int(HANG))
            registry.close()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    registry.close()
    child = os.fork()
    if not child:
        try:
            registry.begin("greeter")
        except Unavailable as error:
            os._exit(0 if "is closed" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0, "closed is closed, in a child too"


def test_an_answer_is_given_once() -> None:
    with FaultyServer(again_and_again) as server:
        pending = ConsulRegistry(server.url).begin("greeter")
        body(pending)
        with pytest.raises(ValueError, match="one answer"):
            pending.answer()


def test_nobody_listens(unused_port: int) -> None:
    with pytest.raises(Unavailable, match="cannot be reached.*is the agent running"):
        ConsulRegistry(f"http://127.0.0.1:{unused_port}").begin("greeter")


@pytest.mark.parametrize("answer, error", [(b"", Unavailable), (b"no\r\n\r\n", ProtocolError)])
def test_no_answer(answer: bytes, error: Any) -> None:
    with FaultyServer(answer) as server:
        with pytest.raises(error):
            ConsulRegistry(server.url).begin("greeter").answer()


def test_silence() -> None:
    with FaultyServer(lambda connection, _: connection.recv(1)) as server:
        with pytest.raises(Timeout, match="within 0.1 s"):
            ConsulRegistry(server.url, timeout=0.1).begin("greeter").answer()


@pytest.mark.parametrize("head", [b"", response(b"[", headers={"Content-Length": "100"})])
def test_closing_wakes_who_reads(head: bytes) -> None:
    reading = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head)
        reading.set()
        connection.recv(1)

    with FaultyServer(serve) as server:
        pending = ConsulRegistry(server.url).begin("greeter")

        def read(_: int) -> None:
            with pytest.raises((Unavailable, ProtocolError)):
                body(pending)

        thread = Threads(1, read)
        assert reading.wait(HANG)
        pending.close()
        thread.join()
        pending.close()


def test_closing_before_anybody_reads() -> None:
    left = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        assert connection.recv(1) == b""
        left.set()

    with FaultyServer(serve) as server:
        pending = ConsulRegistry(server.url).begin("greeter")
        pending.close()
        assert left.wait(HANG)
        with pytest.raises(Unavailable, match="broken off"):
            pending.answer()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_lets_go_of_its_share_alone() -> None:
    go = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        assert go.wait(HANG)
        connection.sendall(response(b"[1]"))

    with FaultyServer(serve) as server:
        pending = ConsulRegistry(server.url).begin("greeter")
        descriptor = pending.fileno()
        pid = os.fork()
        if not pid:
            pending.close()
            try:
                os.fstat(descriptor)
            except OSError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        go.set()
        assert body(pending) == b"[1]"


# -- memory ------------------------------------------------------------------------------------------------------------


def put(registry: MemoryRegistry, service: str = "greeter", number: int = 1) -> None:
    registry.register(Service(service, nodes=(Node(f"{service}-{number}", "10.0.0.1", 80),)))


class Called:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def index_of(registry: MemoryRegistry) -> int:
    with registry.fetch("greeter") as answer:
        return answer.index


def test_memory_is_ready_with_a_change_of_the_service_and_no_other() -> None:
    registry = MemoryRegistry()
    put(registry)
    index = index_of(registry)
    for change in (
        lambda: put(registry, number=2),
        lambda: registry.deregister("greeter-2"),
        lambda: registry.deregister(Service("greeter", nodes=(Node("greeter-1"),))),
        lambda: registry.put("greeter", b"[]"),
        lambda: put(registry),
    ):
        pending, called = registry.begin("greeter", index=index, wait=30), Called()
        assert pending.fileno() is None
        pending.on_ready(called)
        put(registry, "other")
        registry.deregister("nobody")
        assert called.times == 0
        change()
        change()
        assert called.times == 1
        assert pending.ready()
        with pending.answer() as answer:
            assert answer.index > index
            index = answer.index


def test_memory_is_ready_at_once() -> None:
    registry = MemoryRegistry()
    put(registry)
    put(registry)
    for index in (None, 0, 1, 2):
        pending, called = registry.begin("greeter", index=index, wait=30), Called()
        pending.on_ready(called)
        assert called.times == 1
        assert b"greeter-1" in body(pending)


def test_memory_forgets_who_waits_no_longer() -> None:
    registry = MemoryRegistry()
    for _ in range(3):
        pending, called = registry.begin("greeter", index=1, wait=30), Called()
        pending.on_ready(called)
        pending.close()
        pending.close()
        put(registry)
        assert called.times == 0
        registry.deregister("greeter-1")
        registry = MemoryRegistry()
    pending = registry.begin("greeter", index=1, wait=30)
    pending.on_ready(Called())
    with pending.answer() as answer:  # the wait is over
        assert answer.index == 1
    assert registry._begun == {}
    del pending
    gc.collect()


def test_memory_that_is_closed() -> None:
    registry = MemoryRegistry()
    pending, called = registry.begin("greeter", index=1, wait=30), Called()
    pending.on_ready(called)
    registry.close()
    assert called.times == 1
    with pytest.raises(Unavailable, match="closed"):
        pending.answer()
