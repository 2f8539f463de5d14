"""The loop and the workers as one: things that are done soon, at a time, or whatever happens."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Callable, List, Optional

from .loop import Call, Loop, Timer
from .workers import Job, Rank, Workers

__all__ = ["Background"]

#: Seconds between two looks at workers that may hang, while there is work.
LOOK = 0.5


class Background:
    """Starts its threads when there is something for them to do.

    Args:
        workers: how many threads may be at work, beside the loop's; as many again while some do not come back.
        clock: seconds, rising.
        log: for what goes wrong.
        anew: called on the loop's thread when that has taken the place of one that died; see :class:`Loop`.
    """

    def __init__(self, workers: int, *, clock: Callable[[], float], log: logging.Logger, anew: Call) -> None:
        self._anew = anew
        self.loop: Loop = Loop("regcache-loop", clock=clock, log=log, anew=self._begin_anew)
        self.workers: Workers = Workers(workers, "regcache-worker", clock=clock, log=log)
        self._clock = clock
        self._log = log
        self._looking = False

    @property
    def threads(self) -> List[threading.Thread]:
        """Those that there are now."""
        loop = self.loop.thread
        return ([loop] if loop is not None else []) + self.workers.threads

    def close(self, timeout: float) -> None:
        """End the threads when they have done what there is to do now; wait for that at most so many seconds."""
        until = time.monotonic() + timeout
        loop = self.loop.close()
        if loop is not None:
            _join(loop, until)
        for thread in self.workers.close():
            _join(thread, until)

    # -- only on the loop's thread ---------------------------------------------------------------------------------

    def at(self, when: float, call: Call) -> Timer:
        """Do this at a time, on the loop."""
        return self.loop.at(when, call)

    def fire(self, timer: Timer) -> None:
        """Do now what a timer is for, on a worker."""
        self.deliver(partial(_fire, timer))

    def work(self, call: Call, rank: Rank, lost: Optional[Call] = None) -> Job:
        """Do this on a worker; see :meth:`Workers.submit`.

        Raises:
            RuntimeError: there is none, and none can be started.
        """
        job = self.workers.submit(call, rank, lost)
        if not self._looking:
            self._looking = True
            self.at(self._clock() + LOOK, self._look)
        return job

    def deliver(self, call: Call) -> None:
        """Do this on a worker, before everything else; if they all hang, here."""
        try:
            self.work(call, Rank.TELL)
        except RuntimeError:
            self._now(call)

    def _begin_anew(self) -> None:
        self._looking = False
        self._anew()

    def _look(self) -> None:
        self._looking = self.workers.look()
        if self._looking:
            self.at(self._clock() + LOOK, self._look)
        for job in self.workers.untold():
            if job.call is not None:
                self._now(job.call)

    def _now(self, call: Call) -> None:
        """On the wrong thread, rather than never."""
        try:
            call()
        except Exception:
            self._log.exception("regcache: an error in the background")


def _fire(timer: Timer) -> None:
    call = timer.call
    if call is not None:
        call()


def _join(thread: threading.Thread, until: float) -> None:
    if thread is not threading.current_thread():
        thread.join(max(0.0, until - time.monotonic()))
