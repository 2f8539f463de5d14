"""requests with a real server for each node."""

from __future__ import annotations

import gc
import io
import sys
import threading
import warnings
from collections import Counter
from typing import Any, List, Tuple

import pytest

import regcache
from regcache import Cache, Feedback, Node, NotFound, Selector
from regcache.integrations import host
from tests.eventually import eventually
from tests.integrations.servers import Handler, Nodes, closed_port
from tests.integrations.test_httpx import Tardy, failures, in_flight
from tests.integrations.tls import papers
from tests.select.source import Clock, Source
from tests.select.source import nodes as some
from tests.together import HANG, together

requests = pytest.importorskip("requests")
import urllib3  # noqa: E402

from regcache.integrations.requests import Adapter, NodeAdapter  # noqa: E402

URL = "http+regcache://greeter/hello"


class Session(requests.Session):  # type: ignore[misc]
    """With the adapter at both places, and a timeout."""

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__()
        self.trust_env = False
        self.adapter = Adapter(source, **options)
        for prefix in ("http+regcache://", "https+regcache://", "http://greeter/"):
            self.mount(prefix, self.adapter)

    def request(self, method: str, url: str, timeout: Any = HANG, **options: Any) -> Any:
        return super().request(method, url, timeout=timeout, **options)


def watched(cache: Cache, tries: int = 1, **options: Any) -> "Tuple[Selector, Session]":
    selector = cache.selector("greeter", **{"strategy": "round_robin", **options})
    return selector, Session({"greeter": selector}, tries=tries)


