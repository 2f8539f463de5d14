"""httpx on asyncio, with a real server for each node. What both transports share is tested with the other one."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any, AsyncIterator, Callable, Coroutine, List

import pytest

from regcache import Cache, Feedback, Node, NotFound, Timeout
from tests.integrations.servers import Handler, Nodes, closed_port
from tests.integrations.test_httpx import failures, in_flight
from tests.together import HANG

httpx = pytest.importorskip("httpx")
from regcache.integrations.httpx import AsyncTransport  # noqa: E402

URL = "http://greeter/hello"


def client(source: Any, **options: Any) -> Any:
    timeout = options.pop("timeout", HANG)
    return httpx.AsyncClient(transport=AsyncTransport(source, **options), timeout=timeout)


def run(work: "Callable[[], Coroutine[Any, Any, None]]") -> None:
    asyncio.run(asyncio.wait_for(work(), HANG))


async def until(condition: "Callable[[], object]") -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_nodes_are_called_in_turn(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)

    async def work() -> None:
        async with client(cache, strategy="round_robin") as http:
            answers = Counter([(await http.get(URL)).text for _ in range(6)])
            assert answers == {server.name: 3 for server in servers}
            plain = f"http://127.0.0.1:{servers[0].port}/"
        async with client(cache, services=["greeter"]) as http:
            assert (await http.get(plain)).text == servers[0].name

    run(work)
    assert servers[0].requests[0][2]["Host"] == "greeter"
    assert [server.connections for server in servers] == [2, 1], "one, and one of the plain call"


def test_many_tasks(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with client({"greeter": selector}) as http:
            answers = await asyncio.gather(*(http.get(URL) for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}

    run(work)
    assert in_flight(selector) == 0


def test_errors(nodes: Nodes, cache: Cache) -> None:
    async def work() -> None:
        async with client(cache) as http:
            with pytest.raises(httpx.ConnectError, match="greeter") as raised:
                await http.get(URL)
            assert isinstance(raised.value.__cause__, NotFound)

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
        async with client(cache, timeout=httpx.Timeout(HANG, connect=0.05)) as http:
            with pytest.raises(httpx.ConnectTimeout) as raised:
                await http.get(URL)
            assert isinstance(raised.value.__cause__, Timeout)

    with Cache(registry) as cache:
        run(work)
        answer.set()


@pytest.mark.parametrize("fail", [lambda handler: handler.answer(503), Handler.drop])
def test_another_node_is_tried(nodes: Nodes, cache: Cache, fail: Any) -> None:
    bad, good = nodes.start(2)
    bad.behave = fail
    selector = cache.selector("greeter", "round_robin", feedback=Feedback(failures=0, calls=0))

    async def work() -> None:
        async with client({"greeter": selector}, tries=2) as http:
            assert {(await http.get(URL)).text for _ in range(6)} == {good.name}

    run(work)
    assert bad.requests and in_flight(selector) == 0


def test_what_was_not_sent_is_sent_to_another(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("down", "127.0.0.1", closed_port()))

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async def work() -> None:
        async with client(cache, tries=2, strategy="round_robin") as http:
            for _ in range(3):
                assert (await http.post(URL, content=body())).text == server.name

    run(work)
    assert [request[3] for request in server.requests] == [b"once"] * 3


def test_failing_nodes_are_ejected(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = lambda handler: handler.answer(503)
    events: "List[Any]" = []

    async def work() -> None:
        async with client(cache, strategy="round_robin", on_event=events.append) as http:
            for _ in range(10):
                await http.get(URL)
            assert [event.kind for event in events] == ["ejected"]
            assert {(await http.get(URL)).status_code for _ in range(10)} == {200}

    run(work)


def test_cancelled_tasks_say_nothing(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    entered, over = threading.Event(), threading.Event()
    selector = cache.selector("greeter")

    def behave(handler: Handler) -> None:
        if handler.path == "/body":
            handler.begin(2)
        entered.set()
        over.wait(HANG)

    server.behave = behave

    async def work() -> None:
        async with client({"greeter": selector}) as http:
            for path in ("headers", "body"):
                entered.clear()
                task = asyncio.ensure_future(http.get(f"http://greeter/{path}"))
                await until(entered.is_set)
                assert in_flight(selector) == 1
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert in_flight(selector) == 0 and failures(selector) == [0]

    run(work)
    over.set()


def test_in_flight_until_the_body_was_read(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with client({"greeter": selector}) as http:
            async with http.stream("GET", URL) as response:
                assert in_flight(selector) == 1
                assert await response.aread() == server.name.encode()
                assert in_flight(selector) == 0
            async with http.stream("GET", URL):
                assert in_flight(selector) == 1
            assert in_flight(selector) == 0

    run(work)
    assert failures(selector) == [0]


def test_a_timeout_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    over = threading.Event()
    server.behave = lambda handler: over.wait(HANG)
    selector = cache.selector("greeter")

    async def work() -> None:
        async with client({"greeter": selector}, timeout=httpx.Timeout(HANG, read=0.05)) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.get(URL)

    run(work)
    over.set()
    assert failures(selector) == [1] and in_flight(selector) == 0


def test_what_is_open_to_nodes_that_are_gone_is_closed(nodes: Nodes, cache: Cache) -> None:
    (first,) = nodes.start(1)

    async def work() -> None:
        async with client(cache) as http:
            await http.get(URL)
            (second,) = nodes.start(1)
            nodes.remove(first)
            links = next(iter(http._transport._finder._links.values()))
            while (await http.get(URL)).text != second.name:
                pass
            await until(lambda: len(links) == 1)

    run(work)


def test_a_retry_that_is_cancelled_gives_the_node_back(nodes: Nodes, cache: Cache) -> None:
    nodes.start(2)

    async def work() -> None:
        closing = asyncio.Event()

        class Slow(httpx.AsyncByteStream):  # type: ignore[misc]
            async def aclose(self) -> None:
                closing.set()
                await asyncio.Event().wait()

        class Failing(httpx.AsyncBaseTransport):  # type: ignore[misc]
            async def handle_async_request(self, request: Any) -> Any:
                return httpx.Response(503, stream=Slow())

        async with client(cache, tries=2, transport=Failing) as http:
            task = asyncio.ensure_future(http.get(URL))
            await closing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (links,) = http._transport._finder._links.values()
            assert [link.used for link in links._links.values()] == [0]

    run(work)


def test_one_that_cannot_be_closed_keeps_nothing_else_open(nodes: Nodes, cache: Cache) -> None:
    class Stays(httpx.AsyncHTTPTransport):  # type: ignore[misc]
        closed = 0

        async def aclose(self) -> None:
            await super().aclose()
            Stays.closed += 1
            raise OSError("it stays open")

    nodes.start(2)

    async def work() -> None:
        http = client(cache, strategy="round_robin", transport=Stays)
        for _ in range(2):
            await http.get(URL)
        with pytest.raises(OSError, match="it stays open"):
            await http.aclose()
        assert Stays.closed == 2
        with pytest.raises(httpx.ConnectError, match="the client is closed"):
            await http._transport.handle_async_request(httpx.Request("GET", URL))

    run(work)
