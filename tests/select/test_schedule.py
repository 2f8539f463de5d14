"""Rounds by weight: exact, even, of a bounded length, and the same in both twins."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regcache.select.pure.schedule import LONGEST, whole

#: To a tenth: longer rounds take longer to look at, and are no different.
WEIGHTS = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 200).map(lambda n: n / 10)), min_size=1, max_size=30)
WEIGHTS = WEIGHTS.filter(any)


def longest_run(turns: List[int], place: int) -> int:
    """Of one peer's turns in a row, over the end of the round too."""
    if set(turns) == {place}:
        return len(turns)
    start = next(i for i, turn in enumerate(turns) if turn != place)
    turned = turns[start:] + turns[:start]
    return max(len(list(run)) if who == place else 0 for who, run in itertools.groupby(turned))


def must(weights: Any, place: int) -> int:
    """How long a run has to be: so many turns between the turns of all others."""
    others = sum(weights) - weights[place]
    return -(-weights[place] // others) if others else weights[place]


def test_known(inner: Any) -> None:
    assert inner.schedule([1, 1, 1]) == [0, 1, 2]
    assert inner.schedule([2.0, 1.0]) == [0, 1, 0]
    assert inner.schedule([5, 1, 1]) == [0, 0, 1, 0, 0, 2, 0]
    assert inner.schedule([0, 3, 0]) == [1]
    assert inner.schedule([1.0, 0.1]).count(0) == 10


@given(WEIGHTS)
def test_exact_over_a_round(inners: Any, weights: Any) -> None:
    parts = whole(weights)
    for inner in inners:
        assert Counter(inner.schedule(weights)) == {place: part for place, part in enumerate(parts) if part}


@given(WEIGHTS)
def test_the_twins_agree(inners: Any, weights: Any) -> None:
    assert len({tuple(inner.schedule(weights)) for inner in inners}) == 1


@pytest.mark.parametrize("most", [6])
def test_of_two_weights_no_run_is_longer_than_it_must_be(inner: Any, most: int) -> None:
    for heavy, light in itertools.product(range(1, 4), range(1, 4)):
        for a, b in itertools.product(range(1, most), repeat=2):
            weights = [a] * heavy + [b] * light
            parts = whole(weights)
            turns = inner.schedule(weights)
            for place in range(len(weights)):
                assert longest_run(turns, place) <= must(parts, place), (weights, turns)


def test_of_more_weights_a_run_is_at_most_one_longer(inner: Any) -> None:
    for weights in itertools.combinations_with_replacement(range(1, 9), 4):
        parts = whole(weights)
        turns = inner.schedule(weights)
        for place in range(len(weights)):
            assert longest_run(turns, place) <= must(parts, place) + 1, (weights, turns)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_even_at_every_moment(inners: Any, weights: Any) -> None:
    """After any number of turns each peer is within two of what its weight says."""
    parts = whole(weights)
    for inner in inners:
        counts: "Counter[int]" = Counter()
        for done, place in enumerate(inner.schedule(weights), 1):
            counts[place] += 1
            for other, part in enumerate(parts):
                assert abs(counts[other] - done * part / sum(parts)) < 2


def test_a_round_has_a_bounded_length(inner: Any) -> None:
    turns = Counter(inner.schedule([1e9, 1, 0, 333_333_333]))
    assert sum(turns.values()) <= LONGEST + 3
    assert turns[1] == 1 and turns[2] == 0
    assert abs(turns[0] / turns[3] - 3) < 0.001


def test_weights_are_made_whole() -> None:
    assert whole([10, 5]) == [2, 1]
    assert whole([1.0, 0.1]) == [10, 1]
    assert whole([0.5, 0.0001]) == [500, 1]
    assert whole([1, 0.25, 0]) == [4, 1, 0]
    long = whole([LONGEST * 3 + 1, 1])
    assert sum(long) <= LONGEST + 1 and long[1] == 1