def test_the_host_is_the_service(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(2)
    for server in servers:
        server.behave = lambda handler: handler.answer(Set_Cookie="who=me")
    with Session(cache, strategy="round_robin") as http:
        answers = [http.get(URL, params={"a": "b"}) for _ in range(2)]
        answers += [http.get("http://greeter/hello?a=b") for _ in range(2)]
    assert Counter(answer.text for answer in answers) == {server.name: 2 for server in servers}
    method, path, headers, _ = servers[0].requests[0]
    assert (method, path, headers["Host"]) == ("GET", "/hello?a=b", "greeter")
    assert answers[0].url == answers[0].request.url == URL + "?a=b"
    assert answers[0].cookies["who"] == "me" and http.cookies["who"] == "me"


def test_the_host_header_may_be_chosen(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    with Session(cache) as http:
        http.get(URL, headers={"Host": "other"})
        http.get("http+regcache://greeter:81/")
    assert [request[2]["Host"] for request in server.requests] == ["other", "greeter:81"]


@pytest.mark.parametrize("location", ["/there", "there", "http://greeter/there"])
def test_redirects_stay_with_the_service(nodes: Nodes, cache: Cache, location: str) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: (
        handler.answer(302, Location=location) if handler.path == "/hello" else handler.answer()
    )
    selector, http = watched(cache)
    with http:
        answer = http.get(URL)
    assert (answer.text, answer.url) == (server.name, "http+regcache://greeter/there")
    assert in_flight(selector) == 0


def test_two_calls_to_a_node_use_one_connection(nodes: Nodes, cache: Cache) -> None:
    servers = nodes.start(12)
    with Session(cache, strategy="round_robin") as http:
        for _ in range(36):
            http.get(URL)
        http.head(URL)
    assert {server.connections for server in servers} == {1}, "also with more nodes than requests has pools for"


@pytest.mark.parametrize("services", [["greeter"], lambda host: "greeter" if host == "greeter" else None])
def test_other_hosts_go_where_they_say(nodes: Nodes, cache: Cache, services: Any) -> None:
    (server,) = nodes.start(1)
    with Session(cache, services=services) as http:
        http.mount("http://", http.adapter)
        assert http.get("http://greeter/").text == server.name
        assert http.get(f"http://127.0.0.1:{server.port}/plain").text == server.name


@pytest.mark.parametrize("name", ["Say_Hello/v1", "größe", "UPPER case"])
def test_any_name_has_a_host(nodes: Nodes, cache: Cache, name: str) -> None:
    (server,) = nodes.start(1)
    nodes.register(server.node, service=name)
    with Session(cache) as http:
        assert http.get(f"http+regcache://{host(name)}/").text == server.name
    with Session({"greeter": cache.selector(name)}) as http:
        assert http.get("http://greeter/").text == server.name


def test_a_unicode_name_as_it_is(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(server.node, service="größe")
    with Session(cache) as http:
        assert http.get("http+regcache://größe/").text == server.name


def test_ipv6(nodes: Nodes, cache: Cache) -> None:
    try:
        (server,) = nodes.start(1, host="::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    with Session(cache) as http:
        assert http.get(URL).text == server.name


def test_port_0_is_the_scheme_s(nodes: Nodes, cache: Cache) -> None:
    seen = []

    class Noting(NodeAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            seen.append(request.url)
            raise requests.ConnectionError("noted")

    nodes.register(Node("greeter-1", "127.0.0.1", 0))
    with Session(cache, adapter=Noting) as http, pytest.raises(requests.ConnectionError, match="noted"):
        http.get(URL)
    assert seen == ["http://127.0.0.1/hello"]


@pytest.mark.parametrize(
    "option, name", [(None, "greeter"), ("other.test", "other.test"), (lambda node: node.id, "greeter-1")]
)
def test_certificates_are_those_of_the_host(nodes: Nodes, cache: Cache, option: Any, name: str, tmp_path: Any) -> None:
    authority, context, _ = papers(name)
    trusted = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    (server,) = nodes.start(1, tls=context)
    with Session(cache, server_hostname=option) as http:
        assert http.get("https+regcache://greeter/", verify=trusted).text == server.name
    assert server.names == [name] and server.requests[0][2]["Host"] == "greeter"
    selector = cache.selector("greeter")
    with Session({"greeter": selector}, server_hostname="wrong.test") as http:
        with pytest.raises(requests.exceptions.SSLError, match="wrong.test"):
            http.get("https+regcache://greeter/", verify=trusted)
    assert failures(selector) == [1]


# -- errors ----------------------------------------------------------------------------------------------------------


def test_no_such_service(nodes: Nodes, cache: Cache) -> None:
    with Session(cache) as http, pytest.raises(requests.ConnectionError, match="greeter") as raised:
        http.get(URL)
    assert isinstance(raised.value.__cause__, NotFound)
    assert str(raised.value) == str(raised.value.__cause__)
    assert raised.value.request.url == URL


@pytest.mark.parametrize(
    "timeout",
    [(0.05, HANG), 0.05, urllib3.Timeout(total=0.05), urllib3.Timeout(connect=0.05, read=HANG),
     urllib3.Timeout(connect=0.05, total=HANG)],
)  # fmt: skip
def test_finding_counts_in_the_timeout(timeout: Any) -> None:
    class Silent:
        blocking = False
        timeout = HANG

        def fetch(self, service: str, **options: Any) -> Any:
            answer.wait(HANG)
            raise regcache.Unavailable("too late")

        def close(self) -> None: ...

    answer = threading.Event()
    registry: Any = Silent()
    with Cache(registry) as cache:
        with Session(cache) as http, pytest.raises(requests.ConnectTimeout) as raised:
            http.get(URL, timeout=timeout)
        assert isinstance(raised.value.__cause__, regcache.Timeout)
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

    seen = []

    class Noting(NodeAdapter):
        def send(self, request: Any, timeout: Any = None, **options: Any) -> Any:
            seen.append(timeout)
            raise requests.ConnectionError("noted")

    registry: Any = Slow()
    for timeout in (5.0, (6.0, 5.0), urllib3.Timeout(total=5.0)):
        with Cache(registry, clock=lambda: now[0]) as cache, Session(cache, adapter=Noting) as http:
            with pytest.raises(requests.ConnectionError, match="noted"):
                http.get(URL, timeout=timeout)
    assert seen[0][1] == pytest.approx(3.0) and seen[1][1] == pytest.approx(4.0)
    assert seen[2].total == pytest.approx(3.0)


@pytest.mark.parametrize("timeout", [5.0, urllib3.Timeout(total=5.0)])
def test_no_time_left_is_not_the_node_s_failure(timeout: Any) -> None:
    clock = Clock()
    selector = Selector(Source(*some(1), clock=clock), strategy=Tardy(clock))
    with Session({"greeter": selector}, tries=2) as http:
        with pytest.raises(requests.ConnectTimeout, match="finding a node took all of the time"):
            http.get(URL, timeout=timeout)
    assert failures(selector) == [0] and in_flight(selector) == 0


# -- outcomes --------------------------------------------------------------------------------------------------------


def test_a_failing_node_is_ejected(nodes: Nodes, cache: Cache) -> None:
    bad, good = nodes.start(2)
    bad.behave = lambda handler: handler.answer(503)
    events: "List[Any]" = []
    with Session(cache, strategy="round_robin", on_event=events.append) as http:
        assert Counter(http.get(URL).status_code for _ in range(10)) == {200: 5, 503: 5}
        assert [event.kind for event in events] == ["ejected"]
        assert {http.get(URL).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_other_statuses_are_answers(nodes: Nodes, cache: Cache, status: int) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.answer(status, b"")
    selector, http = watched(cache)
    with http:
        assert http.get(URL).status_code == status
    assert failures(selector) == [0] and in_flight(selector) == 0


def test_refused_and_broken_connections_are_failures(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, http = watched(cache)
    with http:
        server.behave = Handler.drop
        with pytest.raises(requests.ConnectionError):
            http.get(URL)
        server.stop()
        with pytest.raises(requests.ConnectionError) as raised:
            http.get(URL)
        assert raised.value.request.url == URL
    assert failures(selector) == [2] and in_flight(selector) == 0


def test_a_timeout_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    over = threading.Event()
    server.behave = lambda handler: over.wait(HANG)
    selector, http = watched(cache)
    with http, pytest.raises(requests.ReadTimeout):
        http.get(URL, timeout=(HANG, 0.05))
    over.set()
    assert failures(selector) == [1] and in_flight(selector) == 0


def test_the_caller_s_own_mistakes_are_not(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    selector, http = watched(cache)
    with http, pytest.raises(ZeroDivisionError):
        http.post(URL, data=(1 // 0 for _ in range(1)))
    assert failures(selector) == [0] and in_flight(selector) == 0


def test_in_flight_until_the_body_was_read(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    selector, http = watched(cache)
    with http:
        with http.get(URL, stream=True) as response:
            assert in_flight(selector) == 1
            assert response.content == server.name.encode()
            assert in_flight(selector) == 0
        for close in ("close", "raw.close", "forgotten"):
            response = http.get(URL, stream=True)
            assert in_flight(selector) == 1
            if close == "close":
                response.close()
            elif close == "raw.close":
                response.raw.close()
            else:
                del response
            assert in_flight(selector) == 0
    assert failures(selector) == [0]


def test_what_is_being_handled_already_is_not_the_node_s_failure(nodes: Nodes, cache: Cache) -> None:
    """As in a fallback: the first way failed, and this is the second."""
    nodes.start(1)
    selector, http = watched(cache)
    with http:
        try:
            raise urllib3.exceptions.ProtocolError("somebody else's")
        except urllib3.exceptions.ProtocolError:
            assert http.get(URL).status_code == 200
    assert [peer.failures for peer in selector.status().peers] == [0]


def test_a_response_that_is_forgotten_does_not_keep_a_node_busy(
    nodes: Nodes, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = nodes.start(1)
    server.behave = lambda handler: handler.begin(10)
    selector, http = watched(cache)
    with http:
        cycle: "List[Any]" = [http.get(URL, stream=True)]
        cycle.append(cycle)
        assert selector.status().in_flight == 1
        del cycle
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # its socket says so, rightly
            # http.client's response may be finalized after the file that it reads from; CPython 3.14 tells of that.
            monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
            gc.collect()
            monkeypatch.undo()
        (peer,) = selector.status().peers
        assert peer.in_flight == 0 and peer.failures == 0
        (links,) = http.adapter._links.values()
        assert [link.used for link in links._links.values()] == [0]


def test_a_body_that_breaks_off_is_a_failure(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)

    def behave(handler: Handler) -> None:
        handler.begin(2)
        handler.drop()

    server.behave = behave
    selector, http = watched(cache, tries=3)
    with http, pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(URL)
    assert failures(selector) == [1] and in_flight(selector) == 0 and len(server.requests) == 1


# -- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail", [lambda handler: handler.answer(503), Handler.drop])
@pytest.mark.parametrize("body", [None, b"twice", "twice", io.BytesIO])
def test_another_node_is_tried(nodes: Nodes, cache: Cache, fail: Any, body: Any) -> None:
    bad, good = nodes.start(2)
    bad.behave = fail
    selector, http = watched(cache, tries=2, feedback=Feedback(failures=0, calls=0))
    with http:
        for _ in range(2):
            data = io.BytesIO(b"twice") if body is io.BytesIO else body
            assert http.put(URL, data=data).text == good.name
    sent = b"" if body is None else b"twice"
    assert {request[3] for request in [*bad.requests, *good.requests]} == {sent}
    assert in_flight(selector) == 0


@pytest.mark.parametrize("method, body", [("POST", b"x"), ("PUT", "stream")])
def test_what_may_not_be_repeated(nodes: Nodes, cache: Cache, method: str, body: Any) -> None:
    servers = nodes.start(2)
    for server in servers:
        server.behave = lambda handler: handler.answer(503)
    with Session(cache, tries=3) as http:
        assert http.request(method, URL, data=iter([b"x"]) if body == "stream" else body).status_code == 503
    assert sum(len(server.requests) for server in servers) == 1


def test_what_was_not_sent_is_sent_to_another(nodes: Nodes, cache: Cache) -> None:
    (server,) = nodes.start(1)
    nodes.register(Node("down", "127.0.0.1", closed_port()))
    with Session(cache, tries=2, strategy="round_robin") as http:
        for _ in range(3):
            assert http.post(URL, data=iter([b"once"])).text == server.name
    assert [request[3] for request in server.requests] == [b"once"] * 3


def test_consistent_hashing(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    with Session(cache, strategy="hash", key=lambda request: request.headers["user"]) as http:
        for user in "abcd":
            assert len({http.get(URL, headers={"user": user}).text for _ in range(3)}) == 1


# -- nodes come and go, and the end ----------------------------------------------------------------------------------


def test_what_is_open_to_nodes_that_are_gone_is_closed(nodes: Nodes, cache: Cache) -> None:
    (first,) = nodes.start(1)
    with Session(cache) as http:
        response = http.get(URL, stream=True)
        (second,) = nodes.start(1)
        nodes.remove(first)
        eventually(lambda: http.get(URL).text == second.name)
        links = next(iter(http.adapter._links.values()))
        assert len(links) == 2 and response.text == first.name
        eventually(lambda: len(links) == 1)


def test_many_threads(nodes: Nodes, cache: Cache) -> None:
    nodes.start(3)
    selector, http = watched(cache, strategy="p2c")
    with http:
        answers = together(8, lambda number: [http.get(URL).status_code for _ in range(20)])
    assert answers == [[200] * 20] * 8 and in_flight(selector) == 0


def test_closing_leaves_the_cache_open(nodes: Nodes, cache: Cache) -> None:
    nodes.start(1)
    with Session(cache) as http:
        http.get(URL)
    assert cache.get("greeter").nodes
    with pytest.raises(requests.ConnectionError, match="closed"):
        http.get(URL)


def test_one_that_cannot_be_closed_keeps_nothing_else_open(nodes: Nodes, cache: Cache) -> None:
    class Stays(NodeAdapter):
        closed = 0

        def close(self) -> None:
            super().close()
            Stays.closed += 1
            raise OSError("it stays open")

    nodes.start(2)
    http = Session(cache, strategy="round_robin", adapter=Stays)
    for _ in range(2):
        http.get(URL)
    with pytest.raises(OSError, match="it stays open"):
        http.adapter.close()
    assert Stays.closed == 2
    with pytest.raises(requests.ConnectionError, match="the client is closed"):
        http.get(URL)


def test_a_retry_that_is_interrupted_gives_the_node_back(nodes: Nodes, cache: Cache) -> None:
    class Failing(NodeAdapter):
        def send(self, *args: Any, **options: Any) -> Any:
            response = super().send(*args, **options)
            setattr(response, "close", self.interrupt)  # noqa: B010
            self.response = response
            return response

        def interrupt(self) -> None:
            self.response.raw.close()
            raise KeyboardInterrupt

    for server in nodes.start(2):
        server.behave = lambda handler: handler.answer(status=503)
    with Session(cache, tries=2, adapter=Failing) as http:
        with pytest.raises(KeyboardInterrupt):
            http.get(URL)
        (links,) = http.adapter._links.values()
        assert [link.used for link in links._links.values()] == [0]


@pytest.mark.parametrize("path, method", [("hello", "HEAD"), ("204", "GET"), ("304", "GET"), ("0", "GET")])
def test_a_response_without_a_body_is_over_at_once(nodes: Nodes, cache: Cache, path: str, method: str) -> None:
    def answer(handler: Handler) -> None:
        status = int(path) if path.isdigit() and int(path) else 200
        handler.send_response(status)
        if status == 200:
            handler.send_header("Content-Length", "5" if method == "HEAD" else "0")
        handler.end_headers()

    (server,) = nodes.start(1)
    server.behave = answer
    selector, http = watched(cache)
    with http:
        for _ in range(2):
            with http.request(method, f"http+regcache://greeter/{path}", stream=True) as response:
                assert in_flight(selector) == 0 and response.content == b""
    assert server.connections == 1 and failures(selector) == [0]


def test_proxies_of_the_environment_are_not_for_nodes_that_need_none(
    nodes: Nodes, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = nodes.start(1)
    nowhere = f"http://127.0.0.1:{closed_port()}"
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, nowhere)
    for name, value in (("no_proxy", "127.0.0.0/8"), ("NO_PROXY", "127.0.0.0/8")):
        monkeypatch.setenv(name, value)
    with Session(cache) as http:
        http.trust_env = True
        assert http.get(URL).text == server.name
        assert http.get("http://greeter/hello").text == server.name
        with pytest.raises(requests.exceptions.ProxyError):  # what a caller gives is used
            http.get(URL, proxies={"http": f"http://127.0.0.1:{closed_port()}"})
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "10.0.0.0/8")
        with pytest.raises(requests.exceptions.ProxyError):
            http.get(URL)
