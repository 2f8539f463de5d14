"""httpx with a real server for each node."""

from __future__ import annotations

import gc
import socket
import threading
from collections import Counter
from typing import Any, Iterator, List, Tuple

import pytest

import regcache
from regcache import Cache, Feedback, Node, NoneAvailable, NotFound, Selector
from regcache.integrations import host
from tests import build
from tests.eventually import eventually
from tests.integrations.servers import Handler, Nodes, closed_port
from tests.integrations.tls import papers, trusting
from tests.select.source import Clock, Source
from tests.select.source import nodes as some
from tests.together import HANG, Threads, together

httpx = pytest.importorskip("httpx")
from regcache.integrations.httpx import Transport  # noqa: E402

URL = "http://greeter/hello"


def client(source: Any, **options: Any) -> Any:
    timeout = options.pop("timeout", HANG)
    return httpx.Client(transport=Transport(source, **options), timeout=timeout)


def watched(cache: Cache, **options: Any) -> "Tuple[Selector, Any]":
    """A selector to look at, and a client that uses it."""
    own = {name: options.pop(name) for name in list(options) if name in ("tries", "timeout", "failed_statuses")}
    selector = cache.selector("greeter", **{"strategy": "round_robin", **options})
    return selector, client({"greeter": selector}, **own)


def in_flight(selector: Selector) -> int:
    return selector.status().in_flight


def failures(selector: Selector) -> "List[int]":
    return [peer.failures for peer in selector.status().peers]


def test_the_host_is_the_service(nodes: Nodes, cache: Cache) -> None:
    first, second = nodes.start(2)
    with client(cache, strategy="round_robin") as http:
        answers = [http.get(URL) for _ in range(4)]
    assert Counter(answer.text for answer in answers) == {first.name: 2, second.name: 2}
    method, path, headers, _ = first.requests[0]
    assert (method, path, headers["Host"]) == ("GET", "/hello", "greeter")
    assert str(answers[0].url) == URL, "redirects and cookies are relative to what the caller asked for"


