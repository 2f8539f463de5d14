"""What is known of each peer: counts, latency, and when somebody must look."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regcache import Node
from regcache.select.pure.peer import FAILING, IN_A_ROW, PROBE_FAILED, PROBE_PASSED
from tests.together import together

from .peered import nodes


def peer(twin: Any, **limits: Any) -> Any:
    return twin.Pool(**limits).renew(nodes(1))[0]


def fail(one: Any, times: int, now: float = 0.0) -> List[int]:
    return [one._record(False, None, now) for _ in range(times)]


def test_at_first(twin: Any) -> None:
    one = peer(twin)
    assert (one.in_flight, one.latency, one.failures, one.weight, one.state) == (0, None, 0, 1.0, "up")
    assert repr(one) == "<Peer 'n0' up, 0 in flight>"
    assert (twin.IN_A_ROW, twin.FAILING, twin.PROBE_PASSED, twin.PROBE_FAILED) == (1, 2, 4, 8)


def test_read_only(twin: Any) -> None:
    one = peer(twin)
    for name in ("node", "in_flight", "latency", "failures", "weight", "state"):
        with pytest.raises(AttributeError):
            setattr(one, name, None)


def test_in_flight_is_never_below_0(twin: Any) -> None:
    pool = twin.Pool()
    one, other = pool.renew(nodes(2))
    one._end()
    assert one.in_flight == pool.in_flight == 0
    one._begin()
    one._begin()
    other._begin()
    one._end()
    assert (one.in_flight, other.in_flight, pool.in_flight) == (1, 1, 2)
    one._end()
    one._end()
    assert (one.in_flight, pool.in_flight) == (0, 1)


def test_counts_of_many_threads(twin: Any) -> None:
    pool = twin.Pool(failures=0, calls=0)
    (one,) = pool.renew(nodes(1))

    def work(number: int) -> None:
        for _ in range(2000):
            one._begin()
            one._record(number % 2 == 0, 0.01, 1.0)
            one._end()

    together(4, work)
    assert one.in_flight == pool.in_flight == 0
    assert one.latency == pytest.approx(0.01)


# -- latency -----------------------------------------------------------------------------------------------------------


def test_a_slower_answer_counts_at_once(twin: Any) -> None:
    one = peer(twin)
    one._record(True, 0.010, 0.0)
    assert one.latency == pytest.approx(0.010)
    one._record(True, 0.500, 0.1)
    assert one.latency == pytest.approx(0.500)


def test_a_quicker_one_takes_it_down_with_a_decay_of_10_seconds(twin: Any) -> None:
    one = peer(twin)
    one._record(True, 0.5, 0.0)
    one._record(True, 0.1, 10.0)
    assert one.latency == pytest.approx(0.5 / math.e + 0.1 * (1 - 1 / math.e))
    one._record(True, 0.1, 10.0)
    assert one.latency == pytest.approx(0.5 / math.e + 0.1 * (1 - 1 / math.e)), "no time has gone by"
    one._record(True, 0.1, 5.0)
    assert one.latency == pytest.approx(0.5 / math.e + 0.1 * (1 - 1 / math.e)), "a clock read by another thread, before"


def test_a_node_that_refuses_at_once_does_not_look_quick(twin: Any) -> None:
    one = peer(twin)
    one._record(False, 0.001, 0.0)
    assert one.latency is None
    one._record(True, 0.2, 0.0)
    one._record(False, 0.001, 9.0)
    assert one.latency == pytest.approx(0.2)
    one._record(False, 3.0, 9.0)
    assert one.latency == pytest.approx(3.0), "one that timed out does count"
    one._record(True, None, 9.0)
    one._record(True, -1.0, 9.0)
    assert one.latency == pytest.approx(3.0), "not known"


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_five_in_a_row(twin: Any) -> None:
    one = peer(twin)
    assert fail(one, 4) == [0] * 4
    assert one._record(True, None, 0.0) == 0
    assert one.failures == 0
    assert fail(one, 6) == [0] * 4 + [IN_A_ROW] * 2
    assert one.failures == 6


def test_half_of_twenty(twin: Any) -> None:
    one = peer(twin, failures=0)
    for _ in range(10):
        assert one._record(True, None, 0.0) == 0
    assert fail(one, 10) == [0] * 9 + [FAILING]
    assert one._record(True, None, 0.0) == 0, "a success asks for nothing"


def test_the_window_moves_on(twin: Any) -> None:
    one = peer(twin, failures=0)
    assert fail(one, 19, now=1.0) == [0] * 19
    assert one._record(False, None, 9.0) == FAILING, "within ten seconds"
    one = peer(twin, failures=0)
    assert fail(one, 19, now=1.0) == [0] * 19
    assert one._record(False, None, 10.0) == 0, "after them"
    one = peer(twin, failures=0)
    fail(one, 19, now=1.0)
    assert one._record(False, None, 11.0 + 10.0) == 0, "the same half, two later"


def test_limits_may_be_off(twin: Any) -> None:
    one = peer(twin, failures=0, calls=0)
    assert fail(one, 100) == [0] * 100


@pytest.mark.parametrize("limits", [{"failures": -1}, {"calls": -1}, {"rate": 1.1}, {"rate": -0.1}, {"rate": math.nan}])
def test_limits_out_of_range(twin: Any, limits: Any) -> None:
    with pytest.raises(ValueError, match=r"rate is from 0\.0 to 1\.0"):
        twin.Pool(**limits)


def test_a_probe_decides(twin: Any) -> None:
    one = peer(twin)
    one._set(state="probing", weight=0.1)
    assert (one.state, one.weight) == ("probing", 0.1)
    assert one._record(True, None, 0.0) == PROBE_PASSED
    assert one._record(False, None, 0.0) == PROBE_FAILED


def test_of_an_ejected_one_nothing_is_asked(twin: Any) -> None:
    one = peer(twin)
    one._set(state="ejected")
    assert fail(one, 30) == [0] * 30
    assert one._record(True, None, 0.0) == 0


def test_a_state_begins_the_counting_anew(twin: Any) -> None:
    one = peer(twin)
    fail(one, 19)
    one._set(state="up")
    assert one.failures == 0
    assert fail(one, 5) == [0] * 4 + [IN_A_ROW]


def test_a_state_that_there_is_not(twin: Any) -> None:
    with pytest.raises(ValueError, match="one of up, probing, ejected, not 'down'"):
        peer(twin)._set(state="down")


OUTCOMES = st.lists(
    st.one_of(
        st.tuples(st.booleans(), st.sampled_from([None, 0.0, 0.25, 1.5]), st.integers(0, 120).map(lambda n: n / 4)),
        st.sampled_from(["up", "probing", "ejected"]),
    ),
    max_size=200,
)


@given(OUTCOMES, st.booleans())
def test_the_twins_judge_alike(twins: Any, outcomes: Any, rising: bool) -> None:
    if rising:
        times = sorted(one[2] for one in outcomes if not isinstance(one, str))
        outcomes = [one if isinstance(one, str) else (*one[:2], times.pop(0)) for one in outcomes]
    said = []
    for twin in twins:
        one = peer(twin, failures=3, rate=0.5, calls=6)
        verdicts: List[Any] = []
        for outcome in outcomes:
            if isinstance(outcome, str):
                one._set(state=outcome)
            else:
                verdicts += [one._record(*outcome), one.failures, round(one.latency or 0.0, 12)]
        said.append(verdicts)
    assert all(verdicts == said[0] for verdicts in said)


# -- pools -------------------------------------------------------------------------------------------------------------


def test_what_did_not_change_is_the_same_peer(twin: Any) -> None:
    pool = twin.Pool()
    listed = nodes(3)
    before = pool.renew(listed)
    after = pool.renew([listed[2], listed[0], *nodes(1, first=7)])
    assert after[:2] == [before[2], before[0]]
    assert [one.node.id for one in after] == ["n2", "n0", "n7"]
    assert len(pool) == 3
    assert pool.get(listed[0]) is before[0]
    assert pool.get(listed[1]) is None
    assert pool.get(nodes(1)[0]) is before[0], "another object of the same name"


def test_a_node_that_changed_keeps_its_counts(twin: Any) -> None:
    pool = twin.Pool()
    (before,) = pool.renew([Node("a", "10.0.0.1", 80, version="1")])
    before._begin()
    before._record(True, 0.2, 0.0)
    before._set(state="probing", weight=0.1)
    before._record(False, None, 0.0)
    changed = Node("a", "10.0.0.1", 80, version="2")
    (after,) = pool.renew([changed])
    assert after is not before and after.node is changed and before.node.version == "1"
    assert (after.in_flight, after.failures, after.weight, after.state) == (1, 1, 0.1, "probing")
    assert after.latency == pytest.approx(0.2)
    before._end()
    assert after.in_flight == 0, "a call that began with the old one"


def test_another_address_is_another_peer(twin: Any) -> None:
    pool = twin.Pool()
    (before,) = pool.renew([Node("a", "10.0.0.1", 80)])
    before._begin()
    for node in (Node("a", "10.0.0.2", 80), Node("a", "10.0.0.1", 81), Node("a", "10.0.0.1", 80, node_name="m")):
        (after,) = pool.renew([node])
        assert after.in_flight == 0
    assert pool.in_flight == 1, "one that was dropped"


def test_a_node_that_is_listed_twice(twin: Any) -> None:
    pool = twin.Pool()
    one, two = pool.renew([*nodes(1), *nodes(1)])
    one._begin()
    assert two.in_flight == 1 and len(pool) == 1


def test_what_goes_is_freed(twin: Any) -> None:
    pool = twin.Pool()
    gone = weakref.ref(pool.renew(nodes(1))[0])
    pool.renew(nodes(1, first=1))
    gc.collect()
    assert gone() is None
