"""Pickers: which peer is next, and how often each is."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regcache.select.strategies import NAMES
from tests.together import together

from .peered import likely, nodes, peers, picks

DRAWN = 20_000
UNEVEN = [1.0, 2.0, 0.1, 4.0, 0.0, 3.0]


def test_one_peer(twin: Any) -> None:
    (one,) = peers(twin, 1)
    for name in NAMES:
        picker = twin.make_picker(name, [one], [3.0])
        assert picker.pick("key") is one
        assert picker.peers == (one,) and len(picker) == 1


def test_the_twins_pick_alike(twins: Any) -> None:
    for name in NAMES:
        for weights in (None, UNEVEN):
            said = []
            for twin in twins:
                picker = twin.make_picker(name, peers(twin, len(UNEVEN)), weights, seed=5)
                # Never 3 s apart to the last bit, which one of them counts in nanoseconds.
                said.append([picks(picker, 1, f"key-{i}", now=i / 6.5) for i in range(500)])
            assert all(one == said[0] for one in said), (name, weights)


def test_a_node_that_is_listed_twice(twin: Any) -> None:
    """It has one count for two places, so that nobody may be below the bound: then the key's owner it is."""
    one, other = nodes(2)
    for listed in ([one, one], [one, other, one]):
        pool = twin.Pool()
        few = pool.renew(listed)
        picker = twin.make_picker("hash", few)
        for _ in range(3):
            for peer in few:
                peer._begin()
            assert {picker.pick(f"key-{i}").node for i in range(200)} <= set(listed)


def test_hash_after_every_change_is_as_if_it_were_new(twin: Any) -> None:
    """The ring of the picker before serves other weights, and fewer nodes; what is picked does not depend on it."""
    draw = random.Random(7)
    pool = twin.Pool()
    everybody = nodes(40)
    before: Any = None
    listed = everybody
    for step in range(60):
        if step % 5 == 0:
            listed = draw.sample(everybody, draw.choice([40, 39, 30, 21, 12]))
        few = pool.renew(listed)
        weights = [draw.choice([0.0, 0.1, 1.0, 1.0, 1.0, 2.0]) for _ in few]
        weights[draw.randrange(len(weights))] = 1.0
        for peer in draw.sample(few, 3):
            peer._begin()
        before = twin.make_picker("hash", few, weights, before=before)
        fresh = twin.make_picker("hash", few, weights)
        for i in range(50):
            key = f"{step}-{i}"
            assert before.pick(key) is fresh.pick(key)
            tried = few[:5]
            assert before._other(key, tried) is fresh._other(key, tried)


def test_one_peer_alone_is_not_idle_for_those_that_come(twins: Any) -> None:
    for twin in twins:
        one, other = nodes(2)
        pool = twin.Pool()
        alone = pool.renew([one])
        picker = twin.make_picker("peak_ewma", alone)
        for _ in range(50):
            picker.pick(None, 100.0)
        alone[0]._record(True, 5.0, 100.0)
        both = pool.renew([one, other])
        both[1]._record(True, 0.01, 100.0)
        picker = twin.make_picker("peak_ewma", both)
        assert [picker.pick(None, 100.5).node for _ in range(4)] == [other] * 4, twin


