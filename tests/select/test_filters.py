"""Filters: what they let through, how they combine and read, and what they say when they leave none."""

from __future__ import annotations

from typing import Any, List

import pytest

import regcache
from regcache import (  # fmt: skip
    Endpoint,
    Filter,
    Node,
    NoneAvailable,
    Selector,
    datacenter,
    endpoint,
    label,
    prefer,
    tag,
    version,
    where,
    zone,
)
from tests.select.source import Source, node, nodes, picks

status = regcache.status

MANY = [
    node(1, version="1.0", metadata={"canary": "yes"}, tags=["a"], datacenter="dc1", endpoints=[Endpoint("Say.Hello")]),
    node(2, version="1.1", tags=["a", "b"], datacenter="dc1", endpoints=[None, Endpoint("Say.Hello")]),
    node(3, version="2.0", status="warning", datacenter="dc2", meta={"zone": "eu-1"}, endpoints=[Endpoint("Say.Bye")]),
    node(4, version="2.0", metadata={"canary": "no", "zone": "eu-1"}, node_meta={"zone": "eu-2"}, datacenter="dc2"),
    node(5, metadata={"zone": "eu-1", "rack": "7"}),
]


def through(chosen: Any, those: List[Node] = MANY) -> List[int]:
    return [n + 1 for n, one in enumerate(those) if chosen(one)]


def big(one: Node) -> bool:
    return one.port > 8003


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (version("2.0"), [3, 4]),
        (version("1.0", "1.1"), [1, 2]),
        (version(""), [5]),
        (label("canary", "yes"), [1]),
        (label("canary", "yes", "no"), [1, 4]),
        (endpoint("Say.Hello"), [1, 2]),
        (status("passing"), [1, 2, 4, 5]),
        (status("warning", "critical"), [3]),
        (tag("b"), [2]),
        (tag("b", "a"), [1, 2]),
        (datacenter("dc2"), [3, 4]),
        (zone("eu-1"), [3, 5]),
        (zone("eu-2"), [4]),
        (zone("7", key="rack"), [5]),
        (where(big), [4, 5]),
        (where(lambda one: one.version), [1, 2, 3, 4]),
        (version("2.0") & zone("eu-1"), [3]),
        (version("1.0") | zone("eu-1"), [1, 3, 5]),
        (~version("2.0"), [1, 2, 5]),
        (~~version("2.0"), [3, 4]),
        (~(version("2.0") | version("1.0")), [2, 5]),
        (big & version("2.0"), [4]),
        (version("2.0") & big, [4]),
        (big | version("1.0"), [1, 4, 5]),
        (version("1.0") | big, [1, 4, 5]),
    ],
)  # fmt: skip
def test_what_is_let_through(chosen: Any, expected: List[int]) -> None:
    assert through(chosen) == expected
    used = picks(Selector(Source(*MANY), strategy="round_robin", filters=[chosen]), 3 * len(MANY))
    assert sorted(set(used)) == expected, "the selector agrees"


@pytest.mark.parametrize(
    "text",
    [
        "version('1.0')",
        "version('1.0', '1.1')",
        "label('canary', 'yes', 'no')",
        "endpoint('Say.Hello')",
        "status('passing')",
        "tag('a', 'b')",
        "datacenter('dc1')",
        "zone('eu-1')",
        "zone('7', key='rack')",
        "where(big)",
        "where(big, name='large ports')",
        "prefer(zone('eu-1'))",
        "prefer(zone('eu-1') | zone('eu-2'), at_least=3, healthy=0.5)",
        "version('1.0') & tag('a') & tag('b')",
        "version('1.0') & (tag('a') & tag('b'))",
        "version('1.0') | tag('a') & ~tag('b')",
        "(version('1.0') | tag('a')) & ~tag('b')",
        "~(version('1.0') & tag('a'))",
        "~~tag('a')",
        "version('1.0') | (tag('a') | tag('b'))",
        "~version('1.0') & prefer(zone('eu-1'))",
    ],
)
def test_a_filter_reads_as_it_was_typed(text: str) -> None:
    made = eval(text)
    assert isinstance(made, Filter)
    assert repr(made) == text


