"""requests: an adapter that finds a node for each request.

::

    session = requests.Session()
    session.mount("http+regcache://", regcache.integrations.requests.Adapter(cache))
    session.get("http+regcache://greeter/hello")

    session.mount("http://greeter/", Adapter(cache))        # or this host alone
    session.get("http://greeter/hello")
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, Mapping, Optional, Union
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies

from ..codec import Node
from ..errors import RegcacheError, Timeout
from ..select import Selector
from .calls import FAILED_STATUSES, IDEMPOTENT, PROTOCOLS, Exchange, Settings, Stopwatch, cut, longest, stay
from .extra import missing
from .links import Links
from .services import Names, Services, Source, address_of, url_host

try:
    import requests
except ModuleNotFoundError as error:
    raise missing("requests", error) from error

import idna
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.utils import rewind_body, should_bypass_proxies

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..select.options import AdapterOptions

__all__ = ["Adapter", "NodeAdapter"]

#: What the node, or the way to it, is to blame for. A proxy is the caller's own.
NODES_OWN = (requests.ConnectionError, requests.Timeout)
#: A body breaks off with one of these.
BROKEN = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.SSLError)


class _ToNode(requests.PreparedRequest):
    """What is sent to a node in place of a request."""

    server_hostname: Optional[str] = None


class NodeAdapter(HTTPAdapter):
    """The connections to one node: an ``HTTPAdapter`` that verifies certificates against a name that is not in the
    URL. For ``Adapter(adapter=lambda: NodeAdapter(pool_maxsize=50))``."""

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if isinstance(request, _ToNode) and request.server_hostname is not None:
            pool["server_hostname"] = request.server_hostname
        return host, pool


class Adapter(BaseAdapter):
    """Sends each request to a node of the service that is the URL's host. May be shared by threads, and by sessions
    that end together: closing one of them closes it.

    Whatever prefix it is mounted at, the schemes ``http+regcache`` and ``https+regcache`` are spoken as ``http`` and
    ``https``.

    Args:
        source: a :class:`~regcache.Cache`, a URL for :func:`regcache.connect`, or selectors by host (in lower case).
        services: which hosts are services; all others go where their URL says. A collection, or a function of the host
            that returns a service's name or ``None``. By default all hosts, and of a mapping those that it has.
        tries: how often a request is sent at most, each time to another node, within one timeout and the selector's
            budget of retries. Only after connecting failed, or for methods and bodies that can be sent twice. By
            default once.
        key: of a request, for the strategy ``"hash"``.
        failed_statuses: responses that count as failures of the node, and are tried again.
        server_hostname: what certificates are verified against, or a function of the node that returns it; by default
            the URL's host.
        protocols: see :class:`~regcache.integrations.services.Services`.
        adapter: makes the adapter of one node, which has its connections.
        options: for the selectors: ``strategy``, ``filters``, ``feedback`` and the rest.

    Raises from requests:
        requests.ConnectTimeout: no node was found in time.
        requests.ConnectionError: there is none, or none was found; why is the ``__cause__``.
    """

    def __init__(
        self,
        source: Source,
        *,
        services: Names = None,
        tries: int = 1,
        key: Optional[Callable[[requests.PreparedRequest], object]] = None,
        failed_statuses: Collection[int] = FAILED_STATUSES,
        server_hostname: Union[str, Callable[[Node], Optional[str]], None] = None,
        protocols: Optional[Collection[str]] = PROTOCOLS,
        adapter: Callable[[], HTTPAdapter] = NodeAdapter,
        **options: "Unpack[AdapterOptions]",
    ) -> None:
        super().__init__()
        self._settings = Settings(tries, key, failed_statuses, server_hostname)
        self._services = Services(source, services, protocols, options)
        self._adapter = adapter
        self._links: Dict[Selector, Links[HTTPAdapter]] = {}
        self._plain: Optional[HTTPAdapter] = None
        self._lock = threading.Lock()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Union[bool, str] = True,
        cert: Any = None,
        proxies: Optional[Mapping[str, str]] = None,
    ) -> requests.Response:
        options: Dict[str, Any] = {"stream": stream, "verify": verify, "cert": cert, "proxies": proxies}
        try:
            selector = self._services.find(_host(request))
        except (RegcacheError, ValueError) as error:
            raise _unfound(error, request) from error
        if selector is None:
            return self._plain_adapter().send(request, timeout=timeout, **options)
        links = self._links_of(selector)
        times = _Times(timeout)
        for attempt in self._settings.attempts(selector, request, times.all):
            finding = Stopwatch()
            try:
                # Without a node it waits for the first, no longer than connecting may take.
                selector.source.get(times.connect)
                call = attempt.__enter__()
            except RegcacheError as error:
                raise _unfound(error, request) from error
            link = links.take(call.node)
            exchange = Exchange(attempt, call, lambda link=link: links.give(link))  # type: ignore[misc]
            try:
                left = times.left(call.remaining, finding(), request)
                sent = self._to(call.node, request)
                options["proxies"] = _proxies(proxies, sent.url or "")
                response = link.opened.send(sent, timeout=left, **options)
            except BaseException as error:
                if not _failed(exchange, error, request, times):
                    raise
                continue
            if not exchange.answered(
                response.status_code, response.status_code in self._settings.failed_statuses, _repeatable(request)
            ):
                return self._answer(response, request, exchange)
            try:
                response.close()
            finally:
                exchange.done()
            _rewind(request)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        with self._lock:
            every, self._links = list(self._links.values()), {}
            plain, self._plain = self._plain, None
        with ExitStack() as ending:  # from its end; one that raises keeps nobody else from being closed
            ending.callback(self._services.close)
            if plain is not None:
                ending.callback(plain.close)
            for links in every:
                for adapter in links.close():
                    ending.callback(adapter.close)

    def _links_of(self, selector: Selector) -> Links[HTTPAdapter]:
        links = self._links.get(selector)
        if links is None:
            with self._lock:
                links = self._links.get(selector)
                if links is None:
                    links = Links(selector, lambda node: self._adapter(), methodcaller("close"))
                    self._links[selector] = links
        return links

    def _plain_adapter(self) -> HTTPAdapter:
        """For what is no service."""
        with self._lock:
            if self._plain is None:
                self._plain = self._adapter()
            return self._plain

    def _to(self, node: Node, request: requests.PreparedRequest) -> _ToNode:
        """The request for this node. Its body is the same, as are its headers: Host is what the URL says."""
        parts = urlsplit(request.url or "")
        address, port = address_of(node)
        try:
            netloc = url_host(address) + (f":{port}" if port else "")
        except ValueError as error:
            raise requests.ConnectionError(str(error), request=request) from error
        sent = _ToNode()
        sent.__dict__.update(request.copy().__dict__)
        sent.url = urlunsplit(parts._replace(scheme=parts.scheme.replace("+regcache", ""), netloc=netloc))
        sent.headers.setdefault("Host", parts.netloc.rpartition("@")[2])
        if sent.url.startswith("https"):
            sent.server_hostname = self._settings.server_hostname(node, _bare(parts.netloc))
        return sent

    def _answer(
        self, response: requests.Response, request: requests.PreparedRequest, exchange: Exchange
    ) -> requests.Response:
        # To the caller it comes from the URL that was asked for: cookies and redirects are about that.
        response.request, response.url = request, request.url or ""
        setattr(response, "connection", self)  # noqa: B010 (one of ours sends again, as digest authentication asks for)
        if response.is_redirect:
            response.headers["Location"] = stay(response.url, response.headers["Location"])
        response.cookies = RequestsCookieJar()
        extract_cookies_to_jar(response.cookies, request, response.raw)
        _when_over(response.raw, exchange)
        return response


def _proxies(given: Optional[Mapping[str, str]], url: str) -> Dict[str, str]:
    """Those for a node. The session has put the environment's among them by the name of the service, which is not in
    ``NO_PROXY``; the node's address may be."""
    proxies = dict(given or {})
    if proxies and should_bypass_proxies(url, no_proxy=proxies.get("no_proxy")):
        environment = getproxies()
        proxies = {key: proxy for key, proxy in proxies.items() if environment.get(key) != proxy}
    return proxies


