"""Token buckets and retry budgets, and the limit of a selector. Time is the test's."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, Callable

import pytest

from regcache import RegcacheError, RetryBudget, Selector, Throttled, TokenBucket
from tests.select.source import Clock, Source, nodes, picks
from tests.together import together

# -- the bucket ------------------------------------------------------------------------------------------------------


def test_a_bucket_is_full_at_first_and_fills_again() -> None:
    clock = Clock()
    bucket = TokenBucket(10.0, burst=3, clock=clock)
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take() == pytest.approx(0.1)
    assert bucket.take() == pytest.approx(0.1), "asking takes nothing"
    clock.advance(0.25)
    assert [bucket.take(), bucket.take()] == [0.0, 0.0]
    assert bucket.take() == pytest.approx(0.05)
    clock.advance(1000)
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take() > 0


def test_the_burst_is_a_second_s_calls_by_default() -> None:
    assert repr(TokenBucket(50)) == "TokenBucket(50, burst=50)"
    assert repr(TokenBucket(0.5)) == "TokenBucket(0.5, burst=1)"


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    clock = Clock()
    bucket = TokenBucket(1.0, clock=clock)
    assert bucket.take() == 0.0
    clock.advance(-100)
    assert bucket.take() == pytest.approx(1.0)


def test_threads_share_a_bucket() -> None:
    bucket = TokenBucket(1.0, burst=1000, clock=Clock())
    taken = together(8, lambda _: sum(bucket.take() == 0.0 for _ in range(500)))
    assert sum(taken) == 1000


@pytest.mark.parametrize("numbers", [(0,), (-1,), (float("inf"),), (float("nan"),), (1, 0.5), (1, -1)])
def test_a_bucket_that_makes_no_sense(numbers: Any) -> None:
    with pytest.raises(ValueError):
        TokenBucket(*numbers)


# -- the retry budget ------------------------------------------------------------------------------------------------


def allowed(budget: RetryBudget) -> int:
    count = 0
    while budget.retry():
        count += 1
    return count


def test_a_fifth_of_the_calls_and_ten_a_second() -> None:
    """Finagle's numbers, over its ten seconds."""
    clock = Clock()
    assert allowed(RetryBudget(clock=clock)) == 100
    budget = RetryBudget(clock=clock)
    for _ in range(1000):
        budget.call()
    assert allowed(budget) == 200 + 100


def test_what_is_allowed_comes_back_with_time() -> None:
    clock = Clock()
    budget = RetryBudget(0.2, 0.0, clock=clock)
    for _ in range(100):
        budget.call()
    assert allowed(budget) == 20
    clock.advance(9)
    assert allowed(budget) == 0
    for _ in range(50):
        budget.call()
    assert allowed(budget) == 10
    clock.advance(1)
    assert allowed(budget) == 0, "the first calls are as old as their retries"
    clock.advance(1000)
    assert allowed(budget) == 0, "old calls earn nothing"


def test_a_storm_is_bounded() -> None:
    """Everything fails, and everybody wants three tries: the load grows by a fifth (and ten a second), not to three
    times as much."""
    clock = Clock()
    budget = RetryBudget(clock=clock)
    calls = retries = 0
    for _ in range(60 * 200):
        budget.call()
        calls += 1
        retries += budget.retry() and 1 + budget.retry()
        clock.advance(1 / 200)
    assert 0.2 * calls < retries <= 0.2 * calls + 10 * (60 + 10)


def test_a_budget_of_nothing_and_one_of_everything() -> None:
    clock = Clock()
    assert not RetryBudget(0.0, 0.0, clock=clock).retry()
    budget = RetryBudget(float("inf"), clock=clock)
    budget.call()
    assert all(budget.retry() for _ in range(1000))
    assert repr(budget) == "RetryBudget(ratio=inf, per_second=10)"


@pytest.mark.parametrize("numbers", [(-0.1,), (0.2, -1), (float("nan"),), (20,), (1.5, 0)])
def test_a_budget_that_makes_no_sense(numbers: Any) -> None:
    with pytest.raises(ValueError):
        RetryBudget(*numbers)


# -- the limit of a selector -----------------------------------------------------------------------------------------


def call(selector: Selector) -> None:
    with selector.call():
        pass


def attempt(selector: Selector) -> None:
    for one in selector.attempts():
        with one:
            pass


def call_async(selector: Selector) -> None:
    async def work() -> None:
        async with selector.call():
            pass

    asyncio.run(work())


def select_async(selector: Selector) -> None:
    asyncio.run(selector.select_async())  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [Selector.select, call, attempt, call_async, select_async])
def test_a_limit_bounds_every_way_to_a_node(way: Callable[[Selector], object]) -> None:
    source = Source(*nodes(3))
    selector = Selector(source, limit=TokenBucket(10, burst=5, clock=source.clock))
    for _ in range(5):
        way(selector)
    with pytest.raises(
        Throttled, match="limit of 10 calls of 'greeter' a second is reached; the next .* in 0.1 s"
    ) as caught:
        way(selector)
    assert caught.value.retry_after == pytest.approx(0.1)
    assert selector.status().in_flight == 0
    source.clock.advance(0.1)
    way(selector)


def test_a_number_is_a_limit_too() -> None:
    source = Source(*nodes(3))
    selector = Selector(source, limit=2, strategy="round_robin", seed=1)
    first, second = picks(selector, 2)
    with pytest.raises(Throttled):
        selector.select()
    source.clock.advance(0.5)
    assert {first, second, *picks(selector, 1)} == {1, 2, 3}, "the round goes on"


def test_selectors_may_share_a_limit() -> None:
    source = Source(*nodes(3))
    limit = TokenBucket(10, burst=5, clock=source.clock)
    one, two = Selector(source, limit=limit), Selector(source, limit=limit)
    picks(one, 3), picks(two, 2)
    with pytest.raises(Throttled):
        one.select()


def test_throttled_is_one_of_ours_and_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(Throttled("too fast", 0.5)))
    assert isinstance(error, RegcacheError) and str(error) == "too fast" and error.retry_after == 0.5
