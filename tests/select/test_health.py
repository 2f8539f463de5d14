"""Feedback: ejection, probes, slow start, panic. Time is the test's."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from typing import Any, List, Tuple

import pytest

from regcache import Feedback, NoneAvailable, Selector
from regcache.model import Weights
from tests.select.source import Clock, Source, Told, node, nodes, number, picks


def made(count: int, **options: Any) -> Tuple[Selector, Source, Told]:
    source, told = Source(*nodes(count)), Told()
    return Selector(source, on_event=told, **{"strategy": "round_robin", "seed": 1, **options}), source, told


def fail(selector: Selector, which: int, times: int = 5) -> None:
    for _ in range(times):
        selector.mark(node(which), error=OSError("refused"))


def shares(selector: Selector, count: int) -> "Counter[int]":
    return Counter(picks(selector, count))


# -- ejection --------------------------------------------------------------------------------------------------------


def test_five_failures_in_a_row_eject_a_node() -> None:
    selector, _, told = made(10)
    picks(selector, 1)
    fail(selector, 3, times=4)
    selector.mark(node(3))
    fail(selector, 3, times=4)
    assert 3 in picks(selector, 10)
    fail(selector, 3, times=1)
    assert set(picks(selector, 50)) == set(range(1, 11)) - {3}
    assert selector.status().ejected == ("greeter-3",)
    assert [str(event) for event in told.events] == [
        "greeter: 'greeter-3' (10.0.0.3:8003) is ejected for 30 s: 5 calls in a row failed"
    ]


def test_the_end_of_an_ejection_is_noticed_also_where_nobody_is_left() -> None:
    selector, source, _ = made(1, feedback=Feedback(panic=0.0))
    picks(selector, 1)
    fail(selector, 1)
    with pytest.raises(NoneAvailable, match="the 1 node of 'greeter' may not be used: 1 ejected"):
        selector.select()
    source.clock.advance(29.0)
    with pytest.raises(NoneAvailable):
        selector.select()
    source.clock.advance(1.5)
    assert picks(selector, 2) == [1, 1]


def test_a_call_from_before_a_reset_ejects_nobody() -> None:
    selector, _, told = made(10)
    old = selector.call()
    old.__enter__()
    for _ in range(4):
        selector.mark(old.node, error=OSError())
    selector.reset()
    old.__exit__(OSError, OSError(), None)
    assert not selector.status().ejected and not told.events


def test_half_of_twenty_calls_eject_a_node() -> None:
    selector, source, told = made(10)
    picks(selector, 1)
    for _ in range(9):
        selector.mark(node(3), error=OSError())
        selector.mark(node(3))
    assert not selector.status().ejected, "18 calls are too few to tell"
    selector.mark(node(3))
    assert not selector.status().ejected, "a success ejects nobody"
    selector.mark(node(3), error=OSError())
    assert selector.status().ejected == ("greeter-3",), "10 of 20"
    assert "most of its calls failed" in str(told.events[0])


def test_failures_of_long_ago_do_not_count_for_the_rate() -> None:
    selector, source, _ = made(10)
    picks(selector, 1)
    for _ in range(9):
        selector.mark(node(3), error=OSError())
        selector.mark(node(3))
    source.clock.advance(20)
    for _ in range(11):
        selector.mark(node(3))
    selector.mark(node(3), error=OSError())
    assert not selector.status().ejected


def test_calls_eject_as_marks_do() -> None:
    selector, _, _ = made(2)
    for _ in range(10):
        with suppress(OSError), selector.call() as call:
            if number(call.node) == 1:
                raise OSError
    assert selector.status().ejected == ("greeter-1",)
    assert set(picks(selector, 10)) == {2}


def test_at_most_a_tenth_is_ejected_and_one_always_may_be() -> None:
    for count, most in ((2, 1), (10, 1), (19, 1), (20, 2), (50, 5)):
        selector, _, _ = made(count)
        picks(selector, 1)
        for which in range(1, count + 1):
            fail(selector, which, times=20)
        assert len(selector.status().ejected) == most, count
        assert len(set(picks(selector, 2 * count))) == count - most


def test_who_had_no_room_is_ejected_when_there_is_some() -> None:
    selector, source, _ = made(10)
    picks(selector, 1)
    fail(selector, 1)
    fail(selector, 2)
    assert selector.status().ejected == ("greeter-1",)
    source.clock.advance(31)  # its time is over: it is probed, and makes room
    picks(selector, 1)
    fail(selector, 2, times=1)
    assert selector.status().ejected == ("greeter-2",)


def test_the_only_node_is_never_lost() -> None:
    selector, _, _ = made(1)
    picks(selector, 1)
    fail(selector, 1, times=50)
    assert picks(selector, 3) == [1, 1, 1]


def test_without_feedback_nobody_is_ejected() -> None:
    selector, _, told = made(10, feedback=None)
    picks(selector, 1)
    fail(selector, 3, times=100)
    assert 3 in picks(selector, 10) and not told.events


def test_a_node_that_changed_is_still_ejected() -> None:
    selector, source, _ = made(10)
    picks(selector, 1)
    fail(selector, 3)
    source.refresh(*nodes(10, version="2.0"))
    assert selector.status().ejected == ("greeter-3",)
    assert 3 not in picks(selector, 30)


def test_a_node_that_was_away_begins_anew() -> None:
    selector, source, _ = made(10)
    picks(selector, 1)
    fail(selector, 3)
    source.refresh(*nodes(2))
    source.refresh(*nodes(10))
    assert selector.status().ejected == ()
    fail(selector, 4)
    assert selector.status().ejected == ("greeter-4",), "it takes nobody's room"


# -- probes ----------------------------------------------------------------------------------------------------------


def test_after_its_time_a_node_gets_few_calls_and_the_next_outcome_decides() -> None:
    selector, source, told = made(10)
    picks(selector, 1)
    fail(selector, 3)
    source.clock.advance(29.9)
    assert 3 not in picks(selector, 100)
    source.clock.advance(0.2)
    counts = shares(selector, 9100)
    assert selector.status().probing == ("greeter-3",)
    assert counts[3] == 100 and counts[1] == 1000, "a tenth of the others' calls"
    selector.mark(node(3))
    assert selector.status().probing == () == selector.status().ejected
    assert shares(selector, 1000)[3] == 100
    assert told.kinds == ["ejected", "readmitted"]


@pytest.mark.parametrize("error", [None, OSError("reset")], ids=["well", "failed"])
def test_a_call_from_before_does_not_decide_a_probe(error: Any) -> None:
    """A long download says nothing about whether the node answers now."""
    selector, source, told = made(10)
    long = selector.call()
    ill = long.__enter__().node
    fail(selector, number(ill))
    source.clock.advance(30.0)
    picks(selector, 1)
    assert selector.status().probing == (ill.id,)
    long.__exit__(error and type(error), error, None)
    selector.mark(ill, error, elapsed=0.1)
    assert selector.status().probing == (ill.id,) and told.kinds == ["ejected"]
    selector.mark(ill, error, elapsed=0.0)
    assert told.kinds == ["ejected", "ejected" if error else "readmitted"]


def test_a_call_that_began_with_the_probe_decides_it() -> None:
    """To the nanosecond, in which compiled calls count."""
    selector, source, told = made(2, strategy="round_robin", feedback=Feedback(panic=0, probe=1.0))
    source.clock.now = 1000.1
    picks(selector, 1)
    fail(selector, 1)
    source.clock.now += 30.0
    for _ in range(2):
        with selector.call():
            pass
    assert told.kinds == ["ejected", "readmitted"]


def test_a_probe_that_fails_ejects_for_longer_and_longer() -> None:
    selector, source, told = made(10)
    picks(selector, 1)
    fail(selector, 3)
    lasted: List[float] = []
    for _ in range(12):
        lasted.append(selector.status().peers[2].ejected_for)
        source.clock.advance(lasted[-1] + 0.001)
        picks(selector, 1)
        assert selector.status().probing == ("greeter-3",)
        fail(selector, 3, times=1)
    assert lasted == pytest.approx([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
    assert set(told.kinds) == {"ejected"} and "it failed again" in told.events[-1].text


def test_a_node_that_is_well_for_long_is_forgiven() -> None:
    def second(well: float) -> float:
        """How long the next ejection lasts, when three in a row were followed by so many good seconds."""
        selector, source, _ = made(10)
        picks(selector, 1)
        fail(selector, 3)
        for _ in range(2):
            source.clock.advance(selector.status().peers[2].ejected_for + 0.001)
            picks(selector, 1)
            fail(selector, 3, times=1)
        source.clock.advance(selector.status().peers[2].ejected_for + 0.001)
        picks(selector, 1)
        selector.mark(node(3))
        source.clock.advance(well)
        fail(selector, 3)
        return selector.status().peers[2].ejected_for

    assert [second(well) for well in (0, 9, 11, 21, 31, 1000)] == [120, 120, 90, 60, 30, 30]


def test_outcomes_of_an_ejected_node_change_nothing() -> None:
    """Calls that were on their way; and those that panic mode sends."""
    selector, source, _ = made(10)
    picks(selector, 1)
    fail(selector, 3)
    source.clock.advance(10)
    fail(selector, 3, times=20)
    selector.mark(node(3))
    assert selector.status().peers[2].ejected_for == pytest.approx(20)


# -- weights ---------------------------------------------------------------------------------------------------------


def test_warning_nodes_weigh_as_much_less_as_consul_says() -> None:
    source = Source(
        *nodes(2, weights=Weights(10, 1)), node(3, status="warning", weights=Weights(10, 2)), node(4, status="warning")
    )
    counts = shares(Selector(source, strategy="round_robin"), 3200)
    assert counts == {1: 1000, 2: 1000, 3: 200, 4: 1000}, "by default Consul makes no difference"


def test_the_weighted_strategy_takes_consul_s_weights() -> None:
    source = Source(
        node(1, weights=Weights(5, 1)), node(2, weights=Weights(3, 1)), node(3, status="warning", weights=Weights(9, 2))
    )
    assert shares(Selector(source, strategy="weighted"), 1000) == {1: 500, 2: 300, 3: 200}


@pytest.mark.parametrize("strategy", ["round_robin", "weighted", "p2c"])
def test_a_weight_of_zero_keeps_calls_away(strategy: str) -> None:
    source = Source(*nodes(2), node(3, status="warning", weights=Weights(1, 0)))
    assert set(picks(Selector(source, strategy=strategy), 100)) == {1, 2}


def test_new_nodes_start_slowly() -> None:
    selector, source, _ = made(3, feedback=Feedback(slow_start=100.0))
    assert shares(selector, 300) == {1: 100, 2: 100, 3: 100}, "those of the first snapshot are not new"
    source.refresh(*nodes(4))
    for passed, weight in ((0, 0.1), (9, 0.1), (10, 0.1), (25, 0.2), (50, 0.5), (99, 0.9), (100, 1.0), (500, 1.0)):
        source.clock.now = 1000.0 + passed
        picks(selector, 1)
        assert selector.status().peers[3].weight == pytest.approx(weight), passed
    assert shares(selector, 400) == {1: 100, 2: 100, 3: 100, 4: 100}


def test_nodes_do_not_start_slowly_unless_asked_to() -> None:
    selector, source, _ = made(3)
    picks(selector, 1)
    source.refresh(*nodes(4))
    assert shares(selector, 400) == {1: 100, 2: 100, 3: 100, 4: 100}


def test_a_refresh_does_not_start_anybody_anew() -> None:
    selector, source, _ = made(3, feedback=Feedback(slow_start=100.0))
    picks(selector, 1)
    source.refresh(*nodes(4))
    source.clock.advance(50)
    source.refresh(*nodes(4, version="2.0"))
    assert selector.status().peers[3].weight == pytest.approx(0.5)


# -- panic -----------------------------------------------------------------------------------------------------------


def mixed(*statuses: str) -> List[Any]:
    return [node(n + 1, status=said) for n, said in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "used"),
    [
        (["passing", "critical"], {1}),
        (["passing", "critical", "critical"], {1, 2, 3}),
        (["critical", "critical"], {1, 2}),
        (["critical"], {1}),
        (["warning", "critical", "critical", "maintenance"], {1, 2, 3}),
        (["passing", "maintenance", "maintenance", "maintenance"], {1}),
        (["passing"] * 5 + ["critical"] * 5, {1, 2, 3, 4, 5}),
        (["passing"] * 4 + ["critical"] * 5, set(range(1, 10))),
    ],
)  # fmt: skip
def test_below_half_all_nodes_are_used_but_those_in_maintenance(statuses: List[str], used: Any) -> None:
    selector = Selector(Source(*mixed(*statuses)), strategy="round_robin")
    assert set(picks(selector, 30)) == used
    assert (selector.status().panic is not None) == any(statuses[which - 1] == "critical" for which in used)


def test_panic_is_told_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="regcache")
    selector, source, told = made(4)
    picks(selector, 1)
    for _ in range(3):
        source.refresh(*mixed("passing", "critical", "critical", "critical"))
        assert set(picks(selector, 10)) == {1, 2, 3, 4}
    assert selector.status().panic == "only 1 of 4 nodes is healthy"
    assert "panic: only 1 of 4 nodes is healthy, so calls go to ill nodes too" in str(selector.status())
    source.refresh(*mixed("passing", "passing", "critical", "critical"))
    assert set(picks(selector, 10)) == {1, 2}
    assert selector.status().panic is None
    assert told.kinds == ["panic", "calm"], "once each"
    assert [record.getMessage() for record in caplog.records] == [
        "greeter: calls go to ill nodes too: only 1 of 4 nodes is healthy",
        "greeter: calls go to healthy nodes only again: 2 of 4",
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_ejected_and_critical_nodes_count_together() -> None:
    selector, source, _ = made(4)
    source.refresh(*mixed("passing", "passing", "critical", "critical"))
    assert set(picks(selector, 10)) == {1, 2}
    fail(selector, 1)
    assert set(picks(selector, 40)) == {1, 2, 3, 4}, "the ejected one, too"
    assert Counter(picks(selector, 40)) == {1: 10, 2: 10, 3: 10, 4: 10}
    assert selector.status().panic == "only 1 of 4 nodes is healthy"


def test_an_answer_that_the_guard_holds_back_is_a_reason_for_panic() -> None:
    selector, source, told = made(10)
    fail(selector, 3)
    picks(selector, 1)
    fail(selector, 3)
    assert 3 not in picks(selector, 50)
    source.hold("the registry has none of the 10 nodes any more")
    assert set(picks(selector, 50)) == set(range(1, 11))
    assert "the guard holds an answer back (the registry has none of the 10 nodes" in str(selector.status())
    source.hold(None)
    assert 3 not in picks(selector, 50)
    assert told.kinds == ["ejected", "panic", "calm"]


def test_no_panic_when_it_is_not_wanted() -> None:
    for feedback in (Feedback(panic=0.0), None):
        selector, source, _ = made(3, feedback=feedback)
        source.refresh(*mixed("passing", "critical", "critical"))
        assert set(picks(selector, 30)) == {1}
        source.hold("gone")
        assert set(picks(selector, 30)) == {1}
        source.refresh(*mixed("critical", "critical", "critical"))
        with pytest.raises(NoneAvailable, match="none of the 3 nodes of 'greeter' may be used: 3 critical"):
            selector.select()


def test_panic_takes_consul_s_weights_where_the_strategy_does() -> None:
    source = Source(
        node(1, weights=Weights(3, 1)),
        node(2, status="critical", weights=Weights(1, 1)),
        node(3, status="critical", weights=Weights(2, 0)),
    )
    assert shares(Selector(source, strategy="weighted"), 600) == {1: 300, 2: 100, 3: 200}


# -- many nodes ------------------------------------------------------------------------------------------------------


def test_many_nodes_are_arranged_by_another_thread() -> None:
    selector, source, _ = made(300)
    source.workers = True
    assert len(set(picks(selector, 300))) == 300, "who has nothing arranges them"
    fail(selector, 3)
    assert selector.status().ejected == ("greeter-3",)
    assert 3 in picks(selector, 300) and len(source.handed) == 1, "callers go on with what is there"
    fail(selector, 4)
    assert len(source.handed) == 1, "it is handed over once"
    source.handed.pop()()
    assert not {3, 4} & set(picks(selector, 300))
    source.clock.advance(31)
    picks(selector, 300)
    assert len(source.handed) == 1 and not selector.status().probing
    source.handed.pop()()
    assert selector.status().probing == ("greeter-3", "greeter-4")


def test_a_thread_that_does_not_come_is_not_waited_for() -> None:
    selector, source, _ = made(300)
    source.workers = True
    picks(selector, 1)
    fail(selector, 3)
    source.clock.advance(0.9)
    assert 3 in picks(selector, 300)
    source.clock.advance(0.2)
    assert 3 not in picks(selector, 300)
    source.handed.pop()()  # too late, and nobody minds
    assert 3 not in picks(selector, 300)
    source.workers = False  # the cache has ended its threads
    fail(selector, 5)
    assert 5 not in picks(selector, 300)


# -- the numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": -1}, {"calls": -1}, {"slow_start": -1.0}, {"rate": 1.5}, {"share": -0.1}, {"panic": 50},
        {"probe": 0.0}, {"floor": 2.0}, {"ejection": 0.0}, {"ejection": 400.0}, {"longest": float("inf")},
        {"ejection": float("nan")}, {"rate": float("nan")},
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense(wrong: Any) -> None:
    with pytest.raises(ValueError):
        Feedback(**wrong)


def test_zero_switches_a_reason_off() -> None:
    selector, _, _ = made(10, feedback=Feedback(failures=0))
    picks(selector, 1)
    fail(selector, 3, times=19)
    assert not selector.status().ejected
    fail(selector, 3, times=1)
    assert selector.status().ejected, "20 of 20 failed"
    selector, _, _ = made(10, feedback=Feedback(calls=0))
    picks(selector, 1)
    for _ in range(100):
        fail(selector, 3, times=4)
        selector.mark(node(3))
    assert not selector.status().ejected


def test_a_hook_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Any) -> None:
        raise ZeroDivisionError

    selector = Selector(Source(*nodes(10)), on_event=broken)
    picks(selector, 1)
    fail(selector, 3)
    assert selector.status().ejected and 3 not in picks(selector, 100)
    assert "the hook for events failed" in caplog.text


def test_time_is_the_selector_s_own_clock() -> None:
    own = Clock()
    source = Source(*nodes(10))
    selector = Selector(source, clock=own)
    picks(selector, 1)
    fail(selector, 3)
    source.clock.advance(1000)
    assert 3 not in picks(selector, 100)
    own.advance(31)
    picks(selector, 1)
    assert selector.status().probing == ("greeter-3",)
