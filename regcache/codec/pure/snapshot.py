"""What a decode yields: immutable nodes, and the immutable snapshot that holds them."""

from __future__ import annotations

import time
from threading import Lock
from types import MappingProxyType
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Protocol,
    Tuple,
    Union,
    overload,
)

from ...limits import Limits
from ...model import DecodeWarning, Endpoint, Service, Stats, Weights, checked_weights, join_target, same_deep
from .records import EMPTY, MadeRecord, merge

__all__ = ["Node", "Snapshot", "finish_snapshot", "make_node", "same_node"]

_set = object.__setattr__
_merging = Lock()
_STATUSES = ("passing", "warning", "critical", "maintenance")


class _Frozen:
    """No attribute can be assigned or deleted from outside."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


class Node(_Frozen):
    """One instance of a service. All attributes are read-only; two nodes are equal where every attribute is."""

    __slots__ = (
        "_endpoints", "_metadata", "_records", "address", "critical", "datacenter", "id", "meta", "name", "node_meta",
        "node_name", "port", "status", "tags", "version", "weights", "__weakref__",
    )  # fmt: skip

    #: The ID of the service instance (Consul: ``Service.ID``).
    id: str
    #: A host name or an IP address; the Consul node's where the service has none of its own.
    address: str
    port: int
    version: str
    #: passing, warning, critical or maintenance: the worst of the checks.
    status: str
    #: Is one of the checks exactly "critical"? Such a node go-micro leaves out.
    critical: bool
    #: The name of the service.
    name: str
    #: The Consul node it runs on.
    node_name: str
    datacenter: str
    #: The tags that are not go-micro's, in order.
    tags: Tuple[str, ...]
    #: ``Service.Meta`` and ``Node.Meta`` of Consul.
    meta: Mapping[str, str]
    node_meta: Mapping[str, str]
    weights: Weights
    #: The good t and e records, until someone asks for what they say together; None where that was given.
    _records: Any
    _metadata: Any
    _endpoints: Any

    def __init__(
        self,
        id: str,
        address: str = "",
        port: int = 0,
        *,
        metadata: Optional[Mapping[str, str]] = None,
        version: str = "",
        endpoints: Iterable[Optional[Endpoint]] = (),
        status: str = "passing",
        critical: bool = False,
        name: str = "",
        node_name: str = "",
        datacenter: str = "",
        tags: Iterable[str] = (),
        meta: Optional[Mapping[str, str]] = None,
        node_meta: Optional[Mapping[str, str]] = None,
        weights: Weights = Weights(),
    ) -> None:
        if hasattr(self, "id"):
            raise TypeError("a Node is immutable")
        for what, text in (("id", id), ("address", address), ("version", version), ("status", status), ("name", name),
                           ("node_name", node_name), ("datacenter", datacenter)):  # fmt: skip
            if not isinstance(text, str):
                raise TypeError(f"{what} must be a str, not {type(text).__name__}")
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"port must be an int, not {type(port).__name__}")
        if status not in _STATUSES:
            raise ValueError(f"status must be one of {', '.join(_STATUSES)}, not {status!r}")
        if not -(2**63) <= port < 2**63:
            raise OverflowError(f"port does not fit into 64 bits: {port}")
        if isinstance(tags, str):
            raise TypeError("tags must be an iterable of str, not str")
        tags = tuple(tags)
        for tag in tags:
            if not isinstance(tag, str):
                raise TypeError(f"tags must be str, not {type(tag).__name__}")
        endpoints = tuple(endpoints)
        for endpoint in endpoints:
            if endpoint is not None and not isinstance(endpoint, Endpoint):
                raise TypeError(f"endpoints must be Endpoint objects, not {type(endpoint).__name__}")
        _set(self, "id", id)
        _set(self, "address", address)
        _set(self, "port", port)
        _set(self, "_metadata", _view(metadata))
        _set(self, "version", version)
        _set(self, "_endpoints", endpoints)
        _set(self, "_records", None)
        _set(self, "status", status)
        _set(self, "critical", bool(critical))
        _set(self, "name", name)
        _set(self, "node_name", node_name)
        _set(self, "datacenter", datacenter)
        _set(self, "tags", tags)
        _set(self, "meta", _view(meta))
        _set(self, "node_meta", _view(node_meta))
        _set(self, "weights", checked_weights(weights))

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the ``t`` tags say, merged on first use; a read-only mapping."""
        if self._metadata is None:
            self._merge()
        found: Mapping[str, str] = self._metadata
        return found

    @property
    def endpoints(self) -> Tuple[Optional[Endpoint], ...]:
        """What the ``e`` tags say; an element is ``None`` where a tag says ``null``."""
        if self._endpoints is None:
            self._merge()
        found: Tuple[Optional[Endpoint], ...] = self._endpoints
        return found

    @property
    def target(self) -> str:
        """``address:port``, an IPv6 address in brackets; a host name without a port stands alone, as in go-plugins."""
        return join_target(self.address, self.port)

    def to_dict(self) -> Dict[str, Any]:
        """go-micro's JSON members: id, address, port, metadata."""
        return {"id": self.id, "address": self.address, "port": self.port, "metadata": dict(self.metadata)}

    def _merge(self) -> None:
        # Under the lock, so that every thread gets the same objects.
        with _merging:
            if self._metadata is None:
                metadata, endpoints = merge(self._records)
                _set(self, "_endpoints", endpoints)
                _set(self, "_metadata", MappingProxyType(metadata) if metadata else EMPTY)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self is other or same_node(self, other)

    def __hash__(self) -> int:
        return hash((self.id, self.node_name, self.name, self.address, self.port, self.version, self.status))

    def __repr__(self) -> str:
        return f"Node(id={self.id!r}, target={self.target!r}, version={self.version!r}, status={self.status!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        state = {
            "metadata": dict(self.metadata), "version": self.version, "endpoints": self.endpoints,
            "status": self.status, "critical": self.critical, "name": self.name, "node_name": self.node_name,
            "datacenter": self.datacenter, "tags": self.tags, "meta": dict(self.meta),
            "node_meta": dict(self.node_meta), "weights": self.weights,
        }  # fmt: skip
        return _node_again, (type(self), self.id, self.address, self.port, state)


