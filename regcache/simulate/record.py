"""What was seen of a run: its totals, and how it went, bin by bin."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

from .callers import Callers

__all__ = ["BINS", "LATE", "Result", "Sample", "result"]

#: Parts of a run in which what happened is counted.
BINS = 240
#: Seconds from which a lookup counts as late. Nobody notices less.
LATE = 0.010


class Sample(NamedTuple):
    """One look at a run."""

    at: float
    in_flight: int
    #: Bytes beyond what was there before the run, as tracemalloc sees them.
    memory: int
    #: Nodes of the service in the registry.
    alive: int


class Result(NamedTuple):
    """One cache's run."""

    key: str
    name: str
    totals: Dict[str, Any]
    #: Lists of equal length: ``at``, ``slowest_lookup``, ``answered``, ``failed`` for each bin.
    bins: Dict[str, List[float]]
    #: Lists of equal length: ``at``, ``in_flight``, ``memory``, ``alive`` for each look.
    samples: Dict[str, List[float]]

    def to_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return self._asdict()


def result(
    key: str,
    name: str,
    seconds: float,
    callers: Callers,
    samples: Sequence[Sample],
    *,
    requests: int,
    most_in_flight: int,
    peak: int,
    lost: int,
) -> Result:
    """Put together what everybody noted."""
    each = callers.each
    lookups = [pair for caller in each for pair in zip(caller.looked_up, caller.waited)]
    answered = [moment for caller in each for moment in caller.answered]
    failed = [moment for caller in each for moment in caller.failed]
    totals = {
        "registry_requests": requests,
        "registry_requests_in_flight": most_in_flight,
        "lookups": len(lookups),
        "late_lookups": sum(waited > LATE for _, waited in lookups),
        "slowest_lookup": max((waited for _, waited in lookups), default=0.0),
        "wanted": callers.wanted,
        "answered": len(answered),
        "errors": len(failed),
        "peak_memory": peak,
        "backends_lost": lost,
    }
    step = seconds / BINS
    bins = {
        "at": [round((number + 0.5) * step, 6) for number in range(BINS)],
        "slowest_lookup": _slowest(lookups, step),
        "answered": _counted(answered, step),
        "failed": _counted(failed, step),
    }
    seen = {field: [getattr(sample, field) for sample in samples] for field in Sample._fields}
    seen["at"] = [round(at, 6) for at in seen["at"]]
    return Result(key, name, totals, bins, seen)


def _slowest(lookups: Sequence["tuple[float, float]"], step: float) -> List[float]:
    """For each bin how long the slowest of the lookups took that were going on in it."""
    slowest = [0.0] * BINS
    for begun, waited in lookups:
        last = min(BINS - 1, int((begun + waited) / step))
        for number in range(min(BINS - 1, int(begun / step)), last + 1):
            if waited > slowest[number]:
                slowest[number] = waited
    return [round(waited, 7) for waited in slowest]


def _counted(moments: Sequence[float], step: float) -> List[float]:
    counts = [0.0] * BINS
    for moment in moments:
        counts[min(BINS - 1, int(moment / step))] += 1
    return counts
