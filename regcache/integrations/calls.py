"""What the HTTP adapters have in common: which outcomes count, what may be repeated, and how long it may take."""

from __future__ import annotations

import time
from typing import Any, Callable, Collection, Optional
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..codec import Node
from ..select import Attempt, Attempts, Call, Selector

__all__ = ["FAILED_STATUSES", "IDEMPOTENT", "PROTOCOLS", "Exchange", "Settings", "Stopwatch", "cut", "longest", "stay"]

#: The methods that may be repeated: RFC 9110, section 9.2.2.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: The statuses by which a node, or the proxy before it, says that it cannot answer (RFC 9110, sections 15.6.3 to 5).
#: 500 is not among them: it is as often the fault of the request.
FAILED_STATUSES = frozenset({502, 503, 504})
#: What go-micro's HTTP servers write into ``metadata["protocol"]``.
PROTOCOLS = ("http", "https")


class Settings:
    """What an adapter was told.

    Raises:
        ValueError: ``tries`` is below 1.
    """

    def __init__(
        self,
        tries: int,
        key: Optional[Callable[[Any], object]],
        failed_statuses: Collection[int],
        server_hostname: Any,
    ) -> None:
        if tries < 1:
            raise ValueError(f"tries must be at least 1, not {tries!r}")
        self.tries = tries
        self.failed_statuses = frozenset(failed_statuses)
        self._key = key
        self._server_hostname = server_hostname

    def attempts(self, selector: Selector, request: Any, timeout: Optional[float] = None) -> Attempts:
        """For one request, whose timeout (seconds) begins now."""
        key = None if self._key is None else self._key(request)
        return selector.attempts(timeout=timeout, tries=self.tries, key=key)

    def server_hostname(self, node: Node, host: str) -> str:
        """What the node's certificate is verified against: unless there is an option, the host of the URL."""
        chosen = self._server_hostname
        if callable(chosen):
            chosen = chosen(node)
        return chosen or host


class Exchange:
    """One request with one node. Whatever becomes of it, the call is left once.

    Args:
        attempt: its block was entered.
        call: what that gave.
        over: called when it ends.
    """

    def __init__(self, attempt: Attempt, call: Call, over: Callable[[], object] = lambda: None) -> None:
        self.call = call
        self._attempt = attempt
        self._over: Optional[Callable[[], object]] = over
        self._ended = False

    @property
    def node(self) -> Node:
        return self.call.node

    def failed(self, error: BaseException, node: bool = True, repeat: bool = False) -> bool:
        """There is no response. True: forget the error, and go on with the next attempt.

        Args:
            node: is it the node's failure, and not the caller's own mistake?
            repeat: may the request be sent again?
        """
        if not node:
            self.call.ignore(error)
        if isinstance(error, Exception) and hasattr(error, "add_note"):  # CPython 3.11
            error.add_note(f"regcache: the node was {self.node.id!r} ({self.node.target})")
        return self.leave(error, repeat)

    def answered(self, status: int, failing: bool, repeat: bool) -> bool:
        """The headers are there. True: throw the response away, and go on with the next attempt.

        A response that counts as a failure is told at once, not after its body: others should not be sent there in
        the meantime.
        """
        self.call.answered()
        if not failing:
            return False
        self.call.failed(f"HTTP {status}")
        # What the node was reached by is used until the body was read: over comes with done().
        return self._left(None, repeat)

    def forgotten(self) -> None:
        """Nobody has the response any more: the garbage collector found it, in the middle of anything. Nothing is
        learned of the node, since that might need a lock."""
        self.call.ignore(_FORGOTTEN)
        self.leave(None, False)

    def done(self, error: Optional[BaseException] = None) -> None:
        """The body was read, or closed, or broke off. Only the first time counts."""
        self.leave(error, False)

    def leave(self, error: Optional[BaseException], repeat: bool) -> bool:
        """Leave the call, with what it was told. True: go on with the next attempt."""
        try:
            return self._left(error, repeat)
        finally:
            over, self._over = self._over, None
            if over is not None:
                over()

    def _left(self, error: Optional[BaseException], repeat: bool) -> bool:
        if self._ended:
            return False
        self._ended = True
        kind, trace = (None, None) if error is None else (type(error), error.__traceback__)
        # The attempt asks the budget for another one; that is only for what may be repeated.
        if repeat:
            self._attempt.__exit__(kind, error, trace)
            return bool(self._attempt.again)
        self.call.__exit__(kind, error, trace)
        return False


_FORGOTTEN = Exception("the response was forgotten")


def stay(url: str, location: str) -> str:
    """Where a redirect leads from a URL with a scheme of ours: to the same host by the same scheme.

    Servers know neither the scheme nor that they are called by it: their locations are relative, which ``urljoin`` only
    understands for the schemes that it knows, or made with ``http`` and the Host header.
    """
    old = urlsplit(url)
    if not old.scheme.endswith("+regcache"):
        return location
    try:
        joined = urlsplit(urljoin(urlunsplit(old._replace(scheme=old.scheme[: -len("+regcache")])), location))
    except ValueError:  # no URL: the library says so, or nobody follows it
        return location
    if joined.netloc == old.netloc.rpartition("@")[2] and joined.scheme in ("http", "https"):
        joined = joined._replace(scheme=f"{joined.scheme}+regcache")
    return urlunsplit(joined)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._began


def longest(*timeouts: Optional[float]) -> Optional[float]:
    """The deadline of all tries together: the longest of the phases' timeouts; ``None`` if one of them has none."""
    known = [timeout for timeout in timeouts if timeout is not None]
    return max(known) if len(known) == len(timeouts) else None


def cut(timeout: Optional[float], left: Optional[float]) -> Optional[float]:
    """A timeout, but no more than what is left."""
    if timeout is None or left is None:
        return left if timeout is None else timeout
    return max(0.0, min(timeout, left))
