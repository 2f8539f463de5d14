"""One tag, and one node's tags, with nothing remembered from before."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Callable, Dict, List

import pytest

from regcache.codec import compiled, pure

from . import ways
from .baselines import best, naive
from .measure import looped

ROUNDS = 40


def _decoded(codec: Any) -> Callable[[List[str]], Any]:
    def work(tags: List[str]) -> Dict[str, Any]:
        record = codec.decode_tags(tags)
        return {"version": record.version, "metadata": record.metadata, "endpoints": record.endpoints}

    return work


WAYS: Dict[str, Callable[[List[str]], Dict[str, Any]]] = {
    "naive": naive.tags,
    "msgspec": best.tags,
    "pure": _decoded(pure),
    "compiled": _decoded(compiled),
}


@lru_cache(maxsize=None)
def node_tags() -> List[str]:
    """The tags of the first recorded node: 6 of metadata, 8 endpoints, 1 version."""
    return list(json.loads(ways.body("health_b").data)[0]["Service"]["Tags"])


def of_kind(kind: str) -> List[str]:
    """The longest of one kind."""
    return [max((tag for tag in node_tags() if tag[0] == kind), key=len)]


TAGS: Dict[str, Callable[[], List[str]]] = {
    "a version": lambda: of_kind("v"),
    "a pair of metadata": lambda: of_kind("t"),
    "an endpoint": lambda: of_kind("e"),
    "a node": node_tags,
}


def _plain(said: Dict[str, Any]) -> Dict[str, Any]:
    endpoints = [e if isinstance(e, dict) else e.to_dict() for e in said["endpoints"]]
    return {"version": said["version"], "metadata": dict(said["metadata"]), "endpoints": [e["name"] for e in endpoints]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", TAGS)
def test_tags(what: str, way: str, race: Any) -> None:
    tags = TAGS[what]()
    assert _plain(WAYS[way](tags)) == _plain(naive.tags(tags))

    def prepare(way: str) -> Callable[[], object]:
        work = WAYS[way]
        return lambda: work(tags)

    race(
        prepare,
        group=f"tags: {what} ({sum(map(len, tags)):,} digits)",
        rounds=ROUNDS,
        baseline="naive",
        by=looped,
    )
