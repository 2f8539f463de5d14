"""The JSON of one record as Go's encoding/json reads it into go-micro's types.

A parsed text is a tree: an object is a tuple of (key, value) pairs, so that duplicates survive; an array is a list;
numbers are floats, as none is wanted.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, Tuple

from ...model import Endpoint, Value, frozen_endpoint
from .. import reasons
from .scan import fold
from .unhex import BadRecord

__all__ = ["SURROGATE", "make_document", "make_endpoint", "make_metadata", "parse"]

SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\n\r]*")


def _not_json(_: str) -> Any:
    raise BadRecord(reasons.RECORD_NOT_JSON)


_decoder = json.JSONDecoder(object_pairs_hook=tuple, parse_int=float, parse_constant=_not_json)


def parse(text: str, nesting: int, most: int) -> Any:
    """The tree of a text. Raises :class:`BadRecord` with RECORD_NOT_JSON, RECORD_NESTING, or LIMIT_RECORD where it has
    more than ``most`` objects and lists."""
    # Brackets inside strings count as well: this is an upper bound, for the depth too.
    if text.count("{") + text.count("[") > min(nesting, most):
        return _parse_deep(text, nesting, most)
    try:
        tree = _decoder.decode(text)
    except RecursionError:
        return _parse_deep(text, nesting, most)
    except ValueError:
        raise BadRecord(reasons.RECORD_NOT_JSON) from None
    if "\\ud" in text or "\\uD" in text:
        # The C scanner lets lone surrogates pass; the exact parser replaces them.
        return _parse_deep(text, nesting, most)
    return tree


def _parse_deep(text: str, nesting: int, most: int) -> Any:
    """The same without recursion, with depth and brackets counted."""
    scalar, space, end = _decoder.raw_decode, _SPACE.match, len(text)

    def skip(pos: int) -> int:
        match = space(text, pos)
        return match.end() if match else pos

    def key(pos: int) -> Tuple[str, int]:
        if not text.startswith('"', pos):
            _not_json(text)
        name, pos = scalar(text, pos)
        pos = skip(pos)
        if not text.startswith(":", pos):
            _not_json(text)
        return SURROGATE.sub("\ufffd", name), skip(pos + 1)

    #: The containers that are open: (list of elements, None) or (list of pairs, the key that waits for its value).
    opened: List[Tuple[List[Any], Optional[str]]] = []
    pos = skip(0)
    value: Any
    try:
        while True:
            c = text[pos : pos + 1]
            if c == "{" or c == "[":
                if len(opened) >= nesting:
                    raise BadRecord(reasons.RECORD_NESTING)
                if not most:
                    raise BadRecord(reasons.LIMIT_RECORD)
                most -= 1
                pos = skip(pos + 1)
                closer = "}" if c == "{" else "]"
                if not text.startswith(closer, pos):
                    name: Optional[str] = None
                    if c == "{":
                        name, pos = key(pos)
                    opened.append(([], name))
                    continue
                value = () if c == "{" else []
                pos += 1
            else:
                value, pos = scalar(text, pos)
                if isinstance(value, str):
                    value = SURROGATE.sub("\ufffd", value)
            while opened:
                items, name = opened[-1]
                items.append(value if name is None else (name, value))
                pos = skip(pos)
                c = text[pos : pos + 1]
                if c == ",":
                    pos = skip(pos + 1)
                    if name is not None:
                        name, pos = key(pos)
                        opened[-1] = items, name
                    break
                if c != ("]" if name is None else "}"):
                    _not_json(text)
                opened.pop()
                value = items if name is None else tuple(items)
                pos += 1
            else:
                if skip(pos) != end:
                    _not_json(text)
                return value
    except ValueError:
        raise BadRecord(reasons.RECORD_NOT_JSON) from None


def make_metadata(tree: Any) -> Optional[Dict[str, str]]:
    """A map of strings, or None for null. Raises :class:`BadRecord` with RECORD_SHAPE."""
    return None if tree is None else _pairs_into({}, tree)


def make_endpoint(tree: Any) -> Optional[Endpoint]:
    """An endpoint, or None for null. Raises :class:`BadRecord` with RECORD_SHAPE."""
    if tree is None:
        return None
    draft = _EndpointDraft()
    draft.take(tree)
    return draft.freeze()


def make_document(tree: Any) -> Optional[Dict[str, Any]]:
    """The document of an mDNS record, or None for null. Raises :class:`BadRecord` with RECORD_SHAPE."""
    if tree is None:
        return None
    texts = {"service": "", "version": ""}
    metadata: Optional[Dict[str, str]] = None
    drafts = _Slice()
    for key, value in _object(tree):
        name = fold(key)
        if name in texts:
            texts[name] = _string(value, texts[name])
        elif name == "metadata":
            metadata = None if value is None else _pairs_into(metadata or {}, value)
        elif name == "endpoints":
            for i, element in drafts.elements(value):
                if element is None:
                    drafts.items[i] = None
                else:
                    draft = drafts.items[i]
                    if draft is None:
                        draft = drafts.items[i] = _EndpointDraft()
                    draft.take(element)
    endpoints: Optional[List[Optional[Dict[str, Any]]]] = None
    if drafts.length is not None:
        endpoints = [d if d is None else d.freeze().to_dict() for d in drafts.items[: drafts.length]]
    return {
        "Service": texts["service"],
        "Version": texts["version"],
        "Endpoints": endpoints,
        "Metadata": metadata,
    }


def _object(tree: Any) -> Tuple[Tuple[str, Any], ...]:
    if type(tree) is not tuple:
        raise BadRecord(reasons.RECORD_SHAPE)
    return tree


def _string(value: Any, old: str) -> str:
    if type(value) is str:
        return value
    if value is None:
        return old
    raise BadRecord(reasons.RECORD_SHAPE)


def _pairs_into(out: Dict[str, str], tree: Any) -> Dict[str, str]:
    for key, value in _object(tree):
        out[key] = _string(value, "")
    return out


class _Slice:
    """A Go slice that encoding/json decodes into more than once: elements stay in its array and are reused."""

    __slots__ = ("items", "length")

    def __init__(self) -> None:
        self.items: List[Any] = []
        #: None where Go has a nil slice.
        self.length: Optional[int] = None

    def elements(self, tree: Any) -> Any:
        """The (position, subtree) pairs to decode; there is an item, perhaps None, at each position."""
        if tree is None or tree == []:
            self.items = []
            self.length = None if tree is None else 0
            return ()
        if type(tree) is not list:
            raise BadRecord(reasons.RECORD_SHAPE)
        self.length = len(tree)
        self.items.extend([None] * (len(tree) - len(self.items)))
        return enumerate(tree)


class _ValueDraft:
    __slots__ = ("name", "type", "values")

    def __init__(self) -> None:
        self.name = ""
        self.type = ""
        self.values: Optional[_Slice] = None

    def take(self, tree: Any) -> None:
        """Decodes an object into this value, at any depth. Later members of one name merge, in the text's order."""
        todo: List[Tuple[_ValueDraft, Any]] = [(self, tree)]
        while todo:
            draft, tree = todo.pop()
            later: List[Tuple[_ValueDraft, Any]] = []
            for key, value in _object(tree):
                name = fold(key)
                if name == "name":
                    draft.name = _string(value, draft.name)
                elif name == "type":
                    draft.type = _string(value, draft.type)
                elif name == "values":
                    if draft.values is None:
                        draft.values = _Slice()
                    items = draft.values
                    for i, element in items.elements(value):
                        if element is None:
                            items.items[i] = None
                            continue
                        if items.items[i] is None:
                            items.items[i] = _ValueDraft()
                        later.append((items.items[i], element))
            todo.extend(reversed(later))

    def freeze(self) -> Value:
        """The immutable value: children before their parents."""
        order: List[_ValueDraft] = [self]
        for draft in order:  # grows while it is read
            if draft.values is not None and draft.values.length:
                order.extend([d for d in draft.values.items[: draft.values.length] if d is not None])
        made: Dict[int, Value] = {}
        for draft in reversed(order):
            values: Optional[Tuple[Optional[Value], ...]] = None
            if draft.values is not None and draft.values.length is not None:
                values = tuple([None if d is None else made[id(d)] for d in draft.values.items[: draft.values.length]])
            made[id(draft)] = Value(draft.name, draft.type, values)
        return made[id(self)]


