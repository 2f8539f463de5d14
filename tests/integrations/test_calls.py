"""What the adapters have in common, on a clock that stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Iterator

import pytest

from regcache import Node, Selector
from regcache.integrations import host
from regcache.integrations.calls import Exchange, cut, longest
from regcache.integrations.links import Links
from regcache.integrations.services import address_of, url_host
from tests.interrupts import everywhere
from tests.select.source import Clock, Source, node, nodes
from tests.together import together


def test_latency_ends_where_the_answer_begins() -> None:
    clock = Clock()
    selector = Selector(Source(*nodes(1), clock=clock))
    with selector.call() as call:
        clock.advance(2)
        call.answered()
        clock.advance(5)
        call.answered()
        assert call.peer.in_flight == 1
    assert call.peer.latency == 2.0 and call.outcome == "success"


def test_a_link_is_given_back_by_whoever_is_interrupted_by_the_garbage_collector() -> None:
    source = Source(*nodes(2))
    opened = Opened(source)
    link = opened.links.take(node(1))
    source.refresh(node(2))
    with opened.links._lock:  # this very thread is in the middle of something
        opened.links.give(link)
        assert opened.closed == []
    opened.links.give(opened.links.take(node(2)))
    assert len(opened.closed) == 1 and link.used == 0


def test_each_going_has_a_grace_of_its_own() -> None:
    source = Source(*nodes(2))
    opened = Opened(source, grace=5.0)
    opened.links.give(opened.links.take(node(1)))
    source.refresh(node(2))
    source.refresh(*nodes(2))
    source.refresh(node(2))
    (_, first), (_, second) = opened.later
    first()
    assert opened.closed == []
    second()
    assert len(opened.closed) == 1


@pytest.mark.parametrize("failing", [True, False])
def test_a_call_is_left_once(failing: bool) -> None:
    over = []
    selector = Selector(Source(*nodes(1)))
    for attempt in selector.attempts(tries=1):
        exchange = Exchange(attempt, attempt.__enter__(), lambda: over.append(1))
        assert not exchange.answered(503, failing, repeat=False)
        exchange.done()
        exchange.done(ValueError())
        break
    assert over == [1] and selector.status().in_flight == 0
    assert selector.status().peers[0].failures == failing


def test_timeouts() -> None:
    assert longest(1.0, 3.0) == 3.0 and longest(1.0, None) is None
    assert cut(None, None) is None and cut(1.0, None) == 1.0
    assert cut(None, 2.0) == 2.0 and cut(3.0, 2.0) == 2.0 and cut(1.0, 2.0) == 1.0


def test_names_and_addresses() -> None:
    assert host("greeter-1.eu_2~a") == "greeter-1.eu_2~a"
    assert host("Say/größe %") == "%53ay%2fgr%c3%b6%c3%9fe%20%25"
    assert url_host("::1") == "[::1]" and url_host("a.b") == "a.b"
    for wrong in ("", "a/b", "a b", "a@b", "a%b", "[a"):
        with pytest.raises(ValueError, match="not the address"):
            url_host(wrong)
    import regcache

    assert address_of(regcache.Node("1", "[::1]", 80)) == ("::1", 80)
    assert address_of(regcache.Node("1", "10.0.0.1", 0)) == ("10.0.0.1", None)


# -- what is open to nodes -------------------------------------------------------------------------------------------


class Opened:
    """Notes what is opened and closed, and what is to happen later."""

    def __init__(self, source: Source, **options: Any) -> None:
        self.closed: "list[str]" = []
        self.later: "list[Any]" = []
        self.selector = Selector(source)
        self.links: "Links[str]" = Links(
            self.selector,
            lambda node: node.id,
            self.closed.append,
            later=lambda seconds, call: self.later.append((seconds, call)),
            **options,
        )


def test_a_link_is_closed_when_its_node_is_gone_and_its_calls_are_over() -> None:
    source = Source(*nodes(2))
    opened = Opened(source)
    one, again = opened.links.take(node(1)), opened.links.take(node(1))
    two = opened.links.take(node(2))
    assert one is again and len(opened.links) == 2
    opened.links.give(two)
    source.refresh(node(3))
    assert opened.closed == [two.opened]
    opened.links.give(one)
    assert opened.closed == [two.opened]
    opened.links.give(again)
    assert opened.closed == [two.opened, one.opened] and not len(opened.links)


def test_a_node_that_went_while_it_was_picked() -> None:
    source = Source(*nodes(1))
    opened = Opened(source)
    opened.links.give(opened.links.take(node(9)))
    assert len(opened.closed) == 1


def test_a_node_that_comes_back_in_time() -> None:
    source = Source(*nodes(1))
    opened = Opened(source, grace=5.0)
    link = opened.links.take(node(1))
    opened.links.give(link)
    source.refresh(node(2))
    ((seconds, ripe),) = opened.later
    assert seconds == 5.0 and not opened.closed
    source.refresh(*nodes(2))
    ripe()
    assert not opened.closed and opened.links.take(node(1)) is link
    opened.links.give(link)
    source.refresh(node(2))
    opened.later[1][1]()
    assert opened.closed == [link.opened]


def test_a_snapshot_is_gone_through_once_for_all_its_links() -> None:
    class Counted:
        """Stands in for a selector's source, and for its snapshot."""

        gone_through = 0

        def __iter__(self) -> "Iterator[Node]":
            self.gone_through += 1
            return iter(nodes(50))

        def view(self) -> "tuple[Counted, None]":
            return self, None

        def listen(self, call: "Callable[[], object]") -> None:
            pass

    source: Any = Counted()
    links: "Links[str]" = Links(SimpleNamespace(source=source), lambda node: node.id, print)  # type: ignore[arg-type]
    for one in nodes(50):
        links.give(links.take(one))
    assert source.gone_through == 1 and len(links) == 50


def test_one_that_cannot_be_closed_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(*nodes(3))
    opened = Opened(source)

    def close(which: str) -> None:
        opened.closed.append(which)
        raise OSError(f"{which} stays open")

    opened.links._close = close
    for one in nodes(3):
        opened.links.give(opened.links.take(one))
    source.refresh(node(4))
    assert opened.closed == ["greeter-1", "greeter-2", "greeter-3"]
    assert "greeter-2 stays open" in caplog.text


def test_an_interrupt_anywhere_leaves_links_that_work() -> None:
    made: "list[Opened]" = []

    def make() -> "Callable[[], object]":
        source = Source(*nodes(2))
        opened = Opened(source)
        made.append(opened)
        link = opened.links.take(node(1))
        source.refresh(node(2))
        return lambda: opened.links.give(link)

    for interrupted in everywhere(make):
        together(1, lambda _: made[-1].links.give(made[-1].links.take(node(2))))
        assert not made[-1].links._lock.locked(), interrupted.kept


def test_everything_is_handed_over_at_the_end() -> None:
    source = Source(*nodes(2))
    opened = Opened(source)
    used = opened.links.take(node(1))
    assert opened.links.close() == [used.opened]
    opened.links.give(used)
    assert not opened.closed
    opened.links.give(opened.links.take(node(1)))
    assert opened.closed == [used.opened], "who calls after the end leaves nothing open"
