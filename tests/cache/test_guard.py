"""Answers that take most nodes away: held back, asked again, and believed in the end."""

from __future__ import annotations

from typing import Any, List

import pytest

from regcache import Event, Guard, Snapshot, Unavailable
from tests.cache.fake import faked, running
from tests.cache.stub import node


def nodes(count: int, **more: Any) -> Snapshot:
    return Snapshot("greeter", [node(number, **more) for number in range(1, count + 1)])


# -- the policy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, after, doubted",
    [(0, 0, False), (0, 9, False), (1, 0, True), (1, 1, False), (2, 1, False), (3, 1, True), (10, 5, False)]
    + [(10, 4, True), (10, 0, True), (10, 50, False), (9, 5, False), (9, 4, True)],
)
def test_empty_or_fewer_than_half(before: int, after: int, doubted: bool) -> None:
    assert (Guard().doubts(nodes(before), nodes(after)) is not None) is doubted


def test_critical_nodes_are_not_gone() -> None:
    assert Guard().doubts(nodes(10), nodes(10, status="critical")) is None


def test_other_guards() -> None:
    assert Guard.none().doubts(nodes(10), nodes(0)) is None
    assert Guard(shrink=0).doubts(nodes(10), nodes(1)) is None
    assert Guard(shrink=0).doubts(nodes(10), nodes(0)) is not None
    assert Guard(shrink=1).doubts(nodes(10), nodes(9)) is not None


@pytest.mark.parametrize(
    "wrong",
    [{"shrink": 1.1}, {"shrink": -1}, {"confirmations": -1}, {"hold": -1}, {"hold": float("inf")}, {"interval": 0}],
)
def test_guards_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Guard(**wrong)


# -- at work ---------------------------------------------------------------------------------------------------------


def test_an_empty_answer_is_held_back_and_believed_when_enough_agree() -> None:
    events: List[Event] = []
    cache, refresher = running(10, on_event=events.append)
    held = cache.get("greeter")
    refresher.now.answer(index=20)
    modes, times, began = [], [], refresher.clock.now
    for _ in range(3):
        assert cache.get("greeter", timeout=0) is held
        assert cache.status("greeter").state == "held"
        refresher.advance(0 if not modes else 5)
        modes.append(refresher.now.consistency)
        times.append(refresher.clock.now - began)
        assert refresher.now.index is None
        refresher.now.answer(index=20)
    assert (modes, times) == (["default", "consistent", "default"], [0, 5, 10])
    assert len(cache.get("greeter")) == 0
    assert cache.status("greeter").state == "fresh"
    assert refresher.now.index == 20
    assert [event.kind for event in events] == ["refreshed", "held", "refreshed", "released"]
    assert "none of the 10 nodes" in str(events[1]) and "3 further answers agreed" in str(events[3])


def test_a_good_answer_ends_the_doubt() -> None:
    events: List[Event] = []
    cache, refresher = running(10, on_event=events.append)
    refresher.now.many(4, index=20)
    refresher.advance(0)
    refresher.now.many(9, index=21)
    assert len(cache.get("greeter")) == 9
    assert [event.kind for event in events] == ["refreshed", "held", "refreshed", "released"]
    assert "the nodes are back" in str(events[3])
    assert refresher.now.index == 21 and not refresher.timers


def test_the_same_nodes_again_end_the_doubt_and_keep_the_snapshot() -> None:
    """A leader change: Consul's own false empty answers."""
    cache, refresher = running(10, index=10)
    held = cache.get("greeter")
    refresher.now.answer(index=11)
    refresher.advance(0)
    refresher.now.many(10, index=10)
    assert cache.get("greeter") is held
    assert cache.status("greeter").held_back is None


def test_nodes_that_come_back_one_by_one_get_the_whole_time_but_no_more() -> None:
    cache, refresher = running(100, guard=Guard(hold=75.0))
    began = refresher.clock.now
    refresher.now.answer(index=2)
    count = 0
    while cache.status("greeter").held_back is not None:
        assert len(cache.get("greeter", timeout=0)) == 100
        if refresher.in_flight:
            count += 1
            refresher.now.many(count, index=2 + count)
        else:
            refresher.advance(1)
    assert 75 <= refresher.clock.now - began <= 80
    assert len(cache.get("greeter")) == count


