"""The selector: hands out nodes of the newest snapshot, by a strategy."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Awaitable, Callable, Iterable, List, NamedTuple, Optional, Tuple, Union

from ..errors import NoneAvailable, NotFound, RegcacheError
from .strategies import Strategy, strategy_named

if TYPE_CHECKING:
    from ..codec import Node, Snapshot

__all__ = ["Selector"]

#: The statuses of nodes that calls may go to.
USABLE = frozenset({"passing", "warning"})
#: How many versions a message lists.
LISTED = 8


class _Prepared(NamedTuple):
    """What depends on the snapshot alone."""

    snapshot: Optional["Snapshot"]
    pick: Callable[[], "Node"]


class Selector:
    """Picks nodes of one service. May be shared by threads; keeps its place over refreshes.

    Args:
        service: the name, for messages.
        get: called with a timeout in seconds or ``None``, returns the newest snapshot (an entry of a cache).
        get_async: the same for tasks of asyncio, awaited.
        strategy: ``"random"``, ``"round_robin"``, or a :class:`~regcache.select.Strategy` for this selector alone.
        filters: each is called with a node, once for each snapshot; what every one of them says yes to may be used.
    """

    def __init__(
        self,
        service: str,
        get: Callable[[Optional[float]], "Snapshot"],
        *,
        get_async: Optional[Callable[[Optional[float]], Awaitable["Snapshot"]]] = None,
        strategy: Union[str, Strategy] = "random",
        filters: Iterable[Callable[["Node"], object]] = (),
    ) -> None:
        self.service = service
        self._get = get
        self._get_async = get_async
        self._strategy = strategy_named(strategy)
        self._filters = tuple(filters)
        for chosen in self._filters:
            if not callable(chosen):
                raise TypeError(f"a filter is called with a node; {chosen!r} cannot be called")
        self._lock = threading.Lock()
        self._prepared = _Prepared(None, _nothing)

    def __repr__(self) -> str:
        return f"<Selector of {self.service!r}>"

    def select(self, timeout: Optional[float] = None) -> "Node":
        """A node that calls may go to: passing or warning, and let through by the filters.

        Args:
            timeout: seconds to wait for the first answer about the service; once anything is held, nothing waits.

        Raises:
            NotFound: the registry answered, and has no such service.
            NoneAvailable: there are nodes, but none may be used, or the filters left none.
            Timeout, Unavailable, and others: nothing is held; see :meth:`regcache.Cache.get`.
        """
        snapshot = self._get(timeout)
        prepared = self._prepared
        if prepared.snapshot is not snapshot:
            prepared = self._prepare(timeout)
        return prepared.pick()

    async def select_async(self, timeout: Optional[float] = None) -> "Node":
        """:meth:`select` for a task of asyncio: waiting for a first answer does not block the loop.

        Raises what :meth:`select` raises, and TypeError if this selector was made without ``get_async``.
        """
        if self._get_async is None:
            raise TypeError(f"the selector of {self.service!r} was made without get_async=")
        snapshot = await self._get_async(timeout)
        prepared = self._prepared
        if prepared.snapshot is not snapshot:
            prepared = self._prepare(0.0)
        return prepared.pick()

    def _prepare(self, timeout: Optional[float]) -> _Prepared:
        with self._lock:
            # Asked for again: a thread that was held up with an old snapshot must not put it back.
            snapshot = self._get(timeout)
            if self._prepared.snapshot is not snapshot:
                try:
                    pick = self._strategy.prepare(self._usable(snapshot))
                except (NotFound, NoneAvailable) as error:
                    pick = _raise(type(error), str(error))
                self._prepared = _Prepared(snapshot, pick)
            return self._prepared

    def _usable(self, snapshot: "Snapshot") -> Tuple["Node", ...]:
        """The nodes that may be used, at least one. Raises what :meth:`select` then raises at every call."""
        if not len(snapshot):
            raise NotFound(f"the registry has no service {self.service!r} (or its token may not read it)")
        nodes: List["Node"] = [node for node in snapshot if node.status in USABLE]
        if not nodes:
            counts = Counter(node.status for node in snapshot)
            states = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            raise NoneAvailable(f"none of the {len(snapshot)} nodes of {self.service!r} may be used: {states}")
        for chosen in self._filters:
            left = [node for node in nodes if chosen(node)]
            if not left:
                versions = sorted({node.version for node in nodes})
                listed = ", ".join(map(repr, versions[:LISTED])) + (", ..." if len(versions) > LISTED else "")
                raise NoneAvailable(
                    f"the filter {chosen!r} left none of {len(nodes)} usable nodes of {self.service!r} "
                    f"(versions: {listed})"
                )
            nodes = left
        return tuple(nodes)


def _raise(kind: Callable[[str], RegcacheError], text: str) -> Callable[[], "Node"]:
    """A pick that fails; with a new exception each time, since each collects a traceback."""

    def pick() -> "Node":
        raise kind(text)

    return pick


def _nothing() -> "Node":
    raise AssertionError("a selector picked before it had a snapshot")
