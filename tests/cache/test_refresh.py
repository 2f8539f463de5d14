"""The refresher: every load is told of exactly once, on a thread of its own, whatever the registry does."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import queue
import random
import socket
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from regcache import Cache, LimitExceeded, Limits, Node, Service, Timeout, Unavailable
from regcache.cache.refresh import Load, Refresher
from regcache.cache.workers import PATIENCE, Workers
from regcache.registry import FileRegistry, MemoryRegistry
from tests.cache.asked import Gated, Plain, Told, ask, settled, threads_left
from tests.cache.stub import Clock
from tests.eventually import eventually
from tests.together import HANG, Threads, together


@pytest.fixture
def refreshers() -> Iterator[Any]:
    """Makes refreshers and closes them."""
    made: List[Refresher] = []

    def make(registry: Any, **options: Any) -> Refresher:
        made.append(Refresher(registry, **options))
        return made[-1]

    yield make
    for refresher in made:
        refresher.close()
        assert not [thread for thread in refresher.threads if thread.is_alive()]


def change(registry: MemoryRegistry, service: str = "greeter", number: int = 2) -> None:
    registry.register(Service(service, "1.0", nodes=(Node(f"{service}-{number}", "10.0.0.2", 80),)))


# -- one load ----------------------------------------------------------------------------------------------------------


def test_a_snapshot(refreshers: Any) -> None:
    refresher = refreshers(Gated())
    told = Told()
    refresher.load("greeter", told)
    outcome = told.next()
    assert [node.id for node in outcome.snapshot] == ["greeter-1"]
    assert outcome.error is None and not outcome.unchanged
    assert outcome.index == outcome.snapshot.index >= 1
    assert outcome.elapsed >= 0
    assert told.threads[0] is not threading.current_thread()
    assert told.threads[0].daemon


def test_the_clock_the_limits_and_the_snapshot_before(refreshers: Any) -> None:
    clock = Clock()
    refresher = refreshers(Gated(), clock=clock)
    first = ask(refresher)
    assert first.asked == clock.now and first.elapsed == 0
    second = ask(refresher, previous=first.snapshot)
    assert second.snapshot[0] is first.snapshot[0]
    assert isinstance(ask(refreshers(Gated(), limits=Limits(body_bytes=10))).error, LimitExceeded)


def test_nothing_is_started_before_the_first_load_and_few_threads_after_it(refreshers: Any) -> None:
    refresher = refreshers(Gated())
    assert refresher.threads == []
    for _ in range(50):
        ask(refresher)
    assert len(refresher.threads) <= 3


def test_a_blocking_load_waits_for_a_change_without_a_thread(refreshers: Any) -> None:
    registry = Gated(*(f"service-{number}" for number in range(300)))
    refresher = refreshers(registry, connections=4)
    index = ask(refresher, "service-0").index
    told = [Told() for _ in range(300)]
    for number in range(300):
        refresher.load(f"service-{number}", told[number], index=index, wait=1000)
    settled(refresher)
    assert len(refresher.threads) <= 5
    for number in (299, 0, 150):
        change(registry, f"service-{number}")
        outcome = told[number].next()
        assert len(outcome.snapshot) == 2 and outcome.index > index
    assert all(one.empty for one in told)


def test_a_wait_that_ends_without_a_change(refreshers: Any) -> None:
    refresher = refreshers(Gated())
    index = ask(refresher).index
    outcome = ask(refresher, index=index, wait=0.01)
    assert outcome.unchanged
    assert (outcome.snapshot, outcome.error, outcome.index) == (None, None, index)


def test_a_change_before_the_load_is_not_missed(refreshers: Any) -> None:
    registry = Gated()
    refresher = refreshers(registry)
    index = ask(refresher).index
    change(registry)
    assert len(ask(refresher, index=index, wait=1000).snapshot) == 2


@pytest.mark.parametrize("error", [Unavailable("down"), RuntimeError("a bug"), SystemExit("odd")])
@pytest.mark.parametrize("where", ["begin", "fetch"])
def test_what_a_registry_raises(refreshers: Any, error: BaseException, where: str) -> None:
    registry = Gated()

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    setattr(registry, where, fail)
    outcome = ask(refreshers(registry))
    assert outcome.snapshot is None and outcome.index == 0
    assert isinstance(outcome.error, Unavailable)
    assert str(error) in str(outcome.error)
    # The frames hold sockets and bodies.
    assert outcome.error.__traceback__ is None
    if outcome.error is not error:
        assert outcome.error.__cause__ is error and error.__traceback__ is None


def test_a_registry_that_is_not_multiplexed(refreshers: Any, tmp_path: Path) -> None:
    registry = Gated()
    refresher = refreshers(Plain(registry))
    index = ask(refresher).index
    told = Told()
    refresher.load("greeter", told, index=index, wait=30)
    assert ask(refresher, urgent=True).snapshot is not None
    change(registry)
    assert len(told.next().snapshot) == 2
    (tmp_path / "greeter.json").write_text("[]")
    outcome = ask(refreshers(FileRegistry(tmp_path)))
    assert len(outcome.snapshot) == 0
    refresher = refreshers(FileRegistry(tmp_path))
    assert ask(refresher, index=outcome.index, wait=30).unchanged


def test_what_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="worker"):
        Refresher(Gated(), workers=0)
    with pytest.raises(ValueError, match="connections"):
        Refresher(Gated(), connections=1)


def test_a_callback_that_raises_spoils_nothing(refreshers: Any, caplog: pytest.LogCaptureFixture) -> None:
    refresher = refreshers(Gated(), workers=1)
    failed = threading.Event()

    def bad(outcome: Any) -> None:
        failed.set()
        raise SystemExit("on purpose")

    refresher.load("greeter", bad)
    assert failed.wait(HANG)
    assert ask(refresher).snapshot is not None
    assert "on purpose" in caplog.text


def test_a_load_lets_go_of_everything(refreshers: Any) -> None:
    refresher = refreshers(Gated())
    outcome = ask(refresher)
    told = Told()
    load = refresher.load("greeter", told, previous=outcome.snapshot, index=outcome.index, wait=0.01)
    told.next()
    settled(refresher)
    kept = weakref.ref(outcome.snapshot)
    del outcome
    gc.collect()
    assert load.previous is None and kept() is None


# -- turns -------------------------------------------------------------------------------------------------------------


class Bound(Gated):
    """Takes up connections: each request has a descriptor of its own.

    Attributes:
        turns: a service and the waits it was given, for each request; and how to end that wait without a change.
    """

    def __init__(self, *services: str) -> None:
        super().__init__(*services)
        self.turns: "queue.Queue[Tuple[str, Optional[float], Callable[[], None]]]" = queue.Queue()

    def begin(self, service: str, **how: Any) -> Any:
        pending = super().begin(service, **how)
        reading, writing = socket.socketpair()

        def ready() -> None:
            with contextlib.suppress(OSError):
                writing.send(b"\0")

        def close() -> None:
            reading.close()
            writing.close()

        inner = pending.close
        pending.on_ready(ready)
        pending.fileno = reading.fileno
        pending.close = lambda: (inner(), close())
        self.turns.put((service, how["wait"], ready))
        return pending


def test_those_that_wait_take_turns(refreshers: Any) -> None:
    """One place for blocking queries; ten services want it. The clock goes on when the test says so."""
    clock = Clock()
    names = [f"service-{number}" for number in range(10)]
    registry = Bound(*names)
    refresher = refreshers(registry, connections=2, clock=clock)
    index = ask(refresher, names[0]).index
    registry.turns.get(timeout=HANG)
    told = {name: Told() for name in names}
    loads = [refresher.load(name, told[name], index=index, wait=100) for name in names]
    seen = []
    for _ in range(25):
        service, wait, end = registry.turns.get(timeout=HANG)
        seen.append(service)
        if len(seen) > 1:  # the first did not know of the others
            assert wait == 1.0
        settled(refresher)
        clock.now += wait or 0
        end()
    assert seen == (names * 3)[:25]
    assert all(one.empty for one in told.values())
    # A change in one that waits for its turn is noticed when that has come: at once, then.
    change(registry, names[8])
    while registry.turns.queue or told[names[8]].empty:
        service, wait, end = registry.turns.get(timeout=HANG)
        if service == names[8]:
            break
        settled(refresher)
        clock.now += wait or 0
        end()
    assert len(told[names[8]].next().snapshot) == 2
    for load in loads:
        load.cancel()


def test_the_wait_over_all_turns_is_the_one_that_was_asked_for(refreshers: Any) -> None:
    clock = Clock()
    registry = Bound("greeter", "other")
    refresher = refreshers(registry, connections=2, clock=clock)
    index = ask(refresher).index
    registry.turns.get(timeout=HANG)
    told = Told()
    refresher.load("other", Told(), index=index, wait=1000)
    refresher.load("greeter", told, index=index, wait=20)
    waits = []
    while told.empty:
        with contextlib.suppress(queue.Empty):
            service, wait, end = registry.turns.get(timeout=0.01)
            if service == "greeter":
                waits.append(wait)
            settled(refresher)
            clock.now += wait or 0
            end()
    outcome = told.next()
    assert outcome.unchanged and 20 <= outcome.elapsed
    assert len(waits) > 1 and max(waits) <= 10


def test_urgent_loads_pass_everybody(refreshers: Any) -> None:
    clock = Clock()
    registry = Bound()
    refresher = refreshers(registry, clock=clock)
    index = ask(refresher).index
    waiting = [Told() for _ in range(200)]
    for told in waiting:
        refresher.load("greeter", told, index=index, wait=1000)
    settled(refresher)
    assert len(ask(refresher, urgent=True).snapshot) == 1
    assert all(told.empty for told in waiting)
    change(registry)
    for told in waiting:
        assert len(told.next().snapshot) == 2


def test_cancelling_frees_the_place(refreshers: Any) -> None:
    registry = Bound("greeter", "other")
    refresher = refreshers(registry, connections=2)
    index = ask(refresher).index
    told, never = Told(), Told()
    first = refresher.load("greeter", never, index=index, wait=1000)
    refresher.load("other", told, index=index, wait=1000)
    settled(refresher)
    change(registry, "other")
    first.cancel()
    first.cancel()
    assert len(told.next().snapshot) == 2
    change(registry)
    settled(refresher)
    assert never.empty


def test_the_place_of_the_first_that_is_over_is_given_away(refreshers: Any) -> None:
    """Queries that are broken off go on in the agent for a while: not always in the order in which they were broken
    off."""
    clock = Clock()
    registry = Bound("a", "b", "c")
    refresher = refreshers(registry, connections=2, clock=clock)
    index = ask(refresher, "a").index
    registry.turns.get(timeout=HANG)
    for name, wait in (("a", 55), ("b", 5)):
        load = refresher.load(name, Told(), index=index, wait=wait)
        _, wait, _ = registry.turns.get(timeout=HANG)
        settled(refresher)
        if name == "b":
            refresher.load("c", Told(), index=index, wait=5)  # waits for the end of the first
            settled(refresher)
        load.cancel()
        settled(refresher)
    clock.now += 6
    refresher.wake()
    service, _, _ = registry.turns.get(timeout=HANG)
    assert service == "c"


def test_a_load_that_is_cancelled_while_it_is_read_is_not_told_of(refreshers: Any) -> None:
    registry = Gated("hanging", "greeter")
    refresher = refreshers(registry)
    never = Told()
    load = refresher.load("hanging", never)
    assert registry.arrived.acquire(timeout=HANG)
    load.cancel()
    registry.open.set()
    for _ in range(5):
        ask(refresher)
    assert never.empty


# -- hanging registries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [lambda registry: registry, Plain])
def test_a_load_that_hangs_ends_at_its_deadline_and_its_worker_is_replaced(refreshers: Any, kind: Any) -> None:
    clock = Clock()
    registry = Gated("hanging", "greeter")
    stuck: List[Any] = []
    reported = threading.Event()

    def on_stuck(*what: Any) -> None:
        stuck.append(what)
        reported.set()

    refresher = refreshers(kind(registry), workers=1, clock=clock, on_stuck=on_stuck)
    told = Told()
    refresher.load("hanging", told)
    assert registry.arrived.acquire(timeout=HANG)
    settled(refresher)
    # The one worker hangs. Another comes in its place, long before the deadline.
    clock.now += PATIENCE
    refresher.wake()
    assert ask(refresher).snapshot is not None
    assert told.empty
    clock.now += 10
    refresher.wake()
    outcome = told.next()
    assert isinstance(outcome.error, Timeout)
    assert "did not answer about 'hanging' within 10 s" in str(outcome.error)
    settled(refresher)
    clock.now += 1
    refresher.wake()
    assert reported.wait(HANG)
    assert stuck == [("hanging", PATIENCE + 11)]
    registry.open.set()
    assert ask(refresher).snapshot is not None
    assert told.empty


def test_everybody_is_told_even_when_all_workers_hang(refreshers: Any) -> None:
    clock = Clock()
    registry = Gated("hanging")
    refresher = refreshers(registry, workers=2, clock=clock)
    told = [Told() for _ in range(10)]
    for one in told:
        refresher.load("hanging", one)
    for _ in range(2):  # as many workers as are counted, and then as many again
        for _ in range(2):
            assert registry.arrived.acquire(timeout=HANG)
        settled(refresher)
        clock.now += PATIENCE
        refresher.wake()
    settled(refresher)
    assert len(refresher.threads) == 1 + 4
    clock.now += 20
    refresher.wake()
    settled(refresher)
    clock.now += 1
    refresher.wake()
    for one in told:
        assert isinstance(one.next().error, Timeout)
    registry.open.set()
    registry.shut.clear()
    assert ask(refresher, "hanging").snapshot is not None
    settled(refresher)
    assert all(one.empty for one in told)


def kill(thread: threading.Thread) -> None:
    """It dies as soon as it runs."""
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert throw(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)) == 1


def idle(refresher: Refresher) -> None:
    """Its threads hold no lock but their own, and want nothing but to wait."""
    settled(refresher)
    eventually(lambda: not refresher._background.workers._running())


def the_loop(refresher: Refresher) -> threading.Thread:
    thread = refresher._loop.thread
    assert thread is not None
    return thread


def test_threads_that_die_are_replaced_and_whoever_waits_is_told(refreshers: Any) -> None:
    registry = Gated()
    refresher = refreshers(registry, workers=1)
    index = ask(refresher).index
    told, later = Told(), threading.Event()
    refresher.load("greeter", told, index=index, wait=1000)
    refresher.at(0.0, later.set)
    assert later.wait(HANG)
    soon = threading.Event()
    timer = refresher.at(float("inf"), soon.set)
    idle(refresher)
    dead = refresher.threads
    for thread in dead:
        kill(thread)
    refresher.wake()
    error = told.next().error
    assert isinstance(error, Unavailable) and "died" in str(error)
    assert ask(refresher).snapshot is not None
    refresher.load("greeter", told, index=index, wait=1000)
    change(registry)
    assert len(told.next().snapshot) == 2
    assert the_loop(refresher) not in dead
    assert (float("inf"), timer.call is not None) == (refresher._loop._timers[-1][0], True), "times are kept"
    assert len(refresher.threads) <= 2


def test_a_loop_that_dies_in_the_middle_of_its_calls_does_the_rest(refreshers: Any) -> None:
    refresher = refreshers(Gated())
    index = ask(refresher).index
    both = [Told(), Told()]

    def die() -> None:
        refresher.load("greeter", both[1], index=index, wait=1000)
        raise SystemExit

    refresher.load("greeter", both[0], index=index, wait=1000)
    settled(refresher)
    refresher._loop.post(die)
    assert isinstance(both[0].next().error, Unavailable)
    settled(refresher)
    assert both[1].empty, "it was asked for after the end"
    change(refresher._asking.registry)
    assert len(both[1].next().snapshot) == 2


def test_a_loop_that_cannot_be_replaced_at_once_is_replaced_with_the_next_load(
    refreshers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresher = refreshers(Gated())
    index = ask(refresher).index
    told = Told()
    refresher.load("greeter", told, index=index, wait=1000)
    idle(refresher)
    thread = the_loop(refresher)
    monkeypatch.setattr(threading, "excepthook", lambda *how: None)
    with monkeypatch.context() as patched:

        def fail(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", fail)
        kill(thread)
        refresher.wake()
        thread.join(HANG)
        assert not thread.is_alive()
        refresher.wake()  # there is nobody to wake
        with pytest.raises(Unavailable, match="cannot be asked for: can't start new thread"):
            refresher.load("greeter", Told())
    assert ask(refresher).snapshot is not None
    assert isinstance(told.next().error, Unavailable)


class Torn(threading.Condition):
    """A lock in whose taking a thread that is doomed dies, as it may since CPython 3.14."""

    doomed: Optional[threading.Thread] = None

    def __enter__(self) -> bool:
        super().__enter__()
        if threading.current_thread() is self.doomed:
            self.doomed = None
            raise SystemExit
        return True


@pytest.mark.parametrize("which", ["loop", "worker"])
def test_a_thread_that_dies_in_the_taking_of_its_lock_gives_it_back(which: str, refreshers: Any) -> None:
    refresher = refreshers(Gated(), workers=1)
    lock = Torn()
    if which == "loop":
        refresher._loop._lock = lock
    else:
        refresher._background.workers._changed = lock
    index = ask(refresher).index
    idle(refresher)
    (lock.doomed,) = [thread for thread in refresher.threads if (thread is the_loop(refresher)) is (which == "loop")]
    doomed, told = lock.doomed, Told()
    refresher.load("greeter", told, index=index, wait=1000)
    change(refresher._asking.registry)
    doomed.join(HANG)
    assert not doomed.is_alive() and lock.doomed is None
    if not lock.acquire(timeout=HANG):
        refresher._loop._lock, refresher._background.workers._changed = threading.RLock(), threading.Condition()
        pytest.fail("nobody can take it any more")
    lock.release()
    told.next()  # whatever came of it
    assert ask(refresher).snapshot is not None


def test_a_worker_that_is_gone_without_a_word_is_replaced(refreshers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was doing ends at its deadline."""
    registry = Gated()
    registry.timeout = 0.1
    refresher = refreshers(registry, workers=1)
    with monkeypatch.context() as patched:
        gone = threading.Event()

        def run(self: Workers) -> None:
            self._next(None)
            gone.set()

        patched.setattr(Workers, "_run", run)
        told = Told()
        refresher.load("greeter", told)
        assert gone.wait(HANG)
    assert isinstance(told.next().error, Timeout)
    assert ask(refresher).snapshot is not None
    assert len(refresher.threads) <= 2