def test_operators_and_the_sequence_of_filters_mean_the_same() -> None:
    for filters in ([version("2.0"), zone("eu-1")], [version("2.0") & zone("eu-1")]):
        assert set(picks(Selector(Source(*MANY), filters=filters), 20)) == {3}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: version(), "version\\(\\) needs at least one value"),
        (lambda: label("zone"), "label\\(\\) needs at least one value"),
        (lambda: version(1.0), "compares texts, and 1.0 is none"),  # type: ignore[arg-type]
        (lambda: status("healthy"), "no status 'healthy'; there are passing, warning, critical, maintenance"),
        (lambda: where("1.0"), "'1.0' cannot be called"),  # type: ignore[arg-type]
        (lambda: prefer("1.0"), "'1.0' cannot be called"),  # type: ignore[arg-type]
        (lambda: version("1.0") & "1.0", "unsupported operand"),  # type: ignore[operator]
        (lambda: "1.0" | version("1.0"), "unsupported operand"),  # type: ignore[operator]
        (lambda: ~prefer(zone("a")), "cannot be combined"),
        (lambda: prefer(zone("a")) | zone("b"), "cannot be combined"),
        (lambda: zone("b") | (prefer(zone("a")) & zone("b")), "cannot be combined"),
        (lambda: prefer(prefer(zone("a"))), "cannot be combined"),
        (lambda: prefer(zone("a"), at_least=0), "at_least must be at least 1, not 0"),
        (lambda: prefer(zone("a"), healthy=70), "healthy is a part, from 0 to 1, not 70"),
    ],
)
def test_mistakes(make: Any, why: str) -> None:
    with pytest.raises((TypeError, ValueError), match=why):
        make()


# -- none is left ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([version("3.0")], "the filter version('3.0') left none of 5 nodes of 'greeter' (versions: '', '1.0', '1.1', '2.0')"),
        ([label("canary", "x")], "(labels 'canary': 'no', 'yes')"),
        ([label("color", "x")], "(labels 'color': none)"),
        ([endpoint("X")], "(endpoints: 'Say.Bye', 'Say.Hello')"),
        ([status("critical")], "(statuses: 'passing', 'warning')"),
        ([tag("x")], "(tags: 'a', 'b')"),
        ([datacenter("x")], "(datacenters: '', 'dc1', 'dc2')"),
        ([zone("x")], "(zones: 'eu-1', 'eu-2')"),
        ([zone("x", key="rack")], "(zones 'rack': '7')"),
        ([lambda n: False], "<lambda> left none of 5 nodes of 'greeter' (versions: '', '1.0', '1.1', '2.0')"),
        ([where(lambda n: False, name="nothing")], "name='nothing') left none of 5 nodes"),
        ([version("3.0") | tag("x")], "the filter version('3.0') | tag('x') left none of 5 nodes of 'greeter' "
                                      "(versions: '', '1.0', '1.1', '2.0'; tags: 'a', 'b')"),
        ([version("2.0") & tag("a")], "the filter tag('a') left none of 2 nodes of 'greeter' (tags: none)"),
        ([version("2.0"), tag("a")], "the filter tag('a') left none of 2 nodes of 'greeter' (tags: none)"),
        ([version("1.0"), tag("x")], "the filter tag('x') left none of 1 node of 'greeter' (tags: 'a')"),
    ],
)  # fmt: skip
def test_filters_that_leave_none_say_which_and_what_there_is(filters: List[Any], expected: str) -> None:
    selector = Selector(Source(*MANY), filters=filters)
    with pytest.raises(NoneAvailable) as caught:
        selector.select()
    assert expected in str(caught.value)


def test_long_lists_are_cut() -> None:
    source = Source(*(node(n, version=f"1.{n:02}") for n in range(1, 30)))
    with pytest.raises(NoneAvailable, match=r"versions: '1.01', .*'1.08', \.\.\.\)"):
        Selector(source, filters=[version("2.0")]).select()


# -- preferences -----------------------------------------------------------------------------------------------------


