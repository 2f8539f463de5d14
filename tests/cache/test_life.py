"""A cache in a process: nothing before the first question, nothing after the end, and forks in between."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import traceback
import weakref
from typing import Any, Callable, Iterator, List

import pytest

from regcache import Cache, MemoryRegistry, Service, Unavailable, connect
from tests.cache.fake import running
from tests.cache.stub import Held, Settled, node
from tests.eventually import eventually
from tests.together import HANG


def threads() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("regcache")]


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    Settled.close()
    assert eventually(lambda: not threads())
    yield
    Settled.close()
    eventually(lambda: not threads())


def memory(count: int = 1) -> MemoryRegistry:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=tuple(map(node, range(1, count + 1)))))
    return registry


def test_nothing_is_started_before_the_first_question() -> None:
    cache = Cache(memory())
    cache.selector("greeter")
    cache.status("greeter")
    assert not threads()
    cache.get("greeter", timeout=HANG)
    assert threads()


def test_closing_ends_everything() -> None:
    cache = Cache(memory())
    cache.get("greeter", timeout=HANG)
    assert cache.status("greeter").watching
    cache.close()
    assert not threads()


def test_with_ends_everything_too() -> None:
    with Cache(memory()) as cache:
        cache.get("greeter", timeout=HANG)
    assert not threads()

    async def work() -> None:
        async with Cache(memory()) as cache:
            await cache.get_async("greeter", timeout=HANG)

    asyncio.run(work())
    assert not threads()


def test_the_last_reference_ends_everything_but_a_selector_is_one() -> None:
    registry = memory()
    cache = Cache(registry)
    selector = cache.selector("greeter")
    selector.select(timeout=HANG)
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is not None
    assert selector.select().id == "greeter-1"
    del selector

    def gone() -> bool:
        gc.collect()
        return reference() is None

    eventually(gone)  # a thread of the cache may still be telling the selector of the first snapshot
    eventually(lambda: not threads())


def test_the_number_of_threads_does_not_grow_with_the_number_of_services() -> None:
    registry = memory()
    with Cache(registry) as cache:
        cache.warm([f"service-{number}" for number in range(1000)], timeout=HANG)
        assert all(cache.status(f"service-{number}").state == "fresh" for number in range(1000))
        assert len(threads()) <= 5


def test_a_thousand_rounds_leave_nothing() -> None:
    registry = memory()
    for _ in range(1000):
        with Cache(registry) as cache:
            cache.get("greeter", timeout=HANG)
    assert not threads()


def test_a_closed_cache_of_a_url_closes_its_registry() -> None:
    cache = connect("memory://")
    registry: Any = cache.registry
    registry.register(Service("greeter", "1.0", nodes=(node(1),)))
    assert len(cache.get("greeter", timeout=HANG)) == 1
    cache.close()
    with pytest.raises(Unavailable):
        registry.fetch("greeter")


def test_a_change_is_served_soon() -> None:
    registry = memory()
    with Cache(registry) as cache:
        cache.get("greeter", timeout=HANG)
        registry.register(Service("greeter", "1.0", nodes=(node(2),)))
        eventually(lambda: len(cache.get("greeter")) == 2)


# -- the interpreter's end -------------------------------------------------------------------------------------------

SCRIPT = """
import sys, threading
import regcache
from regcache import Cache, MemoryRegistry, Node, Service
registry = MemoryRegistry()
registry.register(Service("greeter", "1.0", nodes=(Node("a", "10.0.0.1", 80),)))
class Hangs(MemoryRegistry):
    blocking = False
    begin = None
    def fetch(self, service, **how):
        threading.Event().wait()
cache = Cache(registry)
assert len(cache.get("greeter", timeout=60)) == 1
{more}
print("end")
"""


@pytest.mark.parametrize(
    "more",
    [
        "",
        "cache.close()",
        "sys.exit(0)",
        "keep = [cache]; keep.append(keep)",
        "import os, atexit; atexit.register(lambda: cache.status('greeter'))",
    ],
)
def test_the_interpreter_ends_cleanly(more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT.format(more=more)], capture_output=True, timeout=HANG
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_registry_that_hangs_does_not_keep_the_interpreter() -> None:
    more = """
hanging = Cache(Hangs())
try:
    hanging.get("greeter", timeout=0.05)
