"""The guard: an answer that takes most nodes away is not believed at once, and not doubted for ever.

Caches that believe every answer were emptied by registries that had just been restarted, had lost their leader, or
refused a token silently (alibaba/nacos#4470, hashicorp/consul#21548, micro/go-micro#2821). Caches that never believe
an empty answer called dead nodes for ever (apache/dubbo#9965). So a doubt has an end: enough answers that say the
same, or enough time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Tuple

from .status import HeldBack, count

if TYPE_CHECKING:
    from ..codec import Snapshot
    from ..registry import Consistency

__all__ = ["Doubt", "Guard"]


@dataclass(frozen=True)
class Guard:
    """Which answers are doubted, and for how long. Nodes are counted whatever their checks say: nodes that all turned
    critical are not nodes that are gone.

    Args:
        shrink: doubt an answer with fewer than this part of the nodes held. 0: only an empty one. Envoy and Finagle
            panic below 0.5 healthy ones, Eureka's server keeps nodes below 0.85 of the renewals.
        confirmations: believe it when so many further answers agree. 0: believe at once.
        hold: believe the answer that comes so many seconds after the first doubt, whatever was said in between.
            A node that registers again every 20 to 30 s (Spring Cloud, go-micro) gets two chances within 75.
        interval: seconds from one question to the next; the first one follows at once.
    """

    shrink: float = 0.5
    confirmations: int = 3
    hold: float = 75.0
    interval: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.shrink <= 1:
            raise ValueError(f"shrink is a part, from 0 to 1, not {self.shrink!r}")
        if self.confirmations < 0:
            raise ValueError(f"confirmations must be at least 0, not {self.confirmations!r}")
        if not self.hold >= 0 or self.hold == float("inf"):
            raise ValueError(f"hold must be at least 0 seconds, and not for ever: {self.hold!r}")
        if not self.interval > 0:
            raise ValueError(f"interval must be more than 0 seconds, not {self.interval!r}")

    @classmethod
    def none(cls) -> "Guard":
        """Believes everything at once."""
        return cls(confirmations=0)

    def doubts(self, held: "Snapshot", answer: "Snapshot") -> Optional[str]:
        """Why this answer should not replace what is held; ``None`` if it should."""
        before, after = len(held), len(answer)
        if not before or not self.confirmations:
            return None
        if not after:
            return f"the registry has none of the {count(before, 'node')} any more"
        if after < self.shrink * before:
            return f"the registry has only {after} of the {count(before, 'node')} any more"
        return None


#: The read modes in which a doubted answer is asked for again: those whose answers a server that was left behind by
#: the others cannot give.
MODES: Tuple["Consistency", ...] = ("default", "consistent")


class Doubt:
    """One answer that is held back: what it was, since when, and what has been said since.

    Attributes:
        snapshot, generation: the newest of the answers that are held back.
        since: when the first one came.
        confirmations: how many answers agreed with the first one since.
        asked: how many times it was asked again.
        why: the reason, in words.
    """

    __slots__ = ("_guard", "asked", "confirmations", "generation", "since", "snapshot", "why")

    def __init__(self, guard: Guard, snapshot: "Snapshot", generation: int, why: str, now: float) -> None:
        self._guard = guard
        self.snapshot: "Snapshot" = snapshot
        self.generation: int = generation
        self.since: float = now
        self.confirmations: int = 0
        self.asked: int = 0
        self.why: str = why

    def hear(self, snapshot: "Snapshot", generation: int, why: str) -> None:
        """Another answer that is to be doubted. One with more nodes does not agree: they are coming back."""
        self.confirmations = 0 if len(snapshot) > len(self.snapshot) else self.confirmations + 1
        self.snapshot, self.generation, self.why = snapshot, generation, why

    def believed(self, now: float) -> Optional[str]:
        """Why it is to be believed now; ``None`` while it is not."""
        if self.confirmations >= self._guard.confirmations:
            return f"{count(self.confirmations, 'further answer')} agreed"
        if now - self.since >= self._guard.hold:
            return f"it was held back for {now - self.since:.0f} s"
        return None

    def ask(self) -> "Tuple[float, Consistency]":
        """In how many seconds to ask again, and in which read mode."""
        self.asked += 1
        return (0.0 if self.asked == 1 else self._guard.interval), MODES[(self.asked - 1) % len(MODES)]

    def status(self, now: float) -> HeldBack:
        """The same for :class:`~regcache.Status`."""
        return HeldBack(len(self.snapshot), now - self.since, self.confirmations, self._guard.confirmations, self.why)