def test_a_seed_says_what_comes(twin: Any) -> None:
    for name in ("random", "p2c"):
        drawn = [
            picks(twin.make_picker(name, peers(twin, 10), seed=seed), 50) for seed in (1, 1, 2, 2**64 + 1, -(2**64) + 1)
        ]
        assert drawn[0] == drawn[1] == drawn[3] == drawn[4] != drawn[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_0_gets_nothing(twin: Any, name: str) -> None:
    few = peers(twin, 4)
    picker = twin.make_picker(name, few, [0.0, 1.0, 0.0, 0.3])
    assert {picks(picker, 1, f"key-{i}", now=float(i))[0] for i in range(500)} == {1, 3}
    alone = twin.make_picker(name, few, [0.0, 0.0, 1.0, 0.0])
    assert set(picks(alone, 100, "key")) == {2}
    assert {picks(twin.make_picker(name, few, [0.0] * 4), 1, f"key-{i}")[0] for i in range(100)} <= {0, 1, 2, 3}


def test_errors(twin: Any) -> None:
    few = peers(twin, 2)
    with pytest.raises(ValueError, match="no strategy 'best'; there are hash, p2c, peak_ewma, random, round_robin, w"):
        twin.make_picker("best", few)
    for name in NAMES:
        with pytest.raises(ValueError, match="at least one peer"):
            twin.make_picker(name, [])
        with pytest.raises(ValueError, match="2 peers have 2 weights, not 1"):
            twin.make_picker(name, few, [1.0])
        for weight in (-1.0, float("nan"), float("inf"), 1.1e9):
            with pytest.raises(ValueError, match=r"a weight is from 0\.0 to 1e\+09, not "):
                twin.make_picker(name, few, [1.0, weight])
    with pytest.raises(TypeError):
        twin.make_picker("random", few, ["1", None])


# -- chance ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random", "p2c", "peak_ewma"])
@pytest.mark.parametrize("count", [2, 3, 100])
def test_even_when_idle(twin: Any, name: str, count: int) -> None:
    assert likely(picks(twin.make_picker(name, peers(twin, count), seed=count), DRAWN), count=count)


@pytest.mark.parametrize("name", ["random", "p2c"])
def test_by_weight_when_idle(twin: Any, name: str) -> None:
    weights = [1.0, 2.0, 0.1, 4.0, 3.0, 0.5, 7.5]
    assert likely(picks(twin.make_picker(name, peers(twin, 7), weights, seed=9), DRAWN), weights)


def test_what_follows_does_not_depend_on_what_was(twin: Any) -> None:
    """Pairs of successive picks are as even as single ones."""
    drawn = picks(twin.make_picker("random", peers(twin, 5), seed=3), DRAWN)
    assert likely([a * 5 + b for a, b in zip(drawn[::2], drawn[1::2])], count=25)


def test_the_test_of_chance_tells_when_it_is_not(twin: Any) -> None:
    assert not likely([i % 5 if i % 40 else 1 for i in range(DRAWN)], count=5)


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e9)), min_size=1, max_size=60).filter(any))
def test_the_tables_of_the_twins(inners: Any, weights: List[float]) -> None:
    """The same in both, and together each place has the share that its weight says."""
    tables = [inner.aliases(weights) for inner in inners]
    assert all(table == tables[0] for table in tables)
    shares, others = tables[0]
    drawn = [0.0] * len(weights)
    for place, (share, other) in enumerate(zip(shares, others)):
        drawn[place] += share / 2**32
        drawn[other] += 1 - share / 2**32
    for place, weight in enumerate(weights):
        assert drawn[place] / len(weights) == pytest.approx(weight / sum(weights), abs=1e-8)
        assert weight or not drawn[place]


# -- two choices -------------------------------------------------------------------------------------------------------


def test_the_less_busy_of_two(twin: Any) -> None:
    two = peers(twin, 2)
    two[0]._begin()
    picker = twin.make_picker("p2c", two)
    assert set(picks(picker, 50)) == {1}
    two[1]._begin()
    assert set(picks(picker, 50)) == {0, 1}
    two[1]._begin()
    assert set(picks(picker, 50)) == {0}


def test_busy_in_relation_to_weight(twin: Any) -> None:
    two = peers(twin, 2)
    picker = twin.make_picker("p2c", two, [3.0, 1.0])
    for _ in range(2):
        two[0]._begin()
    two[1]._begin()
    assert 1 not in picks(picker, 50), "two of three are less than one of one"


def test_two_choices_keep_the_most_busy_low(twin: Any) -> None:
    """500 calls that do not end: chance alone gives somebody far more than his share (Mitzenmacher 2001)."""
    busiest = {}
    for name in ("random", "p2c"):
        many = peers(twin, 50)
        picker = twin.make_picker(name, many, seed=7)
        for _ in range(500):
            picker.pick()._begin()
        busiest[name] = max(one.in_flight for one in many)
    assert busiest["p2c"] <= 12 < 15 <= busiest["random"]


# -- peak ewma ---------------------------------------------------------------------------------------------------------


def known(twin: Any, *latencies: float, now: float = 100.0) -> Any:
    """A picker of peers that answered so lately, and were all called just now."""
    some = peers(twin, len(latencies))
    picker = twin.make_picker("peak_ewma", some, seed=1)
    picks(picker, 500, now=now)
    for one, latency in zip(some, latencies):
        one._record(True, latency, now)
    return picker, some


def test_the_cheaper_of_two(twin: Any) -> None:
    picker, (quick, _) = known(twin, 0.010, 0.035)
    assert set(picks(picker, 50, now=100.0)) == {0}
    quick._begin()
    quick._begin()
    assert set(picks(picker, 50, now=100.0)) == {0}, "three times 10 ms is less than 35"
    quick._begin()
    assert set(picks(picker, 50, now=100.0)) == {1}


def test_an_idle_peer_is_probed_once(twin: Any) -> None:
    picker, _ = known(twin, 0.010, 5.0)
    assert set(picks(picker, 50, now=102.9)) == {0}
    assert Counter(picks(picker, 50, now=103.0)) == {0: 49, 1: 1}
    assert set(picks(picker, 50, now=105.9)) == {0}
    assert Counter(picks(picker, 50, now=106.0)) == {0: 49, 1: 1}


