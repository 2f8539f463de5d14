"""One question to the registry, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, NamedTuple, Optional

from ..errors import RegcacheError, Unavailable
from .loop import Timer
from .workers import Job

if TYPE_CHECKING:
    from ..codec import Snapshot
    from ..registry import Consistency
    from ..registry.base import Pending
    from .connections import Turn

__all__ = ["Load", "Outcome", "closed"]


class Outcome(NamedTuple):
    """How a load ended: with a snapshot, with an error, or with neither (``unchanged``)."""

    snapshot: "Optional[Snapshot]"
    error: Optional[RegcacheError]
    #: Of the answer; 0 with an error.
    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    #: A blocking query that ended with the index that it was asked with.
    unchanged: bool
    #: Seconds from asking to here.
    elapsed: float
    #: When the registry was asked, by the clock.
    asked: float


class Load:
    """One question to the registry; see :meth:`regcache.cache.refresh.Refresher.load`."""

    __slots__ = (
        "_cancel",
        "_once",
        "answered",
        "asked",
        "consistency",
        "deadline",
        "descriptor",
        "index",
        "job",
        "nap",
        "over",
        "pending",
        "previous",
        "sent",
        "service",
        "turn",
        "until",
        "urgent",
        "wait",
    )

    def __init__(self, service: str, done: Callable[[Outcome], object], cancel: Callable[["Load"], object]) -> None:
        self._cancel = cancel
        # Whoever takes it calls it. Taking the only item of a list succeeds once, on every build, without a lock
        # that a fork could leave locked.
        self._once: List[Callable[[Outcome], object]] = [done]
        self.service: str = service
        self.index: Optional[int] = None
        self.wait: Optional[float] = None
        self.previous: "Optional[Snapshot]" = None
        self.consistency: "Optional[Consistency]" = None
        self.urgent: bool = False
        #: When it had its first place, until when it may wait, and when it was last sent.
        self.asked: Optional[float] = None
        self.until: float = 0.0
        self.sent: float = 0.0
        # Of the loop's thread:
        self.over: bool = False
        self.answered: bool = False
        self.turn: "Optional[Turn[Load]]" = None
        self.pending: "Optional[Pending]" = None
        self.descriptor: Optional[int] = None
        self.deadline: Optional[Timer] = None
        self.nap: Optional[Timer] = None
        self.job: Optional[Job] = None

    @property
    def queued(self) -> bool:
        """Does it wait for a place, behind others?"""
        turn = self.turn
        return turn is not None and not turn.placed

    def cancel(self) -> None:
        """Do not call ``done`` (unless it is being called), and break the request off."""
        if self.take() is not None:
            self._cancel(self)

    def outcome(
        self,
        now: float,
        *,
        snapshot: "Optional[Snapshot]" = None,
        error: Optional[RegcacheError] = None,
        index: int = 0,
        unchanged: bool = False,
    ) -> Outcome:
        """How it ended, now."""
        asked = now if self.asked is None else self.asked
        return Outcome(snapshot, error, index, unchanged, now - asked, asked)

    def take(self) -> Optional[Callable[[Outcome], object]]:
        """``done``, for the one who is to call it; ``None`` for everybody who comes later."""
        try:
            return self._once.pop()
        except IndexError:
            return None


def closed(service: str) -> Unavailable:
    """Nobody is asked any more."""
    return Unavailable(f"the cache is closed; {service!r} cannot be asked for")
