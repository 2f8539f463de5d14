"""Nodes and peers for tests of pickers, and whether counts are what chance gives."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Iterable, List, Optional, Sequence

from regcache import Node


def nodes(count: int, first: int = 0) -> List[Node]:
    return [Node(f"n{i}", f"10.0.{i // 250}.{i % 250}", 8000) for i in range(first, first + count)]


def peers(twin: Any, count: int) -> List[Any]:
    return twin.Pool().renew(nodes(count))  # type: ignore[no-any-return]


def picks(picker: Any, count: int, key: Any = None, now: float = 0.0) -> List[int]:
    """The numbers of the nodes that were picked."""
    return [int(picker.pick(key, now).node.id[1:]) for _ in range(count)]


def chi_square(counts: "Counter[int]", expected: Sequence[float]) -> float:
    assert not set(counts) - set(range(len(expected)))
    return sum((counts[place] - wanted) ** 2 / wanted for place, wanted in enumerate(expected))


def likely(drawn: Iterable[int], weights: Optional[Sequence[float]] = None, count: int = 0) -> bool:
    """Are these places drawn by these weights (of ``count`` places: evenly)? False once in about 10,000 when so.

    By the chi-square test, whose quantile is taken from the normal one (Wilson and Hilferty 1931).
    """
    drawn = list(drawn)
    shares = list(weights) if weights is not None else [1.0] * count
    expected = [len(drawn) * share / sum(shares) for share in shares]
    free = len(expected) - 1
    most = free * (1 - 2 / (9 * free) + 3.719 * math.sqrt(2 / (9 * free))) ** 3
    return chi_square(Counter(drawn), expected) < most