def test_a_latency_is_forgotten(twin: Any) -> None:
    picker, (quick, _) = known(twin, 0.010, 0.050)
    for second in range(101, 130):
        picks(picker, 10, now=float(second))
        quick._record(True, 0.010, float(second))
    assert picks(picker, 1, now=130.0) == [1], "0.05 s, three times a decay ago"


def test_who_is_not_known_gets_one_call(twin: Any) -> None:
    some = peers(twin, 3)
    picker = twin.make_picker("peak_ewma", some)
    some[0]._record(True, 0.1, 50.0)
    drawn = Counter(picks(picker, 200, now=50.0))
    assert drawn[1] + drawn[2] < 80, "one at once, and where only they were drawn"
    for one in some[1:]:
        one._record(True, 0.001, 50.0)
    assert 0 not in picks(picker, 200, now=50.0)


def test_of_many_one_probes(twin: Any) -> None:
    picker, _ = known(twin, 0.010, 5.0)
    drawn = together(8, lambda _: picks(picker, 200, now=104.0))
    assert Counter(place for one in drawn for place in one)[1] == 1


def test_cost_in_relation_to_weight(twin: Any) -> None:
    two = peers(twin, 2)
    picker = twin.make_picker("peak_ewma", two, [1.0, 0.1])
    picks(picker, 200, now=100.0)
    for one in two:
        one._record(True, 0.010, 100.0)
        one._begin()
    assert set(picks(picker, 100, now=100.0)) == {0}, "one call is many for who weighs a tenth"


# -- rounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["round_robin", "weighted"])
def test_one_after_the_other(twin: Any, name: str) -> None:
    drawn = picks(twin.make_picker(name, peers(twin, 5), seed=4), 20)
    assert drawn == [(drawn[0] + step) % 5 for step in range(20)]
    starts = {picks(twin.make_picker(name, peers(twin, 5), seed=seed), 1)[0] for seed in range(50)}
    assert starts == set(range(5)), "not all callers of a service begin with the same node"


@pytest.mark.parametrize("name", ["round_robin", "weighted"])
def test_weights_are_exact_over_a_round(twin: Any, name: str) -> None:
    picker = twin.make_picker(name, peers(twin, 4), [10.0, 5.0, 1.0, 0.0], seed=4)
    for _ in range(5):
        assert Counter(picks(picker, 16)) == {0: 10, 1: 5, 2: 1}


def test_rounds_go_on_over_refreshes(twin: Any) -> None:
    pool, listed = twin.Pool(), nodes(5)
    picker = twin.make_picker("round_robin", pool.renew(listed))
    begun = picks(picker, 1)[0]
    drawn = [begun]
    for _ in range(14):
        picker = twin.make_picker("round_robin", pool.renew(listed), before=picker, seed=99)
        drawn += picks(picker, 1)
    assert drawn == [(begun + step) % 5 for step in range(15)]


def test_rounds_go_on_with_who_is_left(twin: Any) -> None:
    pool, listed = twin.Pool(), nodes(5)
    before = twin.make_picker("round_robin", pool.renew(listed))
    while picks(before, 1) != [1]:
        pass
    # Next would be 2, which is gone; the order is another; 3 changed.
    left = [listed[4], *nodes(1, first=3), listed[0], listed[1]]
    assert picks(twin.make_picker("round_robin", pool.renew(left), before=before), 4) == [3, 0, 1, 4]


def test_nobody_is_left(twin: Any) -> None:
    pool = twin.Pool()
    before = twin.make_picker("round_robin", pool.renew(nodes(3)))
    after = twin.make_picker("round_robin", pool.renew(nodes(3, first=3)), before=before)
    assert sorted(picks(after, 3)) == [3, 4, 5]
    other = twin.make_picker("round_robin", pool.renew(nodes(3)), before=twin.make_picker("random", peers(twin, 3)))
    assert sorted(picks(other, 3)) == [0, 1, 2]


def test_a_schedule_goes_on_over_refreshes(twin: Any) -> None:
    weights = [5.0, 2.0, 1.0, 1.0]
    pool, listed = twin.Pool(), nodes(4)
    whole = picks(twin.make_picker("weighted", pool.renew(listed), weights), 9)
    picker = twin.make_picker("weighted", pool.renew(listed), weights)
    drawn: List[int] = []
    for _ in range(9):
        drawn += picks(picker, 1)
        picker = twin.make_picker("weighted", pool.renew(listed), weights, before=picker)
    assert drawn == whole


