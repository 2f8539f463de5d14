"""Where the newest snapshot of one service is kept: readers take it without a lock, writers replace it in one step.

The reading side is one look into a private list of one item, which is never rebound. The writing side is decided by
generations, in the order in which the registry was asked, and not by the registry's index: that one goes backwards
when a registry was restarted without its data, and the service would never be refreshed again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from ..codec import Snapshot

__all__ = ["Slot"]


class Slot:
    """Holds one snapshot or ``None``. May be used from any number of threads."""

    __slots__ = ("_closed", "_generation", "_held", "_lock")

    def __init__(self) -> None:
        self._held: List[Optional["Snapshot"]] = [None]
        self._generation = 0
        self._closed = False
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """That of the snapshot held; 0 before the first."""
        return self._generation

    def get(self) -> Optional["Snapshot"]:
        """The newest snapshot; never waits."""
        return self._held[0]

    def publish(self, snapshot: "Snapshot", generation: int) -> bool:
        """Replace what is held, unless that is of this generation (an int of at least 1) or a later one.

        Returns:
            Was it published? It was not when somebody who asked later was faster, or after :meth:`close`.
        """
        with self._lock:
            if self._closed or generation <= self._generation:
                return False
            # `before` keeps the old snapshot until the lock is free: dropping it may run code of anybody's.
            before = self._held[0]
            self._held[0] = snapshot
            self._generation = generation
        del before
        return True

    def close(self) -> None:
        """Let go of the snapshot and refuse any other."""
        with self._lock:
            before = self._held[0]
            self._closed = True
            self._held[0] = None
        del before
