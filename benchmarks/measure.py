"""What one piece of work costs: time, memory, and how long it keeps another thread from running."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from itertools import repeat
from typing import Callable, List, NamedTuple, Tuple

__all__ = ["Memory", "beside", "fresh", "looped", "memory", "once", "stall"]

#: Seconds that a loop of small work takes at least.
LOOP = 0.005
#: What :func:`once` and :func:`looped` look at; ``--cpu-time`` puts ``time.thread_time`` here.
clock = time.perf_counter
#: Seconds between two looks at the clock that are not worth keeping.
GAP = 20e-6


def once(work: Callable[[], object]) -> float:
    """Seconds of one call. What it returns is dropped outside of the time."""
    gc.collect()
    begun = clock()
    kept = work()
    took = clock() - begun
    del kept
    return took


def fresh(make: Callable[[], Callable[[], object]]) -> float:
    """Seconds of one call of what ``make`` returns, for work that leaves something behind. Making it is not in it."""
    return once(make())


def looped(work: Callable[[], object]) -> float:
    """Seconds of one call of something small: many calls, their time divided. The loop itself is in it."""
    calls = 1
    while True:
        begun = clock()
        for _ in repeat(None, calls):
            work()
        took = clock() - begun
        if took >= LOOP:
            return took / calls
        calls = max(calls * 2, int(calls * 1.2 * LOOP / max(took, 1e-9)))


class Memory(NamedTuple):
    """Bytes as tracemalloc sees them, beyond what was there before."""

    #: The most that was held at once.
    peak: int
    #: What is held by what the work returned.
    held: int


def memory(work: Callable[[], object]) -> Memory:
    """What ``work`` takes, once what is made only once has been made by an earlier call."""
    work()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        del kept
        return Memory(peak - before, held - before)
    finally:
        tracemalloc.stop()


class _Watcher:
    """A thread that looks at the clock in a tight loop and keeps the gaps between two looks."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._stop = False
        self._gaps: List[Tuple[float, float]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        clock = time.perf_counter
        keep = self._gaps.append
        self._running.set()
        last = clock()
        while not self._stop:
            now = clock()
            if now - last > GAP:
                keep((last, now))
            last = now
        keep((last, clock()))

    def __enter__(self) -> "_Watcher":
        self._thread.start()
        self._running.wait()
        time.sleep(0.01)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop = True
        self._thread.join()

    def longest(self, begun: float, ended: float) -> float:
        """The longest gap, of each only what lies between the two times; none was found: as short as is kept."""
        return max([GAP, *(min(end, ended) - max(start, begun) for start, end in self._gaps)])


def stall(work: Callable[[], object]) -> float:
    """The longest time in seconds that another Python thread did not run while ``work`` did."""
    gc.collect()
    with _Watcher() as watcher:
        begun = time.perf_counter()
        kept = work()
        ended = time.perf_counter()
    del kept
    return watcher.longest(begun, ended)


def beside(work: Callable[[], object]) -> float:
    """Seconds of one call while another Python thread does nothing but run."""
    gc.collect()
    with _Watcher():
        begun = time.perf_counter()
        kept = work()
        took = time.perf_counter() - begun
    del kept
    return took