def test_a_schedule_goes_on_where_weights_changed(twin: Any) -> None:
    """Whose turn it was has it, and the round is about where it was: nobody starves under constant changes."""
    pool, listed = twin.Pool(), nodes(4)
    picker = twin.make_picker("weighted", pool.renew(listed), [5.0, 2.0, 1.0, 1.0])
    drawn: "Counter[int]" = Counter()
    for turn in range(900):
        drawn.update(picks(picker, 4))
        picker = twin.make_picker("weighted", pool.renew(listed), [5.0, 2.0, 1.0, 1.0 + turn % 2], before=picker)
    for place, share in enumerate((5 / 9.5, 2 / 9.5, 1 / 9.5, 1.5 / 9.5)):
        assert drawn[place] == pytest.approx(3600 * share, rel=0.25)


def test_whose_turn_it_was_may_get_none_any_more(twin: Any) -> None:
    pool, listed = twin.Pool(), nodes(3)
    before = twin.make_picker("weighted", pool.renew(listed), [1.0, 2.0, 3.0])
    for _ in range(6):
        picks(before, 1)
        after = twin.make_picker("weighted", pool.renew(listed), [1.0, 0.0, 1.0], before=before)
        assert set(picks(after, 2)) == {0, 2}


def test_threads_share_a_round(twin: Any) -> None:
    picker = twin.make_picker("round_robin", peers(twin, 7))
    drawn = together(4, lambda _: picks(picker, 7 * 500))
    assert set(Counter(place for one in drawn for place in one).values()) == {4 * 500}


# -- forks -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="forks of macOS may not go on without exec")
def test_children_do_not_pick_in_step(twin: Any) -> None:
    pickers = [twin.make_picker(name, peers(twin, 100), seed=1) for name in ("random", "round_robin")]
    said = []
    for _ in range(3):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                # One made before the fork, and one that is made in the child by a seed that says what comes.
                after = twin.make_picker("random", peers(twin, 100), seed=1)
                os.write(write, repr([picks(one, 5) for one in (*pickers, after)]).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            said.append(eval(pipe.read()))
        os.waitpid(child, 0)
    here = [picks(one, 5) for one in pickers]
    for number in range(2):
        assert len({tuple(one[number]) for one in said} | {tuple(here[number])}) > 1
    assert all(one[2] == here[0] for one in said)


# -- hash --------------------------------------------------------------------------------------------------------------


def test_a_key_stays_with_its_owner(twin: Any) -> None:
    picker = twin.make_picker("hash", peers(twin, 10), seed=1)
    again = twin.make_picker("hash", peers(twin, 10), seed=2, before=picker)
    for key in ("user-1", b"user-2", 3, -1):
        assert len(set(picks(picker, 20, key) + picks(again, 20, key))) == 1


@pytest.mark.parametrize("key, text", [(None, "needs a key"), (1.5, "not float"), (("a",), "not tuple")])
def test_no_key(twin: Any, key: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        twin.make_picker("hash", peers(twin, 3)).pick(key)


def test_no_peer_is_above_the_bound(twin: Any) -> None:
    """Calls of one key alone, which do not end: each goes to the first on the ring that has room."""
    some = peers(twin, 8)
    picker = twin.make_picker("hash", some)
    for calls in range(1, 201):
        picker.pick("hot")._begin()
        assert max(one.in_flight for one in some) <= -(-calls * 1.25 // 8) + 0
    assert sum(one.in_flight for one in some) == 200


def test_the_bound_follows_weights(twin: Any) -> None:
    some = peers(twin, 4)
    picker = twin.make_picker("hash", some, [1.0, 1.0, 1.0, 0.5])
    for calls in range(1, 101):
        picker.pick(calls)._begin()
    assert some[3].in_flight <= -(-100 * 1.25 * 0.5 // 3.5)


def test_below_the_bound_a_key_comes_back(twin: Any) -> None:
    some = peers(twin, 8)
    picker = twin.make_picker("hash", some)
    owner = picker.pick("hot")
    for one in some:
        one._begin()
    owner._begin()
    assert picker.pick("hot") is not owner
    owner._end()
    assert picker.pick("hot") is owner


# -- another try -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_another_than_those_tried(twin: Any, name: str) -> None:
    some = peers(twin, 4)
    picker = twin.make_picker(name, some)
    tried: List[Any] = []
    for _ in some:
        tried.append(picker._other("key", tried))
    assert set(tried) == set(some)
    assert picker._other("key", tried) is None


def test_the_next_on_the_ring(twin: Any) -> None:
    """Every caller tries the same second one."""
    firsts = [twin.make_picker("hash", peers(twin, 9)) for _ in range(2)]
    seconds = [one._other("key", [one.pick("key")]).node.id for one in firsts]
    assert seconds[0] == seconds[1] != firsts[0].pick("key").node.id
