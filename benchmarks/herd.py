"""A herd: so many callers want the list in the moment in which it has expired, and loading it takes a while."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any, Awaitable, Callable, Dict, Iterator, List, NamedTuple, Optional

from regcache import Cache, MemoryRegistry
from regcache.errors import RegcacheError
from regcache.registry import Answer
from regcache.registry.base import Consistency
from regcache.simulate import Story
from regcache.simulate.fetch_on_expiry import FetchOnExpiry
from regcache.simulate.single_flight import SingleFlight

from . import made
from .baselines import caches

__all__ = ["ASYNC", "DELAY", "SYNC", "TTL", "Seen", "run", "run_async"]

#: Seconds that loading takes once the herd is there.
DELAY = 0.25
#: Seconds for which a list is fresh.
TTL = 0.5
#: A caller who took so long waited for somebody, whatever the machine does meanwhile.
WAITED = DELAY / 2
NODES = 100


class Seen(NamedTuple):
    """One herd."""

    #: Times that the list was loaded while the herd was there.
    loads: int
    errors: int
    #: Seconds of each call.
    took: List[float]
    #: Seconds from the first call to the last answer.
    lasted: float

    @property
    def waited(self) -> int:
        """Callers who had to."""
        return sum(took >= WAITED for took in self.took)


class Registry:
    """An embedded registry that can be slow to answer, and counts how often it is asked. Nobody can watch it."""

    blocking = False

    def __init__(self) -> None:
        self.asked = 0
        self.delay = 0.0
        self._lock = threading.Lock()
        self._home = MemoryRegistry()
        self._home.put(made.SERVICE, made.body(NODES, "shared").data)

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`."""
        self.ask()
        time.sleep(self.delay)
        return self._home.fetch(service)

    def ask(self) -> None:
        with self._lock:
            self.asked += 1

    def load(self) -> Any:
        """For caches that take any function: the list itself, so that nobody else pays for decoding it."""
        self.ask()
        time.sleep(self.delay)
        return LIST

    async def load_async(self) -> Any:
        self.ask()
        await asyncio.sleep(self.delay)
        return LIST

    def services(self) -> List[str]:
        return self._home.services()

    def close(self) -> None:
        self._home.close()


LIST = [f"10.0.0.{i}:8080" for i in range(NODES)]

#: What callers call, and what ends it.
Made = Any
#: Its times are shares of the run's length.
STORY = Story(seconds=10 * TTL)
assert STORY.ttl == TTL


def _peer(make: Callable[[Callable[[], Any], float], Callable[[], Any]]) -> Callable[[Registry], Iterator[Made]]:
    return lambda registry: _nothing_to_close(make(registry.load, TTL))


@contextlib.contextmanager
def _nothing_to_close(get: Made) -> Iterator[Made]:
    yield get


@contextlib.contextmanager
def _ours(registry: Registry) -> Iterator[Made]:
    with Cache(registry, ttl=TTL) as cache:
        yield lambda: cache.get(made.SERVICE)


@contextlib.contextmanager
def _ours_async(registry: Registry) -> Iterator[Made]:
    with Cache(registry, ttl=TTL) as cache:
        yield lambda: cache.get_async(made.SERVICE)


def _simulated(kind: Any) -> Callable[[Registry], Any]:
    @contextlib.contextmanager
    def make(registry: Registry) -> Iterator[Made]:
        lookup = kind(registry, made.SERVICE, STORY)
        yield lambda: lookup.select(10.0)

    return make


SYNC: Dict[str, Callable[[Registry], Any]] = {
    "go-rcache (rewritten)": _simulated(FetchOnExpiry),
    "go-micro v6 (rewritten)": _simulated(SingleFlight),
    **{name: _peer(make) for name, make in caches.SYNC.items()},
    "regcache": _ours,
}
ASYNC: Dict[str, Callable[[Registry], Any]] = {
    **{name: lambda registry, make=make: _nothing_to_close(make(registry.load_async, TTL))
       for name, make in caches.ASYNC.items()},
    "regcache-async": _ours_async,
}  # fmt: skip


def run(way: str, callers: int) -> Seen:
    """So many threads at once."""
    registry = Registry()
    took: List[float] = []
    errors: List[BaseException] = []
    ends: List[float] = []
    go = threading.Event()
    with contextlib.closing(registry), SYNC[way](registry) as get:

        def call() -> None:
            go.wait()
            begun = time.perf_counter()
            try:
                get()
            except RegcacheError as error:
                errors.append(error)
            ended = time.perf_counter()
            took.append(ended - begun)
            ends.append(ended)

        threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
        for thread in threads:
            thread.start()
        get()
        time.sleep(TTL * 1.2)
        registry.delay, before = DELAY, registry.asked
        begun = time.perf_counter()
        go.set()
        for thread in threads:
            thread.join()
        time.sleep(2 * DELAY)  # what was begun for the herd and nobody waits for
        loads = registry.asked - before
    return Seen(loads, len(errors), sorted(took), max(ends) - begun)


def run_async(way: str, callers: int) -> Seen:
    """So many tasks of one loop at once."""
    registry = Registry()
    took: List[float] = []
    errors: List[BaseException] = []

    async def call(get: Callable[[], Awaitable[Any]]) -> None:
        begun = time.perf_counter()
        try:
            await get()
        except RegcacheError as error:
            errors.append(error)
        took.append(time.perf_counter() - begun)

    async def herd() -> Seen:
        with contextlib.closing(registry), ASYNC[way](registry) as get:
            await get()
            await asyncio.sleep(TTL * 1.2)
            registry.delay, before = DELAY, registry.asked
            begun = time.perf_counter()
            await asyncio.gather(*[call(get) for _ in range(callers)])
            lasted = time.perf_counter() - begun
            await asyncio.sleep(2 * DELAY)
            return Seen(registry.asked - before, len(errors), sorted(took), lasted)

    return asyncio.run(herd())
