"""The compact form: one tag ``m~`` that holds a whole record, as base64url of a zstd frame of msgpack.

The quick way goes through msgpack's own unpacker. Whatever that does not take, an exact reader decides: what is
malformed, too deep, of another shape, or only unusual.
"""

from __future__ import annotations

import binascii
import re
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ...limits import RATIO_FLOOR, Limits, containers
from ...model import Endpoint, Value, frozen_endpoint
from .. import dictionaries, reasons
from .unhex import BadRecord

__all__ = ["Compact", "decode_compact"]

#: What a zstd frame begins with; the form leaves it out.
MAGIC = b"\x28\xb5\x2f\xfd"
#: From here on the number is zstd's word for a content size that is not known.
UNKNOWN_SIZE = 2**64 - 2
#: A list or map with more items is for the exact reader: msgpack makes room for all of them before it has read one.
MANY = 1024
#: msgpack's unpacker refuses 1,024 containers inside each other, and an endpoint is inside two.
UNPACKER_DEPTH = 1100


class Compact(NamedTuple):
    """What a compact tag says."""

    version: str
    metadata: Dict[str, str]
    endpoints: Tuple[Optional[Endpoint], ...]


#: msgpack -> the endpoint that it is: those of one version's nodes are mostly the same, and are made once.
Shared = Dict[bytes, Optional[Endpoint]]


def decode_compact(tag: str, limits: Limits, shared: Shared) -> Tuple[Compact, int]:
    """What a tag that begins with ``m~`` says, and the bytes that it decompresses to.

    ``shared`` is filled; it holds no more bytes than the records together.

    Raises :class:`BadRecord` with COMPACT_FORM, COMPACT_DICTIONARY, BAD_BASE64, ZSTD_CORRUPT, LIMIT_RECORD,
    LIMIT_RATIO, RECORD_NOT_MSGPACK, RECORD_NESTING or RECORD_SHAPE.
    """
    if len(tag) < 4 or tag[2] != "1":
        raise BadRecord(reasons.COMPACT_FORM)
    if tag[3] != "0" and tag[3] not in dictionaries.DIGESTS:
        raise BadRecord(reasons.COMPACT_DICTIONARY)
    data = _unpack(_unbase64(tag[4:]), tag[3], limits)
    try:
        return _read(data, limits, shared), len(data)
    except BadRecord as bad:
        bad.cost = len(data)
        raise


# --- The text ----------------------------------------------------------------------------------------------

#: Each length with its last character: bits that say nothing are zero.
_base64url = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?").fullmatch
_STANDARD = str.maketrans("-_", "+/")


def _unbase64(text: str) -> bytes:
    if _base64url(text) is None:
        raise BadRecord(reasons.BAD_BASE64)
    return binascii.a2b_base64(text.translate(_STANDARD) + "=" * (-len(text) % 4))


# --- The frame ---------------------------------------------------------------------------------------------

_local = threading.local()


def _decompressor(dictionary: str) -> Any:
    """One for each dictionary and thread: a decompressor is not for two threads at once."""
    known: Dict[str, Any] = _local.__dict__
    found = known.get(dictionary)
    if found is None:
        import zstandard

        found = known[dictionary] = zstandard.ZstdDecompressor(dict_data=dictionaries.trained(dictionary))
    return found


def _unpack(content: bytes, dictionary: str, limits: Limits) -> bytes:
    """The content of a frame without its magic bytes. What it says of its size is looked at before it is believed."""
    import zstandard

    frame = MAGIC + content
    try:
        header = zstandard.get_frame_parameters(frame)
        size = header.content_size
        end = _frame_end(frame, zstandard.frame_header_size(frame), header.has_checksum)
    except zstandard.ZstdError:
        raise BadRecord(reasons.ZSTD_CORRUPT) from None
    if size >= UNKNOWN_SIZE or end != len(frame):
        raise BadRecord(reasons.ZSTD_CORRUPT)
    by_ratio = max(RATIO_FLOOR, limits.ratio * len(content))
    if size > min(limits.record_bytes, by_ratio):
        raise BadRecord(reasons.LIMIT_RECORD if limits.record_bytes <= by_ratio else reasons.LIMIT_RATIO)
    decompressor = _decompressor(dictionary)
    try:
        # decompress() does not look into a frame that says it is empty.
        data: bytes = decompressor.decompress(frame) if size else decompressor.decompressobj().decompress(frame)
    except zstandard.ZstdError:
        raise BadRecord(reasons.ZSTD_CORRUPT, size) from None
    if len(data) != size:
        raise BadRecord(reasons.ZSTD_CORRUPT, size)
    return data


