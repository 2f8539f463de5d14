"""One thread that waits for everything at once: for sockets, for times, and for calls from other threads.

Nothing that may take long runs on it; the workers are there for that.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import selectors
import socket
import threading
from collections import deque
from typing import Callable, Deque, List, Optional, Tuple

__all__ = ["Call", "Loop", "Timer", "let_go"]

Call = Callable[[], object]

#: Seconds without anything to wait for, after which the thread ends. The next call starts another.
IDLE = 10.0
#: The longest sleep: a clock that was changed is noticed.
LONGEST = 60.0


def let_go(release: Call) -> None:
    """Of a thread that dies: give back what it may still hold of its lock.

    Since CPython 3.14 an exception that is thrown into a thread may come between the taking of a lock and the block of
    ``with``, and then nobody gives it back.
    """
    with contextlib.suppress(RuntimeError):  # it holds it no more
        while True:
            release()


class Timer:
    """Something to be done at a time."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call: Optional[Call] = call

    def cancel(self) -> None:
        """Do not do it, unless it is being done already."""
        self.call = None


class Loop:
    """Starts with the first call. Calls run one after the other; one that raises is logged and the rest goes on.

    Args:
        name: of the thread.
        clock: seconds, rising; what the times of :meth:`at` are counted by.
        log: for errors of calls.
        anew: called on the new thread, before anything else, where one takes the place of a thread that died. Nothing
            is watched any more; times and calls that were to come still are.
    """

    def __init__(self, name: str, *, clock: Callable[[], float], log: logging.Logger, anew: Call) -> None:
        self._name = name
        self._anew = anew
        self._clock = clock
        self._log = log
        # It may be taken twice: the garbage collector runs whatever it finds, and that may end a request.
        self._lock = threading.RLock()
        # Under the lock:
        self._calls: Deque[Call] = deque()
        self._thread: Optional[threading.Thread] = None
        self._poked = False
        self._closing = False
        # Of the thread alone; the pair and the selector are there while it is.
        self._timers: List[Tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._watched = 0
        self._selector: Optional[selectors.BaseSelector] = None
        self._pair: Tuple[socket.socket, ...] = ()

    @property
    def thread(self) -> Optional[threading.Thread]:
        """The thread, while there is one."""
        return self._thread

    def post(self, call: Call) -> None:
        """Let the thread do this soon. From any thread.

        Raises:
            RuntimeError, OSError: the thread is not running, and cannot be started.
        """
        with self._lock:
            self._calls.append(call)
            try:
                if self._thread is None:
                    self._start()
                elif not self._pair or not self._thread.is_alive():
                    self._start_anew()
                else:
                    self._poke()
            except BaseException:
                self._calls.pop()
                raise

    def pass_on(self, call: Call) -> bool:
        """Let the thread do this soon, if there is one. From any thread.

        Returns:
            Will it be done?
        """
        with self._lock:
            if self._thread is None:
                return False
            # If the thread is dead the next who posts something starts another.
            self._calls.append(call)
            self._poke()
            return True

    def close(self) -> Optional[threading.Thread]:
        """End the thread when it has done what was posted; times that have not come are forgotten.

        Returns:
            The thread, to be joined. What is posted later starts another, which ends when it is done.
        """
        with self._lock:
            self._closing = True
            if self._thread is not None:
                self._poke()
            return self._thread

    def forget(self) -> None:
        """In the child of a fork: let go of the parent's descriptors. What they stand for is the parent's."""
        if self._selector is not None:
            with contextlib.suppress(OSError):  # a kqueue is not there in a child
                self._selector.close()
        for end in self._pair:
            end.close()

    # -- only on the thread itself ---------------------------------------------------------------------------------

    def at(self, when: float, call: Call) -> Timer:
        """Do this at ``when``, or soon after it."""
        timer = Timer(call)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def watch(self, descriptor: int, call: Call) -> None:
        """Do this again and again while there is something to read."""
        assert self._selector is not None
        self._selector.register(descriptor, selectors.EVENT_READ, call)
        self._watched += 1

    def unwatch(self, descriptor: int) -> None:
        """Do it no more. To be called before the descriptor is closed."""
        assert self._selector is not None
        self._selector.unregister(descriptor)
        self._watched -= 1

    def _poke(self) -> None:
        # Without a pair the thread has died, and could not be replaced.
        if self._pair and not self._poked:
            self._poked = True
            self._pair[1].send(b"\0")

    # -- the thread ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        pair = socket.socketpair()
        try:
            for end in pair:
                end.setblocking(False)
            self._selector = selectors.DefaultSelector()
            self._selector.register(pair[0], selectors.EVENT_READ, _nothing)
            self._pair = pair
            self._poked = False
            self._begin()
        except BaseException:
            self.forget()
            self._pair, self._selector = (), None
            raise

    def _begin(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        self._thread = thread

    def _start_anew(self) -> None:
        """The thread died in the middle of anything: what it was doing with the selector is not to be relied on."""
        with contextlib.suppress(OSError):
            self.forget()
        self._watched = 0
        self._start()
        self._calls.appendleft(self._anew)

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            # Calls cannot do this: somebody threw an exception into the thread, or there is no memory.
            let_go(self._lock.release)
            with self._lock:
                self._start_anew()
            self._log.error("regcache: the refreshing thread died and was replaced: %r", error)

    def _turn(self) -> bool:
        assert self._selector is not None
        waited = self._patience()
        events = self._selector.select(waited)
        with self._lock:
            if self._poked:
                self._poked = False
                self._pair[0].recv(16)
            calls = len(self._calls)
            if not calls and not events and (self._closing or (waited and not self._needed())):
                self._end()
                return False
        for _ in range(calls):
            # One by one: those that come after a call that kills the thread are not lost with it.
            self._safely(self._calls.popleft())
        for key, _ in events:
            if key.data is not _nothing:
                self._safely(key.data)
        now = self._clock()
        while self._timers and (self._timers[0][0] <= now or self._timers[0][2].call is None):
            due = heapq.heappop(self._timers)[2].call
            if due is not None:
                self._safely(due)
        return True

    def _patience(self) -> float:
        """For how long to sleep."""
        if self._calls or self._closing:
            return 0.0
        if not self._timers:
            return LONGEST if self._watched else IDLE
        return min(max(0.0, self._timers[0][0] - self._clock()), LONGEST)

    def _needed(self) -> bool:
        return bool(self._watched or self._timers)

    def _end(self) -> None:
        self.forget()
        self._timers.clear()
        self._watched = 0
        self._thread, self._selector, self._pair = None, None, ()

    def _safely(self, call: Call) -> None:
        try:
            call()
        except Exception:
            self._log.exception("regcache: an error that is regcache's own; please report it")


def _nothing() -> None:
    pass
