"""go-rcache as it was in the incident: who finds the list expired or empty fetches it, and waits for it.

Kinder than the original in two ways: the list is not copied at each lookup, and the ttl is what was set, not twice
that. Its watch is not played, nor that of go-micro v6: who watches learns of removals sooner, and fetches as before.
"""

from __future__ import annotations

import time
from typing import Sequence, Tuple

from ..codec import Node
from ..errors import RegcacheError
from ..registry import Registry
from .lookup import Turns, fetched
from .story import Story

__all__ = ["FetchOnExpiry"]


class FetchOnExpiry:
    """Nothing keeps a second caller from fetching what the first one is fetching already."""

    def __init__(self, registry: Registry, service: str, story: Story) -> None:
        self._registry = registry
        self._service = service
        self._ttl = story.ttl
        self._turns = Turns()
        #: The list, and until when it is fresh. Read and written in one step.
        self._held: Tuple[Sequence[Node], float] = ((), 0.0)

    def select(self, timeout: float) -> Node:
        """See :class:`~.lookup.Lookup`. The timeout is the call's alone: a lookup takes as long as it takes."""
        nodes, until = self._held
        if not nodes or time.monotonic() > until:  # empty means: fetch now
            try:
                nodes = fetched(self._registry, self._service)
            except RegcacheError:
                if not nodes:
                    raise
            else:
                self._held = nodes, time.monotonic() + self._ttl
        return self._turns.next(self._service, nodes)

    def close(self) -> None:
        """Nothing runs by itself."""