def _frame_end(frame: bytes, pos: int, has_checksum: bool) -> int:
    """Where the frame ends, from the heads of its blocks; -1: not inside these bytes."""
    while True:
        head = int.from_bytes(frame[pos : pos + 3], "little")
        pos += 3
        if pos > len(frame) or head & 6 == 6:  # cut short, or the reserved type
            return -1
        pos += 1 if head & 6 == 2 else head >> 3  # a repeated byte, or so many
        if head & 1:
            return pos + 4 if has_checksum else pos


# --- The record --------------------------------------------------------------------------------------------


def _read(data: bytes, limits: Limits, shared: Shared) -> Compact:
    import msgpack

    most = containers(limits.record_bytes)
    # It may be too deep, or have too many items: more than bytes it cannot have.
    if (limits.nesting < UNPACKER_DEPTH and len(data) > limits.nesting) or len(data) > most:
        return _record(_exact(data, limits.nesting, most))
    try:
        return _quick(data, shared)
    except (BadRecord, ValueError, RecursionError, msgpack.UnpackException):
        # Even another shape: behind it the text may be malformed, which comes first.
        return _record(_exact(data, limits.nesting, most))


def _quick(data: bytes, shared: Shared) -> Compact:
    """The record, by msgpack's own unpacker. Raises many errors for what the exact reader has to decide."""
    import msgpack

    unpacker = msgpack.Unpacker(max_array_len=MANY, max_map_len=MANY)
    unpacker.feed(data)
    length = unpacker.read_array_header()
    version, metadata = unpacker.unpack(), unpacker.unpack()
    endpoints: List[Optional[Endpoint]] = []
    at = unpacker.tell()
    if data[at : at + 1] == b"\xc0":
        unpacker.skip()
    else:
        for _ in range(unpacker.read_array_header()):
            at = unpacker.tell()
            unpacker.skip()
            packed = data[at : unpacker.tell()]
            if packed not in shared:
                item = msgpack.unpackb(packed, max_array_len=MANY, max_map_len=MANY)
                shared[packed] = None if item is None else _endpoint(item, _value)
            endpoints.append(shared[packed])
    for _ in range(length - 3):
        unpacker.skip()
    if length < 3 or unpacker.tell() != len(data):
        raise ValueError("too short, or data after the record")
    return Compact(_text(version), _map(metadata) or {}, tuple(endpoints))


def _wrong() -> BadRecord:
    return BadRecord(reasons.RECORD_SHAPE)


def _record(tree: Any) -> Compact:
    """The record that a tree of lists, dicts, texts and None says, at any depth."""
    if type(tree) is not list or len(tree) < 3:
        raise _wrong()
    version, metadata, items = tree[:3]
    endpoints: List[Optional[Endpoint]] = []
    if items is not None:
        if type(items) is not list:
            raise _wrong()
        for item in items:
            endpoints.append(None if item is None else _endpoint(item, _deep_value))
    return Compact(_text(version), _map(metadata) or {}, tuple(endpoints))


def _endpoint(item: Any, value: Callable[[Any], Value]) -> Endpoint:
    """An endpoint; ``value`` makes its messages."""
    if type(item) is not list:
        raise _wrong()
    if len(item) < 4:
        item = item + [None] * (4 - len(item))
    name, request, response, metadata = item[:4]
    return frozen_endpoint(
        _text(name),
        None if request is None else value(request),
        None if response is None else value(response),
        _map(metadata),
    )


def _text(text: Any) -> str:
    if type(text) is str:
        return text
    if text is None:
        return ""
    raise _wrong()


def _map(tree: Any) -> Optional[Dict[str, str]]:
    if tree is None:
        return None
    if type(tree) is not dict:
        raise _wrong()
    for key, value in tree.items():
        if type(key) is not str:
            raise _wrong()
        if type(value) is not str:
            tree[key] = _text(value)  # a value for a key that is there: the dict keeps its form
    return tree


def _head(item: Any) -> Tuple[str, str, Optional[List[Any]]]:
    """The name, type and values of a message."""
    if type(item) is not list:
        raise _wrong()
    if len(item) == 2:
        name, kind = item
        values = None
    else:
        name, kind, values = (item + [None] * (3 - len(item)))[:3]
    if values is not None and type(values) is not list:
        raise _wrong()
    return _text(name), _text(kind), values


def _value(item: Any) -> Value:
    """A message from a tree that is not deep. Raises RecursionError where it is."""
    name, kind, values = _head(item)
    if values is None:
        return Value(name, kind)
    return Value(name, kind, tuple([None if below is None else _value(below) for below in values]))


def _deep_value(item: Any) -> Value:
    """The same at any depth: children are made before their parents."""
    order = [item]
    heads = []
    for found in order:  # grows while it is read
        head = _head(found)
        heads.append(head)
        if head[2]:
            order.extend([below for below in head[2] if below is not None])
    made: Dict[int, Value] = {}
    for found, (name, kind, values) in zip(reversed(order), reversed(heads)):
        below = None if values is None else tuple([None if v is None else made[id(v)] for v in values])
        made[id(found)] = Value(name, kind, below)
    return made[id(item)]


