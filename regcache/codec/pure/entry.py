"""The exact parser of one entry.

It decides in every case that is not plain: what is malformed and where, duplicate members, members in another
case, wrong types, limits. The decoder asks it only when the quick way gave up.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from ...limits import Limits
from .. import reasons
from .scan import Member, Reader

__all__ = ["Entry", "EntryScanner", "TagList"]


class TagList(NamedTuple):
    """One ``Tags`` list: the tags (None: null or not a string) and the body's offset of each."""

    tags: List[Optional[str]]
    offsets: List[int]


class Entry:
    """What one entry of the list says. Offsets are bytes of the body."""

    __slots__ = (
        "address", "checks", "datacenter", "id", "meta", "name", "node_address", "node_meta", "node_name",
        "node_present", "passing", "port", "problem", "service_present", "tag_lists", "tags", "warning", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        #: Why the entry cannot be used: code, offset, path.
        self.problem: Optional[Tuple[int, int, str]] = None
        self.warnings: List[Tuple[int, int, str]] = []
        self.checks: List[Tuple[str, str]] = []
        #: Every list of tags, even those that a later one replaces: each is decoded, the last counts.
        self.tag_lists: List[TagList] = []
        self.reset_node()
        self.reset_service()

    def reset_node(self) -> None:
        self.node_present = False
        self.node_name = self.node_address = self.datacenter = ""
        self.node_meta: Dict[str, str] = {}

    def reset_service(self) -> None:
        self.service_present = False
        self.id = self.name = self.address = ""
        self.port = 0
        self.tags: Optional[TagList] = None
        self.meta: Dict[str, str] = {}
        self.passing = self.warning = 1


class EntryScanner(Reader):
    """Reads one entry. ``data`` holds it from ``start`` on; ``base`` is the body's offset of ``data[0]``."""

    def __init__(self, data: bytes, start: int, base: int, index: int, limits: Limits) -> None:
        super().__init__(data, base, [f"[{index}]"], limits.nesting)
        self._start = start
        self._limits = limits
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

        def take(which: str) -> Member:
            def member(at: int) -> int:
                text, end = self._string_or_null(at)
                if text is not None:
                    found[which] = text
                return end

            return member

        end = self._object(pos, {"checkid": ("CheckID", take("id")), "status": ("Status", take("status"))})
        self.entry.checks.append((found["id"], found["status"]))
        return end

    def _text(self, field: str) -> Member:
        def member(pos: int) -> int:
            text, end = self._string_or_null(pos)
            if text is not None:
                setattr(self.entry, field, text)
            return end

        return member

    def _string_or_null(self, pos: int) -> Tuple[Optional[str], int]:
        """A string, "" for null, "" and a problem for one that is too long, None and a problem for anything else."""
        kind = self._kind(pos)
        if kind == '"':
            end = self._string(pos)
            text = self._unescape(pos, end)
            if len(text) * 4 > self._limits.string_bytes and len(text.encode()) > self._limits.string_bytes:
                self._problem(reasons.LIMIT_STRING, pos)
                return "", end
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

        def take(field: str) -> Member:
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
        kind = self._kind(pos)
        if kind != "{":
            if kind == "n":
                setattr(self.entry, field, {})
            else:
                self._warn(reasons.WANT_OBJECT, pos)
            return self._skip(pos)
        out: Dict[str, str] = {}
        bad: Optional[Tuple[int, int]] = None
        room = self._limits.record_bytes

        def put(text: str, at: int) -> None:
            nonlocal bad, room
            size = len(text.encode())
            room -= size + 4
            if bad is None and size > self._limits.string_bytes:
                bad = reasons.LIMIT_STRING, at
            elif bad is None and room < 0:
                bad = reasons.LIMIT_RECORD, at

        def member(key: str, at_key: int, at: int) -> int:
            nonlocal bad
            put(key, at_key)
            kind = self._kind(at)
            if kind == '"':
                end = self._string(at)
                out[key] = text = self._unescape(at, end)
                put(text, at)
                return end
            if kind == "n":
                out[key] = ""
                put("", at)
            elif bad is None:
                bad = reasons.WANT_STRING, at
            return self._skip(at)

        end = self._members(pos, member)
        if bad is not None:
            self._warn(*bad)
            out = {}
        setattr(self.entry, field, out)
        return end

    def _tags(self, pos: int) -> int:
        entry = self.entry
        kind = self._kind(pos)
        if kind != "[":
            if kind == "n":
                entry.tags = None
            else:
                self._problem(reasons.WANT_LIST, pos)
            return self._skip(pos)
        entry.tags = here = TagList([], [])
        entry.tag_lists.append(here)
        too_many = False

        def element(at: int, index: int) -> int:
            nonlocal too_many
            tag: Optional[str] = None
            kind = self._kind(at)
            end = self._skip(at)
            if entry.problem is not None:
                return end
            if index >= self._limits.tags:
                if kind == '"' and not too_many:
                    too_many = True
                    self._warn(reasons.LIMIT_TAGS, at)
                return end
            if kind == '"':
                tag = self._unescape(at, end)
            elif kind != "n":
                self._warn(reasons.WANT_STRING, at)
            here.tags.append(tag)
            here.offsets.append(self._base + at)
            return end

        return self._list(pos, element)

    def _problem(self, code: int, pos: int) -> None:
        if self.entry.problem is None:
            self.entry.problem = code, self._base + pos, "".join(self._path)

    def _warn(self, code: int, pos: int) -> None:
        self.entry.warnings.append((code, self._base + pos, "".join(self._path)))
