"""The options of a cache by their names and types, for type checkers: what ``**options`` may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, TypedDict

if TYPE_CHECKING:
    from ..limits import Limits
    from .events import Event
    from .guard import Guard
    from .refresh import Refresher

__all__ = ["CacheOptions"]


class CacheOptions(TypedDict, total=False):
    """What :func:`regcache.connect` hands to :class:`~regcache.Cache`, which explains it."""

    watch: Optional[bool]
    ttl: float
    wait: float
    limits: Limits
    guard: Optional[Guard]
    max_stale: Optional[float]
    cold_wait: float
    idle: float
    on_event: Optional[Callable[[Event], object]]
    workers: int
    connections: int
    clock: Callable[[], float]
    random: Callable[[], float]
    refresher: Optional[Refresher]
