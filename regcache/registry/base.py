"""What a registry is: it turns a service's name into chunks of bytes. It decodes nothing and remembers nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, List, Literal, Optional, Protocol, Union
from urllib.parse import SplitResult, urlsplit

from ..model import Service

if TYPE_CHECKING:
    from .registration import Registration

__all__ = ["Answer", "BytesLike", "Consistency", "Form", "Multiplexed", "Pending", "Registrar", "Registry"]

BytesLike = Union[bytes, bytearray, memoryview]

#: Schemes of URLs in which "@" is the mark of a user and a password, wherever it is. (A socket's path may have one.)
_WITH_HOST = ("consul", "consul+https", "http", "https")

#: Consul's read modes: ``stale`` (any server answers), ``default`` (the leader), ``consistent`` (a quorum).
#: Registries that know only one ignore it.
Consistency = Literal["stale", "default", "consistent"]

#: How a node's version, metadata and endpoints are written into its tags: go-micro's way, in regcache's own
#: compact tag, or both, for readers of either kind.
Form = Literal["both", "go-micro", "compact"]


class Answer:
    """One answer of a registry, while its body is still coming in. A context manager: leaving it closes it.

    Attributes:
        index: the place of this answer in the registry's history, an int of at least 1; 0 means that there is none.
    """

    __slots__ = ("_chunks", "_close", "index")

    def __init__(
        self, chunks: Iterable[BytesLike], *, index: int = 0, close: Optional[Callable[[], None]] = None
    ) -> None:
        self._chunks = chunks
        self._close = close
        self.index: int = index

    def chunks(self) -> Iterator[BytesLike]:
        """The body, once, in pieces cut anywhere; each is valid until the next one is asked for.

        The body is whole only when this ends by itself: everything else raises.

        Raises:
            Timeout: the answer did not end within its time.
            ProtocolError: the body was cut short, or its framing is broken.
            LimitExceeded: the body is larger than the registry's cap.
        """
        return iter(self._chunks)

    def close(self) -> None:
        """Give up what is still to come and free what it holds. May be called more than once."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Pending(Protocol):
    """A request that was sent, and whose answer may be far away. Nobody needs to wait for it on a thread.

    Used by one thread at a time, but for :meth:`close`. One that was asked without the index that it was to be asked
    with, because its registry may have been restarted meanwhile, has an attribute ``blocking`` that is false.
    """

    def fileno(self) -> Optional[int]:
        """A descriptor that can be read from when there is an answer; ``None``: see :meth:`on_ready`."""

    def ready(self) -> bool:
        """Is it an answer that can be read? If not, wait for more. Never waits itself."""

    def on_ready(self, callback: Callable[[], object]) -> None:
        """For those without a descriptor: call this once, from any thread, when there is an answer; at once if there
        is one. That the wait is over is not said: after it :meth:`answer` may be called anyway."""

    def answer(self) -> Answer:
        """The answer; waits for it as :meth:`Registry.fetch` does. Raises what that raises. May be called once."""

    def close(self) -> None:
        """Break it off. From any thread and at any time: who is reading the answer gets an error soon.

        In the child of a fork only the child's share is let go of: the request goes on in the parent.
        """


