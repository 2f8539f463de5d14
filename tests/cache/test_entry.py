"""One service over time, step by step: what is asked, when, and what is served meanwhile."""

from __future__ import annotations

import itertools
import random
from typing import Any, List

import pytest

from regcache import AccessDenied, NotFound, ProtocolError, RegcacheError, Timeout, Unavailable
from regcache.cache import State
from regcache.cache.flight import Flight
from tests.cache.fake import faked, running, started
from tests.cache.stub import node
from tests.eventually import eventually
from tests.together import HANG, Threads, together


def state(cache: object) -> State:
    return cache._entries["greeter"].state  # type: ignore[attr-defined, no-any-return]


# -- cold ------------------------------------------------------------------------------------------------------------


def test_the_first_request_is_urgent_and_has_no_index() -> None:
    cache, refresher = started()
    assert state(cache) is State.REFRESHING
    load = refresher.now
    assert load.urgent and load.index is None and load.consistency is None and load.previous is None
    first = load.many(3)
    assert cache.get("greeter") is first


def test_cold_callers_join_the_one_request() -> None:
    cache, refresher = faked(watch=False)
    callers = Threads(200, lambda _: cache.get("greeter", timeout=HANG))
    eventually(lambda: bool(refresher.in_flight))
    first = refresher.now.many(3)
    assert all(got is first for got in callers.join())
    assert len(refresher.loads) == 1


def test_a_failure_is_repeated_to_cold_callers_and_the_registry_left_alone() -> None:
    cache, refresher = started()
    waits = []
    for _ in range(8):
        refresher.now.fail(Unavailable("down"))
        began = refresher.clock.now
        while not refresher.in_flight:
            with pytest.raises((Unavailable, Timeout)):
                cache.get("greeter", timeout=0)
            if not refresher.in_flight:
                refresher.advance(0.125)
        waits.append(refresher.clock.now - began)
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert not refresher.timers, "nothing goes on in the background while there is nothing to serve"


def test_the_memory_of_a_failure_is_jittered() -> None:
    cache, refresher = started(random=lambda: 0.999)
    refresher.now.fail(Unavailable("down"))
    refresher.advance(0.13)
    with pytest.raises(Timeout):
        cache.get("greeter", timeout=0)
    assert refresher.in_flight


def test_an_empty_first_answer_is_believed() -> None:
    cache, refresher = started()
    refresher.now.answer(index=7)
    assert len(cache.get("greeter")) == 0
    assert state(cache) is State.FRESH
    assert refresher.now.index == 7, "by the watch one is told of the first node"
    for _ in range(1000):
        cache.get("greeter", timeout=0)
    assert len(refresher.loads) == 2


def test_without_a_watch_an_empty_service_is_looked_at_by_one_request_now_and_then() -> None:
    cache, refresher = started(watch=False)
    waits = []
    for _ in range(8):
        refresher.now.answer()
        began = refresher.clock.now
        while not refresher.in_flight:
            for _ in range(10):
                assert len(cache.get("greeter", timeout=0)) == 0
            if not refresher.in_flight:
                refresher.advance(0.5)
        waits.append(refresher.clock.now - began)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]


def test_a_request_that_cannot_even_be_sent() -> None:
    cache, refresher = faked()
    refresher.broken = RuntimeError("can't start new thread")
    with pytest.raises(Unavailable, match="can't start new thread"):
        cache.get("greeter")
    refresher.broken = None
    refresher.advance(1)
    with pytest.raises(Timeout):
        cache.get("greeter", timeout=0)
    refresher.now.many(1)
    assert len(cache.get("greeter")) == 1


# -- with a watch ----------------------------------------------------------------------------------------------------


def test_after_every_answer_there_is_one_blocking_query() -> None:
    cache, refresher = running(index=10)
    load = refresher.now
    assert (load.index, load.wait, load.urgent) == (10, 55.0, False)
    assert load.previous is cache.get("greeter")
    load.many(11, index=12)
    assert refresher.now.index == 12
    assert len(cache.get("greeter")) == 11
    assert state(cache) is State.FRESH


