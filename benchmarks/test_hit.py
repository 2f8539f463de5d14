"""Asking for the list while it is fresh: regcache beside other caches, and a plain dict that nobody refreshes."""

from __future__ import annotations

import asyncio
import functools
from itertools import repeat
from typing import Any, Awaitable, Callable, Iterator

import pytest

from regcache import Cache, MemoryRegistry

from . import made, measure
from .baselines import caches
from .measure import looped

ROUNDS = 40
TTL = 3600.0
LIST = ["10.0.0.1:8080"]


@pytest.fixture(scope="module")
def cache() -> Iterator[Cache]:
    registry = MemoryRegistry()
    registry.put(made.SERVICE, made.body(100, "shared").data)
    with Cache(registry) as cache:
        cache.get(made.SERVICE, timeout=10.0)
        yield cache


@pytest.mark.parametrize("way", ["dict", *caches.SYNC, "regcache"])
def test_threads(way: str, cache: Cache, race: Any) -> None:
    """Called by one thread."""

    def prepare(way: str) -> Callable[[], Any]:
        if way == "regcache":
            return functools.partial(cache.get, made.SERVICE)
        if way == "dict":
            return functools.partial({made.SERVICE: LIST}.__getitem__, made.SERVICE)
        return caches.SYNC[way](lambda: LIST, TTL)

    work = prepare(way)
    assert work() is work()
    race(prepare, group="the list while it is fresh: threads", rounds=ROUNDS, baseline="regcache", by=looped)


def _awaited(work: Callable[[], Callable[[], Awaitable[Any]]]) -> float:
    """Seconds of one ``await`` of something that is there already; the loop itself is in it."""
    calls, get = 200, work()

    async def many() -> float:
        begun = measure.clock()
        for _ in repeat(None, calls):
            await get()
        return (measure.clock() - begun) / calls

    return asyncio.run(many())


@pytest.mark.parametrize("way", [*caches.ASYNC, "regcache"])
def test_tasks(way: str, cache: Cache, race: Any) -> None:
    """Awaited by one task."""

    async def load() -> Any:
        return LIST

    def prepare(way: str) -> Callable[[], Any]:
        if way == "regcache":
            return lambda: functools.partial(cache.get_async, made.SERVICE)
        get = caches.ASYNC[way](load, TTL)
        return lambda: get

    race(prepare, group="the list while it is fresh: asyncio", rounds=ROUNDS, baseline="regcache", by=_awaited)
