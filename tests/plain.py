"""A snapshot, a node or an error as plain data, so that results of different backends can be compared."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List

from regcache import DecodeError


def node(node: Any) -> Dict[str, Any]:
    """Every attribute of a node."""
    return {
        "id": node.id,
        "address": node.address,
        "port": node.port,
        "name": node.name,
        "node_name": node.node_name,
        "datacenter": node.datacenter,
        "version": node.version,
        "metadata": dict(node.metadata),
        "endpoints": [None if e is None else e.to_dict() for e in node.endpoints],
        "tags": list(node.tags),
        "meta": dict(node.meta),
        "node_meta": dict(node.node_meta),
        "weights": tuple(node.weights),
        "status": node.status,
        "critical": node.critical,
    }


def snapshot(snapshot: Any) -> Dict[str, Any]:
    """What a snapshot says; of its statistics those that do not depend on how a backend stores things."""
    return {
        "service": snapshot.service,
        "index": snapshot.index,
        "nodes": [node(n) for n in snapshot.nodes],
        "added": [node(n) for n in snapshot.added],
        "changed": [node(n) for n in snapshot.changed],
        "removed": [node(n) for n in snapshot.removed],
        "warnings": [tuple(w) for w in snapshot.warnings],
        "warning_count": snapshot.warning_count,
        "stats": counts(snapshot.stats),
    }


def counts(stats: Any) -> Dict[str, int]:
    """Whether a broken tag, or one that a later member overwrote, is remembered is a backend's own business."""
    return {name: getattr(stats, name) for name in ("body_bytes", "entries", "dropped", "other", "tags", "reused")}


def record(record: Any) -> Dict[str, Any]:
    """What one node's tags say."""
    return {
        **record.to_dict(),
        "version_found": record.version_found,
        "warnings": [tuple(w) for w in record.warnings],
    }


def error(error: DecodeError) -> Dict[str, Any]:
    return {
        "type": type(error).__name__,
        "reason": error.reason,
        "offset": error.offset,
        "path": error.path,
        "node": error.node,
        "limit": getattr(error, "limit", None),
    }


def outcome(make: Callable[[], Any], shape: Callable[[Any], Any] = snapshot) -> Any:
    """What ``make`` returns or the DecodeError that it raises, as plain data."""
    try:
        made = make()
    except DecodeError as problem:
        return error(problem)
    return shape(made)


def decode_pieces(codec: Any, chunks: Iterable[Any], service: Any = None, *, index: int = 0, **options: Any) -> Any:
    """A snapshot from a body in pieces."""
    decoder = codec.Decoder(service, **options)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish(index=index)


def warnings(snapshot: Any) -> List[Any]:
    return [tuple(w) for w in snapshot.warnings]
