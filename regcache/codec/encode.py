"""Records into tags: go-micro's, as its Register writes them, and the compact form of our own.

Pure Python and shared by both backends: a service registers seldom, and reads always.
"""

from __future__ import annotations

import base64
import re
import threading
import zlib
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from ..model import Endpoint, Record, Service, Value
from . import dictionaries

if TYPE_CHECKING:
    from . import Node

__all__ = ["FORMS", "encode_compact", "encode_tags", "pack"]

#: What ``encode_tags`` can write.
FORMS = ("go-micro", "plain", "compact", "both")
#: Values inside each other in the compact form: msgpack's packer goes 511 levels deep, and each takes two.
COMPACT_DEPTH = 250
#: zstd's level. A record is compressed once, when its service starts, and read by every peer.
LEVEL = 19
#: What a zstd frame begins with; the compact form leaves it out.
MAGIC_BYTES = 4


def encode_tags(record: Union[Record, "Node", Service], *, form: str = "go-micro") -> List[str]:
    """The tags that say what a record says.

    Args:
        record: a :class:`~regcache.model.Record` or a ``Node``; or a :class:`~regcache.Service`: its version and
            endpoints, and the metadata and foreign tags of its only node, if it has one.
        form: ``"go-micro"`` (hex of zlib, what every go-micro since 2016 reads), ``"plain"`` (readable; written until
            2016, still read), ``"compact"`` (one tag, read by regcache), or ``"both"`` (compact, then go-micro).

    Returns:
        The compact tag, then go-micro's: one ``t`` tag for each metadata pair in the mapping's order, one ``e`` tag
        for each endpoint, one ``v`` tag, always. The record's foreign tags come last. Lone surrogates become U+FFFD,
        as Go's ``json.Marshal`` has it.

    Raises:
        TypeError: a member has another type; the message names it, such as ``endpoints[2].request.name``.
        ValueError: an unknown form, a service with several nodes, a foreign tag that would be read as one of ours, or
            values nested deeper than the compact form allows.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    parts = _parts(record)
    tags = [_compact(parts, 1)] if form in ("compact", "both") else []
    if form != "compact":
        tags += _gomicro(parts, plain=form == "plain")
    return tags + parts.foreign


def encode_compact(record: Union[Record, "Node", Service], *, dictionary: int = 1) -> str:
    """The one compact tag that holds a record, without its foreign tags.

    ``dictionary``: 1, the one that ships with the package, or 0 for none. Takes and raises what :func:`encode_tags`
    does.
    """
    if isinstance(dictionary, bool) or not isinstance(dictionary, int):
        raise TypeError(f"dictionary must be an int, not {type(dictionary).__name__}")
    if dictionary not in (0, 1):
        raise ValueError(f"dictionary must be 0 or 1, not {dictionary}")
    return _compact(_parts(record), dictionary)


def pack(record: Union[Record, "Node", Service]) -> bytes:
    """The content of a record's compact tag before it is compressed: msgpack, what dictionaries are trained on."""
    return _pack(_parts(record))


class _Parts(NamedTuple):
    """What is written of a record, checked. Texts may still hold lone surrogates."""

    version: str
    metadata: Mapping[str, str]
    endpoints: Sequence[Optional[Endpoint]]
    foreign: List[str]


def _parts(record: Any) -> _Parts:
    source: Any = record
    metadata: Any = {}
    foreign: Any = ()
    if isinstance(record, Service):
        if len(record.nodes) > 1:
            raise ValueError(f"the service has {len(record.nodes)} nodes, and the tags are those of one")
        source = record.nodes[0] if record.nodes else None
    elif not isinstance(record, Record) and not hasattr(type(record), "node_meta"):  # a Node, of either backend
        raise TypeError(f"record must be a Record, a Node or a Service, not {type(record).__name__}")
    if source is not None:
        metadata, foreign = source.metadata, source.tags
    _want_str(record.version, "version")
    if not isinstance(metadata, Mapping):
        raise TypeError("metadata must be a mapping of str to str")
    _want_strings(metadata, "metadata")
    if not isinstance(record.endpoints, (tuple, list)):
        raise TypeError("endpoints must be a tuple of Endpoint or None")
    _want_endpoints(record.endpoints)
    return _Parts(record.version, metadata, record.endpoints, _foreign(foreign))


