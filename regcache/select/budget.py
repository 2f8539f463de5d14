"""How much may be asked of a service: a token bucket for calls, and a budget for retries."""

from __future__ import annotations

import threading
import time
from typing import Callable, List, Tuple

__all__ = ["RetryBudget", "TokenBucket"]


class TokenBucket:
    """So many calls a second, and some more at once. May be shared by threads and by selectors.

    Args:
        rate: calls a second, more than 0.
        burst: calls that may be made at once after a quiet time; by default those of one second, at least 1.
        clock: seconds, rising.

    Raises:
        ValueError: a number makes no sense.
    """

    def __init__(self, rate: float, burst: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate must be more than 0 calls a second, and finite, not {rate!r}")
        if burst and not burst >= 1:
            raise ValueError(f"burst must be at least 1 call, not {burst!r}")
        self.rate = rate
        self.burst: float = burst or max(1.0, rate)
        self._clock = clock
        self._lock = threading.RLock()  # a signal's handler may take some in the middle of this
        self._tokens = self.burst
        self._seen = clock()

    def __repr__(self) -> str:
        return f"TokenBucket({self.rate:g}, burst={self.burst:g})"

    def take(self) -> float:
        """Take a token: 0.0 if there was one, else the seconds until there will be, and none is taken."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._seen) * self.rate)
            self._seen = now
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / self.rate

    def _renew(self) -> None:
        # In the child of a fork: another thread of the parent may have held the lock.
        self._lock = threading.RLock()


#: Seconds for which calls and retries count. Finagle's ``RetryBudget``: 10.
WINDOW = 10


class RetryBudget:
    """How many retries the calls of the last 10 seconds have earned, so that callers cannot build a storm: when all
    calls fail, a service gets 1.2 times its load and not ``tries`` times.

    The two numbers are those of Finagle's ``RetryBudget`` (20 % of the calls, and 10 a second for callers who call
    rarely), as is the window; so a quiet caller has 100 retries at once. May be shared by threads and by selectors.

    Args:
        ratio: retries for each call, from 0 to 1: a part of the calls; ``math.inf``: no bound.
        per_second: further retries a second, at least 0. With both 0 nothing is tried again.
        clock: seconds, rising.

    Raises:
        ValueError: a number makes no sense.
    """

    def __init__(
        self, ratio: float = 0.2, per_second: float = 10.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not ratio >= 0 or not per_second >= 0:
            raise ValueError(f"a retry budget is at least 0, not {ratio!r} and {per_second!r}")
        if 1 < ratio < float("inf"):
            raise ValueError(f"ratio is a part of the calls, from 0 to 1, not {ratio!r}")
        self.ratio = ratio
        self.per_second = per_second
        self._clock = clock
        self._lock = threading.RLock()
        #: One for each second of the window: which second, its calls, its retries.
        self._slots: List[List[int]] = [[-1, 0, 0] for _ in range(WINDOW)]

    def __repr__(self) -> str:
        return f"RetryBudget(ratio={self.ratio:g}, per_second={self.per_second:g})"

    def call(self) -> None:
        """A call is made for the first time."""
        with self._lock:
            self._slot()[1] += 1

    def retry(self) -> bool:
        """May one be made again? If so, it counts."""
        with self._lock:
            slot = self._slot()
            calls, retries = self._sums(slot[0])
            # Rounded, since five times 0.2 have to make one.
            if round(self.ratio * calls + self.per_second * WINDOW - retries, 9) < 1:
                return False
            slot[2] += 1
            return True

    def _slot(self) -> List[int]:
        second = int(self._clock())
        slot = self._slots[second % WINDOW]
        if slot[0] != second:
            slot[:] = [second, 0, 0]
        return slot

    def _sums(self, second: int) -> Tuple[int, int]:
        recent = [slot for slot in self._slots if second - WINDOW < slot[0] <= second]
        return sum(slot[1] for slot in recent), sum(slot[2] for slot in recent)

    def _renew(self) -> None:
        self._lock = threading.RLock()
