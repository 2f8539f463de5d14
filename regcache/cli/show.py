"""A snapshot, and the warnings of one, as a page for people or as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

from ..codec import Node, Snapshot
from ..model import DecodeWarning
from .fault import Fault
from .text import columns, cut, plural, safe, style, width, wrapped

__all__ = ["as_json", "by_version", "endpoint_names", "print_json", "print_snapshot", "print_warnings", "statuses"]

_COLOURS = {"warning": "yellow", "critical": "red", "maintenance": "magenta"}


def print_json(value: Any) -> None:
    """A value as JSON, indented."""
    plain = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") != "utf8"
    try:
        text = json.dumps(value, indent=2, ensure_ascii=plain)
    except RecursionError:
        raise Fault("the records are nested too deeply to be written as JSON") from None
    print(text)


def as_json(snapshot: Snapshot) -> Dict[str, Any]:
    """The services as go-micro's GetService returns them, and the warnings."""
    return {
        "services": [service.to_dict() for service in snapshot.services()],
        "warnings": [dict(warning._asdict()) for warning in snapshot.warnings],
    }


def by_version(snapshot: Snapshot) -> Dict[Tuple[str, str], List[Node]]:
    """All nodes, the critical ones too, by name and version, in the order of their first appearance."""
    groups: Dict[Tuple[str, str], List[Node]] = {}
    for node in snapshot.nodes:
        groups.setdefault((node.name, node.version), []).append(node)
    return groups


def statuses(nodes: Sequence[Node], colour: bool = True) -> str:
    """``12 passing, 1 critical``."""
    counts = Counter(node.status for node in nodes)
    order = ("passing", "warning", "critical", "maintenance")
    said = [(f"{counts[status]:,} {status}", status) for status in order if counts[status]]
    return ", ".join(_coloured(text, status) if colour else text for text, status in said)


def endpoint_names(node: Node) -> List[str]:
    """The names of what a node answers."""
    return [safe(endpoint.name) if endpoint is not None else "(none)" for endpoint in node.endpoints]


def print_snapshot(snapshot: Snapshot) -> None:
    """The nodes by version, then the warnings."""
    groups = by_version(snapshot)
    names = list(dict.fromkeys(name for name, _ in groups))
    title = safe(snapshot.service) if len(names) < 2 else plural(len(names), "service")
    print(style(title or "(no service)", "bold") + ": " + _summary(snapshot, len(groups)))
    for (name, version), nodes in groups.items():
        print()
        head = f"version {safe(version)}" if version else "no version"
        if len(names) > 1:
            head = f"{safe(name)}, {head}"
        print(style(head, "bold") + f": {plural(len(nodes), 'node')}, {statuses(nodes)}")
        endpoints = endpoint_names(nodes[0])
        if endpoints:
            print("\n".join(wrapped(endpoints, "  endpoints  ")))
        common = _common(nodes)
        if common:
            print("\n".join(wrapped(_pairs(common), "  metadata   ", separator=" ")))
        rows = [("NODE", "TARGET", "STATUS", "ENDPOINTS", "AND ITS OWN" if common else "METADATA")]
        rows += [_row(node, common) for node in nodes]
        lines = columns(rows, right=(3,))
        print(lines[0])
        for node, line in zip(nodes, lines[1:]):
            print(_coloured(line, node.status))
    print_warnings(snapshot.warnings, snapshot.warning_count)


def print_warnings(warnings: Sequence[Union[DecodeWarning, str]], count: int) -> None:
    """What could not be used, if anything."""
    if not count:
        return
    print()
    print(style(f"{plural(count, 'warning')}:", "yellow"))
    for warning in warnings:
        print("  " + safe(str(warning)))
    if count > len(warnings):
        print(f"  and {count - len(warnings):,} more")


def _summary(snapshot: Snapshot, versions: int) -> str:
    if not snapshot.nodes:
        return "no nodes"
    return f"{plural(len(snapshot.nodes), 'node')} in {plural(versions, 'version')}, {statuses(snapshot.nodes)}"


def _common(nodes: Sequence[Node]) -> Dict[str, str]:
    """The metadata that all of several nodes have, which is said once."""
    if len(nodes) < 2:
        return {}
    items = set(nodes[0].metadata.items())
    for node in nodes[1:]:
        items &= node.metadata.items()
    return dict(items)


def _pairs(metadata: Mapping[str, str]) -> List[str]:
    return [f"{safe(key)}={safe(value)}" for key, value in sorted(metadata.items())]


def _row(node: Node, common: Mapping[str, str]) -> Tuple[str, str, str, str, str]:
    own = {key: value for key, value in node.metadata.items() if key not in common}
    metadata = " ".join(_pairs(own))
    return _short(node), safe(node.target), node.status, str(len(node.endpoints)), metadata


def _short(node: Node) -> str:
    """The node's ID; in a narrow window without the service's name, which most begin with."""
    room = width()
    if room is None or len(node.id) <= room // 4:
        return safe(node.id)
    rest = node.id[len(node.name) :] if node.name and node.id.startswith(node.name) else node.id
    return safe(cut(rest.lstrip("-") or node.id, max(12, room // 4)))


def _coloured(text: str, status: str) -> str:
    return style(text, _COLOURS[status]) if status in _COLOURS else text
