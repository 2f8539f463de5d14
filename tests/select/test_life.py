"""A selector in a process: shared by threads, closed, collected, forked, and on a cache that goes on without it.

``REGCACHE_STRESS_SECONDS`` (2 by default) says for how long threads use it while it is refreshed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
import weakref
from collections import Counter
from contextlib import suppress
from typing import Any, Dict, List, Set

import pytest

from regcache import (
    Cache,
    Event,
    Feedback,
    Guard,
    MemoryRegistry,
    Node,
    NotFound,
    Selector,
    Service,
    Timeout,
    Unavailable,
)
from regcache.cache.slot import Slot
from tests.cache.stub import Held
from tests.cache.test_life import forks, in_a_child
from tests.eventually import eventually
from tests.select.source import Clock, Source, node, nodes, number, picks
from tests.together import HANG, Threads

SECONDS = float(os.environ.get("REGCACHE_STRESS_SECONDS", "2"))
STRATEGIES = ["hash", "p2c", "peak_ewma", "random", "round_robin", "weighted"]


def memory(count: int) -> MemoryRegistry:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=nodes(count)))
    return registry


# -- threads ---------------------------------------------------------------------------------------------------------


class Served(Source):
    """Remembers, for each node object, that it was in a snapshot. The clock is real: alarms ring while threads pick."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Any = time.monotonic
        self.slot = Slot()
        self.kept: List[Any] = []
        self.served: Set[int] = set()

    def serve(self, those: List[Node]) -> None:
        self.kept.append(those)  # so that no other object gets the identity of one of them
        self.served.update(map(id, those))
        self.refresh(*those)


class Failed(Exception):
    pass


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_threads_under_constant_refreshes(strategy: str) -> None:
    """Counts in flight return to zero; no node that was in no snapshot is ever picked; nothing is raised."""
    source = Served()
    source.serve(list(nodes(40)))
    # Short times, so that nodes are ejected, probed and readmitted all the while.
    selector = Selector(
        source, strategy=strategy, feedback=Feedback(ejection=0.02, longest=0.05, share=0.3, slow_start=0.05)
    )
    end = time.monotonic() + SECONDS / len(STRATEGIES)
    stop = threading.Event()
    wrong: List[Node] = []

    def check(picked: Node) -> None:
        if id(picked) not in source.served:
            wrong.append(picked)

    def use(which: int) -> int:
        dice, done = random.Random(which), 0
        while not (done and stop.is_set()):
            done += 1
            key = dice.randrange(1000)
            check(selector.select(key=key))
            with suppress(Failed), selector.call(timeout=1.0, key=key) as call:
                check(call.node)
                if dice.random() < 0.3 or number(call.node) % 10 == 0:
                    raise Failed
            if done % 7 == 0:
                with suppress(Failed):
                    for attempt in selector.attempts(tries=3, key=key):
                        with attempt as call:
                            check(call.node)
                            raise Failed
            if done % 50 == 0:
                assert selector.status().in_flight >= 0
        return done

    def refresh(which: int) -> None:
        dice, there = random.Random(which), {n: node(n) for n in range(1, 61)}
        # However busy the machine is: a few refreshes at least.
        while time.monotonic() < end or len(source.kept) < 10:
            for n in dice.sample(range(1, 61), 5):
                there[n] = node(n, version=str(dice.random()), status=dice.choice(["passing", "warning", "critical"]))
            source.serve(dice.sample(list(there.values()), dice.randrange(5, 60)))
            source.hold(dice.choice([None, None, "a doubt"]))
        stop.set()

    users, writer = Threads(8, use), Threads(1, refresh)
    try:
        writer.join()
    finally:
        stop.set()
    counts = users.join()
    assert not wrong
    assert selector.status().in_flight == 0
    assert all(peer.in_flight == 0 for peer in selector.status().peers)
    assert min(counts) > 0 and len(source.kept) > 1


def test_tasks_under_constant_refreshes() -> None:
    source = Source(*nodes(10))
    selector = Selector(source)

    async def use() -> None:
        for turn in range(50):
            with suppress(Failed):
                async with selector.call(timeout=1.0):
                    await asyncio.sleep(0)
                    if turn % 3 == 0:
                        raise Failed
            source.refresh(*nodes(10, version=str(turn)))

    async def work() -> None:
        tasks = [asyncio.ensure_future(use()) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[:5]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())
    assert selector.status().in_flight == 0


