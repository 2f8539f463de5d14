"""A third, naive reading of Consul's bodies and go-micro's tags, to catch mistakes that both backends share.

It reads everything at once with ``json``, ``zlib``, ``zstandard`` and ``msgpack`` and follows the rules of Go's ``encoding/json`` and of
go-micro one by one. It knows neither limits nor offsets: a tag that is broken is left out, and a body must be
one that go-micro itself would take.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

import msgpack
import zstandard

import regcache

FORMATS = "-="


class Broken(Exception):
    """A tag that is skipped: bad hex, bad zlib, bad JSON, or JSON of another shape, and likewise for compact tags."""


class Unsure(Exception):
    """The msgpack package looks into extensions that say they are times; nobody else does."""


# --- JSON as Go reads it -----------------------------------------------------------------------------------


class Number(str):
    """A number's text. Go keeps it as text until it knows the type that is wanted."""


class Members(List[Tuple[str, Any]]):
    """An object's members in order, duplicates included."""


def parse(text: str) -> Any:
    """JSON with objects as Members and numbers as Number; lone surrogates become U+FFFD."""

    def refuse(word: str) -> None:
        raise Broken(word)

    def members(pairs: List[Tuple[str, Any]]) -> Members:
        return Members((whole(key), value) for key, value in pairs)

    try:
        document = json.loads(
            text, object_pairs_hook=members, parse_int=Number, parse_float=Number, parse_constant=refuse
        )
    except ValueError as problem:
        raise Broken(str(problem)) from None
    return whole(document)


def whole(value: Any) -> Any:
    """Strings without lone surrogates."""
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, Members):
        return Members((key, whole(below)) for key, below in value)
    return [whole(below) for below in value] if isinstance(value, list) else value


def text(data: bytes) -> str:
    """UTF-8 as Go decodes it: each byte that is not part of a valid character becomes U+FFFD."""
    out = ""
    while True:
        try:
            return out + data.decode()
        except UnicodeDecodeError as problem:
            out += data[: problem.start].decode() + "\ufffd"
            data = data[problem.start + 1 :]


def folded(key: str) -> str:
    """A key as Go compares it with a field's name: any case, and two letters that fold to ASCII."""
    key = key.replace("\u017f", "s").replace("\u212a", "k")
    return "".join(c.lower() if "A" <= c <= "Z" else c for c in key)


def fields(document: Any) -> Iterator[Tuple[str, Any]]:
    """The members of an object for a struct; ``null`` has none."""
    if document is None:
        return
    if not isinstance(document, Members):
        raise Broken("an object was expected")
    for key, value in document:
        yield folded(key), value


def string(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        raise Broken("a string was expected")
    return value


def strings(document: Any) -> Dict[str, str]:
    """A map of strings; null values are empty strings."""
    if not isinstance(document, Members):
        raise Broken("an object was expected")
    return {key: "" if value is None else string(value) for key, value in document}


# --- The tags of one node ----------------------------------------------------------------------------------


class Value:
    """A go-micro Value that is being filled. ``memory`` is the array under Go's slice, which outlives its length."""

    def __init__(self) -> None:
        self.name = self.type = ""
        self.values: Optional[List[Optional[Value]]] = None
        self.memory: List[Optional[Value]] = []

    def to_dict(self) -> Dict[str, Any]:
        values = None if self.values is None else [None if v is None else v.to_dict() for v in self.values]
        return {"name": self.name, "type": self.type, "values": values}


def fill_value(value: Optional[Value], document: Any) -> Optional[Value]:
    """Unmarshal into a pointer: null makes it nil, an object fills what it points to."""
    if document is None:
        return None
    value = value or Value()
    for key, below in fields(document):
        if key == "name" and below is not None:
            value.name = string(below)
        elif key == "type" and below is not None:
            value.type = string(below)
        elif key == "values":
            fill_values(value, below)
    return value


def fill_values(value: Value, document: Any) -> None:
    """Unmarshal into a slice: elements that were there before are filled in place."""
    if document is None:
        value.values, value.memory = None, []
        return
    if not isinstance(document, list) or isinstance(document, Members):
        raise Broken("a list was expected")
    if not document:
        value.values, value.memory = [], []
        return
    for i, below in enumerate(document):
        if i == len(value.memory):
            value.memory.append(None)
        value.memory[i] = fill_value(value.memory[i], below)
    value.values = value.memory[: len(document)]


def endpoint(document: Any) -> Optional[Dict[str, Any]]:
    if document is None:
        return None
    name = ""
    values: Dict[str, Optional[Value]] = {"request": None, "response": None}
    metadata: Optional[Dict[str, str]] = None
    for key, below in fields(document):
        if key == "name" and below is not None:
            name = string(below)
        elif key in values:
            values[key] = fill_value(values[key], below)
        elif key == "metadata":
            metadata = None if below is None else {**(metadata or {}), **strings(below)}
    sides = {key: None if value is None else value.to_dict() for key, value in values.items()}
    return {"name": name, "request": sides["request"], "response": sides["response"], "metadata": metadata}


def payload(tag: str) -> bytes:
    """The bytes that a tag carries: its text, or the zlib stream behind its hex digits."""
    if tag[1] == "=":
        return tag[2:].encode()
    digits = tag[2:]
    if len(digits) % 2 or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise Broken("not hex")
    inflater = zlib.decompressobj(zdict=b"")
    try:
        data = inflater.decompress(bytes.fromhex(digits))
    except zlib.error as problem:
        raise Broken(str(problem)) from None
    if not inflater.eof:
        raise Broken("cut short")
    return data


def is_gomicro(tag: str) -> bool:
    return len(tag) > 1 and tag[0] in "etv" and tag[1] in FORMATS


def first_format(tags: List[str], kind: str) -> Optional[str]:
    """The first tag of a kind decides which format of it is read."""
    return next((tag[1] for tag in tags if tag[0] == kind), None)


# --- The compact form --------------------------------------------------------------------------------------

DICTIONARY = Path(regcache.__file__).parent / "codec" / "dictionaries" / "1.zdict"


def unpacked(tag: str) -> bytes:
    """What a compact tag decompresses to."""
    if tag[2:4] not in ("10", "11"):
        raise Broken("another form")
    letters = tag[4:]
    try:
        frame = base64.b64decode(letters + "=" * (-len(letters) % 4), b"-_", validate=True)
    except ValueError as problem:
        raise Broken(str(problem)) from None
    if base64.urlsafe_b64encode(frame).decode().rstrip("=") != letters:
        raise Broken("not as base64url writes it")
    frame = zstandard.FRAME_HEADER + frame
    known = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes()) if tag[3] == "1" else None
    try:
        if zstandard.frame_content_size(frame) > 10**7:
            raise Broken("too large")
        return zstandard.ZstdDecompressor(dict_data=known).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise Broken(str(problem)) from None


