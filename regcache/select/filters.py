"""Filters: which nodes may be used. Each says what it is when it left none.

``version("1.0") & ~label("canary", "yes") | tag("fallback")``: they combine with ``&``, ``|`` and ``~``, and are asked
once about each node of a snapshot, never at a call. Any callable of a node is a filter, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Sequence, Set, Tuple, Union

if TYPE_CHECKING:
    from ..codec import Node

__all__ = [
    "Filter",
    "Filters",
    "Preference",
    "datacenter",
    "endpoint",
    "label",
    "prefer",
    "several",
    "sorted_out",
    "status",
    "tag",
    "version",
    "where",
    "zone",
]

Predicate = Callable[["Node"], object]
#: What a selector takes: several, all of which have to say yes, or a single one.
Filters = Union[Predicate, Iterable[Predicate]]
#: The values that some attribute has on some node, for messages.
Values = Callable[["Node"], Iterable[str]]

#: How many values a message lists.
LISTED = 8
STATUSES = ("passing", "warning", "critical", "maintenance")

# How tightly the outermost operator of a filter's text binds, as in Python.
_OR, _AND, _NOT, _ATOM = range(4)


class Filter:
    """Says of a node whether it may be used. Immutable; made by the functions of this module.

    Args:
        predicate: called with a node; what it returns counts by its truth.
        text: what a person would type for it.
        about: what it looks at, for messages: names, each with a function of a node that tells the values.
    """

    __slots__ = ("_about", "_binds", "_predicate", "_text")

    def __init__(
        self, predicate: Predicate, text: str, about: Sequence[Tuple[str, Values]] = (), binds: int = _ATOM
    ) -> None:
        self._predicate = predicate
        self._text = text
        self._about = tuple(about)
        self._binds = binds

    def __call__(self, node: "Node") -> bool:
        """May this node be used?"""
        return bool(self._predicate(node))

    def __repr__(self) -> str:
        return self._text

    def __and__(self, other: "Union[Filter, Predicate]") -> "Filter":
        return _All(self, _filter(other)) if callable(other) else NotImplemented

    def __rand__(self, other: Predicate) -> "Filter":
        return _filter(other) & self if callable(other) else NotImplemented

    def __or__(self, other: "Union[Filter, Predicate]") -> "Filter":
        if not callable(other):
            return NotImplemented
        one, two = _yes_or_no(self), _yes_or_no(_filter(other))
        text = f"{one._inside(_OR)} | {two._inside(_AND)}"
        return Filter(lambda node: one(node) or two(node), text, one._about + two._about, _OR)

    def __ror__(self, other: Predicate) -> "Filter":
        return _filter(other) | self if callable(other) else NotImplemented

    def __invert__(self) -> "Filter":
        one = _yes_or_no(self)
        return Filter(lambda node: not one(node), f"~{one._inside(_NOT)}", one._about, _NOT)

    def _inside(self, binds: int) -> str:
        """The text as an operand of an operator that binds so tightly."""
        return f"({self._text})" if self._binds < binds else self._text

    def _parts(self) -> "Tuple[Filter, ...]":
        """The filters that all have to say yes, for a message that names the one that did not."""
        return (self,)

    def there_is(self, nodes: Sequence["Node"]) -> str:
        """What these nodes have of that which the filter looks at: ``versions: '1.0', '1.1'``."""
        about = dict(self._about) or {"versions": _version_of}
        return "; ".join(f"{name}: {_listed({v for node in nodes for v in of(node)})}" for name, of in about.items())


class _All(Filter):
    """Both of two filters."""

    __slots__ = ("_both",)

    def __init__(self, one: Filter, two: Filter) -> None:
        self._both = one, two
        text = f"{one._inside(_AND)} & {two._inside(_NOT)}"
        super().__init__(lambda node: one(node) and two(node), text, one._about + two._about, _AND)

    def _parts(self) -> Tuple[Filter, ...]:
        return tuple(part for one in self._both for part in one._parts())


class Preference(Filter):
    """What :func:`prefer` makes. On its own no node is turned away by it."""

    __slots__ = ("at_least", "healthy", "preferred")

    def __init__(self, preferred: Filter, at_least: int, healthy: float) -> None:
        self.preferred: Filter = preferred
        self.at_least: int = at_least
        self.healthy: float = healthy
        more = ("" if at_least == 1 else f", at_least={at_least!r}") + (
            "" if healthy == HEALTHY else f", healthy={healthy!r}"
        )
        super().__init__(lambda node: True, f"prefer({preferred!r}{more})")

    def enough(self, usable: int, preferred: int) -> bool:
        """Are there enough usable ones among the preferred, so that only those are used?"""
        return usable >= max(1, self.at_least) and usable >= self.healthy * preferred


#: The part of the preferred nodes that must be usable. Envoy spills over to the next priority when fewer than
#: 1 / 1.4 of one are healthy (its overprovisioning factor): with fewer, those left would have to do too much.
HEALTHY = 0.7


def version(*values: str) -> Filter:
    """Nodes of one of these versions, exactly (go-micro: ``selector.FilterVersion``)."""
    wanted = _wanted("version", values)
    return Filter(lambda node: node.version in wanted, _call("version", values), [("versions", _version_of)])


def label(key: str, *values: str) -> Filter:
    """Nodes whose metadata has one of these values under this key (go-micro: ``selector.FilterLabel``)."""
    wanted = _wanted("label", values)

    def of(node: "Node") -> Iterable[str]:
        found = node.metadata.get(key)
        return () if found is None else (found,)

    return Filter(
        lambda node: node.metadata.get(key) in wanted, _call("label", (key, *values)), [(f"labels {key!r}", of)]
    )


def endpoint(name: str) -> Filter:
    """Nodes that answer this endpoint (go-micro: ``selector.FilterEndpoint``)."""

    def of(node: "Node") -> Iterable[str]:
        return (found.name for found in node.endpoints if found is not None)

    return Filter(lambda node: name in of(node), _call("endpoint", (name,)), [("endpoints", of)])


def status(*names: str) -> Filter:
    """Nodes whose checks say one of these: ``"passing"``, ``"warning"``, ``"critical"``.

    ``status("passing")`` leaves warning nodes out. It is not the way to reach critical ones: those are used only in
    panic mode, and nodes in maintenance never.

    Raises:
        ValueError: there is no such status.
    """
    wanted = _wanted("status", names)
    for name in wanted:
        if name not in STATUSES:
            raise ValueError(f"there is no status {name!r}; there are {', '.join(STATUSES)}")
    return Filter(
        lambda node: node.status in wanted, _call("status", names), [("statuses", lambda node: (node.status,))]
    )


def tag(*names: str) -> Filter:
    """Nodes with at least one of these Consul tags; those that are go-micro's records do not count."""
    wanted = _wanted("tag", names)
    return Filter(
        lambda node: not wanted.isdisjoint(node.tags), _call("tag", names), [("tags", lambda node: node.tags)]
    )


