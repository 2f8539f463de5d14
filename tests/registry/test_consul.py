"""ConsulRegistry against a server that misbehaves: every fault has its own error, and none of them hangs."""

from __future__ import annotations

import gzip
import os
import re
import select
import socket
import time
import warnings
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Optional, Type

import pytest

from regcache import (
    AccessDenied,
    LimitExceeded,
    ProtocolError,
    RateLimited,
    RegcacheError,
    RequestError,
    ServerError,
    Timeout,
    Unavailable,
)
from regcache.registry import ConsulRegistry, MemoryRegistry, exchange, http
from tests.faulty import FaultyServer, chunked, response
from tests.together import HANG, Threads

TOKEN = "5ecre7-5ecre7"


def fetch(url: str, **options: Any) -> bytes:
    registry = ConsulRegistry(url, **options)
    with registry.fetch("greeter") as answer:
        return b"".join(answer.chunks())


def raises(answer: Any, error: Type[RegcacheError], match: str, **options: Any) -> FaultyServer:
    with FaultyServer(answer) as server:
        with pytest.raises(error, match=match) as caught:
            fetch(server.url, **options)
        assert type(caught.value) is error
    return server


# -- what is asked ---------------------------------------------------------------------------------------------------


def request_of(**options: Any) -> str:
    fetched: Dict[str, Any] = options.pop("fetched", {})
    with FaultyServer(response()) as server:
        with ConsulRegistry(server.url, **options).fetch("gr/ee ter", **fetched) as answer:
            assert b"".join(answer.chunks()) == b"[]"
            assert answer.index == 7
    return server.requests[0].decode()


def test_the_request() -> None:
    request = request_of(token=TOKEN, datacenter="dc 1")
    assert request.startswith("GET /v1/health/service/gr%2Fee%20ter?stale=&dc=dc+1 HTTP/1.1\r\n")
    assert f"X-Consul-Token: {TOKEN}\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


@pytest.mark.parametrize("mode, query", [("stale", "?stale="), ("default", ""), ("consistent", "?consistent=")])
def test_the_read_mode_of_the_registry_and_of_one_request(mode: Any, query: str) -> None:
    for request in (request_of(consistency=mode), request_of(fetched={"consistency": mode})):
        assert request.split(" ")[1] == "/v1/health/service/gr%2Fee%20ter" + query


def test_an_index_makes_the_request_a_blocking_one() -> None:
    request = request_of(fetched={"index": 7, "wait": 55.0})
    assert request.split(" ")[1].partition("?")[2] == "index=7&wait=55000ms&stale="
    assert "index" not in request_of(fetched={"index": 0, "wait": 55.0})


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", TOKEN)
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    assert TOKEN not in request_of()


def test_a_connection_is_used_again() -> None:
    def twice(connection: socket.socket, request: bytes) -> None:
        connection.sendall(response())
        assert connection.recv(4096)
        connection.sendall(chunked(b"2\r\n[]\r\n0\r\n\r\n"))

    with FaultyServer(twice) as server:
        registry = ConsulRegistry(server.url)
        for _ in range(2):
            with registry.fetch("greeter") as answer:
                assert b"".join(answer.chunks()) == b"[]"
        registry.close()
        assert server.connections == 1


@pytest.mark.parametrize(
    "ask", [lambda registry: registry.fetch("greeter").close(), lambda registry: registry.services()]
)
def test_a_kept_connection_that_the_server_closes_as_it_is_used(ask: Any) -> None:
    """What is asked for without an index is asked for again, on another connection."""

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(response(b"{}"))
        if server.connections == 1:
            connection.recv(4096)  # the next request; and then it closes

    with FaultyServer(serve) as server:
        registry = ConsulRegistry(server.url)
        assert registry.services() == []
        ask(registry)
        assert server.connections == 2


def test_an_index_is_not_taken_over_a_lost_connection() -> None:
    """The server may have been restarted without its data: it would let an index that is too high wait in vain."""
    with FaultyServer(response()) as server:
        registry = ConsulRegistry(server.url)
        with registry.fetch("greeter", index=7, wait=30) as answer:
            assert b"".join(answer.chunks()) == b"[]"
        (kept,) = registry._kept._connections
        assert kept.sock is not None and select.select([kept.sock], [], [], HANG)[0]
        registry.fetch("greeter", index=7, wait=30).close()
        assert [b"index=7" in request for request in server.requests] == [True, False]


