"""The demonstration's yardstick: a health body read with ``json`` and ``zlib``, as one does without regcache."""

from __future__ import annotations

import binascii
import json
import zlib
from typing import Any, Dict, List, NamedTuple, Optional

__all__ = ["PlainNode", "read"]


class PlainNode(NamedTuple):
    """What a program wants to know of a node."""

    id: str
    address: str
    port: int
    version: str
    metadata: Dict[str, str]
    endpoints: List[Any]


def read(body: bytes, memo: Optional[Dict[str, Any]] = None) -> List[PlainNode]:
    """All nodes of a body. With a ``memo``, each distinct tag is unpacked once."""
    nodes = []
    for entry in json.loads(body):
        service = entry["Service"]
        version = ""
        metadata: Dict[str, str] = {}
        endpoints = []
        for tag in service["Tags"] or ():
            if memo is None:
                said = _unpacked(tag)
            elif tag in memo:
                said = memo[tag]
            else:
                said = memo[tag] = _unpacked(tag)
            if said is None:
                continue
            if tag[0] == "v":
                version = version or said
            elif tag[0] == "t":
                metadata.update(said)
            else:
                endpoints.append(said)
        address = service["Address"] or entry["Node"]["Address"]
        nodes.append(PlainNode(service["ID"], address, service["Port"], version, metadata, endpoints))
    return nodes


def _unpacked(tag: str) -> Any:
    """What a tag says; ``None`` for one that is not go-micro's, or that is broken."""
    if tag[:2] not in ("v-", "t-", "e-", "v=", "t=", "e="):
        return None
    try:
        said = zlib.decompress(binascii.unhexlify(tag[2:])) if tag[1] == "-" else tag[2:].encode()
        return said.decode() if tag[0] == "v" else json.loads(said)
    except (ValueError, zlib.error):
        return None