class _Times:
    """A caller's timeout, in any of the forms that requests takes. Seconds."""

    def __init__(self, timeout: Any) -> None:
        self._timeout = timeout
        #: There was a node, but no time left for it; that is not its failure.
        self.late: Optional[requests.ConnectTimeout] = None
        if isinstance(timeout, urllib3.Timeout):
            total: Any = timeout.total
            self.all = None if total is None else float(total)
            connect = timeout.connect_timeout
            self.connect = float(connect) if isinstance(connect, (int, float)) else self.all
        else:
            self.connect, self._read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
            self.all = longest(self.connect, self._read)

    def left(self, left: Optional[float], finding: float, request: requests.PreparedRequest) -> Any:
        """For one node.

        Args:
            left: of the timeout.
            finding: what it took to find the node: it was part of connecting.
        """
        if isinstance(self._timeout, urllib3.Timeout):
            timeout: Any = self._timeout.clone()
            timeout.total = connect = left
        else:
            connect = None if self.connect is None else cut(max(0.0, self.connect - finding), left)
            timeout = (connect, cut(self._read, left))
        # urllib3 takes no timeout of 0 seconds.
        if connect == 0.0 or left == 0.0:
            self.late = requests.ConnectTimeout("finding a node took all of the time", request=request)
            raise self.late
        return timeout


