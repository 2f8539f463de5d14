"""The selector: which node is next, that it goes on over refreshes, and why there is none."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, List

import pytest

from regcache import (
    Cache,
    MemoryRegistry,
    Node,
    NoneAvailable,
    NotFound,
    Selector,
    Service,
    Timeout,
    Unavailable,
    version,
)
from tests.select.source import Source, node, nodes, number, picks
from tests.together import HANG, together

STRATEGIES = ["hash", "p2c", "peak_ewma", "random", "round_robin", "weighted"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_through_the_cache(strategy: str) -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=nodes(2)))
    with Cache(registry) as cache:
        selector = cache.selector("greeter", strategy)
        selector.select(timeout=HANG, key="first")
        assert {selector.select(key=f"key {turn}").id for turn in range(200)} == {"greeter-1", "greeter-2"}


def test_the_default_looks_at_calls_in_flight() -> None:
    selector = Selector(Source(*nodes(2)))
    with selector.call() as call:
        # Of the two it takes the one that nothing is asked of.
        assert picks(selector, 20) == [3 - number(call.node)] * 20


def test_the_timeout_is_handed_on() -> None:
    source = Source()
    selector = Selector(source)
    with pytest.raises(Timeout):
        selector.select(0.2)
    with pytest.raises(Timeout):
        selector.select()
    assert source.timeouts == [0.2, None]


def test_nothing_is_asked_while_something_is_held() -> None:
    source = Source(*nodes(3))
    selector = Selector(source)
    picks(selector, 1)
    asked = len(source.timeouts)
    picks(selector, 100)
    assert len(source.timeouts) == asked


def test_an_alarm_of_the_source_is_heard() -> None:
    source = Source(*nodes(3))
    selector = Selector(source, strategy="round_robin")
    picks(selector, 1)
    asked = len(source.timeouts)
    source.slot.set_alarm(source.clock() + 5)
    picks(selector, 10)
    assert len(source.timeouts) == asked
    source.clock.advance(5)
    assert Counter(picks(selector, 9)) == {1: 3, 2: 3, 3: 3}, "it goes on with what is there"
    assert len(source.timeouts) == asked + 9
    source.error = Unavailable("too old")
    with pytest.raises(Unavailable, match="too old"):
        selector.select()


# -- over refreshes --------------------------------------------------------------------------------------------------


def in_turn(first: int, count: int, of: int) -> List[int]:
    return [(first - 1 + step) % of + 1 for step in range(count)]


def test_round_robin_goes_on_over_refreshes() -> None:
    """micro/go-micro#116, #186, #2001, #2799: it began anew at each call."""
    source = Source(*nodes(3))
    selector = Selector(source, strategy="round_robin")
    seen = []
    for _ in range(9):
        seen += picks(selector, 1)
        source.refresh(*nodes(3))
    assert seen == in_turn(seen[0], 9, of=3)


def test_round_robin_goes_on_when_nodes_come_and_go() -> None:
    source = Source(*nodes(4))
    selector = Selector(source, strategy="round_robin")
    while picks(selector, 1) != [2]:
        pass
    source.refresh(node(9), node(1), node(2), node(4))  # 3 would have been next
    assert picks(selector, 3) == [4, 9, 1]
    source.refresh(node(7), node(8))  # nobody is left
    first = picks(selector, 1)
    assert first + picks(selector, 2) in ([7, 8, 7], [8, 7, 8])


def test_selectors_do_not_all_begin_with_the_same_node() -> None:
    """A thousand clients that start together would all call the first node (Go's, and Envoy's, begin at random)."""
    source = Source(*nodes(10))
    assert len({picks(Selector(source, strategy="round_robin"), 1)[0] for _ in range(100)}) > 5


def test_random_picks_differ_from_refresh_to_refresh() -> None:
    """With the same seed after each refresh a busy registry would send all calls to one node."""
    source = Source(*nodes(10))
    selector = Selector(source, strategy="random", seed=1)
    seen = []
    for _ in range(300):
        source.refresh(*nodes(10))
        seen += picks(selector, 1)
    assert min(Counter(seen).values()) > 10 and len(set(seen)) == 10


