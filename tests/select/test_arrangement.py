"""Whatever happens in whatever order, calls go where the rules say: held against a naive reading of them."""

from __future__ import annotations

from typing import Any, Dict, List, Set

from hypothesis import given
from hypothesis import strategies as st

from regcache import Feedback, NoneAvailable, NotFound, Selector
from regcache.model import Weights
from tests.select.source import Source, Told, node, number

STATUSES = ["passing", "warning", "critical", "maintenance"]

Nodes = st.dictionaries(st.integers(1, 25), st.tuples(st.sampled_from(STATUSES), st.integers(0, 2)), max_size=25)
Steps = st.lists(
    st.one_of(
        st.tuples(st.just("refresh"), Nodes),
        st.tuples(st.just("hold"), st.sampled_from([None, "a doubt"])),
        st.tuples(st.just("fail"), st.integers(1, 25)),
        st.tuples(st.just("well"), st.integers(1, 25)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 1.0, 10.0, 30.0, 60.0, 400.0])),
        st.tuples(st.just("reset"), st.none()),
    ),
    max_size=30,
)


class Oracle:
    """The rules, read naively."""

    def __init__(self) -> None:
        self.there: Dict[int, Any] = {}
        self.doubt: Any = None

    def used(self, states: Dict[int, str]) -> Set[int]:
        able = {n for n, (status, _) in self.there.items() if status != "maintenance"}
        healthy = {
            n
            for n in able
            if states[n] != "ejected"
            and (self.there[n][0] == "passing" or (self.there[n][0] == "warning" and self.there[n][1] > 0))
        }
        return able if self.doubt or len(healthy) < len(able) / 2 else healthy


@given(Steps, st.sampled_from(["p2c", "round_robin", "random"]))
def test_calls_go_where_the_rules_say(steps: List[Any], strategy: str) -> None:
    source, oracle, told = Source(node(1)), Oracle(), Told()
    oracle.there = {1: ("passing", 1)}
    selector = Selector(source, strategy=strategy, feedback=Feedback(share=0.2), on_event=told)
    for what, value in steps:
        if what == "refresh":
            oracle.there = value
            source.refresh(*(node(n, status=said, weights=Weights(1, w)) for n, (said, w) in value.items()))
        elif what == "hold":
            oracle.doubt = value
            source.hold(value)
        elif what == "fail":
            for _ in range(5):
                selector.mark(node(value), error=OSError())
        elif what == "well":
            selector.mark(node(value))
        elif what == "wait":
            source.clock.advance(value)
        else:
            selector.reset()
        able = [n for n, (status, _) in oracle.there.items() if status != "maintenance"]
        try:
            picked = {number(selector.select()) for _ in range(10)}
        except NotFound:
            assert not oracle.there
            continue
        except NoneAvailable:
            assert oracle.there and not able
            continue
        status = selector.status()
        states = {number_of(peer.id): peer.state for peer in status.peers}
        assert sorted(states) == sorted(able)
        expected = oracle.used(states)
        assert {number_of(peer.id) for peer in status.peers if peer.used} == expected
        assert picked <= expected
        assert (status.panic is not None) == (bool(oracle.doubt) or status.healthy < len(able) / 2), (
            "and it says so where it is panic"
        )
        for peer in status.peers:
            assert (peer.ejected_for > 0) == (peer.state == "ejected")
            assert peer.ejected_for <= 300
            if peer.used and not status.panic:
                weight = 1.0 if peer.status == "passing" else oracle.there[number_of(peer.id)][1]
                assert peer.weight == weight * (0.1 if peer.state == "probing" else 1.0)
    panics = [kind for kind in told.kinds if kind in ("panic", "calm")]
    assert panics == ["panic", "calm"] * (len(panics) // 2) + ["panic"] * (len(panics) % 2)


def number_of(node_id: str) -> int:
    return int(node_id.rpartition("-")[2])
