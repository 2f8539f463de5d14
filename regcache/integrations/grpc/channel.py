"""A ``grpc.Channel`` that finds a node for each call."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Callable, Collection, List, Optional, Tuple

import grpc

from ...cache.events import logger
from ...codec import Node
from ...errors import RegcacheError, Unavailable
from ...select import Attempt
from ..calls import Exchange
from ..links import Links
from .failed import Failed
from .rules import FAILED_CODES, Idempotent, Key, Options, Rules, ServerHostname, Source, found, watching

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ...select.options import AdapterOptions

__all__ = ["Channel"]

READY = grpc.ChannelConnectivity.READY


class Channel(grpc.Channel):
    """Sends each call to a node of one service. For generated stubs and ``grpc.intercept_channel``; may be shared by
    threads.

    ``subscribe``, and so ``grpc.channel_ready_future``, tells whether there are nodes to call, not whether they are
    connected: ``READY`` as soon as the service has some, ``TRANSIENT_FAILURE`` while it has none.

    Args:
        source: a :class:`~regcache.Cache`, a URL for :func:`regcache.connect`, or a selector.
        service: its name, whatever it looks like; not needed with a selector.
        credentials: of ``grpc.ssl_channel_credentials`` and its like; ``None``: the calls are in the clear.
        arguments: ``options`` of grpcio's channels, such as ``[("grpc.max_receive_message_length", -1)]``.
        compression: of grpcio's channels.
        tries: how often a call is made at most, each time with another node, within one timeout and the selector's
            budget of retries, if it ended with ``UNAVAILABLE``. By default once.
        idempotent: the methods that may be called twice, by their full names; ``True``: all. Only calls with one
            request and one response are repeated, and not those made by ``future``.
        key: of a request and its metadata, for the strategy ``"hash"``; the request is ``None`` for streams.
        failed_codes: what counts as a failure of the node.
        server_hostname: what certificates are verified against, or a function of the node that returns it; by default
            the service's name.
        protocols: what ``metadata["protocol"]`` of a node may be; see
            :class:`~regcache.integrations.services.Services`.
        grace: seconds for which the connection to a node that is gone is kept, for the case that it comes back. Calls
            that are not over by then go on, and it is closed after the last.
        options: for the selector: ``strategy``, ``filters``, ``feedback`` and the rest.

    Raises from calls:
        grpc.RpcError: ``DEADLINE_EXCEEDED`` if no node was found in time, ``UNAVAILABLE`` if there is none, or none was
            found; why is the ``__cause__``.
    """

    def __init__(
        self,
        source: Source,
        service: Optional[str] = None,
        *,
        credentials: Any = None,
        arguments: Options = (),
        compression: Any = None,
        tries: int = 1,
        idempotent: Idempotent = (),
        key: Optional[Key] = None,
        failed_codes: Collection[Any] = FAILED_CODES,
        server_hostname: ServerHostname = None,
        protocols: Optional[Collection[str]] = ("grpc",),
        grace: float = 5.0,
        **options: "Unpack[AdapterOptions]",
    ) -> None:
        self.rules = Rules(
            source,
            service,
            options,
            arguments=arguments,
            tries=tries,
            idempotent=idempotent,
            key=key,
            failed_codes=failed_codes,
            server_hostname=server_hostname,
            protocols=protocols,
        )
        self._credentials = credentials
        self._compression = compression
        self._lock = threading.Lock()
        self._timers: List[threading.Timer] = []
        self._closed = False
        #: Those who want to know whether there are nodes, and what they were told last.
        self._subscribed: "List[Tuple[Callable[[Any], object], List[Any]]]" = []
        self.links: Links[Any] = Links(self.rules.selector, self._open, _close, grace, self._later)
        self.rules.selector.source.listen(self._tell)

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> "_UnaryUnary":
        return _UnaryUnary(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> "_UnaryStream":
        return _UnaryStream(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> "_StreamUnary":
        return _StreamUnary(self, "stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> "_StreamStream":
        return _StreamStream(self, "stream_stream", method, request_serializer, response_deserializer)

    def close(self) -> None:
        """End every call, as ``grpc.Channel`` does, and everything that was opened here."""
        with self._lock:
            self._closed = True
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()
        with ExitStack() as ending:  # from its end; one that raises keeps nobody else from being closed
            ending.callback(self._tell)
            ending.callback(self.rules.close)
            for channel in self.links.close():
                ending.callback(channel.close)

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- are there nodes? ----------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Any], object], try_to_connect: bool = False) -> None:
        told: "List[Any]" = []
        with self._lock:
            self._subscribed.append((callback, told))
        self._tell()
        if try_to_connect and self._state() is grpc.ChannelConnectivity.IDLE:
            # The first question makes the cache ask. Whoever subscribes does not wait for the answer.
            threading.Thread(target=self._ask, name="regcache-grpc-ask", daemon=True).start()

    def unsubscribe(self, callback: Callable[[Any], object]) -> None:
        with self._lock:
            self._subscribed = [one for one in self._subscribed if one[0] != callback]

    def _state(self) -> Any:
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        snapshot = self.rules.selector.source.view()[0]
        if snapshot is None:
            return grpc.ChannelConnectivity.IDLE
        return READY if len(snapshot) else grpc.ChannelConnectivity.TRANSIENT_FAILURE

    def _ask(self) -> None:
        with suppress(RegcacheError):
            self.rules.selector.source.get(None)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            state = self._state()
            to_tell = [callback for callback, told in self._subscribed if told != [state]]
            for _, told in self._subscribed:
                told[:] = [state]
        for callback in to_tell:
            try:
                callback(state)
            except Exception:  # the others are told all the same, as by grpcio
                logger.exception("a callback of subscribe() failed")

    # -- nodes ---------------------------------------------------------------------------------------------------

    def _open(self, node: Node) -> Any:
        target, arguments = self.rules.target(node), self.rules.arguments(node)
        if self._credentials is None:
            return grpc.insecure_channel(target, options=arguments, compression=self._compression)
        return grpc.secure_channel(target, self._credentials, options=arguments, compression=self._compression)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        with self._lock:
            if self._closed:
                return
            self._timers = [one for one in self._timers if one.is_alive()] + [timer]
            timer.start()


def _close(channel: Any) -> None:
    # The last call may have ended on the very thread that closing waits for.
    with suppress(RuntimeError):  # the interpreter ends, and everything with it
        threading.Thread(target=channel.close, name="regcache-grpc-close", daemon=True).start()


class _Method:
    """One method of the service."""

    def __init__(self, channel: Channel, kind: str, method: str, serializer: Any, deserializer: Any) -> None:
        self._channel = channel
        self._kind = kind
        self._method = method
        self._serializer = serializer
        self._deserializer = deserializer

    def _enter(self, attempt: Attempt) -> "Tuple[Exchange, Any]":
        """The call, and the channel of its node. Raises RegcacheError."""
        if self._channel._closed:
            raise Unavailable("the channel is closed")
        links = self._channel.links
        call = found(attempt.__enter__())
        try:
            link = links.take(call.node)
        except BaseException as error:
            call.ignore(error)
            call.__exit__(type(error), error, None)
            raise
        return Exchange(attempt, call, lambda: links.give(link)), link.opened

    def _blocking(self, request: Any, timeout: Optional[float], metadata: Any, options: Any, single: bool) -> Any:
        """The response, and the call of grpcio."""
        rules = self._channel.rules
        for attempt in rules.attempts(self._method, request if single else None, timeout, metadata):
            try:
                exchange, channel = self._enter(attempt)
            except RegcacheError as error:
                raise Failed(error) from error
            try:
                watched = watching(self._serializer, self._deserializer, exchange.call, [])
                invoke = getattr(channel, self._kind)(self._method, *watched)
                response = invoke.with_call(request, timeout=exchange.call.remaining, metadata=metadata, **options)
            except grpc.RpcError as error:
                if not rules.over(exchange, error.code(), error.details(), repeat=single):
                    raise
                continue
            except BaseException as error:  # a serializer's
                exchange.failed(error, node=False)
                raise
            rules.over(exchange, grpc.StatusCode.OK, None)
            return response
        raise AssertionError("the last attempt returns or raises")

    def _begin(self, request: Any, timeout: Optional[float], metadata: Any, options: Any, future: bool = False) -> Any:
        """The call of grpcio, which goes on. Its end is heard, whoever waits for it."""
        rules = self._channel.rules
        single = self._kind.startswith("unary")
        attempt = next(iter(rules.attempts(self._method, request if single else None, timeout, metadata)))
        try:
            exchange, channel = self._enter(attempt)
        except RegcacheError as error:
            return Failed(error)
        heard: "List[bool]" = []
        try:
            watched = watching(self._serializer, self._deserializer, exchange.call, heard)
            invoke = getattr(channel, self._kind)(self._method, *watched)
            begin = invoke.future if future else invoke
            rpc = begin(request, timeout=exchange.call.remaining, metadata=metadata, **options)
        except BaseException as error:
            exchange.failed(error, node=False)
            raise
        # grpc cancels a stream when its caller forgets it: nothing here may hold it.
        seen = weakref.ref(rpc)

        def over() -> None:
            rpc = seen()
            if rpc is not None:
                rules.over(exchange, rpc.code(), rpc.details())
            else:  # forgotten: whether it was read to its end nobody knows
                rules.over(exchange, grpc.StatusCode.OK if heard else grpc.StatusCode.CANCELLED, None)

        if not rpc.add_callback(over):
            over()
        return rpc


class _UnaryUnary(_Method, grpc.UnaryUnaryMultiCallable):
    def __call__(self, request: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any) -> Any:
        return self._blocking(request, timeout, metadata, options, single=True)[0]

    def with_call(self, request: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any) -> Any:
        return self._blocking(request, timeout, metadata, options, single=True)

    def future(self, request: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any) -> Any:
        return self._begin(request, timeout, metadata, options, future=True)


class _UnaryStream(_Method, grpc.UnaryStreamMultiCallable):
    def __call__(self, request: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any) -> Any:
        return self._begin(request, timeout, metadata, options)


class _StreamUnary(_Method, grpc.StreamUnaryMultiCallable):
    def __call__(
        self, request_iterator: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._blocking(request_iterator, timeout, metadata, options, single=False)[0]

    def with_call(
        self, request_iterator: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._blocking(request_iterator, timeout, metadata, options, single=False)

    def future(
        self, request_iterator: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._begin(request_iterator, timeout, metadata, options, future=True)


class _StreamStream(_Method, grpc.StreamStreamMultiCallable):
    def __call__(
        self, request_iterator: Any, timeout: Optional[float] = None, metadata: Any = None, **options: Any
    ) -> Any:
        return self._begin(request_iterator, timeout, metadata, options)
