"""Registries and clocks that do what a test says, when it says so."""

from __future__ import annotations

import threading
from typing import Any, List, Optional

from regcache import Node, Service
from regcache.cache.cache import _caches as caches
from regcache.registry import Answer, MemoryRegistry
from tests.eventually import eventually
from tests.together import HANG


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Held(MemoryRegistry):
    """A registry that counts its requests, and answers when the test lets it. It cannot be watched.

    Attributes:
        requests: how many there were.
        arrived: set when a request has come in.
        open: requests pass while this is set (it is at first).
        error: raised in place of an answer.
    """

    blocking = False

    def __init__(self, *nodes: Node, service: str = "greeter") -> None:
        super().__init__()
        if nodes:
            self.register(Service(service, "1.0", nodes=nodes))
        self.requests = 0
        self.threads: List[Optional[int]] = []
        self.arrived = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.error: Optional[BaseException] = None
        self._counting = threading.Lock()

    def fetch(self, service: str, **how: Any) -> Answer:
        with self._counting:
            self.requests += 1
            self.threads.append(threading.get_ident())
        self.arrived.set()
        assert self.open.wait(HANG), "the test never let the request go"
        if self.error is not None:
            raise self.error
        return super().fetch(service, **how)


def node(number: int, **more: Any) -> Node:
    return Node(f"greeter-{number}", f"10.0.0.{number}", 8000 + number, **more)


class Settled:
    """Waits for the refreshes that a test has started."""

    @staticmethod
    def wait() -> None:
        def busy() -> bool:
            entries = [entry for cache in list(caches) for entry in list(cache._entries.values())]
            return any(entry._load is not None and not entry._blocking for entry in entries)

        eventually(lambda: not busy(), HANG)

    @staticmethod
    def close() -> None:
        """Close all caches."""
        for cache in list(caches):
            cache.close()