def test_no_change_keeps_the_snapshot_and_confirms_it() -> None:
    cache, refresher = running()
    held = cache.get("greeter")
    refresher.advance(55)
    assert cache.status("greeter").age == 55
    refresher.now.unchanged()
    assert cache.get("greeter") is held
    assert cache.status("greeter").age == 0
    assert cache.status("greeter").since == 55
    assert refresher.now.index == 10


def test_the_same_index_and_nodes_keep_the_snapshot() -> None:
    cache, refresher = running()
    held = cache.get("greeter")
    refresher.now.fail(Unavailable("closed"))
    refresher.advance(1)
    refresher.now.many(10, index=10)
    assert cache.get("greeter") is held


def test_a_failure_asks_again_without_an_index() -> None:
    cache, refresher = running()
    held = cache.get("greeter")
    refresher.now.fail(Unavailable("down"))
    assert state(cache) is State.FAILED
    assert cache.get("greeter", timeout=0) is held
    refresher.advance(0.25)
    assert refresher.now.index is None
    refresher.now.many(10, index=11)
    assert refresher.now.index == 11
    assert state(cache) is State.FRESH


def test_an_index_that_goes_backwards_begins_anew() -> None:
    cache, refresher = running(index=1000)
    refresher.now.many(10, index=5)
    assert cache.get("greeter").index == 5
    assert refresher.now.index is None
    refresher.now.many(10, index=5)
    refresher.advance(1)
    assert refresher.now.index == 5


def test_an_index_that_jumps_up_and_down_is_no_busy_loop() -> None:
    """go-kit/kit#1214: bugs with the index turned watches into loops."""
    cache, refresher = running(index=1000)
    until = refresher.clock.now + 600
    while refresher.clock.now < until:
        if refresher.in_flight:
            refresher.now.many(10, index=5 if len(refresher.loads) % 2 else 1000)
        else:
            refresher.advance(0.05)
    assert len(refresher.loads) < 60


def test_backoff_doubles_to_a_minute_and_is_reset_by_success() -> None:
    cache, refresher = running()

    def waits(count: int) -> List[float]:
        seen = []
        for _ in range(count):
            refresher.now.fail(Unavailable("down"))
            (timer,) = refresher.timers
            seen.append(timer.when - refresher.clock.now)
            refresher.advance(seen[-1])
        return seen

    assert waits(10) == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    refresher.now.many(10, index=20)
    assert waits(2) == [0.25, 0.5]


def test_backoff_has_full_jitter() -> None:
    seen = []
    for seed in range(200):
        _, refresher = running(random=random.Random(seed).random)
        refresher.now.fail(Unavailable("down"))
        seen.append(refresher.timers[0].when - refresher.clock.now)
    assert 0 < min(seen) < 0.02 and 0.23 < max(seen) <= 0.25


def test_what_only_people_can_mend_is_asked_about_slowly() -> None:
    cache, refresher = running()
    refresher.now.fail(AccessDenied("no"))
    assert refresher.timers[0].when - refresher.clock.now == 2.0


def test_a_deployment_that_wakes_every_query_costs_a_bounded_number_of_them() -> None:
    """10,000 changes in 100 seconds; every query wakes at once."""
    cache, refresher = running(index=1)
    until, index = refresher.clock.now + 100, 1
    gaps = [refresher.clock.now]
    while refresher.clock.now < until:
        index += 1
        if refresher.in_flight:
            refresher.now.many(10 + index % 3, index=index)
            gaps.append(refresher.clock.now)
        refresher.advance(0.01)
    assert len(refresher.loads) < 20
    seconds = [round(after - before, 1) for before, after in zip(gaps, gaps[1:])]
    assert seconds[:3] == [0.0, 0.0, 1.0]
    assert max(seconds) <= 15.1
    # Quiet again: two changes pass at once.
    refresher.advance(40)
    for _ in range(2):
        index += 1
        refresher.now.many(10, index=index)
        assert refresher.in_flight


