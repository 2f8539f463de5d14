"""What a cache does when: every number in one place, each with where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """All are seconds, but for those that say otherwise. What :class:`~regcache.Cache` takes is explained there."""

    #: Wait for changes, with blocking queries, instead of asking now and then.
    watch: bool = True
    #: For how long an answer is fresh without a watch. Eureka's and Ribbon's.
    ttl: float = 30.0
    #: The part of the ttl after which the next caller starts a refresh, so that none ever meets a stale answer
    #: (cashews refreshes a third before the end), and the part by which it may come earlier, so that many processes
    #: do not ask in step.
    early: float = 2 / 3
    jitter: float = 0.1
    #: How long a blocking query waits. 55 to 60 in Kratos and consul-template; a query that its client gave up holds
    #: its place in the agent until then.
    wait: float = 55.0
    #: How long callers without a timeout wait for a first answer. Armeria's.
    cold_wait: float = 3.2
    #: Beyond this age what is held counts as nothing. None: served for ever, as by Consul's own agent cache, because
    #: an old list is better than none.
    max_stale: Optional[float] = None
    #: A service that nobody asked for in this time is no longer watched; the next caller starts it again.
    idle: float = 600.0

    #: The time between refreshes while every query wakes at once (a deployment, a flapping check): the first, to which
    #: it goes back when it is quiet, and the longest, to which it doubles (Consul's advice: degrade to about 15 s).
    #: go-micro's 5 s, applied to cold callers too, was micro/go-micro#2821.
    churn: float = 1.0
    churn_longest: float = 15.0
    #: So many refreshes may follow each other at once (Consul's documents on blocking queries: 2).
    burst: int = 2

    #: Waits after failures while something is held: the first bound, doubled to the longest, with full jitter
    #: (client-go and consul-template: 250 to 800 ms, to 30 to 60 s). Errors that only people can mend are asked about
    #: more slowly.
    backoff: float = 0.25
    backoff_slow: float = 2.0
    backoff_longest: float = 60.0
    #: For how long callers who have nothing are told of the last failure before the registry is asked again.
    remembered: float = 0.25
    remembered_longest: float = 5.0
    #: Without a watch: when a service without nodes is looked at again; doubled to the longest.
    empty: float = 1.0
    empty_longest: float = 30.0

    #: A request that has not ended so long after it should have is called dead, and another takes its place.
    grace: float = 60.0

    def __post_init__(self) -> None:
        for name in ("ttl", "wait", "idle", "max_stale"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {value!r}")
        if self.wait == math.inf:
            raise ValueError("wait must be finite: a blocking query ends")
        if not self.cold_wait >= 0:
            raise ValueError(f"cold_wait must be at least 0 seconds, not {self.cold_wait!r}")

    @property
    def blocking_wait(self) -> float:
        """The wait of a blocking query: short enough for the answer to be confirmed before it is too old."""
        return self.wait if self.max_stale is None else min(self.wait, self.max_stale / 2)

    def overdue(self, blocking: bool, timeout: float) -> float:
        """How long a request may take until it is called dead; Consul adds a sixteenth to the wait."""
        return self.grace + 3 * timeout + (self.blocking_wait * 17 / 16 if blocking else 0.0)

    def too_old(self) -> float:
        """``max_stale``, or infinity."""
        return math.inf if self.max_stale is None else self.max_stale
