"""Places: who may have a connection, in which order, for how long."""

from __future__ import annotations

from typing import Any, List

import pytest

from regcache.cache.connections import ROUND, SHORTEST, Places, Turn


def want(places: "Places[Any]", count: int, *, wait: Any = None, urgent: bool = False) -> "List[Turn[Any]]":
    turns: "List[Turn[Any]]" = [Turn(number, wait=wait, urgent=urgent) for number in range(count)]
    for turn in turns:
        places.want(turn)
    return turns


def given(places: "Places[Any]", now: float = 0.0) -> "List[Turn[Any]]":
    turns = []
    while True:
        turn = places.next(now)
        if turn is None:
            return turns
        turns.append(turn)


def test_blocking_queries_get_three_quarters_and_plain_requests_the_rest() -> None:
    places: "Places[Any]" = Places(8)
    want(places, 20, wait=55.0)
    assert len(given(places)) == 6
    want(places, 20)
    assert len(given(places)) == 2
    assert places.open == 8
    assert places.queued == 14 + 18


def test_urgent_ones_go_first_then_plain_ones_then_those_that_wait_in_order() -> None:
    places: "Places[Any]" = Places(8)
    order = want(places, 2, wait=55.0)
    order = want(places, 2) + order
    order = want(places, 2, urgent=True) + order
    assert given(places) == order


def test_where_all_have_room_half_wait_as_long_as_they_want_and_the_rest_for_a_round() -> None:
    places: "Places[Any]" = Places(16)
    want(places, 12, wait=55.0)
    assert [turn.wait for turn in given(places)] == [55.0] * 6 + [ROUND] * 6


def test_where_they_are_more_all_have_had_a_turn_after_a_round() -> None:
    places: "Places[Any]" = Places(128)
    want(places, 192, wait=55.0)
    turns = given(places)
    assert len(turns) == 96
    assert {turn.wait for turn in turns} == {ROUND / 2}
    for turn in turns:
        places.leave(turn)
    assert [turn.whom for turn in given(places)] == list(range(96, 192))


def test_no_turn_is_shorter_than_the_shortest_unless_it_wants_to_be() -> None:
    places: "Places[Any]" = Places(4)
    want(places, 1, wait=0.1)
    want(places, 1000, wait=55.0)
    assert [turn.wait for turn in given(places)] == [0.1, SHORTEST, SHORTEST]


def test_a_place_is_given_back_once() -> None:
    places: "Places[Any]" = Places(2)
    first, second, third = want(places, 3, wait=55.0)
    assert given(places) == [first]
    places.leave(first)
    places.leave(first)
    places.leave(third)  # in the queue
    assert given(places) == [second]
    assert places.open == 1 and places.queued == 0


def test_the_agent_holds_what_was_broken_off_for_a_while() -> None:
    places: "Places[Any]" = Places(8)
    turns = want(places, 6, wait=55.0)
    assert given(places) == turns
    for turn in turns:
        places.leave(turn, abandoned=58.0)
    want(places, 6, wait=55.0)
    assert len(given(places)) == 2  # the spare third of all places
    assert places.later() == 58.0
    assert len(want(places, 1, urgent=True)) == len(given(places))
    assert len(given(places, now=58.0)) == 4


def test_a_registry_without_connections_has_room_for_all() -> None:
    places: "Places[Any]" = Places(2)
    places.unbind()
    want(places, 1000, wait=55.0)
    assert [turn.wait for turn in given(places)] == [55.0] * 1000


def test_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Places(1)
