"""Where the newest snapshot of one service is kept: readers take it without a lock, writers replace it in one step.

The reading side is one look into a private list of one item, which is never rebound. The writing side is decided by
generations, in the order in which the registry was asked, and not by the registry's index: that one goes backwards
when a registry was restarted without its data, and the service would never be refreshed again.

Beside it are the two words that every call needs: the alarm, which is the time from which on a caller has to look for
himself, and whether anybody came.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, List, Optional

if TYPE_CHECKING:
    from ...codec import Snapshot

__all__ = ["Reader", "Slot"]


#: The generation of a closed slot, which nothing follows.
CLOSED = 2**63 - 1


class Slot:
    """Holds one snapshot or ``None``. May be used from any number of threads.

    Args:
        clock: what the alarm is set by: seconds, rising. ``None``: ``time.monotonic``.

    Attributes:
        used: did anybody :meth:`look` since this was last set to False?
    """

    __slots__ = ("_alarm", "_claimed", "_clock", "_closed", "_generation", "_held", "_lock", "used")

    def __init__(self, clock: Optional[Callable[[], float]] = None) -> None:
        self._clock = time.monotonic if clock is None else clock
        self._alarm = math.inf
        self.used: bool = False
        self._held: List[Optional["Snapshot"]] = [None]
        self._generation = 0
        self._closed = False
        self._lock = threading.Lock()
        self._claimed = threading.Lock()

    @property
    def generation(self) -> int:
        """That of the snapshot held; 0 before the first."""
        return self._generation

    @property
    def closed(self) -> bool:
        """Is it at its end?"""
        return self._closed

    def get(self) -> Optional["Snapshot"]:
        """The newest snapshot; never waits."""
        return self._held[0]

    def look(self) -> Optional["Snapshot"]:
        """The newest snapshot; ``None`` if there is none, or the alarm rings. Never waits. The slot is used then."""
        # The alarm first: one that was put off is seen together with the snapshot that was the reason.
        alarm = self._alarm
        self.used = True
        return None if self._clock() >= alarm else self._held[0]

    def set_alarm(self, seconds: float) -> None:
        """From this time on, by the slot's clock, :meth:`look` gives ``None``; infinity: never."""
        self._alarm = seconds

    def publish(self, snapshot: "Snapshot", generation: int) -> bool:
        """Replace what is held, unless that is of this generation (an int of at least 1) or a later one.

        Returns:
            Was it published? It was not when somebody who asked later was faster, or after :meth:`close`.
        """
        with self._lock:
            if self._closed or generation <= self._generation:
                return False
            # `before` keeps the old snapshot until the lock is free: dropping it may run code of anybody's.
            before = self._held[0]
            self._held[0] = snapshot
            self._generation = generation
        del before
        return True

    def claim(self) -> bool:
        """Become the one who asks the registry: True for one caller until :meth:`release`."""
        return self._claimed.acquire(blocking=False)

    def release(self) -> None:
        """The asking is over."""
        with suppress(RuntimeError):  # nobody had claimed it
            self._claimed.release()

    def renew(self) -> None:
        """In the child of a fork, where one thread is left: nobody writes, and nobody asks, any more.

        What is held stays, and so does the slot itself: selectors refer to it.
        """
        self._lock = threading.Lock()
        self._claimed = threading.Lock()

    def reader(self, otherwise: "Optional[Callable[[Optional[float]], Snapshot]]" = None) -> "Reader":
        """A :class:`Reader` of this slot, for the thread that calls this."""
        return Reader(self, otherwise)

    def close(self) -> None:
        """Let go of the snapshot and refuse any other."""
        with self._lock:
            before = self._held[0]
            self._closed = True
            self._held[0] = None
            self._generation = CLOSED  # readers look again
        del before


class Reader:
    """What one thread's hot loop reads.

    It is of the thread that made it, and keeps its snapshot alive until it is used again or dropped.

    Args:
        slot: whose snapshots.
        otherwise: called with the timeout where :meth:`Slot.look` would give ``None``, for something to return.
    """

    __slots__ = ("__weakref__", "_generation", "_otherwise", "_slot", "_snapshot", "_thread")

    def __init__(self, slot: Slot, otherwise: "Optional[Callable[[Optional[float]], Snapshot]]" = None) -> None:
        self._slot = slot
        self._otherwise = otherwise
        self._snapshot: Optional["Snapshot"] = None
        self._generation = -1
        self._thread = threading.get_ident()

    def get(self, timeout: Optional[float] = None) -> Optional["Snapshot"]:
        """The newest snapshot, as :meth:`Slot.look`; if there is none, or the alarm rings, what ``otherwise`` says.

        Raises:
            RuntimeError: this is another thread. (It would do no harm here, as it does in the compiled twin.)
        """
        if self._thread != threading.get_ident():
            raise RuntimeError("a reader is for the thread that made it")
        slot = self._slot
        # In this order: an alarm that was put off is seen together with the snapshot that was the reason; and if a
        # writer comes after the generation was read, the next call looks again.
        alarm = slot._alarm
        generation = slot._generation
        if generation != self._generation:
            self._snapshot = slot._held[0]
            self._generation = generation
        slot.used = True
        if self._snapshot is None or slot._clock() >= alarm:
            return None if self._otherwise is None else self._otherwise(timeout)
        return self._snapshot
