"""One service of a cache, as those see it who live on what it publishes: selectors and readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import Entry

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["Source"]


class Source:
    """What an :class:`Entry` gives to others. It keeps the cache alive; what it is made of (``unpin``) does not.

    Attributes:
        service: the name.
        slot: the newest snapshot; the same object for as long as the cache lives.
        clock: the cache's; seconds, rising. The slot's alarm is set by it.
        get, get_async, view, listen, soon, pin, unpin: the entry's methods.
    """

    __slots__ = ("_cache", "clock", "get", "get_async", "listen", "pin", "service", "slot", "soon", "unpin", "view")

    def __init__(self, cache: "Cache", entry: Entry) -> None:
        self._cache = cache
        self.service = entry.service
        self.slot = entry.slot
        self.clock = entry.clock
        self.get = entry.get
        self.get_async = entry.get_async
        self.view = entry.view
        self.listen = entry.listen
        self.soon = entry.soon
        self.pin = entry.pin
        self.unpin = entry.unpin