def _node_again(cls: Any, id: str, address: str, port: int, state: Dict[str, Any]) -> Any:
    return cls(id, address, port, **state)


def make_node(fields: Tuple[Any, ...], records: Tuple[MadeRecord, ...]) -> Node:
    """A node from trusted parts, in the order of :data:`FIELDS`; metadata and endpoints come from the records."""
    node = Node.__new__(Node)
    for put, value in zip(_PUT, fields):
        put(node, value)
    _set(node, "_records", records)
    _set(node, "_metadata", None)
    _set(node, "_endpoints", None)
    return node


#: The order of the fields that :func:`make_node` takes.
FIELDS = ("id", "address", "port", "version", "status", "critical", "name", "node_name", "datacenter", "tags", "meta",
          "node_meta", "weights")  # fmt: skip
_PUT = [getattr(Node, name).__set__ for name in FIELDS]


def same_node(a: Node, b: Node) -> bool:
    """Are all attributes of both equal?"""
    if not (
        a.id == b.id
        and a.address == b.address
        and a.port == b.port
        and a.version == b.version
        and a.status == b.status
        and a.critical == b.critical
        and a.name == b.name
        and a.node_name == b.node_name
        and a.datacenter == b.datacenter
        and a.tags == b.tags
        and a.meta == b.meta
        and a.node_meta == b.node_meta
        and a.weights == b.weights
    ):
        return False
    if a._records is not None and a._records == b._records:
        return True
    if a.metadata != b.metadata:
        return False
    return same_deep(a.endpoints, b.endpoints)


def _view(mapping: Optional[Mapping[str, str]]) -> Mapping[str, str]:
    if not mapping:
        return EMPTY  # type: ignore[no-any-return]
    made = dict(mapping)
    for key, value in made.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError("metadata and meta must map str to str")
    return MappingProxyType(made)


class Keeper(Protocol):
    """Whoever serves a snapshot: a cache. The codec knows no more of it."""

    def is_stale(self, snapshot: "Snapshot") -> bool: ...
    def is_held(self, snapshot: "Snapshot") -> bool: ...
    def explain(self, snapshot: "Snapshot") -> str: ...


