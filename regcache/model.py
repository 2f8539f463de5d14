"""The words: what a registry says, as small immutable values.

The names, and the members of :meth:`to_dict`, are go-micro's (``registry.Service``, ``Node``, ``Endpoint``,
``Value``). ``Node`` and ``Snapshot`` have a compiled and a pure form and live in :mod:`regcache.codec`.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from .codec import Node

__all__ = [
    "DecodeWarning",
    "Endpoint",
    "Record",
    "Service",
    "Stats",
    "Value",
    "Weights",
    "checked_weights",
    "join_target",
    "same_deep",
]


def join_target(address: str, port: int) -> str:
    """Where to connect, as go-plugins' ``HostPort`` joins it.

    An address with ``:`` comes in brackets (once; Go puts a second pair around one that has them already).
    Port 0 is left out, unless the address is IPv4: then the address is the name of a queue.
    """
    if ":" in address:
        host = address if address.startswith("[") and address.endswith("]") else f"[{address}]"
        return f"{host}:{port}" if port else host
    if port == 0:
        try:
            IPv4Address(address)
        except ValueError:
            return address
    return f"{address}:{port}"


def same_deep(a: object, b: object) -> bool:
    """Are two nested tuples equal? ``==`` alone recurses, and records may be nested as deep as ``Limits.nesting``."""
    todo = [(a, b)]
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        if isinstance(a, tuple) and isinstance(b, tuple):
            if len(a) != len(b):
                return False
            todo.extend(zip(a, b))
        elif a != b:
            return False
    return True


class Value(NamedTuple):
    """A message, or a field of one: its name, its Go type, and its own fields."""

    name: str = ""
    type: str = ""
    #: ``None`` where go-micro has a nil slice; an element is ``None`` where it has a nil pointer.
    values: Optional[Tuple[Optional["Value"], ...]] = None

    def to_dict(self) -> Dict[str, Any]:
        """go-micro's JSON members: name, type, values. Works at any depth."""
        root: Dict[str, Any] = {}
        todo: List[Tuple[Value, Dict[str, Any]]] = [(self, root)]
        while todo:
            value, out = todo.pop()
            out["name"], out["type"], out["values"] = value.name, value.type, None
            if value.values is not None:
                below: List[Optional[Dict[str, Any]]] = []
                for child in value.values:
                    if child is None:
                        below.append(None)
                    else:
                        made: Dict[str, Any] = {}
                        below.append(made)
                        todo.append((child, made))
                out["values"] = below
        return root

    def __hash__(self) -> int:
        # Not of the fields: hashing nested tuples recurses, which a thread with a small stack does not survive.
        return hash((self.name, self.type, None if self.values is None else len(self.values)))


class Endpoint(NamedTuple):
    """One method that a node answers."""

    name: str = ""
    request: Optional[Value] = None
    response: Optional[Value] = None
    #: ``None`` where go-micro has a nil map.
    metadata: Optional[Mapping[str, str]] = None

    def to_dict(self) -> Dict[str, Any]:
        """go-micro's JSON members: name, request, response, metadata."""
        return {
            "name": self.name,
            "request": None if self.request is None else self.request.to_dict(),
            "response": None if self.response is None else self.response.to_dict(),
            "metadata": None if self.metadata is None else dict(self.metadata),
        }

    def __hash__(self) -> int:
        return hash((self.name, self.request, self.response))

    def __reduce__(self) -> Tuple[Any, ...]:
        # A read-only view cannot be pickled, a dict can.
        metadata = None if self.metadata is None else dict(self.metadata)
        return frozen_endpoint, (self.name, self.request, self.response, metadata)

    def __copy__(self) -> "Endpoint":
        return self

    def __deepcopy__(self, memo: object) -> "Endpoint":
        return self


def frozen_endpoint(
    name: str, request: Optional[Value], response: Optional[Value], metadata: Optional[Dict[str, str]]
) -> Endpoint:
    """An :class:`Endpoint` whose metadata is a read-only view of the dict given."""
    return Endpoint(name, request, response, None if metadata is None else MappingProxyType(metadata))


class Weights(NamedTuple):
    """Consul's ``Service.Weights``: the share of calls while passing and while warning. Consul's default is 1 and 1."""

    passing: int = 1
    warning: int = 1


def checked_weights(weights: Iterable[int]) -> Weights:
    """Two ints, as :class:`Weights`; :class:`TypeError` where they are something else."""
    made = Weights(*weights)
    for weight in made:
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise TypeError(f"Node: weights must be ints, not {type(weight).__name__}")
    return made


class Service(NamedTuple):
    """All nodes of one version of a service, as go-micro's ``GetService`` groups them; also what ``register`` takes."""

    name: str
    version: str = ""
    metadata: Optional[Mapping[str, str]] = None
    #: Those of the first node of this version; an element is ``None`` where go-micro has a nil pointer.
    endpoints: Tuple[Optional[Endpoint], ...] = ()
    nodes: Tuple["Node", ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """go-micro's JSON members: name, version, metadata, endpoints, nodes. Empty lists are ``None``, as Go's nil."""
        return {
            "name": self.name,
            "version": self.version,
            "metadata": None if self.metadata is None else dict(self.metadata),
            "endpoints": [None if e is None else e.to_dict() for e in self.endpoints] or None,
            "nodes": [node.to_dict() for node in self.nodes] or None,
        }

    def __hash__(self) -> int:
        return hash((self.name, self.version, self.endpoints, self.nodes))


class DecodeWarning(NamedTuple):
    """One part of the input that could not be used; everything around it was kept."""

    #: What is wrong.
    reason: str
    #: The byte of the body at which the part begins, from 0 (of a tag list: always 0).
    offset: int
    #: Where it is, such as ``[17].Service.Tags[3]`` (of a tag list: ``[3]``).
    path: str
    #: The service ID of the node, where there is one.
    node: Optional[str]

    def __str__(self) -> str:
        return f"byte {self.offset}, {self.path}" + (f" (node {self.node!r})" if self.node else "") + f": {self.reason}"


class Record(NamedTuple):
    """What the tags of one node say."""

    version: str = ""
    #: Was there a version tag at all (go-micro's second result)?
    version_found: bool = False
    metadata: Mapping[str, str] = MappingProxyType({})
    endpoints: Tuple[Optional[Endpoint], ...] = ()
    #: The tags that are not go-micro's, in order.
    tags: Tuple[str, ...] = ()
    warnings: Tuple[DecodeWarning, ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """The members version, metadata, endpoints (``None`` for none, as Go's nil), tags."""
        return {
            "version": self.version,
            "metadata": dict(self.metadata),
            "endpoints": [None if e is None else e.to_dict() for e in self.endpoints] or None,
            "tags": list(self.tags),
        }


class Stats(NamedTuple):
    """What one decode did and what its snapshot holds. Sizes are bytes."""

    #: The body.
    body_bytes: int = 0
    #: Entries of the body, those of other services included.
    entries: int = 0
    #: Entries that could not be used (each is in the warnings).
    dropped: int = 0
    #: Entries whose service has another name.
    other: int = 0
    #: Tags seen.
    tags: int = 0
    #: Distinct go-micro tags that the snapshot holds.
    records: int = 0
    #: Tags that this decode had to unhex and inflate.
    decoded: int = 0
    #: What the distinct records take in memory.
    record_bytes: int = 0
    #: Nodes taken over from the previous snapshot.
    reused: int = 0
