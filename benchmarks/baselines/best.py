"""The best that can be put together from packages.

The JSON by msgspec into typed Structs of the wanted members alone (the quickest of its forms that we found: no garbage
collection, no checks, tags as ``str``), the tags by zlib_ng, and a memo of tags. Give an empty memo and it is cold;
give it the same one again and it is warm. ``simdjson_*`` read the JSON by pysimdjson's lazy document instead, by a
parser that keeps the memory of the body before (about twice the largest body, for as long as it lives).
"""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Optional

import msgspec
import simdjson
import zstandard
from zlib_ng import zlib_ng

from .plain import Everything, Short

__all__ = ["compact", "everything", "simdjson_last_tag", "simdjson_versions", "tags", "versions"]

#: Tag -> what it says.
Memo = Dict[str, Any]


class _Node(msgspec.Struct, gc=False):
    Address: str = ""


class _Service(msgspec.Struct, gc=False):
    Tags: Optional[List[str]] = None
    Address: str = ""
    Port: int = 0


class _Entry(msgspec.Struct, gc=False):
    Service: _Service
    Node: Optional[_Node] = None


_decode = msgspec.json.Decoder(List[_Entry]).decode
_parser = simdjson.Parser()
_parse_json = msgspec.json.Decoder().decode
_parse_msgpack = msgspec.msgpack.Decoder().decode
_decompress = zstandard.ZstdDecompressor().decompress


def _unpacked(tag: str) -> bytes:
    return zlib_ng.decompress(bytes.fromhex(tag[2:])) if tag[1] == "-" else tag[2:].encode()


def tags(tags: List[str]) -> Dict[str, Any]:
    """All of one node's tags, with nothing remembered."""
    version = ""
    metadata: Dict[str, str] = {}
    endpoints = []
    for tag in tags:
        kind = tag[:1] if tag[1:2] in ("-", "=") else ""
        if kind == "t":
            metadata.update(_parse_json(_unpacked(tag)))
        elif kind == "e":
            endpoints.append(_parse_json(_unpacked(tag)))
        elif kind == "v":
            version = version or _unpacked(tag).decode()
    return {"version": version, "metadata": metadata, "endpoints": endpoints}


def compact(tag: str) -> List[Any]:
    """What is in a compact tag without a dictionary."""
    digits = tag[4:]
    frame = b"\x28\xb5\x2f\xfd" + base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    return list(_parse_msgpack(_decompress(frame)))


def versions(body: bytes, memo: Memo) -> List[Short]:
    """Of each node's tags only the version is looked up."""
    nodes = []
    for entry in _decode(body):
        service = entry.Service
        version = ""
        for tag in service.Tags or ():
            if tag.startswith(("v-", "v=")):
                version = memo.get(tag)
                if version is None:
                    version = memo[tag] = _unpacked(tag).decode()
                break
        nodes.append((service.Address or entry.Node.Address, service.Port, version))
    return nodes


def everything(body: bytes, memo: Memo) -> List[Everything]:
    """Every tag of every node is looked up."""
    nodes = []
    for entry in _decode(body):
        service = entry.Service
        version = ""
        metadata: Dict[str, str] = {}
        endpoints = []
        for tag in service.Tags or ():
            said = memo.get(tag)
            if said is None:
                kind = tag[:1] if tag[1:2] in ("-", "=") else ""
                if kind == "v":
                    said = _unpacked(tag).decode()
                elif kind == "t" or kind == "e":
                    said = _parse_json(_unpacked(tag))
                else:
                    continue
                said = memo[tag] = (kind, said)
            kind, value = said
            if kind == "t":
                metadata.update(value)
            elif kind == "e":
                endpoints.append(value)
            else:
                version = version or value
        nodes.append((service.Address or entry.Node.Address, service.Port, version, metadata, endpoints))
    return nodes


def simdjson_versions(body: bytes, memo: Memo) -> List[Short]:
    """The tags are read in order up to the version."""
    nodes = []
    for entry in _parser.parse(body):
        service = entry["Service"]
        version = ""
        for tag in service["Tags"] or ():
            if tag.startswith(("v-", "v=")):
                version = memo.get(tag)
                if version is None:
                    version = memo[tag] = _unpacked(tag).decode()
                break
        nodes.append((service["Address"] or entry["Node"]["Address"], service["Port"], version))
    return nodes


def simdjson_last_tag(body: bytes, memo: Memo) -> List[Short]:
    """A short cut that is right only where the version is the last tag, as go-micro itself writes it. No other tag
    becomes a Python object, which no other way of this file can do."""
    nodes = []
    for entry in _parser.parse(body):
        service = entry["Service"]
        tags = service["Tags"]
        tag = tags[len(tags) - 1]
        version = memo.get(tag)
        if version is None:
            version = memo[tag] = _unpacked(tag).decode()
        nodes.append((service["Address"] or entry["Node"]["Address"], service["Port"], version))
    return nodes
