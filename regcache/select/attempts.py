"""Several tries of one call: another node each time, one deadline, and no storm of retries."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, List, Optional, Type

from .budget import RetryBudget
from .peers import Peer
from .picks import Call, Front

if TYPE_CHECKING:
    from .selector import Selector

__all__ = ["Attempt", "Attempts"]


class Attempts:
    """What :meth:`regcache.Selector.attempts` returns: to be gone through once, by one thread or task.

    The block of each attempt says what became of it:

    - It is left without an exception: the call went well, and there is no further attempt.
    - It is left by an exception that :class:`Call` takes for a failure of the node, or was told ``call.failed(why)``:
      there is another attempt, at another node, if one of ``tries`` is left, the timeout is not over, and the budget
      allows it. The exception is swallowed then. Otherwise it is raised; without one the loop ends.
    - ``call.ignore(exc)`` and exceptions that say nothing about the node end it at once.

    Errors of finding a node are raised by the first ``with`` that meets them.

    Args:
        selector: who finds nodes.
        budget: asked before each retry.
        timeout: seconds for all attempts together, from now on; ``None``: no limit.
        tries: how many at most, the first included; at least 1.
        key: see :meth:`regcache.Selector.select`.

    Raises:
        ValueError: ``tries`` or ``timeout`` makes no sense.
    """

    def __init__(
        self, selector: "Selector", budget: RetryBudget, timeout: Optional[float], tries: int, key: object
    ) -> None:
        if tries < 1:
            raise ValueError(f"tries must be at least 1, not {tries!r}")
        if timeout is not None and not timeout >= 0.0:
            raise ValueError(f"a timeout is at least 0 seconds, not {timeout!r}")
        self._selector = selector
        self._budget = budget
        self._deadline = math.inf if timeout is None else selector._now() + timeout
        self._left = tries
        self._key = key
        self._tried: List[Peer] = []
        self._last: Optional[Attempt] = None
        #: What the last attempt failed with.
        self.error: Optional[Exception] = None

    def __iter__(self) -> "Attempts":
        return self

    def __next__(self) -> "Attempt":
        if not self._goes_on():
            raise StopIteration
        return self._attempt()

    def __aiter__(self) -> "Attempts":
        return self

    async def __anext__(self) -> "Attempt":
        if not self._goes_on():
            raise StopAsyncIteration
        return self._attempt()

    def _goes_on(self) -> bool:
        if self._last is None:
            self._budget.call()
            return True
        if self._last.again is None:
            raise RuntimeError("each attempt is a block to enter: for attempt in ...: with attempt as call: ...")
        return self._last.again

    def _attempt(self) -> "Attempt":
        self._left -= 1
        # The first finds its node in the ordinary way; later ones do not take one that was tried.
        front = self._selector if self._last is None else _Elsewhere(self._selector, self._tried)
        timeout = None if self._deadline == math.inf else max(0.0, self._deadline - self._selector._now())
        self._last = Attempt(self, Call(front, timeout, self._key))
        return self._last

    def _another(self, peer: Peer) -> bool:
        """This one failed. May there be another attempt?"""
        self._tried.append(peer)
        return self._left > 0 and self._selector._now() < self._deadline and self._budget.retry()


class Attempt:
    """One of them, for use in ``with`` or ``async with``, which gives its :class:`Call`."""

    __slots__ = ("_attempts", "_call", "again")

    def __init__(self, attempts: Attempts, call: Call) -> None:
        self._attempts = attempts
        self._call = call
        #: Is there another one after it? ``None`` until the block was left.
        self.again: Optional[bool] = None

    def __enter__(self) -> Call:
        try:
            return self._call.__enter__()
        except Exception as error:
            self._explain(error)
            raise

    async def __aenter__(self) -> Call:
        try:
            return await self._call.__aenter__()
        except Exception as error:
            self._explain(error)
            raise

    def __exit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> bool:
        call = self._call
        call.__exit__(kind, exc, trace)
        self.again = call.outcome == "failure" and self._attempts._another(call.peer)
        if isinstance(exc, Exception):
            self._attempts.error = exc
        return self.again

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> bool:
        return self.__exit__(kind, exc, trace)

    def _explain(self, error: Exception) -> None:
        """No node was found: there is no further attempt, and the failure of the one before belongs to the story."""
        self.again = False
        if error.__cause__ is None:
            error.__cause__ = self._attempts.error


class _Elsewhere(Front):
    """Finds a node for another attempt. It has no picker of its own, so that every pick comes here."""

    def __init__(self, selector: "Selector", tried: List[Peer]) -> None:
        super().__init__(None, selector._now)
        self._selector = selector
        self._tried = tried

    def _slow(self, timeout: Optional[float], key: object) -> Peer:
        return self._selector._other(self._selector._peer(timeout, key), self._tried, key)

    async def _slow_async(self, timeout: Optional[float], key: object) -> Peer:
        picker = self._selector._ready()
        if picker is not None:
            peer = picker.pick(key, self._selector._now())
        else:
            peer = await self._selector._slow_async(timeout, key)
        return self._selector._other(peer, self._tried, key)

    def _verdict(self, peer: Peer, bits: int, begun: float) -> None:
        self._selector._verdict(peer, bits, begun)