def test_a_cache_goes_on_when_its_threads_die() -> None:
    """By itself: nobody asks."""
    registry = Gated()
    with Cache(registry, random=lambda: 0.999) as cache:
        assert len(cache.get("greeter", timeout=HANG)) == 1
        for number in range(2, 5):
            eventually(lambda: cache.status("greeter").watching)
            idle(cache._refresher)
            for thread in cache._refresher.threads:
                kill(thread)
            cache._refresher.wake()
            change(registry, number=number)
            eventually(lambda number=number: len(cache._entries["greeter"].slot.get()) == number)  # type: ignore[arg-type]
        assert len(cache._refresher.threads) <= 5


# -- later -------------------------------------------------------------------------------------------------------------


def test_things_are_done_at_their_time(refreshers: Any) -> None:
    clock = Clock()
    refresher = refreshers(Gated(), clock=clock)
    done: "queue.Queue[Any]" = queue.Queue()
    never = refresher.at(clock.now + 2, lambda: done.put("never"))
    refresher.at(clock.now + 3, lambda: done.put(threading.current_thread()))
    refresher.at(clock.now + 1, lambda: done.put("first"))
    never.cancel()
    settled(refresher)
    assert done.empty()
    clock.now += 1
    refresher.wake()
    assert done.get(timeout=HANG) == "first"
    refresher.at(clock.now, lambda: done.put("now"))
    assert done.get(timeout=HANG) == "now"
    clock.now += 2
    refresher.wake()
    assert done.get(timeout=HANG) is not threading.current_thread()
    assert done.empty()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_close_tells_everybody_and_leaves_no_thread() -> None:
    registry = Gated()
    refresher = Refresher(registry)
    index = ask(refresher).index
    told = [Told() for _ in range(20)]
    for one in told:
        refresher.load("greeter", one, index=index, wait=1000)
    refresher.at(1e12, told[0])
    refresher.close()
    for one in told:
        outcome = one.next()
        assert isinstance(outcome.error, Unavailable) and "closed" in str(outcome.error)
        assert one.threads[0] is not threading.current_thread()
    assert threads_left() == []
    refresher.close()
    late = Told()
    refresher.load("greeter", late)
    assert "closed" in str(late.next().error)
    assert late.threads[0] is not threading.current_thread()
    late.threads[0].join(HANG)
    assert threads_left() == []