def test_a_seed_makes_picks_repeatable() -> None:
    def seen(seed: int) -> List[int]:
        return picks(Selector(Source(*nodes(10)), strategy="random", seed=seed), 50)

    assert seen(1) == seen(1) != seen(2)


def test_calls_in_flight_are_counted_over_refreshes() -> None:
    source = Source(*nodes(2))
    selector = Selector(source)
    with selector.call() as call:
        busy = number(call.node)
        # The node changes, and is another object now.
        source.refresh(*(node(n, version="2.0") for n in (1, 2)))
        assert set(picks(selector, 20)) == {3 - busy}
        assert selector.status().in_flight == 1
    assert selector.status().in_flight == 0


def test_round_robin_is_fair_to_threads() -> None:
    selector = Selector(Source(*nodes(4)), strategy="round_robin")
    counts = Counter(sum(together(8, lambda _: picks(selector, 500)), []))
    assert set(counts.values()) == {1000}


def test_tasks_and_threads_go_round_together() -> None:
    selector = Selector(Source(*nodes(3)), strategy="round_robin")

    async def work() -> List[int]:
        async def one() -> int:
            return number(await selector.select_async())

        return list(await asyncio.gather(*(one() for _ in range(6))))

    counts = Counter(asyncio.run(work()) + picks(selector, 3))
    assert set(counts.values()) == {3}


# -- a strategy of one's own -----------------------------------------------------------------------------------------


class First:
    """Always the first, and counts how often it is prepared."""

    def __init__(self) -> None:
        self.prepared: List[Any] = []
        self.keys: List[Any] = []

    def prepare(self, peers: Any) -> Any:
        self.prepared.append(peers)

        def pick(key: Any) -> Any:
            self.keys.append(key)
            return peers[0]

        return pick


def test_a_strategy_of_ones_own() -> None:
    source, first = Source(*nodes(2)), First()
    selector = Selector(source, strategy=first)
    assert picks(selector, 3) == [1, 1, 1]
    assert selector.select(key="a key").id == "greeter-1"
    assert first.keys == [None, None, None, "a key"]
    assert len(first.prepared) == 1
    source.refresh(node(2))
    assert picks(selector, 2) == [2, 2]
    assert len(first.prepared) == 2


def test_a_strategy_that_fails() -> None:
    class Broken:
        broken = True

        def prepare(self, peers: Any) -> Any:
            if self.broken:
                raise ZeroDivisionError("no reason")
            return lambda key: peers[0]

    source, strategy = Source(*nodes(2)), Broken()
    selector = Selector(source, strategy=strategy)
    raised = []
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="no reason") as caught:
            selector.select()
        raised.append(caught.value)
    assert raised[0] is not raised[1], "each caller has a traceback of their own"
    assert isinstance(raised[0].__cause__, ZeroDivisionError) and raised[0].__cause__.__traceback__ is not None
    strategy.broken = False
    source.refresh(*nodes(2))
    assert picks(selector, 1) == [1]


@pytest.mark.parametrize("strategy", ["fastest", "roundrobin", 7, object()])
def test_no_strategy(strategy: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="p2c, peak_ewma, random, round_robin"):
        Selector(Source(), strategy=strategy)


# -- which nodes -----------------------------------------------------------------------------------------------------


def test_passing_and_warning_nodes_are_used() -> None:
    those = [*nodes(3), node(4, status="warning"), node(5, status="critical"), node(6, status="maintenance")]
    assert set(picks(Selector(Source(*those)), 200)) == {1, 2, 3, 4}


