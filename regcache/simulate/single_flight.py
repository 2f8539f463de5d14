"""go-micro v6's registry cache: one fetch at a time, for which everybody waits.

As in its ``registry/cache``: a lookup that finds the list expired joins the one request in flight. Only within
MinimumRetryInterval of that request's beginning is it given the expired list instead. An answer without nodes replaces
the list like any other, and then every lookup fetches, or is told within that interval that there is no such service.
"""

from __future__ import annotations

import threading
import time
from typing import Optional, Sequence

from ..codec import Node
from ..errors import NotFound, RegcacheError
from ..registry import Registry
from .lookup import Turns, fetched
from .story import Story

__all__ = ["SingleFlight"]


class _Flight:
    """One request, and how it ended."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.nodes: Sequence[Node] = ()
        self.error: Optional[RegcacheError] = None


class SingleFlight:
    """The first to find the list expired leads: it fetches. The others follow: they wait for the same answer."""

    def __init__(self, registry: Registry, service: str, story: Story) -> None:
        self._registry = registry
        self._service = service
        self._ttl = story.ttl
        self._interval = story.retry_interval
        self._turns = Turns()
        self._lock = threading.Lock()
        self._nodes: Sequence[Node] = ()
        self._until = 0.0
        self._asked = float("-inf")
        self._flight: Optional[_Flight] = None

    def select(self, timeout: float) -> Node:
        """See :class:`~.lookup.Lookup`. The timeout is the call's alone: a lookup takes as long as it takes."""
        with self._lock:
            nodes, now = self._nodes, time.monotonic()
            fresh = bool(nodes) and now <= self._until
            if not fresh and not (nodes and now - self._asked < self._interval):
                flight, leads = self._flight, False
                if flight is None:
                    if now - self._asked < self._interval:
                        raise NotFound(f"the registry has no service {self._service!r}")
                    flight, leads = _Flight(), True
                    self._flight, self._asked = flight, now
            else:
                flight, leads = None, False
        if flight is not None:
            if leads:
                self._lead(flight)
            else:
                flight.done.wait()
            if flight.error is None:
                nodes = flight.nodes
            elif not nodes:
                raise flight.error
        return self._turns.next(self._service, nodes)

    def close(self) -> None:
        """Nothing runs by itself."""

    def _lead(self, flight: _Flight) -> None:
        try:
            flight.nodes = fetched(self._registry, self._service)
        except RegcacheError as error:
            flight.error = error
        with self._lock:
            self._flight = None
            if flight.error is None:
                self._nodes, self._until = flight.nodes, time.monotonic() + self._ttl
        flight.done.set()