def test_churn_never_makes_a_cold_caller_wait() -> None:
    cache, refresher = running(max_stale=0.5, index=1)
    for index in itertools.count(2):
        if not refresher.in_flight:
            break
        refresher.now.many(10, index=index)
    assert refresher.timers, "the next refresh has to wait"
    refresher.advance(0.6)
    with pytest.raises(Unavailable, match="max_stale"):
        cache.get("greeter", timeout=0)
    assert refresher.now.urgent, "but not for those who have nothing"


def test_nobody_asks_for_it_any_more() -> None:
    cache, refresher = running(idle=600.0)
    held = cache.get("greeter")
    for _ in range(11):
        refresher.advance(55)
        refresher.now.unchanged()
    refresher.advance(55)
    refresher.now.unchanged()
    assert not refresher.in_flight and not refresher.timers
    assert state(cache) is State.STALE
    assert cache.get("greeter", timeout=0) is held
    assert state(cache) is State.REFRESHING
    refresher.now.many(12, index=30)
    assert refresher.now.index == 30
    assert len(cache.get("greeter")) == 12


def test_a_service_that_is_asked_for_goes_on() -> None:
    cache, refresher = running(idle=600.0)
    for _ in range(100):
        cache.get("greeter")
        refresher.advance(55)
        refresher.now.unchanged()
    assert refresher.in_flight


# -- without a watch -------------------------------------------------------------------------------------------------


def test_from_two_thirds_of_the_ttl_on_the_next_caller_starts_a_refresh() -> None:
    cache, refresher = running(watch=False, ttl=30.0)
    held = cache.get("greeter")
    refresher.advance(19.9)
    assert cache.get("greeter") is held and not refresher.in_flight
    refresher.advance(0.1)
    assert together(100, lambda _: cache.get("greeter", timeout=0)) == [held] * 100
    assert refresher.now.index is None and not refresher.now.urgent
    assert refresher.most == 1 and len(refresher.loads) == 2
    refresher.now.many(11, index=11)
    assert len(cache.get("greeter")) == 11
    assert not refresher.in_flight


def test_the_early_refresh_is_jittered() -> None:
    cache, refresher = running(watch=False, ttl=30.0, random=lambda: 0.999)
    refresher.advance(18.1)
    cache.get("greeter")
    assert refresher.in_flight


def test_failures_without_a_watch_back_off() -> None:
    cache, refresher = running(watch=False, ttl=30.0)
    held = cache.get("greeter")
    refresher.advance(30)
    asked = len(refresher.loads)
    for _ in range(600):
        assert cache.get("greeter", timeout=0) is held
        if refresher.in_flight:
            refresher.now.fail(Unavailable("down"))
        refresher.advance(0.5)
    assert 10 < len(refresher.loads) - asked < 20


# -- never waits, never stuck ----------------------------------------------------------------------------------------


def refreshing() -> Any:
    """A cache whose caller has started a refresh; the refresher, what is held, and the kinds of events so far."""
    events: List[str] = []
    cache, refresher = running(watch=False, ttl=30.0, on_event=lambda event: events.append(event.kind))
    held = cache.get("greeter")
    refresher.advance(30)
    cache.get("greeter")
    return cache, refresher, held, events


def test_a_request_that_never_ends_is_replaced() -> None:
    cache, refresher, held, events = refreshing()
    dead = refresher.now
    refresher.advance(200)
    assert cache.get("greeter", timeout=0) is held
    assert dead.cancelled
    assert events == ["refreshed", "stuck"]
    refresher.now.many(11, index=11)
    assert len(cache.get("greeter")) == 11
    dead.many(3)
    assert len(cache.get("greeter")) == 11, "what comes too late is not listened to"


def test_a_request_that_waits_for_its_turn_is_nobodys_fault() -> None:
    cache, refresher, held, events = refreshing()
    queued = refresher.now
    queued.queued = True
    for _ in range(10):
        refresher.advance(200)
        assert cache.get("greeter", timeout=0) is held
    assert refresher.now is queued and events == ["refreshed"]
    queued.queued = False
    refresher.advance(200)
    cache.get("greeter", timeout=0)
    assert queued.cancelled and events == ["refreshed", "stuck"]


