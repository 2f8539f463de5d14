"""One service of a cache, as those see it who live on what it publishes: selectors and readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Coroutine, Optional, Tuple

from .entry import Entry
from .slot import Slot

if TYPE_CHECKING:
    from ..codec import Snapshot
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
        self.service: str = entry.service
        self.slot: Slot = entry.slot
        self.clock: Callable[[], float] = entry.clock
        self.get: "Callable[[Optional[float]], Snapshot]" = entry.get
        self.get_async: "Callable[[Optional[float]], Coroutine[Any, Any, Snapshot]]" = entry.get_async
        self.view: "Callable[[], Tuple[Optional[Snapshot], Optional[str]]]" = entry.view
        self.listen: Callable[[Callable[[], object]], None] = entry.listen
        self.soon: Callable[[Callable[[], object]], bool] = entry.soon
        self.pin: Callable[[], None] = entry.pin
        self.unpin: Callable[[], None] = entry.unpin
