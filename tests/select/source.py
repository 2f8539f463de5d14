"""A selector's source whose snapshot, doubts and time the test sets."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from regcache import Event, Node, RegcacheError, Selector, Snapshot, Timeout
from regcache.cache.slot import Slot


class Clock:
    """Stands still unless the test moves it. Seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Source:
    """As :class:`regcache.cache.source.Source`; without nodes nothing is held until the first :meth:`refresh`."""

    def __init__(self, *nodes: Node, clock: Optional[Clock] = None) -> None:
        self.service = "greeter"
        self.clock = Clock() if clock is None else clock
        self.slot = Slot(self.clock)
        self.timeouts: List[Optional[float]] = []
        self.pins = 0
        #: Is there a thread that does what is handed to it? The test does it then.
        self.workers = False
        self.handed: List[Callable[[], object]] = []
        self.error: Optional[RegcacheError] = None
        self._listeners: List[Callable[[], object]] = []
        self._doubt: Optional[str] = None
        self._generation = 0
        if nodes:
            self.refresh(*nodes)

    def refresh(self, *nodes: Node) -> None:
        """A new snapshot is served."""
        self._generation += 1
        self.slot.publish(Snapshot("greeter", nodes), self._generation)
        self._tell()

    def hold(self, why: Optional[str]) -> None:
        """An answer is held back, or no longer."""
        self._doubt = why
        self._tell()

    def close(self) -> None:
        """The cache is closed."""
        self.slot.close()
        self._tell()

    def _tell(self) -> None:
        for call in self._listeners:
            call()

    def get(self, timeout: Optional[float] = None) -> Snapshot:
        self.timeouts.append(timeout)
        if self.error is not None:
            raise self.error
        held = self.slot.get()
        if held is None:
            raise Timeout("nothing yet")
        return held

    async def get_async(self, timeout: Optional[float] = None) -> Snapshot:
        return self.get(timeout)

    def view(self) -> Tuple[Optional[Snapshot], Optional[str]]:
        return self.slot.get(), self._doubt

    def listen(self, call: Callable[[], object]) -> None:
        self._listeners.append(call)

    def soon(self, call: Callable[[], object]) -> bool:
        if not self.workers:
            return False
        self.handed.append(call)
        return True

    def pin(self) -> None:
        self.pins += 1

    def unpin(self) -> None:
        self.pins -= 1


def node(number: int, **more: Any) -> Node:
    return Node(f"greeter-{number}", f"10.0.0.{number}", 8000 + number, **more)


def nodes(count: int, **more: Any) -> Tuple[Node, ...]:
    return tuple(node(number, **more) for number in range(1, count + 1))


def number(picked: Node) -> int:
    """That of a :func:`node`."""
    return int(picked.id.rpartition("-")[2])


def picks(selector: Selector, count: int) -> List[int]:
    return [number(selector.select()) for _ in range(count)]


class Told:
    """A hook for events that keeps them."""

    def __init__(self) -> None:
        self.events: List[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> List[str]:
        return [event.kind for event in self.events]
