"""What is open to nodes (connection pools, channels): one for each, closed when its node is gone."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Coroutine, Deque, Dict, FrozenSet, Generic, List, Optional, Set, TypeVar

from ..cache.events import logger
from ..codec import Node
from ..select import Selector

__all__ = ["Closing", "Link", "Links"]

T = TypeVar("T")


class Closing(Generic[T]):
    """Closes what has to be awaited, from whatever thread a node's end is heard on.

    Attributes:
        loop: where it is awaited; to be set before anything is opened.
    """

    def __init__(self, close: "Callable[[T], Coroutine[Any, Any, object]]") -> None:
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self._close = close
        self._tasks: "Set[asyncio.Task[object]]" = set()

    def __call__(self, opened: T) -> None:
        loop = self.loop
        assert loop is not None, "what was opened was opened on a loop"

        def begin() -> None:
            task = loop.create_task(self._close(opened))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        with suppress(RuntimeError):  # the loop is closed, and with it whatever was open on it
            loop.call_soon_threadsafe(begin)

    async def wait(self) -> None:
        """Until what was begun is closed."""
        while self._tasks:
            await asyncio.gather(*self._tasks)


class Link(Generic[T]):
    """One node's."""

    __slots__ = ("due", "gone", "opened", "target", "used")

    def __init__(self, target: str, opened: T, gone: Optional[object]) -> None:
        self.target = target
        self.opened = opened
        #: Calls that are not over.
        self.used = 0
        #: Is its node gone? Each going is an object of its own.
        self.gone = gone
        #: May it be closed when nobody uses it?
        self.due = gone is not None


class Links(Generic[T]):
    """Follows the snapshots of one selector. What a call uses stays open until the call is over.

    Args:
        selector: whose nodes they lead to.
        open: opens one; called at the first call to a node.
        close: closes one that nobody uses any more. Called on any thread, with no lock held.
        grace: seconds for which a node that is gone may come back to what was open.
        later: calls something after so many seconds, if there is a grace.
    """

    def __init__(
        self,
        selector: Selector,
        open: Callable[[Node], T],
        close: Callable[[T], object],
        grace: float = 0.0,
        later: "Callable[[float, Callable[[], object]], object]" = lambda seconds, call: None,
    ) -> None:
        self._selector = selector
        self._open = open
        self._close = close
        self._grace = grace
        self._later = later
        self._lock = threading.Lock()
        self._links: Dict[str, Link[T]] = {}
        #: Those whose nodes are gone.
        self._gone: Dict[str, Link[T]] = {}
        #: Those that were given back, and are still counted as used.
        self._given: Deque[Link[T]] = deque()
        self._closed = False
        #: The snapshot that was last looked at, and its targets: 10,000 nodes are not gone through for each new link.
        self._seen: Optional[object] = None
        self._targets: FrozenSet[str] = frozenset()
        selector.source.listen(self._follow)

    def __len__(self) -> int:
        return len(self._links)

    def take(self, node: Node) -> Link[T]:
        """The node's, opened if it has to be, for one call. :meth:`give` it back."""
        with self._lock:
            link = self._links.get(node.target)
            if link is None:
                # A refresh may have come after the node was picked. Then nobody would ever close it.
                gone = self._closed or node.target not in self._known()
                link = self._links[node.target] = Link(node.target, self._open(node), object() if gone else None)
                if gone:
                    self._gone[node.target] = link
            link.used += 1
        self._tidy()
        return link

    def give(self, link: Link[T]) -> None:
        """A call is over. May be called by the garbage collector, in the middle of anything."""
        self._given.append(link)
        self._tidy()

    def close(self) -> List[T]:
        """Everything that is open, in use or not, for the caller to close."""
        with self._lock:
            self._closed = True
            ending = [link.opened for link in self._links.values()]
            self._links.clear()
            self._gone.clear()
            self._seen, self._targets = None, frozenset()
        return ending

    def _follow(self) -> None:
        """There is another snapshot, or none any more."""
        with self._lock:
            gone, some = object(), False
            targets = self._known()
            for link in self._links.values():
                if link.target in targets:
                    link.gone, link.due = None, False
                    self._gone.pop(link.target, None)
                elif link.gone is None:
                    link.gone, link.due, some = gone, not self._grace, True
                    self._gone[link.target] = link
            ending = self._ended()
        self._end(ending)
        self._tidy()
        if some and self._grace:
            self._later(self._grace, lambda: self._ripe(gone))

    def _ripe(self, gone: object) -> None:
        with self._lock:
            for link in self._gone.values():
                link.due = link.due or link.gone is gone
            ending = self._ended()
        self._end(ending)
        self._tidy()

    def _tidy(self) -> None:
        """End what nobody uses any more. Does not wait for who holds the lock: it may be this very thread, interrupted
        by the garbage collector. Whoever holds it comes here when he is done."""
        while self._given and not self._lock.locked():
            with self._lock:
                ending = self._ended()
            self._end(ending)

    def _known(self) -> FrozenSet[str]:
        """The targets that there are now."""
        snapshot = self._selector.source.view()[0]
        if snapshot is None:  # nobody knows; what is open may still be right
            return frozenset(self._links)
        if snapshot is not self._seen:
            self._seen, self._targets = snapshot, frozenset(node.target for node in snapshot)
        return self._targets

    def _ended(self) -> List[T]:
        while self._given:
            self._given.popleft().used -= 1
        ended = [link for link in self._gone.values() if link.due and not link.used]
        for link in ended:
            del self._links[link.target], self._gone[link.target]
        return [link.opened for link in ended]

    def _end(self, ending: List[T]) -> None:
        for opened in ending:
            try:
                self._close(opened)
            except Exception:  # the others are closed all the same, and whoever calls a node has nothing to do with it
                logger.exception("what was open to a node that is gone could not be closed")