# --- msgpack, exactly --------------------------------------------------------------------------------------

#: What no record needs: numbers, bytes, extensions, maps with keys that are not texts.
_OTHER = object()
#: First byte -> (what it is, bytes of its size, bytes that follow in any case). The other first bytes hold a size or
#: a number themselves; 0xc1 is none.
_KINDS: Dict[int, Tuple[str, int, int]] = {
    0xC0: ("nil", 0, 0), 0xC2: ("other", 0, 0), 0xC3: ("other", 0, 0),
    0xC4: ("sized", 1, 0), 0xC5: ("sized", 2, 0), 0xC6: ("sized", 4, 0),
    0xC7: ("sized", 1, 1), 0xC8: ("sized", 2, 1), 0xC9: ("sized", 4, 1),
    0xCA: ("other", 0, 4), 0xCB: ("other", 0, 8),
    0xCC: ("other", 0, 1), 0xCD: ("other", 0, 2), 0xCE: ("other", 0, 4), 0xCF: ("other", 0, 8),
    0xD0: ("other", 0, 1), 0xD1: ("other", 0, 2), 0xD2: ("other", 0, 4), 0xD3: ("other", 0, 8),
    0xD4: ("other", 0, 2), 0xD5: ("other", 0, 3), 0xD6: ("other", 0, 5), 0xD7: ("other", 0, 9), 0xD8: ("other", 0, 17),
    0xD9: ("text", 1, 0), 0xDA: ("text", 2, 0), 0xDB: ("text", 4, 0),
    0xDC: ("list", 2, 0), 0xDD: ("list", 4, 0), 0xDE: ("map", 2, 0), 0xDF: ("map", 4, 0),
}  # fmt: skip


def _exact(data: bytes, nesting: int, most: int) -> Any:
    """The tree of a whole text, without recursion: lists, dicts, texts, None, and _OTHER.

    Raises :class:`BadRecord` with RECORD_NOT_MSGPACK, RECORD_NESTING, or LIMIT_RECORD where it has more than ``most``
    lists, maps and keys.
    """
    size = len(data)
    #: What is open: its items so far, how many are to come, and whether it is a map.
    opened: List[Tuple[List[Any], int, bool]] = []
    pos = 0
    while True:
        kind, count, pos = _item_head(data, pos)
        item: Any = _OTHER
        container = kind == "list" or kind == "map"
        if container and len(opened) >= nesting:
            raise BadRecord(reasons.RECORD_NESTING)
        if container or (opened and opened[-1][2] and len(opened[-1][0]) % 2 == 0):
            if not most:
                raise BadRecord(reasons.LIMIT_RECORD)
            most -= 1
        if container:
            opened.append(([], count if kind == "list" else 2 * count, kind == "map"))
        else:
            if pos + count > size:
                raise BadRecord(reasons.RECORD_NOT_MSGPACK)
            if kind == "text":
                item = data[pos : pos + count].decode("utf-8", "regcache-go")
            elif kind == "nil":
                item = None
            pos += count
            if opened:
                opened[-1][0].append(item)
        while opened and len(opened[-1][0]) == opened[-1][1]:
            items, _, is_map = opened.pop()
            item = _as_map(items) if is_map else items
            if opened:
                opened[-1][0].append(item)
        if not opened:
            if pos != size:
                raise BadRecord(reasons.RECORD_NOT_MSGPACK)
            return item


def _item_head(data: bytes, pos: int) -> Tuple[str, int, int]:
    """What begins here, how many bytes or items it has, and where these begin."""
    if pos >= len(data):
        raise BadRecord(reasons.RECORD_NOT_MSGPACK)
    first = data[pos]
    pos += 1
    if first < 0x80 or first >= 0xE0:
        return "other", 0, pos
    if first < 0x90:
        return "map", first & 15, pos
    if first < 0xA0:
        return "list", first & 15, pos
    if first < 0xC0:
        return "text", first & 31, pos
    if first == 0xC1 or first not in _KINDS:
        raise BadRecord(reasons.RECORD_NOT_MSGPACK)
    kind, width, more = _KINDS[first]
    if pos + width > len(data):
        raise BadRecord(reasons.RECORD_NOT_MSGPACK)
    count = int.from_bytes(data[pos : pos + width], "big")
    return kind, count + more, pos + width


def _as_map(items: List[Any]) -> Any:
    keys = items[::2]
    for key in keys:
        if type(key) is not str:
            return _OTHER
    return dict(zip(keys, items[1::2]))
