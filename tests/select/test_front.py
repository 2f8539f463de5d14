"""The fast path: what is prepared is used until an alarm rings, and picking takes nothing from memory."""

from __future__ import annotations

import functools
import gc
import importlib
import itertools
import math
import sys
import time
import tracemalloc
import weakref
from typing import Any, Callable, List

import pytest

from regcache.select.strategies import NAMES

from .peered import peers


class Clock:
    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def slot_of(twin: Any, clock: Any = None) -> Any:
    slot = importlib.import_module(f"regcache.cache.{twin.__name__.rpartition('.')[2]}.slot").Slot(clock)
    slot.publish(object(), 1)
    return slot


def front_of(twin: Any, slot: Any = None, clock: Any = None) -> Any:
    """A front that says what its slow path was asked for."""

    class Recording(twin.Front):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__(slot, clock)
            self.asked: List[Any] = []
            self.found = peers(twin, 1)[0]

        def _slow(self, timeout: Any, key: Any) -> Any:
            self.asked.append((timeout, key))
            return self.found

    return Recording()


@pytest.mark.parametrize("name", NAMES)
def test_select(twin: Any, name: str) -> None:
    front, some = front_of(twin), peers(twin, 3)
    front._set_picker(twin.make_picker(name, some))
    drawn = {front.select(key=f"key-{i}") for i in range(200)}
    assert drawn == {one.node for one in some}
    assert {front._peer(None, f"key-{i}") for i in range(200)} == set(some)
    assert front.select(None, "key") in drawn
    assert front.asked == []


def test_nothing_is_prepared(twin: Any) -> None:
    front = front_of(twin)
    assert front._picker is None and front._ready() is None
    assert front.select() is front.found.node
    assert front._peer(0.5, "key") is front.found
    assert front.select(timeout=1.5, key=b"other") is front.found.node
    assert front.asked == [(None, None), (0.5, "key"), (1.5, b"other")]


def test_a_picker_may_be_taken_away(twin: Any) -> None:
    front = front_of(twin)
    picker = twin.make_picker("random", peers(twin, 1))
    front._set_picker(picker)
    assert front._picker is picker is front._ready()
    front._set_picker(None)
    front.select()
    assert front.asked
    with pytest.raises(TypeError):
        front._set_picker("p2c")


def test_its_own_alarm(twin: Any) -> None:
    clock = Clock()
    front = front_of(twin, clock=clock)
    front._set_picker(twin.make_picker("round_robin", peers(twin, 1)))
    front._set_alarm(105.0)
    clock.now = 104.999
    front.select()
    assert front.asked == []
    clock.now = 105.0
    front.select()
    assert len(front.asked) == 1
    front._set_alarm(math.inf)
    clock.now = 1e9
    front.select()
    assert len(front.asked) == 1


def test_the_alarm_of_the_slot(twin: Any) -> None:
    clock = Clock()
    slot = slot_of(twin, clock)
    front = front_of(twin, slot, clock)
    front._set_picker(twin.make_picker("round_robin", peers(twin, 1)))
    slot.set_alarm(101.0)
    assert not slot.used
    front.select()
    assert slot.used and front.asked == []
    slot.used = False
    clock.now = 101.0
    front.select()
    assert slot.used and len(front.asked) == 1, "who has to wait is somebody who uses it"


@pytest.mark.parametrize("count", [2, 600])
@pytest.mark.parametrize("name", ["random", "p2c", "peak_ewma"])
def test_the_twins_select_alike_by_calls_in_flight(twins: Any, name: str, count: int) -> None:
    """Of many peers what is about to be read is fetched ahead: another path of the compiled one."""
    said = []
    for twin in twins:
        own = peers(twin, count)
        picker, picked = twin.make_picker(name, own, seed=7), []
        front = front_of(twin)
        front._set_picker(picker)
        for turn in range(3 * count):
            # select() and pick() take turns: both go on with the same numbers. What time it is matters to peak_ewma.
            fast = turn % 3 and name != "peak_ewma"
            node = front.select() if fast else picker.pick(None, 0.0).node
            picked.append(node.id)
            own[int(node.id[1:])]._begin()
            own[turn * 7 % count]._end()
        said.append(picked)
    assert all(one == said[0] for one in said)


@pytest.mark.parametrize("own", [None, Clock(-1e6), Clock(1e6)], ids=["real", "behind", "ahead"])
def test_an_alarm_by_the_slots_clock_and_another_by_the_fronts(twin: Any, own: Any) -> None:
    clock = Clock()
    slot = slot_of(twin, clock)
    front = front_of(twin, slot, own)
    (peer,) = peers(twin, 1)
    front._set_picker(twin.make_picker("p2c", [peer]))
    slot.set_alarm(101.0)
    for ask in (front.select, lambda: front.select(key="a"), front._peer):
        clock.now, front.asked, slot.used = 100.0, [], False
        ask()
        assert front.asked == [] and slot.used
        clock.now = 101.0
        ask()
        assert len(front.asked) == 1
    clock.now = 100.0
    front._set_alarm(-math.inf)
    front.select()
    assert len(front.asked) == 2


