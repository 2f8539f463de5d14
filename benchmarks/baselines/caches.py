"""Other caches for a list of peers, each as its own documentation has it used: what regcache's is compared with.

Each is given how to load the list and for how many seconds it is fresh, and returns what callers call.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any, Awaitable, Callable, Dict

import cachetools
from cashews import Cache as Cashews
from dogpile.cache import make_region

__all__ = ["ASYNC", "SYNC"]

SERVICE = "greeter"

Load = Callable[[], Any]
Get = Callable[[], Any]
AsyncLoad = Callable[[], Awaitable[Any]]
AsyncGet = Callable[[], Awaitable[Any]]


def cachetools_lock(load: Load, ttl: float) -> Get:
    """Locked while it is looked at, not while it is loaded."""

    @cachetools.cached(cachetools.TTLCache(1000, ttl), lock=threading.Lock())
    def get(service: str) -> Any:
        return load()

    return lambda: get(SERVICE)


def cachetools_condition(load: Load, ttl: float) -> Get:
    """One loads, the others wait for it."""

    @cachetools.cached(cachetools.TTLCache(1000, ttl), condition=threading.Condition())
    def get(service: str) -> Any:
        return load()

    return lambda: get(SERVICE)


def dogpile(load: Load, ttl: float) -> Get:
    """One loads, and while the old list is there the others are given that."""
    region = make_region().configure("dogpile.cache.memory", expiration_time=ttl)
    return lambda: region.get_or_create(SERVICE, load)


def cashews_lock(load: AsyncLoad, ttl: float) -> AsyncGet:
    """One loads, the others wait for it."""
    cache = Cashews()
    cache.setup("mem://")

    @cache(ttl=ttl, lock=True)
    async def get(service: str) -> Any:
        return await load()

    return lambda: get(SERVICE)


def cashews_early(load: AsyncLoad, ttl: float) -> AsyncGet:
    """Kept for ten times as long as it is fresh, and loaded again in the background."""
    cache = Cashews()
    cache.setup("mem://")

    @cache.early(ttl=10 * ttl, early_ttl=ttl)
    async def get(service: str) -> Any:
        return await load()

    return lambda: get(SERVICE)


#: For threads.
SYNC: Dict[str, Callable[[Load, float], Get]] = {
    "cachetools-lock": cachetools_lock,
    "dogpile.cache": dogpile,
}
if "condition" in inspect.signature(cachetools.cached).parameters:
    SYNC["cachetools-condition"] = cachetools_condition

#: For tasks of asyncio.
ASYNC: Dict[str, Callable[[AsyncLoad, float], AsyncGet]] = {
    "cashews-lock": cashews_lock,
    "cashews-early": cashews_early,
}
