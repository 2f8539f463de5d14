"""Bodies of services that nobody recorded: of any number of nodes, made from recorded endpoints by a seeded generator.

Each node has six tags of metadata, in the order in which Go happened to write its map, eight endpoints and a version;
Consul repeats them in the node's check.
"""

from __future__ import annotations

import json
import random
from functools import lru_cache
from typing import Dict, List, NamedTuple, Optional

from regcache.codec import encode_tags

from . import forms

__all__ = ["ENDPOINTS", "SERVICE", "SHARING", "Made", "body"]

ENDPOINTS = 8
SERVICE = "go.micro.srv.catalog"
METADATA = 6
#: What the nodes have in common. A new release of a service starts as the first and stays it: all say the same.
SHARING = {"shared": "every tag shared", "distinct": "every tag distinct"}
#: Added to a node's number where it changed: its tags are nobody's, and were nobody's before.
CHANGED = 1_000_000


class Made(NamedTuple):
    """As :class:`tests.recorded.Body`, what is needed of it."""

    name: str
    data: bytes
    service: Optional[str] = SERVICE


@lru_cache(maxsize=4)
def body(nodes: int, sharing: str, changed: float = 0.0) -> Made:
    """The same for the same arguments.

    Args:
        sharing: of :data:`SHARING`.
        changed: the part of the nodes that say something else than in the body where nothing changed; spread evenly.
    """
    dice = random.Random(f"{nodes}/{sharing}")
    written: Dict[str, List[str]] = {}
    entries = []
    for i in range(nodes):
        order = dice.random()
        if int((i + 1) * changed) > int(i * changed):
            tags = _tags(i + CHANGED, "nothing")
        elif sharing == "distinct":
            tags = _tags(i, "nothing")
        else:
            tags = written.get("all") or written.setdefault("all", _tags(0, "everything"))
        metadata = tags[:METADATA]
        random.Random(order).shuffle(metadata)
        entries.append(forms.entry(i, metadata + tags[METADATA:]))
    data = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    return Made(f"{nodes:,} nodes, {SHARING[sharing]}", data)


def _tags(node: int, sharing: str) -> List[str]:
    record = forms.record(ENDPOINTS, node, sharing)
    tags = encode_tags(record._replace(metadata={"zone": f"eu-west-1{node}", **record.metadata}))
    assert [tag[0] for tag in tags] == ["t"] * METADATA + ["e"] * ENDPOINTS + ["v"]
    return tags
