"""Attempts: other nodes, one deadline, a budget, and which exceptions are tried again."""

from __future__ import annotations

import asyncio
from typing import Any, List

import pytest

from regcache import NoneAvailable, RetryBudget, Selector, Throttled, TokenBucket
from tests.select.source import Clock, Source, node, nodes, number, picks


class Refused(OSError):
    pass


def made(count: int, **options: Any) -> "tuple[Selector, Source]":
    source = Source(*nodes(count))
    return Selector(source, **options), source


def tried(selector: Selector, fails: int, **how: Any) -> List[int]:
    """The nodes that were tried, of which so many failed."""
    seen: List[int] = []
    for attempt in selector.attempts(**how):
        with attempt as call:
            seen.append(number(call.node))
            if len(seen) <= fails:
                raise Refused
    return seen


def tried_async(selector: Selector, fails: int, **how: Any) -> List[int]:
    async def work() -> List[int]:
        seen: List[int] = []
        async for attempt in selector.attempts(**how):
            async with attempt as call:
                seen.append(number(call.node))
                if len(seen) <= fails:
                    raise Refused
        return seen

    return asyncio.run(work())


BOTH = pytest.mark.parametrize("run", [tried, tried_async])
KEY = {"key": "a key"}


@BOTH
@pytest.mark.parametrize("strategy", ["p2c", "random", "round_robin", "peak_ewma", "weighted", "hash"])
def test_never_the_node_that_was_tried(run: Any, strategy: str) -> None:
    for _ in range(20):
        selector, _ = made(4, strategy=strategy)
        assert sorted(run(selector, 3, tries=4, **KEY)) == [1, 2, 3, 4]


@BOTH
def test_one_that_goes_well_is_the_last(run: Any) -> None:
    selector, _ = made(4)
    assert len(run(selector, 0)) == 1
    assert len(run(selector, 1)) == 2


@BOTH
def test_the_last_exception_is_raised(run: Any) -> None:
    selector, _ = made(4)
    for tries in (1, 2, 3):
        with pytest.raises(Refused):
            run(selector, 3, tries=tries)
    assert sum(peer.failures for peer in selector.status().peers) == 6
    assert selector.status().in_flight == 0


@BOTH
def test_hash_goes_on_along_the_ring(run: Any) -> None:
    selector, _ = made(10, strategy="hash")
    order = run(selector, 4, tries=5, **KEY)
    assert order == run(selector, 4, tries=5, **KEY), "the second choice of a key is always the same, too"
    assert order[0] == number(selector.select(key="a key"))


@BOTH
def test_with_fewer_nodes_than_tries_not_the_one_that_just_failed(run: Any) -> None:
    selector, _ = made(2)
    first, second, third = run(selector, 2, tries=3)
    assert first != second != third
    selector, _ = made(1)
    assert run(selector, 2, tries=3) == [1, 1, 1]


def test_a_refresh_in_between_does_not_bring_it_back() -> None:
    for _ in range(20):
        selector, source = made(2)
        seen = []
        for attempt in selector.attempts():
            with attempt as call:
                seen.append(number(call.node))
                if len(seen) == 1:
                    source.refresh(*nodes(2, version="2.0"))  # other objects, with the same names
                    raise Refused
        assert seen[0] != seen[1]


def test_one_deadline_for_all() -> None:
    selector, source = made(4)
    remaining: List[Any] = []
    with pytest.raises(Refused):
        for attempt in selector.attempts(timeout=1.0, tries=10):
            with attempt as call:
                remaining.append(call.remaining)
                source.clock.advance(0.4)
                raise Refused
    assert remaining == pytest.approx([1.0, 0.6, 0.2])
    for attempt in selector.attempts():
        with attempt as call:
            assert call.remaining is None


def test_the_deadline_begins_with_the_question() -> None:
    selector, source = made(4)
    attempts = selector.attempts(timeout=1.0)
    source.clock.advance(0.7)
    for attempt in attempts:
        with attempt as call:
            assert call.remaining == pytest.approx(0.3)


def test_the_budget_ends_a_storm() -> None:
    selector, source = made(10, feedback=None, budget=RetryBudget(0.2, 0.0, clock=Clock()))
    calls = 0
    for _ in range(100):
        try:
            for attempt in selector.attempts(tries=3):
                with attempt:
                    calls += 1
                    raise Refused
        except Refused:
            pass
    assert calls == 120


def test_ignored_exceptions_are_raised_at_once() -> None:
    selector, _ = made(4)
    calls = 0
    with pytest.raises(ValueError, match="404"):
        for attempt in selector.attempts():
            with attempt as call:
                calls += 1
                call.ignore(ValueError)
                raise ValueError("404")
    assert calls == 1
    assert sum(peer.failures for peer in selector.status().peers) == 0


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_says_nothing_about_the_node_is_raised_at_once(kind: Any) -> None:
    selector, _ = made(4)
    calls = 0
    with pytest.raises(kind):
        for attempt in selector.attempts():
            with attempt:
                calls += 1
                raise kind
    assert calls == 1 and selector.status().in_flight == 0


def test_failures_without_an_exception() -> None:
    selector, _ = made(4)
    statuses = iter([503, 503, 200])
    seen = []
    for attempt in selector.attempts():
        with attempt as call:
            response = next(statuses)
            seen.append(call.node.id)
            if response == 503:
                call.failed("503")
    assert response == 200 and len(set(seen)) == 3
    for attempt in selector.attempts(tries=2):
        with attempt as call:
            response = 503
            call.failed("503")
    assert response == 503, "the last response is the caller's to look at"


def test_leaving_the_loop_from_within() -> None:
    selector, _ = made(4)

    def fetch() -> str:
        for attempt in selector.attempts():
            with attempt as call:
                return call.node.id
        raise AssertionError

    assert fetch().startswith("greeter-")
    for attempt in selector.attempts():
        with attempt:
            break
    assert selector.status().in_flight == 0


def test_an_attempt_that_is_not_entered() -> None:
    selector, _ = made(4)
    with pytest.raises(RuntimeError, match="with attempt as call"):
        for _attempt in selector.attempts():
            pass


def test_nothing_can_be_found() -> None:
    source = Source(node(1, status="maintenance"))
    with pytest.raises(NoneAvailable):
        tried(Selector(source), 0)


def test_nothing_can_be_found_any_more() -> None:
    source = Source(*nodes(2))
    selector = Selector(source, limit=TokenBucket(1, burst=1, clock=source.clock))
    with pytest.raises(Throttled) as caught:
        tried(selector, 1)
    assert isinstance(caught.value.__cause__, Refused), "why there was another attempt"


def test_attempts_are_learned_from() -> None:
    selector, _ = made(2, strategy="round_robin")
    for _ in range(30):
        try:
            for attempt in selector.attempts():
                with attempt as call:
                    if call.node.id == "greeter-1":
                        raise Refused
        except Refused:
            pass
    assert selector.status().ejected == ("greeter-1",)
    assert set(picks(selector, 10)) == {2}


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"timeout": -1.0}, {"timeout": float("nan")}])
def test_mistakes(wrong: Any) -> None:
    with pytest.raises(ValueError):
        made(1)[0].attempts(**wrong)