def test_a_closed_registry() -> None:
    with FaultyServer(response()) as server:
        registry = ConsulRegistry(server.url)
        registry.close()
        for ask in (lambda: registry.fetch("greeter"), registry.services, registry.registered):
            with pytest.raises(Unavailable, match=f"the registry of {server.url} is closed"):
                ask()
        assert server.connections == 0


def test_a_half_read_answer_does_not_spoil_the_next() -> None:
    with FaultyServer(response(b" " * 1_000_000 + b"[]")) as server:
        registry = ConsulRegistry(server.url)
        with registry.fetch("greeter") as answer:
            next(answer.chunks())
        with registry.fetch("greeter") as answer:
            assert b"".join(answer.chunks()).strip() == b"[]"
        assert server.connections == 2


def test_headers_in_any_case() -> None:
    headers = {"X-Consul-Index": None, "x-CONSUL-index": "12"}
    with FaultyServer(response(headers=headers)) as server:
        with ConsulRegistry(server.url).fetch("greeter") as answer:
            assert answer.index == 12


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "consul.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve(_: int) -> None:
            with listening.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(response(b"[1]"))

        serving = Threads(1, serve)
        assert fetch(f"unix://{path}") == b"[1]"
        serving.join()


def test_no_unix_socket(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        fetch(f"unix://{tmp_path}/consul.sock")


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://127.0.0.1:0", "Connection refused; is the agent running?"),
        ("https://127.0.0.1:0", "Connection refused; is the agent running?"),
        ("http://[::1]:0", "[A-Z].*; is the agent running?"),  # there may be no IPv6
        ("unix:///nowhere/consul.sock", "No such file or directory; is the agent running?"),
        (f"unix:///{'long' * 50}", "AF_UNIX path too long; is the agent running?"),
        ("http://a..b:1", "there can be no host of this name; check the URL"),
        (f"http://{'long' * 50}:1", "there can be no host of this name; check the URL"),
    ],
)
def test_no_connection_is_said_with_the_address_and_the_reason(url: str, why: str) -> None:
    with pytest.raises(Unavailable) as caught:
        fetch(url)
    said = str(caught.value)
    assert re.fullmatch(re.escape(f"{url} cannot be reached: ") + why.replace("?", "[?]"), said)
    assert "Connection(" not in said


# -- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, error, match",
    [
        (400, RequestError, r"400 \(what is this\): is this the address"),
        (404, RequestError, "404"),
        (405, RequestError, "405"),
        (401, AccessDenied, "401"),
        (403, AccessDenied, r"403 \(what is this\): the token was refused"),
        (429, RateLimited, "429"),
        (503, RateLimited, "503"),
        (500, ServerError, "500"),
        (502, ServerError, "502"),
        (204, ProtocolError, "204"),
    ],
)
def test_statuses(status: int, error: Type[RegcacheError], match: str) -> None:
    body = b"" if status == 204 else b"what is this"
    # Consul's errors carry an index of 1, which must not be mistaken for an answer's.
    raises(response(body, status=f"{status} Word", headers={"X-Consul-Index": "1"}), error, match, token=TOKEN)


def test_a_token_that_was_not_given_is_not_blamed() -> None:
    raises(response(status="403 Forbidden"), AccessDenied, "403.*: no token was given; give one as token=")


def test_https_where_plain_http_is_spoken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(HANG)

        def plainly(_: int) -> None:
            with listening.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(response(status="400 Bad Request"))

        server = Threads(1, plainly)
        with pytest.raises(Unavailable, match=r"no secure connection: .*; does the server speak HTTPS on this port\?$"):
            fetch(f"https://127.0.0.1:{listening.getsockname()[1]}")
        server.join()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(status: int) -> None:
    with FaultyServer(response()) as elsewhere:
        moved = response(
            b"", status=f"{status} Moved", headers={"Location": elsewhere.url + "/v1/health/service/greeter"}
        )
        raises(moved, RequestError, "redirects are not followed", token=TOKEN)
        assert elsewhere.connections == 0


def test_no_message_holds_the_token() -> None:
    with FaultyServer(response(status="403 Forbidden")) as server:
        registry = ConsulRegistry(server.url, token=TOKEN)
        with pytest.raises(AccessDenied) as caught:
            registry.fetch("greeter")
    assert TOKEN not in str(caught.value) + repr(registry)


# -- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [None, "0", "-1", "text", "", "1.5", "٣", str(2**64), "9" * 5000])
def test_an_answer_without_a_valid_index(index: Optional[str]) -> None:
    if index == "٣":
        index = index.encode().decode("latin-1")
    raises(response(headers={"X-Consul-Index": index}), ProtocolError, "^http://.* answered with.* X-Consul-Index")


