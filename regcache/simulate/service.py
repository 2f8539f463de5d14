"""The service that everybody calls: nodes with go-micro's kind of records, registered where the run wants them."""

from __future__ import annotations

import contextlib
import random
from typing import Dict, Iterator, List, Literal, Optional, Protocol, Set, Tuple

from ..codec import Node
from ..errors import RegcacheError
from ..model import Endpoint, Service, Value
from ..registry import Answer, Consistency, MemoryRegistry, Registry
from ..registry.base import pieces

__all__ = ["Embedded", "Home", "made_service", "registered"]


class Home(Registry, Protocol):
    """A registry that the service can be put into, and taken out of node by node."""

    def register(self, service: Service, *, ttl: None, form: Literal["go-micro"]) -> object:
        """See :meth:`regcache.ConsulRegistry.register`."""

    def deregister(self, service: str) -> None:
        """See :meth:`regcache.ConsulRegistry.deregister`; given a node's ID."""


class Embedded:
    """A registry in this process. Its answers share one body, so that the memory that is seen is the caches' own."""

    #: Nobody watches here.
    blocking = False

    def __init__(self) -> None:
        self._home = MemoryRegistry()
        self._known: Dict[str, Tuple[int, bytes]] = {}

    def register(self, service: Service, *, ttl: None = None, form: Literal["go-micro"] = "go-micro") -> None:
        """See :class:`regcache.MemoryRegistry`."""
        self._home.register(service, ttl=ttl, form=form)
        self._learn(service.name)

    def deregister(self, service: str) -> None:
        """See :class:`regcache.MemoryRegistry`."""
        self._home.deregister(service)
        for name in list(self._known):
            self._learn(name)

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`."""
        known, body = self._known.get(service, (0, b"[]"))
        return Answer(pieces(body), index=known)

    def services(self) -> List[str]:
        """See :class:`regcache.MemoryRegistry`."""
        return self._home.services()

    def close(self) -> None:
        """See :class:`regcache.MemoryRegistry`."""
        self._home.close()

    def _learn(self, service: str) -> None:
        answer = self._home.fetch(service)
        self._known[service] = answer.index, b"".join(answer.chunks())


WORDS = "account order cart price stock ship track rate user token session search quote invoice refund label".split()
TYPES = ("string", "int64", "bool", "float64", "[]string", "uint8")


def made_service(name: str, count: int, seed: int) -> Service:
    """A service of so many nodes, always the same for a seed; each takes some 3 kB of the body."""
    dice = random.Random(seed)
    endpoints = tuple(_endpoint(dice) for _ in range(4))
    nodes = tuple(
        Node(
            f"{name}-{number:04}",
            f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}",
            dice.randrange(1024, 65536),
            version="2.14.0",
            metadata=_metadata(dice),
            endpoints=endpoints,
        )
        for number in range(count)
    )
    return Service(name, "2.14.0", nodes=nodes)


@contextlib.contextmanager
def registered(home: Home, service: Service) -> Iterator[Set[str]]:
    """The service in the registry, and out of it again at the end; the IDs of its nodes."""
    try:
        home.register(service, ttl=None, form="go-micro")
        yield {node.id for node in service.nodes}
    finally:
        for node in service.nodes:
            with contextlib.suppress(RegcacheError):
                home.deregister(node.id)


def _endpoint(dice: random.Random) -> Endpoint:
    name = f"{dice.choice(WORDS).title()}.{dice.choice(WORDS).title()}"
    return Endpoint(name, _value(dice, "Request"), _value(dice, "Response"), {"handler": "rpc", "stream": "false"})


def _value(dice: random.Random, name: str, depth: int = 2) -> Value:
    below: Tuple[Value, ...] = ()
    if depth:
        below = tuple(_value(dice, dice.choice(WORDS), depth - 1 if dice.random() < 0.1 else 0) for _ in range(3))
    return Value(name, dice.choice(TYPES) if not below else name.title(), below or None)


def _metadata(dice: random.Random) -> Dict[str, str]:
    return {
        "broker": "http",
        "protocol": "grpc",
        "registry": "consul",
        "server": "grpc",
        "transport": "grpc",
        "pod": f"{dice.choice(WORDS)}-{dice.getrandbits(40):010x}",
    }