class _EndpointDraft:
    __slots__ = ("metadata", "name", "request", "response")

    def __init__(self) -> None:
        self.name = ""
        self.request: Any = None
        self.response: Any = None
        self.metadata: Optional[Dict[str, str]] = None

    def take(self, tree: Any) -> None:
        for key, value in _object(tree):
            name = fold(key)
            if name == "name":
                self.name = _string(value, self.name)
            elif name == "request":
                self.request = _message(self.request, value)
            elif name == "response":
                self.response = _message(self.response, value)
            elif name == "metadata":
                self.metadata = None if value is None else _pairs_into(self.metadata or {}, value)

    def freeze(self) -> Endpoint:
        return frozen_endpoint(self.name, _frozen(self.request), _frozen(self.response), self.metadata)


def _message(old: Any, tree: Any) -> Any:
    """The request or response after one more member of that name: a Value from the quick way, or a draft."""
    if tree is None:
        return None
    if old is None:
        try:
            return _plain_value(tree)
        except (LookupError, RecursionError):
            old = _ValueDraft()
    elif isinstance(old, Value):
        old = _thawed(old)
    old.take(tree)
    return old


def _plain_value(tree: Any) -> Value:
    """The value as go-micro writes it: name, type, values, in this order. Anything else raises LookupError."""
    if type(tree) is tuple and len(tree) == 3:
        (k1, name), (k2, kind), (k3, values) = tree
        if k1 == "name" and k2 == "type" and k3 == "values" and type(name) is str and type(kind) is str:
            if values is None:
                return Value(name, kind, None)
            if type(values) is list:
                return Value(name, kind, tuple([_plain_value(element) for element in values]))
    raise LookupError


def _thawed(value: Value) -> _ValueDraft:
    root = _ValueDraft()
    todo = [(root, value)]
    while todo:
        draft, value = todo.pop()
        draft.name, draft.type = value.name, value.type
        if value.values is not None:
            draft.values = _Slice()
            draft.values.length = len(value.values)
            for child in value.values:
                below = None if child is None else _ValueDraft()
                draft.values.items.append(below)
                if child is not None and below is not None:
                    todo.append((below, child))
    return root


def _frozen(message: Any) -> Optional[Value]:
    return message.freeze() if isinstance(message, _ValueDraft) else message
