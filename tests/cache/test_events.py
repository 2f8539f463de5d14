"""The hook for events, and the log."""

from __future__ import annotations

import logging
from typing import Any, List

import pytest

from regcache import Event, Unavailable
from tests.cache.fake import running, started


def test_what_happened_is_told() -> None:
    events: List[Event] = []
    cache, refresher = started(on_event=events.append)
    first = refresher.now.many(3, index=5)
    refresher.now.fail(Unavailable("down"))
    assert [event.kind for event in events] == ["refreshed", "error"]
    assert events[0].snapshot is first and events[0].service == "greeter"
    assert isinstance(events[1].error, Unavailable)
    assert [str(event) for event in events] == [
        "greeter: 3 nodes: 3 new, 0 changed, 0 gone",
        "greeter: Unavailable: down",
    ]


def test_no_news_is_no_event() -> None:
    events: List[Event] = []
    cache, refresher = running(on_event=events.append)
    refresher.now.unchanged()
    assert len(events) == 1


def test_a_hook_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: Event) -> None:
        raise ZeroDivisionError("oh")

    cache, refresher = running(on_event=hook)
    refresher.now.many(11, index=11)
    assert len(cache.get("greeter")) == 11
    assert refresher.in_flight
    lines = [record for record in caplog.records if "the hook for events failed" in record.message]
    assert len(lines) == 1 and lines[0].exc_info is not None


def test_a_hook_may_use_the_cache() -> None:
    seen: List[Any] = []
    holder: List[Any] = []

    def hook(event: Event) -> None:
        if holder:
            seen.append((len(holder[0].get("greeter", timeout=0)), holder[0].status("greeter").state))

    cache, refresher = started(on_event=hook)
    holder.append(cache)
    refresher.now.many(3)
    refresher.now.answer(index=9)
    cache.accept("greeter")
    assert seen == [(3, "fresh"), (3, "held"), (0, "fresh"), (0, "fresh")]


def test_one_line_in_half_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    cache, refresher = running(random=lambda: 0.99)
    for _ in range(20):
        refresher.now.fail(Unavailable("down"))
        refresher.advance(1)
    assert [record.message for record in caplog.records] == ["greeter: Unavailable: down"]
    assert caplog.records[0].levelno == logging.WARNING and caplog.records[0].name == "regcache"
    refresher.advance(30)
    refresher.now.fail(Unavailable("down"))
    assert caplog.records[-1].message == "greeter: Unavailable: down (19 more of this kind were not logged)"


def test_services_and_kinds_are_logged_apart(caplog: pytest.LogCaptureFixture) -> None:
    cache, refresher = running(10)
    refresher.now.answer(index=20)
    refresher.advance(0)
    refresher.now.fail(Unavailable("down"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_library_is_quiet_by_itself() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("regcache").handlers)