def members(listed: Any, names: str) -> Dict[str, Any]:
    """A record's list as an object; what is missing is null."""
    if not isinstance(listed, list) or isinstance(listed, Members):
        raise Broken("a list was expected")
    return {name: listed[i] if i < len(listed) else None for i, name in enumerate(names.split())}


def unpacked_text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Broken("a text was expected")
    return text((value or "").encode("utf-8", "surrogateescape"))


def unpacked_map(value: Any) -> Optional[Dict[str, str]]:
    if value is None:
        return None
    if not isinstance(value, Members) or not all(isinstance(key, str) for key, _ in value):
        raise Broken("a map of texts was expected")
    return {unpacked_text(key): unpacked_text(below) for key, below in value}


def unpacked_value(listed: Any) -> Optional[Dict[str, Any]]:
    if listed is None:
        return None
    found = members(listed, "name type values")
    values = found["values"]
    if values is not None:
        members(values, "")
        values = [unpacked_value(below) for below in values]
    return {"name": unpacked_text(found["name"]), "type": unpacked_text(found["type"]), "values": values}


def unpacked_endpoint(listed: Any) -> Optional[Dict[str, Any]]:
    if listed is None:
        return None
    found = members(listed, "name request response metadata")
    sides = {side: unpacked_value(found[side]) for side in ("request", "response")}
    return {"name": unpacked_text(found["name"]), **sides, "metadata": unpacked_map(found["metadata"])}


def compact(tag: str) -> Dict[str, Any]:
    """The record of a compact tag: version, metadata, endpoints."""
    try:
        tree = msgpack.unpackb(
            unpacked(tag), strict_map_key=False, unicode_errors="surrogateescape", object_pairs_hook=Members
        )
    except (ValueError, msgpack.UnpackException) as problem:
        if "timestamp" in str(problem).lower():
            raise Unsure(str(problem)) from None
        raise Broken(str(problem)) from None
    found = members(tree, "version metadata endpoints")
    if len(tree) < 3:
        raise Broken("too short")
    endpoints = found["endpoints"] if found["endpoints"] is not None else []
    members(endpoints, "")
    return {
        "version": unpacked_text(found["version"]),
        "metadata": unpacked_map(found["metadata"]) or {},
        "endpoints": [unpacked_endpoint(listed) for listed in endpoints],
    }


def first_compact(tags: List[str]) -> Optional[Dict[str, Any]]:
    """The first compact tag that is not broken counts, and nothing else."""
    for tag in tags:
        if tag.startswith("m~"):
            try:
                return compact(tag)
            except Broken:
                pass
    return None


