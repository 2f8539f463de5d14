"""What can go wrong, one class for each thing a caller may want to tell apart.

An outage never looks like "not found": :class:`NotFound` means that the registry answered,
:class:`Unavailable` that it could not be asked and nothing is held.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

__all__ = [
    "AccessDenied",
    "DecodeError",
    "LimitExceeded",
    "NoneAvailable",
    "NotFound",
    "ProtocolError",
    "RateLimited",
    "RegcacheError",
    "RequestError",
    "ServerError",
    "Throttled",
    "Timeout",
    "Unavailable",
]


class RegcacheError(Exception):
    """The base of every error that regcache raises on purpose."""


class NotFound(RegcacheError, LookupError):
    """The registry answered, and has no such service."""


class NoneAvailable(RegcacheError, LookupError):
    """There are nodes, but none may be used, or the filters left none."""


class Unavailable(RegcacheError, ConnectionError):
    """The registry cannot be reached and nothing is held."""


class Throttled(RegcacheError):
    """The selector's own limit of calls is reached; nothing was called.

    Attributes:
        retry_after: seconds until the next call may be made.
    """

    def __init__(self, text: str = "", retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (*self.args, self.retry_after)


class Timeout(RegcacheError, TimeoutError):
    """The caller's deadline passed before there was an answer."""


class AccessDenied(RegcacheError, PermissionError):
    """The registry refused the token (401 or 403)."""


class RequestError(RegcacheError):
    """The registry called the request wrong (400, 404, 405) or answered with a redirect. Asking again will not help.

    Attributes:
        status: the HTTP status; ``None`` where there was none.
    """

    status: Optional[int] = None


class ServerError(RegcacheError):
    """The registry failed (500). Consul also answers 500 to a bad filter and to an unknown datacenter."""


class RateLimited(RegcacheError):
    """The registry asks for fewer requests (429), or for another server (503)."""


class ProtocolError(RegcacheError):
    """The answer is not what the protocol promises: cut short, badly framed, or without a valid index."""


class DecodeError(ProtocolError, ValueError):
    """A body or a tag that cannot be decoded.

    Attributes:
        reason: what is wrong, without the place.
        offset: the byte of the body (of the tag list: of the tag) at which it is wrong, from 0.
        path: where that is, such as ``[17].Service.Tags[3]``; empty at the top.
        node: the service ID of the node, where it is known.
        source: who sent it, set by whoever knows; empty otherwise. The error's text begins with it.
    """

    source: str = ""

    def __init__(self, reason: str, offset: int = 0, path: str = "", node: Optional[str] = None) -> None:
        self.reason = reason
        self.offset = offset
        self.path = path
        self.node = node
        place = f"byte {offset}" + (f", {path}" if path else "") + (f" (node {node!r})" if node else "")
        super().__init__(f"{place}: {reason}")

    def __str__(self) -> str:
        return f"{self.source}: {super().__str__()}" if self.source else super().__str__()

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.reason, self.offset, self.path, self.node), {"source": self.source}


class LimitExceeded(DecodeError):
    """The input is larger than a limit of :class:`regcache.Limits` allows; ``limit`` names it."""

    def __init__(
        self, reason: str, offset: int = 0, path: str = "", node: Optional[str] = None, limit: str = ""
    ) -> None:
        super().__init__(reason, offset, path, node)
        self.limit = limit

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.reason, self.offset, self.path, self.node, self.limit), {"source": self.source}
