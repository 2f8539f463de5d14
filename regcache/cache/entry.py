"""One service in the cache, as its callers see it: they never wait while anything is held."""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Optional, Union

from ..errors import RegcacheError, Timeout, Unavailable
from .course import Course
from .flight import Flight, again
from .slot import Slot
from .state import State
from .status import Status

if TYPE_CHECKING:
    from ..codec import Snapshot

__all__ = ["Entry"]


class Entry(Course):
    """One service. Made as :class:`Course` is."""

    def __init__(self, service: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(service, *args, **kwargs)
        #: A selector looks here: not to be forgotten.
        self.pinned = False

    # -- what callers do -----------------------------------------------------------------------------------------

    def get(self, timeout: float) -> "Snapshot":
        """The newest snapshot. Waits only if there is none (or one beyond max_stale), at most ``timeout`` seconds.

        Raises:
            Timeout: there is none, and the request in flight did not end in time. It goes on.
            RegcacheError: there is none, and this is why the last request failed.
        """
        snapshot = self._slot.get()
        if snapshot is not None and self._clock() < self._alarm:
            self._used = True
            return snapshot
        found = self._attend()
        if not isinstance(found, Flight):
            return found
        if not found.wait(timeout):
            raise self._late(timeout)
        return found.result()

    async def get_async(self, timeout: float) -> "Snapshot":
        """The same for a task of asyncio; the loop is never blocked."""
        found = self._attend()
        if not isinstance(found, Flight):
            return found
        if not await found.wait_async(timeout):
            raise self._late(timeout)
        return found.result()

    def start(self) -> None:
        """See to it that there is something, or will be, without waiting for it."""
        with suppress(RegcacheError):
            self._attend()

    def held(self) -> Optional["Snapshot"]:
        """The newest snapshot, or ``None``; asks nobody."""
        return self._slot.get()

    @property
    def state(self) -> State:
        """Seen now: an answer grows stale without anybody's doing."""
        with self._lock:
            return self._seen(self._clock())

    def status(self) -> Status:
        """What is going on, as data and in words."""
        with self._lock:
            now, held, doubt = self._clock(), self._slot.get(), self._doubt
            watching = self._load is not None and self._blocking
            attempt = 0.0 if self._load is not None and not watching else min(self._next, self._due) - now
            return Status(
                self.service,
                self._seen(now).value,
                None if held is None else len(held),
                0 if held is None else held.index,
                None if held is None else now - self._confirmed,
                None if held is None else now - self._since,
                self._source,
                watching,
                self._error,
                None if self._error is None else now - self._failed,
                self._pace.failures,
                max(0.0, attempt) if attempt < math.inf else None,
                None if doubt is None else doubt.status(now),
            )

    def accept(self) -> bool:
        """Believe the answer that is held back. Was there one?"""
        with self._changing() as now:
            doubt = self._doubt
            if doubt is None or self._state is State.CLOSED:
                return False
            self._stop()
            self._publish(doubt.snapshot, doubt.generation, now, "it was accepted by hand")
            return True

    def close(self) -> None:
        """Let go of everything, tell those who wait, and ignore the answer that is still to come."""
        with self._changing():
            self._move(State.CLOSED)
            self._stop()
            self._doubt = None
            self._due = self._too_old = math.inf
            self._land(_closed(self.service))
        self._slot.close()

    def rest(self) -> None:
        """Ask no more until the next caller comes; what is held is kept."""
        with self._changing() as now:
            if self._state is not State.CLOSED:
                self._rest(now)

    def forgettable(self) -> bool:
        """Is nothing lost with it? It never had nodes, and neither a selector nor a caller is waiting for some."""
        with self._lock:
            return not (self._had_nodes or self.pinned or self._flight)

    def after_fork(self) -> None:
        """In the child: what was in flight is the parent's, and its threads are not here."""
        # Another thread of the parent may have held these locks.
        self._lock = threading.Lock()
        held, generation = self._slot.get(), self._slot.generation
        self._slot = Slot()
        if held is not None:
            self._slot.publish(held, generation)
        self._load = self._timer = self._flight = None
        self._events = []
        with self._changing() as now:
            if self._state is State.CLOSED:
                self._slot.close()
            else:
                self._rest(now)

    # -- the rare part of get() ------------------------------------------------------------------------------------

    def _attend(self) -> "Union[Snapshot, Flight]":
        """See to the next request, and to those who have nothing."""
        self._used = True
        now = self._clock()
        if now >= self._due and self._slot.claim():
            try:
                with self._changing():
                    if self._load is None and self._timer is None and self._state is not State.CLOSED:
                        self._ask(now)
            except BaseException:  # KeyboardInterrupt: somebody else shall do it
                self._slot.release()
                raise
        elif now >= self._overdue:
            self._replace(now)
        snapshot = self._slot.get()
        if snapshot is not None and now < self._too_old:
            return snapshot
        with self._changing():
            return self._join(now)

    def _join(self, now: float) -> "Union[Snapshot, Flight]":
        """The request that those who have nothing wait for; a new one if there is none."""
        if self._state is State.CLOSED:
            raise _closed(self.service)
        snapshot = self._slot.get()
        if snapshot is not None and now < self._too_old:
            return snapshot
        if self._flight is None:
            if self._load is None or self._blocking:
                if self._error is not None and now < self._retry:
                    raise self._again(self._error, now)
                self._slot.claim()
                self._ask(now, urgent=True)
                if self._load is None:  # it could not even be sent
                    assert self._error is not None
                    raise self._again(self._error, now)
            self._flight = Flight()
        return self._flight

    def _again(self, error: RegcacheError, now: float) -> RegcacheError:
        return again(self._why(error, now))

    def _late(self, timeout: float) -> RegcacheError:
        late = Timeout(f"no answer about {self.service!r} within {max(0.0, timeout):g} s; the request goes on")
        return late if self._slot.get() is None else self._why(self._error or late, self._clock())


def _closed(service: str) -> Unavailable:
    return Unavailable(f"the cache is closed; {service!r} cannot be asked for")
