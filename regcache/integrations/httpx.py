"""httpx: transports that find a node for each request.

::

    client = httpx.Client(transport=regcache.integrations.httpx.Transport(cache))
    client.get("http://greeter/hello")                      # every host is a service

    client = httpx.Client(mounts={"all://greeter": Transport(cache)})       # this host alone
    client = httpx.Client(mounts={"http+regcache://": Transport(cache)})    # a scheme of its own
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, ExitStack
from operator import methodcaller
from typing import (
    TYPE_CHECKING,
    AsyncIterator,
    Callable,
    Collection,
    Dict,
    Generic,
    Iterator,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

from ..codec import Node
from ..errors import RegcacheError, Timeout
from ..select import Selector
from .calls import FAILED_STATUSES, IDEMPOTENT, PROTOCOLS, Exchange, Settings, Stopwatch, cut, longest, stay
from .extra import missing
from .links import Closing, Link, Links
from .services import Names, Services, Source, address_of, url_host

try:
    import httpx
except ModuleNotFoundError as error:
    raise missing("httpx", error) from error

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..select.options import AdapterOptions

__all__ = ["AsyncTransport", "Transport"]

T = TypeVar("T", bound=Union[httpx.BaseTransport, httpx.AsyncBaseTransport])

#: Nothing of the request was sent.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)
#: What the node, or the way to it, is to blame for. ``PoolTimeout`` and others are the caller's own.
NODES_OWN = (*UNSENT, httpx.ReadTimeout, httpx.WriteTimeout, httpx.NetworkError, httpx.RemoteProtocolError)


class _Finder(Generic[T]):
    """What both transports are made of."""

    def __init__(
        self,
        services: Services,
        settings: Settings,
        transport: Callable[[], T],
        end: Callable[[T], object],
    ) -> None:
        self.services = services
        self.settings = settings
        self.transport = transport
        self._end = end
        self._links: Dict[Tuple[Selector, str], Links[T]] = {}
        self._plain: Optional[T] = None
        self._lock = threading.Lock()

    def selector(self, request: httpx.Request) -> Optional[Selector]:
        """The service's; ``None``: the request goes where its URL says."""
        try:
            return self.services.find(request.url.host)
        except (RegcacheError, ValueError) as error:
            raise unfound(error, request) from error

    def links(self, selector: Selector, request: httpx.Request) -> Links[T]:
        # httpx does not ask for which name a connection was verified: each has connections of its own.
        key = selector, request.url.host if request.url.scheme.startswith("https") else ""
        links = self._links.get(key)
        if links is None:
            with self._lock:
                links = self._links.get(key)
                if links is None:
                    links = self._links[key] = Links(selector, lambda node: self.transport(), self._end)
        return links

    def plain(self) -> T:
        """For what is no service."""
        with self._lock:
            if self._plain is None:
                self._plain = self.transport()
            return self._plain

    def close(self) -> Iterator[T]:
        """Everything that is open, for the caller to close."""
        with self._lock:
            every, self._links = list(self._links.values()), {}
            plain, self._plain = self._plain, None
        for links in every:
            yield from links.close()
        if plain is not None:
            yield plain