def test_close_from_a_callback() -> None:
    refresher = Refresher(Gated())
    closed = threading.Event()

    def done(_: Any) -> None:
        refresher.close()
        closed.set()

    refresher.load("greeter", done)
    assert closed.wait(HANG)


def test_close_does_not_wait_for_ever() -> None:
    registry = Gated("hanging")
    refresher = Refresher(registry)
    told = Told()
    refresher.load("hanging", told)
    assert registry.arrived.acquire(timeout=HANG)
    refresher.close(timeout=0.01)
    assert "closed" in str(told.next().error)
    registry.open.set()
    for thread in refresher.threads:
        thread.join(HANG)


def test_nothing_is_left_after_many_rounds() -> None:
    for _ in range(1000):
        registry = Gated()
        refresher = Refresher(registry)
        index = ask(refresher).index
        told = Told()
        refresher.load("greeter", told, index=index, wait=1000)
        refresher.load("greeter", told, index=index, wait=1000).cancel()
        refresher.close()
        assert told.next().error is not None
        assert threads_left() == []
    assert registry._begun == {}


def test_every_load_is_told_of_once_under_stress() -> None:
    """Answers, deadlines, cancels and the end race each other."""

    class Restless(Gated):
        timeout = 0.02

        def fetch(self, service: str, **how: Any) -> Any:
            if random.random() < 0.02:
                self.open.wait(0.05)
            return super().fetch(service, **how)

    registry = Restless()
    refresher = Refresher(registry, workers=2)
    index = ask(refresher).index
    counts: Dict[int, int] = {}
    loads: List[Load] = []
    cancelled: List[int] = []
    counting = threading.Lock()

    def load(number: int) -> Load:
        def done(_: Any) -> None:
            with counting:
                counts[number] = counts.get(number, 0) + 1

        how: Dict[str, Any] = {"index": index, "wait": 0.001 * (number % 7)} if number % 3 else {}
        return refresher.load("greeter", done, urgent=number % 5 == 0, **how)

    def work(thread: int) -> None:
        if thread == 0:
            for step in range(100):
                change(registry, number=step)
            return
        for step in range(300):
            if thread == 1 and step == 250:
                refresher.close()
            number = thread * 1000 + step
            one = load(number)
            loads.append(one)
            if step % 4 == 0:
                cancelled.append(number)
                one.cancel()

    together(6, work)
    refresher.close()
    for thread in refresher.threads:
        thread.join(HANG)
    assert len(loads) == 1500
    assert set(counts.values()) == {1}
    expected = {thread * 1000 + step for thread in range(1, 6) for step in range(300)}
    assert expected - set(counts) <= set(cancelled)
    assert threads_left() == []


