"""The tags of one node: each distinct tag is decoded once, by content, after Go's rules."""

from __future__ import annotations

import codecs
from types import MappingProxyType
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple, Union

from ...limits import Limits, containers
from ...model import DecodeWarning, Endpoint, Record
from .. import reasons
from .compact import Shared, decode_compact
from .gojson import SURROGATE, make_document, make_endpoint, make_metadata, parse
from .inflate import inflate
from .unhex import BadRecord, unhex

__all__ = ["EMPTY", "MadeRecord", "Overflow", "Records", "Resolved", "decode_mdns", "decode_tags", "merge"]

EMPTY: Any = MappingProxyType({})
#: How tags begin that a compact one before them makes needless.
_OURS = frozenset(("e-", "e=", "t-", "t=", "v-", "v=", "m~"))


def _one_for_each_byte(error: UnicodeError) -> Tuple[str, int]:
    # Go's rule. Python's "replace" takes a cut sequence as one.
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd", error.start + 1


codecs.register_error("regcache-go", _one_for_each_byte)


class MadeRecord:
    """One distinct tag. ``code`` 0: good, and ``value`` is a dict (t), an Endpoint or None (e), a str (v) or a
    :class:`Compact` (m).
    """

    __slots__ = ("code", "cost", "kind", "size", "value")

    def __init__(self, kind: str, code: int, value: Any, size: int, cost: int = 0) -> None:
        #: The first two bytes, such as ``t-``.
        self.kind = kind
        self.code = code
        self.value = value
        #: Bytes of the payload; 0 where the tag is broken.
        self.size = size
        #: Bytes that a broken tag decompressed to before that was known.
        self.cost = cost


class Overflow(Exception):
    """More was decompressed than allowed. Never leaves the package.

    ``position`` is the tag's; ``problems`` are those of the tags before it.
    """

    def __init__(self, position: int, problems: List[Tuple[int, int]]) -> None:
        super().__init__(position)
        self.position = position
        self.problems = problems


class Resolved(NamedTuple):
    """The tags of one node, looked up."""

    #: The good records that count, in order.
    records: Tuple[MadeRecord, ...]
    version: str
    version_found: bool
    foreign: Tuple[str, ...]
    #: (position, code) of each tag that cannot be used.
    problems: List[Tuple[int, int]]


class Records:
    """The distinct tags of one decode. ``previous``: those of the decode before, under the same limits."""

    __slots__ = ("_limits", "_long", "_previous", "_shared", "_spent", "decoded", "made", "size")

    def __init__(self, limits: Limits, previous: Optional[Dict[str, MadeRecord]] = None) -> None:
        self._limits = limits
        #: A tag of at most this many characters cannot be too long in bytes.
        self._long = limits.tag_bytes // 4
        self._previous = previous if previous is not None else {}
        self.made: Dict[str, MadeRecord] = {}
        self._shared: Shared = {}
        self.decoded = 0
        self.size = 0
        #: Counts against the limit: the records, and what broken tags cost.
        self._spent = 0

    def resolve(self, tags: Iterable[Optional[str]]) -> Resolved:
        """Looks each tag up, decoding those that are new. Raises :class:`Overflow`; asking again then is safe."""
        known = self.made.get
        records: List[MadeRecord] = []
        foreign: List[str] = []
        problems: List[Tuple[int, int]] = []
        version = ""
        found = False
        lock_e = lock_t = ""
        compact: Optional[MadeRecord] = None
        for position, tag in enumerate(tags):
            if not tag:
                continue
            record = known(tag)
            if record is not None:
                kind = record.kind
            else:
                kind = tag[:2]
                if len(tag) > self._long and len(tag.encode()) > self._limits.tag_bytes:
                    # Not looked at: it locks no format and decides no version.
                    problems.append((position, reasons.LIMIT_TAG))
                    continue
            if compact is not None and kind in _OURS:
                continue
            if kind == "t-" or kind == "t=":
                if kind != lock_t:
                    if lock_t:
                        continue
                    lock_t = kind
            elif kind == "e-" or kind == "e=":
                if kind != lock_e:
                    if lock_e:
                        continue
                    lock_e = kind
            elif kind == "v-" or kind == "v=":
                if found:
                    continue
                found = True
            elif kind == "m~":
                pass
            else:
                foreign.append(tag)
                continue
            if record is None:
                record = self._make(tag, kind, position, problems)
            if record.code:
                problems.append((position, record.code))
            elif kind == "m~":
                compact = record
            else:
                records.append(record)
                if kind[0] == "v":
                    version = record.value
        if compact is not None:
            # It holds the whole record: go-micro's tags, which may have come before it, do not count.
            return Resolved((compact,), compact.value.version, True, tuple(foreign), problems)
        return Resolved(tuple(records), version, found, tuple(foreign), problems)

    def keep_only(self, used: Set[Tuple[MadeRecord, ...]]) -> Dict[str, MadeRecord]:
        """The tags whose records are in one of these tuples; the others are dropped."""
        needed = {id(record) for records in used for record in records}
        made = {tag: record for tag, record in self.made.items() if id(record) in needed}
        self.made, self.size = made, sum([record.size for record in made.values()])
        return made

    def _make(self, tag: str, kind: str, position: int, problems: List[Tuple[int, int]]) -> MadeRecord:
        record = self._previous.get(tag)
        if record is None:
            record = _decode(tag, kind, self._limits, self._shared)
            self.decoded += 1
        spent = self._spent + record.size + record.cost
        if spent > self._limits.decompressed_bytes:
            raise Overflow(position, problems)
        self._spent = spent
        self.size += record.size
        self.made[tag] = record
        return record