# --- Types -------------------------------------------------------------------------------------------------

#: Where a value is: (the place around it, its own name), made into a text only for an error.
_Place = Tuple[Any, str]


def _want_str(text: Any, *place: Any) -> None:
    if not isinstance(text, str):
        _wrong("a str", text, *place)


def _wrong(wanted: str, found: Any, *place: Any) -> NoReturn:
    """``place``: texts, or one :data:`_Place` and a text."""
    where = "".join([part for part in place if isinstance(part, str)])
    around: Any = place[0] if isinstance(place[0], tuple) else None
    names: List[str] = []
    while around is not None:
        around, name = around
        names.append(name)
    raise TypeError(f"{''.join(reversed(names))}{where} must be {wanted}, not {type(found).__name__}")


def _want_strings(mapping: Mapping[Any, Any], where: str) -> None:
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise TypeError(f"{where}: the key {key!r} must be a str, not {type(key).__name__}")
        if not isinstance(value, str):
            _wrong("a str", value, f"{where}[{key!r}]")


def _want_endpoints(endpoints: Iterable[Any]) -> None:
    for i, endpoint in enumerate(endpoints):
        if endpoint is None:
            continue
        where = f"endpoints[{i}]"
        if not isinstance(endpoint, Endpoint):
            _wrong("an Endpoint or None", endpoint, where)
        _want_str(endpoint.name, where, ".name")
        _want_value(endpoint.request, (None, f"{where}.request"))
        _want_value(endpoint.response, (None, f"{where}.response"))
        if endpoint.metadata is not None:
            if not isinstance(endpoint.metadata, Mapping):
                _wrong("a mapping of str to str, or None", endpoint.metadata, where, ".metadata")
            _want_strings(endpoint.metadata, f"{where}.metadata")


def _want_value(value: Any, place: _Place) -> None:
    todo: List[Tuple[Any, _Place]] = [(value, place)]
    while todo:
        value, place = todo.pop()
        if value is None:
            continue
        if not isinstance(value, Value):
            _wrong("a Value or None", value, place)
        _want_str(value.name, place, ".name")
        _want_str(value.type, place, ".type")
        if value.values is not None:
            if not isinstance(value.values, tuple):
                _wrong("a tuple of Value, or None", value.values, place, ".values")
            todo.extend([(child, (place, f".values[{i}]")) for i, child in enumerate(value.values)])


def _foreign(tags: Any) -> List[str]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise TypeError("tags must be an iterable of str")
    out = []
    for i, tag in enumerate(tags):
        _want_str(tag, f"tags[{i}]")
        if tag[:2] == "m~" or (tag[:1] in ("e", "t", "v") and tag[1:2] in ("-", "=")):
            raise ValueError(f"tags[{i}] would be read as part of the record, for it begins with {tag[:2]!r}")
        out.append(_whole(tag))
    return out


_SURROGATE = re.compile("[\ud800-\udfff]")


def _whole(text: str) -> str:
    """The text without lone surrogates, of which no UTF-8 can be made."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


# --- go-micro's tags ---------------------------------------------------------------------------------------


def _gomicro(parts: _Parts, *, plain: bool) -> List[str]:
    texts = [("t", _map_json({key: value})) for key, value in parts.metadata.items()]
    texts += [("e", _endpoint_json(endpoint)) for endpoint in parts.endpoints]
    texts.append(("v", _whole(parts.version)))
    if plain:
        return [f"{kind}={text}" for kind, text in texts]
    return [f"{kind}-{zlib.compress(text.encode()).hex()}" for kind, text in texts]


_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: "re.Match[str]") -> str:
    c = match.group()
    # Go writes a lone surrogate, which it sees as bytes that are not UTF-8, as this escape.
    return _SHORT.get(c) or ("\\ufffd" if "\ud800" <= c <= "\udfff" else f"\\u{ord(c):04x}")


def _string_json(text: str) -> str:
    """A string as Go 1.19's ``json.Marshal`` writes it: safe inside HTML and JavaScript."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _map_json(mapping: Optional[Mapping[str, str]]) -> str:
    """A map as Go writes it: sorted by key. The order of code points is that of UTF-8's bytes."""
    if mapping is None:
        return "null"
    pairs = sorted(mapping.items(), key=lambda pair: _whole(pair[0]))
    return "{" + ",".join([f"{_string_json(key)}:{_string_json(value)}" for key, value in pairs]) + "}"


