"""A cache that holds something, and a server that misbehaves: what is held is served, the error has its type, recovery
comes by itself, and nothing is left behind."""

from __future__ import annotations

import gc
import http.client
import itertools
import logging
import os
import pickle
import socket
import sys
import tracemalloc
from typing import Any, Dict, List, Optional, Type

import pytest
import urllib3

import regcache
from regcache import (
    AccessDenied,
    Cache,
    ConsulRegistry,
    DecodeError,
    MemoryRegistry,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Timeout,
    Unavailable,
)
from regcache.cache.refresh import Refresher
from tests import build
from tests.cache.asked import ask, threads_left
from tests.cache.test_refresh_faulty import descriptors
from tests.eventually import eventually
from tests.faulty import FaultyServer, chunked, response
from tests.together import HANG

#: Another than that of what is held: the body is looked at.
NEWS = {"X-Consul-Index": "8"}
#: What a server may answer in place of a list, and what it is called.
FAULTS: Dict[str, Any] = {
    "no leader, said in a header": (response(b"[]", headers={"X-Consul-Knownleader": "false"}), Unavailable),
    "cut off from the leader": (response(b"[]", headers={"X-Consul-Lastcontact": "60000"}), Unavailable),
    "no leader, said in an error": (response(b"No cluster leader", status="500 Internal Server Error"), ServerError),
    "closed without an answer": (b"", Unavailable),
    "garbage": (b"nonsense\r\n\r\n", ProtocolError),
    "half a head": (b"HTTP/1.1 200 OK\r\nX-Consul-", ProtocolError),
    "shorter than its length": (response(b"[]", headers={"Content-Length": "3"}), ProtocolError),
    "cut between chunks": (chunked(b"2\r\n[]\r\n"), ProtocolError),
    "cut in a chunk": (chunked(b"ff\r\n[{"), ProtocolError),
    "a chunk of no size": (chunked(b"x\r\n[]\r\n0\r\n\r\n"), ProtocolError),
    "a chunk of negative size": (chunked(b"-1\r\n[]\r\n0\r\n\r\n"), ProtocolError),
    "cut at the end of the connection": (response(b"[{", headers={"Content-Length": None, **NEWS}), ProtocolError),
    "not JSON": (response(b"[}", headers=NEWS), ProtocolError),
    "not UTF-8": (response(b"[\xff]", headers=NEWS), ProtocolError),
    "not a list": (response(b'{"a":1}', headers=NEWS), ProtocolError),
    "no index": (response(headers={"X-Consul-Index": None}), ProtocolError),
    "index 0": (response(headers={"X-Consul-Index": "0"}), ProtocolError),
    "an index in words": (response(headers={"X-Consul-Index": "seven"}), ProtocolError),
    "gzip unasked": (response(headers={"Content-Encoding": "gzip"}), ProtocolError),
    "filtered by ACLs": (response(headers={"X-Consul-Results-Filtered-By-ACLs": "true"}), AccessDenied),
    "a redirect": (response(status="301 Moved", headers={"Location": "http://127.0.0.1:1/"}), RequestError),
    "400": (response(status="400 Bad Request"), RequestError),
    "403": (response(status="403 Forbidden"), AccessDenied),
    "429": (response(status="429 Too Many"), RateLimited),
    "503": (response(status="503 Sorry"), RateLimited),
    "silence": (None, Timeout),
}


def nodes(count: int, index: int) -> bytes:
    body = build.body(*(build.entry(f"svc-{number}") for number in range(count)))
    return response(body, headers={"X-Consul-Index": str(index)})


class Moody(FaultyServer):
    """A server that is well until it is told what is wrong with it, and while nothing is.

    Attributes:
        fault: what it answers; ``None`` in a tuple: nothing.
        good: what it answers otherwise.
    """

    def __init__(self) -> None:
        self.fault: Optional[tuple] = None  # type: ignore[type-arg]
        self.good = nodes(3, index=7)
        self._waiting: List[socket.socket] = []
        super().__init__(self._serve_one)

    def _serve_one(self, connection: socket.socket, request: bytes) -> None:
        while request:
            if self.fault is not None:
                (answer,) = self.fault
                if answer is None:
                    connection.recv(1)
                else:
                    connection.sendall(answer)
                return
            if b"index=" in request:
                self._waiting.append(connection)
            else:
                connection.sendall(self.good)
            request = connection.recv(4096)

    def wake(self) -> None:
        """Whoever waits for news gets the answer of now, and is no longer connected."""
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            try:
                if self.fault is None:
                    connection.sendall(self.good)
                elif self.fault[0] is not None:
                    connection.sendall(self.fault[0])
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # he did not wait


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_held_is_served_and_recovery_comes_by_itself(name: str) -> None:
    answer, error = FAULTS[name]
    with Moody() as server, Cache(ConsulRegistry(server.url, timeout=0.5), random=lambda: 0.999) as cache:
        held = cache.get("svc", timeout=HANG)
        assert len(held) == 3
        eventually(lambda: server._waiting)
        server.fault = (answer,)
        server.wake()
        # The first failure may be that of the watch, which was broken off.
        last = eventually(lambda: _of_type(cache, error))
        assert isinstance(last, error)
        assert cache.get("svc", timeout=0) is held
        assert held.stale and f"{type(last).__name__}: {last}" in held.explain()
        with pytest.raises((error, Timeout)):
            cache.get("other", timeout=HANG)
        assert cache.get("svc", timeout=0) is held
        server.good, server.fault = nodes(4, index=9), None
        # Nobody asks, and it is served nevertheless.
        eventually(lambda: cache.status("svc").nodes == 4 and cache.status("svc").watching)
        assert cache.status("svc").failures == 0
        assert len(cache.get("svc", timeout=0)) == 4
        eventually(lambda: isinstance(cache.warm(["other"], timeout=HANG)["other"], type(held)))