def test_no_nodes() -> None:
    source = Source(node(1))
    source.refresh()
    selector = Selector(source)
    raised = []
    for _ in range(2):
        with pytest.raises(NotFound, match="no service 'greeter'") as caught:
            selector.select()
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_only_nodes_in_maintenance_and_back_again() -> None:
    source = Source(node(1, status="maintenance"), node(2, status="maintenance"))
    selector = Selector(source)
    with pytest.raises(NoneAvailable, match="none of the 2 nodes of 'greeter' may be used: 2 maintenance"):
        selector.select()
    source.refresh(node(1))
    assert picks(selector, 1) == [1]


def test_without_feedback_there_is_no_panic() -> None:
    source = Source(node(1, status="critical"), node(2, status="critical"), node(3, status="maintenance"))
    selector = Selector(source, feedback=None)
    # Those in maintenance are left out first: they are not to be used whatever their checks say.
    with pytest.raises(NoneAvailable, match="none of the 2 nodes of 'greeter' may be used: 2 critical"):
        selector.select()
    source.refresh(node(1))
    assert picks(selector, 1) == [1]


# -- filters ---------------------------------------------------------------------------------------------------------


def test_a_filter_is_asked_once_about_each_node_of_a_snapshot() -> None:
    asked: List[str] = []

    def wanted(chosen: Node) -> bool:
        asked.append(chosen.id)
        return True

    source = Source(*nodes(2))
    selector = Selector(source, filters=[wanted])
    picks(selector, 50)
    assert asked == ["greeter-1", "greeter-2"]
    # What is learned of nodes does not ask again: ejection, probes, and time.
    for _ in range(5):
        selector.mark(node(1), error=OSError())
    assert set(picks(selector, 50)) == {2}
    source.clock.advance(31)
    picks(selector, 200)
    source.hold("gone")
    picks(selector, 10)
    assert asked == ["greeter-1", "greeter-2"]
    source.refresh(*nodes(3))
    picks(selector, 50)
    assert asked == ["greeter-1", "greeter-2", "greeter-1", "greeter-2", "greeter-3"]


def test_a_filter_that_raises() -> None:
    asked = []

    def broken(chosen: Node) -> bool:
        asked.append(chosen.id)
        return bool(chosen.metadata["zone"])

    source = Source(node(1, metadata={"zone": "a"}))
    selector = Selector(source, filters=[broken])
    assert picks(selector, 1) == [1]
    source.refresh(node(2))
    for _ in range(3):
        with pytest.raises(KeyError, match="zone") as caught:
            selector.select()
        assert isinstance(caught.value.__cause__, KeyError), "where it happened"
    assert asked == ["greeter-1", "greeter-2"], "asked once, though it failed"
    assert isinstance(selector.status().error, KeyError)
    source.refresh(node(3, metadata={"zone": "a"}))
    assert picks(selector, 1) == [3]
    assert selector.status().error is None


def test_what_is_learned_while_a_filter_leaves_none() -> None:
    source = Source(*nodes(2, version="1.0"))
    selector = Selector(source, filters=[version("1.0")])
    calls = [selector.call() for _ in range(12)]
    for call in calls:
        call.__enter__()
    source.refresh(*nodes(2, version="2.0"))
    for call in calls:
        call.__exit__(OSError, OSError(), None)
    assert selector.status().in_flight == 0
    for doubt in (None, "a doubt", None):
        source.hold(doubt)
        with pytest.raises(NoneAvailable, match="left none"):
            selector.select()
    source.refresh(*nodes(2, version="1.0"))
    assert selector.status().ejected and len(set(picks(selector, 10))) == 1


def test_a_filter_that_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="'1.0' cannot be called"):
        Selector(Source(), filters=["1.0"])  # type: ignore[list-item]


# -- mark and call ---------------------------------------------------------------------------------------------------


def test_a_call_counts_what_finding_a_node_took() -> None:
    source = Source(*nodes(1))
    selector = Selector(source)
    call = selector.call(timeout=0.5)
    source.clock.advance(0.2)
    with call:
        assert call.remaining == pytest.approx(0.3)
        source.clock.advance(0.4)
        assert call.remaining == 0.0
    with selector.call() as call:
        assert call.remaining is None


