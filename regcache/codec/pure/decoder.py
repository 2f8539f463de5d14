"""The decoder: a body in chunks becomes a snapshot, one entry at a time.

The plain case goes through the C scanner of :mod:`json`; whatever is unusual goes to :mod:`.scan`, which is exact.
"""

from __future__ import annotations

import json
import re
from codecs import utf_8_decode
from threading import Lock
from types import MappingProxyType
from typing import Any, Dict, List, NoReturn, Optional, Set, Tuple, Union

from ...errors import DecodeError
from ...limits import Limits
from ...model import DecodeWarning, Stats, Weights
from .. import reasons
from .entry import Entry, EntryScanner
from .plain import Unusual, read_plain
from .records import EMPTY, MadeRecord, Overflow, Records, Resolved
from .scan import Incomplete
from .snapshot import Node, Snapshot, finish_snapshot, make_node, same_node

__all__ = ["Decoder", "decode"]

Chunk = Union[bytes, bytearray, memoryview]

#: Bytes looked at together: about what is held besides an unfinished entry.
STEP = 128 * 1024
#: An entry larger than this (characters) is not plain: the C scanner would build it whole.
PLAIN = 1024 * 1024
_space = re.compile(r"[ \t\n\r]*").match
_NO_TAGS = Resolved((), "", False, (), [])

# Where the decoder is in the body.
_START, _FIRST, _VALUE, _AFTER, _DONE = range(5)


