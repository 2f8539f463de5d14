"""``python -m benchmarks.cascade [SEEDS]``: the stories that the selector's defaults are chosen for.

They are those of ``tests/select/test_cascade.py``, in a world with a clock of its own, so that every machine gets the
same numbers; the range over so many seeds (12). In Markdown.
"""

from __future__ import annotations

import sys
from typing import Callable, Dict, List

from regcache import Feedback, Guard
from tests.select.test_cascade import NAIVE, Story, incident, slowest, wrong

SLOW = ("round_robin", "p2c", "peak_ewma")
STORIES: Dict[str, Callable[[int], Story]] = {
    "one node ill, a script; round robin, retries without a budget": lambda seed: incident(seed, **NAIVE),
    "one node ill, a script; the defaults": lambda seed: incident(seed, Guard()),
    "12 of 20 called critical; without panic mode": lambda seed: wrong(seed, "fail", None, feedback=Feedback(panic=0)),
    "12 of 20 called critical; the defaults": lambda seed: wrong(seed, "fail", None),
    "12 of 20 vanish; without the guard": lambda seed: wrong(seed, "remove", Guard.none()),
    "12 of 20 vanish; the defaults": lambda seed: wrong(seed, "remove", Guard()),
}


def main(arguments: List[str]) -> int:
    seeds = range(1, (int(arguments[0]) if arguments else 12) + 1)
    print("| one slow node of ten | 99th percentile, ms |\n| :-- | --: |")
    for strategy in SLOW:
        print(f"| {strategy} | {between([1000 * slowest(strategy, seed, feedback=None) for seed in seeds], 1)} |")
    print("\n| story | nodes lost | requests answered, % |\n| :-- | --: | --: |")
    for name, story in STORIES.items():
        told = [story(seed) for seed in seeds]
        lost = between([float(len(one.registry.lost)) for one in told], 0)
        print(f"| {name} | {lost} | {between([100 * one.answered for one in told], 1)} |")
    return 0


def between(values: List[float], digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
