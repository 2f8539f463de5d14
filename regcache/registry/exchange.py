"""One request on a connection of its own, between sending it and reading its answer: nobody has to wait in between."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import weakref
from contextlib import contextmanager
from http.client import HTTPException
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import urllib3
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection

from ..errors import Unavailable
from .base import Answer, BytesLike
from .failures import failures
from .http import KEPT, Pool

__all__ = ["Exchange", "Kept"]


class Kept:
    """Connections of exchanges that are over, for those to come. A few: a registry's agent counts them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._connections: List[HTTPConnection] = []
        self._closed = False
        weakref.finalize(self, _close, self._connections)

    def take(self) -> Tuple[HTTPConnection, bool, bool]:
        """A connection; was it used before? And were some lost, because the server closed them in the meantime?"""
        lost = False
        while True:
            with self._lock:
                if self._closed:
                    raise urllib3_errors.ClosedPoolError(self._pool, "closed")
                if not self._connections:
                    return self.new(), False, lost
                connection = self._connections.pop()
            if connection.is_connected:
                return connection, True, lost
            connection.close()
            lost = True

    def new(self) -> HTTPConnection:
        """One that was not used before. It connects when it is."""
        return self._pool.connection()

    def give(self, connection: HTTPConnection) -> None:
        """Take it back; it has nothing to read."""
        with self._lock:
            if not self._closed and len(self._connections) < KEPT and connection.sock is not None:
                self._connections.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that are not in use, and keep none any more."""
        with self._lock:
            self._closed = True
            _close(self._connections)


def _close(connections: List[HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


class Exchange:
    """A :class:`~regcache.registry.base.Pending` over HTTP. Making one connects and sends.

    Args:
        kept: where the connection is from, and where it is given back to.
        url: for messages.
        target: the path and query.
        plain: the path and query of the same question without a wait: it is asked instead when a kept connection was
            closed by the server, because that may have been restarted without its data, and its index begins anew.
        wait: how long the server may take before it thinks of answering.
        timeout: seconds for everything else: for connecting, and from the end of the wait to the last byte.
        accept: makes an answer of a response, or raises.

    Raises what :meth:`regcache.registry.Registry.fetch` raises.
    """

    def __init__(
        self,
        kept: Kept,
        *,
        url: str,
        target: str,
        plain: str,
        headers: Dict[str, str],
        wait: Optional[float],
        timeout: float,
        accept: Callable[[urllib3.BaseHTTPResponse], Answer],
    ) -> None:
        self._kept = kept
        self._url = url
        self._plain = plain
        self._headers = headers
        self._timeout = timeout
        self._seconds = timeout + (wait or 0.0) * 17 / 16
        self._until = time.monotonic() + self._seconds
        self._accept = accept
        self._pid = os.getpid()
        self._lock = threading.Lock()
        # Under the lock:
        self._reading = False
        self._ended = False
        self._whole = False
        with self._failures(timeout):
            self._connection, self._used, lost = kept.take()
            #: Was it asked with the index, or as ``plain``?
            self.blocking: bool = wait is not None and not lost
            try:
                self._send(self._connection, target if self.blocking else plain)
            except ConnectionError:
                if not self._used:
                    raise
                self.blocking = self._used = False
                self._connection = kept.new()
                self._send(self._connection, plain)
        assert self._connection.sock is not None
        self._socket: socket.socket = self._connection.sock

    def fileno(self) -> int:
        """The connection's."""
        return self._socket.fileno()

    def ready(self) -> bool:
        """See :meth:`regcache.registry.base.Pending.ready`."""
        arrived: Optional[Callable[[], bool]] = getattr(self._socket, "arrived", None)
        return arrived is None or arrived()

    def on_ready(self, callback: Callable[[], object]) -> None:
        """There is a descriptor."""
        raise NotImplementedError("an exchange has a descriptor to wait for")

    def answer(self) -> Answer:
        """See :meth:`regcache.registry.base.Pending.answer`."""
        with self._lock:
            if self._reading:
                raise ValueError("an exchange has one answer")
            if self._ended:
                raise Unavailable(f"the request to {self._url} was broken off")
            self._reading = True
        try:
            with self._failures(self._seconds):
                response = self._head()
            answer = self._accept(response)
        except BaseException:
            self._end()
            raise
        # Of a blocking query nobody knows when it comes; its body has a time of its own.
        self._socket.settimeout(self._timeout if self.blocking else self._left())
        return Answer(self._to_the_end(answer.chunks()), index=answer.index, close=self._end)

    def close(self) -> None:
        """See :meth:`regcache.registry.base.Pending.close`."""
        if self._pid != os.getpid():
            # No lock: the parent may have held it. And no shutdown: it would end the parent's connection.
            if self._socket.fileno() >= 0:
                os.close(self._socket.detach())
            return
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self._reading:
                # The descriptor is closed by whoever reads: closed here, its number could already be another's. Not
                # SSLSocket's shutdown, which takes away what the reader is using.
                try:
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was faster
                return
        self._connection.close()

    def _send(self, connection: HTTPConnection, target: str) -> None:
        try:
            # Less is left where a kept connection was lost first: both together have one deadline.
            connection.timeout = min(self._timeout, self._left())
            connection.request("GET", target, headers=self._headers, preload_content=False, decode_content=False)
        except BaseException:
            connection.close()
            raise

    def _head(self) -> urllib3.BaseHTTPResponse:
        """The response; its body is still to come."""
        try:
            self._connection.timeout = self._left()
            return self._connection.getresponse()
        except ConnectionError:
            # The server closed a kept connection while the request was on its way. Of a blocking query it is an
            # error: nobody knows whether it had begun, and what the server is now.
            if not self._used or self.blocking:
                raise
        connection = self._kept.new()
        self._send(connection, self._plain)
        with self._lock:
            self._connection.close()
            self._connection = connection
            if self._ended:
                raise ConnectionAbortedError("broken off")
            assert connection.sock is not None
            self._socket = connection.sock
        connection.timeout = self._left()
        return connection.getresponse()

    def _left(self) -> float:
        return max(0.001, self._until - time.monotonic())

    def _to_the_end(self, chunks: Iterator[BytesLike]) -> Iterator[BytesLike]:
        yield from chunks
        self._whole = True

    def _end(self) -> None:
        """The reader has finished."""
        with self._lock:
            keep = self._whole and not self._ended
            self._ended = True
            self._whole = False
        if keep:
            self._kept.give(self._connection)
        else:
            self._connection.close()

    @contextmanager
    def _failures(self, seconds: float) -> Iterator[None]:
        """The errors of a bare connection, as those of urllib3's pools, as ours."""
        with failures(self._url, seconds, answered=False):
            try:
                yield
            except socket.timeout as error:
                raise TimeoutError(*error.args) from error
            except ssl.SSLError as error:
                raise urllib3_errors.SSLError(error) from error
            except (OSError, HTTPException) as error:
                raise urllib3_errors.ProtocolError("Connection aborted.", error) from error
