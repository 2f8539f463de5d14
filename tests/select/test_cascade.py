"""The two stories that the defaults are chosen for, in a world with a clock of its own."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest

from regcache import Feedback, Guard, RetryBudget, Selector
from tests.select.source import Source, nodes
from tests.select.world import Backends, Callers, Registry, Script, World, percentile

# -- one slow node of ten --------------------------------------------------------------------------------------------


def slowest(strategy: str, seed: int, **options: Any) -> float:
    """The 99th percentile, in seconds, of calls to ten nodes. Nine need 10 ms for a call, one half a second; together
    the nine are busy for two thirds of the time."""
    world = World(seed)
    selector = Selector(Source(*nodes(10), clock=world.clock), strategy=strategy, seed=seed, **options)
    backends = Backends(world, [f"greeter-{n}" for n in range(1, 11)], work=0.01)
    backends.work["greeter-4"] = 0.5
    callers = Callers(world, backends, selector, rate=600.0, patience=2.0, tries=1)
    callers.come()
    world.run(60.0)
    assert selector.status().in_flight < 200
    # Who waited in vain waited for that long.
    return percentile(callers.answered + [2.0] * (callers.wanted - len(callers.answered)), 0.99)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("strategy", ["p2c", "peak_ewma"])
def test_one_slow_node_of_ten(strategy: str, seed: int) -> None:
    """Without ejection, so that it is the strategy that is seen."""
    assert slowest(strategy, seed, feedback=None) * 3 <= slowest("round_robin", seed, feedback=None)


# -- the cascade of the incident -------------------------------------------------------------------------------------


class Story:
    """Twenty nodes, and callers whose patience is twenty times what a call takes."""

    work, count = 0.05, 20
    patience = 20 * work

    def __init__(self, seed: int, load: float, guard: Optional[Guard] = None, **options: Any) -> None:
        self.world = World(seed)
        self.registry = Registry(self.world, self.count, guard)
        options = {"budget": RetryBudget(clock=self.world.clock), **options}
        self.selector = Selector(self.registry, seed=seed, **options)
        self.backends = Backends(self.world, self.registry.ids, self.work)
        rate = load * self.count / self.work
        self.callers = Callers(self.world, self.backends, self.selector, rate=rate, patience=self.patience, tries=3)
        self.callers.come()

    @property
    def answered(self) -> float:
        """The part of the requests that were."""
        return len(self.callers.answered) / self.callers.wanted


def incident(seed: int, guard: Optional[Guard] = None, **options: Any) -> Story:
    """The nodes are busy for 85 % of the time. One falls ill, and a script takes each node that answers late out of the
    registry."""
    story = Story(seed, 0.85, guard, **options)
    story.world.at(5.0, lambda: story.backends.work.update({"greeter-7": 10 * story.patience}))
    Script(story.world, story.backends, story.registry, look=0.05, late=story.patience).go_on()
    story.world.run(120.0)
    return story


#: As callers were: in turn, whatever happens, and with as many retries as they like.
NAIVE: Dict[str, Any] = {"strategy": "round_robin", "feedback": None, "budget": RetryBudget(float("inf"))}


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_round_robin_without_any_protection_loses_all_nodes(seed: int) -> None:
    story = incident(seed, **NAIVE)
    assert len(story.registry.lost) == 20
    assert story.answered < 0.5


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_defaults_lose_the_one_that_is_ill(seed: int) -> None:
    story = incident(seed, Guard())
    assert story.registry.lost == ["greeter-7"]
    assert story.answered > 0.95
    assert story.selector.status().in_flight < 100


def test_the_same_seed_tells_the_same_story() -> None:
    one, two = incident(1, Guard()), incident(1, Guard())
    assert one.callers.answered == two.callers.answered


# -- a script, or a network, that is wrong about most nodes ------------------------------------------------------------


def wrong(seed: int, how: str, guard: Optional[Guard], **options: Any) -> Story:
    """The nodes are busy for 60 % of the time. Twelve of the twenty are said to be bad, and are not: the eight others
    would have to do half as much again as they can."""
    story = Story(seed, 0.6, guard, **options)
    story.world.at(5.0, lambda: getattr(story.registry, how)(*story.registry.ids[:12]))
    story.world.run(60.0)
    return story


@pytest.mark.parametrize("seed", [1, 2])
def test_checks_that_turn_critical_without_reason(seed: int) -> None:
    assert wrong(seed, "fail", None, feedback=Feedback(panic=0.0)).answered < 0.5
    story = wrong(seed, "fail", None)
    assert story.answered > 0.99
    assert story.selector.status().panic == "only 8 of 20 nodes are healthy"


@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_that_vanish_without_reason(seed: int) -> None:
    assert wrong(seed, "remove", Guard.none()).answered < 0.5
    story = wrong(seed, "remove", Guard())
    assert story.answered > 0.99
    assert "the guard holds an answer back" in str(story.selector.status())
