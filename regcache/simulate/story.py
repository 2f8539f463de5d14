"""The numbers of the story. Every time is a share of the run's length, so that a shorter run tells the same.

They are chosen so that the incident happens: the backends are busy for three quarters of the time, so that what a
standstill of the callers leaves behind is more than they can catch up with before the callers lose patience. With half
that load most backends survive both ancestors, and what remains of the incident is that the callers wait.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple

__all__ = ["Story"]


class Story(NamedTuple):
    """One run of one cache. Times in seconds; moments count from the run's beginning."""

    #: How long a run lasts.
    seconds: float = 6.0
    #: Nodes of the service; each is a backend of its own.
    nodes: int = 150
    #: Threads that want something of the service.
    callers: int = 600
    seed: int = 1

    # The cache

    @property
    def ttl(self) -> float:
        """How long a list is fresh, in all three caches."""
        return self.seconds / 10

    @property
    def retry_interval(self) -> float:
        """go-micro's MinimumRetryInterval, in the proportion of its defaults: 5 s to a ttl of a minute."""
        return self.ttl / 12

    # The registry

    @property
    def quick(self) -> float:
        """What a request takes while the registry is well."""
        return self.seconds / 1000

    @property
    def slow(self) -> float:
        """What a request takes while it is not, as long as no more than :attr:`slots` are in flight."""
        return self.seconds / 12

    @property
    def slots(self) -> int:
        """Requests that the slow registry can work on side by side: with all callers at once each takes three times as
        long. (The incident's lookups took 10 to 30 s.)"""
        return max(1, self.callers // 3)

    @property
    def slow_from(self) -> float:
        """When the registry becomes slow: lists have been refreshed once by then."""
        return self.ttl * 1.5

    @property
    def slow_until(self) -> float:
        """When it is well again."""
        return self.seconds * 0.75

    # The backends

    @property
    def work(self) -> float:
        """What one call costs a backend; it works on one at a time."""
        return self.seconds / 40

    @property
    def sick_at(self) -> float:
        """When one backend falls ill, so that the script has something to do from which everybody would gain."""
        return self.seconds / 4

    @property
    def sick_work(self) -> float:
        """What one call costs the sick one: more than any caller's patience."""
        return self.patience * 2

    @property
    def look(self) -> float:
        """From one look of the script at a backend to its look at the next."""
        return self.seconds / 6 / self.nodes

    # The callers

    @property
    def load(self) -> float:
        """The share of what all backends can do that the callers want, without their retries."""
        return 0.75

    @property
    def patience(self) -> float:
        """How long a caller waits for a backend before it tries again, and what the script calls late."""
        return self.work * 2.5

    @property
    def tries(self) -> int:
        """How often a caller asks for a node and calls it, for one request."""
        return 3

    @property
    def pause(self) -> float:
        """From a try that failed to the next."""
        return self.patience / 8

    @property
    def period(self) -> float:
        """From one request of a caller to its next, on average."""
        return self.work * self.callers / self.nodes / self.load

    def to_dict(self) -> Dict[str, Any]:
        """All of the numbers, for JSON."""
        names = [*self._fields, *(name for name, value in vars(Story).items() if isinstance(value, property))]
        return {name: getattr(self, name) for name in names}