class Multiplexed(Protocol):
    """A registry that many requests may wait on without a thread each."""

    def begin(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Pending:
        """Send the request of :meth:`Registry.fetch`, and do not wait for its answer. Raises what that raises."""


class Registry(Protocol):
    """What a cache needs of a registry. Every method may be called from several threads at once.

    A registry may be :class:`Multiplexed` too. One that is not holds a thread for each request that waits.
    """

    @property
    def blocking(self) -> bool:
        """Does ``fetch(index=, wait=)`` wait for a change? If not it answers at once, and a watch must poll."""

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """Ask for the nodes of a service; the body has the form of Consul's ``/v1/health/service/<name>``.

        Args:
            service: the exact name.
            index: answer only when something changed after this index (an :attr:`Answer.index` of before).
            wait: with ``index``: answer after this many seconds even if nothing changed; ``None``: 55 s.
            timeout: seconds for the whole exchange, to the body's last byte; ``None``: the registry's own.
                With ``index`` the wait comes on top of it.
            consistency: the read mode of this one request; ``None``: the registry's own.

        Raises:
            NotFound: there is no such service, where the registry says so (Consul answers with an empty list).
            Unavailable, Timeout, AccessDenied, RequestError, ServerError, RateLimited, ProtocolError,
            LimitExceeded: as their own texts say.
        """

    def services(self) -> List[str]:
        """The names of all services, sorted. Raises what :meth:`fetch` raises."""

    def close(self) -> None:
        """Free connections. Requests in flight may still end; new ones raise :class:`~regcache.Unavailable`."""


class Registrar(Protocol):
    """A registry that services can be put into."""

    def register(
        self,
        service: Service,
        *,
        ttl: Optional[float] = 30.0,
        deregister_after: Optional[float] = None,
        form: Form = "both",
        tags: Iterable[str] = (),
        keep: bool = False,
        at_exit: bool = True,
    ) -> "Optional[Registration]":
        """Add a service's nodes, as :meth:`regcache.ConsulRegistry.register` says."""

    def deregister(self, service: Union[Service, str]) -> None:
        """Take nodes away: those of a service, or the one with this ID. Unknown ones are no error."""


def pieces(body: bytes, size: int = 64 * 1024) -> Iterator[BytesLike]:
    """A body that is in memory, in chunks of ``size`` bytes, without copying it."""
    with memoryview(body) as view:
        for start in range(0, len(view), size):
            yield view[start : start + size]


def checked_name(name: str, what: str = "a service's name") -> str:
    """The name itself, if it can be one. ``what`` it is called in messages.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, or no UTF-8 can be made of it.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} is a str, not {type(name).__name__}")
    if not name:
        raise ValueError(f"{what} may not be empty")
    name.encode()
    return name


def checked_wait(wait: Optional[float]) -> float:
    """The seconds that an answer may wait for a change: ``wait=``, or 55.0 where that is ``None``.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, infinite, or nan.
    """
    if wait is None:
        return 55.0
    if not isinstance(wait, (int, float)):
        raise TypeError(f"wait is a number of seconds, not {type(wait).__name__}")
    if not 0 <= wait < math.inf:
        raise ValueError(f"wait must be 0 seconds or more, and finite, not {wait!r}")
    return wait


def node_ids(service: Union[Service, str]) -> List[str]:
    """What is to be deregistered: the IDs of a service's nodes, or the one that was given.

    Raises:
        TypeError: it is neither.
        ValueError: an ID is empty, or no UTF-8 can be made of it.
    """
    if isinstance(service, str):
        return [checked_name(service, "a node's ID")]
    if not isinstance(service, Service):
        raise TypeError(f"a regcache.Service or a node's ID, a str, is wanted, not {type(service).__name__}")
    return [checked_name(node.id, f"nodes[{number}].id") for number, node in enumerate(service.nodes)]


def split_url(url: str) -> SplitResult:
    """The parts of a URL, if nothing of it is dropped without a word where it is taken apart.

    Raises:
        TypeError: it is not a str.
        ValueError: there are spaces around it, control characters in it, a password, or its host is none. It is not
            repeated: it may hold a password.
    """
    if not isinstance(url, str):
        raise TypeError(f"a registry's URL is a str, such as 'consul://127.0.0.1:8500', not {type(url).__name__}")
    if url != url.strip() or any(character < " " or character == "\x7f" for character in url):
        raise ValueError("a registry's URL has no spaces around it and no control characters in it")
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may repeat the URL
        raise ValueError("a registry's URL is not well formed: look at its host, and at its brackets") from None
    # In the whole URL: with "/", "?" or "#" in a password its beginning would be a host and a port.
    if parts.scheme in _WITH_HOST and "@" in url:
        raise ValueError("a registry's URL has no user and password; give the token as token=")
    return parts
