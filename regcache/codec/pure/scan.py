"""The exact JSON reader: strict, over bytes, iterative, and it knows every offset and path."""

from __future__ import annotations

import json
import re
from typing import Callable, Dict, List, NoReturn, Tuple

from .. import reasons

__all__ = ["Incomplete", "Member", "Reader", "fold"]

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

Member = Callable[[int], int]


class Incomplete(Exception):
    """The bytes end inside the entry; ``path`` is where."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def fold(key: str) -> str:
    """The key as Go's encoding/json compares it: ASCII case, and the two letters outside ASCII that fold into it."""
    return key.lower().replace("\u017f", "s")


class Reader:
    """Reads JSON from position to position; ``base`` is the body's offset of ``data[0]``.

    Raises :class:`Incomplete` at the end of the bytes, and :class:`~regcache.errors.DecodeError` at the first byte that
    cannot be accepted.
    """

    def __init__(self, data: bytes, base: int, path: List[str], nesting: int) -> None:
        self._data = data
        self._end = len(data)
        self._base = base
        self._nesting = nesting
        self._depth = 1  # the list around the entries
        self._path = path

    def _object(self, pos: int, wanted: Dict[str, Tuple[str, Member]]) -> int:
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
                self._at(at)  # the path names a value once it has begun
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
            self._at(pos)  # there may be more digits
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
        if self._depth > self._nesting:
            self._fail(reasons.LIMIT_NESTING, pos)

    def _fail(self, code: int, pos: int) -> NoReturn:
        raise reasons.error(code, self._base + pos, "".join(self._path))
