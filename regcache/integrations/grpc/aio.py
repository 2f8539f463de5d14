"""A ``grpc.aio.Channel`` that finds a node for each call.

grpc.aio begins a call at once and without waiting, while finding the first node may have to wait. Interceptors of a
channel that leads nowhere do that: grpcio's own calls wait for them, and pass everything on to the call that they give.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Callable, Collection, Coroutine, Dict, NamedTuple, Optional, Tuple

import grpc
from grpc import aio as base

from ...codec import Node
from ...errors import RegcacheError
from ...select import Attempt
from ..calls import Exchange
from ..links import Closing, Links
from .rules import FAILED_CODES, Idempotent, Key, Options, Rules, ServerHostname, Source, code_of, found, watching

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ...select.options import AdapterOptions

__all__ = ["Channel"]

READY = grpc.ChannelConnectivity.READY


class Method(NamedTuple):
    """One method of the service, as a stub asked for it."""

    kind: str
    name: str
    serializer: Any
    deserializer: Any


class _Name(bytes):
    """What a method is called in the channel that leads nowhere. grpcio hands it on as it is, with the method: nothing
    is remembered of stubs that are gone, though each may have brought functions of its own."""

    method: Method


class Channel(base.Channel):
    """Sends each call to a node of one service. For generated stubs on grpc.aio; for one event loop.

    The arguments are those of :class:`regcache.integrations.grpc.Channel`, and as there ``get_state`` and
    ``channel_ready`` are about whether there are nodes.

    Args:
        interceptors: grpcio's, for the calls to each node: of a call that is repeated they see each attempt.

    Raises from calls:
        grpc.aio.AioRpcError: ``DEADLINE_EXCEEDED`` if no node was found in time, ``UNAVAILABLE`` if there is none, or
            none was found; why is the ``__cause__``.
    """

    def __init__(
        self,
        source: Source,
        service: Optional[str] = None,
        *,
        credentials: Any = None,
        arguments: Options = (),
        compression: Any = None,
        interceptors: Any = None,
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
        self._interceptors = interceptors
        self._loop = asyncio.get_event_loop()
        self._closed = False
        self._changed = asyncio.Event()
        self._asking: "Optional[asyncio.Task[None]]" = None
        self._closing: Closing[Any] = Closing(methodcaller("close"))
        self._closing.loop = self._loop
        self.links: Links[Any] = Links(self.rules.selector, self._open, self._closing, grace, self._later)
        self.rules.selector.source.listen(self._hear)
        ours = [_UnaryUnary(self), _UnaryStream(self), _StreamUnary(self), _StreamStream(self)]
        self._nowhere = base.insecure_channel("regcache.invalid", interceptors=ours)

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> Any:
        return self._multicallable(Method("unary_unary", method, request_serializer, response_deserializer))

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> Any:
        return self._multicallable(Method("unary_stream", method, request_serializer, response_deserializer))

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> Any:
        return self._multicallable(Method("stream_unary", method, request_serializer, response_deserializer))

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = None,
    ) -> Any:
        return self._multicallable(Method("stream_stream", method, request_serializer, response_deserializer))

    def _multicallable(self, method: Method) -> Any:
        name = _Name(b"/")
        name.method = method
        return getattr(self._nowhere, method.kind)(name)

    async def close(self, grace: Optional[float] = None) -> None:
        """End everything that was opened here; calls that are not over after so many seconds are cancelled, with
        ``None`` at once, as ``grpc.aio.Channel`` does."""
        self._closed = True
        async with AsyncExitStack() as ending:  # from its end; one that raises keeps nobody else from being closed
            ending.callback(self._changed.set)
            # A cache that was opened here may have threads to wait for.
            ending.push_async_callback(lambda: self._loop.run_in_executor(None, self.rules.close))
            if self._asking is not None:
                ending.callback(self._asking.cancel)
            ending.push_async_callback(self._nowhere.close)
            ending.push_async_callback(self._closing.wait)
            # All at once: each waits for its own calls.
            ending.push_async_callback(asyncio.gather, *(channel.close(grace) for channel in self.links.close()))

    async def __aenter__(self) -> "Channel":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # -- are there nodes? ----------------------------------------------------------------------------------------

    def get_state(self, try_to_connect: bool = False) -> Any:
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        snapshot = self.rules.selector.source.view()[0]
        if snapshot is None:
            if try_to_connect and (self._asking is None or self._asking.done()):
                self._asking = self._loop.create_task(self._ask())
            return grpc.ChannelConnectivity.IDLE
        return READY if len(snapshot) else grpc.ChannelConnectivity.TRANSIENT_FAILURE

    async def wait_for_state_change(self, last_observed_state: Any) -> None:
        while self.get_state() is last_observed_state:
            self._changed.clear()
            if self.get_state() is last_observed_state:
                await self._changed.wait()

    async def channel_ready(self) -> None:
        state = self.get_state(try_to_connect=True)
        while state is not READY:
            if state is grpc.ChannelConnectivity.SHUTDOWN:
                raise base.UsageError("the channel is closed")
            await self.wait_for_state_change(state)
            state = self.get_state(try_to_connect=True)

    async def _ask(self) -> None:
        with suppress(RegcacheError):
            await self.rules.selector.source.get_async(None)

    def _hear(self) -> None:
        """There is another snapshot; on a thread of the cache."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._changed.set)

    # -- nodes ---------------------------------------------------------------------------------------------------

    def _open(self, node: Node) -> Any:
        options: Dict[str, Any] = {
            "options": self.rules.arguments(node),
            "compression": self._compression,
            "interceptors": self._interceptors,
        }
        if self._credentials is None:
            return base.insecure_channel(self.rules.target(node), **options)
        return base.secure_channel(self.rules.target(node), self._credentials, **options)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)

    # -- calls ---------------------------------------------------------------------------------------------------

    async def _enter(self, attempt: Attempt) -> "Tuple[Exchange, Any]":
        """The call, and the channel of its node. Raises AioRpcError."""
        try:
            call = found(await attempt.__aenter__())
        except RegcacheError as error:
            nothing = base.Metadata()
            raise base.AioRpcError(code_of(error), nothing, nothing, details=str(error)) from error
        try:
            link = self.links.take(call.node)
        except BaseException as error:
            call.ignore(error)
            call.__exit__(type(error), error, None)
            raise
        return Exchange(attempt, call, lambda: self.links.give(link)), link.opened

    async def _begin(self, details: Any, request: Any) -> Any:
        """The call of grpcio to the node: for calls that may be repeated it is over, the others have begun."""
        method: Method = details.method.method
        single = method.kind.startswith("unary")
        rules = self.rules
        repeats = method.kind == "unary_unary" and rules.tries(method.name) > 1
        async for attempt in rules.attempts(
            method.name, request if single else None, details.timeout, details.metadata
        ):
            exchange, channel = await self._enter(attempt)
            try:
                watched = watching(method.serializer, method.deserializer, exchange.call, [])
                invoke = getattr(channel, method.kind)(method.name, *watched)
                rpc = invoke(
                    request,
                    timeout=exchange.call.remaining,
                    metadata=details.metadata,
                    credentials=details.credentials,
                    wait_for_ready=details.wait_for_ready,
                )
            except BaseException as error:
                exchange.failed(error, node=False)
                raise
            if repeats:
                try:
                    await rpc
                except base.AioRpcError as error:
                    if rules.over(exchange, error.code(), error.details(), repeat=True):
                        continue
                except BaseException as error:
                    exchange.failed(error, node=False)
                    raise
            # What is over by now is told at once.
            rpc.add_done_callback(lambda rpc, exchange=exchange: _over(rules, exchange, rpc))
            return rpc
        raise AssertionError("the last attempt returns or raises")


class _UnaryUnary(base.UnaryUnaryClientInterceptor):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._channel._begin(client_call_details, request)


class _UnaryStream(base.UnaryStreamClientInterceptor):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._channel._begin(client_call_details, request)


class _StreamUnary(base.StreamUnaryClientInterceptor):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._channel._begin(client_call_details, request_iterator)


class _StreamStream(base.StreamStreamClientInterceptor):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._channel._begin(client_call_details, request_iterator)


def _over(rules: Rules, exchange: Exchange, rpc: Any) -> None:
    code = _now(rpc.code())
    rules.over(exchange, grpc.StatusCode.CANCELLED if code is None else code, _now(rpc.details()))


def _now(coroutine: "Coroutine[Any, Any, Any]") -> Any:
    """What a coroutine returns that has nothing to wait for: the code of a call that is over."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    return None
