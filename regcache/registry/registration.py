"""A registration that is kept: its TTL passes, it is made again when it was lost, and it is taken back at the end."""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..errors import RegcacheError, RequestError, ServerError, Timeout, Unavailable

__all__ = ["Registration", "RegistrationStatus"]

logger: logging.Logger = logging.getLogger("regcache.registry")

#: Seconds: the first wait after a failure is at most this long; each further one up to twice as long.
FIRST_RETRY = 0.25
#: Seconds between two warnings of a trouble that goes on.
QUIET = 60.0


class Nodes(Protocol):
    """What is kept, node by node, by their IDs."""

    def put(self, node_id: str) -> None:
        """Register it."""

    def touch(self, node_id: str) -> None:
        """A sign of life. RequestError or ServerError: the registry answered, and does not know it."""

    def remove(self, node_id: str) -> None:
        """Take it away."""


def remove_all(nodes: Nodes, ids: Sequence[str]) -> None:
    """Take all of them away, also where one cannot be; its error is raised at the end."""
    trouble: Optional[RegcacheError] = None
    for node_id in ids:
        try:
            nodes.remove(node_id)
        except (Unavailable, Timeout):
            raise  # the others would have to wait for the same
        except RegcacheError as error:
            trouble = error  # of this node; the others go
    if trouble is not None:
        raise trouble


class RegistrationStatus(NamedTuple):
    """How a registration is, at one moment."""

    #: Did the registry know all nodes when it was last spoken to?
    registered: bool
    #: When the registry last took the registration (``time.time()``): at the beginning, or after it had lost it.
    since: float
    #: When the last sign of life arrived (``time.time()``).
    last_pass: float
    #: How often nodes had to be registered again.
    again: int
    #: Failures in a row; 0: all is well.
    failures: int
    #: The last failure, also when all is well again.
    last_error: Optional[Exception]