# -- on a real cache -------------------------------------------------------------------------------------------------


def test_a_change_is_picked_up_without_a_call_that_waits_for_it() -> None:
    registry = memory(1)
    told: List[Event] = []
    with Cache(registry, on_event=told.append) as cache:
        selector = cache.selector("greeter", "round_robin")
        selector.select(timeout=HANG)
        registry.register(Service("greeter", "1.0", nodes=(node(2),)))
        assert eventually(lambda: {selector.select().id for _ in range(2)} == {"greeter-1", "greeter-2"})
        failing = next(one for one in cache.get("greeter") if one.id == "greeter-2")
        for _ in range(5):
            selector.mark(failing, error=OSError())
        assert [event.kind for event in told if event.kind != "refreshed"] == ["ejected"], "the cache's hook hears it"


def test_finding_the_first_node_is_inside_the_timeout_of_a_call() -> None:
    registry = Held(node(1))
    registry.open.clear()
    with Cache(registry) as cache:
        selector = cache.selector("greeter")

        async def work() -> None:
            turns = 0

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            beside = asyncio.ensure_future(other())
            with pytest.raises(Timeout, match="within 0.0"):
                async with selector.call(timeout=0.05):
                    raise AssertionError("there is nothing to call")
            beside.cancel()
            assert turns > 10, "the loop goes on"

        asyncio.run(work())
        with pytest.raises(Timeout, match="within 0.0"), selector.call(timeout=0.05):
            raise AssertionError("there is nothing to call")
        with pytest.raises(Timeout, match="within 0.0"):
            for attempt in selector.attempts(timeout=0.05):
                with attempt:
                    raise AssertionError("there is nothing to call")
        registry.open.set()
        with selector.call(timeout=HANG) as call:
            assert call.node.id == "greeter-1" and call.remaining is not None and 0 < call.remaining < HANG


def test_what_the_guard_holds_back_is_panic() -> None:
    registry = memory(10)
    with Cache(registry, guard=Guard(hold=3600.0, interval=3600.0)) as cache:
        selector = cache.selector("greeter", "round_robin")
        failing = selector.select(timeout=HANG)
        for _ in range(5):
            selector.mark(failing, error=OSError())
        assert failing.id not in {selector.select().id for _ in range(30)}
        registry.deregister(Service("greeter", nodes=nodes(10)))
        assert eventually(lambda: selector.status().panic)
        assert len({selector.select().id for _ in range(30)}) == 10
        cache.accept("greeter")
        with pytest.raises(NotFound):
            selector.select()


def test_a_closed_cache() -> None:
    with Cache(memory(2)) as cache:
        selector = cache.selector("greeter")
        selector.select(timeout=HANG)
    with pytest.raises(Unavailable, match="the cache is closed"):
        selector.select()
    with pytest.raises(Unavailable), selector.call():
        raise AssertionError("there is no node to call")


def test_a_closed_selector() -> None:
    source = Source(*nodes(3))
    with_calls = Selector(source)
    call = with_calls.call()
    with call:
        with_calls.close()
    assert source.pins == 0
    for way in (
        with_calls.select,
        lambda: with_calls.call().__enter__(),
        lambda: asyncio.run(with_calls.select_async()),
    ):  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="the selector is closed; there are no nodes of 'greeter'"):
            way()
    source.refresh(*nodes(4))
    with_calls.mark(node(1), error=OSError())
    with_calls.reset()
    with pytest.raises(Unavailable):
        with_calls.select()
    with_calls.close()
    assert source.pins == 0
    assert str(with_calls.status()).startswith("greeter: closed")


def test_a_selector_that_nobody_holds_is_gone() -> None:
    registry = memory(2)
    with Cache(registry) as cache:
        selector = cache.selector("greeter")
        selector.select(timeout=HANG)
        reference = weakref.ref(selector)
        del selector

        def gone() -> bool:
            gc.collect()
            return reference() is None

        eventually(gone)  # a thread of the cache may still be telling it of the first snapshot
        registry.register(Service("greeter", "1.0", nodes=(node(3),)))
        assert eventually(lambda: len(cache.get("greeter")) == 3)


