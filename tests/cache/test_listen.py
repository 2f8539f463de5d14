"""Those who prepare something of each snapshot: what they see, and when they are told."""

from __future__ import annotations

import gc
import logging
import os
import weakref
from typing import Any, List

import pytest

from regcache import Cache, MemoryRegistry, Unavailable
from regcache.cache.cache import MANY
from regcache.cache.source import Source
from tests.cache.fake import faked, running, started
from tests.cache.stub import node


class Ear:
    """Keeps what there was to see each time it was told."""

    def __init__(self, entry: Any) -> None:
        self.entry = entry
        self.seen: List[Any] = []
        entry.listen(self.hear)

    def hear(self) -> None:
        assert not self.entry._lock._is_owned()
        snapshot, held_back = self.entry.view()
        self.seen.append((None if snapshot is None else len(snapshot), held_back))


def test_a_view() -> None:
    cache, refresher = faked()
    entry = cache._entry("greeter")
    assert entry.view() == (None, None)
    assert refresher.loads == [], "looking asks nobody"
    entry.start()
    snapshot = refresher.now.many(10)
    assert entry.view() == (snapshot, None)
    refresher.now.answer(index=20)
    assert entry.view() == (snapshot, "the registry has none of the 10 nodes any more")


def test_told_of_everything_that_is_served_or_believed() -> None:
    cache, refresher = started()
    ear = Ear(cache._entries["greeter"])
    refresher.now.many(10)
    assert ear.seen == [(10, None)]
    refresher.now.unchanged()
    refresher.now.fail(Unavailable("refused"))
    assert ear.seen == [(10, None)], "nothing else is served"
    refresher.advance(60)
    refresher.now.many(2, index=20)
    why = "the registry has only 2 of the 10 nodes any more"
    assert ear.seen[1:] == [(10, why)]
    assert cache.accept("greeter")
    assert ear.seen[2:] == [(2, None)]
    cache.close()
    assert ear.seen[3:] == [(None, None)]


def test_told_when_the_nodes_are_back() -> None:
    cache, refresher = running(10, index=10)
    refresher.now.answer(index=20)
    ear = Ear(cache._entries["greeter"])
    refresher.advance(0)
    refresher.now.answer(*map(node, range(1, 11)), index=10)
    assert ear.seen == [(10, None)]


def test_told_when_a_doubt_is_dropped_because_nobody_asks() -> None:
    events: List[str] = []
    cache, refresher = running(10, index=10, on_event=lambda event: events.append(event.kind))
    refresher.now.answer(index=20)
    entry = cache._entries["greeter"]
    ear = Ear(entry)
    entry.rest()
    assert ear.seen == [(10, None)]
    assert events == ["refreshed", "held", "released"]


def test_told_before_the_hook_is() -> None:
    """Whoever hears of a new snapshot in the hook finds the selectors ready for it."""
    order: List[str] = []
    cache, refresher = started(on_event=lambda event: order.append(event.kind))

    def hear() -> None:
        order.append("listener")

    cache._entries["greeter"].listen(hear)
    refresher.now.many(1)
    assert order == ["listener", "refreshed"]


def test_kept_by_a_weak_reference() -> None:
    cache, refresher = started()
    entry = cache._entries["greeter"]
    ear, other = Ear(entry), Ear(entry)
    seen = ear.seen
    del ear
    gc.collect()
    refresher.now.many(1)
    assert (seen, len(other.seen)) == ([], 1)
    Ear(entry)
    gc.collect()
    third = Ear(entry)
    assert len(entry._listeners) == 2, "the places of those who are gone are used again"
    assert third.seen == []


def test_one_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    cache, refresher = started()
    entry = cache._entries["greeter"]

    def broken() -> None:
        raise KeyError("no such key")

    entry.listen(broken)
    ear = Ear(entry)
    with caplog.at_level(logging.WARNING, "regcache"):
        refresher.now.many(10)
        refresher.now.answer(node(1), index=20)
    assert len(ear.seen) == 2
    lines = [record.getMessage() for record in caplog.records if "broken" in record.getMessage()]
    assert len(lines) == 1, "one line in a while"
    assert "KeyError('no such key')" in lines[0]
    assert cache.status("greeter").nodes == 10


def test_a_selector_is_never_of_a_service_that_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may come between finding the service and the selector's own pin."""
    cache, refresher = faked()

    def sweeping(cache: Any, entry: Any) -> Source:
        cache._sweep()
        return Source(cache, entry)

    monkeypatch.setattr("regcache.cache.cache.Source", sweeping)
    kept: Any = [cache.selector("selected"), cache.reader("read")]
    assert set(cache._entries) == {"selected", "read"}
    del kept
    gc.collect()
    cache._sweep()
    assert not cache._entries, "and is forgotten with its selector"


def test_pinned_services_are_not_forgotten() -> None:
    cache, refresher = faked()
    entry = cache._entry("greeter")
    entry.pin()
    entry.pin()
    entry.unpin()
    for number in range(MANY):
        cache._entry(f"other-{number}")
    assert cache._entries["greeter"] is entry
    entry.unpin()
    cache._sweep()
    assert "greeter" not in cache._entries


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not there")
def test_in_the_child_of_a_fork_the_slot_and_the_listeners_are_the_same() -> None:
    cache, refresher = running(10)
    entry = cache._entries["greeter"]
    slot = entry.slot
    refresher.now.answer(index=20)
    ear = Ear(entry)
    snapshot = slot.get()
    child = os.fork()
    if not child:
        good = False
        try:
            refresher.in_flight.clear()
            assert entry.slot is slot and slot.look() is None, "the first caller looks after it"
            assert slot.used is True
            assert ear.seen == []
            assert cache.get("greeter", timeout=0) is snapshot
            assert ear.seen == [], "other locks may not be renewed yet"
            refresher.now.answer(*snapshot.nodes, index=10)
            assert ear.seen == [(10, None)], "what the parent held back is not held back here"
            refresher.now.answer(*snapshot.nodes, node(11), index=11)
            assert ear.seen == [(10, None), (11, None)]
            good = True
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ear.seen == []


def test_a_source_keeps_the_cache_and_its_parts_do_not() -> None:
    cache, refresher = running(1)
    source = cache._source("greeter")
    entry, gone = cache._entries["greeter"], weakref.ref(cache)
    assert source.slot is entry.slot and source.clock is refresher.clock
    del cache
    gc.collect()
    assert gone() is not None
    assert source.get() is source.slot.look() is source.view()[0]
    unpin = source.unpin
    source.pin()
    del source
    gc.collect()
    assert gone() is None
    unpin()


def test_an_entry_waits_as_long_as_its_cache_says() -> None:
    registry = MemoryRegistry()
    with Cache(registry, cold_wait=0.0) as cache:
        entry = cache._entry("greeter")
        entry.start()
        assert entry.get(60.0) is entry.get()
