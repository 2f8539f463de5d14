"""``python -m benchmarks.arranging``: what a selector needs to arrange its nodes anew, for 100 and for 10,000 of them.

After another snapshot (of the same nodes), and after something was learned: a node was ejected. In Markdown; medians
and quartiles.
"""

from __future__ import annotations

import statistics
from typing import Dict, List

from regcache import Node, Selector
from regcache.select.strategies import NAMES
from tests.select.source import Source, nodes

from . import measure

ROUNDS = 15


def main() -> int:
    print("| strategy | nodes | another snapshot, ms (quartiles) | a node is ejected, ms (quartiles) |")
    print("| :-- | --: | --: | --: |")
    for strategy in NAMES:
        for count in (100, 10_000):
            found = times(strategy, count)
            print(f"| {strategy} | {count:,} | {shown(found['snapshot'])} | {shown(found['learned'])} |")
    return 0


def times(strategy: str, count: int) -> Dict[str, List[float]]:
    """Seconds of each round."""
    everybody = nodes(count)
    source = Source(*everybody)
    source.workers = True  # with many nodes it is left to a thread of the cache, which is played here
    selector = Selector(source, strategy=strategy, seed=1)
    found: Dict[str, List[float]] = {"snapshot": [], "learned": []}
    for turn in range(ROUNDS):
        selector.select(key="a")
        # Refreshing tells the selector, which arranges the new snapshot before this returns.
        found["snapshot"].append(measure.once(lambda: source.refresh(*everybody)))

        def learn(ill: Node = everybody[turn]) -> None:
            selector.mark(ill, error=OSError())
            while source.handed:
                source.handed.pop()()

        for _ in range(4):
            learn()
        found["learned"].append(measure.once(learn))
        assert selector.status().ejected == (everybody[turn].id,)
        selector.reset()
    return found


def shown(seconds: List[float]) -> str:
    low, middle, high = (value * 1000 for value in statistics.quantiles(seconds, n=4))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
