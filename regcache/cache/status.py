"""What is going on with a service, as data and in words."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

__all__ = ["HeldBack", "Status"]


class HeldBack(NamedTuple):
    """An answer that is not believed yet."""

    #: How many nodes it has.
    nodes: int
    #: Seconds since the first such answer.
    since: float
    #: How many further answers agreed, and how many are wanted.
    confirmations: int
    wanted: int
    why: str


class Status(NamedTuple):
    """All times are seconds before now (``next_attempt_in``: from now); ``None`` is "never" or "not now"."""

    service: str
    #: cold, fresh, stale, refreshing, held, failed or closed.
    state: str
    #: How many nodes are served; ``None``: nothing is held.
    nodes: Optional[int]
    #: The registry's index of what is served.
    index: int  # type: ignore[assignment]  # tuples have a method of this name, which nobody wants here
    #: When the registry last said that this is so.
    age: Optional[float]
    #: When this list was first served.
    since: Optional[float]
    #: The registry.
    source: str
    #: Is it told of changes? Otherwise it asks now and then, or only when somebody wants it.
    watching: bool
    #: The last failure, which may be over (``failures`` is then 0).
    last_error: Optional[BaseException]
    last_error_age: Optional[float]
    #: Failures in a row, up to now.
    failures: int
    #: When the registry is asked next; 0 while it is being asked, ``None``: when a caller comes.
    next_attempt_in: Optional[float]
    held_back: Optional[HeldBack]

    @classmethod
    def of_nothing(cls, service: str, state: str, source: str) -> "Status":
        """Of a service that was never asked for."""
        return cls(service, state, None, 0, None, None, source, False, None, None, 0, None, None)

    def to_dict(self) -> Dict[str, Any]:
        """The same, ready for JSON."""
        error = self.last_error
        return {
            **self._asdict(),
            "last_error": None if error is None else f"{type(error).__name__}: {error}",
            "held_back": None if self.held_back is None else self.held_back._asdict(),
        }

    def __str__(self) -> str:
        return "; ".join([f"{self.service}: {self.state}", self._served(), *self._doubts(), *self._attempts()])

    def _served(self) -> str:
        if self.nodes is None:
            return "nothing is held"
        index = f" (index {self.index})" if self.index else ""
        text = f"serves {count(self.nodes, 'node')}{index} of {self.source}"
        if self.age is not None:
            text += f", confirmed {ago(self.age)}"
        if self.since is not None:
            text += f", served for {lasting(self.since)}"
        return text

    def _doubts(self) -> List[str]:
        held = self.held_back
        if held is None:
            return []
        return [
            f"an answer with {count(held.nodes, 'node')} has been held back for {lasting(held.since)}: "
            f"{held.why}; {held.confirmations} of {held.wanted} further answers agreed"
        ]

    def _attempts(self) -> List[str]:
        told = []
        if self.last_error is not None and self.last_error_age is not None:
            many = f"{self.failures} in a row" if self.failures else "it is over"
            error = f"{type(self.last_error).__name__}: {self.last_error}"
            told.append(f"the last failure was {ago(self.last_error_age)} ({many}): {error}")
        if self.watching:
            told.append("waits for changes")
        elif self.next_attempt_in == 0:
            told.append("the registry is being asked")
        elif self.next_attempt_in is not None:
            told.append(f"asks again in {self.next_attempt_in:.1f} s")
        return told


def count(number: int, what: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def lasting(seconds: float) -> str:
    """How long, in words."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ago(seconds: float) -> str:
    """How long ago, in words."""
    return f"{lasting(seconds)} ago"