class Snapshot(_Frozen):
    """All nodes of a service at one moment, in the registry's order. Equal where service, nodes and index are."""

    __slots__ = (
        "_keeper", "_limits", "_records", "added", "changed", "index", "nodes", "removed", "service", "stats", "taken",
        "warning_count", "warnings", "__weakref__",
    )  # fmt: skip

    #: The name that was asked for, or that of the first node.
    service: str
    nodes: Tuple[Node, ...]
    #: The registry's index (``X-Consul-Index``).
    index: int
    #: time.monotonic() when the registry's answer was asked for, in seconds.
    taken: Optional[float]
    #: The parts that could not be used; at most ``Limits.warnings`` of them.
    warnings: Tuple[DecodeWarning, ...]
    #: All of them.
    warning_count: int
    #: Against the previous snapshot: new nodes, nodes that are not equal any more (new ones), gone nodes (old ones).
    added: Tuple[Node, ...]
    changed: Tuple[Node, ...]
    removed: Tuple[Node, ...]
    stats: Stats
    #: The distinct tags it uses and the limits under which they were decoded, for the decode after it.
    _records: Any
    _limits: Any
    #: A weak reference to whoever serves it, as the one item of a list: set once, in one step.
    _keeper: List[Callable[[], Optional["Keeper"]]]

    def __init__(
        self,
        service: str,
        nodes: Iterable[Node] = (),
        *,
        index: int = 0,
        taken: Optional[float] = None,
        warnings: Iterable[DecodeWarning] = (),
        warning_count: Optional[int] = None,
        added: Optional[Iterable[Node]] = None,
        changed: Iterable[Node] = (),
        removed: Iterable[Node] = (),
        stats: Stats = Stats(),
    ) -> None:
        if hasattr(self, "nodes"):
            raise TypeError("a Snapshot is immutable")
        if not isinstance(service, str):
            raise TypeError(f"service must be a str, not {type(service).__name__}")
        all_nodes = tuple(nodes)
        for node in all_nodes:
            if not isinstance(node, Node):
                raise TypeError(f"nodes must be Node objects, not {type(node).__name__}")
        listed = tuple(warnings)
        _set(self, "service", service)
        _set(self, "nodes", all_nodes)
        _set(self, "index", index)
        _set(self, "taken", taken)
        _set(self, "warnings", listed)
        _set(self, "warning_count", len(listed) if warning_count is None else warning_count)
        _set(self, "added", all_nodes if added is None else tuple(added))
        _set(self, "changed", tuple(changed))
        _set(self, "removed", tuple(removed))
        _set(self, "stats", stats)
        _set(self, "_records", {})
        _set(self, "_limits", None)
        _set(self, "_keeper", [])

    @property
    def age(self) -> Optional[float]:
        """Seconds since ``taken``, or ``None`` where that is not known."""
        return None if self.taken is None else time.monotonic() - self.taken

    def _attach(self, keeper: Callable[[], Optional["Keeper"]]) -> None:
        """Whoever serves it says so, before others see it, by a weak reference. The first one stays."""
        self._keeper.append(keeper)

    @property
    def stale(self) -> bool:
        """Is it no longer what its cache serves, or older than it should be? False where it never was in a cache."""
        keeper = self._keeper[0]() if self._keeper else None
        return bool(self._keeper) if keeper is None else keeper.is_stale(self)

    @property
    def held(self) -> bool:
        """Is it served though the registry's last answer was another, which is held back (:class:`regcache.Guard`)?"""
        keeper = self._keeper[0]() if self._keeper else None
        return False if keeper is None else keeper.is_held(self)

    def explain(self) -> str:
        """Where it comes from, and why it is served, or is no longer, in words."""
        keeper = self._keeper[0]() if self._keeper else None
        if keeper is not None:
            return keeper.explain(self)
        age = self.age
        taken = "" if age is None else f", taken {age:.1f} s ago"
        served = "no cache serves any more" if self._keeper else "no cache serves"
        nodes = "node" if len(self.nodes) == 1 else "nodes"
        return f"{self.service}: a snapshot with {len(self.nodes)} {nodes} (index {self.index}{taken}) that {served}"

    def services(self) -> List[Service]:
        """go-micro's ``GetService``: grouped by version, in order of first appearance, without the critical nodes."""
        firsts: Dict[str, Node] = {}
        groups: Dict[str, List[Node]] = {}
        for node in self.nodes:
            if node.version not in firsts:
                firsts[node.version] = node
                groups[node.version] = []
            if not node.critical:
                groups[node.version].append(node)
        return [
            Service(self.service, version, None, first.endpoints, tuple(groups[version]))
            for version, first in firsts.items()
        ]

    def to_dict(self) -> Dict[str, Any]:
        """The members service, index, services, warnings, warning_count, ready for JSON."""
        return {
            "service": self.service,
            "index": self.index,
            "services": [service.to_dict() for service in self.services()],
            "warnings": [
                {"reason": w.reason, "offset": w.offset, "path": w.path, "node": w.node} for w in self.warnings
            ],
            "warning_count": self.warning_count,
        }

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @overload
    def __getitem__(self, i: int) -> Node: ...
    @overload
    def __getitem__(self, i: slice) -> Tuple[Node, ...]: ...
    def __getitem__(self, i: Union[int, slice]) -> Union[Node, Tuple[Node, ...]]:
        return self.nodes[i]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self.service == other.service and self.index == other.index and self.nodes == other.nodes

    def __hash__(self) -> int:
        return hash((self.service, self.index, self.nodes))

    def __repr__(self) -> str:
        return (
            f"Snapshot(service={self.service!r}, nodes={len(self.nodes)}, index={self.index}, "
            f"warnings={self.warning_count})"
        )

    def __reduce__(self) -> Tuple[Any, ...]:
        state = {
            "index": self.index, "taken": self.taken, "warnings": self.warnings, "warning_count": self.warning_count,
            "added": self.added, "changed": self.changed, "removed": self.removed, "stats": self.stats,
        }  # fmt: skip
        return _snapshot_again, (type(self), self.service, self.nodes, state)


def _snapshot_again(cls: Any, service: str, nodes: Tuple[Node, ...], state: Dict[str, Any]) -> Any:
    return cls(service, nodes, **state)


def finish_snapshot(snapshot: Snapshot, records: Dict[str, MadeRecord], limits: Limits) -> Snapshot:
    """Gives a new snapshot the distinct tags that it uses, for the decode after it."""
    _set(snapshot, "_records", records)
    _set(snapshot, "_limits", limits)
    return snapshot