def test_recovery_after_a_restart_without_data() -> None:
    """The registry was emptied; its services register again within 30 s, and nobody notices anything."""
    cache, refresher = running(100, index=5000)
    began = refresher.clock.now
    refresher.now.fail(Unavailable("closed"))
    while refresher.clock.now < began + 60:
        there = min(100, int((refresher.clock.now - began) * 100 / 30))
        if refresher.in_flight and refresher.now.index != 10 + there:
            refresher.now.many(there, index=10 + there)
        assert len(cache.get("greeter", timeout=0)) >= 50
        refresher.advance(0.5)
    assert len(cache.get("greeter")) == 100


def test_silence_is_no_confirmation() -> None:
    """The registry lost its data and then died: what it said last is not believed because it is dead."""
    cache, refresher = running(10)
    held = cache.get("greeter")
    refresher.now.answer(index=20)
    for _ in range(300):
        refresher.advance(1)
        if refresher.in_flight:
            refresher.now.fail(Unavailable("down"))
    assert cache.get("greeter", timeout=0) is held
    assert cache.status("greeter").state == "failed"
    assert cache.status("greeter").held_back is not None
    refresher.advance(60)
    refresher.now.answer(index=20)
    assert len(cache.get("greeter")) == 0, "the time is over: the next answer is believed"


def test_accept_by_hand() -> None:
    events: List[Event] = []
    cache, refresher = running(10, on_event=events.append)
    assert not cache.accept("greeter") and not cache.accept("unknown")
    refresher.now.many(2, index=20)
    refresher.advance(0)
    asked = refresher.now
    assert cache.accept("greeter")
    assert len(cache.get("greeter")) == 2
    assert asked.cancelled and refresher.now.index == 20
    assert "by hand" in str(events[-1])
    assert not cache.accept("greeter")


def test_without_a_guard() -> None:
    cache, refresher = running(10, guard=Guard.none())
    refresher.now.answer(index=20)
    assert len(cache.get("greeter")) == 0


def test_a_doubt_without_a_watch_is_asked_about_in_the_background() -> None:
    cache, refresher = running(10, watch=False)
    refresher.advance(30)
    cache.get("greeter")
    for _ in range(4):
        refresher.now.answer(index=20)
        refresher.advance(5)
    assert len(cache.get("greeter")) == 0


def test_a_thousand_callers_while_an_answer_is_held_back_cost_nothing() -> None:
    cache, refresher = running(10)
    held = cache.get("greeter")
    refresher.now.answer(index=20)
    asked = len(refresher.loads)
    for _ in range(1000):
        assert cache.get("greeter", timeout=0) is held
    assert len(refresher.loads) == asked


def test_half_by_half_is_believed_at_once() -> None:
    """Scaling down in steps is nothing to be doubted."""
    cache, refresher = running(16)
    for step, count in enumerate((8, 4, 2, 1)):
        refresher.advance(60)
        refresher.now.many(count, index=20 + step)
        assert len(cache.get("greeter")) == count


def test_a_first_answer_is_never_doubted() -> None:
    cache, refresher = faked()
    cache._entry("greeter").start()
    refresher.now.answer()
    assert cache.status("greeter").held_back is None
    refresher.now.many(3, index=5)
    assert len(cache.get("greeter")) == 3


def test_a_guard_of_ones_own_that_raises_is_a_failure_like_others() -> None:
    class Broken(Guard):
        def doubts(self, held: Snapshot, answer: Snapshot) -> Any:
            raise ZeroDivisionError("oh")

    cache, refresher = running(10, guard=Broken())
    held = cache.get("greeter")
    refresher.now.many(11, index=11)
    assert cache.get("greeter", timeout=0) is held
    assert "ZeroDivisionError" in str(cache.status("greeter"))
    assert refresher.timers