class Registration:
    """Nodes that stay registered until :meth:`close`. A context manager. Made by ``register(..., keep=True)``.

    A daemon thread gives a sign of life every two thirds of the TTL at the latest. A failure is tried again after
    a random part of 0.25 s, doubling up to that interval; a registry that lost a node gets it again at once.
    At the end of the interpreter the nodes are deregistered too, unless ``at_exit=False`` was said; that takes a
    normal end: after ``os._exit`` or a signal that nobody handles, the registry removes them itself (Consul:
    ``deregister_after``).

    After a fork only the parent keeps the registration: in the child it counts as closed, and closing it, or the
    child's end, removes nothing.

    Args:
        nodes, ids: what is kept; it is registered already.
        about: what it is called in the log.
        interval: seconds between two signs of life; ``None``: none are needed.
        at_exit: deregister at the interpreter's end.
        clock, draw, wait: the monotonic clock, a random number in [0, 1), and a wait that tells whether it was ended
            by :meth:`close`; for tests.
    """

    def __init__(
        self,
        nodes: Nodes,
        ids: Sequence[str],
        *,
        about: str,
        interval: Optional[float],
        at_exit: bool = True,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        wait: Optional[Callable[[float], bool]] = None,
    ) -> None:
        self.ids: Tuple[str, ...] = tuple(ids)
        self.interval = interval
        self._nodes = nodes
        self._about = about
        self._clock = clock
        self._draw = draw
        self._stop = threading.Event()
        self._wait = self._stop.wait if wait is None else wait
        self._pid = os.getpid()
        #: Of whoever removes the nodes; a signal's handler may want to close what is being closed.
        self._closing = threading.RLock()
        self._removed = False
        now = time.time()
        #: Replaced as a whole, by the one thread; so it is read without a lock.
        self._status = RegistrationStatus(True, now, now, 0, 0, None)
        self._warned = float("-inf")
        self._thread: Optional[threading.Thread] = None
        if interval is not None:
            self._thread = threading.Thread(target=self._keep, name=f"regcache-registration-{about}", daemon=True)
            self._thread.start()
        if at_exit:
            atexit.register(self._at_exit)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "registered" if self.status.registered else "in trouble"
        return f"<Registration of {self._about}: {state}>"

    @property
    def closed(self) -> bool:
        """Is it not kept any more (or not by this process)?"""
        return self._pid != os.getpid() or self._stop.is_set()

    @property
    def status(self) -> RegistrationStatus:
        """How it is now."""
        return self._status._replace(registered=False) if self.closed else self._status

    def close(self) -> None:
        """Stop giving signs of life, and deregister. May be called more than once, from any thread.

        It takes as long as a request to the registry for each node, and one more if one is in flight.

        Raises:
            RegcacheError: the registry could not be told; it removes the nodes itself when their TTL has run out,
                if it was told to.
        """
        if self._pid != os.getpid():
            return
        self._stop.set()
        # Not while a request is in flight: it could register again what is removed here.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._closing:
            if self._removed:
                return
            remove_all(self._nodes, self.ids)
            self._removed = True
            atexit.unregister(self._at_exit)
        logger.info("%s: deregistered", self._about)

    def __enter__(self) -> "Registration":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            self.close()
        except RegcacheError as trouble:
            if error is None:
                raise
            # What the block raised is the news.
            logger.warning("%s: could not be deregistered: %s", self._about, trouble)

    def _at_exit(self) -> None:
        try:
            self.close()
        except Exception as error:
            logger.warning("%s: could not be deregistered: %s", self._about, error)

    # -- the thread --------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        assert self.interval is not None
        delay = self._pause()
        while not self._wait(delay):
            begun = self._clock()
            again: List[str] = []
            try:
                self._beat(again)
            except Exception as error:  # whatever it is, the next try may be better; nobody else would notice
                self._failed(error, again)
                delay = self._draw() * min(self.interval, FIRST_RETRY * 2.0 ** min(self._status.failures - 1, 30))
            else:
                self._passed(again)
                delay = max(0.0, self._pause() - (self._clock() - begun))

    def _pause(self) -> float:
        """Up to a tenth shorter than the interval, so that the signs of life of many do not come all at once."""
        assert self.interval is not None
        return self.interval * (1.0 - 0.1 * self._draw())

    def _beat(self, again: List[str]) -> None:
        """A sign of life of each node. ``again`` takes the IDs of those that had to be registered again."""
        trouble: Optional[RegcacheError] = None
        for node_id in self.ids:
            if self._stop.is_set():
                break
            try:
                try:
                    self._nodes.touch(node_id)
                except (RequestError, ServerError):
                    # It answered, but knows no such node: it was restarted without its data, or somebody removed it.
                    self._nodes.put(node_id)
                    again.append(node_id)
            except (Unavailable, Timeout):
                raise  # the others would have to wait for the same
            except RegcacheError as error:
                trouble = error  # of this node; the others go on living
        if trouble is not None:
            raise trouble

    def _passed(self, again: List[str]) -> None:
        before = self._status
        now = time.time()
        since = now if again else before.since
        self._status = RegistrationStatus(True, since, now, before.again + len(again), 0, before.last_error)
        if again:
            logger.warning("%s: was lost, and is registered again (%s)", self._about, ", ".join(again))
        elif before.failures:
            logger.warning("%s: passes again, after %d failures", self._about, before.failures)
        self._warned = float("-inf")

    def _failed(self, error: Exception, again: List[str]) -> None:
        before = self._status
        failures = before.failures + 1
        self._status = before._replace(
            registered=False, again=before.again + len(again), failures=failures, last_error=error
        )
        now = self._clock()
        if now - self._warned >= QUIET:
            self._warned = now
            expected = isinstance(error, RegcacheError)
            logger.warning(
                "%s: no sign of life arrived (%d in a row): %s",
                self._about,
                failures,
                error if expected else repr(error),
                exc_info=None if expected else error,
            )