def _decode(tag: str, kind: str, limits: Limits, shared: Shared) -> MadeRecord:
    cost = 0
    try:
        if kind == "m~":
            compact, size = decode_compact(tag, limits, shared)
            return MadeRecord(kind, 0, compact, size)
        if kind[1] == "-":
            data = inflate(unhex(tag[2:]), limits)
            cost = len(data)
        else:
            data = tag[2:].encode()
            if len(data) > limits.record_bytes:
                raise BadRecord(reasons.LIMIT_RECORD)
        text = data.decode("utf-8", "regcache-go")
        value: Any = text
        if kind[0] == "t":
            value = make_metadata(parse(text, limits.nesting, containers(limits.record_bytes)))
        elif kind[0] == "e":
            value = make_endpoint(parse(text, limits.nesting, containers(limits.record_bytes)))
    except BadRecord as bad:
        return MadeRecord(kind, bad.code, None, 0, bad.cost or cost)
    return MadeRecord(kind, 0, value, len(data))


def merge(records: Iterable[MadeRecord]) -> Tuple[Dict[str, str], Tuple[Optional[Endpoint], ...]]:
    """The metadata and the endpoints that the records of one node say together; later tags win."""
    metadata: Dict[str, str] = {}
    endpoints: List[Optional[Endpoint]] = []
    for record in records:
        if record.kind[0] == "t":
            if record.value:
                metadata.update(record.value)
        elif record.kind[0] == "e":
            endpoints.append(record.value)
        elif record.kind == "m~":
            return record.value.metadata, record.value.endpoints
    return metadata, tuple(endpoints)


def _text(tag: Union[str, bytes]) -> str:
    if isinstance(tag, str):
        return tag if tag.isascii() else SURROGATE.sub("\ufffd", tag)
    if isinstance(tag, (bytes, bytearray, memoryview)):
        return bytes(tag).decode("utf-8", "regcache-go")
    raise TypeError(f"a tag must be str or bytes, not {type(tag).__name__}")


def decode_tags(tags: Iterable[Union[str, bytes]], *, limits: Limits = Limits(), strict: bool = False) -> Record:
    """What the tags of one node say: version, metadata, endpoints, and the tags that are not go-micro's.

    A tag that cannot be used is in ``warnings`` (path ``[3]`` for the fourth). With ``strict`` the first of them is
    raised as :class:`~regcache.errors.DecodeError`. More records than ``limits.decompressed_bytes`` allows raise
    :class:`~regcache.errors.LimitExceeded` in any case.
    """
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be an iterable of str or bytes, not {type(tags).__name__}")
    texts = [_text(tag) for tag in tags]
    try:
        resolved = Records(limits).resolve(texts[: limits.tags])
    except Overflow as overflow:
        if strict and overflow.problems:
            position, code = overflow.problems[0]
            raise reasons.error(code, 0, f"[{position}]") from None
        raise reasons.error(reasons.LIMIT_DECOMPRESSED, 0, f"[{overflow.position}]") from None
    problems = resolved.problems
    if len(texts) > limits.tags:
        problems.append((limits.tags, reasons.LIMIT_TAGS))
    if strict and problems:
        raise reasons.error(problems[0][1], 0, f"[{problems[0][0]}]")
    warnings = tuple(
        DecodeWarning(reasons.REASONS[code][0], 0, f"[{position}]", None)
        for position, code in problems[: limits.warnings]
    )
    metadata, endpoints = merge(resolved.records)
    return Record(
        resolved.version,
        resolved.version_found,
        MappingProxyType(metadata),
        endpoints,
        resolved.foreign,
        warnings,
    )


def decode_mdns(record: Iterable[Union[str, bytes]], *, limits: Limits = Limits()) -> Optional[Dict[str, Any]]:
    """The mDNS TXT record that go-micro writes: hex of a zlib stream, in pieces of at most 255 digits.

    Returns the members Service, Version, Endpoints, Metadata as go-micro's JSON has them, or None for the document
    ``null``. Raises :class:`~regcache.errors.DecodeError` where go-micro returns an error.
    """
    if isinstance(record, (str, bytes)):
        raise TypeError(f"record must be an iterable of str or bytes, not {type(record).__name__}")
    digits = "".join([_text(piece) for piece in record])
    try:
        if len(digits.encode()) > limits.tag_bytes:
            raise BadRecord(reasons.LIMIT_TAG)
        text = inflate(unhex(digits), limits).decode("utf-8", "regcache-go")
        return make_document(parse(text, limits.nesting, containers(limits.record_bytes)))
    except BadRecord as bad:
        raise reasons.error(bad.code, 0, "") from None