def test_servers_without_a_leader() -> None:
    raises(response(headers={"X-Consul-Knownleader": "false"}), Unavailable, "no leader")


@pytest.mark.parametrize("contact", ["10001", "99999999999999999999"])
def test_a_server_that_has_not_heard_from_its_leader(contact: str) -> None:
    answer = response(headers={"X-Consul-Lastcontact": contact})
    raises(answer, Unavailable, "has not heard from the leader for [0-9.]+ s")
    with FaultyServer(answer) as server:
        ConsulRegistry(server.url, max_last_contact=None).fetch("greeter").close()


@pytest.mark.parametrize("contact", ["0", "10000", "", "soon"])
def test_a_server_that_has_just_heard_from_it(contact: str) -> None:
    with FaultyServer(response(headers={"X-Consul-Lastcontact": contact})) as server:
        ConsulRegistry(server.url).fetch("greeter").close()
        with pytest.raises(ValueError, match="max_last_contact"):
            ConsulRegistry(server.url, max_last_contact=0)


def test_results_that_were_filtered() -> None:
    raises(response(headers={"X-Consul-Results-Filtered-By-Acls": "true"}), AccessDenied, "may not read")


def test_gzip_that_was_not_asked_for() -> None:
    raises(response(gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"}), ProtocolError, "'gzip'")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nX-Consul"])
def test_closed_without_an_answer(answer: bytes) -> None:
    if answer:
        raises(answer, ProtocolError, "X-Consul-Index")  # the head ends where the connection does
    else:
        raises(answer, Unavailable, "^http://[0-9.:]+ closed the connection without an answer; .*per_client")


def test_reset_without_an_answer() -> None:
    def reset(connection: socket.socket, request: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    raises(reset, Unavailable, r"closed the connection without an answer \(Connection reset by peer\); ")


@pytest.mark.parametrize(
    "answer, match",
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"does not speak HTTP: its answer begins with 'SSH-2.0-OpenSSH_9.2\\r\\n'$"),
        (b"\0" * 100 + b"\r\n", rf"does not speak HTTP: its answer begins with '{re.escape(chr(92) + 'x00') * 60}'$"),
        (b"x" * 100_000, "sent a bad answer: got more than 65536 bytes when reading status line$"),
    ],
    ids=["ssh", "zeros", "long"],
)
def test_not_http(answer: bytes, match: str) -> None:
    raises(answer, ProtocolError, match)


# -- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 100, 10_000_000])
def test_shorter_than_its_content_length(length: int) -> None:
    raises(response(b"[]", headers={"Content-Length": str(length)}), ProtocolError, "cut short")


@pytest.mark.parametrize(
    "framed",
    [
        b"",  # no chunk at all
        b"2\r\n[]\r\n",  # no last chunk
        b"5\r\n[]",  # ends inside a chunk
        b"2\r\n[]",  # ends before the chunk's line end
        b"zz\r\n[]\r\n0\r\n\r\n",  # a size that is none
        b"\r\n[]\r\n0\r\n\r\n",
        b"-5\r\n[]\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_broken(framed: bytes) -> None:
    raises(chunked(framed), ProtocolError, "cut short or badly framed")


def test_a_chunk_of_negative_size_does_not_get_around_the_cap() -> None:
    """http.client takes -1 as a size; from CPython 3.10 on it would then read to the connection's end."""

    def endless(connection: socket.socket, request: bytes) -> None:
        connection.sendall(chunked(b"-1\r\n"))
        while True:
            connection.sendall(b" " * 65536)

    raises(endless, ProtocolError, "badly framed", max_bytes=100_000)


def test_whole_bodies_in_both_framings() -> None:
    with FaultyServer(response(b"[1]")) as server:
        assert fetch(server.url) == b"[1]"
    with FaultyServer(chunked(b"1;name=value\r\n[\r\n2\r\n1]\r\n0\r\nTrailer: x\r\n\r\n")) as server:
        assert fetch(server.url) == b"[1]"


def test_a_body_over_the_cap_is_not_read() -> None:
    body = b"[" + b" " * 200_000 + b"]"
    for answer in (response(body), chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))):
        raises(answer, LimitExceeded, "more than 100,000 bytes", max_bytes=100_000)
        with FaultyServer(answer) as server:
            assert fetch(server.url, max_bytes=len(body)) == body


# -- time ------------------------------------------------------------------------------------------------------------


def drips(prefix: bytes) -> Any:
    """A server that sends one more byte every hundredth of a second, until the client closes."""

    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(prefix)
        while True:
            connection.sendall(b" ")
            time.sleep(0.01)

    return drip