def test_many_threads_load_at_once(refreshers: Any) -> None:
    refresher = refreshers(Gated(), connections=8)
    outcomes = Threads(16, lambda _: [ask(refresher) for _ in range(20)]).join()
    assert all(outcome.snapshot is not None for some in outcomes for outcome in some)
    assert len(refresher.threads) <= 5


# -- forks -------------------------------------------------------------------------------------------------------------

FORK = """
import os, sys, threading
from regcache import ConsulRegistry
from regcache.cache.refresh import Refresher
from tests.cache.asked import Told, ask, settled, threads_left
from tests.faulty import FaultyServer, response

change = threading.Event()
waiting = threading.Semaphore(0)

def answer(connection, request):
    while request:
        if b"index=7" in request:
            waiting.release()
            assert change.wait(60)
            connection.sendall(response(headers={"X-Consul-Index": "8"}))
        else:
            connection.sendall(response())
        request = connection.recv(4096)

def in_child():
    before = threads_left()
    assert before == [], before
    outcome = ask(refresher)
    assert outcome.index == 7, outcome
    refresher.load("greeter", Told(), index=7, wait=50)
    settled(refresher)
    refresher.close()
    assert threads_left() == []
    assert told.empty

with FaultyServer(answer) as server:
    registry = ConsulRegistry(server.url)
    refresher = Refresher(registry)
    assert ask(refresher).index == 7
    told = Told()
    load = refresher.load("greeter", told, index=7, wait=50)
    assert waiting.acquire(timeout=60)
    settled(refresher)
    for _ in range(3):
        pid = os.fork()
        if not pid:
            try:
                in_child()
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    # The parent's watch was not disturbed.
    assert told.empty
    change.set()
    assert told.next().index == 8
    refresher.close()
    registry.close()
print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_asks_for_itself_and_the_parent_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(FORK)],
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG,
    )
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