def _of_type(cache: Cache, kind: Type[RegcacheError]) -> Optional[BaseException]:
    last = cache.status("svc").last_error
    return last if isinstance(last, kind) else None


@pytest.mark.parametrize("body", [b"junk", b"[" * 1000])
def test_a_body_that_cannot_be_decoded_is_said_with_its_registry_and_service(body: bytes) -> None:
    registry = MemoryRegistry()
    registry.put("svc", body)
    with pytest.raises(DecodeError) as bare:
        regcache.decode(body)
    with Cache(registry) as cache:
        with pytest.raises(DecodeError) as caught:
            cache.get("svc", timeout=HANG)
        warmed = cache.warm(["svc"], timeout=HANG)["svc"]
    for error in (caught.value, warmed, pickle.loads(pickle.dumps(caught.value))):
        assert type(error) is type(bare.value)
        assert str(error) == f"the answer of MemoryRegistry() for 'svc': {bare.value}"
        assert (error.reason, error.offset, error.path) == (bare.value.reason, bare.value.offset, bare.value.path)


def test_the_leader_is_lost_and_found() -> None:
    """What is held is served all the time, the answers of a server without a leader are not believed, however often."""
    with Moody() as server, Cache(ConsulRegistry(server.url), random=lambda: 0.999) as cache:
        held = cache.get("svc", timeout=HANG)
        eventually(lambda: server._waiting)
        server.fault = FAULTS["no leader, said in a header"][:1]
        server.wake()
        eventually(lambda: cache.status("svc").failures >= 5)
        status = cache.status("svc")
        assert isinstance(status.last_error, Unavailable) and "no leader" in str(status.last_error)
        assert status.held_back is None, "an empty list that nobody believes is not even doubted"
        server.fault = FAULTS["no leader, said in an error"][:1]
        eventually(lambda: isinstance(cache.status("svc").last_error, ServerError))
        assert cache.get("svc", timeout=0) is held
        server.fault = None
        eventually(lambda: cache.status("svc").watching)
        assert cache.get("svc", timeout=0) is held, "the same list, at the same index"
        assert not held.stale


def test_a_thousand_rounds_of_faults_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Threads, descriptors, and memory that regcache and what it uses have allocated."""
    # pytest keeps what is logged, with the errors and their frames.
    caplog.set_level(logging.CRITICAL, "urllib3")
    faults = itertools.cycle([FAULTS[name] for name in FAULTS if name != "silence"])
    ours = [os.path.join(os.path.dirname(module.__file__), "*") for module in (regcache, urllib3, http.client)]
    filters = [tracemalloc.Filter(True, pattern) for pattern in ours]  # not the server's own books

    def rounds(count: int) -> int:
        """So many faults and recoveries of one refresher; the bytes that are left when it is closed."""
        registry = ConsulRegistry(server.url)
        refresher = Refresher(registry)
        for number, (answer, error) in zip(range(count), faults):
            server.fault = (answer,)
            how: Any = {"index": 3, "wait": 30.0} if number % 2 else {}
            assert isinstance(ask(refresher, "svc", **how).error, error)
            server.fault = None
            assert len(ask(refresher, "svc").snapshot) == 3  # type: ignore[arg-type]
        assert len(refresher.threads) <= 5
        refresher.close()
        registry.close()
        assert threads_left() == []
        del registry, refresher, how
        gc.collect()
        return sum(stat.size for stat in tracemalloc.take_snapshot().filter_traces(filters).statistics("filename"))

    tracemalloc.start()
    try:
        with Moody() as server:
            # Before CPython 3.11 a function that was called 1,024 times gets a cache of its own.
            memory = rounds(100 if sys.version_info >= (3, 11) else 1_100)
            before = eventually(lambda: descriptors(server))
            # A leak of the smallest object in each round would be 15 KB.
            assert rounds(900) - memory < 10_000
            assert eventually(lambda: descriptors(server)) == before
    finally:
        tracemalloc.stop()
