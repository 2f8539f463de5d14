"""Handles for hot loops: what the cache says, at a few loads."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any, Iterator

import pytest

from regcache import Cache, NotFound, Service, Timeout, Unavailable
from regcache.cache.cache import MANY
from tests.cache.fake import faked, running
from tests.cache.stub import Held, Settled, node
from tests.together import HANG, Threads


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    Settled.close()


def test_it_says_what_the_cache_says() -> None:
    cache, refresher = running(1)
    reader = cache.reader("greeter")
    assert reader.get() is cache.get("greeter")
    second = refresher.now.many(2, index=20)
    assert reader.get() is second
    cache.close()
    with pytest.raises(Unavailable, match="closed"):
        reader.get()


def test_it_waits_for_the_first_answer_and_no_longer_than_it_should() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry, cold_wait=0.01)
    reader = cache.reader("greeter")
    assert registry.requests == 0, "making one asks nobody"
    with pytest.raises(Timeout):
        reader.get(timeout=0.0)
    with pytest.raises(Timeout, match=r"within 0\.01 s"):
        reader.get()
    registry.open.set()
    assert len(reader.get(timeout=HANG)) == 1
    assert registry.requests == 1


def test_its_errors_are_the_cache_s() -> None:
    registry = Held()
    registry.error = NotFound("no such service")
    with pytest.raises(NotFound):
        Cache(registry).reader("greeter").get(timeout=HANG)


def test_it_starts_the_refresh_that_is_due() -> None:
    cache, refresher = running(1, watch=False, ttl=30)
    reader = cache.reader("greeter")
    old = reader.get()
    refresher.advance(19)
    assert reader.get() is old and not refresher.in_flight
    refresher.advance(2)
    assert reader.get() is old
    new = refresher.now.many(2, index=20)
    assert reader.get() is new


def test_beyond_max_stale_it_has_nothing() -> None:
    cache, refresher = running(1, max_stale=100, wait=1000)
    reader = cache.reader("greeter")
    refresher.advance(99)
    assert len(reader.get(timeout=0)) == 1
    refresher.now.fail(Unavailable("refused"))
    refresher.advance(2)
    refresher.in_flight[-1].fail(Unavailable("refused"))
    with pytest.raises(Unavailable, match="beyond max_stale"):
        reader.get(timeout=0)


def test_a_service_that_is_read_goes_on_being_watched() -> None:
    cache, refresher = running(1, idle=600)
    reader = cache.reader("greeter")
    for _ in range(20):
        refresher.advance(55)
        reader.get()
        refresher.now.unchanged()
    assert cache.status("greeter").watching
    for _ in range(12):
        refresher.advance(55)
        if refresher.in_flight:
            refresher.now.unchanged()
    assert not cache.status("greeter").watching
    reader.get()
    assert refresher.now.index is None, "the next reader starts it again"


def test_it_keeps_the_cache_and_the_service() -> None:
    cache, refresher = faked()
    reader = cache.reader("greeter")
    entry = cache._entries["greeter"]
    for number in range(MANY):
        cache._entry(f"other-{number}")
    assert cache._entries["greeter"] is entry
    other: Any = cache.reader("greeter")
    del other
    gc.collect()
    assert len(entry._pins) == 1
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is not None
    del reader
    gc.collect()
    assert gone() is None and entry._pins == []


def test_readers_beside_refreshes() -> None:
    """What each thread sees only ever goes forward, and all see the last one."""
    registry = Held(node(1))
    registry.blocking = True
    cache = Cache(registry)
    cache.get("greeter", timeout=HANG)
    last = threading.Event()

    def read(_: int) -> int:
        reader, before = cache.reader("greeter"), 0
        while True:
            over = last.is_set()
            index = reader.get().index
            assert index >= before
            before = index
            if over and index == cache.get("greeter").index:
                return before

    readers = Threads(4, read)
    for number in range(2, 40):
        registry.register(Service("greeter", "1.0", nodes=(node(number),)))
    last.set()
    assert all(readers.join())
