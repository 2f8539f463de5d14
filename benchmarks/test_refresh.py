"""The same service again, of which some nodes changed since: what the reading before is worth."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest

from regcache.codec import compiled, pure

from . import made
from .baselines import best, naive
from .measure import fresh

NODES = 1_000
ROUNDS = 9
CHANGED = {"nothing changed": 0.0, "1 % of the nodes changed": 0.01, "50 % of the nodes changed": 0.5}

LONG = pytest.mark.long

Make = Callable[[], Callable[[], Any]]


def _warm(before: Any, now: Any) -> Make:
    memo: Dict[str, Any] = {}
    best.versions(before.data, memo)

    def make() -> Callable[[], Any]:
        known = dict(memo)
        return lambda: best.versions(now.data, known)

    return make


def _ours(codec: Any) -> Callable[[Any, Any], Make]:
    def prepare(before: Any, now: Any) -> Make:
        previous = codec.decode(before.data, before.service)
        _short(previous)
        return lambda: lambda: _short(codec.decode(now.data, now.service, previous=previous))

    return prepare


def _short(nodes: Any) -> Any:
    return [(node.address, node.port, node.version) for node in nodes]


WAYS: Dict[str, Callable[[Any, Any], Make]] = {
    "naive": lambda before, now: lambda: lambda: naive.versions(now.data),
    "msgspec-cold": lambda before, now: lambda: lambda: best.versions(now.data, {}),
    "msgspec-warm": _warm,
    "pure": lambda before, now: lambda: lambda: _short(pure.decode(now.data, now.service)),
    "pure-refresh": _ours(pure),
    "compiled": lambda before, now: lambda: lambda: _short(compiled.decode(now.data, now.service)),
    "compiled-refresh": _ours(compiled),
}


@pytest.mark.parametrize("way", [pytest.param(way, marks=LONG) if way.startswith("pure") else way for way in WAYS])
@pytest.mark.parametrize("changed", CHANGED)
@pytest.mark.parametrize("sharing", [pytest.param("shared", marks=LONG), "distinct"])
def test_refresh(sharing: str, changed: str, way: str, race: Any) -> None:
    before, now = made.body(NODES, sharing), made.body(NODES, sharing, CHANGED[changed])
    assert (before.data == now.data) == (CHANGED[changed] == 0)
    assert WAYS[way](before, now)()() == naive.versions(now.data)
    race(
        lambda way: WAYS[way](before, now),
        group=f"refresh of {before.name}: {changed}",
        rounds=ROUNDS,
        baseline="naive",
        by=fresh,
        body_bytes=len(now.data),
    )


def test_what_changed() -> None:
    """So many nodes are new objects, and the others are those of before."""
    for part in CHANGED.values():
        previous = compiled.decode(made.body(NODES, "distinct").data, made.SERVICE)
        now = compiled.decode(made.body(NODES, "distinct", part).data, made.SERVICE, previous=previous)
        assert sum(a is not b for a, b in zip(previous, now)) == NODES * part == len(now.changed)