def datacenter(*names: str) -> Filter:
    """Nodes of one of these Consul datacenters."""
    wanted = _wanted("datacenter", names)
    return Filter(
        lambda node: node.datacenter in wanted,
        _call("datacenter", names),
        [("datacenters", lambda node: (node.datacenter,))],
    )


def zone(value: str, key: str = "zone") -> Filter:
    """Nodes of this zone: the value under ``key`` of the service's Meta, else of the Consul node's, else of the
    metadata in go-micro's tags."""

    def of(node: "Node") -> Optional[str]:
        for held in (node.meta, node.node_meta, node.metadata):
            if key in held:
                return held[key]
        return None

    def values(node: "Node") -> Iterable[str]:
        found = of(node)
        return () if found is None else (found,)

    text = f"zone({value!r})" if key == "zone" else f"zone({value!r}, key={key!r})"
    return Filter(lambda node: of(node) == value, text, [("zones" if key == "zone" else f"zones {key!r}", values)])


def where(predicate: Predicate, name: str = "") -> Filter:
    """Nodes of which the predicate says yes; ``name`` is what messages call it."""
    if not callable(predicate):
        raise TypeError(f"a filter is called with a node; {predicate!r} cannot be called")
    own = getattr(predicate, "__qualname__", "") or repr(predicate)
    return Filter(predicate, f"where({own}, name={name!r})" if name else f"where({own})")


def prefer(preferred: "Union[Filter, Predicate]", at_least: int = 1, healthy: float = HEALTHY) -> Filter:
    """Only the nodes that this filter says yes to, as long as enough of them are usable; else all: spill-over.

    ``prefer(zone("eu-1"))`` keeps calls in the zone until fewer than 70 % of its nodes are usable, so that a zone in
    trouble is not finished off by its own callers. Preferences come after all filters, in their order. They cannot be
    combined with ``|`` or ``~``.

    Args:
        preferred: the filter.
        at_least: how many of the preferred nodes must be usable (passing or warning, and not ejected).
        healthy: the part of them that must be, from 0 to 1.

    Raises:
        ValueError: one of the numbers makes no sense.
    """
    if at_least < 1:
        raise ValueError(f"at_least must be at least 1, not {at_least!r}")
    if not 0 <= healthy <= 1:
        raise ValueError(f"healthy is a part, from 0 to 1, not {healthy!r}")
    return Preference(_yes_or_no(_filter(preferred)), at_least, healthy)


def several(filters: Filters) -> Tuple[Predicate, ...]:
    """These filters; also where it is a single one.

    Raises:
        TypeError: it is neither.
    """
    if callable(filters):
        return (filters,)
    if not isinstance(filters, Iterable):
        raise TypeError(f"filters are called with a node, one or several of them; {filters!r} cannot be called")
    return tuple(filters)


def sorted_out(filters: Filters) -> Tuple[Tuple[Filter, ...], Tuple[Preference, ...]]:
    """The filters that all have to say yes, and the preferences.

    Raises:
        TypeError: one cannot be called with a node.
    """
    parts: List[Filter] = [part for given in several(filters) for part in _filter(given)._parts()]
    return (
        tuple(part for part in parts if not isinstance(part, Preference)),
        tuple(part for part in parts if isinstance(part, Preference)),
    )


def _filter(given: "Union[Filter, Predicate]") -> Filter:
    if isinstance(given, Filter):
        return given
    if not callable(given):
        raise TypeError(f"a filter is called with a node; {given!r} cannot be called")
    return Filter(given, getattr(given, "__qualname__", "") or repr(given))


def _yes_or_no(given: Filter) -> Filter:
    if any(isinstance(part, Preference) for part in given._parts()):
        raise TypeError(f"{given!r} chooses among nodes and cannot be combined with |, ~ or prefer()")
    return given


def _wanted(what: str, values: Sequence[str]) -> Set[str]:
    if not values:
        raise TypeError(f"{what}() needs at least one value")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{what}() compares texts, and {value!r} is none")
    return set(values)


def _call(name: str, arguments: Sequence[str]) -> str:
    return f"{name}({', '.join(map(repr, arguments))})"


def _version_of(node: "Node") -> Iterable[str]:
    return (node.version,)


def _listed(values: Set[str]) -> str:
    listed = sorted(values)
    return (", ".join(map(repr, listed[:LISTED])) or "none") + (", ..." if len(listed) > LISTED else "")
