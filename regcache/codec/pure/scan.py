"""The exact parser of one entry: a strict JSON reader over bytes that knows every offset and path.

It decides in every case that is not plain: what is malformed and where, duplicate members, members in another
case, wrong types, limits. The decoder asks it only when the fast way gave up.
"""

from __future__ import annotations

import json
import re
from typing import Callable, Dict, List, NoReturn, Optional, Tuple

from ...limits import Limits
from .. import reasons

__all__ = ["Entry", "EntryScanner", "Incomplete", "fold"]

_SPACE = re.compile(rb"[ \t\n\r]*")
_DIGITS = re.compile(rb"[0-9]*")
#: Whole, well-formed parts of a string. Bounded, because the regular expression remembers each part it passed.
_PARTS = re.compile(
    rb"(?:[\x20\x21\x23-\x5b\x5d-\x7f]+"
    rb'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    rb"|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}){1,4096}"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_VALUE_STARTS = frozenset(b'"{[-0123456789tfn')
_LITERALS = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_HEX = frozenset(b"0123456789abcdefABCDEF")
_ESCAPES = frozenset(b'"\\/bfnrtu')
#: The first continuation byte that may follow these lead bytes; the others take 0x80 to 0xbf.
_SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}

_Member = Callable[[int], int]


class Incomplete(Exception):
    """The bytes end inside the entry; ``path`` is where."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def fold(key: str) -> str:
    """The key as Go's encoding/json compares it: ASCII case, and the two letters outside ASCII that fold into it."""
    return key.lower().replace("\u017f", "s")


