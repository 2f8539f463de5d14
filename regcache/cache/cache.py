"""The cache: services by name, each loaded on first use and refreshed behind its callers' backs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Dict, Iterable, Optional, Union

from ..errors import Unavailable
from ..limits import Limits
from ..registry import Registry
from ..registry.base import checked_name
from .entry import Entry

if TYPE_CHECKING:
    from ..codec import Node, Snapshot
    from ..select import Selector, Strategy

__all__ = ["Cache"]


class Cache:
    """Snapshots of services, always at hand. May be shared by threads; a context manager.

    Args:
        registry: whom to ask. It stays its maker's to close.
        ttl: seconds for which an answer is fresh. After it the next caller starts a refresh in the background, and
            goes on with what is held like everybody else.
        limits: how much an answer may make us hold.
        clock: seconds, rising; snapshots count their age by ``time.monotonic``.
        cold_wait: seconds that a caller without a timeout waits for the first answer about a service.
        close_registry: close the registry with the cache.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        ttl: float = 30.0,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
        cold_wait: float = 3.2,
        close_registry: bool = False,
    ) -> None:
        if not ttl > 0:
            raise ValueError(f"ttl must be more than 0 seconds, not {ttl!r}")
        if not cold_wait >= 0:
            raise ValueError(f"cold_wait must be at least 0 seconds, not {cold_wait!r}")
        self.registry = registry
        self._ttl = ttl
        self._limits = limits
        self._clock = clock
        self._cold_wait = cold_wait
        self._close_registry = close_registry
        self._lock = threading.Lock()
        self._entries: Dict[str, Entry] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Cache of {self.registry!r}: {len(self._entries)} services>"

    def get(self, service: str, timeout: Optional[float] = None) -> "Snapshot":
        """The newest snapshot of a service; it may be empty.

        Never waits while one is held. Before the first answer it joins the one request in flight and waits for it
        at most ``timeout`` seconds (``cold_wait`` if that is ``None``). When a refresh fails, the last good snapshot
        goes on being served.

        Raises:
            Timeout: nothing is held, and no answer came in time. The request goes on; ask again.
            NotFound: nothing is held, and the registry says that there is no such service. (Consul says so with
                an empty list, which is an empty snapshot.)
            Unavailable, AccessDenied, RequestError, ServerError, RateLimited, ProtocolError, DecodeError,
            LimitExceeded: nothing is held, and this is why.
            TypeError, ValueError: this cannot be a service's name.
        """
        entry = self._entries.get(service)
        if entry is None:
            entry = self._entry(service)
        return entry.get(self._cold_wait if timeout is None else timeout)

    def selector(
        self,
        service: str,
        strategy: Union[str, "Strategy"] = "random",
        filters: Iterable[Callable[["Node"], object]] = (),
    ) -> "Selector":
        """A :class:`~regcache.select.Selector` of this service's nodes. Asks nobody yet.

        Args:
            strategy: ``"random"``, ``"round_robin"``, or a :class:`~regcache.select.Strategy`.
            filters: each is called with a node, once for each snapshot, and says whether it may be used.
        """
        from ..select import Selector  # the next room: the cache knows it only here, for the user's convenience

        entry = self._entry(service)
        cold_wait = self._cold_wait
        return Selector(
            service,
            lambda timeout: entry.get(cold_wait if timeout is None else timeout),
            strategy=strategy,
            filters=filters,
        )

    def close(self) -> None:
        """Let go of everything. Later calls raise :class:`~regcache.Unavailable`; callers who wait are told now."""
        with self._lock:
            self._closed = True
            entries = list(self._entries.values())
        for entry in entries:
            entry.close()
        if self._close_registry:
            self.registry.close()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _entry(self, service: str) -> Entry:
        with self._lock:
            entry = self._entries.get(service)
            if entry is None:
                if self._closed:
                    raise Unavailable(f"the cache is closed; {service!r} cannot be asked for")
                entry = self._entries[checked_name(service)] = Entry(
                    service,
                    self.registry,
                    ttl=self._ttl,
                    limits=self._limits,
                    clock=self._clock,
                    run=_in_background,
                )
            return entry


def _in_background(work: Callable[[], None]) -> None:
    # Daemons, so that a registry that hangs does not keep the interpreter from leaving.
    threading.Thread(target=work, name="regcache-refresh", daemon=True).start()
