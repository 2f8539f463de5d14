"""A cache that is interrupted, by signals whose handlers raise or call it, in the middle of anything."""

from __future__ import annotations

import logging
from typing import Any, Callable, List

import pytest

from regcache import Cache, Snapshot, Unavailable
from regcache.registry import MemoryRegistry
from tests.cache.fake import FakeRefresher, faked, running, started
from tests.interrupts import Interrupt, everywhere
from tests.together import together


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The handlers of logging, where they are interrupted, keep their locks."""
    caplog.set_level(logging.CRITICAL, "regcache")


def stale(**options: Any) -> "tuple[Cache, FakeRefresher]":
    """The next caller starts a refresh."""
    cache, refresher = running(4, watch=False, ttl=3.0, **options)
    refresher.advance(2.5)
    return cache, refresher


def test_an_interrupt_anywhere_leaves_the_refresh_to_the_next_caller() -> None:
    made: "List[tuple[Cache, FakeRefresher]]" = []

    def make() -> "Callable[[], object]":
        made.append(stale())
        return lambda: made[-1][0].get("greeter")

    for interrupted in everywhere(make):
        cache, refresher = made[-1]
        told = together(1, lambda _, cache=cache: (len(cache.get("greeter")), cache.status("greeter").nodes))
        assert told == [(4, 4)] and interrupted.kept
        refresher.advance(60)  # what was begun may be as good as dead
        cache.get("greeter")
        refresher.in_flight[-1].many(5, index=11)  # the interrupt may have come when one was sent and not yet known
        assert len(cache.get("greeter")) == 5


def test_an_interrupt_anywhere_leaves_a_cold_service_to_the_next_caller() -> None:
    made: "List[tuple[Cache, FakeRefresher]]" = []

    def make() -> "Callable[[], object]":
        made.append(faked())
        return lambda: made[-1][0]._entry("greeter").start()

    for _ in everywhere(make):
        cache, refresher = made[-1]
        together(1, lambda _, cache=cache: cache._entry("greeter").start())
        refresher.in_flight[-1].many(3)
        assert len(cache.get("greeter")) == 3


class Claimed:
    """A slot whose claim is taken, and then there is an interrupt."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        self.used = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._slot, name)

    def claim(self) -> bool:
        assert self._slot.claim()
        raise Interrupt


def test_a_claim_is_not_lost_when_an_interrupt_comes_right_after_it() -> None:
    cache, refresher = stale()
    entry: Any = cache._entries["greeter"]
    slot = entry.slot
    entry.slot = Claimed(slot)
    with pytest.raises(Interrupt):
        cache.get("greeter")
    entry.slot = slot
    assert not refresher.in_flight
    assert len(cache.get("greeter")) == 4
    refresher.now.many(5, index=11)
    assert len(cache.get("greeter")) == 5


class Telling(MemoryRegistry):
    """Does something when it is asked for its text, which is in the middle of making an entry."""

    meanwhile: "Callable[[], object]" = staticmethod(lambda: None)

    def __repr__(self) -> str:
        self.meanwhile()
        return "Telling()"


def test_a_signals_handler_closes_the_cache_while_it_makes_an_entry() -> None:
    registry = Telling()
    refresher: Any = FakeRefresher()
    cache = Cache(registry, clock=refresher.clock, refresher=refresher)
    registry.meanwhile = cache.close

    def use(_: int) -> None:
        for _ in range(2):
            with pytest.raises(Unavailable, match="the cache is closed"):
                cache.get("greeter", timeout=0)

    together(1, use)
    assert refresher.closed and not refresher.in_flight


def test_names_are_forgotten_in_one_step_beside_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who found the entry before it is forgotten is served by it, and not told that nobody asks any more."""
    cache, refresher = faked()
    entry = cache._entry("strange")
    forget = entry.forget
    callers: "List[Any]" = []

    def slowly() -> bool:
        # Another thread comes when it is decided, and what is decided is done before it is served.
        forgotten = forget()
        entry.start()
        callers.append(entry._flight)
        return forgotten

    monkeypatch.setattr(entry, "forget", slowly)
    cache._sweep()
    assert "strange" not in cache._entries
    (flight,) = callers
    assert not flight.wait(0)
    snapshot: Snapshot = refresher.now.answer()
    assert flight.wait(0) and flight.result() is snapshot


def test_names_with_callers_are_not_forgotten() -> None:
    cache, refresher = started()
    cache._sweep()
    assert "greeter" in cache._entries and len(refresher.in_flight) == 1