class Decoder:
    """Decodes one ``/v1/health/service`` body from chunks cut anywhere.

    ``service``: entries of other services are left out; ``None`` takes all. ``previous``: the snapshot before, whose
    records and equal nodes are taken over. ``strict``: the first warning is raised as a
    :class:`~regcache.errors.DecodeError` instead of listed.
    """

    def __init__(
        self,
        service: Optional[str] = None,
        *,
        limits: Limits = Limits(),
        previous: Optional[Snapshot] = None,
        strict: bool = False,
    ) -> None:
        if service is not None and not isinstance(service, str):
            raise TypeError(f"service must be a str or None, not {type(service).__name__}")
        if not isinstance(limits, Limits):
            raise TypeError(f"limits must be Limits, not {type(limits).__name__}")
        if previous is not None and not isinstance(previous, Snapshot):
            raise TypeError(f"previous must be a Snapshot or None, not {type(previous).__name__}")
        self._service = service
        self._limits = limits
        self._previous = previous
        self._strict = strict
        reusable = previous is not None and previous._limits == limits
        self._records = Records(limits, previous._records if reusable and previous is not None else None)
        self._lock = Lock()
        self._failed: Optional[BaseException] = None
        self._finished = False
        # The bytes not yet used, how many they are, and how many there must be for the next try.
        self._pending: List[bytes] = []
        self._held = 0
        self._need = 1
        self._offset = 0
        #: How far into the unfinished entry the C scanner came; -1 where it was not asked.
        self._stuck = -1
        self._state = _START
        #: Where the entry at hand begins.
        self._entry_offset = 0
        #: The records of the nodes kept, a tuple each.
        self._used: Set[Tuple[MadeRecord, ...]] = set()
        self._nodes: List[Node] = []
        self._warnings: List[DecodeWarning] = []
        self._warning_count = 0
        self._entries = self._dropped = self._other = self._tags = self._reused = 0
        self._added: List[Node] = []
        self._changed: List[Node] = []
        #: The previous nodes by (node_name, id); duplicates in order.
        self._old: Dict[Tuple[str, str], List[Node]] = {}
        for node in reversed(previous.nodes) if previous is not None else ():
            self._old.setdefault((node.node_name, node.id), []).append(node)

    @property
    def offset(self) -> int:
        """Bytes consumed so far."""
        return self._offset

    @property
    def held_bytes(self) -> int:
        """Bytes of the body that the decoder itself holds: the unfinished entry."""
        return self._held

    def feed(self, chunk: Chunk) -> None:
        """Takes the next bytes of the body.

        Raises :class:`~regcache.errors.DecodeError` where they cannot be part of a list of entries, and the same
        error again at every later call.
        """
        view = memoryview(chunk)
        if not view.c_contiguous:
            raise BufferError("the chunk is not contiguous")
        view = view.cast("B")
        self._begin()
        try:
            room = self._limits.body_bytes - self._offset
            for start in range(0, min(len(view), room), STEP):
                self._take(bytes(view[start : min(start + STEP, room)]))
            if len(view) > room:
                self._run(True)
                self._fail(reasons.LIMIT_BODY, self._limits.body_bytes, "")
        except BaseException as error:  # a node may be lost: of this body there is no snapshot any more
            self._give_up(error)
            raise
        finally:
            self._lock.release()

    def finish(self, *, index: int = 0, taken: Optional[float] = None) -> Snapshot:
        """The snapshot, once the whole body was fed. ``index`` and ``taken`` (seconds) are put into it.

        Raises :class:`~regcache.errors.DecodeError` where the body is cut short.
        """
        self._begin()
        try:
            path = self._run(True)
            if self._state != _DONE:
                self._fail(reasons.TRUNCATED, self._offset, path)
            self._finished = True
            return self._snapshot(index, taken)
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            self._lock.release()

    def _begin(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("another thread is using this decoder")
        error: Optional[BaseException] = self._failed
        if error is None and self._finished:
            error = RuntimeError("this decoder has finished")
        if error is not None:
            self._lock.release()
            raise error

    def _give_up(self, error: BaseException) -> None:
        self._failed = error
        self._pending, self._held, self._nodes, self._old = [], 0, [], {}
        self._previous = None

    def _take(self, chunk: bytes) -> None:
        self._pending.append(chunk)
        self._held += len(chunk)
        self._offset += len(chunk)
        if self._held >= self._need:
            self._run(False)

    def _run(self, last: bool) -> str:
        """Uses the bytes held as far as it can. With ``last`` there are no more; returns the path where they end."""
        data = b"".join(self._pending)
        base = self._offset - len(data)
        size = len(data)
        try:
            text, used = utf_8_decode(data, "strict", last)
            broken = False
        except UnicodeDecodeError as error:
            text, used = utf_8_decode(data[: error.start], "strict", True)
            broken = True
        narrow = len(text) == used  # then positions in the text are positions in the bytes
        end = len(text)
        pos = at = 0  # in the text, in the bytes
        path = ""
        while True:
            match = _space(text, pos)
            if match:
                at += match.end() - pos
                pos = match.end()
            if pos < end:
                c = text[pos]
            elif broken:
                c = "\ufffd"
            else:
                break
            state = self._state
            if state == _AFTER:
                if c == ",":
                    self._state = _VALUE
                elif c == "]":
                    self._state = _DONE
                else:
                    self._fail(reasons.BAD_COMMA, base + at, "")
                pos += 1
                at += 1
            elif state == _START:
                length = self._start(c, data, at, base, last)
                if length == 0:
                    break
                pos += length
                at += length
            elif state == _DONE:
                self._fail(reasons.TRAILING, base + at, "")
            elif c == "]" and state == _FIRST:
                self._state = _DONE
                pos += 1
                at += 1
            else:
                self._entry_offset = base + at
                stop = self._plain_entry(text, pos) if c == "{" else -1
                if stop > 0:
                    at += stop - pos if narrow else len(text[pos:stop].encode())
                    pos = stop
                else:
                    if stop == 0 and not broken and not last:
                        break  # unfinished, it seems: wait for more
                    try:
                        after = self._exact_entry(data, at, base)
                    except Incomplete as incomplete:
                        path = incomplete.path
                        break
                    pos += after - at if narrow else len(data[at:after].decode())
                    at = after
                self._stuck = -1
                self._entries += 1
                self._state = _AFTER
        rest = data[at:]
        self._pending = [rest] if rest else []
        self._held = size - at
        # Twice as much before the next try: a body fed byte by byte costs no more than its size.
        self._need = max(1, 2 * self._held)
        return path

    def _start(self, c: str, data: bytes, at: int, base: int, last: bool) -> int:
        """The body's first byte. Returns how many bytes were used; 0: wait for more."""
        if c == "[":
            self._state = _FIRST
            return 1
        if c == "n":
            word = data[at : at + 4]
            for i, byte in enumerate(word):
                if byte != b"null"[i]:
                    self._fail(reasons.BAD_LITERAL, base + at + i, "")
            if len(word) < 4:
                return 0
            self._state = _DONE
            return 4
        self._fail(reasons.NOT_A_LIST if c in '{"-0123456789tf' else reasons.BAD_VALUE, base + at, "")

    def _plain_entry(self, text: str, pos: int) -> int:
        """Tries the quick way. Returns the position after the entry; 0: perhaps more is needed; -1: not this way."""
        if len(text) - pos > PLAIN:
            return -1
        try:
            plain, stop = read_plain(text, pos, self._limits)
            resolved = self._records.resolve(plain.tags)
        except json.JSONDecodeError as error:
            stuck, self._stuck = self._stuck, error.pos - pos
            return -1 if stuck == self._stuck else 0
        except (Unusual, Overflow, RecursionError, ValueError):
            return -1
        if resolved.problems:
            return -1
        self._tags += len(plain.tags) - plain.tags.count(None)
        if self._service is not None and plain.name != self._service:
            self._other += 1
        else:
            self._keep(
                plain.id,
                plain.address,
                plain.port,
                plain.name,
                plain.node_name,
                plain.datacenter,
                plain.meta,
                plain.node_meta,
                plain.weights,
                plain.checks,
                resolved,
            )
        return stop

    def _exact_entry(self, data: bytes, at: int, base: int) -> int:
        """Takes an entry the exact way. Returns the position after it."""
        scanner = EntryScanner(data, at, base, self._entries, self._limits)
        entry = scanner.entry
        try:
            after = scanner.run()
        except (DecodeError, Incomplete):
            self._resolve(entry)  # records that are too large together come first
            raise
        warnings = entry.warnings
        resolved = self._resolve(entry)
        self._tags += sum([len(tags) - tags.count(None) for tags, _ in entry.tag_lists])
        # A broken entry counts as one of ours until it says that it is not.
        if self._service is not None and entry.name != self._service and (entry.name or entry.problem is None):
            self._other += 1
            return after
        if entry.problem is None and not entry.address and not entry.node_present:
            entry.problem = reasons.NO_ADDRESS, base + at, f"[{self._entries}]"
        if entry.problem is not None:
            self._dropped += 1
            self._warn([entry.problem], entry.id)
            return after
        warnings.sort(key=lambda warning: warning[1])
        self._warn(warnings, entry.id)
        self._keep_exact(entry, resolved)
        return after

    def _resolve(self, entry: Entry) -> Resolved:
        """Decodes the entry's tags, adds their problems to its warnings, and returns the list that counts."""
        path = f"[{self._entries}].Service.Tags"
        resolved = _NO_TAGS
        for listed in entry.tag_lists:
            try:
                found = self._records.resolve(listed.tags)
            except Overflow as overflow:
                position = overflow.position
                self._fail(reasons.LIMIT_DECOMPRESSED, listed.offsets[position], f"{path}[{position}]")
            entry.warnings.extend([(code, listed.offsets[i], f"{path}[{i}]") for i, code in found.problems])
            if listed is entry.tags:
                resolved = found
        return resolved

    def _keep_exact(self, entry: Entry, resolved: Resolved) -> None:
        self._keep(
            entry.id,
            entry.address or entry.node_address,
            entry.port,
            entry.name,
            entry.node_name,
            entry.datacenter,
            MappingProxyType(entry.meta) if entry.meta else EMPTY,
            MappingProxyType(entry.node_meta) if entry.node_meta else EMPTY,
            Weights(entry.passing, entry.warning),
            entry.checks,
            resolved,
        )

    def _keep(
        self, id: str, address: str, port: int, name: str, node_name: str, datacenter: str, meta: Any, node_meta: Any,
        weights: Weights, checks: List[Tuple[str, str]], resolved: Resolved,
    ) -> None:  # fmt: skip
        if len(self._nodes) >= self._limits.nodes:
            self._fail(reasons.LIMIT_NODES, self._entry_offset, f"[{self._entries}]")
        self._used.add(resolved.records)
        maintenance = False
        critical = False
        status = "passing"
        for check_id, word in checks:
            if word == "critical":
                critical = True
            if check_id == "_node_maintenance" or check_id.startswith("_service_maintenance:"):
                maintenance = True
            elif word == "critical" or (word == "warning" and status == "passing"):
                status = word
        if maintenance:
            status = "maintenance"
        node = make_node(
            (id, address, port, resolved.version, status, critical, name, node_name, datacenter, resolved.foreign,
             meta, node_meta, weights),
            resolved.records,
        )  # fmt: skip
        if self._previous is not None:
            before = self._old.get((node_name, id))
            if not before:
                self._added.append(node)
            else:
                old = before.pop()
                if same_node(old, node):
                    node = old
                    self._reused += 1
                else:
                    self._changed.append(node)
        self._nodes.append(node)

    def _snapshot(self, index: int, taken: Optional[float]) -> Snapshot:
        nodes = tuple(self._nodes)
        made = self._records.made
        if self._dropped or self._other:
            made = self._records.keep_only(self._used)  # not what only those entries used
        removed: List[Node] = []
        if self._previous is not None:
            # What is left of the old nodes, in their order.
            left = {id(node) for nodes in self._old.values() for node in nodes}
            removed = [node for node in self._previous.nodes if id(node) in left]
        service = self._service
        if service is None:
            service = nodes[0].name if nodes else ""
        snapshot = Snapshot(
            service,
            nodes,
            index=index,
            taken=taken,
            warnings=self._warnings,
            warning_count=self._warning_count,
            added=None if self._previous is None else self._added,
            changed=self._changed,
            removed=removed,
            stats=Stats(
                body_bytes=self._offset,
                entries=self._entries,
                dropped=self._dropped,
                other=self._other,
                tags=self._tags,
                records=len(made),
                decoded=self._records.decoded,
                record_bytes=self._records.size,
                reused=self._reused,
            ),
        )
        self._previous = None
        self._nodes, self._old, self._added, self._changed = [], {}, [], []
        return finish_snapshot(snapshot, made, self._limits)

    def _warn(self, warnings: List[Tuple[int, int, str]], id: str) -> None:
        node = id or None
        if warnings and self._strict:
            code, offset, path = warnings[0]
            raise reasons.error(code, offset, path, node)
        for code, offset, path in warnings:
            self._warning_count += 1
            if len(self._warnings) < self._limits.warnings:
                self._warnings.append(DecodeWarning(reasons.REASONS[code][0], offset, path, node))

    def _fail(self, code: int, offset: int, path: str) -> NoReturn:
        raise reasons.error(code, offset, path)


def decode(
    body: Chunk,
    service: Optional[str] = None,
    *,
    limits: Limits = Limits(),
    previous: Optional[Snapshot] = None,
    strict: bool = False,
    index: int = 0,
    taken: Optional[float] = None,
) -> Snapshot:
    """Decodes a whole body; the arguments are those of :class:`Decoder` and :meth:`Decoder.finish`."""
    decoder = Decoder(service, limits=limits, previous=previous, strict=strict)
    decoder.feed(body)
    return decoder.finish(index=index, taken=taken)
