"""What the cache says about itself, as data and in words."""

from __future__ import annotations

import gc
import json
from typing import Any, List, Optional

import pytest

from regcache import Cache, Guard, MemoryRegistry, Snapshot, Unavailable
from regcache.cache.refresh import Outcome
from tests.cache.fake import faked, running, started
from tests.cache.stub import node
from tests.eventually import eventually


def test_a_service_that_nobody_asked_for() -> None:
    cache, refresher = faked()
    status = cache.status("greeter")
    assert (status.state, status.nodes, status.watching) == ("cold", None, False)
    assert "nothing is held" in str(status)
    assert not cache._entries and not refresher.loads


def test_before_the_first_answer() -> None:
    cache, refresher = started()
    status = cache.status("greeter")
    assert (status.state, status.next_attempt_in) == ("refreshing", 0.0)
    assert "the registry is being asked" in str(status)


def test_watched() -> None:
    cache, refresher = running(12, index=345)
    refresher.advance(3)
    status = cache.status("greeter")
    assert status[:6] == ("greeter", "fresh", 12, 345, 3.0, 3.0)
    assert status.watching and status.next_attempt_in is None and status.last_error is None
    assert str(status).startswith("greeter: fresh; serves 12 nodes (index 345) of MemoryRegistry()")
    assert "confirmed 3.0 s ago" in str(status) and str(status).endswith("waits for changes")


def test_failing() -> None:
    cache, refresher = running()
    refresher.advance(10)
    refresher.now.fail(Unavailable("down"))
    refresher.advance(0.25)
    refresher.now.fail(Unavailable("still down"))
    refresher.advance(0.125)
    status = cache.status("greeter")
    assert (status.state, status.failures, status.last_error_age, status.next_attempt_in) == ("failed", 2, 0.125, 0.375)
    assert isinstance(status.last_error, Unavailable)
    assert "the last failure was 0.1 s ago (2 in a row): Unavailable: still down; asks again in 0.4 s" in str(status)
    refresher.advance(1)
    refresher.now.many(10, index=11)
    assert cache.status("greeter").failures == 0
    assert "(it is over)" in str(cache.status("greeter"))


def test_when_nobody_asks_a_caller_is_waited_for() -> None:
    cache, refresher = running(watch=False, ttl=30.0)
    for seconds in (10.0, 20.0):  # before and after a caller may start a refresh
        refresher.advance(seconds)
        status = cache.status("greeter")
        assert status.next_attempt_in is None and not status.watching
        assert str(status).endswith(f"served for {30.0 if seconds == 20.0 else 10.0} s")
    cache._entries["greeter"].rest()
    assert cache.status("greeter").next_attempt_in is None


def test_an_error_from_before_the_last_confirmation_is_over() -> None:
    cache, refresher = running(watch=False, ttl=30.0, max_stale=100.0)
    refresher.advance(30)
    cache.get("greeter")
    refresher.now.fail(Unavailable("down on monday"))
    refresher.advance(30)
    cache.get("greeter")
    refresher.now.many(10, index=11)
    refresher.advance(345_600)
    with pytest.raises(Unavailable, match="and the registry failed since: Timeout: no answer"):
        cache.get("greeter", timeout=0)


def test_held_back() -> None:
    cache, refresher = running(10)
    refresher.now.many(3, index=20)
    refresher.advance(2)
    status = cache.status("greeter")
    assert status.held_back is not None
    assert status.held_back[:4] == (3, 2.0, 0, 3)
    assert (
        "an answer with 3 nodes has been held back for 2.0 s: the registry has only 3 of the 10 nodes any more; "
        "0 of 3 further answers agreed"
    ) in str(status)


def test_ready_for_json() -> None:
    cache, refresher = running(10)
    refresher.now.many(3, index=20)
    refresher.advance(2)
    refresher.now.fail(Unavailable("down"))
    told = json.loads(json.dumps(cache.status("greeter").to_dict()))
    assert told["last_error"] == "Unavailable: down"
    assert told["held_back"]["why"].startswith("the registry has only 3 of the 10")


def test_a_snapshot_is_explained() -> None:
    cache, refresher = running(10, index=10)
    first = cache.get("greeter")
    assert first.explain() == str(cache.status("greeter"))
    refresher.now.many(11, index=11)
    told = first.explain()
    assert told.startswith("a snapshot with 10 nodes (index 10) that is not what is served; greeter: fresh; serves 11")
    entry = cache._entries.pop("greeter")
    second = entry.slot.get()
    assert second is not None and second.explain() == str(entry.status())
    del entry, cache, refresher

    def told_at_the_end() -> str:
        gc.collect()
        return second.explain()

    no_more = "greeter: a snapshot with 11 nodes (index 11) that no cache serves any more"
    eventually(lambda: told_at_the_end() == no_more)  # a thread of its own ends what the cache left
    assert second.stale and not second.held


def test_a_snapshot_that_never_was_in_a_cache() -> None:
    snapshot = Snapshot("greeter", [node(1)], index=3)
    assert snapshot.explain() == "greeter: a snapshot with 1 node (index 3) that no cache serves"
    assert snapshot.stale is snapshot.held is False


def test_a_snapshot_of_two_caches_is_the_first_one_s() -> None:
    cache, refresher = running(1)
    snapshot = cache.get("greeter")
    other, others = started()
    others.now.end(Outcome(snapshot, None, snapshot.index, False, 0.0, 0.0))
    assert other.get("greeter") is snapshot
    other.close()
    assert not snapshot.stale


def test_stale_and_held_with_a_watch() -> None:
    cache, refresher = running(10, index=10)

    def said() -> Any:
        return snapshot.stale, snapshot.held

    snapshot = cache.get("greeter")
    assert said() == (False, False)
    refresher.advance(10_000)
    assert said() == (False, False), "it would be told of a change"
    refresher.now.answer(index=20)
    assert said() == (False, True)
    refresher.advance(0)
    refresher.now.fail(Unavailable("down"))
    assert said() == (True, True), "nobody tells of changes"
    refresher.advance(60)
    refresher.now.answer(*snapshot.nodes, index=10)
    assert said() == (False, False)
    refresher.now.many(9, index=30)
    assert said() == (True, False), "replaced"
    snapshot = cache.get("greeter")
    assert said() == (False, False)
    cache._entries["greeter"].rest()
    assert said() == (True, False), "no longer watched"
    cache.close()
    assert said() == (True, False)
    assert "closed" in snapshot.explain()


def test_stale_without_a_watch() -> None:
    cache, refresher = running(10, watch=False, ttl=30)
    snapshot = cache.get("greeter")
    refresher.advance(29)
    cache.get("greeter")
    refresher.now.fail(Unavailable("down"))
    assert not snapshot.stale, "the ttl is not over"
    refresher.advance(1)
    assert snapshot.stale
    assert cache.status("greeter").state == "failed"
    cache.get("greeter")
    refresher.now.answer(*snapshot.nodes, index=10)
    assert not snapshot.stale


def test_a_guard_may_ask_about_what_is_held() -> None:
    """It is asked in the middle of everything."""
    said: List[Any] = []

    class Curious(Guard):
        def doubts(self, held: Snapshot, answer: Snapshot) -> Optional[str]:
            said.append((held.explain(), held.stale, held.held, answer.stale))
            return None

    cache, refresher = running(10, guard=Curious())
    refresher.now.many(11, index=11)
    (told,) = said
    assert told[0].startswith("greeter: fresh; serves 10 nodes") and told[1:] == (False, False, False)


def test_after_the_end() -> None:
    cache = Cache(MemoryRegistry())
    cache.close()
    assert cache.status("greeter").state == "closed"
