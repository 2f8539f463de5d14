"""A selector that is interrupted, by signals and the garbage collector, in the middle of anything."""

from __future__ import annotations

import logging
from typing import Any, Callable, List, Optional, Sequence

import pytest

from regcache import Cache, Selector, SelectorStatus, Unavailable
from regcache.select import Peer
from tests.cache.fake import running
from tests.interrupts import everywhere
from tests.select.source import Source, node, nodes, number, picks
from tests.together import together


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The handlers of logging, where they are interrupted, keep their locks."""
    caplog.set_level(logging.CRITICAL, "regcache")


def first(selector: Selector, source: Source) -> "Callable[[], object]":
    return selector.select


def limited(selector: Selector, source: Source) -> "Callable[[], object]":
    selector.select()
    return selector.select


def another_snapshot(selector: Selector, source: Source) -> "Callable[[], object]":
    selector.select()
    return lambda: source.refresh(*nodes(5))


def learned(selector: Selector, source: Source) -> "Callable[[], object]":
    selector.select()
    for _ in range(4):
        selector.mark(node(1), error=OSError())
    return lambda: selector.mark(node(1), error=OSError())


def reset(selector: Selector, source: Source) -> "Callable[[], object]":
    selector.select()
    return selector.reset


def asked(selector: Selector, source: Source) -> "Callable[[], object]":
    selector.select()
    return selector.status


@pytest.mark.parametrize("limit", [None, 1e9], ids=["", "limit"])
@pytest.mark.parametrize("what", [first, limited, another_snapshot, learned, reset, asked])
def test_an_interrupt_anywhere_leaves_a_selector_that_works(what: Any, limit: Optional[float]) -> None:
    """Also for other threads, while the exception is kept, as debuggers and ``sys.last_value`` do."""
    made: "List[Selector]" = []

    def make() -> "Callable[[], object]":
        source = Source(*nodes(4))
        made.append(Selector(source, strategy="round_robin", limit=limit))
        work: "Callable[[], object]" = what(made[-1], source)
        return work

    for interrupted in everywhere(make):
        selector = made[-1]

        def use(_: int, selector: Selector = selector) -> SelectorStatus:
            picked = {number(selector.select()) for _ in range(10)}
            told = selector.status()
            healthy = [peer.id for peer in told.peers if peer.state == "up"]
            assert picked == {int(one.rpartition("-")[2]) for one in healthy}
            return told

        (told,) = together(1, use)
        assert told.nodes >= 4 and interrupted.kept


@pytest.mark.parametrize("limit", [None, 1e9], ids=["", "limit"])
def test_closing_that_is_interrupted_is_closing(limit: Optional[float]) -> None:
    made: "List[Selector]" = []

    def make() -> "Callable[[], object]":
        made.append(Selector(Source(*nodes(4)), limit=limit))
        made[-1].select()
        return lambda: made[-1].close()

    for place, _ in enumerate(everywhere(make)):
        if place:  # the first is the call of close() itself
            made[-1].close()
        made[-1].close()
        with pytest.raises(Unavailable, match="the selector is closed"):
            made[-1].select()


class Meanwhile:
    """A strategy that does something, once, in the middle of the arranging."""

    def __init__(self) -> None:
        self.do: "Optional[Callable[[], object]]" = None

    def prepare(self, peers: "Sequence[Peer]") -> "Callable[[Any], Peer]":
        do, self.do = self.do, None
        if do is not None:
            do()
        return lambda key: peers[0]


@pytest.fixture
def meanwhile() -> Meanwhile:
    return Meanwhile()


@pytest.mark.parametrize("ready", [True, False])
def test_a_keyboard_interrupt_in_a_strategy_is_not_the_end(meanwhile: Meanwhile, ready: bool) -> None:
    source = Source(*nodes(2))
    selector = Selector(source, strategy=meanwhile)

    def interrupt() -> None:
        raise KeyboardInterrupt

    if ready:
        selector.select()
    meanwhile.do = interrupt
    with pytest.raises(KeyboardInterrupt):
        source.refresh(node(2)) if ready else selector.select()
    assert number(selector.select()) == (2 if ready else 1)


def test_outcomes_that_come_while_a_snapshot_is_arranged_are_heard(meanwhile: Meanwhile) -> None:
    """The garbage collector ends responses, and with them calls, on the thread that has the lock."""
    source = Source(*nodes(20))
    selector = Selector(source, strategy=meanwhile)

    def collected() -> None:
        for _ in range(5):
            selector.mark(node(3), error=OSError())
        assert not selector.status().ejected, "it is heard later"

    meanwhile.do = collected
    together(1, lambda _: selector.select())
    assert selector.status().ejected == ("greeter-3",)


def test_outcomes_do_not_wait_for_another_thread_that_arranges(meanwhile: Meanwhile) -> None:
    selector = Selector(Source(*nodes(20)), strategy=meanwhile)

    def another_thread(_: int) -> None:
        for _ in range(5):
            selector.mark(node(3), error=OSError())

    meanwhile.do = lambda: together(1, another_thread)
    together(1, lambda _: selector.select())
    assert selector.status().ejected == ("greeter-3",)


@pytest.mark.parametrize("limit", [None, 1e9], ids=["", "limit"])
def test_a_signals_handler_may_do_anything(meanwhile: Meanwhile, limit: Optional[float]) -> None:
    source = Source(*nodes(2))
    selector = Selector(source, strategy=meanwhile, limit=limit)
    seen: "List[Any]" = []

    def ask() -> None:
        seen.append(selector.status().closed)
        with pytest.raises(Unavailable, match="by this very thread"):
            selector.select()

    def change() -> None:
        seen.append(number(selector.select()))
        selector.reset()
        source.refresh(node(3))

    meanwhile.do = ask
    assert together(1, lambda _: number(selector.select())) == [1]
    meanwhile.do = change
    together(1, lambda _: source.refresh(node(2)))
    assert picks(selector, 2) == [3, 3]
    meanwhile.do = selector.close
    together(1, lambda _: source.refresh(node(4)))
    assert seen == [False, 1]
    with pytest.raises(Unavailable, match="the selector is closed"):
        selector.select()
    assert selector.status().closed and not selector.status().peers


def test_a_signals_handler_closes_the_cache_while_a_selector_arranges(meanwhile: Meanwhile) -> None:
    cache: Cache
    cache, _ = running(4)
    selector = cache.selector("greeter", meanwhile)
    meanwhile.do = cache.close
    for _ in range(2):
        with pytest.raises(Unavailable, match="the cache is closed"):
            together(1, lambda _: selector.select())
