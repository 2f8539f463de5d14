"""Who may have a connection to the registry (at most 128 at once), and for how long: turns, in the order of asking.

An agent serves 200 connections of one address (``http_max_conns_per_client``), a blocking query holds one while it
waits, and goes on holding it in the agent when its client gave up. So their number is bounded here, and a turn is
ended by asking for a shorter wait, never by breaking off.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Deque, Generic, List, Optional, TypeVar

__all__ = ["Places", "Turn"]

T = TypeVar("T")

#: Seconds in which all who wait should have had a turn.
ROUND = 10.0
#: The shortest turn: with very many services a round takes longer, rather than the agent getting more requests.
SHORTEST = 1.0


class Turn(Generic[T]):
    """One who wants a place, has one, or had one."""

    __slots__ = ("blocking", "gone", "placed", "urgent", "wait", "whom")

    def __init__(self, whom: T, *, wait: Optional[float], urgent: bool = False) -> None:
        self.whom: T = whom
        self.blocking: bool = wait is not None
        self.urgent: bool = urgent
        #: How long it wants to wait; from :meth:`Places.next` on, how long it may.
        self.wait: float = wait or 0.0
        self.placed: bool = False
        self.gone: bool = False


class Places(Generic[T]):
    """A quarter of the places is kept for plain requests, which end by themselves and never wait for the others.

    Args:
        most: all places together, at least 2.
        blocking: those that blocking queries may have; by default three quarters.
    """

    def __init__(self, most: int, blocking: Optional[int] = None) -> None:
        if most < 2:
            raise ValueError(f"there must be at least 2 connections, not {most!r}")
        self._most = most
        self._blocking = most - max(1, most // 4) if blocking is None else blocking
        # Beside the places of those who wait, so many connections may be held by the agent alone.
        self._spare = max(1, most // 3)
        self._urgent: Deque[Turn[T]] = deque()
        self._plain: Deque[Turn[T]] = deque()
        self._queue: Deque[Turn[T]] = deque()
        self._open = 0
        self._waiting = 0
        self._ghosts: List[float] = []
        self._unbound = False

    @property
    def open(self) -> int:
        """Places that are taken."""
        return self._open

    @property
    def queued(self) -> int:
        """Turns that have not come."""
        return sum(not turn.gone for queue in (self._urgent, self._plain, self._queue) for turn in queue)

    def unbind(self) -> None:
        """This registry needs no connections: everybody may wait for as long as he wants."""
        self._unbound = True

    def want(self, turn: Turn[T]) -> None:
        """Queue up."""
        (self._urgent if turn.urgent else self._queue if turn.blocking else self._plain).append(turn)

    def next(self, now: float) -> Optional[Turn[T]]:
        """Whose turn it is now; ``None``: nobody's until somebody leaves, or until :meth:`later`."""
        for queue in (self._urgent, self._plain, self._queue):
            while queue and queue[0].gone:
                queue.popleft()
        while self._ghosts and self._ghosts[0] <= now:
            heapq.heappop(self._ghosts)
        if self._unbound or self._open < self._most:
            for queue in (self._urgent, self._plain):
                if queue:
                    return self._place(queue.popleft())
            if self._queue and (self._unbound or self._room()):
                turn = self._queue[0]
                if not self._unbound:
                    turn.wait = min(turn.wait, self._slice())
                self._waiting += 1
                return self._place(self._queue.popleft())
        return None

    def later(self) -> Optional[float]:
        """When :meth:`next` may have another answer though nobody left; ``None``: it will not."""
        return self._ghosts[0] if self._queue and self._ghosts else None

    def leave(self, turn: Turn[T], abandoned: Optional[float] = None) -> None:
        """Give the place back, or do not wait for one any more. More than once is as good as once.

        Args:
            abandoned: until when the agent holds the connection of a query that was broken off.
        """
        if turn.gone:
            return
        turn.gone = True
        if turn.placed:
            self._open -= 1
            if turn.blocking:
                self._waiting -= 1
                if abandoned is not None:
                    heapq.heappush(self._ghosts, abandoned)

    def _place(self, turn: Turn[T]) -> Turn[T]:
        self._open += 1
        turn.placed = True
        return turn

    def _room(self) -> bool:
        return self._waiting < self._blocking and self._waiting + len(self._ghosts) < self._blocking + self._spare

    def _slice(self) -> float:
        """How long the next in the queue may wait."""
        wanted = self._waiting + len(self._queue)
        if wanted > self._blocking:
            return max(SHORTEST, ROUND * self._blocking / wanted)
        # There is room for all. But if all had the longest wait, the next who comes would find no place for as long.
        return ROUND if self._waiting >= self._blocking // 2 else float("inf")