@pytest.mark.parametrize(
    "prefix",
    [
        response(b"[", headers={"Content-Length": "1000000"}),
        response(b"[", headers={"Content-Length": None}),
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"",
    ],
    ids=["content-length", "until-closed", "headers", "status-line"],
)
def test_a_drip_ends_with_the_deadline(prefix: bytes) -> None:
    started = time.monotonic()
    raises(drips(prefix), Timeout, "within 0.3 s", timeout=0.3)
    assert 0.3 <= time.monotonic() - started < 3


def test_silence_ends_with_the_deadline() -> None:
    started = time.monotonic()

    def silent(connection: socket.socket, request: bytes) -> None:
        connection.recv(1)  # until the client closes

    raises(silent, Timeout, "within 0.2 s", timeout=0.2)
    assert time.monotonic() - started < 3


def test_a_connection_that_was_lost_does_not_begin_the_deadline_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    connecting = []
    connect = http._Connection._new_conn

    def noticed(self: http._Connection) -> socket.socket:
        connecting.append(self.timeout)
        return connect(self)

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(response())
        if server.connections == 1:
            connection.recv(4096)  # the next request; and then it closes
            clock.now = 900.0

    monkeypatch.setattr(http._Connection, "_new_conn", noticed)
    monkeypatch.setattr(exchange, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with FaultyServer(serve) as server:
        registry = ConsulRegistry(server.url, timeout=1000.0)
        for _ in range(2):
            with registry.fetch("greeter") as answer:
                assert b"".join(answer.chunks()) == b"[]"
    assert connecting == [1000.0, 100.0]


def test_the_wait_of_a_blocking_query_comes_on_top_of_the_deadline() -> None:
    def silent(connection: socket.socket, request: bytes) -> None:
        connection.recv(1)

    with FaultyServer(silent) as server:
        with pytest.raises(Timeout, match="within 0.3125 s"):
            ConsulRegistry(server.url).fetch("greeter", index=7, wait=0.2, timeout=0.1)


# -- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8500", "ftp://127.0.0.1", "http://", "unix://relative", "unix://", "http://h:1?dc=x", "http://h:1#x",
     "http://h:99999", "http://a b:8500", "http://a\x7f:8500", "http://h:1/é", "http://h:1/a b", "https://h:1/a/é/"],
)  # fmt: skip
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValueError):
        ConsulRegistry(url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="token=") as caught:
        ConsulRegistry("http://user:hush@127.0.0.1:8500")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("token", ["a b", "a\r\nHost: x", "ü"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        ConsulRegistry(token=token)
    assert token not in str(caught.value)


def test_other_arguments() -> None:
    with pytest.raises(TypeError, match="a URL or a consul.Consul is wanted, not int"):
        ConsulRegistry(8500)
    with pytest.raises(ValueError, match="consistency"):
        ConsulRegistry(consistency="eventual")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout"):
        ConsulRegistry(timeout=0)
    with pytest.raises(ValueError, match="empty"):
        ConsulRegistry().fetch("")
    with pytest.raises(TypeError, match="not bytes"):
        ConsulRegistry().fetch(b"x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timeout is a number of seconds, not str"):
        ConsulRegistry(timeout="5")  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_timeouts_that_are_none(timeout: float) -> None:
    with FaultyServer(response()) as server:
        for ask in (ConsulRegistry(server.url).fetch, ConsulRegistry(server.url).begin):
            with pytest.raises(ValueError, match="timeout must be more than 0 seconds, and finite"):
                ask("greeter", timeout=timeout)
        assert not server.requests


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan")])
def test_waits_that_are_none(wait: float) -> None:
    with FaultyServer(response()) as server:
        consul, memory = ConsulRegistry(server.url), MemoryRegistry()
        for ask in (consul.fetch, consul.begin, memory.fetch, memory.begin):
            with pytest.raises(ValueError, match="wait must be 0 seconds or more, and finite, not"):
                ask("greeter", index=7, wait=wait)
            with pytest.raises(TypeError, match="wait is a number of seconds, not str"):
                ask("greeter", index=7, wait="55s")  # type: ignore[arg-type]
        assert not server.requests


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "a\x7fb", "a\x85b"])
def test_a_name_with_control_characters_is_at_fault_and_not_the_agent(name: str) -> None:
    with FaultyServer(response()) as server:
        with pytest.raises(ValueError, match="a service's name has no control characters"):
            ConsulRegistry(server.url).fetch(name)
        assert not server.requests