except regcache.Timeout:
    pass
"""
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(more=more)], capture_output=True, timeout=HANG)
    assert (done.returncode, done.stderr) == (0, b"")


# -- forks -----------------------------------------------------------------------------------------------------------

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_a_child(work: Callable[[], None]) -> None:
    """Run this in a forked child; its error is the test's."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            work()
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[:60_000])
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, told


@forks
def test_a_child_has_what_its_parent_held_and_goes_on_by_itself() -> None:
    registry = memory()
    with Cache(registry) as cache:
        held = cache.get("greeter", timeout=HANG)

        def child() -> None:
            assert not threads()
            assert cache.get("greeter", timeout=0) is held
            registry.register(Service("greeter", "1.0", nodes=(node(2),)))
            cache.get("greeter", timeout=0)
            eventually(lambda: len(cache.get("greeter", timeout=0)) == 2)
            registry.register(Service("greeter", "1.0", nodes=(node(3),)))
            eventually(lambda: len(cache.get("greeter", timeout=0)) == 3)
            cache.close()
            assert not threads()

        in_a_child(child)
        # The parent's watch was not disturbed.
        assert cache.get("greeter", timeout=0) is held
        assert cache.status("greeter").watching
        registry.register(Service("greeter", "1.0", nodes=(node(4),)))
        eventually(lambda: [n.id for n in cache.get("greeter", timeout=0)] == ["greeter-1", "greeter-4"])


@forks
def test_a_cold_cache_in_a_child() -> None:
    cache = Cache(memory())
    in_a_child(lambda: _expect(len(cache.get("greeter", timeout=HANG)) == 1))
    assert len(cache.get("greeter", timeout=HANG)) == 1


@forks
def test_a_fork_in_the_middle_of_the_first_request() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry)
    entry = cache._entry("greeter")
    entry.start()
    assert registry.arrived.wait(HANG)

    def child() -> None:
        registry.open.set()
        registry._counting = threading.Lock()
        assert len(cache.get("greeter", timeout=HANG)) == 1

    in_a_child(child)
    registry.open.set()
    assert len(cache.get("greeter", timeout=HANG)) == 1
    assert registry.requests == 1


@forks
def test_a_fork_while_another_thread_has_the_locks() -> None:
    cache = Cache(memory())
    held = cache.get("greeter", timeout=HANG)
    entry = cache._entries["greeter"]
    locked, go_on = threading.Event(), threading.Event()

    def lock() -> None:
        with cache._lock, entry._lock, cache._notifier._lock:
            locked.set()
            go_on.wait(HANG)

    locker = threading.Thread(target=lock)
    locker.start()
    assert locked.wait(HANG)

    def child() -> None:
        assert cache.get("greeter", timeout=0) is held
        assert len(cache.get("other", timeout=HANG)) == 0
        cache.close()

    in_a_child(child)
    go_on.set()
    locker.join()


@forks
def test_a_doubt_is_the_parents() -> None:
    cache, refresher = running(10)
    refresher.now.answer(index=20)

    def child() -> None:
        status = cache.status("greeter")
        assert (status.state, status.nodes, status.held_back) == ("stale", 10, None)

    in_a_child(child)
    assert cache.status("greeter").state == "held"


@forks
def test_many_children() -> None:
    """A pre-fork server: every worker has a working cache of its own."""
    cache = Cache(memory())
    cache.get("greeter", timeout=HANG)
    children = []
    for _ in range(8):
        child = os.fork()
        if not child:
            good = False
            try:
                cache.get("greeter", timeout=0)
                eventually(lambda: cache.status("greeter").watching)
                good = True
            finally:
                os._exit(0 if good else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert cache.status("greeter").watching


def test_a_spawned_process() -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_spawned)
    process.start()
    process.join(HANG)
    assert process.exitcode == 0


def _spawned() -> None:
    with Cache(memory()) as cache:
        assert len(cache.get("greeter", timeout=HANG)) == 1


def _expect(fact: bool) -> None:
    assert fact


def test_closing_is_bounded_where_a_registry_hangs() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry)
    cache._entry("greeter").start()
    assert registry.arrived.wait(HANG)
    began = time.monotonic()
    cache.close(timeout=0.05)
    assert time.monotonic() - began < HANG / 2
    registry.open.set()
