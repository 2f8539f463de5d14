"""Time and memory of one piece of work, measured here and now."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from typing import Callable, List, TypeVar

__all__ = ["median_time", "traced_peak"]

T = TypeVar("T")


def median_time(work: Callable[[], T], runs: int = 7, within: float = 2.5) -> float:
    """Seconds that ``work`` takes: the median of up to ``runs`` runs, fewer once ``within`` seconds have passed."""
    took: List[float] = []
    spent = 0.0
    while len(took) < runs and (spent < within or not took):
        gc.collect()
        begun = time.perf_counter()
        kept = work()
        took.append(time.perf_counter() - begun)
        del kept
        spent += took[-1]
    return statistics.median(took)


def traced_peak(work: Callable[[], T]) -> int:
    """The most memory that ``work`` held at once, in bytes, as tracemalloc sees it."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
        return peak - before
    finally:
        tracemalloc.stop()
