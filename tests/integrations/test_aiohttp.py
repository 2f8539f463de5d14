"""aiohttp with a real server for each node."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import Counter
from typing import Any, AsyncIterator, Callable, Coroutine, List

import pytest

from regcache import Cache, Feedback, Node, NotFound
from regcache.integrations import host
from tests.integrations.servers import Handler, Nodes, closed_port
from tests.integrations.test_httpx import failures, in_flight
from tests.integrations.tls import papers, trusting
from tests.together import HANG

aiohttp = pytest.importorskip("aiohttp")
from regcache.integrations.aiohttp import Middleware  # noqa: E402

URL = "http://greeter/hello"


class Session:
    """A session with the middleware, and both are closed."""

    def __init__(self, source: Any, total: float = HANG, connector: Any = None, **options: Any) -> None:
        self.middleware = Middleware(source, **options)
        self._session = aiohttp.ClientSession(
            middlewares=[self.middleware], timeout=aiohttp.ClientTimeout(total=total), connector=connector
        )

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._session.close()
        await self.middleware.__aexit__(None, None, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def text(self, url: str = URL, method: str = "GET", **options: Any) -> str:
        async with self._session.request(method, url, **options) as response:
            return str(await response.text())

    async def status(self, url: str = URL, method: str = "GET", **options: Any) -> int:
        async with self._session.request(method, url, **options) as response:
            await response.read()
            return int(response.status)


def run(work: "Callable[[], Coroutine[Any, Any, None]]") -> None:
    async def main() -> None:
        await asyncio.wait_for(work(), HANG)

    asyncio.run(main())


async def until(condition: "Callable[[], object]") -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_the_host_is_the_service(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)

    async def work() -> None:
        async with Session(cache, strategy="round_robin") as http:
            assert Counter([await http.text() for _ in range(6)]) == {server.name: 3 for server in servers}
            async with http.get(URL) as response:
                assert str(response.url) == URL

    run(work)
    method, path, headers, _ = servers[0].requests[0]
    assert (method, path, headers["Host"]) == ("GET", "/hello", "greeter")
    assert [server.connections for server in servers] == [1, 1], "each keeps its connection"


def test_redirects_stay_with_the_service(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: (
        handler.answer(302, Location="/there") if handler.path == "/hello" else handler.answer()
    )

    async def work() -> None:
        async with Session(cache) as http:
            assert await http.text() == server.name

    run(work)
    assert [request[1] for request in server.requests] == ["/hello", "/there"]


@pytest.mark.parametrize("services", [["greeter"], lambda host: "greeter" if host == "greeter" else None])
def test_other_hosts_go_where_they_say(nodes: Nodes, cache: Cache, services: Any) -> None:
    (server,) = nodes.start(1)

    async def work() -> None:
        async with Session(cache, services=services) as http:
            assert await http.text() == server.name
            assert await http.text(f"http://127.0.0.1:{server.port}/plain") == server.name

    run(work)


@pytest.mark.parametrize("name", ["Say_Hello/v1", "größe", "UPPER case"])
def test_any_name_has_a_host(nodes: Nodes, cache: Cache, name: str) -> None:
    (server,) = nodes.start(1)
    nodes.register(server.node, service=name)

    async def work() -> None:
        async with Session(cache) as http:
            assert await http.text(f"http://{host(name)}/") == server.name
            if name == "größe":
                assert await http.text("http://größe/") == server.name
        async with Session({"short": cache.selector(name)}) as http:
            assert await http.text("http://short/") == server.name

    run(work)


def test_ipv6(nodes: Nodes, cache: Cache) -> None:
    try:
        (server,) = nodes.start(1, host="::1")
    except OSError:
        pytest.skip("there is no IPv6 here")

    async def work() -> None:
        async with Session(cache) as http:
            assert await http.text() == server.name

    run(work)


@pytest.mark.parametrize(
    "option, name", [(None, "greeter"), ("other.test", "other.test"), (lambda node: node.id, "greeter-1")]
)
def test_certificates_are_those_of_the_host(nodes: Nodes, cache: Cache, option: Any, name: str) -> None:
    authority, context, _ = papers(name)
    (server,) = nodes.start(1, tls=context)
    trusts = trusting(authority)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Session({"greeter": selector}, server_hostname=option) as http:
            assert await http.text("https://greeter/", ssl=trusts) == server.name
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match="wrong.test"):
                await http.text("https://greeter/", ssl=trusts, server_hostname="wrong.test")

    run(work)
    assert server.names[0] == name and server.requests[0][2]["Host"] == "greeter"
    assert failures(selector) == [1]


# -- errors ----------------------------------------------------------------------------------------------------------


def test_no_such_service(nodes: Nodes, cache: Cache) -> None:
    async def work() -> None:
        async with Session(cache) as http:
            with pytest.raises(aiohttp.ClientConnectionError, match="greeter") as raised:
                await http.text()
            assert isinstance(raised.value.__cause__, NotFound)
            assert str(raised.value) == str(raised.value.__cause__)

    run(work)


class Silent:
    """A registry that answers when it is told to."""

    blocking = False
    timeout = HANG

    def __init__(self) -> None:
        self.answer = threading.Event()

    def fetch(self, service: str, **options: Any) -> Any:
        self.answer.wait(HANG)
        raise NotFound("too late")

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "cold_wait, total, kind", [(0.05, HANG, "ConnectionTimeoutError"), (HANG, 0.05, "TimeoutError")]
)
def test_finding_counts_in_the_timeout(cold_wait: float, total: float, kind: str) -> None:
    registry: Any = Silent()

    async def work() -> None:
        async with Session(cache, total=total) as http:
            with pytest.raises(asyncio.TimeoutError) as raised:
                await http.text()
            assert type(raised.value).__name__ == kind

    with Cache(registry, cold_wait=cold_wait) as cache:
        run(work)
        registry.answer.set()


# -- outcomes --------------------------------------------------------------------------------------------------------


def test_a_failing_node_is_ejected(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = lambda handler: handler.answer(503)
    events: "List[Any]" = []

    async def work() -> None:
        async with Session(cache, strategy="round_robin", on_event=events.append) as http:
            assert Counter([await http.status() for _ in range(10)]) == {200: 5, 503: 5}
            assert [event.kind for event in events] == ["ejected"]
            assert {await http.status() for _ in range(10)} == {200}

    run(work)


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_other_statuses_are_answers(nodes: Nodes, cache: Cache, status: int) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.answer(status, b"")
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Session({"greeter": selector}) as http:
            assert await http.status() == status

    run(work)
    assert failures(selector) == [0] and in_flight(selector) == 0


def test_refused_and_broken_connections_are_failures(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Session({"greeter": selector}) as http:
            server.behave = Handler.drop
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await http.text(method="POST")
            server.stop()
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.text()

    run(work)
    assert failures(selector) == [2] and in_flight(selector) == 0


@pytest.mark.parametrize("part", ["headers", "body"])
@pytest.mark.parametrize("total", [0.3, None])
def test_a_timeout_is_a_failure(nodes: Nodes, cache: Cache, total: Any, part: str) -> None:
    (server,) = nodes.start(1)
    over = threading.Event()
    selector = cache.selector("greeter")

    def behave(handler: Handler) -> None:
        if part == "body":
            handler.begin(2)
        over.wait(HANG)

    async def work() -> None:
        cache.get("greeter")
        async with Session({"greeter": selector}) as http:
            server.behave = behave
            timeout = aiohttp.ClientTimeout(total=total, sock_read=None if total else 0.05)
            with pytest.raises(asyncio.TimeoutError):
                await http.text(timeout=timeout)

    run(work)
    over.set()
    assert failures(selector) == [1] and in_flight(selector) == 0


def test_a_timeout_while_connecting_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    """The session's timeout reaches the middleware as a cancellation."""
    nodes.start(1)
    selector = cache.selector("greeter")

    class Stuck(aiohttp.TCPConnector):  # type: ignore[misc]
        async def connect(self, *args: Any, **options: Any) -> Any:
            await asyncio.Event().wait()

    async def work() -> None:
        cache.get("greeter")
        async with Session({"greeter": selector}, total=0.05, connector=Stuck()) as http:
            with pytest.raises(asyncio.TimeoutError):
                await http.text()

    run(work)
    assert failures(selector) == [1] and in_flight(selector) == 0