def zones(here: List[str], there: List[str]) -> List[Node]:
    """Nodes here (1 to 10) and there (from 11 on), each with its status."""
    return [
        node(first + n, meta={"zone": name}, status=said)
        for first, name, those in ((1, "here", here), (11, "there", there))
        for n, said in enumerate(those)
    ]


@pytest.mark.parametrize(
    ("here", "chosen", "local"),
    [
        (["passing"] * 10, prefer(zone("here")), True),
        (["passing"] * 7 + ["critical"] * 3, prefer(zone("here")), True),
        (["passing"] * 6 + ["critical"] * 4, prefer(zone("here")), False),
        (["passing"] * 6 + ["critical"] * 4, prefer(zone("here"), healthy=0.5), True),
        (["warning"] * 10, prefer(zone("here")), True),
        (["maintenance"] * 8 + ["passing"] * 2, prefer(zone("here")), True),
        (["passing"] * 2, prefer(zone("here"), at_least=3), False),
        (["passing"] * 3, prefer(zone("here"), at_least=3), True),
        ([], prefer(zone("here")), False),
    ],
)  # fmt: skip
def test_the_local_zone_is_preferred_until_too_few_are_left(here: List[str], chosen: Filter, local: bool) -> None:
    source = Source(*zones(here, ["passing"] * 5))
    used = set(picks(Selector(source, strategy="round_robin", filters=[chosen]), 40))
    wanted = {n + 1 for n, said in enumerate(here) if said in ("passing", "warning")}
    assert used == wanted if local else used == wanted | {11, 12, 13, 14, 15}


def test_ejected_nodes_do_not_count_as_usable() -> None:
    source = Source(*zones(["passing"] * 3, ["passing"] * 9))
    selector = Selector(source, strategy="round_robin", filters=[prefer(zone("here"))])
    assert set(picks(selector, 12)) == {1, 2, 3}
    for _ in range(5):
        selector.mark(node(1), error=OSError())
    assert set(picks(selector, 22)) == {2, 3, *range(11, 20)}, "two of three are fewer than 70 %"
    source.clock.advance(30)
    picks(selector, 1)
    selector.mark(node(1))
    assert set(picks(selector, 12)) == {1, 2, 3}


def test_filters_come_before_preferences() -> None:
    source = Source(
        node(1, meta={"zone": "here"}), node(2, version="2.0"), node(3, version="2.0", meta={"zone": "here"})
    )
    for filters in ([prefer(zone("here")), version("2.0")], [prefer(zone("here")) & version("2.0")]):
        assert set(picks(Selector(source, filters=filters), 10)) == {3}
    assert set(picks(Selector(source, filters=[prefer(zone("there")), version("2.0")]), 10)) == {2, 3}


def test_of_several_preferences_each_chooses_from_what_the_one_before_left() -> None:
    source = Source(*(node(n, meta={"zone": "here"}, version=f"{n % 2}") for n in range(1, 5)), *nodes(1))
    selector = Selector(source, filters=[prefer(zone("here")), prefer(version("1"))])
    assert set(picks(selector, 30)) == {1, 3}


def test_preferences_are_asked_once_about_each_node() -> None:
    asked: List[str] = []
    source = Source(*nodes(4))
    selector = Selector(source, filters=[prefer(lambda n: asked.append(n.id) or True)])  # type: ignore[func-returns-value]
    picks(selector, 10)
    for _ in range(5):
        selector.mark(node(1), error=OSError())
    picks(selector, 10)
    assert len(asked) == 4


def test_one_filter_needs_no_list() -> None:
    source = Source(*MANY)
    for filters in (version("2.0"), lambda n: n.version == "2.0", iter([version("2.0")])):
        assert set(picks(Selector(source, filters=filters), 50)) == {3, 4}
    assert repr(Selector(source, filters=version("2.0"))) == repr(Selector(source, filters=[version("2.0")]))
    with pytest.raises(TypeError, match="filters are called with a node, one or several of them; 5 cannot be called"):
        Selector(source, filters=5)  # type: ignore[arg-type]
