"""The slot: the newest snapshot, in one step."""

from __future__ import annotations

import threading
from typing import List

from regcache import Snapshot
from regcache.cache.slot import Slot
from tests.together import Threads, together


def numbered(number: int) -> Snapshot:
    return Snapshot("greeter", index=number)


def test_empty_at_first() -> None:
    slot = Slot()
    assert slot.get() is None
    assert slot.generation == 0


def test_what_was_asked_for_later_wins() -> None:
    slot = Slot()
    first, third = numbered(1), numbered(3)
    assert slot.publish(first, 1)
    assert slot.publish(third, 3)
    assert not slot.publish(numbered(2), 2)
    assert not slot.publish(numbered(9), 3)
    assert slot.get() is third
    assert slot.generation == 3


def test_an_index_that_went_backwards_is_no_reason_to_refuse() -> None:
    """A Consul that was restarted without its data counts from the beginning."""
    slot = Slot()
    slot.publish(numbered(1000), 1)
    assert slot.publish(numbered(5), 2)


def test_closed() -> None:
    slot = Slot()
    slot.publish(numbered(1), 1)
    slot.close()
    slot.close()
    assert slot.get() is None
    assert not slot.publish(numbered(2), 2)
    assert slot.get() is None


def test_writers_race_and_the_newest_stays() -> None:
    slot = Slot()
    generations = [[writer + 4 * turn for turn in range(1, 500)] for writer in range(4)]
    won: List[List[int]] = together(4, lambda number: [g for g in generations[number] if slot.publish(numbered(g), g)])
    assert slot.generation == max(max(w) for w in won if w) == 4 * 499 + 3
    held = slot.get()
    assert held is not None and held.index == slot.generation


def test_readers_only_ever_go_forward() -> None:
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