class _Request:
    """One request of a caller: its timeouts, and what is sent to a node in its place."""

    def __init__(self, request: httpx.Request, settings: Settings) -> None:
        self._request = request
        self._settings = settings
        self._timeouts: Dict[str, Optional[float]] = dict(request.extensions.get("timeout", {}))
        self.connect = self._timeouts.get("connect")
        #: Seconds for all tries.
        self.timeout = longest(self.connect, self._timeouts.get("read"))
        #: There was a node, but no time left for it; that is not its failure.
        self._late: Optional[httpx.ConnectTimeout] = None
        # A stream that is not bytes may have been read half.
        self.repeatable = request.method in IDEMPOTENT and isinstance(request.stream, httpx.ByteStream)

    def to(self, node: Node, left: Optional[float], finding: float) -> httpx.Request:
        """The request for this node. Its body is the same, as are its headers: Host is what the URL says.

        Args:
            left: seconds of the timeout.
            finding: seconds that it took to find the node: they were part of connecting.
        """
        request = self._request
        address, port = address_of(node)
        try:
            url = request.url.copy_with(
                scheme=request.url.scheme.replace("+regcache", ""), host=url_host(address), port=port
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        timeouts = {phase: cut(timeout, left) for phase, timeout in self._timeouts.items()}
        if self.connect is not None:
            timeouts["connect"] = cut(max(0.0, self.connect - finding), left)
        if timeouts.get("connect") == 0.0 or left == 0.0:
            self._late = httpx.ConnectTimeout("finding a node took all of the time", request=request)
            raise self._late
        extensions = {**request.extensions, "timeout": timeouts}
        if url.scheme == "https":
            extensions.setdefault("sni_hostname", self._settings.server_hostname(node, request.url.raw_host.decode()))
        return httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)

    def failed(self, exchange: Exchange, error: BaseException) -> bool:
        """True: try again."""
        if isinstance(error, httpx.RequestError):
            error.request = self._request
        nodes_own = isinstance(error, NODES_OWN) and error is not self._late
        return exchange.failed(
            error,
            node=nodes_own or not isinstance(error, Exception),
            repeat=nodes_own and (self.repeatable or isinstance(error, UNSENT)),
        )

    def answered(self, exchange: Exchange, response: httpx.Response) -> bool:
        """True: try again."""
        if response.has_redirect_location:
            response.headers["Location"] = stay(str(self._request.url), response.headers["Location"])
        status = response.status_code
        return exchange.answered(status, status in self._settings.failed_statuses, self.repeatable)