@pytest.mark.parametrize("name, value, error, said", [
    ("verify", "none.pem", ValueError, "verify='.*none.pem' cannot be read: No such file"),
    ("verify", "junk.pem", ValueError, "verify='.*junk.pem' holds no certificate of an authority"),
    ("verify", "a\0b", ValueError, "verify='.*' cannot be read: embedded null"),
    ("verify", 5, TypeError, "verify= is True, False, or a file or folder as a str, not int"),
    ("verify", Path("none.pem"), TypeError, "verify= .* not PosixPath"),
    ("cert", "none.pem", ValueError, "cert='.*none.pem' cannot be read: No such file"),
    ("cert", ("junk.pem", "none.pem"), ValueError, "cert='.*none.pem' cannot be read: No such file"),
    ("cert", "junk.pem", ValueError, "cert= holds no certificate with its key, .* in '.*junk.pem'"),
    ("cert", ("junk.pem", "junk.pem"), ValueError, "in '.*junk.pem' and '.*junk.pem'"),
    ("cert", ".", ValueError, "cert='.*' cannot be read: Is a directory"),
    ("cert", 5, TypeError, "cert= is a file as a str, or a pair of them"),
    ("cert", ("junk.pem",) * 3, TypeError, "cert= is a file as a str, or a pair of them"),
    ("cert", ("junk.pem", 5), TypeError, "cert= is a file as a str, or a pair of them"),
])  # fmt: skip
def test_papers_that_cannot_be_used(tmp_path: Path, name: str, value: Any, error: Any, said: str) -> None:
    """Each is said with the argument and the file."""
    (tmp_path / "junk.pem").write_text("junk")

    def within(one: Any) -> Any:
        return str(tmp_path / one) if isinstance(one, str) else one

    given = tuple(map(within, value)) if isinstance(value, tuple) else within(value)
    with pytest.raises(error, match=said):
        ConsulRegistry("https://127.0.0.1:1", **{name: given})


def test_whoever_checks_no_certificate_is_warned() -> None:
    for url in ("https://127.0.0.1:1", "HTTPS://127.0.0.1:1"):
        with pytest.warns(Warning, match=f"the certificate of {url} is not checked"):
            ConsulRegistry(url, verify=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConsulRegistry("http://127.0.0.1:1", verify=False)


def test_in_a_child_certificates_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another user's, or in another root: what is read by then would fail far from who can mend it."""
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    registry = ConsulRegistry("https://127.0.0.1:0", verify=str(authorities))
    authorities.rmdir()
    monkeypatch.setattr(os, "getpid", count(os.getpid() + 1).__next__)  # each call finds itself in another child
    for ask in (lambda: registry.fetch("greeter"), registry.services, registry.registered):
        with pytest.raises(Unavailable, match="Connection refused"):
            ask()
    registry.close()


def test_the_settings_of_a_client_can_be_overridden() -> None:
    http = SimpleNamespace(base_uri="http://127.0.0.1:1", verify=True, cert=None)
    client = SimpleNamespace(http=http, token="theirs", dc="dc1", consistency="default")
    taken = ConsulRegistry(client)
    assert (taken.url, taken.datacenter, taken.consistency) == ("http://127.0.0.1:1", "dc1", "default")
    own = ConsulRegistry(client, token="ours", datacenter="dc2", consistency="stale")
    assert (own.datacenter, own.consistency) == ("dc2", "stale")


# -- services() ------------------------------------------------------------------------------------------------------


def test_services() -> None:
    with FaultyServer(response(b'{"b": [], "a": ["x"]}')) as server:
        assert ConsulRegistry(server.url).services() == ["a", "b"]
    assert server.requests[0].startswith(b"GET /v1/catalog/services?stale= ")


@pytest.mark.parametrize(
    "body, said",
    [(b"<html>", "a list of services that is not JSON"), (b"[]", "JSON that is no list"), (b'{"a": 1}', "no list"),
     (b"[" * 200_000, "a list of services that is not JSON")],
    ids=["page", "list", "number", "deep"],
)  # fmt: skip
def test_an_agents_own_services_that_are_none(body: bytes, said: str) -> None:
    with FaultyServer(response(body)) as server:
        with pytest.raises(ProtocolError, match=f"^{server.url} sent .*{said}.*; is this a Consul agent"):
            ConsulRegistry(server.url).registered()


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 200_000], ids=["list", "cut", "no text", "deep"])
def test_services_that_are_none(body: bytes) -> None:
    with FaultyServer(response(body)) as server:
        with pytest.raises(ProtocolError, match="list of services"):
            ConsulRegistry(server.url).services()
