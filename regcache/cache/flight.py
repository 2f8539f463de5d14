"""Waking those who have nothing, and wait for the one request in flight: threads, and the tasks of ``get_async``."""

from __future__ import annotations

import copy
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Dict, Optional, Set, TypeVar

from ..errors import RegcacheError

if TYPE_CHECKING:
    import asyncio

    from ..codec import Snapshot

    Future = asyncio.Future[bool]

__all__ = ["Flight", "again"]

E = TypeVar("E", bound=Exception)


class Flight:
    """The end of one request. It ends by itself: whoever gives up waiting does so for himself alone."""

    __slots__ = ("_ended", "_error", "_lock", "_loops", "_snapshot")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        # By loop, so that each is woken once, however many of its tasks wait.
        self._loops: Dict[asyncio.AbstractEventLoop, Set["Future"]] = {}
        self._snapshot: Optional["Snapshot"] = None
        self._error: Optional[RegcacheError] = None

    def end(self, snapshot: Optional["Snapshot"], error: Optional[RegcacheError]) -> None:
        """Wake everybody, with one of the two."""
        self._snapshot, self._error = snapshot, error
        with self._lock:
            self._ended.set()
            loops, self._loops = self._loops, {}
        for loop, futures in loops.items():
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_wake, futures)

    def wait(self, timeout: float) -> bool:
        """Has it ended within so many seconds?"""
        return self._ended.wait(min(max(0.0, timeout), threading.TIMEOUT_MAX))

    async def wait_async(self, timeout: float) -> bool:
        """The same for a task of the running loop."""
        import asyncio  # only whoever has a running loop needs it, and has it

        loop = asyncio.get_running_loop()
        with self._lock:
            if self._ended.is_set():
                return True
            future: "Future" = loop.create_future()
            self._loops.setdefault(loop, set()).add(future)
        timer = loop.call_later(max(0.0, timeout), _wake, {future}, False)
        try:
            return await future
        finally:
            timer.cancel()
            with self._lock:
                futures = self._loops.get(loop)
                if futures is not None:
                    futures.discard(future)
                    if not futures:
                        del self._loops[loop]

    def result(self) -> "Snapshot":
        """What it brought, once it has ended. Raises the error if it failed."""
        if self._snapshot is not None:
            return self._snapshot
        assert self._error is not None
        raise again(self._error)


def again(error: E) -> E:
    """A copy for each caller, if it can be copied: an exception collects the tracebacks of everybody who raises it."""
    try:
        copied = copy.copy(error)
    except Exception:  # of somebody else's, with arguments of its own
        return error
    if type(copied) is not type(error):
        return error
    copied.__cause__ = error
    return copied


def _wake(futures: Set["Future"], ended: bool = True) -> None:
    for future in futures:
        if not future.done():
            future.set_result(ended)
