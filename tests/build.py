"""Small inputs by hand: tags as go-micro writes them, and bodies as Consul sends them."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Dict, List, Tuple

import msgpack
import zstandard

from regcache.codec import dictionaries

#: Left out of what :func:`entry` makes.
MISSING: Any = object()


def packed(kind: str, data: bytes) -> str:
    """A new tag: ``e-``, ``t-`` or ``v-`` and the hex digits of the zlib stream of ``data``."""
    return f"{kind}-{zlib.compress(data).hex()}"


def tag(kind: str, content: Any) -> str:
    """A new tag of a JSON document (of a plain string for ``v``)."""
    return packed(kind, (content if kind == "v" else json.dumps(content, ensure_ascii=False)).encode())


def framed(frame: bytes, dictionary: str = "0", form: str = "1") -> str:
    """A compact tag of the bytes of a zstd frame, without their magic."""
    return f"m~{form}{dictionary}{base64.urlsafe_b64encode(frame).rstrip(b'=').decode()}"


def compressed(data: bytes, dictionary: str = "0") -> bytes:
    """A zstd frame as the compact form has it, without its magic."""
    known = zstandard.ZstdCompressionDict(dictionaries.load(dictionary)) if dictionary != "0" else None
    return zstandard.ZstdCompressor(dict_data=known, write_dict_id=False).compress(data)[4:]


def compact(record: Any, dictionary: str = "0") -> str:
    """A compact tag of a record's tree; of its msgpack where bytes are given."""
    data = record if isinstance(record, bytes) else msgpack.packb(record)
    return framed(compressed(data, dictionary), dictionary)


def entry(
    service_id: Any = "a",
    *,
    tags: Any = (),
    address: Any = "10.0.0.1",
    port: Any = 80,
    status: Any = "passing",
    **other: Any,
) -> Dict[str, Any]:
    """One entry of a health body. ``other`` overwrites its members, those of Service as ``Service_Meta=...``."""
    made: Dict[str, Any] = {
        "Node": {"Node": "n1", "Address": "10.9.9.9", "Datacenter": "dc1", "Meta": None},
        "Service": {
            "ID": service_id,
            "Service": "svc",
            "Tags": list(tags) if isinstance(tags, tuple) else tags,
            "Address": address,
            "Port": port,
        },
        "Checks": [{"CheckID": "c", "Status": status}],
    }
    for name, value in other.items():
        outer, _, inner = name.partition("_")
        where, key = (made[outer], inner) if inner else (made, outer)
        if value is MISSING:
            del where[key]
        else:
            where[key] = value
    return made


def body(*entries: Any) -> bytes:
    """A body as Consul writes it: compact."""
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()


def marked(template: bytes) -> Tuple[bytes, int]:
    """An input and the offset of the byte that follows ``@@`` in its template."""
    assert template.count(b"@@") == 1
    return template.replace(b"@@", b""), template.index(b"@@")


def pieces(data: bytes, cuts: List[int]) -> List[bytes]:
    """``data`` cut at the given places."""
    places = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:])]
