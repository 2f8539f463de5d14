"""``regcache tags encode``: the tags that go-micro and regcache read, from options or from JSON."""

from __future__ import annotations

import argparse
import json
from typing import Any, Dict, List, Optional, Tuple

from ..codec import encode_tags
from ..model import Endpoint, Record, Value
from .agent import add_parts, pairs
from .fault import Fault
from .show import print_json
from .source import read_all

__all__ = ["add_to", "run"]

#: What the JSON of ``regcache tags --json`` has.
_MEMBERS = ("version", "metadata", "endpoints", "tags", "warnings")


def add_to(commands: Any) -> None:
    """Declare the command. Its name has a space: it follows ``regcache tags``, which takes any words."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tags encode",
        help="encode a version, metadata and endpoints into tags",
        description="Write the tags that say a version, metadata and endpoints, one in a line.",
        epilog="regcache tags encode --version 1.0 --metadata protocol=grpc --endpoint Say.Hello --form both",
    )
    parser.add_argument(
        "source", metavar="-", nargs="?", help="read standard input: JSON as regcache tags --json writes it"
    )
    parser.add_argument("--version", metavar="VERSION", help="the service's version")
    add_parts(parser)
    parser.add_argument(
        "--form",
        choices=("go-micro", "plain", "compact", "both"),
        default="go-micro",
        help="go-micro's (zlib, in hex), its old readable ones, regcache's one compact tag, or compact and go-micro's "
        "(%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="write a list in JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Encode and print."""
    record = _record(args)
    try:
        tags = encode_tags(record, form=args.form)
    except (TypeError, ValueError) as error:
        raise Fault(str(error), code=1 if args.source else 2) from error
    if args.json:
        print_json(tags)
        return
    broken = next((tag for tag in tags if len(tag.splitlines()) != 1), None)
    if broken is not None:
        raise Fault(f"the tag {broken!r} is not one line; use --json")
    for tag in tags:
        print(tag)


def _record(args: argparse.Namespace) -> Record:
    given = args.version is not None or args.metadata or args.endpoint or args.tag
    if args.source is None:
        if not given:
            raise Fault("nothing to encode: give --version, --metadata, --endpoint or --tag, or - and JSON", code=2)
        endpoints = tuple(Endpoint(name) for name in args.endpoint)
        return Record(args.version or "", True, pairs(args.metadata), endpoints, tuple(args.tag))
    if args.source != "-":
        raise Fault(f"- is wanted for standard input, not {args.source!r}", code=2)
    if given:
        raise Fault("with -, everything comes from standard input: no --version, --metadata, --endpoint, --tag", code=2)
    return _read(read_all("-"))


# JSON as a record.


def _read(data: bytes) -> Record:
    try:
        return _record_of(json.loads(data))
    except ValueError as error:
        raise Fault(f"standard input is not JSON: {error}") from error
    except RecursionError:
        raise Fault("standard input is nested too deeply") from None


def _record_of(said: Any) -> Record:
    members = _object(said, "standard input", _MEMBERS)
    listed = _list(members.get("endpoints"), "endpoints") or []
    endpoints = tuple(_endpoint(one, f"endpoints[{i}]") for i, one in enumerate(listed))
    metadata = members.get("metadata")
    return Record(
        _text(members, "version", ""),
        True,
        {} if metadata is None else _object(metadata, "metadata"),
        endpoints,
        tuple(_list(members.get("tags"), "tags") or ()),
    )


def _endpoint(said: Any, where: str) -> Optional[Endpoint]:
    if said is None:
        return None
    members = _object(said, where, Endpoint._fields)
    metadata = members.get("metadata")
    return Endpoint(
        _text(members, "name", where),
        _value(members.get("request"), f"{where}.request"),
        _value(members.get("response"), f"{where}.response"),
        None if metadata is None else _object(metadata, f"{where}.metadata"),
    )


def _value(said: Any, where: str) -> Optional[Value]:
    """A message, with what it holds."""
    if said is None:
        return None
    members = _object(said, where, Value._fields)
    values = _list(members.get("values"), f"{where}.values")
    made: Optional[Tuple[Optional[Value], ...]] = None
    if values is not None:
        made = tuple(_value(child, f"{where}.values[{i}]") for i, child in enumerate(values))
    return Value(_text(members, "name", where), _text(members, "type", where), made)


def _object(said: Any, where: str, known: Tuple[str, ...] = ()) -> Dict[str, Any]:
    if not isinstance(said, dict):
        raise Fault(f"{where} must be an object")
    unknown = next((name for name in said if known and name not in known), None)
    if unknown is not None:
        raise Fault(f"{where} has a member {unknown!r}; known are {', '.join(known)}")
    return said


def _list(said: Any, where: str) -> Optional[List[Any]]:
    if said is not None and not isinstance(said, list):
        raise Fault(f"{where} must be a list")
    return said


def _text(members: Dict[str, Any], name: str, where: str) -> str:
    text = members.get(name)
    if text is not None and not isinstance(text, str):
        raise Fault(f"{where + '.' if where else ''}{name} must be a string")
    return text or ""
