"""Who talks to the registry: any number of requests, a few threads, a bounded number of connections.

A request goes from the queue to a place (:mod:`.connections`), is sent by a worker (:mod:`.workers`), waits for its
answer on the one loop (:mod:`.loop`), and is read and decoded by a worker again. No thread is held while a registry
thinks.
Everything about a request but sending and reading happens on the loop's thread.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Callable, List, Optional, Set

from ..arguments import check_whole
from ..errors import RegcacheError, Timeout, Unavailable
from ..limits import Limits
from .asking import Asking
from .background import Background
from .connections import Places, Turn
from .load import Load, Outcome, closed
from .loop import Call, Timer
from .workers import Job, Rank

if TYPE_CHECKING:
    from ..codec import Snapshot
    from ..registry import Consistency, Registry
    from ..registry.base import Pending

__all__ = ["Load", "Outcome", "Refresher", "Timer"]

#: Seconds after its deadline at which a worker that has not come back is reported.
GRACE = 1.0


class Refresher:
    """Asks one registry. May be used by any number of threads; starts its own on first use.

    Args:
        registry: whom to ask. One without ``begin`` is asked on worker threads, which wait with it.
        limits: for the decoder.
        workers: how many threads may be at work; as many again while some do not come back.
        connections: how many requests may be open at once. Blocking queries get three quarters of them, and take
            turns where there are more.
        clock: seconds, rising.
        log: for what goes wrong here.
        on_stuck: called with a service and the seconds, on a worker thread, when a worker does not come back.

    After a fork the child's refresher is like a new one: what the parent asked for goes on there and there alone.

    Raises:
        TypeError: ``limits`` are none, or a number is not whole.
        ValueError: fewer than 1 worker or 2 connections.
    """

    def __init__(
        self,
        registry: "Registry",
        *,
        limits: Limits = Limits(),
        workers: int = 4,
        connections: int = 128,
        clock: Callable[[], float] = time.monotonic,
        log: Optional[logging.Logger] = None,
        on_stuck: Optional[Callable[[str, float], object]] = None,
    ) -> None:
        if not isinstance(limits, Limits):
            raise TypeError(f"limits are a regcache.Limits, such as Limits(nodes=1000), not {limits!r}")
        check_whole("workers", workers)
        check_whole("connections", connections)
        if workers < 1:
            raise ValueError(f"there must be at least 1 worker, not {workers!r}")
        self._asking = Asking(registry, limits=limits, clock=clock)
        self._most_workers = workers
        self._connections = connections
        self._clock = clock
        self._log = log or logging.getLogger("regcache")
        self._on_stuck = on_stuck
        self._closed = False
        self._renew()
        _all.add(self)

    def _renew(self) -> None:
        self._background = Background(self._most_workers, clock=self._clock, log=self._log, anew=self._begin_anew)
        self._loop = self._background.loop
        self._make_room()

    def _make_room(self) -> None:
        # Of a registry that is not multiplexed a blocking query holds a worker; some must be left.
        blocking = None if self._asking.multiplexed else max(1, self._most_workers // 2)
        # Of the loop's thread:
        self._places: "Places[Load]" = Places(self._connections, blocking)
        self._loads: Set[Load] = set()
        #: Looks whether there is room for a query that waits for its turn, and when.
        self._room: Optional[Timer] = None
        self._room_at = 0.0

    def __repr__(self) -> str:
        return f"<Refresher of {self._asking.registry!r}: {len(self._loads)} requests>"

    @property
    def threads(self) -> List[threading.Thread]:
        """The threads that there are now."""
        return self._background.threads

    def load(
        self,
        service: str,
        done: Callable[[Outcome], object],
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        previous: "Optional[Snapshot]" = None,
        consistency: "Optional[Consistency]" = None,
        urgent: bool = False,
    ) -> Load:
        """Ask the registry, decode the answer, and call ``done`` once with the outcome, on a thread of ours.

        It is called whatever happens, unless the load is cancelled: with :class:`~regcache.Timeout` when the
        registry's own timeout is over (counted from the load's turn), with :class:`~regcache.Unavailable` when the
        refresher was closed.

        Args:
            index: answer only when something changed after this index.
            wait: with ``index``: seconds to wait for that, 55 by default. Where there are more of such loads than
                places they wait in turns, and the time between two turns counts as well.
            previous: the snapshot before, for the decoder.
            consistency: the read mode of this load.
            urgent: before everything else.

        Raises:
            Unavailable: there is no thread to be had.
        """
        load = Load(service, done, lambda load: self._loop.pass_on(partial(self._drop, load)))
        load.index, load.previous, load.consistency, load.urgent = index or None, previous, consistency, urgent
        if load.index is not None:
            load.wait = 55.0 if wait is None else wait
        try:
            if self._closed:
                self._background.workers.submit(partial(done, load.outcome(self._clock(), error=closed(service))))
            else:
                self._loop.post(partial(self._want, load))
        except (RuntimeError, OSError) as error:
            raise Unavailable(f"{service!r} cannot be asked for: {error}") from error
        return load

    def at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call this on a worker thread at ``when`` by the clock, or soon after it; never after :meth:`close`.

        Raises:
            Unavailable: there is no thread to be had.
        """
        timer = Timer(call)
        if not self._closed:
            try:
                self._loop.post(lambda: self._schedule(when, timer))
            except (RuntimeError, OSError) as error:
                raise Unavailable(f"nothing can be done later: {error}") from error
        return timer

    def wake(self) -> None:
        """Look at the clock: for one that jumps, as tests have."""
        self._loop.pass_on(_nothing)

    def close(self, timeout: float = 5.0) -> None:
        """Fail what is in flight, and end the threads; wait for them at most ``timeout`` seconds."""
        if self._closed:
            return
        self._closed = True
        self._loop.pass_on(self._fail_all)
        self._background.close(timeout)

    # -- on the loop's thread --------------------------------------------------------------------------------------

    def _want(self, load: Load) -> None:
        if self._closed:
            self._end(load, closed(load.service))
            return
        self._loads.add(load)
        self._queue_up(load, load.wait)

    def _queue_up(self, load: Load, wait: Optional[float]) -> None:
        load.answered = False
        load.turn = Turn(load, wait=wait, urgent=load.urgent)
        self._places.want(load.turn)
        self._give_places()

    def _give_places(self) -> None:
        now = self._clock()
        while True:
            turn = self._places.next(now)
            if turn is None:
                break
            load = turn.whom
            load.sent = now
            if load.asked is None:
                load.asked = now
                load.until = now + (load.wait or 0.0)
            # Consul adds up to a sixteenth of the wait.
            self._limit(load, turn.wait * 17 / 16 + self._asking.timeout)
            if self._asking.multiplexed:
                self._work(load, partial(self._send, load, turn))
            else:
                self._work(load, partial(self._read, load, turn, None))
        later = self._places.later()
        # A query that is broken off later may be over earlier.
        if later is not None and (self._room is None or self._room.call is None or later < self._room_at):
            if self._room is not None:
                self._room.cancel()
            self._room_at, self._room = later, self._background.at(later, self._there_is_room)

    def _there_is_room(self) -> None:
        self._room = None
        self._give_places()

    def _sent(self, load: Load, turn: "Turn[Load]", pending: "Pending") -> None:
        """The request is on its way: wait for its answer."""
        if load.over:
            self._close(pending)
            return
        load.pending = pending
        load.descriptor = descriptor = pending.fileno()
        ready = partial(self._ready, load, turn)
        if descriptor is not None:
            self._loop.watch(descriptor, ready)
            return
        self._places.unbind()
        if turn.blocking:
            load.nap = self._background.at(load.sent + turn.wait, ready)
        pending.on_ready(partial(self._loop.pass_on, ready))

    def _ready(self, load: Load, turn: "Turn[Load]") -> None:
        """Something of the answer is there."""
        pending = load.pending
        if pending is None or load.turn is not turn or load.answered:
            return
        if load.descriptor is not None:
            if not pending.ready():
                return
            self._loop.unwatch(load.descriptor)
            load.descriptor = None
        load.answered = True
        if turn.blocking:
            self._limit(load, self._asking.timeout)
        self._work(load, partial(self._read, load, turn, pending))

    def _again(self, load: Load, turn: "Turn[Load]") -> None:
        """The turn is over, and it may wait for longer: another turn, when all others have had theirs."""
        self._places.leave(turn)
        if load.over:
            return
        self._rest(load)
        self._queue_up(load, load.until - self._clock())

    def _leave(self, load: Load, abandoned: Optional[float] = None) -> None:
        """Free everything that it holds."""
        if load.over:
            return
        load.over = True
        self._rest(load)
        load.previous = None
        self._loads.discard(load)
        if load.turn is not None:
            self._places.leave(load.turn, abandoned)
        if not self._closed:
            self._give_places()

    def _rest(self, load: Load) -> None:
        """Nothing of it is watched or sent."""
        for timer in (load.deadline, load.nap):
            if timer is not None:
                timer.cancel()
        if load.descriptor is not None:
            self._loop.unwatch(load.descriptor)
        pending, load.pending, load.descriptor = load.pending, None, None
        if pending is not None:
            self._close(pending)

    def _drop(self, load: Load) -> None:
        turn = load.turn
        # A blocking query that is broken off goes on in the agent.
        goes_on = turn is not None and turn.blocking and load.descriptor is not None
        self._leave(load, load.sent + turn.wait * 17 / 16 if turn is not None and goes_on else None)

    def _limit(self, load: Load, seconds: float) -> None:
        if load.deadline is not None:
            load.deadline.cancel()
        load.deadline = self._background.at(self._clock() + seconds, partial(self._late, load, seconds))

    def _late(self, load: Load, seconds: float) -> None:
        job = load.job
        text = f"{self._asking.registry!r} did not answer about {load.service!r} within {seconds:g} s"
        self._end(load, Timeout(text))
        if job is not None and job.running:
            self._background.at(self._clock() + GRACE, partial(self._report, load.service, job))

    def _report(self, service: str, job: Job) -> None:
        if not job.running or job.started is None:
            return
        seconds = self._clock() - job.started
        if self._on_stuck is not None:
            self._background.deliver(partial(self._on_stuck, service, seconds))
        else:
            self._log.error("regcache: a request for %r has not come back for %.0f s", service, seconds)

    def _end(self, load: Load, error: RegcacheError) -> None:
        """Break it off, and say so."""
        done = load.take()
        outcome = load.outcome(self._clock(), error=error)
        self._leave(load)
        if done is not None:
            self._background.deliver(partial(done, outcome))

    def _fail_all(self) -> None:
        for load in list(self._loads):
            self._end(load, closed(load.service))

    def _begin_anew(self) -> None:
        """The loop's thread died, and this is another: whoever waits is told, so that he goes on by himself."""
        loads = self._loads
        self._make_room()
        for load in loads:
            # Nothing is watched any more, and no place is taken.
            load.descriptor = None
            if load.turn is not None:
                load.turn.gone = True
            self._end(load, Unavailable(f"the thread that waited for news of {load.service!r} died"))

    def _work(self, load: Load, call: Call) -> None:
        died = Unavailable(f"the thread that asked for {load.service!r} died")
        lost = partial(self._loop.pass_on, partial(self._end, load, died))
        try:
            load.job = self._background.work(call, Rank.URGENT if load.urgent else Rank.OTHER, lost)
        except RuntimeError as error:
            self._end(load, Unavailable(f"{load.service!r} cannot be asked for: {error}"))

    def _schedule(self, when: float, timer: Timer) -> None:
        if not self._closed:
            self._background.at(when, partial(self._background.fire, timer))

    def _close(self, pending: "Pending") -> None:
        try:
            pending.close()
        except Exception:
            self._log.exception("regcache: a request could not be broken off")

    # -- on a worker's thread --------------------------------------------------------------------------------------

    def _send(self, load: Load, turn: "Turn[Load]") -> None:
        if load.over:
            return
        try:
            pending = self._asking.begin(load, turn)
        except BaseException as error:
            self._finish(load, self._asking.failed(load, error))
            return
        if not self._loop.pass_on(partial(self._sent, load, turn, pending)):
            self._close(pending)

    def _read(self, load: Load, turn: "Turn[Load]", pending: "Optional[Pending]") -> None:
        if load.over:
            return
        try:
            outcome = self._asking.fetch(load, turn) if pending is None else self._asking.read(load, turn, pending)
        except BaseException as error:
            outcome = self._asking.failed(load, error)
        if outcome is None:
            self._loop.pass_on(partial(self._again, load, turn))
        else:
            self._finish(load, outcome)

    def _finish(self, load: Load, outcome: Outcome) -> None:
        done = load.take()
        self._loop.pass_on(partial(self._leave, load))
        if done is not None:
            done(outcome)

    # -- in the child of a fork ------------------------------------------------------------------------------------

    def _forked(self) -> None:
        self._loop.forget()
        for load in self._loads:
            load.take()
            if load.pending is not None:
                self._close(load.pending)
        self._renew()


def _nothing() -> None:
    pass


_all: "weakref.WeakSet[Refresher]" = weakref.WeakSet()


def _forked_all() -> None:
    for refresher in list(_all):
        refresher._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked_all)