def test_the_caller_s_own_mistakes_are_nobody_s_failure() -> None:
    selector = Selector(Source(*nodes(1)))
    for _ in range(10):
        with pytest.raises(ValueError), selector.call() as call:
            call.ignore(ValueError)
            raise ValueError("404")
    assert selector.status().peers[0].failures == 0
    with pytest.raises(OSError), selector.call():
        raise OSError
    assert selector.status().peers[0].failures == 1


def test_an_async_call() -> None:
    selector = Selector(Source(*nodes(2)))

    async def work() -> None:
        async with selector.call(timeout=1.0) as call:
            assert set(picks(selector, 10)) == {3 - number(call.node)}
        with pytest.raises(OSError):
            async with selector.call() as call:
                raise OSError

        async def hangs() -> None:
            async with selector.call():
                await asyncio.Event().wait()

        task = asyncio.ensure_future(hangs())
        await asyncio.sleep(0)
        assert selector.status().in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert selector.status().in_flight == 0
    assert sum(peer.failures for peer in selector.status().peers) == 1, "a task that was cancelled says nothing"


def test_marks_are_learned_from() -> None:
    source = Source(*nodes(3))
    selector = Selector(source)
    picked = selector.select()
    selector.mark(picked, elapsed=0.25)
    selector.mark(picked, error=OSError())
    selector.mark(picked, error=asyncio.CancelledError())
    (peer,) = (peer for peer in selector.status().peers if peer.id == picked.id)
    assert (peer.failures, peer.latency) == (1, 0.25)
    source.refresh(node(9))
    selector.mark(picked, error=OSError())  # it is gone, and nobody minds


# -- what is going on ------------------------------------------------------------------------------------------------


def test_status() -> None:
    source = Source()
    selector = Selector(source, strategy="round_robin", filters=[lambda n: True])
    assert str(selector.status()) == "greeter: picks by round_robin, once there is a snapshot; 0 calls in flight"
    source.refresh(*nodes(20), node(21, status="maintenance"), node(22, status="critical"))
    for _ in range(5):
        selector.mark(node(3), error=OSError())
    with selector.call():
        status = selector.status()
    assert (status.nodes, len(status.peers), status.healthy, status.used) == (22, 21, 19, 19)
    assert status.ejected == ("greeter-3",) and status.probing == () and status.panic is None
    assert "picks among 19 of 22 nodes by round_robin, those that pass [" in str(status)
    assert "greeter-3 is ejected for 30 s more; 1 call in flight" in str(status)
    assert json.loads(json.dumps(status.to_dict()))["peers"][2]["ejected_for"] == 30.0
    source.refresh()
    assert "cannot pick: NotFound: the registry has no service" in str(selector.status())


def test_a_selector_says_what_it_is() -> None:
    assert repr(Selector(Source(), strategy="random")) == "<Selector of 'greeter', strategy='random'>"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"feedback": True}, "feedback is a regcache.Feedback, .* not True"),
        ({"subset": 5}, "subset is a regcache.Subset, .* not 5"),
        ({"budget": 0.2}, "budget is a regcache.RetryBudget, .* not 0.2"),
        ({"on_event": 5}, "on_event is called with each event; 5 cannot be called"),
    ],
)
def test_what_is_of_another_kind_is_refused_when_the_selector_is_made(options: Any, wanted: str) -> None:
    source = Source(*nodes(1))
    with pytest.raises(TypeError, match=wanted):
        Selector(source, **options)
    assert source.pins == 0


def test_a_mark_is_of_a_node() -> None:
    selector = Selector(Source(*nodes(1)))
    for given in (None, "greeter-1", object()):
        with pytest.raises(TypeError, match=r"mark\(\) takes a node that was picked, not "):
            selector.mark(given)  # type: ignore[arg-type]
    selector.mark(node(7))
    assert picks(selector, 1) == [1], "of one that is not there nothing is learned"