def test_snapshots_are_not_kept_longer_than_needed() -> None:
    source = Source(*nodes(3))
    selector = Selector(source, strategy="round_robin")
    picks(selector, 1)
    old = weakref.ref(source.view()[0])
    assert old() is not None
    source.refresh(*nodes(3, version="2.0"))
    gc.collect()
    assert old() is None


# -- reset -----------------------------------------------------------------------------------------------------------


def test_reset_forgets_what_was_learned() -> None:
    source = Source(*nodes(10))
    selector = Selector(source, strategy="round_robin")
    picks(selector, 1)
    for _ in range(5):
        selector.mark(node(3), error=OSError(), elapsed=2.0)
    with selector.call():
        selector.reset()
        assert selector.status().in_flight == 0
    assert selector.status().in_flight == 0
    assert selector.status().ejected == () and selector.status().peers[2].latency is None
    assert Counter(picks(selector, 20)) == dict.fromkeys(range(1, 11), 2)
    for _ in range(5):
        selector.mark(node(3), error=OSError())
    assert selector.status().peers[2].ejected_for == 30.0, "the count began anew, too"


# -- forks -----------------------------------------------------------------------------------------------------------


@forks
def test_a_child_goes_on_with_counts_of_its_own() -> None:
    source = Source(*nodes(10))
    selector = Selector(source, strategy="round_robin")
    picks(selector, 1)
    for _ in range(5):
        selector.mark(node(3), error=OSError())
    # A thread of the parent is in a call, and another one holds the lock.
    begun, end = threading.Event(), threading.Event()

    def busy(which: int) -> None:
        with selector.call(), selector._lock:
            begun.set()
            assert end.wait(HANG)

    threads = Threads(1, busy)
    assert begun.wait(HANG)

    def child() -> None:
        assert selector.status().in_flight == 0, "calls of the parent are not ours"
        assert selector.status().ejected == ("greeter-3",), "but what it learned is"
        assert len(set(picks(selector, 9))) == 9
        with selector.call():
            assert selector.status().in_flight == 1
        assert selector.status().in_flight == 0
        source.refresh(*nodes(12))
        assert len(set(picks(selector, 11))) == 11

    in_a_child(child)
    end.set()
    threads.join()
    assert selector.status().in_flight == 0


@forks
def test_a_child_that_was_forked_in_a_call_leaves_it() -> None:
    selector = Selector(Source(*nodes(3)))
    with selector.call():

        def child() -> None:
            with selector.call():
                pass
            assert selector.status().in_flight == 0

        in_a_child(child)
    assert selector.status().in_flight == 0


@forks
@pytest.mark.parametrize("strategy", ["random", "round_robin", "p2c"])
def test_children_do_not_pick_in_step(strategy: str, tmp_path: Any) -> None:
    """Workers that a server forks would all call the same node at the same moment."""
    selector = Selector(Source(*nodes(10)), strategy=strategy, seed=7)
    picks(selector, 1)
    seen: Dict[int, List[int]] = {}
    for which in range(8):
        path = tmp_path / str(which)
        in_a_child(lambda path=path: path.write_text(" ".join(map(str, picks(selector, 10)))))  # type: ignore[misc]
        seen[which] = list(map(int, path.read_text().split()))
    assert len({tuple(picked) for picked in seen.values()}) > 1


@forks
def test_a_child_of_a_process_with_a_cache() -> None:
    registry = memory(3)
    with Cache(registry) as cache:
        selector = cache.selector("greeter")
        selector.select(timeout=HANG)

        def child() -> None:
            assert selector.select(timeout=0).id.startswith("greeter-")
            registry.register(Service("greeter", "1.0", nodes=(node(9),)))
            eventually(lambda: "greeter-9" in {selector.select().id for _ in range(20)})

        in_a_child(child)


def test_a_clock_of_one_s_own_is_the_call_s_too() -> None:
    clock = Clock()
    selector = Selector(Source(*nodes(1)), clock=clock)
    with selector.call(timeout=1.0) as call:
        clock.advance(0.75)
        assert call.remaining == pytest.approx(0.25)
    assert selector.status().peers[0].latency == pytest.approx(0.75)
