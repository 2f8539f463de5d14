"""What a refresher tells, and registries that answer when the test lets them."""

from __future__ import annotations

import queue
import threading
from typing import Any, List

from regcache import Node, Service
from regcache.cache.refresh import Outcome, Refresher
from regcache.registry import Answer, MemoryRegistry
from tests.together import HANG


class Told:
    """A ``done``: keeps the outcomes, and the threads that told them."""

    def __init__(self) -> None:
        self._outcomes: "queue.Queue[Outcome]" = queue.Queue()
        self.threads: List[threading.Thread] = []

    def __call__(self, outcome: Outcome) -> None:
        self.threads.append(threading.current_thread())
        self._outcomes.put(outcome)

    def next(self) -> Outcome:
        """The next outcome; waits for it."""
        return self._outcomes.get(timeout=HANG)

    @property
    def empty(self) -> bool:
        """Was nothing told that was not looked at?"""
        return self._outcomes.empty()


def ask(refresher: Refresher, service: str = "greeter", **how: Any) -> Outcome:
    """Load, and wait for the outcome."""
    told = Told()
    refresher.load(service, told, **how)
    return told.next()


def settled(refresher: Refresher) -> None:
    """Everything that was posted before has been done: the loop goes through its calls in order."""
    passed = threading.Event()
    refresher._loop.post(passed.set)
    assert passed.wait(HANG)


class Gated(MemoryRegistry):
    """Multiplexed; ``begin`` and the answers of services named in ``shut`` wait for :attr:`open`.

    Attributes:
        begun: the services that were asked for, in order, with their waits.
        arrived: counts those that have reached the gate.
    """

    timeout = 10.0

    def __init__(self, *services: str) -> None:
        super().__init__()
        for service in services or ("greeter",):
            self.register(Service(service, "1.0", nodes=(Node(f"{service}-1", "10.0.0.1", 80),)))
        self.begun: List[Any] = []
        self.shut = {"hanging"}
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)

    def begin(self, service: str, **how: Any) -> Any:
        self.begun.append((service, how["wait"]))
        return super().begin(service, **how)

    def fetch(self, service: str, **how: Any) -> Answer:
        if service in self.shut:
            self.arrived.release()
            assert self.open.wait(HANG), "the test never opened the gate"
        return super().fetch(service, **how)


class Plain:
    """A registry without ``begin``: the same, but a thread has to wait."""

    blocking = True
    timeout = 10.0

    def __init__(self, inner: MemoryRegistry) -> None:
        self.fetch = inner.fetch
        self.services = inner.services
        self.close = inner.close


def threads_left() -> List[str]:
    """Names of the refreshers' threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("regcache-")]
