"""Picking a node in plain Python, as people write it by hand: the list is held somewhere, and nobody refreshes it here.

``cycle``: a dict by service, whose entries say when they are stale by ``time.monotonic``, and ``itertools.cycle``.
``cachetools``: its ``TTLCache`` under a lock, and ``random.choice``.
``plain``: the strategy itself in as few lines as it takes, on a list that is at hand. Nothing is learned from calls:
the two choices look at lists of zeros.
``lock``: round robin under a lock.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
import zlib
from bisect import bisect
from typing import Any, Callable, Dict, Iterator, List, Tuple

__all__ = ["PLAIN", "cachetools", "cycle", "lock"]

Pick = Callable[[], Any]
#: Points of each node on the plain hash ring; as many as regcache's.
POINTS = 64


def cycle(nodes: List[Any]) -> Pick:
    held: Dict[str, Tuple[float, Iterator[Any]]] = {"greeter": (time.monotonic() + 3600, itertools.cycle(nodes))}

    def pick() -> Any:
        stale, turns = held["greeter"]
        if time.monotonic() >= stale:
            raise AssertionError("it is fetched again here")
        return next(turns)

    return pick


def cachetools(nodes: List[Any]) -> Pick:
    from cachetools import TTLCache

    held, guard = TTLCache(maxsize=100, ttl=3600), threading.Lock()
    held["greeter"] = nodes

    def pick() -> Any:
        with guard:
            found = held["greeter"]
        return random.choice(found)

    return pick


def lock(nodes: List[Any]) -> Pick:
    guard, turns = threading.Lock(), itertools.count()

    def pick() -> Any:
        with guard:
            return nodes[next(turns) % len(nodes)]

    return pick


def _random(nodes: List[Any], key: str) -> Pick:
    return lambda: random.choice(nodes)


def _round_robin(nodes: List[Any], key: str) -> Pick:
    turns, count = itertools.count(), len(nodes)
    return lambda: nodes[next(turns) % count]


def _weighted(nodes: List[Any], key: str) -> Pick:
    bounds = list(itertools.accumulate(node.weights.passing for node in nodes))
    return lambda: random.choices(nodes, cum_weights=bounds)[0]


def _p2c(nodes: List[Any], key: str) -> Pick:
    in_flight, count = [0] * len(nodes), len(nodes)

    def pick() -> Any:
        first = int(random.random() * count)
        second = int(random.random() * (count - 1))
        second += second >= first
        return nodes[first if in_flight[first] <= in_flight[second] else second]

    return pick


def _peak_ewma(nodes: List[Any], key: str) -> Pick:
    in_flight, latency, count = [0] * len(nodes), [0.0] * len(nodes), len(nodes)

    def pick() -> Any:
        first = int(random.random() * count)
        second = int(random.random() * (count - 1))
        second += second >= first
        a, b = latency[first] * (in_flight[first] + 1), latency[second] * (in_flight[second] + 1)
        return nodes[first if a <= b else second]

    return pick


def _hash(nodes: List[Any], key: str) -> Pick:
    points = sorted(
        (zlib.crc32(f"{node.id}-{turn}".encode()), at) for at, node in enumerate(nodes) for turn in range(POINTS)
    )
    hashes, owners = [point for point, _ in points], [at for _, at in points]

    def pick() -> Any:
        at = bisect(hashes, zlib.crc32(key.encode()))
        return nodes[owners[at % len(owners)]]

    return pick


#: By strategy: made for nodes and a key.
PLAIN: Dict[str, Callable[[List[Any], str], Pick]] = {
    "random": _random,
    "round_robin": _round_robin,
    "weighted": _weighted,
    "p2c": _p2c,
    "peak_ewma": _peak_ewma,
    "hash": _hash,
}
