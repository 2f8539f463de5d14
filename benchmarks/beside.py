"""``python -m benchmarks.beside BASE.json CHANGE.json``: what a change made of each of our ways, in one line a group.

Two runs of pytest-benchmark on one machine. In each, a way of ours is compared with the other way that its group names;
what is printed, in Markdown, is that ratio in the one run and in the other, and what the second is of the first. Where
that is within ``--within`` (1.15: what two runs of the same code differ by) nothing has moved.
"""

from __future__ import annotations

import argparse
import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .losses import FLOORS, OTHERS
from .report import load
from .run import Run, baseline_of, groups, ratio, way_of
from .tables import markdown

__all__ = ["Moved", "main", "moved"]


class Moved(NamedTuple):
    """One of our ways in two runs."""

    group: str
    way: str
    baseline: str
    #: So many times quicker than the baseline.
    before: float
    after: float

    @property
    def times(self) -> float:
        return self.after / self.before


def moved(base: Run, change: Run) -> List[Moved]:
    """Of each way of ours that both have; those that lost most come first."""
    before, after = _ratios(base), _ratios(change)
    both = [Moved(*key, before[key], after[key]) for key in after if key in before]
    return sorted(both, key=lambda one: one.times)


def _ratios(run: Run) -> Dict[Tuple[str, str, str], float]:
    found = {}
    for group, members in groups(run).items():
        baseline = baseline_of(members)
        for member in members:
            if baseline is not None and member is not baseline and not way_of(member).startswith((*OTHERS, *FLOORS)):
                found[group, way_of(member), way_of(baseline)] = ratio(baseline, member)[1]
    return found


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description="A change beside its base.")
    parser.add_argument("base", metavar="BASE.json")
    parser.add_argument("change", metavar="CHANGE.json")
    parser.add_argument("--within", type=float, default=1.15, help="what moved by less has not moved (default: 1.15)")
    given = parser.parse_args(arguments)
    try:
        found = moved(load(given.base), load(given.change))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    shown = [one for one in found if not 1 / given.within <= one.times <= given.within]
    print(f"{len(found)} ways of ours in both runs; {len(shown)} moved by more than {given.within:g} times.")
    if shown:
        rows = [("group", "way", "quicker than", "base, times", "change, times", "change of base")]
        rows += [(m.group, m.way, m.baseline, f"{m.before:.2f}", f"{m.after:.2f}", f"{m.times:.2f}") for m in shown]
        print(f"\n{markdown(rows)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
