"""Consistent hashing: a key has one owner, and keeps it while others come and go."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regcache import Node
from regcache.select.pure.ring import POINTS

from .peered import nodes

KEYS = [f"user-{i}" for i in range(4000)]
ANY_KEY = st.one_of(st.text(), st.binary(), st.integers(), st.booleans())


def owners(inner: Any, of: List[Any], weights: Any = None) -> Dict[str, str]:
    ring, counts = inner.Ring(of), inner.counting(weights or [1.0] * len(of))
    return {key: of[ring.owner(key, counts)].id for key in KEYS}


def test_hashes_are_fixed(inner: Any) -> None:
    """They are the same in every release: services of other releases share their keys with this one."""
    assert inner.hash_key("user-1") == inner.hash_key(b"user-1") == 0xC499B5F8A721DF58
    assert inner.hash_key(1) == 0x5CA6BBCBB1E85355
    assert inner.hash_key("") == 0xF52A15E9A9B5E89B
    assert inner.hash_node(Node("a", "10.0.0.1", 80, node_name="m")) == 0x848F0E057E5122E2


@given(ANY_KEY)
def test_the_twins_hash_alike(inners: Any, key: Any) -> None:
    assert len({inner.hash_key(key) for inner in inners}) == 1


def test_ints_of_any_size(inners: Any) -> None:
    for bits in (62, 63, 64, 65, 127, 128, 1000):
        for key in (2**bits - 1, 2**bits, -(2**bits), -(2**bits) - 1, -(2**bits) + 1):
            assert len({inner.hash_key(key) for inner in inners}) == 1


def test_a_surrogate_is_a_key_like_any_other(inner: Any) -> None:
    assert inner.hash_key("\ud800") == inner.hash_key(b"\xed\xa0\x80")


@pytest.mark.parametrize("key", [None, 1.5, ["a"], object()])
def test_no_key(inner: Any, key: Any) -> None:
    with pytest.raises(TypeError, match="needs a key" if key is None else "a key is a str, bytes or int, not "):
        inner.hash_key(key)


def test_the_same_in_another_process(inner: Any) -> None:
    program = (
        "from tests.select.conftest import parts; from tests.select.test_ring import owners, nodes;"
        f"print(sorted(owners(parts({'compiled' if inner.Ring.__module__.endswith('select') else 'pure'!r}),"
        " nodes(7)).items()))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == repr(sorted(owners(inner, nodes(7)).items()))


@given(st.integers(1, 30), st.lists(ANY_KEY, max_size=20), st.data())
def test_the_twins_own_alike(inners: Any, count: int, keys: Any, data: Any) -> None:
    weights = data.draw(st.lists(st.floats(0.0, 10.0), min_size=count, max_size=count).filter(any))
    rings = [(inner.Ring(nodes(count)), inner.counting(weights)) for inner in inners]
    for key in keys:
        assert len({ring.owner(key, counts) for ring, counts in rings}) == 1


def test_the_order_of_the_list_does_not_matter(inner: Any) -> None:
    listed = nodes(9)
    assert owners(inner, listed) == owners(inner, listed[::-1])


def test_a_node_that_goes_takes_its_own_keys_alone(inner: Any) -> None:
    before = owners(inner, nodes(10))
    after = owners(inner, [node for node in nodes(10) if node.id != "n4"])
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == "n4"}
    assert len({after[key] for key in moved}) > 4, "its keys are spread over the others"


def test_a_node_that_comes_takes_its_share_alone(inner: Any) -> None:
    before, after = owners(inner, nodes(10)), owners(inner, nodes(11))
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"n10"}
    # 1/11, give or take four times the eighth by which a share of 64 points is off.
    assert len(KEYS) / 11 / 2 < len(moved) < len(KEYS) / 11 * 1.5


def test_shares_follow_weights(inner: Any) -> None:
    counts = Counter(owners(inner, nodes(20), [1.0] * 10 + [0.5] * 10).values())
    heavy, light = sum(counts[f"n{i}"] for i in range(10)), sum(counts[f"n{i}"] for i in range(10, 20))
    assert 1.6 < heavy / light < 2.4
    assert "n3" not in owners(inner, nodes(4), [1.0, 1.0, 1.0, 0.0]).values()


def test_a_lighter_node_moves_nobody_elses_keys(inner: Any) -> None:
    before, after = owners(inner, nodes(5)), owners(inner, nodes(5), [1.0, 1.0, 0.1, 1.0, 1.0])
    assert {before[key] for key in KEYS if before[key] != after[key]} == {"n2"}


def test_sizes(inner: Any) -> None:
    assert len(inner.Ring(nodes(3))) == 3 * POINTS
    assert inner.counting([1.0, 0.5, 1e-9, 0.0]) == [POINTS, POINTS // 2, 1, 0]
