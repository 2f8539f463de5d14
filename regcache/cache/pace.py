"""How soon to ask again: after answers, after failures, and while everything changes all the time."""

from __future__ import annotations

from typing import Callable, Tuple

from ..errors import AccessDenied, LimitExceeded, RegcacheError, RequestError
from .settings import Settings

__all__ = ["Pace"]

#: Errors that only people can mend.
LASTING = (AccessDenied, LimitExceeded, RequestError)


class Pace:
    """Counts one service's failures and refreshes, and says how long to wait.

    Args:
        settings: the numbers, and where they come from.
        random: floats from 0 to 1, 1 excluded.

    Attributes:
        failures: how many there were in a row.
    """

    __slots__ = ("_empties", "_interval", "_last", "_random", "_settings", "_tokens", "failures")

    def __init__(self, settings: Settings, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self.failures: int = 0
        self._empties = 0
        self._interval = settings.churn
        self._tokens = float(settings.burst)
        self._last = 0.0

    def answered(self, nodes: int) -> float:
        """There was an answer with so many nodes. Without a watch: when should the next caller ask again?"""
        settings = self._settings
        self.failures = 0
        self._empties = 0 if nodes else self._empties + 1
        seconds = settings.ttl * settings.early
        if self._empties:
            seconds = min(seconds, _doubled(settings.empty, settings.empty_longest, self._empties - 1))
        return self._jittered(seconds, settings.jitter)

    def failed(self, error: RegcacheError) -> Tuple[float, float]:
        """There was none. When to ask again if something is held, and how long to repeat the error if nothing is."""
        settings = self._settings
        first = settings.backoff_slow if isinstance(error, LASTING) else settings.backoff
        delay = _doubled(first, settings.backoff_longest, self.failures)
        remembered = _doubled(settings.remembered, settings.remembered_longest, self.failures)
        self.failures += 1
        return self._jittered(delay, 1.0), self._jittered(remembered, 0.5)

    def churning(self, now: float) -> float:
        """In how many seconds the next refresh of a watch may begin; it then has to begin.

        A token bucket that slows down: a change after a quiet time passes at once, and so does the next; while it
        goes on like that, refreshes are further and further apart, to a bound.
        """
        settings = self._settings
        self._tokens = min(settings.burst, self._tokens + max(0.0, now - self._last) / self._interval)
        self._last = now
        if self._tokens >= settings.burst:
            self._interval = settings.churn
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        delay = (1.0 - self._tokens) * self._interval
        self._tokens, self._last = 0.0, now + delay
        self._interval = min(settings.churn_longest, 2 * self._interval)
        return delay

    def _jittered(self, seconds: float, part: float) -> float:
        """Shorter by a random part, of ``part`` at most; 1 is full jitter. Never 0, which would be no wait at all."""
        return seconds * (1.0 - part * self._random())


def _doubled(first: float, longest: float, times: int) -> float:
    return min(longest, first * 2.0 ** min(times, 60))