class Transport(httpx.BaseTransport):
    """Sends each request to a node of the service that is the URL's host. May be shared by threads.

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
        transport: makes the transport of one node, which has its connections; by default ``httpx.HTTPTransport()``.
        options: for the selectors: ``strategy``, ``filters``, ``feedback`` and the rest.

    Raises from requests:
        httpx.ConnectTimeout: no node was found in time.
        httpx.ConnectError: there is none, or none was found; why is the ``__cause__``.
    """

    def __init__(
        self,
        source: Source,
        *,
        services: Names = None,
        tries: int = 1,
        key: Optional[Callable[[httpx.Request], object]] = None,
        failed_statuses: Collection[int] = FAILED_STATUSES,
        server_hostname: Union[str, Callable[[Node], Optional[str]], None] = None,
        protocols: Optional[Collection[str]] = PROTOCOLS,
        transport: Optional[Callable[[], httpx.BaseTransport]] = None,
        **options: "Unpack[AdapterOptions]",
    ) -> None:
        settings = Settings(tries, key, failed_statuses, server_hostname)
        self._finder: _Finder[httpx.BaseTransport] = _Finder(
            Services(source, services, protocols, options), settings, transport or _transports(), methodcaller("close")
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        selector = self._finder.selector(request)
        if selector is None:
            return self._finder.plain().handle_request(request)
        links = self._finder.links(selector, request)
        mine = _Request(request, self._finder.settings)
        for attempt in self._finder.settings.attempts(selector, request, mine.timeout):
            finding = Stopwatch()
            try:
                # Without a node it waits for the first, no longer than connecting may take.
                selector.source.get(mine.connect)
                call = attempt.__enter__()
            except RegcacheError as error:
                raise unfound(error, request) from error
            link: Link[httpx.BaseTransport] = links.take(call.node)
            exchange = Exchange(attempt, call, lambda link=link: links.give(link))  # type: ignore[misc]
            try:
                response = link.opened.handle_request(mine.to(call.node, call.remaining, finding()))
            except BaseException as error:
                if not mine.failed(exchange, error):
                    raise
                continue
            if not mine.answered(exchange, response):
                assert isinstance(response.stream, httpx.SyncByteStream)
                response.stream = _Body(response.stream, exchange)
                if response.is_closed:  # it came with its body
                    exchange.done()
                return response
            try:
                response.close()
            finally:
                exchange.done()
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        with ExitStack() as ending:  # from its end; one that raises keeps nobody else from being closed
            ending.callback(self._finder.services.close)
            for transport in self._finder.close():
                ending.callback(transport.close)


class AsyncTransport(httpx.AsyncBaseTransport):
    """:class:`Transport` for ``httpx.AsyncClient`` on asyncio, with the same arguments. For one event loop."""

    def __init__(
        self,
        source: Source,
        *,
        services: Names = None,
        tries: int = 1,
        key: Optional[Callable[[httpx.Request], object]] = None,
        failed_statuses: Collection[int] = FAILED_STATUSES,
        server_hostname: Union[str, Callable[[Node], Optional[str]], None] = None,
        protocols: Optional[Collection[str]] = PROTOCOLS,
        transport: Optional[Callable[[], httpx.AsyncBaseTransport]] = None,
        **options: "Unpack[AdapterOptions]",
    ) -> None:
        settings = Settings(tries, key, failed_statuses, server_hostname)
        self._closing: Closing[httpx.AsyncBaseTransport] = Closing(methodcaller("aclose"))
        self._finder: _Finder[httpx.AsyncBaseTransport] = _Finder(
            Services(source, services, protocols, options), settings, transport or _async_transports(), self._closing
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._closing.loop = asyncio.get_running_loop()
        selector = self._finder.selector(request)
        if selector is None:
            return await self._finder.plain().handle_async_request(request)
        links = self._finder.links(selector, request)
        mine = _Request(request, self._finder.settings)
        async for attempt in self._finder.settings.attempts(selector, request, mine.timeout):
            finding = Stopwatch()
            try:
                await selector.source.get_async(mine.connect)
                call = await attempt.__aenter__()
            except RegcacheError as error:
                raise unfound(error, request) from error
            link: Link[httpx.AsyncBaseTransport] = links.take(call.node)
            exchange = Exchange(attempt, call, lambda link=link: links.give(link))  # type: ignore[misc]
            try:
                response = await link.opened.handle_async_request(mine.to(call.node, call.remaining, finding()))
            except BaseException as error:
                if not mine.failed(exchange, error):
                    raise
                continue
            if not mine.answered(exchange, response):
                assert isinstance(response.stream, httpx.AsyncByteStream)
                response.stream = _AsyncBody(response.stream, exchange)
                if response.is_closed:
                    exchange.done()
                return response
            try:
                await response.aclose()
            finally:
                exchange.done()
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as ending:  # from its end; one that raises keeps nobody else from being closed
            # A cache that was opened here may have threads to wait for.
            ending.push_async_callback(lambda: loop.run_in_executor(None, self._finder.services.close))
            ending.push_async_callback(self._closing.wait)
            for transport in self._finder.close():
                ending.push_async_callback(transport.aclose)


class _Body(httpx.SyncByteStream):
    """A response's body; the call is over when it is."""

    def __init__(self, stream: httpx.SyncByteStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def __del__(self) -> None:
        self._exchange.forgotten()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except Exception as error:
            self._exchange.done(error)
            raise
        self._exchange.done()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._exchange.done()


class _AsyncBody(httpx.AsyncByteStream):
    """The same, awaited."""

    def __init__(self, stream: httpx.AsyncByteStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def __del__(self) -> None:
        self._exchange.forgotten()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except (Exception, asyncio.CancelledError) as error:
            self._exchange.done(error)
            raise
        self._exchange.done()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._exchange.done()


def unfound(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """No node was found: as httpx says that there is no connection."""
    kind = httpx.ConnectTimeout if isinstance(error, Timeout) else httpx.ConnectError
    return kind(str(error), request=request)


def _transports() -> Callable[[], httpx.BaseTransport]:
    # Reading the certificates takes longer than everything else; all nodes share them.
    context = httpx.create_ssl_context()
    return lambda: httpx.HTTPTransport(verify=context)


def _async_transports() -> Callable[[], httpx.AsyncBaseTransport]:
    context = httpx.create_ssl_context()
    return lambda: httpx.AsyncHTTPTransport(verify=context)
