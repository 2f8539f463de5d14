"""A node as a Consul agent takes it: checked before anything is sent, because agents refuse some things with half a
sentence, change others without a word, and take some that can never be read or removed again.

What is checked was tried on a real agent; the tests do that again.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, get_args

from ..model import Record, Service, Weights
from .base import Form

if TYPE_CHECKING:
    from ..codec import Node

__all__ = ["Check", "Definition", "define"]

FORMS: Tuple[Form, ...] = get_args(Form)
#: Seconds. Consul takes less, but an agent that is busy for a moment would then lose services.
SHORTEST_TTL = 1.0
#: Seconds. Consul turns less into this, without a word.
SHORTEST_DEREGISTER_AFTER = 60.0
#: Seconds; Go's durations end at 292 years.
LONGEST = 1e9
META_PAIRS, META_KEY_BYTES, META_VALUE_BYTES = 64, 128, 512
META_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: Consul's DNS answers carry weights in 16 bits.
MOST_WEIGHT = 65535
#: Addresses at which nobody can be called. Those that a service listens on, not those to be registered.
ANY_ADDRESS = ("0.0.0.0", "::", "[::]")
#: What no host name has: the marks of a URL, and spaces.
NO_HOST = re.compile(r"[\s/?#@\[\]\\%]")


class Check(NamedTuple):
    """When a node that gives no sign of life is critical, and when it is removed. Seconds."""

    ttl: float
    #: 0: never.
    deregister_after: float


class Definition(NamedTuple):
    """One node, checked, its tags written."""

    name: str
    id: str
    address: str
    port: int
    tags: Tuple[str, ...]
    meta: Dict[str, str]
    weights: Weights
    check: Optional[Check]


def define(
    service: Service, *, ttl: Optional[float], deregister_after: Optional[float], form: str, tags: Iterable[str]
) -> List[Definition]:
    """A service's nodes as an agent takes them. The arguments are those of ``ConsulRegistry.register``.

    Raises:
        TypeError, ValueError: something that an agent would refuse or change; the message names the member.
    """
    if not isinstance(service, Service):
        raise TypeError(f"a regcache.Service is wanted, not {type(service).__name__}")
    _check_path_text(service.name, "name")
    _text(service.version, "version")
    if not service.nodes:
        raise ValueError("nodes is empty: a service is registered node by node")
    check = _check(ttl, deregister_after)
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    if isinstance(tags, str):
        raise TypeError("tags must be an iterable of str, not str")
    more = tuple(tags)
    made: Dict[str, Definition] = {}
    for number, node in enumerate(service.nodes):
        definition = _define(service, node, f"nodes[{number}]", check, form, more)
        if definition.id in made:
            raise ValueError(f"nodes[{number}].id {node.id!r} is there twice; an agent would keep the last one only")
        made[definition.id] = definition
    return list(made.values())


def _define(
    service: Service, node: "Node", where: str, check: Optional[Check], form: str, more: Tuple[str, ...]
) -> Definition:
    _check_path_text(node.id, f"{where}.id")
    address = _text(node.address, f"{where}.address")
    if address in ANY_ADDRESS:
        raise ValueError(f"{where}.address {address!r} is no address at which the node can be called")
    if not _callable(address):
        raise ValueError(f"{where}.address {address!r} is no host name or IP address; the port goes into port")
    if not 0 <= node.port <= 65535:
        raise ValueError(f"{where}.port must be 0 to 65535, not {node.port}")
    _check_meta(node.meta, f"{where}.meta")
    _check_weights(node.weights, f"{where}.weights")
    for key, value in node.metadata.items():
        _text(key, f"a key of {where}.metadata")
        _text(value, f"{where}.metadata[{key!r}]")
    for tag in (*node.tags, *more):
        _text(tag, f"{where}: a tag")
    record = Record(
        version=_text(node.version, f"{where}.version") or service.version,
        version_found=True,
        metadata=node.metadata,
        endpoints=node.endpoints or service.endpoints,
        tags=(*node.tags, *more),
    )
    return Definition(
        service.name, node.id, address, node.port, _tags(record, form, where), dict(node.meta), node.weights, check
    )


def _tags(record: Record, form: str, where: str) -> Tuple[str, ...]:
    """The tags of a record, read once more: nobody should register what its callers leave out."""
    from ..codec import decode_tags, encode_tags  # the codec's room comes later; only writing needs it

    try:
        tags = encode_tags(record, form=form)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error
    read = decode_tags(tags)
    if read.warnings:
        raise ValueError(f"{where}: what its tags say is more than readers take: {read.warnings[0].reason}")
    return tuple(tags)


def _check(ttl: Optional[float], deregister_after: Optional[float]) -> Optional[Check]:
    if ttl is None:
        if deregister_after is not None:
            raise ValueError("deregister_after needs a ttl: without a check nothing becomes critical")
        return None
    for what, seconds in (("ttl", ttl), ("deregister_after", deregister_after)):
        if seconds is not None and not isinstance(seconds, (int, float)):
            raise TypeError(f"{what} must be a number of seconds, not {type(seconds).__name__}")
    if not SHORTEST_TTL <= ttl <= LONGEST:
        raise ValueError(f"ttl must be from {SHORTEST_TTL:g} to {LONGEST:,.0f} s, not {ttl!r}")
    if deregister_after is None:
        deregister_after = max(ttl, SHORTEST_DEREGISTER_AFTER) + 5.0
    elif deregister_after != 0 and not SHORTEST_DEREGISTER_AFTER <= deregister_after <= LONGEST:
        raise ValueError(
            f"deregister_after must be from {SHORTEST_DEREGISTER_AFTER:g} (Consul turns less into that) to "
            f"{LONGEST:,.0f} s, or 0: never; not {deregister_after!r}"
        )
    return Check(ttl, deregister_after)


def _text(text: str, what: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} {text!r} has a lone surrogate, of which no UTF-8 can be made") from None
    return text


def _callable(address: str) -> bool:
    """Is it empty (the agent's own), a host name, or an IP address, with or without brackets?"""
    if ":" not in address:
        return address.isprintable() and not NO_HOST.search(address)
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return False
    return True


def _check_path_text(text: str, what: str) -> None:
    """Names and IDs become parts of paths. An agent registers any, and then answers 301 or 400 to whoever asks for
    some of them, or wants to remove them.
    """
    if not _text(text, what):
        raise ValueError(f"{what} may not be empty")
    # Consul answers 400 to what Go does not call printable, which is what Python does not call printable.
    if not text.isprintable():
        raise ValueError(f"{what} {text!r} has characters that Consul takes in no path")
    *segments, last = text.split("/")
    if "" in segments or {".", ".."} & {*segments, last}:
        raise ValueError(f"{what} {text!r} is a path that Consul answers with a redirect to another")


def _check_meta(meta: Mapping[str, str], what: str) -> None:
    if len(meta) > META_PAIRS:
        raise ValueError(f"{what} has {len(meta)} pairs; Consul takes {META_PAIRS}")
    for key, value in meta.items():
        _text(key, f"a key of {what}")
        _text(value, f"{what}[{key!r}]")
        if not META_KEY.fullmatch(key):
            raise ValueError(f"the key {key!r} of {what} must be of A-Z, a-z, 0-9, _ and -, and not empty")
        if key.startswith("consul-"):
            raise ValueError(f"the key {key!r} of {what}: Consul keeps consul- for itself")
        if len(key) > META_KEY_BYTES:
            raise ValueError(f"the key {key[:20]!r}... of {what} has {len(key)} bytes; Consul takes {META_KEY_BYTES}")
        size = len(value.encode())
        if size > META_VALUE_BYTES:
            raise ValueError(f"{what}[{key!r}] has {size} bytes; Consul takes {META_VALUE_BYTES}")


def _check_weights(weights: Weights, what: str) -> None:
    if not 1 <= weights.passing <= MOST_WEIGHT:
        raise ValueError(f"{what}.passing must be 1 to {MOST_WEIGHT}, not {weights.passing}")
    if not 0 <= weights.warning <= MOST_WEIGHT:
        raise ValueError(f"{what}.warning must be 0 to {MOST_WEIGHT}, not {weights.warning}")
