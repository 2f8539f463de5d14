"""What a cache is to the callers: a way to get a node."""

from __future__ import annotations

import itertools
from typing import Callable, NamedTuple, Protocol, Sequence

from ..codec import Decoder, Node
from ..errors import NotFound
from ..registry import Registry
from .story import Story

__all__ = ["Caching", "Lookup", "Turns", "fetched"]


class Lookup(Protocol):
    """Finds nodes of one service, for any number of threads."""

    def select(self, timeout: float) -> Node:
        """The next node. Raises a RegcacheError if there is none."""

    def close(self) -> None:
        """No more lookups."""


class Caching(NamedTuple):
    """One of the caches that are compared."""

    key: str
    name: str
    make: Callable[[Registry, str, Story], Lookup]


def fetched(registry: Registry, service: str) -> Sequence[Node]:
    """The service's nodes, asked for and decoded now.

    By regcache's own decoder: what is compared is when a cache asks, not what it decodes with. A go-micro client holds
    the whole body and everything in it, so that each of its requests costs a multiple of what is seen here.
    """
    decoder = Decoder(service)
    with registry.fetch(service) as answer:
        for chunk in answer.chunks():
            decoder.feed(chunk)
    return decoder.finish().nodes


class Turns:
    """Round robin over whatever list is held just now. (go-micro's begins anew at each call; this one goes on.)"""

    def __init__(self) -> None:
        self._turn = itertools.count()

    def next(self, service: str, nodes: Sequence[Node]) -> Node:
        """The next of the nodes. Raises NotFound if there are none."""
        if not nodes:
            raise NotFound(f"the registry has no service {service!r}")
        return nodes[next(self._turn) % len(nodes)]