class Entry:
    """What one entry of the list says. Offsets are bytes of the body."""

    __slots__ = (
        "address", "checks", "datacenter", "id", "meta", "name", "name_known", "node_address", "node_meta",
        "node_name", "node_present", "passing", "port", "problem", "service_present", "tag_offsets", "tags",
        "tags_path", "warning", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        #: Why the entry cannot be used: code, offset, path.
        self.problem: Optional[Tuple[int, int, str]] = None
        self.warnings: List[Tuple[int, int, str]] = []
        self.checks: List[Tuple[str, str]] = []
        self.reset_node()
        self.reset_service()

    def reset_node(self) -> None:
        self.node_present = False
        self.node_name = self.node_address = self.datacenter = ""
        self.node_meta: Dict[str, str] = {}

    def reset_service(self) -> None:
        self.service_present = False
        self.name_known = True
        self.id = self.name = self.address = ""
        self.port = 0
        self.tags: List[Optional[str]] = []
        self.tag_offsets: List[int] = []
        self.meta: Dict[str, str] = {}
        self.passing = self.warning = 1


class EntryScanner:
    """Reads one entry. ``data`` holds it from ``start`` on; ``base`` is the body's offset of ``data[0]``."""

    def __init__(self, data: bytes, start: int, base: int, index: int, limits: Limits) -> None:
        self._data = data
        self._end = len(data)
        self._start = start
        self._base = base
        self._limits = limits
        self._depth = 1  # the list around the entries
        self._path: List[str] = [f"[{index}]"]
        self.entry = Entry()

    def run(self) -> int:
        """Reads the entry and returns the position after it.

        Raises :class:`Incomplete`, or :class:`~regcache.errors.DecodeError` where the bytes are not JSON.
        """
        entry = self.entry
        pos = self._start
        kind = self._kind(pos)
        if kind != "{":
            pos = self._skip(pos)
            self._problem(reasons.NO_SERVICE if kind == "n" else reasons.NOT_AN_OBJECT, self._start)
            return pos
        pos = self._object(pos, {"node": ("Node", self._node), "service": ("Service", self._service),
                                 "checks": ("Checks", self._checks)})  # fmt: skip
        if not entry.service_present:
            self._problem(reasons.NO_SERVICE, self._start)
        elif not entry.address and not entry.node_present:
            self._problem(reasons.NO_ADDRESS, self._start)
        return pos

    # The members that are wanted. Each takes the position of a value's first byte and returns the one after it.

    def _node(self, pos: int) -> int:
        entry = self.entry
        kind = self._kind(pos)
        if kind != "{":
            if kind == "n":
                entry.reset_node()
            else:
                self._problem(reasons.WANT_OBJECT, pos)
            return self._skip(pos)
        entry.node_present = True
        return self._object(pos, {"node": ("Node", self._text("node_name")),
                                  "address": ("Address", self._text("node_address")),
                                  "datacenter": ("Datacenter", self._text("datacenter")),
                                  "meta": ("Meta", lambda at: self._meta(at, "node_meta"))})  # fmt: skip

    def _service(self, pos: int) -> int:
        entry = self.entry
        kind = self._kind(pos)
        if kind != "{":
            if kind == "n":
                entry.reset_service()
            else:
                self._problem(reasons.WANT_OBJECT, pos)
                entry.service_present = True
                entry.name_known = False
            return self._skip(pos)
        entry.service_present = True
        return self._object(pos, {"id": ("ID", self._text("id")), "service": ("Service", self._text("name")),
                                  "tags": ("Tags", self._tags), "address": ("Address", self._text("address")),
                                  "port": ("Port", self._port), "meta": ("Meta", lambda at: self._meta(at, "meta")),
                                  "weights": ("Weights", self._weights)})  # fmt: skip

    def _checks(self, pos: int) -> int:
        kind = self._kind(pos)
        if kind != "[":
            if kind == "n":
                self.entry.checks = []
            else:
                self._problem(reasons.WANT_LIST, pos)
            return self._skip(pos)
        return self._list(pos, self._check)

    def _check(self, pos: int, index: int) -> int:
        kind = self._kind(pos)
        if kind != "{":
            if kind != "n":
                self._problem(reasons.WANT_OBJECT, pos)
            return self._skip(pos)
        found = {"id": "", "status": ""}

        def take(which: str) -> _Member:
            def member(at: int) -> int:
                text, end = self._string_or_null(at)
                if text is not None:
                    found[which] = text
                return end

            return member

        end = self._object(pos, {"checkid": ("CheckID", take("id")), "status": ("Status", take("status"))})
        self.entry.checks.append((found["id"], found["status"]))
        return end

    def _text(self, field: str) -> _Member:
        def member(pos: int) -> int:
            text, end = self._string_or_null(pos)
            if text is not None:
                setattr(self.entry, field, text)
            if field == "name":
                self.entry.name_known = text is not None
            return end

        return member

    def _string_or_null(self, pos: int) -> Tuple[Optional[str], int]:
        """A string, "" for null, None (and a problem) for anything else or for one that is too long."""
        kind = self._kind(pos)
        if kind == '"':
            end = self._string(pos)
            text = self._unescape(pos, end)
            if len(text) * 4 > self._limits.string_bytes and len(text.encode()) > self._limits.string_bytes:
                self._problem(reasons.LIMIT_STRING, pos)
                return None, end
            return text, end
        end = self._skip(pos)
        if kind == "n":
            return "", end
        self._problem(reasons.WANT_STRING, pos)
        return None, end

    def _integer(self, pos: int, default: int) -> Tuple[Optional[int], int]:
        """An integer, the default for null, None for anything else."""
        kind = self._kind(pos)
        end = self._skip(pos)
        if kind == "n":
            return default, end
        literal = self._data[pos:end]
        if literal.lstrip(b"-").isdigit() and len(literal) <= 20 and -(2**63) <= int(literal) < 2**63:
            return int(literal), end
        return None, end

    def _port(self, pos: int) -> int:
        number, end = self._integer(pos, 0)
        if number is None:
            self._problem(reasons.WANT_INTEGER, pos)
        else:
            self.entry.port = number
        return end

    def _weights(self, pos: int) -> int:
        entry = self.entry
        kind = self._kind(pos)
        if kind != "{":
            if kind == "n":
                entry.passing = entry.warning = 1
            else:
                self._warn(reasons.WANT_OBJECT, pos)
            return self._skip(pos)

        def take(field: str) -> _Member:
            def member(at: int) -> int:
                number, end = self._integer(at, 1)
                if number is None:
                    self._warn(reasons.WANT_INTEGER, at)
                else:
                    setattr(entry, field, number)
                return end

            return member

        return self._object(pos, {"passing": ("Passing", take("passing")), "warning": ("Warning", take("warning"))})

    def _meta(self, pos: int, field: str) -> int:
        setattr(self.entry, field, {})
        kind = self._kind(pos)
        if kind != "{":
            if kind != "n":
                self._warn(reasons.WANT_OBJECT, pos)
            return self._skip(pos)
        out: Dict[str, str] = {}
        bad: Optional[Tuple[int, int]] = None
        limit = self._limits.string_bytes

        def member(key: str, at_key: int, at: int) -> int:
            nonlocal bad
            if bad is None and len(key.encode()) > limit:
                bad = reasons.LIMIT_STRING, at_key
            kind = self._kind(at)
            if kind == '"':
                end = self._string(at)
                if bad is None:
                    out[key] = text = self._unescape(at, end)
                    if len(text) * 4 > limit and len(text.encode()) > limit:
                        bad = reasons.LIMIT_STRING, at
                return end
            if kind == "n":
                out[key] = ""
            elif bad is None:
                bad = reasons.WANT_STRING, at
            return self._skip(at)

        end = self._members(pos, member)
        if bad is not None:
            self._warn(*bad)
        else:
            setattr(self.entry, field, out)
        return end

    def _tags(self, pos: int) -> int:
        entry = self.entry
        entry.tags, entry.tag_offsets = [], []
        kind = self._kind(pos)
        if kind != "[":
            if kind != "n":
                self._problem(reasons.WANT_LIST, pos)
            return self._skip(pos)

        def element(at: int, index: int) -> int:
            if index >= self._limits.tags:
                if index == self._limits.tags:
                    self._warn(reasons.LIMIT_TAGS, at)
                return self._skip(at)
            tag: Optional[str] = None
            kind = self._kind(at)
            end = self._skip(at)
            if kind == '"':
                tag = self._unescape(at, end)
            elif kind != "n":
                self._warn(reasons.WANT_STRING, at)
            entry.tags.append(tag)
            entry.tag_offsets.append(self._base + at)
            return end

        return self._list(pos, element)

    # JSON.

    def _object(self, pos: int, wanted: Dict[str, Tuple[str, _Member]]) -> int:
        path = self._path

        def member(key: str, at_key: int, at: int) -> int:
            found = wanted.get(fold(key))
            if found is None:
                return self._skip(at)
            path.append("." + found[0])
            end = found[1](at)
            path.pop()
            return end

        return self._members(pos, member)

    def _members(self, pos: int, member: Callable[[str, int, int], int]) -> int:
        """An object from its brace on; calls ``member(key, key's position, value's position)``."""
        self._open(pos)
        pos = self._space(pos + 1)
        if self._at(pos) != 0x7D:
            while True:
                if self._at(pos) != 0x22:
                    self._fail(reasons.BAD_KEY, pos)
                end = self._string(pos)
                colon = self._space(end)
                if self._at(colon) != 0x3A:
                    self._fail(reasons.BAD_COLON, colon)
                at = self._space(colon + 1)
                self._at(at)
                pos = self._space(member(self._unescape(pos, end), pos, at))
                c = self._at(pos)
                if c == 0x7D:
                    break
                if c != 0x2C:
                    self._fail(reasons.BAD_COMMA, pos)
                pos = self._space(pos + 1)
        self._depth -= 1
        return pos + 1

    def _list(self, pos: int, element: Callable[[int, int], int]) -> int:
        """A list from its bracket on; calls ``element(position, index)``."""
        self._open(pos)
        pos = self._space(pos + 1)
        index = 0
        if self._at(pos) != 0x5D:
            while True:
                self._at(pos)
                self._path.append(f"[{index}]")
                pos = self._space(element(pos, index))
                self._path.pop()
                c = self._at(pos)
                if c == 0x5D:
                    break
                if c != 0x2C:
                    self._fail(reasons.BAD_COMMA, pos)
                index += 1
                pos = self._space(pos + 1)
        self._depth -= 1
        return pos + 1

    def _skip(self, pos: int) -> int:
        """Any value, checked but not kept; returns the position after it. Iterative: depth costs one byte a level."""
        data = self._data
        opened = bytearray()
        base = self._depth
        while True:
            c = self._at(pos)
            if c == 0x22:
                pos = self._string(pos)
            elif c == 0x7B or c == 0x5B:
                self._open(pos)
                closer = c + 2
                pos = self._space(pos + 1)
                if self._at(pos) != closer:
                    opened.append(closer)
                    if closer == 0x7D:
                        pos = self._key(pos)
                    continue
                self._depth -= 1
                pos += 1
            elif c in _LITERALS:
                word = _LITERALS[c]
                if data.startswith(word, pos):
                    pos += len(word)
                else:
                    for i, want in enumerate(word):
                        if self._at(pos + i) != want:
                            self._fail(reasons.BAD_LITERAL, pos + i)
            elif c in _VALUE_STARTS:
                pos = self._number(pos)
            else:
                self._fail(reasons.BAD_VALUE, pos)
            while opened:
                pos = self._space(pos)
                c = self._at(pos)
                if c == 0x2C:
                    pos = self._space(pos + 1)
                    if opened[-1] == 0x7D:
                        pos = self._key(pos)
                    break
                if c != opened[-1]:
                    self._fail(reasons.BAD_COMMA, pos)
                opened.pop()
                self._depth -= 1
                pos += 1
            else:
                self._depth = base
                return pos

    def _key(self, pos: int) -> int:
        if self._at(pos) != 0x22:
            self._fail(reasons.BAD_KEY, pos)
        colon = self._space(self._string(pos))
        if self._at(colon) != 0x3A:
            self._fail(reasons.BAD_COLON, colon)
        return self._space(colon + 1)

    def _string(self, pos: int) -> int:
        """The position after the string that begins at ``pos``."""
        data, end = self._data, self._end
        pos += 1
        while True:
            part = _PARTS.match(data, pos)
            if part is not None:
                pos = part.end()
                continue
            c = self._at(pos)
            if c == 0x22:
                return pos + 1
            if c < 0x20:
                self._fail(reasons.BAD_CONTROL, pos)
            if c == 0x5C:
                if self._at(pos + 1) not in _ESCAPES:
                    self._fail(reasons.BAD_ESCAPE, pos + 1)
                for at in range(pos + 2, pos + 6):
                    if self._at(at) not in _HEX:
                        self._fail(reasons.BAD_ESCAPE, at)
            if not 0xC2 <= c <= 0xF4:
                self._fail(reasons.BAD_UTF8, pos)
            low, high = _SECOND.get(c, (0x80, 0xBF))
            for at in range(pos + 1, pos + (2 if c < 0xE0 else 3 if c < 0xF0 else 4)):
                if at >= end:
                    raise Incomplete("".join(self._path))
                if not low <= data[at] <= high:
                    self._fail(reasons.BAD_UTF8, at)
                low, high = 0x80, 0xBF

    def _unescape(self, pos: int, end: int) -> str:
        """The text of the string, which is known to be good; each lone surrogate is U+FFFD."""
        raw = self._data[pos + 1 : end - 1]
        if b"\\" not in raw:
            return raw.decode()
        text: str = json.loads(self._data[pos:end].decode())
        return _SURROGATE.sub("\ufffd", text)

    def _number(self, pos: int) -> int:
        if self._data[pos] == 0x2D:
            pos += 1
        if self._at(pos) == 0x30:
            pos += 1
            if pos < self._end and 0x30 <= self._data[pos] <= 0x39:
                self._fail(reasons.BAD_NUMBER, pos)
        else:
            pos = self._digits(pos)
        if self._at(pos) == 0x2E:
            pos = self._digits(pos + 1)
        if self._at(pos) in b"eE":
            pos += 1
            pos = self._digits(pos + 1 if self._at(pos) in b"+-" else pos)
        return pos

    def _digits(self, pos: int) -> int:
        match = _DIGITS.match(self._data, pos)
        end = match.end() if match else pos
        if end == pos:
            self._at(pos)
            self._fail(reasons.BAD_NUMBER, pos)
        return end

    def _space(self, pos: int) -> int:
        match = _SPACE.match(self._data, pos)
        return match.end() if match else pos

    def _at(self, pos: int) -> int:
        if pos >= self._end:
            raise Incomplete("".join(self._path))
        return self._data[pos]

    def _kind(self, pos: int) -> str:
        """The value's first byte as a character."""
        return chr(self._at(pos))

    def _open(self, pos: int) -> None:
        self._depth += 1
        if self._depth > self._limits.nesting:
            self._fail(reasons.LIMIT_NESTING, pos)

    def _fail(self, code: int, pos: int) -> NoReturn:
        raise reasons.error(code, self._base + pos, "".join(self._path))

    def _problem(self, code: int, pos: int) -> None:
        if self.entry.problem is None:
            self.entry.problem = code, self._base + pos, "".join(self._path)

    def _warn(self, code: int, pos: int) -> None:
        self.entry.warnings.append((code, self._base + pos, "".join(self._path)))
