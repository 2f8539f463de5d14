"""What both channels have in common: where nodes are, which outcomes count, what may be repeated."""

from __future__ import annotations

import re
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import grpc

from ...cache import Cache
from ...codec import Node
from ...errors import Timeout
from ...select import Attempts, Call, Selector
from ..calls import Exchange
from ..services import Services, address_of

__all__ = [
    "FAILED_CODES",
    "Idempotent",
    "Key",
    "Options",
    "Rules",
    "ServerHostname",
    "Source",
    "code_of",
    "found",
    "watching",
]

#: By these a node, or the way to it, says that it cannot answer. ``DEADLINE_EXCEEDED`` is the node's: what is over
#: before there is a node is not counted. ``INTERNAL`` is what a broken connection or answer ends with. ``UNKNOWN``, a
#: server's own exception, is not among them: it is as often the fault of the request.
FAILED_CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL})

Source = Union[Cache, str, Selector]
ServerHostname = Union[str, Callable[[Node], Optional[str]], None]
#: Full names of methods (``/greeter.Say/Hello``), or all of them.
Idempotent = Union[Collection[str], bool]
#: Given the request (``None`` of a stream) and the metadata.
Key = Callable[[Any, Any], object]
#: Arguments of grpcio's channels.
Options = Sequence[Tuple[str, Any]]


class Rules:
    """What a channel was told. The arguments are those of :class:`~regcache.integrations.grpc.Channel`."""

    def __init__(
        self,
        source: Source,
        service: Optional[str],
        options: Mapping[str, Any],
        *,
        arguments: Options,
        tries: int,
        idempotent: Idempotent,
        key: Optional[Key],
        failed_codes: Collection[Any],
        server_hostname: ServerHostname,
        protocols: Optional[Collection[str]],
    ) -> None:
        if tries < 1:
            raise ValueError(f"tries must be at least 1, not {tries!r}")
        if isinstance(idempotent, str):
            raise TypeError(f"idempotent are several methods, such as [{idempotent!r}], or True for all")
        if tries > 1 and not idempotent:
            raise ValueError("tries is for methods that may be called twice: say in idempotent which those are")
        self._tries = tries
        self._idempotent = idempotent
        self._key = key
        self._failed_codes = frozenset(failed_codes)
        self._server_hostname = server_hostname
        self._arguments = list(arguments)
        self.services: Optional[Services] = None
        if isinstance(source, Selector):
            if options:
                raise TypeError(f"{', '.join(sorted(options))}: a selector that is given has its own")
            self.selector = source
        else:
            if service is None:
                raise TypeError("a channel is one service's: Channel(cache, 'greeter')")
            self.services = Services(source, None, protocols, options)
            selector = self.services.get(service)
            assert selector is not None, "a cache makes one of each"
            self.selector = selector

    def attempts(self, method: str, request: Any, timeout: Optional[float], metadata: Any) -> Attempts:
        """For one call, whose timeout (seconds) begins now."""
        key = None if self._key is None else self._key(request, metadata)
        if timeout is not None:  # grpc takes deadlines that are over
            timeout = max(0.0, timeout)
        return self.selector.attempts(timeout=timeout, tries=self.tries(method), key=key)

    def tries(self, method: str) -> int:
        may = self._idempotent if isinstance(self._idempotent, bool) else method in self._idempotent
        return self._tries if may else 1

    def over(self, exchange: Exchange, code: Any, details: Optional[str], repeat: bool = False) -> bool:
        """A call ended with this code. True: go on with the next attempt."""
        if code is grpc.StatusCode.CANCELLED:
            exchange.call.ignore(_CANCELLED)
        elif code in self._failed_codes:
            exchange.call.failed(f"{code.name}: {details}")
        # Only what says that a node cannot answer; whether it worked until the deadline nobody knows.
        return exchange.leave(None, repeat and code is grpc.StatusCode.UNAVAILABLE)

    def target(self, node: Node) -> str:
        """As grpcio's DNS resolver takes it: it leaves addresses as they are. Port 0: the default of grpc, 443."""
        address, port = address_of(node)
        host = f"[{address}]" if ":" in address else address
        return f"dns:///{host}" + (f":{port}" if port else "")

    def arguments(self, node: Node) -> List[Tuple[str, Any]]:
        """Of the node's channel: the authority (HTTP/2's Host) is the service's name, and certificates are verified
        against it; unless something else was told, or it cannot be one."""
        more: Dict[str, Any] = {}
        if re.fullmatch(r"[A-Za-z0-9._~-]+", self.selector.service):
            more["grpc.default_authority"] = self.selector.service
        chosen = self._server_hostname
        if callable(chosen):
            chosen = chosen(node)
        if chosen:
            more["grpc.ssl_target_name_override"] = chosen
        told = {name for name, _ in self._arguments}
        return [*self._arguments, *((name, value) for name, value in more.items() if name not in told)]

    def close(self) -> None:
        """End the selector, if it was made here, and the cache, if it was opened here."""
        if self.services is not None:
            self.services.close()


def code_of(error: Exception) -> Any:
    """What a call ends with for which no node was found."""
    return grpc.StatusCode.DEADLINE_EXCEEDED if isinstance(error, Timeout) else grpc.StatusCode.UNAVAILABLE


def found(call: Call) -> Call:
    """The call, if there is time left for it. Otherwise nothing is learned of the node."""
    if call.remaining == 0.0:
        call.ignore(_CANCELLED)
        call.__exit__(None, None, None)
        raise Timeout("finding a node took all of the time")
    return call


def watching(serializer: Any, deserializer: Any, call: Call, heard: List[bool]) -> Tuple[Any, Any]:
    """Both, for one call. The first message that comes ends the latency, for which grpc has no other sign; and where
    one of them fails, with grpc's ``INTERNAL``, that is not the node's fault."""

    def serialize(message: Any) -> Any:
        try:
            return serializer(message)
        except Exception as error:
            call.ignore(error)
            raise

    def deserialize(message: bytes) -> Any:
        call.answered()
        heard[:] = [True]
        try:
            return message if deserializer is None else deserializer(message)
        except Exception as error:
            call.ignore(error)
            raise

    return None if serializer is None else serialize, deserialize


class _Cancelled(Exception):
    """The caller's own."""


_CANCELLED = _Cancelled()