def _endpoint_json(endpoint: Optional[Endpoint]) -> str:
    if endpoint is None:
        return "null"
    request, response = _value_json(endpoint.request), _value_json(endpoint.response)
    return (
        f'{{"name":{_string_json(endpoint.name)},"request":{request},"response":{response},'
        f'"metadata":{_map_json(endpoint.metadata)}}}'
    )


def _value_json(value: Optional[Value]) -> str:
    """A message at any depth: texts to write, and values whose turn has not come."""
    out: List[str] = []
    todo: List[Union[str, Value, None]] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            out.append(item)
        elif item is None:
            out.append("null")
        else:
            out.append(f'{{"name":{_string_json(item.name)},"type":{_string_json(item.type)},"values":')
            if item.values is None:
                out.append("null}")
            else:
                out.append("[")
                todo.append("]}")
                for i in range(len(item.values) - 1, -1, -1):
                    todo.append(item.values[i])
                    if i:
                        todo.append(",")
    return "".join(out)


# --- The compact form --------------------------------------------------------------------------------------


def _compact(parts: _Parts, dictionary: int) -> str:
    frame = _compress(_pack(parts), str(dictionary))
    text = base64.urlsafe_b64encode(frame[MAGIC_BYTES:]).rstrip(b"=").decode()
    return f"m~1{dictionary}{text}"


def _pack(parts: _Parts) -> bytes:
    import msgpack  # only who writes the compact form needs it

    record = [
        _whole(parts.version),
        _packed_map(parts.metadata),
        [None if endpoint is None else _packed_endpoint(endpoint) for endpoint in parts.endpoints],
    ]
    packed: bytes = msgpack.packb(record)
    return packed


def _packed_map(mapping: Optional[Mapping[str, str]]) -> Any:
    if mapping is None:
        return None
    return {_whole(key): _whole(value) for key, value in mapping.items()}


def _packed_endpoint(endpoint: Endpoint) -> List[Any]:
    out = [
        _whole(endpoint.name),
        _packed_value(endpoint.request),
        _packed_value(endpoint.response),
        _packed_map(endpoint.metadata),
    ]
    return _trimmed(out)


def _packed_value(value: Optional[Value]) -> Optional[List[Any]]:
    if value is None:
        return None
    root: List[Any] = []
    todo: List[Tuple[Value, List[Any], int]] = [(value, root, 1)]
    while todo:
        value, out, depth = todo.pop()
        if depth > COMPACT_DEPTH:
            raise ValueError(f"the compact form has no room for values nested deeper than {COMPACT_DEPTH} levels")
        below: Optional[List[Any]] = None
        if value.values is not None:
            below = []
            for child in value.values:
                if child is None:
                    below.append(None)
                else:
                    made: List[Any] = []
                    below.append(made)
                    todo.append((child, made, depth + 1))
        out += _trimmed([_whole(value.name), _whole(value.type) or None, below])
    return root


def _trimmed(items: List[Any]) -> List[Any]:
    """Without the None at its end; readers know what is missing. The first stays."""
    while len(items) > 1 and items[-1] is None:
        items.pop()
    return items


_local = threading.local()


def _compressor(dictionary: str) -> Any:
    """One for each dictionary and thread: a compressor is not for two threads at once, and a lock might be held when
    a process forks."""
    known: Dict[str, Any] = _local.__dict__
    found = known.get(dictionary)
    if found is None:
        import zstandard

        found = known[dictionary] = zstandard.ZstdCompressor(
            level=LEVEL, dict_data=dictionaries.trained(dictionary), write_checksum=True, write_dict_id=False
        )
    return found


def _compress(data: bytes, dictionary: str) -> bytes:
    """One zstd frame in a single segment: with its content size and a checksum, without the dictionary ID.

    The checksum (6 characters) is there because zstd alone reads most damaged frames as something else.
    """
    frame: bytes = _compressor(dictionary).compress(data)
    return frame
