"""Making a snapshot known: the slot alone, and the whole way from a change in a registry to what callers get."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict

import pytest
from regcache.cache.compiled.slot import Slot as CompiledSlot

from regcache import Cache, Event, MemoryRegistry, decode
from regcache.cache.pure.slot import Slot as PureSlot

from . import made
from .measure import looped

ROUNDS = 40


class _Locked:
    """The plainest way that threads may share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.held: Any = None

    def publish(self, snapshot: Any) -> None:
        with self._lock:
            self.held = snapshot


def _slot(make: Callable[[], Any]) -> Callable[[Any], Callable[[], object]]:
    def prepare(snapshots: Any) -> Callable[[], object]:
        slot, generation = make(), 0

        def work() -> object:
            nonlocal generation
            generation += 1
            return slot.publish(snapshots[generation % 2], generation)

        return work

    return prepare


def _locked(snapshots: Any) -> Callable[[], object]:
    slot, generation = _Locked(), 0

    def work() -> object:
        nonlocal generation
        generation += 1
        return slot.publish(snapshots[generation % 2])

    return work


SLOTS: Dict[str, Callable[[Any], Callable[[], object]]] = {
    "lock": _locked,
    "pure": _slot(PureSlot),
    "compiled": _slot(CompiledSlot),
}


@pytest.mark.parametrize("way", SLOTS)
def test_slot(way: str, race: Any) -> None:
    """``Slot.publish()``, with a snapshot that replaces another; counting generations is in all times."""
    snapshots = [decode(made.body(100, "shared").data) for _ in range(2)]
    race(lambda way: SLOTS[way](snapshots), group="publish: the slot alone", rounds=ROUNDS, baseline="lock", by=looped)


class _Changes:
    """Two bodies that take turns in an embedded registry."""

    def __init__(self, nodes: int) -> None:
        self.registry = MemoryRegistry()
        self._bodies = [made.body(nodes, "shared").data, made.body(nodes, "shared", 1 / min(nodes, 100)).data]
        self._turn = 0
        self.change()

    def change(self) -> None:
        self._turn += 1
        self.registry.put(made.SERVICE, self._bodies[self._turn % 2])


class _Bare(threading.Thread):
    """A thread that waits for one change and reads it, as directly as it can be done."""

    def __init__(self, registry: MemoryRegistry, tell: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._registry, self._tell = registry, tell
        self._index, self.held = self._read(None, None)

    def _read(self, index: Any, held: Any) -> Any:
        with self._registry.fetch(made.SERVICE, index=index, wait=60.0) as answer:
            return answer.index, decode(b"".join(answer.chunks()), made.SERVICE, previous=held)

    def run(self) -> None:
        self._index, self.held = self._read(self._index, self.held)
        self._tell()


class _Told:
    """When it was last told of something."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self.at = 0.0

    def tell(self) -> None:
        self.at = time.perf_counter()
        self._told.set()

    def wait_for(self, change: Callable[[], object]) -> float:
        """Seconds from before the change until it was told of."""
        self._told.clear()
        begun = time.perf_counter()
        change()
        assert self._told.wait(30.0), "nobody was told"
        return self.at - begun


@pytest.mark.parametrize("way", ["bare thread", "cache"])
@pytest.mark.parametrize("nodes", [3, 100, 1_000])
def test_through_a_cache(nodes: int, way: str, race: Any, request: pytest.FixtureRequest) -> None:
    """From ``MemoryRegistry.put()`` until the snapshot is published, in a service of which about 1 % changes."""

    changes = _Changes(nodes)
    request.addfinalizer(changes.registry.close)

    def bare(told: _Told) -> None:
        _Bare(changes.registry, told.tell).start()

    def cached(told: _Told) -> Callable[[], None]:
        cache = Cache(changes.registry, on_event=lambda event: _heard(event, told))
        cache.get(made.SERVICE, timeout=30.0)
        return cache.close

    def prepare(way: str) -> Callable[[], float]:
        """Anew each time, since a cache gives changes that follow each other closely a pace."""

        def work() -> float:
            told = _Told()
            end = {"bare thread": bare, "cache": cached}[way](told)
            time.sleep(0.02)  # whoever watches is waiting by then
            took = told.wait_for(changes.change)
            if end is not None:
                end()
            return took

        return work

    race(
        prepare,
        group=f"publish: from a change in the registry, {nodes:,} nodes",
        rounds=30,
        baseline="bare thread",
        by=lambda work: work(),
        nodes=nodes,
    )


def _heard(event: Event, told: _Told) -> None:
    if event.kind == "refreshed":
        told.tell()