@pytest.mark.parametrize("part", ["headers", "body"])
def test_cancelled_tasks_say_nothing(nodes: Nodes, cache: Cache, part: str) -> None:
    (server,) = nodes.start(1)
    entered, over = threading.Event(), threading.Event()
    selector = cache.selector("greeter")

    def behave(handler: Handler) -> None:
        if part == "body":
            handler.begin(2)
        entered.set()
        over.wait(HANG)

    server.behave = behave

    async def work() -> None:
        async with Session({"greeter": selector}) as http:
            task = asyncio.ensure_future(http.text())
            await until(entered.is_set)
            assert in_flight(selector) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert in_flight(selector) == 0 and failures(selector) == [0]
            assert selector.status().peers[0].latency is None

    run(work)
    over.set()


def test_in_flight_until_the_body_was_read(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    rest = threading.Event()
    selector = cache.selector("greeter")

    def behave(handler: Handler) -> None:
        handler.begin(2)
        rest.wait(HANG)
        handler.wfile.write(b"ab")

    server.behave = behave

    async def work() -> None:
        async with Session({"greeter": selector}) as http:
            async with http.get(URL) as response:
                assert in_flight(selector) == 1
                rest.set()
                assert await response.read() == b"ab"
                assert in_flight(selector) == 0
            rest.clear()
            async with http.get(URL):
                assert in_flight(selector) == 1
            assert in_flight(selector) == 0, "it was closed unread"
            rest.set()

    run(work)
    assert failures(selector) == [0]


def test_a_body_that_breaks_off_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector = cache.selector("greeter")

    def behave(handler: Handler) -> None:
        handler.begin(2)
        handler.drop()

    server.behave = behave

    async def work() -> None:
        async with Session({"greeter": selector}, tries=3) as http:
            with pytest.raises(aiohttp.ClientPayloadError):
                await http.text()

    run(work)
    assert failures(selector) == [1] and in_flight(selector) == 0 and len(server.requests) == 1


# -- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail", [lambda handler: handler.answer(503), Handler.drop])
@pytest.mark.parametrize("body", [None, b"twice", "twice"])
def test_another_node_is_tried(nodes: Nodes, cache: Cache, fail: Any, body: Any) -> None:
    bad, good = nodes.start(2)
    bad.behave = fail
    selector = cache.selector("greeter", "round_robin", feedback=Feedback(failures=0, calls=0))

    async def work() -> None:
        async with Session({"greeter": selector}, tries=2) as http:
            assert {await http.text(method="PUT", data=body) for _ in range(4)} == {good.name}

    run(work)
    assert {request[3] for request in [*bad.requests, *good.requests]} == {b"" if body is None else b"twice"}
    assert bad.requests and in_flight(selector) == 0


@pytest.mark.parametrize("method, body", [("POST", b"x"), ("PUT", "stream")])
def test_what_may_not_be_repeated(nodes: Nodes, cache: Cache, method: str, body: Any) -> None:
    servers = nodes.start(2)
    for server in servers:
        server.behave = lambda handler: handler.answer(503)

    async def work() -> None:
        async with Session(cache, tries=3) as http:
            assert await http.status(method=method, data=io.BytesIO(b"x") if body == "stream" else body) == 503

    run(work)
    assert sum(len(server.requests) for server in servers) == 1


def test_what_was_not_sent_is_sent_to_another(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("down", "127.0.0.1", closed_port()))

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async def work() -> None:
        async with Session(cache, tries=2, strategy="round_robin") as http:
            for _ in range(3):
                assert await http.text(method="POST", data=body()) == server.name

    run(work)
    assert [request[3] for request in server.requests] == [b"once"] * 3


# -- nodes come and go, and the end ----------------------------------------------------------------------------------


def test_a_node_leaves_while_calls_go_on(nodes: Nodes, cache: Cache) -> None:
    gone, stays = nodes.start(2)
    entered, over = threading.Event(), threading.Event()

    def slow(handler: Handler) -> None:
        if handler.path == "/slow":
            entered.set()
            over.wait(HANG)
        handler.answer()

    gone.behave = stays.behave = slow

    async def work() -> None:
        async with Session(cache) as http:
            task = asyncio.ensure_future(http.text("http://greeter/slow"))
            await until(entered.is_set)
            first, other = (gone, stays) if gone.requests else (stays, gone)
            nodes.remove(first)
            while {await http.text() for _ in range(8)} != {other.name}:
                pass
            over.set()
            assert await task == first.name

    run(work)


def test_many_tasks(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with Session({"greeter": selector}) as http:
            assert set(await asyncio.gather(*(http.status() for _ in range(50)))) == {200}

    run(work)
    assert in_flight(selector) == 0


def test_closing_leaves_the_cache_open(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)

    async def work() -> None:
        async with Session(cache) as http:
            await http.text()
            http.middleware.close()
            with pytest.raises(aiohttp.ClientConnectionError, match="closed"):
                await http.text()
        assert cache.get("greeter").nodes

    run(work)
