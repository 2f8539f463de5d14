"""1,000 callers at once, in the moment in which the list has expired and the registry takes a quarter of a second.

The times of this group are those of the whole herd. A call's own time is counted from where its thread or task runs, so
the time until it runs is in no percentile; what the machine makes of 1,000 runnable threads is, in all ways alike.
"""

from __future__ import annotations

from typing import Any, List

import pytest

from . import herd

CALLERS = 1_000
ROUNDS = 5
#: Points of the distribution that are kept.
POINTS = 200


@pytest.mark.parametrize("way", [*herd.SYNC, *herd.ASYNC])
def test_herd(way: str, record: Any, request: pytest.FixtureRequest) -> None:
    run = herd.run if way in herd.SYNC else herd.run_async
    short = request.config.getoption("quick") or request.config.getoption("benchmark_disable")
    herds: List[herd.Seen] = [run(way, CALLERS) for _ in range(1 if short else ROUNDS)]
    took = sorted(took for seen in herds for took in seen.took)
    assert len(took) == CALLERS * len(herds) and not any(seen.errors for seen in herds)
    record(
        [seen.lasted for seen in herds],
        f"herd: {CALLERS:,} callers at expiry, loading takes {herd.DELAY * 1000:.0f} ms",
        way=way,
        herd={
            "callers": CALLERS,
            "delay": herd.DELAY,
            "loads": sorted(seen.loads for seen in herds),
            "waited": sorted(seen.waited for seen in herds),
            "p50": took[len(took) // 2],
            "p99": took[len(took) * 99 // 100],
            "longest": took[-1],
            "points": [took[round(i / POINTS * (len(took) - 1))] for i in range(POINTS + 1)],
        },
    )