def test_a_closed_slot(twin: Any) -> None:
    slot = slot_of(twin)
    front = front_of(twin, slot)
    front._set_picker(twin.make_picker("round_robin", peers(twin, 1)))
    front.select()
    slot.close()
    slot.set_alarm(math.inf)
    front.select()
    assert len(front.asked) == 1


@pytest.mark.parametrize("clock", [None, time.monotonic, lambda: time.monotonic()])
def test_by_the_real_clock(twin: Any, clock: Any) -> None:
    front = front_of(twin, slot_of(twin), clock)
    front._set_picker(twin.make_picker("peak_ewma", peers(twin, 3)))
    front._set_alarm(time.monotonic() + 3600)
    front.select()
    assert front.asked == []
    front._set_alarm(time.monotonic() - 3600)
    front.select()
    assert len(front.asked) == 1
    assert abs(front._now() - time.monotonic()) < 60


def test_a_clock_that_raises(twin: Any) -> None:
    def broken() -> float:
        raise OSError("no time")

    front = front_of(twin, clock=broken)
    front._set_picker(twin.make_picker("random", peers(twin, 1)))
    for call in (front.select, front._peer, front._now, front._ready):
        with pytest.raises(OSError, match="no time"):
            call()
    with pytest.raises(TypeError, match="a clock is called"):
        twin.Front(None, 5)


def test_what_a_strategy_raises(twin: Any) -> None:
    front, some = front_of(twin), peers(twin, 2)
    front._set_picker(twin.make_picker("hash", some))
    with pytest.raises(TypeError, match="needs a key"):
        front.select()

    class Raising:
        def prepare(self, peers: Any) -> Any:
            return lambda key: 1 / 0

    front._set_picker(twin.own_picker(Raising(), some))
    for call in (front.select, front._peer):
        with pytest.raises(ZeroDivisionError):
            call()


def test_alone_it_has_nothing(twin: Any) -> None:
    front = twin.Front()
    with pytest.raises(NotImplementedError):
        front.select()
    with pytest.raises(NotImplementedError):
        front._verdict(None, 1, 0.0)
    with pytest.raises(NotImplementedError):
        front._slow_async(None, None).send(None)


def test_a_picker_lives_as_long_as_a_call_of_it(twin: Any) -> None:
    """A strategy that replaces the picker it is called by: nothing is freed under it."""
    front = front_of(twin)

    class Replacing:
        def prepare(self, peers: Any) -> Any:
            def pick(key: Any) -> Any:
                front._set_picker(None)
                gc.collect()
                return peers[1]

            return pick

    picker = twin.own_picker(Replacing(), peers(twin, 2))
    gone, node = weakref.ref(picker), picker.peers[1].node
    front._set_picker(picker)
    del picker
    assert front.select() is node
    gc.collect()
    assert gone() is None


def test_what_was_replaced_is_freed(twin: Any) -> None:
    front = front_of(twin)
    for name in NAMES:
        picker = twin.make_picker(name, peers(twin, 3), [1.0, 2.0, 3.0])
        gone = [weakref.ref(picker), weakref.ref(picker.peers[0])]
        front._set_picker(picker)
        front.select(key="a")
        del picker
        front._set_picker(None)
        gc.collect()
        assert [one() for one in gone] == [None, None]


class Knowing:
    """A strategy, and what it prepares, that knows its selector. No closure: Python 3.13t never frees functions."""

    def __init__(self, front: Any) -> None:
        self.front = front
        self.peers: Any = ()

    def prepare(self, peers: Any) -> Any:
        self.peers = peers
        return self

    def __call__(self, key: Any) -> Any:
        return self.peers[0]


def test_a_selector_in_a_cycle_is_freed(twin: Any) -> None:
    front = front_of(twin)
    front.itself = front
    front._set_picker(twin.own_picker(Knowing(front), peers(twin, 1)))
    front.select()
    gone = weakref.ref(front)
    del front
    gc.collect()
    assert gone() is None


def peak(work: Callable[[], object]) -> int:
    """Bytes that were in use at most during 100,000 calls, more than before, of those that are this loop's too."""
    tracemalloc.start()
    try:
        begun = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in itertools.repeat(None, 100_000):
            work()
        return tracemalloc.get_traced_memory()[1] - begun
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [3, 500])
def test_nothing_is_taken_from_memory(twin: Any, name: str, count: int) -> None:
    """100,000 picks by the real clock take no more than as many calls of a method that does nothing."""
    if twin.__name__.endswith("pure"):
        pytest.skip("numbers of Python's are objects")
    front = front_of(twin, slot_of(twin))
    weights = [1.0 + i % 3 for i in range(count)]
    front._set_picker(twin.make_picker(name, peers(twin, count), weights))
    # Arguments are bound once: a call by keyword would make a dict here.
    select = functools.partial(front.select, None, "user-1") if name == "hash" else front.select
    nothing = functools.partial("user-1".startswith, "x", 0) if name == "hash" else [].clear
    for work in (select, nothing):
        peak(work)
    before = sys.getallocatedblocks()
    taken = peak(select)
    assert sys.getallocatedblocks() - before <= 2
    assert taken <= peak(nothing)
