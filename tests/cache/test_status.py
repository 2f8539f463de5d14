"""What the cache says about itself, as data and in words."""

from __future__ import annotations

import json

from regcache import Cache, MemoryRegistry, Unavailable
from tests.cache.fake import faked, running, started


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
    assert str(status).startswith("greeter: fresh; serves 12 nodes (index 345) of <MemoryRegistry")
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


def test_held_back() -> None:
    cache, refresher = running(10)
    refresher.now.many(3, index=20)
    refresher.advance(2)
    status = cache.status("greeter")
    assert status.held_back is not None
    assert status.held_back[:4] == (3, 2.0, 0, 3)
    assert (
        "an answer with 3 nodes is held back since 2.0 s ago: the registry has only 3 of the 10 nodes any more; "
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
    assert cache.explain(first) == str(cache.status("greeter"))
    refresher.now.many(11, index=11)
    told = cache.explain(first)
    assert told.startswith("a snapshot with 10 nodes (index 10) that is not what is served; greeter: fresh; serves 11")


def test_after_the_end() -> None:
    cache = Cache(MemoryRegistry())
    cache.close()
    assert cache.status("greeter").state == "closed"
