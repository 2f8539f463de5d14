"""``regcache tags``: what go-micro's tags say, which nobody can read."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, List, Optional, Sequence, Tuple, Union

from ..codec import decode_tags
from ..model import DecodeWarning, Endpoint, Record, Value
from .fault import Fault
from .show import print_json, print_warnings
from .source import read_all
from .text import columns, cut, safe, style, width, wrapped

__all__ = ["add_to", "run"]

#: Characters of a broken tag that are shown.
SHOWN = 24


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tags",
        help="decode the tags of one node",
        description="Decode the tags of one node: go-micro's version, metadata and endpoints, packed (v-, t-, e-) or "
        "plain (v=, t=, e=), and regcache's compact ones (m~).",
        epilog="regcache tags t-789caa562a4a4dcf2c2e29aa54b2524acecf2b2ecd51aa05040000ffff560f07c8",
    )
    parser.add_argument(
        "tags", metavar="TAG", nargs="+", help="tags; - for standard input, one in a line or a list in JSON"
    )
    parser.add_argument("--json", action="store_true", help="write JSON: version, metadata, endpoints, tags, warnings")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Decode and show; it is a fault if nothing could be decoded."""
    if args.tags == ["-"]:
        tags = _from_lines(read_all("-"))
    else:
        tags = [os.fsencode(tag) for tag in args.tags]
    record = decode_tags(tags)
    # A broken version tag is an empty version, as in go-micro.
    version = record.version or (record.version_found and not record.warnings)
    warnings = [_warning(warning, tags) for warning in record.warnings]
    found = bool(version or record.metadata or record.endpoints or record.tags)
    if args.json:
        print_json({**record.to_dict(), "warnings": [dict(warning._asdict()) for warning in record.warnings]})
    elif found:
        _print(record)
        print_warnings(warnings, len(warnings))
    if record.warnings and not found:
        raise Fault("; ".join(warnings))


def _warning(warning: DecodeWarning, tags: Sequence[Union[str, bytes]]) -> str:
    """What is wrong, with the tag as it was given."""
    number = int(warning.path.strip("[]"))
    tag = tags[number]
    text = tag if isinstance(tag, str) else tag.decode("utf-8", "replace")
    begins = repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}..."
    return f"tag {number + 1}, {begins}: {warning.reason}"


def _from_lines(data: bytes) -> List[Union[str, bytes]]:
    if not data.strip():
        raise Fault("standard input is empty")
    if data.lstrip()[:1] in (b"[", b"{"):
        try:
            listed = json.loads(data)
        except (ValueError, RecursionError):
            pass  # lines that only begin like JSON
        else:
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise Fault("standard input is JSON, but a list of strings is wanted")
            return list(listed)
    return [line for line in data.splitlines() if line]


def _print(record: Record) -> None:
    lines: List[str] = []
    if record.version_found:
        lines.append(_label("version") + safe(record.version))
    if record.metadata:
        pairs = columns([(safe(key), "= " + safe(value)) for key, value in sorted(record.metadata.items())], indent="")
        lines += _under("metadata", pairs)
    for i, endpoint in enumerate(record.endpoints):
        lines += _under("" if i else "endpoints", _endpoint(endpoint))
    if record.tags:
        lines += wrapped([safe(tag) for tag in record.tags], _label("other tags"))
    for line in lines:
        line = cut(line, width())
        print(style(line[:12], "bold") + line[12:] if line[:12].strip() else line)


def _label(text: str) -> str:
    return f"{text:<12}"


def _under(label: str, lines: List[str]) -> List[str]:
    return [_label("" if i else label) + line for i, line in enumerate(lines)]


def _endpoint(endpoint: Optional[Endpoint]) -> List[str]:
    if endpoint is None:
        return ["(none)"]
    lines = [safe(endpoint.name) or "(no name)"]
    lines += _message("request", endpoint.request)
    lines += _message("response", endpoint.response)
    if endpoint.metadata:
        pairs = (f"{safe(key)}={safe(value)}" for key, value in sorted(endpoint.metadata.items()))
        lines.append("  metadata  " + " ".join(pairs))
    return lines


def _message(label: str, value: Optional[Value]) -> List[str]:
    """A message and its fields, each under the one that it belongs to."""
    if value is None:
        return []
    rows: List[Tuple[str, str]] = [(f"  {label}", safe(value.type or value.name))]
    todo: List[Tuple[int, Optional[Value]]] = [(0, child) for child in reversed(value.values or ())]
    while todo:
        depth, field = todo.pop()
        indent = "    " + "  " * min(depth, 40)
        if field is None:
            rows.append((f"{indent}(none)", ""))
            continue
        rows.append((indent + safe(field.name), safe(field.type)))
        todo += [(depth + 1, child) for child in reversed(field.values or ())]
    return columns(rows, indent="")
