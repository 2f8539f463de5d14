"""A few threads that do what may take long: connecting, reading, decoding, telling.

Their number is bounded, whatever there is to do. One that is busy for too long is no longer counted, so that
another may take its place; when it comes back after all, it ends or is counted again.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections import deque
from typing import Callable, Deque, Dict, List, Optional

from .loop import Call, let_go

__all__ = ["Job", "Rank", "Workers"]

#: Seconds without work after which a thread ends: longer than a blocking query, so that its answer finds a thread.
IDLE = 75.0
#: Seconds after which a busy thread is no longer counted. Decoding 100 MB takes 0.3 s.
PATIENCE = 2.0


class Rank(enum.Enum):
    """What goes first."""

    #: Somebody is told something; it has to be done, whatever happens.
    TELL = 0
    URGENT = 1
    OTHER = 2


class Job:
    """One piece of work."""

    __slots__ = ("call", "ended", "lost", "overdue", "rank", "started")

    def __init__(self, call: Call, rank: Rank, lost: Optional[Call]) -> None:
        #: ``None`` once it has begun.
        self.call: Optional[Call] = call
        self.rank: Rank = rank
        #: Called when it raised, or its thread died in the middle of it; it should be quick.
        self.lost: Optional[Call] = lost
        #: When a thread took it; ``None`` before.
        self.started: Optional[float] = None
        self.ended: bool = False
        #: Its thread is not counted.
        self.overdue: bool = False

    @property
    def running(self) -> bool:
        """A thread has begun it, and has not come back."""
        return self.started is not None and not self.ended


class Workers:
    """At most ``most`` threads that are counted, and as many again that are not.

    Args:
        name: of the threads; a number is added.
        clock: seconds, rising.
        log: for what a piece of work raises.
    """

    def __init__(self, most: int, name: str, *, clock: Callable[[], float], log: logging.Logger) -> None:
        self._most = most
        self._name = name
        self._clock = clock
        self._log = log
        self._started = 0
        self._changed = threading.Condition()
        # Under the condition's lock:
        self._queues: Dict[Rank, Deque[Job]] = {rank: deque() for rank in Rank}
        self._overdue = 0
        # What each thread does; None: it waits, or has not begun.
        self._threads: Dict[threading.Thread, Optional[Job]] = {}
        self._closing = False

    @property
    def threads(self) -> List[threading.Thread]:
        """Those that are alive."""
        with self._changed:
            return list(self._threads)

    def submit(self, call: Call, rank: Rank = Rank.OTHER, lost: Optional[Call] = None) -> Job:
        """Do this soon; if it raises, or its thread dies in the middle of it, call ``lost``, which should be quick.

        Raises:
            RuntimeError: there is no thread, and none can be started.
        """
        job = Job(call, rank, lost)
        with self._changed:
            queue = self._queues[rank]
            queue.append(job)
            try:
                self._share()
            except RuntimeError:
                if not self._threads:
                    queue.pop()
                    raise
        return job

    def look(self) -> bool:
        """Count the threads again. To be called now and then, while it returns True: there is work.

        Never raises: where no thread can be started the next look tries again.
        """
        with self._changed:
            late = self._clock() - PATIENCE
            for job in self._running():
                if not job.overdue and job.started is not None and job.started <= late:
                    job.overdue = True
                    self._overdue += 1
            try:
                self._share()
            except RuntimeError:
                pass
            return bool(self._running() or self._waiting())

    def untold(self) -> List[Job]:
        """What somebody has to be told, if there is no thread that might do it: for the caller to do."""
        with self._changed:
            if self._overdue < 2 * self._most:
                return []
            jobs = list(self._queues[Rank.TELL])
            self._queues[Rank.TELL].clear()
            return jobs

    def close(self) -> List[threading.Thread]:
        """End the threads when all work is done; those that there are, to be joined.

        Work that comes later is done by another thread, which ends after it.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return list(self._threads)

    def _share(self) -> None:
        """Wake or start whom the waiting work needs."""
        for thread in [thread for thread in self._threads if not thread.is_alive()]:
            self._bury(thread)
        waiting = self._waiting()
        if not waiting:
            return
        self._changed.notify(waiting)
        # Those that are not at work will take some: they wait, have just been started, or are coming back.
        missing = waiting - (len(self._threads) - len(self._running()))
        while missing > 0 and self._counted() < self._most and len(self._threads) < 2 * self._most:
            self._started += 1
            name = f"{self._name}-{self._started}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads[thread] = None
            try:
                thread.start()
            except BaseException:
                self._threads.pop(thread, None)
                raise
            missing -= 1

    def _running(self) -> List[Job]:
        return [job for job in self._threads.values() if job is not None]

    def _waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    def _counted(self) -> int:
        return len(self._threads) - self._overdue

    # -- the threads -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            # Somebody threw an exception into the thread.
            let_go(self._changed.release)
            with self._changed:
                self._bury(threading.current_thread())
                self._share()
            self._log.error("regcache: a refreshing thread died and was replaced: %r", error)

    def _work(self) -> None:
        job: Optional[Job] = None
        while True:
            job = self._next(job)
            if job is None:
                return
            call: Optional[Call] = None
            try:
                call, job.call = job.call, None
                assert call is not None
                call()
            except BaseException:
                self._log.exception("regcache: an error in the background")
                if job.lost is not None:
                    job.lost()
            del call

    def _next(self, before: Optional[Job]) -> Optional[Job]:
        """The next piece of work after this one; ``None``: the thread is to end, and is no longer listed."""
        thread = threading.current_thread()
        with self._changed:
            if before is not None:
                self._end(before)
                self._threads[thread] = None
            if self._counted() <= self._most:
                while not self._waiting() and not self._closing:
                    if not self._changed.wait(IDLE):
                        break
                for queue in self._queues.values():
                    if queue:
                        job = queue.popleft()
                        job.started = self._clock()
                        self._threads[thread] = job
                        return job
            self._bury(thread)
            return None

    def _bury(self, thread: threading.Thread) -> None:
        """A thread is no more, or soon will not be."""
        job = self._threads.pop(thread, None)
        if job is None:
            return
        self._end(job)
        if job.call is not None:  # not begun
            job.started, job.ended, job.overdue = None, False, False
            self._queues[job.rank].appendleft(job)
        elif job.lost is not None:
            job.lost()

    def _end(self, job: Job) -> None:
        if job.ended:
            return
        job.ended = True
        if job.overdue:
            self._overdue -= 1
