"""The slot: the newest snapshot, in one step."""

from __future__ import annotations

import gc
import importlib
import math
import sys
import threading
import time
import weakref
from typing import Any, List

import pytest

from regcache import Snapshot
from regcache.codec import BACKEND
from tests.cache.stub import Clock
from tests.eventually import eventually
from tests.together import Threads, together


@pytest.fixture(params=["compiled", "pure"] if BACKEND == "compiled" else ["pure"], name="Slot")
def slots(request: Any) -> Any:
    """The class, of each backend."""
    return importlib.import_module(f"regcache.cache.{request.param}.slot").Slot


def numbered(number: int) -> Snapshot:
    return Snapshot("greeter", index=number)


def test_empty_at_first(Slot: Any) -> None:
    slot = Slot()
    assert slot.get() is None
    assert slot.generation == 0


def test_what_was_asked_for_later_wins(Slot: Any) -> None:
    slot = Slot()
    first, third = numbered(1), numbered(3)
    assert slot.publish(first, 1)
    assert slot.publish(third, 3)
    assert not slot.publish(numbered(2), 2)
    assert not slot.publish(numbered(9), 3)
    assert slot.get() is third
    assert slot.generation == 3


def test_an_index_that_went_backwards_is_no_reason_to_refuse(Slot: Any) -> None:
    """A Consul that was restarted without its data counts from the beginning."""
    slot = Slot()
    slot.publish(numbered(1000), 1)
    assert slot.publish(numbered(5), 2)


def test_closed(Slot: Any) -> None:
    slot = Slot()
    slot.publish(numbered(1), 1)
    assert not slot.closed
    slot.close()
    slot.close()
    assert slot.closed and slot.get() is None
    assert not slot.publish(numbered(2), 2)
    assert slot.get() is None


def test_writers_race_and_the_newest_stays(Slot: Any) -> None:
    slot = Slot()
    generations = [[writer + 4 * turn for turn in range(1, 500)] for writer in range(4)]
    won: List[List[int]] = together(4, lambda number: [g for g in generations[number] if slot.publish(numbered(g), g)])
    assert slot.generation == max(max(w) for w in won if w) == 4 * 499 + 3
    held = slot.get()
    assert held is not None and held.index == slot.generation


def test_readers_only_ever_go_forward(Slot: Any) -> None:
    slot = Slot()
    slot.publish(numbered(1), 1)
    done = threading.Event()

    def read(_: int) -> None:
        last = 0
        while not done.is_set():
            held = slot.get()
            assert held is not None and held.index >= last
            last = held.index

    readers = Threads(3, read)
    for generation in range(2, 3000):
        slot.publish(numbered(generation), generation)
    done.set()
    readers.join()


def test_one_may_ask_at_a_time(Slot: Any) -> None:
    slot = Slot()
    assert slot.claim()
    assert not slot.claim()
    slot.release()
    slot.release()
    assert slot.claim()


def test_of_many_one_may_ask(Slot: Any) -> None:
    for _ in range(50):
        slot = Slot()
        assert sum(together(8, lambda _, slot=slot: slot.claim())) == 1


def test_a_reader_sees_what_is_published(Slot: Any) -> None:
    slot = Slot()
    reader = slot.reader()
    assert reader.get() is None
    first, second = numbered(1), numbered(2)
    slot.publish(first, 1)
    assert reader.get() is first
    assert reader.get() is first
    slot.publish(second, 2)
    assert reader.get() is second
    slot.close()
    assert reader.get() is None


def test_the_alarm(Slot: Any) -> None:
    clock = Clock()
    slot, snapshot = Slot(clock), numbered(1)
    assert slot.look() is None, "nothing is held"
    slot.publish(snapshot, 1)
    assert slot.look() is snapshot
    slot.set_alarm(1000.5)
    assert slot.look() is snapshot
    clock.now = 1000.5
    assert slot.look() is None
    assert slot.get() is snapshot
    slot.set_alarm(math.inf)
    clock.now = 9e9
    assert slot.look() is snapshot
    slot.set_alarm(-math.inf)
    clock.now = -9e9
    assert slot.look() is None


