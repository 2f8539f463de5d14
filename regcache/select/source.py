"""Where a selector's snapshots come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Protocol, Tuple

if TYPE_CHECKING:
    from ..cache.slot import Slot
    from ..codec import Snapshot

__all__ = ["Source"]


class Source(Protocol):
    """One service of a cache (:class:`regcache.cache.source.Source`), or what stands in for it. Times are seconds."""

    service: str

    @property
    def slot(self) -> "Optional[Slot]":
        """Rings when somebody must look after the snapshot; ``None``: nobody has to."""

    @property
    def clock(self) -> Callable[[], float]:
        """Rising."""

    def get(self, timeout: Optional[float]) -> "Snapshot":
        """The newest snapshot; waits only if there is none, and raises why."""

    async def get_async(self, timeout: Optional[float]) -> "Snapshot":
        """The same, awaited."""

    def view(self) -> "Tuple[Optional[Snapshot], Optional[str]]":
        """What is held now, and why an answer is held back, if one is."""

    def listen(self, call: Callable[[], object]) -> None:
        """Call this, from now on, whenever the view changes. A bound method is held weakly."""

    def soon(self, call: Callable[[], object]) -> bool:
        """Call this on another thread, soon. False: there is none."""

    def pin(self) -> None:
        """Somebody depends on it."""

    def unpin(self) -> None:
        """One less does."""
