"""Subsetting: the same few nodes for one client, other ones for another, and even over all."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
from collections import Counter
from typing import Any, FrozenSet, List, Sequence

import pytest

from regcache import Node, Selector, Subset
from regcache.select.peers import Pool
from regcache.select.subset import Chooser
from tests.select.source import Source, node, nodes, picks


def used(those: Sequence[Node], subset: Any, **options: Any) -> FrozenSet[str]:
    selector = Selector(Source(*those), subset=subset, **options)
    selector.select(key="any")
    return frozenset(peer.id for peer in selector.status().peers if peer.used)


def test_off_by_default() -> None:
    assert len(used(nodes(200), None)) == 200


def test_as_many_as_asked_for() -> None:
    assert len(used(nodes(200), Subset(client="a"))) == 25
    assert len(used(nodes(200), Subset(40, client="a"))) == 40
    assert len(used(nodes(25), Subset(25, client="a"))) == 25
    assert len(used(nodes(7), Subset(12, client="a"))) == 7


@pytest.mark.parametrize("size", [0, 1, 11, -5])
def test_a_subset_is_not_too_small(size: int) -> None:
    with pytest.raises(ValueError, match="at least 12 nodes"):
        Subset(size)


def test_calls_go_to_the_subset_only() -> None:
    selector = Selector(Source(*nodes(100)), subset=Subset(12, client="a"), strategy="round_robin")
    counts = Counter(picks(selector, 1200))
    assert set(counts.values()) == {100} and len(counts) == 12
    assert "a subset: Subset(12, client='a')" in str(selector.status())


def test_the_same_for_the_same_client_whatever_the_order() -> None:
    first = used(nodes(200), Subset(client="a"))
    assert first == used(nodes(200)[::-1], Subset(client="a"))
    assert first != used(nodes(200), Subset(client="b"))


def test_the_same_in_every_process() -> None:
    script = (
        "from regcache import Subset\n"
        "from tests.select.test_subset import used, nodes\n"
        "print(*sorted(used(nodes(200), Subset(client='a'))))"
    )
    done = subprocess.run([sys.executable, "-R", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == used(nodes(200), Subset(client="a"))


def test_the_client_is_the_host_unless_it_is_told() -> None:
    """The same after the program starts again, and in all workers that a server forks."""
    assert Subset().client == socket.gethostname()
    assert repr(Subset(30, client="h/1")) == "Subset(30, client='h/1')"


def test_a_node_more_or_less_changes_one_place() -> None:
    those = nodes(200)
    before = used(those, Subset(client="a"))
    changes: List[int] = []
    for gone in those:
        after = used([one for one in those if one is not gone], Subset(client="a"))
        changes.append(len(before - after))
        assert before - after <= {gone.id}
    assert sum(changes) == 25, "only where one of the subset goes"
    grown = used([*those, node(500)], Subset(client="a"))
    assert len(before - grown) <= 1 and grown - before <= {"greeter-500"}


def test_clients_spread_evenly_over_nodes() -> None:
    """1,000 clients with 25 of 100 nodes each. Of every node the clients are counted: 250 on average, and, as each
    client is one fair draw, with a standard deviation of sqrt(1000 * 1/4 * 3/4) = 13.7. The bound is a fifth (3.65
    deviations, which 1 of 40 sets of a hundred nodes would exceed; the clients' names are fixed, so this is no chance),
    and chi-square must not be above what it is in one of 10,000 cases."""
    peers, counts = Pool().renew(nodes(100)), Counter[str]()
    for client in range(1000):
        counts.update(peer.node.id for peer in Chooser(Subset(client=f"host-{client}")).choose(peers))
    assert len(counts) == 100
    assert 200 <= min(counts.values()) and max(counts.values()) <= 300
    assert 10 < statistics.pstdev(counts.values()) < 17
    # Draws without replacement: the variance is smaller than a multinomial's by 3/4.
    assert sum((seen - 250) ** 2 for seen in counts.values()) / (250 * 0.75) < 161.3


def test_a_node_that_is_not_well_gives_its_place_to_the_next() -> None:
    those = list(nodes(200))
    before = used(those, Subset(client="a"))
    sick = next(place for place, one in enumerate(those) if one.id in before)
    those[sick] = node(sick + 1, status="critical")
    after = used(those, Subset(client="a"))
    assert len(after) == 25 and before - after == {those[sick].id}


def test_an_ejected_node_gives_its_place_to_the_next_and_comes_back() -> None:
    source = Source(*nodes(200))
    selector = Selector(source, subset=Subset(client="a"), strategy="round_robin")
    before = set(picks(selector, 25))
    failing = min(before)
    for which in before:
        for _ in range(5):
            selector.mark(node(which), error=OSError())
    assert len(selector.status().ejected) == 2, "a tenth of the subset, not of the service"
    during = set(picks(selector, 25))
    assert len(during) == 25 and len(before - during) == 2
    source.clock.advance(31)
    picks(selector, 1)
    for which in before - during:
        selector.mark(node(which))
    assert set(picks(selector, 25)) == before and failing in before


def test_the_subset_is_of_what_the_filters_leave() -> None:
    def even(one: Node) -> bool:
        return one.port % 2 == 0

    left = used(nodes(200), Subset(client="a"), filters=[even])
    assert len(left) == 25 and all(int(one.rpartition("-")[2]) % 2 == 0 for one in left)