@pytest.mark.parametrize("moment", ["_stop", "_move", "_ask"])
def test_a_caller_who_is_interrupted_leaves_the_next_one_to_ask(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler may raise wherever a function begins."""
    cache, refresher = running(watch=False, ttl=30.0)
    refresher.advance(30)
    entry = cache._entries["greeter"]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(entry, moment, interrupted)
        cache.get("greeter")
    cache.get("greeter", timeout=0)
    assert len(refresher.in_flight) == 1
    assert len(refresher.now.many(11)) == len(cache.get("greeter")) == 11


def test_a_watch_that_never_ends_is_replaced() -> None:
    cache, refresher = running()
    dead = refresher.now
    refresher.advance(100)
    cache.get("greeter")
    assert not dead.cancelled, "it may wait"
    refresher.advance(100)
    cache.get("greeter")
    assert dead.cancelled and refresher.now.index is None


def test_a_timer_that_never_runs_is_replaced() -> None:
    cache, refresher = running()
    refresher.now.fail(Unavailable("down"))
    refresher.timers.clear()
    refresher.advance(61)
    cache.get("greeter", timeout=0)
    assert refresher.now.index is None


def test_a_cold_request_that_never_ends_is_replaced_and_those_who_wait_get_the_answer() -> None:
    cache, refresher = started()
    waiting = Threads(3, lambda _: cache.get("greeter", timeout=HANG))
    eventually(lambda: cache._entries["greeter"]._flight is not None)
    refresher.advance(1000)
    with pytest.raises(Timeout):
        cache.get("greeter", timeout=0)
    assert len(refresher.loads) == 2
    refresher.now.many(2)
    assert [len(got) for got in waiting.join()] == [2, 2, 2]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_somebody_is_responsible_and_one_request_is_in_flight(seed: int) -> None:
    """Random outcomes, callers and times. The entry never waits for nobody, and never asks twice at once."""
    chance = random.Random(seed)
    cache, refresher = faked(
        random=chance.random, watch=chance.random() < 0.7, max_stale=chance.choice([None, 40.0]), idle=100.0
    )
    entry = cache._entry("greeter")
    index = itertools.count(1)
    for _ in range(1000):
        move = chance.randrange(10)
        if move < 3:
            try:
                cache.get("greeter", timeout=0)
            except RegcacheError:
                pass
        elif move < 8 and refresher.in_flight:
            load = refresher.now
            kind = chance.randrange(6)
            if kind == 0:
                load.fail(chance.choice([Unavailable, ProtocolError, NotFound, AccessDenied])("oh"))
            elif kind == 1 and load.index:
                load.unchanged()
            elif kind == 2:
                load.answer(index=next(index))
            elif kind == 3:
                load.many(chance.randrange(20), index=chance.randrange(1, 5))
            else:
                load.many(10, index=next(index))
        elif move == 8:
            cache.accept("greeter")
        else:
            refresher.advance(chance.choice([0.01, 1, 10, 30, 120]))
        assert len(refresher.in_flight) + len(refresher.timers) <= 1
        if not refresher.in_flight and not refresher.timers:
            # The next caller can ask: nobody has the claim.
            assert entry.slot.claim()
            entry.slot.release()
    # And with a registry that is well again, all is well again.
    for _ in range(400):
        for load in list(refresher.in_flight):
            load.many(10, index=1000)
        refresher.advance(1)
        try:
            cache.get("greeter", timeout=0)
        except RegcacheError:
            pass
    assert len(cache.get("greeter", timeout=0)) == 10
    assert state(cache) in (State.FRESH, State.STALE, State.REFRESHING)


# -- staleness -------------------------------------------------------------------------------------------------------


def test_the_last_good_snapshot_is_served_without_bound() -> None:
    cache, refresher = running()
    held = cache.get("greeter")
    for _ in range(2000):
        if refresher.in_flight:
            refresher.now.fail(Unavailable("down"))
        refresher.advance(60)
        assert cache.get("greeter", timeout=0) is held
    status = cache.status("greeter")
    assert status.age is not None and status.age > 100_000


def test_beyond_max_stale_what_is_held_counts_as_nothing() -> None:
    cache, refresher = running(max_stale=100.0)
    held = cache.get("greeter")
    assert refresher.now.wait == 50.0, "short enough to be confirmed in time"
    while refresher.clock.now < 1099:
        if refresher.in_flight:
            refresher.now.fail(Unavailable("down"))
        refresher.advance(1)
        if refresher.clock.now < 1100:
            assert cache.get("greeter", timeout=0) is held
    for load in refresher.in_flight[:]:
        load.fail(Unavailable("down"))
    refresher.advance(1)
    with pytest.raises(Unavailable, match=r"confirmed 10\d\.\d s ago, which is beyond max_stale.*Unavailable: down"):
        cache.get("greeter", timeout=0)
    refresher.advance(10)
    with pytest.raises(Unavailable, match="max_stale"):
        cache.get("greeter", timeout=0)
    waiting = Threads(2, lambda _: cache.get("greeter", timeout=HANG))
    eventually(lambda: cache._entries["greeter"]._flight is not None)
    refresher.now.many(4, index=50)
    assert [len(got) for got in waiting.join()] == [4, 4], "nothing is doubted for the sake of what is too old"
    assert len(cache.get("greeter", timeout=0)) == 4


def test_a_quiet_watch_is_never_too_old() -> None:
    cache, refresher = running(max_stale=100.0)
    for _ in range(20):
        refresher.advance(50 * 17 / 16)
        cache.get("greeter", timeout=0)
        refresher.now.unchanged()


# -- many names ------------------------------------------------------------------------------------------------------


def test_names_that_never_had_nodes_are_forgotten_when_there_are_many() -> None:
    cache, refresher = faked(watch=False)
    kept = cache.selector("kept")

    def ask(name: str) -> None:
        cache._entry(name).start()
        refresher.now.answer(*([node(1)] if name == "real" else []))

    ask("real")
    for number in range(5000):
        ask(f"name-{number}")
    assert len(cache._entries) <= 1001
    assert {"real", "kept"} <= set(cache._entries)
    assert len(cache.get("real", timeout=0)) == 1
    with pytest.raises(Timeout):
        kept.select(timeout=0)


def test_warm_loads_side_by_side() -> None:
    cache, refresher = faked(watch=False)
    done = Threads(1, lambda _: cache.warm(["a", "b", "c"], timeout=HANG))
    eventually(lambda: len(refresher.in_flight) == 3)
    a, b, c = sorted(refresher.in_flight, key=lambda load: load.service)
    a.many(2)
    b.fail(Unavailable("down"))
    c.answer()
    (loaded,) = done.join()
    assert len(loaded["a"]) == 2 and isinstance(loaded["b"], Unavailable) and len(loaded["c"]) == 0


def test_warm_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: List[float] = []
    wait = Flight.wait

    def counted(self: Flight, timeout: float) -> bool:
        waited.append(max(0.0, timeout))
        return wait(self, timeout)

    monkeypatch.setattr(Flight, "wait", counted)
    cache, refresher = faked()
    loaded = cache.warm([f"service-{number}" for number in range(50)], timeout=0.05)
    assert len(refresher.in_flight) == 50
    assert all(isinstance(error, Timeout) and "within 0.05 s" in str(error) for error in loaded.values())
    assert 0 < waited[0] <= 0.05 and set(waited[1:]) == {0.0}, "together, not each"


def test_settings_that_cannot_be() -> None:
    for wrong in ({"ttl": 0}, {"wait": -1}, {"wait": float("inf")}, {"idle": 0}, {"max_stale": 0}, {"cold_wait": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            faked(**wrong)


def test_closed() -> None:
    cache, refresher = running()
    load = refresher.now
    cache.close()
    assert load.cancelled and refresher.closed and not refresher.timers
    load.many(1)
    for _ in range(2):
        with pytest.raises(Unavailable, match="closed"):
            cache.get("greeter")
    assert cache.status("greeter").state == "closed"
