"""The incident, played once for each cache: the same service, callers, registry, script and seed.

Everything happens in threads and in the time of the clock, since locks, waiting and decoding are what it is about; only
the work of the backends is reckoned instead of done.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import tracemalloc
import uuid
from typing import Callable, Iterator, List, Tuple

from .backends import Backends
from .callers import Callers
from .fetch_on_expiry import FetchOnExpiry
from .lookup import Caching
from .ours import Ours
from .record import Result, Sample, result
from .remover import Remover
from .service import Embedded, Home, made_service, registered
from .single_flight import SingleFlight
from .slow import SlowRegistry
from .story import Story

__all__ = ["CACHES", "play"]

CACHES: Tuple[Caching, ...] = (
    Caching("fetch_on_expiry", "go-rcache", FetchOnExpiry),
    Caching("single_flight", "go-micro v6", SingleFlight),
    Caching("regcache", "regcache", Ours),
)
#: Looks at a run.
LOOKS = 300


def play(story: Story, caching: Caching, home: Callable[[], Home] = Embedded) -> Result:
    """One run.

    Args:
        story: the numbers.
        caching: the cache that is to cope with it.
        home: makes the registry behind the slow one; closed at the end. The service is there under a name of its own
            for as long as the run lasts.

    Raises:
        RegcacheError: the registry behind it failed.
        ImportError: it cannot register without its client.
    """
    service = made_service(f"regcache-simulate-{uuid.uuid4().hex[:8]}", story.nodes, story.seed)
    with contextlib.closing(home()) as behind, registered(behind, service) as alive, _stopping() as stop:
        registry = SlowRegistry(behind, quick=story.quick, slots=story.slots, stop=stop)
        backends = Backends(alive, story.work)
        remover = Remover(story, behind, backends, alive, stop)
        gc.collect()
        with _traced(), contextlib.closing(caching.make(registry, service.name, story)) as lookup:
            lookup.select(timeout=10.0)  # nobody is in a hurry yet
            callers = Callers(story, lookup, backends, stop)
            try:
                begun = callers.start()
                remover.start()
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                samples = _watch(story, begun, registry, backends, alive, before)
                requests, peak = registry.requests, tracemalloc.get_traced_memory()[1] - before
            finally:
                stop.set()
                callers.join()
                remover.join()
        if remover.error is not None:
            raise remover.error
        return result(
            caching.key,
            caching.name,
            story.seconds,
            callers,
            samples,
            requests=requests,
            most_in_flight=registry.most_in_flight,
            peak=peak,
            lost=story.nodes - samples[-1].alive,
        )


def _watch(
    story: Story, begun: float, registry: SlowRegistry, backends: Backends, alive: "set[str]", before: int
) -> List[Sample]:
    """Let what must happen happen, and look on, until the run is over."""
    samples = [Sample(0.0, 0, 0, len(alive))]
    sick = min(alive)
    events: List[Tuple[float, Callable[[], None]]] = [
        (story.slow_from, lambda: setattr(registry, "slow", story.slow)),
        (story.sick_at, lambda: backends.fall_ill(sick, story.sick_work)),
        (story.slow_until, lambda: setattr(registry, "slow", None)),
    ]
    time.sleep(max(0.0, begun - time.monotonic()))
    while True:
        now = time.monotonic() - begun
        while events and now >= events[0][0]:
            events.pop(0)[1]()
        samples.append(Sample(now, registry.in_flight, tracemalloc.get_traced_memory()[0] - before, len(alive)))
        if now >= story.seconds:
            return samples
        time.sleep(story.seconds / LOOKS)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    stop = threading.Event()
    try:
        yield stop
    finally:
        stop.set()


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    """Count memory; who was counting already goes on counting."""
    own = not tracemalloc.is_tracing()
    if own:
        tracemalloc.start()
    try:
        yield
    finally:
        if own:
            tracemalloc.stop()