@pytest.mark.parametrize("clock", [None, time.monotonic])
def test_the_alarm_by_the_system_s_clock(Slot: Any, clock: Any) -> None:
    """It may be read a tick behind, never ahead."""
    slot, snapshot = Slot(clock), numbered(1)
    slot.publish(snapshot, 1)
    slot.set_alarm(time.monotonic() + 3600)
    assert slot.look() is snapshot
    alarm = time.monotonic()
    slot.set_alarm(alarm)
    assert eventually(lambda: slot.look() is None)
    assert time.monotonic() >= alarm
    for _ in range(100):
        slot.set_alarm(time.monotonic() + 3600)
        assert slot.look() is snapshot


def test_a_clock_that_fails(Slot: Any) -> None:
    def broken() -> float:
        raise KeyError("no time")

    with pytest.raises(KeyError, match="no time"):
        Slot(broken).look()


def test_whoever_looks_uses_it(Slot: Any) -> None:
    slot = Slot()
    assert slot.used is False
    slot.get()
    assert slot.used is False
    slot.look()
    assert slot.used is True
    slot.used = False
    assert slot.used is False
    slot.publish(numbered(1), 1)
    slot.look()
    assert slot.used is True
    slot.used = False
    slot.set_alarm(-math.inf)
    slot.look()
    assert slot.used is True, "those who are sent away came, too"


def test_renewed_in_a_child(Slot: Any) -> None:
    """What is held stays; nobody asks, and nobody writes, any more."""
    slot, snapshot = Slot(), numbered(1)
    slot.publish(snapshot, 1)
    reader = slot.reader()
    slot.claim()
    slot.renew()
    assert slot.look() is reader.get() is snapshot
    assert slot.claim()
    assert slot.publish(numbered(2), 2)


def test_a_reader_heeds_the_alarm_and_marks_the_slot(Slot: Any) -> None:
    clock = Clock()
    slot, snapshot, asked = Slot(clock), numbered(1), []
    reader = slot.reader()
    other = slot.reader(lambda timeout: asked.append(timeout) or "asked for")
    assert reader.get() is None
    assert other.get(0.5) == "asked for"
    slot.publish(snapshot, 1)
    slot.used = False
    assert other.get() is snapshot
    assert slot.used
    slot.set_alarm(1001)
    assert reader.get() is snapshot
    clock.now = 1001
    slot.used = False
    assert reader.get() is None
    assert slot.used
    assert other.get() == "asked for"
    slot.set_alarm(math.inf)
    assert other.get() is reader.get() is snapshot
    assert asked == [0.5, None]


def test_a_reader_is_of_one_thread(Slot: Any) -> None:
    slot = Slot()
    slot.publish(numbered(1), 1)
    reader = slot.reader()

    def read(_: int) -> None:
        with pytest.raises(RuntimeError, match="for the thread that made it"):
            reader.get()

    together(1, read)
    assert reader.get() is slot.get()


def test_what_was_replaced_is_freed(Slot: Any) -> None:
    slot = Slot()
    old = numbered(1)
    gone = weakref.ref(old)
    slot.publish(old, 1)
    del old
    slot.publish(numbered(2), 2)
    gc.collect()
    assert gone() is None


def test_a_reader_costs_no_count(Slot: Any) -> None:
    """While nothing is published the snapshot's count stays what it is."""
    slot = Slot()
    snapshot = numbered(1)
    slot.publish(snapshot, 1)
    reader = slot.reader()
    reader.get()
    before = sys.getrefcount(snapshot)
    for _ in range(100):
        reader.get()
    assert sys.getrefcount(snapshot) == before


def test_readers_with_handles_only_ever_go_forward(Slot: Any) -> None:
    slot = Slot()
    slot.publish(numbered(1), 1)
    done = threading.Event()

    def read(_: int) -> None:
        reader, last = slot.reader(), 0
        while not done.is_set():
            held = reader.get()
            assert held is not None and held.index >= last
            last = held.index

    readers = Threads(3, read)
    for generation in range(2, 3000):
        slot.publish(numbered(generation), generation)
    done.set()
    readers.join()
