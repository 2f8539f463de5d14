"""One service in the cache: what is held, what is going on, and who is waiting for it."""

from __future__ import annotations

import copy
import enum
import math
import threading
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, Optional

from .. import codec
from ..errors import RegcacheError, Timeout, Unavailable
from ..limits import Limits
from .slot import Slot

if TYPE_CHECKING:
    from ..codec import Snapshot
    from ..registry import Registry

__all__ = ["Entry", "State"]

#: Seconds after a failure in which callers are told of it and the registry is left alone; doubled by each failure
#: that follows, to the longest. Short, because those who wait have nothing.
RETRY_FIRST = 0.25
RETRY_LONGEST = 5.0


class State(enum.Enum):
    """What is going on with a service. Whether something is held is another question (:meth:`Entry.held`)."""

    #: Nobody has asked yet.
    COLD = "cold"
    #: The one request is in flight.
    REFRESHING = "refreshing"
    #: What is held is younger than the ttl.
    FRESH = "fresh"
    #: What is held is older than the ttl; the next caller starts a refresh.
    STALE = "stale"
    #: The last request failed; what was held before, if anything, is still served.
    FAILED = "failed"
    #: No more requests.
    CLOSED = "closed"


_MOVES: Dict[State, FrozenSet[State]] = {
    State.COLD: frozenset({State.REFRESHING, State.CLOSED}),
    State.REFRESHING: frozenset({State.FRESH, State.FAILED, State.CLOSED}),
    State.FRESH: frozenset({State.STALE, State.CLOSED}),
    State.STALE: frozenset({State.REFRESHING, State.CLOSED}),
    State.FAILED: frozenset({State.REFRESHING, State.CLOSED}),
    State.CLOSED: frozenset({State.CLOSED}),
}


class _Flight:
    """The one request in flight; anybody may wait for its end. It ends by itself, whoever gives up."""

    __slots__ = ("done", "error", "generation", "snapshot")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.done = threading.Event()
        self.snapshot: Optional["Snapshot"] = None
        self.error: Optional[RegcacheError] = None


class Entry:
    """One service. Everything but the slot and ``_due`` is changed under ``_lock`` only.

    Args:
        service: its exact name.
        registry: whom to ask.
        ttl: seconds for which an answer is fresh.
        limits: for the decoder.
        clock: seconds, rising.
        run: called with a function that must run soon, on a thread that is not the caller's.
    """

    def __init__(
        self,
        service: str,
        registry: "Registry",
        *,
        ttl: float,
        limits: Limits,
        clock: Callable[[], float],
        run: Callable[[Callable[[], None]], None],
    ) -> None:
        self.service = service
        self._registry = registry
        self._ttl = ttl
        self._limits = limits
        self._clock = clock
        self._run = run
        self._slot = Slot()
        self._lock = threading.Lock()
        self._state = State.COLD
        self._flight: Optional[_Flight] = None
        self._generation = 0
        self._failures = 0
        # When the registry may be asked next. Infinite while it is being asked, so that nobody else takes the lock.
        self._due = -math.inf

    @property
    def state(self) -> State:
        """Seen now: an answer grows stale without anybody's doing."""
        with self._lock:
            self._age()
            return self._state

    def held(self) -> Optional["Snapshot"]:
        """The newest snapshot, or ``None``; asks nobody."""
        return self._slot.get()

    def get(self, timeout: float) -> "Snapshot":
        """The newest snapshot. Waits only if there is none yet, and then at most ``timeout`` seconds.

        Raises:
            Timeout: there is none, and the request in flight did not end in time. It goes on.
            RegcacheError: there is none, and this is why the last request failed.
        """
        snapshot = self._slot.get()
        if snapshot is not None:
            if self._clock() >= self._due:
                self._ask()
            return snapshot
        flight = self._ask()
        snapshot = self._slot.get()
        if snapshot is not None:
            return snapshot
        if not flight.done.wait(max(0.0, timeout)):
            raise Timeout(f"no answer about {self.service!r} within {timeout:g} s; the request goes on")
        if flight.snapshot is not None:
            return flight.snapshot
        assert flight.error is not None
        # A copy for each caller: an exception collects the traceback of everybody who raises it.
        raise copy.copy(flight.error) from flight.error

    def close(self) -> None:
        """Let go of the snapshot, tell those who wait, and ignore the answer that is still to come."""
        with self._lock:
            self._move(State.CLOSED)
            flight, self._flight = self._flight, None
        self._slot.close()
        if flight is not None and not flight.done.is_set():
            flight.error = _closed(self.service)
            flight.done.set()

    # -- the one place where the state changes -----------------------------------------------------------------

    def _move(self, new: State) -> None:
        if new not in _MOVES[self._state]:
            raise AssertionError(f"{self.service!r}: no way from {self._state.value} to {new.value}")
        self._state = new

    def _age(self) -> None:
        if self._state is State.FRESH and self._clock() >= self._due:
            self._move(State.STALE)

    # -- the one request ---------------------------------------------------------------------------------------

    def _ask(self) -> _Flight:
        """The request in flight; or the last one, if it is too early for another; or a new one."""
        with self._lock:
            self._age()
            if self._state is State.CLOSED:
                raise _closed(self.service)
            if self._flight is not None and (self._state is State.REFRESHING or self._clock() < self._due):
                return self._flight
            self._move(State.REFRESHING)
            self._due = math.inf
            self._generation += 1
            flight = self._flight = _Flight(self._generation)
        try:
            self._run(lambda: self._load(flight))
        except Exception as error:  # no thread to be had: the next caller tries again
            self._end(flight, None, Unavailable(f"{self.service!r} cannot be asked for: {error}"))
        return flight

    def _load(self, flight: _Flight) -> None:
        """Ask, decode, publish; on a thread of its own. Ends the flight, whatever happens."""
        snapshot: Optional["Snapshot"] = None
        failure: Optional[RegcacheError] = None
        try:
            snapshot = self._fetch()
        except RegcacheError as error:
            failure = error
        except Exception as error:
            failure = Unavailable(f"the registry failed on {self.service!r}: {type(error).__name__}: {error}")
            failure.__cause__ = error
        finally:
            self._end(flight, snapshot, failure)

    def _fetch(self) -> "Snapshot":
        decoder = codec.Decoder(self.service, limits=self._limits, previous=self._slot.get())
        with self._registry.fetch(self.service) as answer:
            taken = self._clock()
            for chunk in answer.chunks():
                decoder.feed(chunk)
        return decoder.finish(index=answer.index, taken=taken)

    def _end(self, flight: _Flight, snapshot: Optional["Snapshot"], failure: Optional[RegcacheError]) -> None:
        if snapshot is not None:
            self._slot.publish(snapshot, flight.generation)
        elif failure is None:
            failure = Unavailable(f"the request for {self.service!r} was broken off")  # SystemExit and the like
        with self._lock:
            if self._state is State.CLOSED:
                return
            now = self._clock()
            if snapshot is not None:
                self._failures = 0
                self._due = now + self._ttl
                self._move(State.FRESH)
            else:
                self._due = now + min(RETRY_FIRST * 2**self._failures, RETRY_LONGEST, self._ttl)
                self._failures = min(self._failures + 1, 30)
                self._move(State.FAILED)
            flight.snapshot, flight.error = snapshot, failure
        flight.done.set()


def _closed(service: str) -> Unavailable:
    return Unavailable(f"the cache is closed; {service!r} cannot be asked for")