def decode_tags(tags: Iterable[Union[str, bytes]]) -> Dict[str, Any]:
    """What one node's tags say: version, version_found, metadata, endpoints, tags (the foreign ones)."""
    everything = [text(tag) if isinstance(tag, bytes) else whole(tag) for tag in tags]
    ours = [tag for tag in everything if is_gomicro(tag)]
    endpoints: List[Any] = []
    metadata: Dict[str, str] = {}
    for tag in ours:
        if tag[0] == "v" or tag[1] != first_format(ours, tag[0]):
            continue
        try:
            document = parse(text(payload(tag)))
            if tag[0] == "e":
                endpoints.append(endpoint(document))
            elif document is not None:
                metadata.update(strings(document))
        except Broken:
            pass
    foreign = [tag for tag in everything if tag and not is_gomicro(tag) and not tag.startswith("m~")]
    whole_record = first_compact(everything)
    if whole_record is not None:
        return {**whole_record, "version_found": True, "tags": foreign}
    versions = [tag for tag in ours if tag[0] == "v"]
    try:
        version = text(payload(versions[0])) if versions else ""
    except Broken:
        version = ""
    return {
        "version": version,
        "version_found": bool(versions),
        "metadata": metadata,
        "endpoints": endpoints,
        "tags": foreign,
    }


# --- A whole body ------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """The fields of one entry, named ``Service.ID`` and the like, and its checks."""

    present: Dict[str, bool]
    values: Dict[str, Any]
    checks: List[Dict[str, Any]]


#: The fields that are read, with their Go zero values.
ZERO: Dict[str, Any] = {
    "node.node": "", "node.address": "", "node.datacenter": "", "node.meta": None,
    "service.id": "", "service.service": "", "service.tags": None, "service.address": "", "service.port": Number("0"),
    "service.meta": None, "service.weights.passing": Number("1"), "service.weights.warning": Number("1"),
}  # fmt: skip


def read_entry(document: Any) -> Entry:
    """Duplicate members overwrite one by one; null puts a member back to its zero."""
    present = {"node": False, "service": False}
    values = dict(ZERO)
    checks: List[Dict[str, Any]] = []

    def reset(prefix: str) -> None:
        values.update({name: zero for name, zero in ZERO.items() if name.startswith(prefix)})

    for key, value in fields(document):
        if key in present:
            present[key] = value is not None
            if value is None:
                reset(key + ".")
            for name, below in fields(value):
                name = f"{key}.{name}"
                if name in ZERO:
                    values[name] = ZERO[name] if below is None else below
                elif name == "service.weights":
                    if below is None:
                        reset(name + ".")
                    for weight, number in fields(below):
                        if f"{name}.{weight}" in ZERO:
                            values[f"{name}.{weight}"] = ZERO[f"{name}.{weight}"] if number is None else number
        elif key == "checks":
            checks = [] if value is None else checks + [dict(fields(check)) for check in value if check is not None]
    return Entry(present, values, checks)


def status(checks: List[Dict[str, Any]]) -> str:
    ids = [check.get("checkid") or "" for check in checks]
    if any(i == "_node_maintenance" or i.startswith("_service_maintenance:") for i in ids):
        return "maintenance"
    words = [check.get("status") for check in checks]
    return next((word for word in ("critical", "warning") if word in words), "passing")


def decode(body: bytes, service: Optional[str] = None) -> List[Dict[str, Any]]:
    """The nodes of a valid body, each with every attribute of a Node."""
    nodes = []
    for document in parse(body.decode()) or []:
        entry = read_entry(document)
        values = entry.values
        name = string(values["service.service"])
        if not entry.present["service"] or (service is not None and name != service):
            continue
        if not values["service.address"] and not entry.present["node"]:
            continue
        said = decode_tags("" if tag is None else string(tag) for tag in values["service.tags"] or ())
        nodes.append(
            {
                "id": values["service.id"],
                "address": values["service.address"] or values["node.address"],
                "port": int(values["service.port"]),
                "name": name,
                "node_name": values["node.node"],
                "datacenter": values["node.datacenter"],
                "version": said["version"],
                "metadata": said["metadata"],
                "endpoints": said["endpoints"],
                "tags": said["tags"],
                "meta": strings(values["service.meta"] or Members()),
                "node_meta": strings(values["node.meta"] or Members()),
                "weights": (int(values["service.weights.passing"]), int(values["service.weights.warning"])),
                "status": status(entry.checks),
                "critical": any(check.get("status") == "critical" for check in entry.checks),
            }
        )
    return nodes


def services(nodes: List[Dict[str, Any]], service: str) -> Optional[List[Dict[str, Any]]]:
    """The nodes grouped by version as GetService does, in order of first appearance; ``None`` for none."""
    groups: Dict[str, Dict[str, Any]] = {}
    for node in nodes:
        version = node["version"]
        if version not in groups:
            groups[version] = {
                "name": service,
                "version": version,
                "metadata": None,
                "endpoints": node["endpoints"] or None,
                "nodes": None,
            }
        if not node["critical"]:
            wanted = {key: node[key] for key in ("id", "address", "port", "metadata")}
            groups[version]["nodes"] = [*(groups[version]["nodes"] or []), wanted]
    return list(groups.values()) or None
