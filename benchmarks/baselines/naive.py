"""The standard library, as one writes it on the first afternoon: the whole body by ``json``, each tag by ``zlib``."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Dict, List

import msgpack
import zstandard

from .plain import Everything, Short

__all__ = ["compact", "everything", "tags", "unpacked", "versions"]

#: Made once: making it takes longer than a small tag.
_decompress = zstandard.ZstdDecompressor().decompress


def unpacked(tag: str) -> bytes:
    """What is in a tag, whether packed or plain."""
    return zlib.decompress(bytes.fromhex(tag[2:])) if tag[1] == "-" else tag[2:].encode()


def compact(tag: str) -> List[Any]:
    """What is in a compact tag without a dictionary; zstd and msgpack by the packages that regcache depends on."""
    digits = tag[4:]
    frame = b"\x28\xb5\x2f\xfd" + base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    return list(msgpack.unpackb(_decompress(frame)))


def versions(body: bytes) -> List[Short]:
    """Of each node's tags only the version is unpacked."""
    nodes = []
    for entry in json.loads(body):
        service = entry["Service"]
        version = ""
        for tag in service["Tags"] or ():
            if tag.startswith(("v-", "v=")):
                version = unpacked(tag).decode()
                break
        nodes.append((service["Address"] or entry["Node"]["Address"], service["Port"], version))
    return nodes


def tags(tags: List[str]) -> Dict[str, Any]:
    """All of one node's tags."""
    version = ""
    metadata: Dict[str, str] = {}
    endpoints = []
    for tag in tags or ():
        if tag.startswith(("t-", "t=")):
            metadata.update(json.loads(unpacked(tag)))
        elif tag.startswith(("e-", "e=")):
            endpoints.append(json.loads(unpacked(tag)))
        elif tag.startswith(("v-", "v=")):
            version = version or unpacked(tag).decode()
    return {"version": version, "metadata": metadata, "endpoints": endpoints}


def everything(body: bytes) -> List[Everything]:
    """Every tag of every node is unpacked."""
    nodes = []
    for entry in json.loads(body):
        service = entry["Service"]
        said = tags(service["Tags"])
        address = service["Address"] or entry["Node"]["Address"]
        nodes.append((address, service["Port"], said["version"], said["metadata"], said["endpoints"]))
    return nodes
