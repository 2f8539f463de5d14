"""The refresher against a server that misbehaves: a bounded time, the right error, nothing left behind."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any, Iterator, List, Optional, Type

import pytest

from regcache import (
    AccessDenied,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Timeout,
    Unavailable,
)
from regcache.cache.refresh import Refresher
from regcache.registry import ConsulRegistry
from tests.cache.asked import Told, ask, settled, threads_left
from tests.eventually import eventually
from tests.faulty import FaultyServer, chunked, response
from tests.together import HANG


def descriptors(server: FaultyServer) -> int:
    """How many this process has, when the server has closed all its ends; 0 while it has not; -1: nobody knows."""
    count = len(server._open)
    if any(connection.fileno() >= 0 for connection in server._open):
        return 0
    try:
        found = len(os.listdir("/dev/fd"))
    except OSError:
        return -1
    return found if len(server._open) == count else 0


def watching(answer: Any) -> Any:
    """A script: blocking queries wait until the client leaves, others get the answer."""

    def serve(connection: socket.socket, request: bytes) -> None:
        while request:
            if b"index=" not in request:
                connection.sendall(answer)
            request = connection.recv(4096)

    return serve


@pytest.fixture
def refresh() -> Iterator[Any]:
    """Makes a refresher for a server, and closes it."""
    made: List[Any] = []

    def make(server: FaultyServer, timeout: float = 10.0, **options: Any) -> Refresher:
        registry = ConsulRegistry(server.url, timeout=timeout)
        made.append((registry, Refresher(registry, **options)))
        return made[-1][1]

    yield make
    for registry, refresher in made:
        refresher.close()
        registry.close()
    assert threads_left() == []


GOOD = response(b"[]")


@pytest.mark.parametrize(
    "answer, error",
    [
        (b"", Unavailable),
        (b"nonsense\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nX-Consul-", ProtocolError),
        (response(b"[]", headers={"Content-Length": "3"}), ProtocolError),
        (chunked(b"2\r\n[]\r\n"), ProtocolError),
        (chunked(b"x\r\n[]\r\n0\r\n\r\n"), ProtocolError),
        (chunked(b"-1\r\n[]\r\n0\r\n\r\n"), ProtocolError),
        (response(b"[}"), ProtocolError),
        (response(b"[\xff]"), ProtocolError),
        (response(b'{"a":1}'), ProtocolError),
        (response(headers={"X-Consul-Index": None}), ProtocolError),
        (response(headers={"X-Consul-Index": "0"}), ProtocolError),
        (response(headers={"X-Consul-Index": "seven"}), ProtocolError),
        (response(headers={"X-Consul-Knownleader": "false"}), Unavailable),
        (response(headers={"Content-Encoding": "gzip"}), ProtocolError),
        (response(status="301 Moved", headers={"Location": "http://127.0.0.1:1/"}), RequestError),
        (response(status="400 Bad Request"), RequestError),
        (response(status="403 Forbidden"), AccessDenied),
        (response(status="429 Too Many"), RateLimited),
        (response(status="500 Oops"), ServerError),
        (response(status="503 Sorry"), RateLimited),
    ],
)
def test_every_fault_has_its_error(refresh: Any, answer: bytes, error: Type[RegcacheError]) -> None:
    with FaultyServer(answer) as server:
        refresher = refresh(server)
        for how in ({}, {"index": 3, "wait": 30.0}):
            outcome = ask(refresher, **how)
            assert isinstance(outcome.error, error)
            assert (outcome.snapshot, outcome.index, outcome.unchanged) == (None, 0, False)


def test_a_server_that_comes_back(refresh: Any) -> None:
    """The connection that was kept is closed by the server: the next load has another, and no error."""
    with FaultyServer(GOOD) as server:
        refresher = refresh(server)
        for _ in range(5):
            assert ask(refresher).index == 7
        assert server.connections == 5


def test_a_connection_is_used_again(refresh: Any) -> None:
    with FaultyServer(watching(GOOD)) as server:
        refresher = refresh(server)
        for _ in range(5):
            assert ask(refresher).index == 7
        assert server.connections == 1


def test_silence_ends_with_the_deadline(refresh: Any) -> None:
    """Nothing comes at all; plain and blocking, more of them than there are workers."""
    with FaultyServer(lambda connection, _: connection.recv(1)) as server:
        refresher = refresh(server, timeout=0.2, workers=2)
        told = [Told() for _ in range(20)]
        for number, one in enumerate(told):
            refresher.load("greeter", one, index=number % 2 * 7, wait=0.1)
        for one in told:
            outcome = one.next()
            assert isinstance(outcome.error, Timeout)
            assert outcome.elapsed >= 0.2
        settled(refresher)
        assert len(refresher.threads) <= 5


@pytest.mark.parametrize("index", [None, 3])
def test_a_dripping_body_ends_with_the_deadline(refresh: Any, index: Any) -> None:
    """It would take an hour. Meanwhile the others are served, by the workers that are left."""

    def drip(connection: socket.socket, request: bytes) -> None:
        if b"slow" not in request:
            connection.sendall(GOOD)
            return
        connection.sendall(response(b"[", headers={"Content-Length": "1000000"}))
        while not server.over.wait(0.01):
            connection.sendall(b" ")

    with FaultyServer(drip) as server:
        refresher = refresh(server, timeout=0.5, workers=2)
        told = Told()
        refresher.load("slow", told, index=index, wait=30)
        assert ask(refresher).index == 7
        outcome = told.next()
        assert isinstance(outcome.error, Timeout)
        assert ask(refresher).index == 7


def test_a_head_that_drips_ends_with_the_deadline(refresh: Any) -> None:
    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.over.wait(0.01):
            connection.sendall(b"A: b\r\n")

    with FaultyServer(drip) as server:
        assert isinstance(ask(refresh(server, timeout=0.3)).error, (Timeout, ProtocolError))


def test_an_answer_without_news_is_not_decoded(refresh: Any) -> None:
    body = response(b"this is no JSON")

    def serve(connection: socket.socket, request: bytes) -> None:
        while request:
            connection.sendall(body)
            request = connection.recv(4096)

    with FaultyServer(serve) as server:
        refresher = refresh(server)
        for _ in range(3):
            outcome = ask(refresher, index=7, wait=30)
            assert outcome.unchanged and outcome.index == 7
        assert server.connections == 1


def test_a_long_answer_without_news_is_not_read(refresh: Any) -> None:
    sent = threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        try:
            connection.sendall(response(b" " * 100_000_000))
        finally:
            sent.set()

    with FaultyServer(serve) as server:
        assert ask(refresh(server), index=7, wait=30).unchanged
        assert sent.wait(HANG)


def test_an_index_that_went_back(refresh: Any) -> None:
    with FaultyServer(GOOD) as server:
        outcome = ask(refresh(server), index=1000, wait=30)
        assert outcome.index == 7 and outcome.snapshot is not None and not outcome.unchanged


def test_the_read_mode(refresh: Any) -> None:
    with FaultyServer(GOOD) as server:
        ask(refresh(server), consistency="consistent")
        assert b"?consistent= " in server.requests[0]


def test_cancelling_closes_the_connection(refresh: Any) -> None:
    arrived, left = threading.Event(), threading.Event()

    def serve(connection: socket.socket, request: bytes) -> None:
        arrived.set()
        assert connection.recv(1) == b""
        left.set()

    with FaultyServer(serve) as server:
        refresher = refresh(server)
        never = Told()
        load = refresher.load("greeter", never, index=7, wait=1000)
        assert arrived.wait(HANG)
        load.cancel()
        assert left.wait(HANG)
        assert never.empty


def test_no_more_connections_than_said(refresh: Any) -> None:
    """500 blocking queries want to wait; 16 connections may be open, a quarter of them for others."""
    most = threading.Lock()
    now = [0, 0]

    def serve(connection: socket.socket, request: bytes) -> None:
        with most:
            now[0] += 1
            now[1] = max(now)
        try:
            watching(GOOD)(connection, request)
        finally:
            with most:
                now[0] -= 1

    with FaultyServer(serve) as server:
        refresher = refresh(server, connections=16)
        for _ in range(500):
            refresher.load("greeter", Told(), index=7, wait=1000)
        told = [Told() for _ in range(100)]
        for one in told:
            refresher.load("greeter", one, urgent=True)
        for one in told:
            assert one.next().index == 7
        assert now[1] <= 16
        assert len(refresher.threads) <= 5


def test_no_descriptor_and_no_thread_is_left_after_many_rounds() -> None:
    with FaultyServer(watching(GOOD)) as server:
        before: Optional[int] = None
        for number in range(1000):
            registry = ConsulRegistry(server.url)
            refresher = Refresher(registry)
            told = Told()
            assert ask(refresher).index == 7
            refresher.load("greeter", told, index=7, wait=1000)
            refresher.load("greeter", Told(), index=7, wait=1000).cancel()
            if number % 2:
                settled(refresher)
            refresher.close()
            registry.close()
            assert isinstance(told.next().error, Unavailable)
            assert threads_left() == []
            if before is None:
                before = eventually(lambda: descriptors(server))
        assert eventually(lambda: descriptors(server) == before)