def _failed(exchange: Exchange, error: BaseException, request: requests.PreparedRequest, times: _Times) -> bool:
    """True: try again."""
    if isinstance(error, requests.RequestException):
        error.request = request
    nodes_own = (
        isinstance(error, NODES_OWN)
        and not isinstance(error, requests.exceptions.ProxyError)
        and error is not times.late
    )
    unsent = isinstance(error, requests.ConnectTimeout) or _reason(error, urllib3.exceptions.NewConnectionError)
    again = exchange.failed(
        error,
        node=nodes_own or not isinstance(error, Exception),
        repeat=nodes_own and (unsent or _repeatable(request)),
    )
    if again and not unsent:
        _rewind(request)
    return again


def _reason(error: BaseException, kind: type) -> bool:
    """Is this why urllib3 gave up?"""
    return bool(error.args) and isinstance(getattr(error.args[0], "reason", None), kind)


def _repeatable(request: requests.PreparedRequest) -> bool:
    if request.method not in IDEMPOTENT:
        return False
    return request.body is None or isinstance(request.body, (bytes, str)) or isinstance(_position(request), int)


def _position(request: requests.PreparedRequest) -> Any:
    """Where a body that is a file begins: requests notes it, for redirects."""
    return getattr(request, "_body_position", None)


def _rewind(request: requests.PreparedRequest) -> None:
    if isinstance(_position(request), int):
        rewind_body(request)


def _host(request: requests.PreparedRequest) -> str:
    """As it was typed, as far as requests left it so: names that are not ASCII were encoded for DNS."""
    host = _bare(urlsplit(request.url or "").netloc)
    if "xn--" in host:
        try:
            return idna.decode(host)
        except idna.IDNAError:
            pass
    return host


def _bare(netloc: str) -> str:
    """Without user and port."""
    return urllib3.util.parse_url(f"none://{netloc}").host or ""


def _unfound(error: Exception, request: requests.PreparedRequest) -> requests.ConnectionError:
    """No node was found: as requests says that there is no connection."""
    kind = requests.ConnectTimeout if isinstance(error, Timeout) else requests.ConnectionError
    return kind(str(error), request=request)


class _Raw(urllib3.HTTPResponse):
    """A response of urllib3 that tells when its body was read, was closed, or broke off.

    There is no hook for that. urllib3 calls ``release_conn`` in the first case, and in the last while the error is on
    its way; everybody else calls ``close``.
    """

    exchange: Exchange
    #: What was being handled when the response came, which is none of its business.
    before: Optional[BaseException]

    def release_conn(self) -> None:
        super().release_conn()
        error = sys.exc_info()[1]
        self.exchange.done(error if isinstance(error, BROKEN) and error is not self.before else None)

    def close(self) -> None:
        super().close()
        self.exchange.done()

    def __del__(self) -> None:
        # Of a response that nobody closed. The garbage collector may have closed what it read from before.
        self.exchange.forgotten()
        super().__del__()


def _when_over(raw: Any, exchange: Exchange) -> None:
    if type(raw) is not urllib3.HTTPResponse:  # an adapter that answers by itself
        exchange.done()
        return
    raw.__class__ = _Raw
    setattr(raw, "exchange", exchange)  # noqa: B010
    setattr(raw, "before", sys.exc_info()[1])  # noqa: B010
    if raw.length_remaining == 0:  # there is no body, and nobody has to read it
        exchange.done()
