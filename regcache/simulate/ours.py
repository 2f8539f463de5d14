"""regcache itself, through the names that every user has."""

from __future__ import annotations

from ..cache import Cache
from ..codec import Node
from ..registry import Registry
from .story import Story

__all__ = ["Ours"]


class Ours:
    """A cache and a selector of the one service."""

    def __init__(self, registry: Registry, service: str, story: Story) -> None:
        self._cache = Cache(registry, ttl=story.ttl)
        self._selector = self._cache.selector(service, strategy="round_robin")

    def select(self, timeout: float) -> Node:
        """See :class:`~.lookup.Lookup`."""
        return self._selector.select(timeout)

    def close(self) -> None:
        """Let go of everything."""
        self._cache.close()
