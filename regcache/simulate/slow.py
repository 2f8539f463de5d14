"""A registry that can become slow, in front of one that is not.

A slow one divides itself among those who ask: the more there are, the longer it takes each of them. Half of a
request's time passes before the first byte, the other half between the pieces of the body.
"""

from __future__ import annotations

import threading
from typing import Iterator, List, Optional

from ..errors import Unavailable
from ..registry import Answer, Consistency, Registry
from ..registry.base import BytesLike

__all__ = ["SlowRegistry"]

#: Parts of the time before the first byte, and as many from there to the last.
STEPS = 4


class SlowRegistry:
    """Passes everything on, late. Nobody can watch it: the watches of the other caches are not played either.

    Args:
        home: who knows the answers. It is not closed with this one.
        quick: seconds of a request while :attr:`slow` is ``None``.
        slots: requests that it works on at full speed while it is not well; more of them share that.
        stop: when it is set, whoever waits here is told at once that the registry is gone.
    """

    #: A cache has to ask now and then.
    blocking = False

    def __init__(self, home: Registry, *, quick: float, slots: int, stop: threading.Event) -> None:
        #: Seconds of a request now; ``None``: well.
        self.slow: Optional[float] = None
        #: Requests so far, and those that have not ended.
        self.requests = self.in_flight = self.most_in_flight = 0
        self._home = home
        self._quick = quick
        self._slots = slots
        self._stop = stop
        self._lock = threading.Lock()

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`."""
        with self._lock:
            self.requests += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            slow = self._head()
            answer = self._home.fetch(service, index=index, wait=wait, timeout=timeout, consistency=consistency)
        except BaseException:
            self._ended()
            raise

        def close() -> None:
            self._ended()
            answer.close()

        return Answer(self._body(answer, slow), index=answer.index, close=close)

    def services(self) -> List[str]:
        """See :meth:`regcache.registry.Registry.services`."""
        return self._home.services()

    def close(self) -> None:
        """Nothing here is its own."""

    def _head(self) -> Optional[float]:
        """Wait until the first byte is due; what a request of this moment takes if it is alone."""
        slow = self.slow
        if slow is None:
            self._sleep(self._quick)
        else:
            for _ in range(STEPS):
                self._step(slow)
        return slow

    def _body(self, answer: Answer, slow: Optional[float]) -> Iterator[BytesLike]:
        if slow is None:
            yield from answer.chunks()
            return
        # How many pieces there are is not known before the end. Those beyond the steps come at once.
        steps = iter(range(STEPS))
        for chunk in answer.chunks():
            yield chunk
            if next(steps, None) is not None:
                self._step(slow)
        for _ in steps:
            self._step(slow)

    def _step(self, slow: float) -> None:
        """One of the steps of a request, as long as the others make it."""
        self._sleep(slow / (2 * STEPS) * max(1.0, self.in_flight / self._slots))

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise Unavailable("the run is over")

    def _ended(self) -> None:
        with self._lock:
            self.in_flight -= 1
