"""aiohttp: a client middleware that finds a node for each request.

::

    middleware = regcache.integrations.aiohttp.Middleware(cache, services=["greeter"])
    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        async with session.get("http://greeter/hello") as response: ...
"""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Collection, Optional, Type, Union

from ..codec import Node
from ..errors import RegcacheError, Timeout
from .calls import FAILED_STATUSES, IDEMPOTENT, PROTOCOLS, Exchange, Settings
from .extra import missing
from .services import Names, Services, Source, address_of, url_host

try:
    import aiohttp
except ModuleNotFoundError as error:
    raise missing("aiohttp", error) from error

from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.payload import BytesPayload
from multidict import CIMultiDict

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..select.options import AdapterOptions

__all__ = ["Middleware"]

#: Nothing of the request was sent.
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
#: What the node, or the way to it, is to blame for. ``ClientResponseError``: it answered, but not in HTTP.
NODES_OWN = (
    aiohttp.ClientOSError,
    aiohttp.ServerConnectionError,
    aiohttp.ClientPayloadError,
    aiohttp.ClientResponseError,
    asyncio.TimeoutError,
)
#: A proxy is the caller's own.
PROXYS = (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)


class Middleware:
    """Sends each request of a session to a node of the service that is the URL's host. For ``ClientSession`` or single
    requests (``middlewares=``); those that come before it see the service, those after it the node.

    The session's connector keeps the connections, by node. Its total timeout covers finding the node, and all tries.
    What is made here ends with :meth:`close`, or with an ``async with`` around the session; the session knows nothing
    of it.

    Args:
        source: a :class:`~regcache.Cache`, a URL for :func:`regcache.connect`, or selectors by host (in lower case).
        services: which hosts are services; all others go where their URL says. A collection, or a function of the host
            that returns a service's name or ``None``. By default all hosts, and of a mapping those that it has.
        tries: how often a request is sent at most, each time to another node, within the session's timeout and the
            selector's budget of retries. Only after connecting failed, or for methods and bodies that can be sent
            twice. By default once; aiohttp itself sends again, once, what may be repeated, when a connection was cut.
        key: of a request, for the strategy ``"hash"``.
        failed_statuses: responses that count as failures of the node, and are tried again.
        server_hostname: what certificates are verified against, or a function of the node that returns it; by default
            the URL's host. A request's own ``server_hostname=`` comes first.
        protocols: see :class:`~regcache.integrations.services.Services`.
        options: for the selectors: ``strategy``, ``filters``, ``feedback`` and the rest.

    Raises from requests:
        aiohttp.ConnectionTimeoutError: no node was found in time.
        aiohttp.ClientConnectionError: there is none, or none was found; why is the ``__cause__``.
    """

    def __init__(
        self,
        source: Source,
        *,
        services: Names = None,
        tries: int = 1,
        key: Optional[Callable[[aiohttp.ClientRequest], object]] = None,
        failed_statuses: Collection[int] = FAILED_STATUSES,
        server_hostname: Union[str, Callable[[Node], Optional[str]], None] = None,
        protocols: Optional[Collection[str]] = PROTOCOLS,
        **options: "Unpack[AdapterOptions]",
    ) -> None:
        self._settings = Settings(tries, key, failed_statuses, server_hostname)
        self._services = Services(source, services, protocols, options)

    async def __call__(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        try:
            selector = self._services.find(request.url.host or "")
        except (RegcacheError, ValueError) as error:
            raise _unfound(error) from error
        if selector is None:
            return await handler(request)
        asked, name, proxy_headers = request.url, request.server_hostname, request.proxy_headers
        repeatable = _repeatable(request)
        try:
            async for attempt in self._settings.attempts(selector, request):
                try:
                    call = await attempt.__aenter__()
                except RegcacheError as error:
                    raise _unfound(error) from error
                exchange = Exchange(attempt, call)
                try:
                    request.url = _at(call.node, asked)
                    if asked.scheme in ("https", "wss"):
                        _verify(request, name or self._settings.server_hostname(call.node, asked.raw_host or ""))
                    response = await handler(request)
                except BaseException as error:
                    if not _failed(exchange, error, request, repeatable):
                        raise
                    continue
                if not exchange.answered(
                    response.status, response.status in self._settings.failed_statuses, repeatable
                ):
                    _when_over(response, exchange)
                    return response
                response.close()
            raise AssertionError("the last attempt returns or raises")
        finally:
            # Whoever looks at the request afterwards sees what was asked for.
            request.url, request.server_hostname, request.proxy_headers = asked, name, proxy_headers

    def close(self) -> None:
        """End the selectors, and the cache if it was opened here."""
        self._services.close()

    async def __aenter__(self) -> "Middleware":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        # A cache that was opened here may have threads to wait for.
        await asyncio.get_running_loop().run_in_executor(None, self.close)


def _at(node: Node, asked: Any) -> Any:
    """The URL for this node. The headers were made before: Host is what the caller's URL says."""
    address, port = address_of(node)
    try:
        url_host(address)
        return asked.with_host(address).with_port(port)
    except ValueError as error:
        raise aiohttp.ClientOSError(f"{address!r} is not the address of a host") from error


def _verify(request: aiohttp.ClientRequest, name: str) -> None:
    """The node's certificate has to be for this name."""
    request.server_hostname = name
    if "server_hostname" not in ConnectionKey._fields and request.proxy is None:
        # Before aiohttp 3.14.1 a connection that was verified against one name is used for another. Nothing else
        # looks at these headers where there is no proxy, and they are part of what makes connections the same.
        request.proxy_headers = CIMultiDict({"Host": name})


def _failed(exchange: Exchange, error: BaseException, request: aiohttp.ClientRequest, repeatable: bool) -> bool:
    """True: try again."""
    if isinstance(error, asyncio.CancelledError) and _timed_out(request):
        # The session's timeout comes as a cancellation, which it takes back further up.
        exchange.failed(asyncio.TimeoutError("the session's timeout is over"))
        return False
    nodes_own = isinstance(error, NODES_OWN) and not isinstance(error, PROXYS)
    return exchange.failed(
        error,
        node=nodes_own or not isinstance(error, Exception),
        repeat=nodes_own and (repeatable or isinstance(error, UNSENT)) and not _timed_out(request),
    )


def _timed_out(request: aiohttp.ClientRequest) -> bool:
    """Is the session's total timeout over? aiohttp has no public way to ask."""
    return bool(getattr(getattr(request, "_timer", None), "_cancelled", False))


def _repeatable(request: aiohttp.ClientRequest) -> bool:
    # Only what is bytes already; streams may have been read half.
    return request.method in IDEMPOTENT and isinstance(request.body, (bytes, BytesPayload))


def _when_over(response: aiohttp.ClientResponse, exchange: Exchange) -> None:
    """The call is over when the response gives its connection back, or breaks it off."""
    connection = response.connection
    if connection is None:  # there was no body, or it came with the headers
        exchange.done()
        return
    before = sys.exc_info()[1]

    def over() -> None:
        broken, now = response.content.exception(), sys.exc_info()[1]
        if isinstance(broken, NODES_OWN):
            exchange.done(broken)
        elif now is not before and isinstance(now, (asyncio.CancelledError, asyncio.TimeoutError)):
            # The reader was cancelled, or the time is over: it closes the response on its way out.
            exchange.done(now)
        else:
            exchange.done()

    connection.add_callback(over)


def _unfound(error: Exception) -> aiohttp.ClientConnectionError:
    """No node was found: as aiohttp says that there is no connection."""
    if isinstance(error, Timeout):
        return aiohttp.ConnectionTimeoutError(str(error))
    return aiohttp.ClientConnectionError(str(error))