def test_two_calls_to_a_node_use_one_connection(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    with client(cache) as http:
        for _ in range(3):
            http.get(URL)
    assert (len(server.requests), server.connections) == (3, 1)


def test_mounts(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    transport = Transport(cache)
    with httpx.Client(mounts={"all://greeter": transport, "http+regcache://": transport}, timeout=HANG) as http:
        assert http.get(URL).text == server.name
        assert http.get("http+regcache://greeter/hello?a=b").text == server.name
        assert http.get(f"http://127.0.0.1:{server.port}/plain").text == server.name
    assert [path for _, path, _, _ in server.requests] == ["/hello", "/hello?a=b", "/plain"]


@pytest.mark.parametrize("url", ["http://greeter/hello", "http+regcache://greeter/hello"])
@pytest.mark.parametrize("location", ["/there", "there", "http://greeter/there"])
def test_redirects_stay_with_the_service(nodes: Nodes, cache: Cache, url: str, location: str) -> None:
    (server,) = nodes.start(1)

    def behave(handler: Handler) -> None:
        if handler.path == "/hello":
            handler.answer(302, Location=location)
        else:
            handler.answer()

    server.behave = behave
    with client(cache) as http:
        answer = http.get(url, follow_redirects=True)
    assert (answer.text, str(answer.url)) == (server.name, url.replace("hello", "there"))


def test_a_redirect_to_nowhere_costs_the_call_alone(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.answer(302, Location="http://[bad/")
    selector, http = watched(cache)
    with http:
        for _ in range(3):
            assert http.get("http+regcache://greeter/hello").headers["Location"] == "http://[bad/"
        (links,) = http._transport._finder._links.values()
        assert [link.used for link in links._links.values()] == [0] and in_flight(selector) == 0
    assert server.connections == 1


@pytest.mark.parametrize("services", [["greeter"], lambda host: "greeter" if host == "greeter" else None])
def test_other_hosts_go_where_they_say(nodes: Nodes, cache: Cache, services: Any) -> None:
    (server,) = nodes.start(1)
    with client(cache, services=services) as http:
        assert http.get(URL).text == server.name
        assert http.get(f"http://127.0.0.1:{server.port}/plain").text == server.name


@pytest.mark.parametrize("name", ["Say_Hello/v1", "größe", "UPPER case", "a.b-c_d~e"])
def test_any_name_has_a_host(nodes: Nodes, cache: Cache, name: str) -> None:
    (server,) = nodes.start(1)
    nodes.register(server.node, service=name)
    with client(cache) as http:
        assert http.get(f"http://{host(name)}/").text == server.name
    with client({"short": cache.selector(name)}) as http:
        assert http.get("http://short/").text == server.name


def test_a_unicode_name_as_it_is(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(server.node, service="größe")
    with client(cache) as http:
        assert http.get("http://größe/").text == server.name
    assert server.requests[0][2]["Host"] == "xn--gre-6ka8i"


def test_ipv6(nodes: Nodes, cache: Cache) -> None:
    try:
        (server,) = nodes.start(1, host="::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    with client(cache) as http:
        assert http.get(URL).text == server.name


@pytest.mark.parametrize(
    "option, name", [(None, "greeter"), ("other.test", "other.test"), (lambda node: node.id, "greeter-1")]
)
def test_certificates_are_those_of_the_host(nodes: Nodes, cache: Cache, option: Any, name: str) -> None:
    authority, context, _ = papers(name)
    (server,) = nodes.start(1, tls=context)
    trusts = trusting(authority)
    options = {"server_hostname": option, "transport": lambda: httpx.HTTPTransport(verify=trusts)}
    with client(cache, **options) as http:
        assert http.get("https://greeter/").text == server.name
    assert server.names == [name] and server.requests[0][2]["Host"] == "greeter"
    options["server_hostname"] = "wrong.test"
    with client(cache, **options) as http, pytest.raises(httpx.ConnectError, match="wrong.test"):
        http.get("https://greeter/")


def test_a_connection_that_was_verified_for_one_name_is_not_used_for_another(nodes: Nodes, cache: Cache) -> None:
    authority, context, _ = papers("greeter")
    (server,) = nodes.start(1, tls=context)
    trusts = trusting(authority)
    selector = cache.selector("greeter")
    both = {"greeter": selector, "other.test": selector}
    with client(both, transport=lambda: httpx.HTTPTransport(verify=trusts)) as http:
        assert http.get("https://greeter/").text == server.name
        with pytest.raises(httpx.ConnectError, match="other.test"):
            http.get("https://other.test/")
        assert http.get("https://greeter/").text == server.name


def test_port_0_is_the_scheme_s(cache: Cache, nodes: Nodes) -> None:
    nodes.register(Node("greeter-1", "127.0.0.1", 0))
    seen: "List[Any]" = []

    def respond(request: Any) -> Any:
        seen.append(request.url)
        return httpx.Response(200, text="here")

    with client(cache, transport=lambda: httpx.MockTransport(respond)) as http:
        assert http.get(URL).text == "here"
        assert http.get("https://greeter/").text == "here"
    assert [str(url) for url in seen] == ["http://127.0.0.1/hello", "https://127.0.0.1/"]


def test_an_address_that_is_none(nodes: Nodes, cache: Cache) -> None:
    # Nobody can register it, but others than we write into registries, too.
    nodes.registry.put("greeter", build.body(build.entry("greeter-1", address="no/host", Service_Service="greeter")))
    selector, http = watched(cache)
    with http, pytest.raises(httpx.ConnectError, match="'no/host' is not the address of a host"):
        http.get(URL)
    assert failures(selector) == [1]


def test_nodes_that_speak_something_else(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("grpc", "127.0.0.1", closed_port(), metadata={"protocol": "grpc"}))
    with client(cache, strategy="round_robin") as http:
        assert {http.get(URL).text for _ in range(4)} == {server.name}
    nodes.remove(server)
    with client(cache) as http:
        with pytest.raises(httpx.ConnectError, match="protocol") as raised:
            eventually(lambda: http.get(URL) is None)
        assert isinstance(raised.value.__cause__, NoneAvailable)
    with client(cache, protocols=None) as http, pytest.raises(httpx.ConnectError, match="refused"):
        http.get(URL)


# -- errors ----------------------------------------------------------------------------------------------------------


def test_no_such_service(nodes: Nodes, cache: Cache) -> None:
    with client(cache) as http, pytest.raises(httpx.ConnectError, match="greeter") as raised:
        http.get(URL)
    assert isinstance(raised.value.__cause__, NotFound)
    assert str(raised.value) == str(raised.value.__cause__)
    assert raised.value.request.url == URL


def test_finding_counts_in_the_timeout(nodes: Nodes) -> None:
    class Silent:
        blocking = False
        timeout = HANG

        def fetch(self, service: str, **options: Any) -> Any:
            asked.set()
            answer.wait(HANG)
            raise regcache.Unavailable("too late")

        def close(self) -> None: ...

    asked, answer = threading.Event(), threading.Event()
    registry: Any = Silent()
    with Cache(registry) as cache:
        with client(cache, timeout=httpx.Timeout(HANG, connect=0.05)) as http:
            with pytest.raises(httpx.ConnectTimeout) as raised:
                http.get(URL)
        assert asked.is_set() and isinstance(raised.value.__cause__, regcache.Timeout)
        answer.set()


def test_what_is_left_of_the_timeout_is_the_node_s(nodes: Nodes) -> None:
    now = [100.0]
    nodes.register(Node("greeter-1", "127.0.0.1", 80))

    class Slow:
        """Finding takes 2 s of the clock."""

        blocking = False
        timeout = HANG

        def fetch(self, service: str, **options: Any) -> Any:
            now[0] += 2.0
            return nodes.registry.fetch(service)

        def close(self) -> None: ...

    seen: "List[Any]" = []

    def respond(request: Any) -> Any:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200)

    registry: Any = Slow()
    with Cache(registry, clock=lambda: now[0]) as cache:
        with client(cache, timeout=5.0, transport=lambda: httpx.MockTransport(respond)) as http:
            http.get(URL)
            http.get(URL)
    assert seen[0]["read"] == pytest.approx(3.0)
    assert seen[1]["read"] == 5.0


class Tardy:
    """A strategy that takes 6 s of the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def prepare(self, peers: Any) -> Any:
        def pick(key: object) -> Any:
            self._clock.advance(6.0)
            return peers[0]

        return pick


def test_no_time_left_is_not_the_node_s_failure() -> None:
    clock = Clock()
    selector = Selector(Source(*some(1), clock=clock), strategy=Tardy(clock))
    with client({"greeter": selector}, timeout=5.0, tries=2) as http:
        with pytest.raises(httpx.ConnectTimeout, match="finding a node took all of the time"):
            http.get(URL)
    assert failures(selector) == [0] and in_flight(selector) == 0


# -- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_failing_node_is_ejected(nodes: Nodes, cache: Cache, status: int) -> None:
    bad, good = nodes.start(2)
    bad.behave = lambda handler: handler.answer(status)
    events: "List[Any]" = []
    with client(cache, strategy="round_robin", on_event=events.append) as http:
        answers = Counter(http.get(URL).status_code for _ in range(10))
        assert answers == {200: 5, status: 5}
        assert [event.kind for event in events] == ["ejected"]
        assert {http.get(URL).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500])
def test_other_statuses_are_answers(nodes: Nodes, cache: Cache, status: int) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.answer(status)
    selector, http = watched(cache)
    with http:
        assert http.get(URL).status_code == status
    assert failures(selector) == [0] and selector.status().peers[0].latency is not None


def test_which_statuses_are_failures_may_be_told(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, http = watched(cache, failed_statuses={418})
    with http:
        for status, failed in ((503, 0), (418, 1)):
            server.behave = lambda handler, status=status: handler.answer(status)
            http.get(URL)
            assert failures(selector) == [failed]


def test_refused_and_broken_connections_are_failures(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, http = watched(cache)
    with http:
        server.behave = Handler.drop
        with pytest.raises(httpx.RemoteProtocolError):
            http.get(URL)
        server.stop()
        with pytest.raises(httpx.ConnectError) as raised:
            http.get(URL)
        assert raised.value.request.url == URL
    assert failures(selector) == [2] and in_flight(selector) == 0


def test_a_timeout_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    over = threading.Event()
    server.behave = lambda handler: over.wait(HANG)
    selector, http = watched(cache, timeout=httpx.Timeout(HANG, read=0.05))
    with http, pytest.raises(httpx.ReadTimeout):
        http.get(URL)
    over.set()
    assert failures(selector) == [1] and in_flight(selector) == 0


def test_the_caller_s_own_mistakes_are_not(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, http = watched(cache)
    with http:
        http.get(URL)
        with pytest.raises(httpx.LocalProtocolError):
            http.get(URL, headers={"bad": "line\r\nbreak"})
        with pytest.raises(ZeroDivisionError):
            http.post(URL, content=(1 // 0 for _ in range(1)))
    assert failures(selector) == [0] and in_flight(selector) == 0


def test_in_flight_until_the_body_was_read(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    rest = threading.Event()

    def behave(handler: Handler) -> None:
        handler.begin(2)
        handler.wfile.write(b"a")
        handler.wfile.flush()
        rest.wait(HANG)
        handler.wfile.write(b"b")

    server.behave = behave
    selector, http = watched(cache)
    with http:
        with http.stream("GET", URL) as response:
            chunks = response.iter_bytes(1)
            assert next(chunks) == b"a" and in_flight(selector) == 1
            rest.set()
            assert list(chunks) == [b"b"] and in_flight(selector) == 0
        rest.clear()
        with http.stream("GET", URL):
            assert in_flight(selector) == 1
        assert in_flight(selector) == 0, "it was closed unread"
        rest.set()


@pytest.mark.parametrize("status", [200, 503])
def test_a_body_is_read_to_its_end_though_its_node_leaves(nodes: Nodes, cache: Cache, status: int) -> None:
    """Draining nodes say 503, and go."""
    (server,) = nodes.start(1)
    rest = threading.Event()

    def behave(handler: Handler) -> None:
        handler.begin(2_000_000, status)
        handler.wfile.write(b"a" * 1000)
        handler.wfile.flush()
        rest.wait(HANG)
        handler.wfile.write(b"b" * 1_999_000)

    server.behave = behave
    selector, http = watched(cache)
    with http, http.stream("GET", URL) as response:
        read = response.iter_raw(100)
        size = len(next(read))
        nodes.start(1)
        nodes.remove(server)
        eventually(lambda: server.name not in [node.id for node in cache.get("greeter")])
        rest.set()
        assert size + sum(map(len, read)) == 2_000_000


def test_a_body_that_breaks_off_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)

    def behave(handler: Handler) -> None:
        handler.begin(2)
        handler.drop()

    server.behave = behave
    selector, http = watched(cache, tries=3)
    with http, pytest.raises(httpx.RemoteProtocolError):
        http.get(URL)
    assert failures(selector) == [1] and in_flight(selector) == 0 and len(server.requests) == 1


def test_a_response_that_is_forgotten_does_not_keep_a_node_busy(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    selector, http = watched(cache)
    with http:
        response = http.send(http.build_request("GET", URL), stream=True)
        assert in_flight(selector) == 1
        (links,) = http._transport._finder._links.values()  # type: ignore[attr-defined]
        (link,) = links._links.values()
        del response
        gc.collect()
        assert in_flight(selector) == 0 and not link.used and not failures(selector)[0]


# -- retries ---------------------------------------------------------------------------------------------------------


def test_nothing_is_repeated_unless_told(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.answer(503)
    with client(cache) as http:
        assert http.get(URL).status_code == 503
    assert len(server.requests) == 1


@pytest.mark.parametrize("fail", [lambda handler: handler.answer(503), Handler.drop])
def test_another_node_is_tried(nodes: Nodes, cache: Cache, fail: Any) -> None:
    bad, good = nodes.start(2)
    bad.behave = fail
    selector, http = watched(cache, tries=2, feedback=Feedback(failures=0, calls=0))
    with http:
        assert {http.get(URL).text for _ in range(6)} == {good.name}
    assert bad.requests and in_flight(selector) == 0


def test_the_last_answer_is_given(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)
    for server in servers:
        server.behave = lambda handler: handler.answer(503, b"busy")
    with client(cache, tries=5) as http:
        response = http.get(URL)
    assert (response.status_code, response.text) == (503, "busy")
    assert sum(len(server.requests) for server in servers) == 5


@pytest.mark.parametrize("method, content", [("POST", b"x"), ("PATCH", b"x"), ("PUT", "stream")])
def test_what_may_not_be_repeated(nodes: Nodes, cache: Cache, method: str, content: Any) -> None:
    servers = nodes.start(2)
    for server in servers:
        server.behave = lambda handler: handler.answer(503)
        Handler.do_PATCH = Handler.any  # type: ignore[attr-defined]
    body = iter([b"x"]) if content == "stream" else content
    with client(cache, tries=3) as http:
        assert http.request(method, URL, content=body).status_code == 503
    assert sum(len(server.requests) for server in servers) == 1


def test_what_was_not_sent_is_sent_to_another(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("down", "127.0.0.1", closed_port()))

    def body() -> Iterator[bytes]:
        yield b"once"

    with client(cache, tries=2, strategy="round_robin") as http:
        for _ in range(3):
            assert http.post(URL, content=body()).text == server.name
    assert [request[3] for request in server.requests] == [b"once"] * 3


def test_a_body_of_bytes_is_sent_again(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = Handler.drop
    with client(cache, tries=2, strategy="round_robin") as http:
        for _ in range(2):
            assert http.put(URL, content=b"twice").text == good.name
    assert {request[3] for request in [*bad.requests, *good.requests]} == {b"twice"}


def test_consistent_hashing(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    with client(cache, strategy="hash", key=lambda request: request.headers["user"]) as http:
        for user in "abcdef":
            assert len({http.get(URL, headers={"user": user}).text for _ in range(4)}) == 1


# -- nodes come and go -----------------------------------------------------------------------------------------------


def test_a_node_leaves_while_calls_go_on(nodes: Nodes, cache: Cache) -> None:
    gone, stays = nodes.start(2)
    entered, over, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(handler: Handler) -> None:
        if handler.path == "/slow":
            entered.set()
            over.wait(HANG)
        handler.answer()

    gone.behave = stays.behave = slow
    with client(cache, strategy="round_robin") as http:

        def work(number: int) -> "List[str]":
            if number == 0:
                return [http.get("http://greeter/slow").text]
            seen = []
            while not stop.is_set():
                seen.append(http.get(URL).text)
            return seen

        threads = Threads(4, work)
        assert entered.wait(HANG)
        first = gone if any(path == "/slow" for _, path, _, _ in gone.requests) else stays
        nodes.remove(first)
        links = next(iter(http._transport._finder._links.values()))
        last = eventually(lambda: http.get(URL).text != first.name and first)
        eventually(lambda: {http.get(URL).text for _ in range(8)} == {stays.name if first is gone else gone.name})
        assert len(links) == 2, "the call to the node that is gone is not over"
        over.set()
        eventually(lambda: len(links) == 1)
        stop.set()
        assert threads.join()[0] == [last.name]


def test_what_is_open_to_nodes_that_are_gone_is_closed(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    with client(cache) as http:
        for _ in range(5):
            http.get(URL)
            old = nodes.servers[-1]
            (server,) = nodes.start(1)
            nodes.remove(old)
            eventually(lambda server=server: http.get(URL).text == server.name)
        links = next(iter(http._transport._finder._links.values()))
        eventually(lambda: len(links) == 1)


def test_many_threads(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector, http = watched(cache, strategy="p2c")
    with http:
        answers = together(8, lambda number: [http.get(URL).status_code for _ in range(20)])
    assert answers == [[200] * 20] * 8 and in_flight(selector) == 0


# -- the end ---------------------------------------------------------------------------------------------------------


def test_closing_leaves_the_cache_open(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    http = client(cache)
    http.get(URL)
    transport = http._transport
    http.close()
    assert cache.get("greeter").nodes
    with pytest.raises(httpx.ConnectError, match="closed"):
        transport.handle_request(httpx.Request("GET", URL))


def test_one_that_cannot_be_closed_keeps_nothing_else_open(nodes: Nodes, cache: Cache) -> None:
    class Stays(httpx.HTTPTransport):  # type: ignore[misc]
        closed = 0

        def close(self) -> None:
            super().close()
            Stays.closed += 1
            raise OSError("it stays open")

    nodes.start(2)
    http = client(cache, strategy="round_robin", transport=Stays)
    for _ in range(2):
        http.get(URL)
    with pytest.raises(OSError, match="it stays open"):
        http.close()
    assert Stays.closed == 2
    with pytest.raises(httpx.ConnectError, match="the client is closed"):
        http._transport.handle_request(httpx.Request("GET", URL))


def test_a_retry_that_is_interrupted_gives_the_node_back(nodes: Nodes, cache: Cache) -> None:
    class Interrupted(httpx.SyncByteStream):  # type: ignore[misc]
        def close(self) -> None:
            raise KeyboardInterrupt

    class Failing(httpx.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            return httpx.Response(503, stream=Interrupted())

    nodes.start(2)
    with client(cache, tries=2, transport=Failing) as http:
        with pytest.raises(KeyboardInterrupt):
            http.get(URL)
        (links,) = http._transport._finder._links.values()
        assert [link.used for link in links._links.values()] == [0]


def test_a_cache_of_its_own_is_closed(tmp_path: Any) -> None:
    with client(f"file://{tmp_path}") as http:
        with pytest.raises(httpx.ConnectError):
            http.get(URL)
        opened = http._transport._finder.services._opened
    with pytest.raises(regcache.Unavailable):
        opened.get("greeter")


def test_wrong_arguments(cache: Cache) -> None:
    for options in ({"tries": 0}, {"strategy": "best"}):
        with pytest.raises((ValueError, httpx.ConnectError)), client(cache, **options) as http:
            http.get(URL)
    with pytest.raises(TypeError, match="not 3"):
        Transport(3)
    with pytest.raises(TypeError, match="services are several hosts"):
        Transport(cache, services="greeter")
    with pytest.raises(TypeError, match="strategy"):
        Transport({}, strategy="random")


def test_an_unused_socket_is_not_left(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    http = client(
        cache, transport=lambda: httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
    )
    assert http.get(URL).status_code == 200
    http.close()
