"""Backends with a capacity: each works on one call at a time, and on every call that reached it, wanted or not."""

from __future__ import annotations

import threading
import time
from typing import Dict, Iterable

__all__ = ["Backends"]


class Backends:
    """One queue for each node.

    A caller that no longer waits is not noticed: its call is worked on all the same. That is what makes retries heavy.

    Args:
        ids: of the nodes.
        work: seconds that one call costs.
    """

    def __init__(self, ids: Iterable[str], work: float) -> None:
        self._lock = threading.Lock()
        self._work = dict.fromkeys(ids, work)
        #: When each will have worked off what it has.
        self._free: Dict[str, float] = dict.fromkeys(self._work, 0.0)

    def call(self, node_id: str) -> float:
        """One more call for a backend; the seconds until its answer."""
        with self._lock:
            now = time.monotonic()
            self._free[node_id] = max(now, self._free[node_id]) + self._work[node_id]
            return self._free[node_id] - now

    def delay(self, node_id: str) -> float:
        """The seconds that a call would take."""
        with self._lock:
            return max(0.0, self._free[node_id] - time.monotonic()) + self._work[node_id]

    def fall_ill(self, node_id: str, work: float) -> None:
        """From now on each call costs this backend so much."""
        with self._lock:
            self._work[node_id] = work
