"""A run of pytest-benchmark as it is read by the report and drawn by the pictures."""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, Optional, Tuple

__all__ = ["Member", "Run", "baseline_of", "data_size", "groups", "ratio", "seconds", "way_of"]

#: One test's times, and what was said of it.
Member = Dict[str, Any]
Run = Dict[str, Any]

UNITS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))


def groups(run: Run) -> Dict[str, List[Member]]:
    """The members of each group, in the order in which they ran."""
    found: Dict[str, List[Member]] = {}
    for member in run["benchmarks"]:
        found.setdefault(member["group"] or member["name"], []).append(member)
    return found


def way_of(member: Member) -> str:
    return str(member["extra_info"].get("way", member["name"]))


def baseline_of(members: List[Member]) -> Optional[Member]:
    """The one that the others of a group are compared with."""
    for member in members:
        info = member["extra_info"]
        if info.get("way") is not None and info["way"] == info.get("baseline"):
            return member
    return None


def ratio(slow: Member, fast: Member) -> Tuple[float, float, float]:
    """Quartiles of the ratios round by round: each round's two were measured within seconds of each other."""
    one, other = slow["stats"]["data"], fast["stats"]["data"]
    if len(one) != len(other) or not fast["extra_info"].get("in_turns"):
        middle = slow["stats"]["median"] / fast["stats"]["median"]
        return middle, middle, middle
    ratios = [a / b for a, b in zip(one, other) if b]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    first, middle, last = statistics.quantiles(ratios, n=4, method="inclusive")
    return first, middle, last


def seconds(value: float) -> str:
    """In a unit that fits."""
    for below, times, unit in UNITS:
        if value < below:
            return f"{value * times:.3g} {unit}" if value * times < 100 else f"{value * times:.0f} {unit}"
    raise AssertionError(value)


def data_size(count: float) -> str:
    if abs(count) < 1_000_000:
        return f"{count / 1e3:,.1f} kB"
    return f"{count / 1e6:,.2f} MB"
