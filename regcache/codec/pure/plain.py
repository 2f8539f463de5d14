"""The quick way through one entry: the C scanner of :mod:`json`, then one look at each member that is wanted.

Whatever is not as Consul writes it raises :class:`Unusual`: the exact parser decides.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, Dict, FrozenSet, List, NamedTuple, NoReturn, Sequence, Tuple

from ...limits import Limits
from ...model import Weights
from .records import EMPTY
from .scan import fold

__all__ = ["Plain", "Unusual", "read_plain"]

_WEIGHTS = Weights()


class Unusual(Exception):
    """This entry is for the exact parser."""


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unusual
    return made


def _constant(_: str) -> NoReturn:
    raise Unusual


_scan = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant).raw_decode


class _Members:
    """The members of one kind of object: those wanted, and those seen that do not fold into a wanted one."""

    __slots__ = ("_wanted", "plain")

    def __init__(self, *wanted: str) -> None:
        self._wanted = frozenset(fold(name) for name in wanted)
        self.plain: FrozenSet[str] = frozenset(wanted)

    def check(self, found: Dict[str, Any]) -> None:
        """Raises :class:`Unusual` where a member is a wanted one in another case."""
        if found.keys() <= self.plain:
            return
        new = found.keys() - self.plain
        for key in new:
            if fold(key) in self._wanted:
                raise Unusual
        if len(self.plain) + len(new) <= 256:
            self.plain |= new


_ENTRY = _Members("Node", "Service", "Checks")
_NODE = _Members("Node", "Address", "Datacenter", "Meta")
_SERVICE = _Members("ID", "Service", "Tags", "Address", "Port", "Meta", "Weights")
_WEIGHT = _Members("Passing", "Warning")
_CHECK = _Members("CheckID", "Status")


class Plain(NamedTuple):
    """What a plain entry says."""

    id: str
    name: str
    address: str
    port: int
    node_name: str
    datacenter: str
    meta: Any
    node_meta: Any
    weights: Weights
    #: (CheckID, Status) of each check.
    checks: List[Tuple[str, str]]
    tags: Sequence[Any]


def read_plain(text: str, pos: int, limits: Limits) -> Tuple[Plain, int]:
    """The entry at ``pos`` and the position after it.

    Raises :class:`Unusual`, or what :mod:`json` raises: the entry may be unfinished, malformed or too deep.
    """
    entry, stop = _scan(text, pos)
    if (
        # Brackets in strings count as well: this is an upper bound for the depth.
        text.count("{", pos, stop) + text.count("[", pos, stop) >= limits.nesting
        or text.find("\\", pos, stop) >= 0
        and (text.find("\\ud", pos, stop) >= 0 or text.find("\\uD", pos, stop) >= 0)
    ):
        raise Unusual
    _ENTRY.check(entry)
    node = entry.get("Node")
    service = entry.get("Service")
    if type(node) is not dict or type(service) is not dict:
        raise Unusual
    _NODE.check(node)
    _SERVICE.check(service)
    name: Any = service.get("Service")
    id: Any = service.get("ID")
    address = service.get("Address", "")
    node_address = node.get("Address", "")
    node_name = node.get("Node", "")
    datacenter = node.get("Datacenter", "")
    port = service.get("Port", 0)
    short = limits.string_bytes // 4  # so many characters are never too many bytes
    strings: Tuple[Any, ...] = (id, name, address, node_address, node_name, datacenter)
    for string in strings:
        if type(string) is not str or len(string) > short:
            raise Unusual
    if type(port) is not int or not -(2**63) <= port < 2**63:
        raise Unusual
    tags = service.get("Tags")
    if tags is None:
        tags = ()
    elif type(tags) is not list or len(tags) > limits.tags:
        raise Unusual
    for tag in tags:
        if type(tag) is not str and tag is not None:
            raise Unusual
    plain = Plain(
        id,
        name,
        address or node_address,
        port,
        node_name,
        datacenter,
        _meta(service.get("Meta"), short, limits),
        _meta(node.get("Meta"), short, limits),
        _weights(service.get("Weights")),
        _checks(entry.get("Checks"), short),
        tags,
    )
    return plain, stop


def _checks(checks: Any, short: int) -> List[Tuple[str, str]]:
    out: List[Tuple[str, str]] = []
    if checks is None:
        return out
    if type(checks) is not list:
        raise Unusual
    for check in checks:
        if type(check) is not dict:
            raise Unusual
        _CHECK.check(check)
        check_id = check.get("CheckID", "")
        status = check.get("Status", "")
        if type(check_id) is not str or type(status) is not str or len(check_id) > short or len(status) > short:
            raise Unusual
        out.append((check_id, status))
    return out


def _weights(weights: Any) -> Weights:
    if weights is None:
        return _WEIGHTS
    if type(weights) is not dict:
        raise Unusual
    _WEIGHT.check(weights)
    passing = weights.get("Passing", 1)
    warning = weights.get("Warning", 1)
    for number in (passing, warning):
        if type(number) is not int or not -(2**63) <= number < 2**63:
            raise Unusual
    return Weights(passing, warning) if passing != 1 or warning != 1 else _WEIGHTS


def _meta(meta: Any, short: int, limits: Limits) -> Any:
    if meta is None or meta == {}:
        return EMPTY
    if type(meta) is not dict:
        raise Unusual
    size = 0
    for key, value in meta.items():
        if type(value) is not str or len(value) > short or len(key) > short:
            raise Unusual
        size += 4 * (len(key) + len(value)) + 8
    if size > limits.record_bytes:
        raise Unusual
    return MappingProxyType(meta)
