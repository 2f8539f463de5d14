"""A server that misbehaves as told, on a raw socket of loopback: what a real Consul agent cannot be made to do."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Callable, Dict, List, Optional, Union

Script = Callable[[socket.socket, bytes], None]

#: The headers that a healthy agent sends.
CONSUL = {"Content-Type": "application/json", "X-Consul-Index": "7", "X-Consul-Knownleader": "true"}


def response(
    body: bytes = b"[]", *, status: str = "200 OK", headers: Optional[Dict[str, Optional[str]]] = None
) -> bytes:
    """A whole answer, with Content-Length unless the headers say otherwise; a header that is None is left out."""
    merged: Dict[str, Optional[str]] = {**CONSUL, "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}"] + [f"{name}: {value}" for name, value in merged.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunked(framed: bytes) -> bytes:
    """An answer whose body is these bytes, chunk sizes and all, exactly as given."""
    return response(framed, headers={"Content-Length": None, "Transfer-Encoding": "chunked"})


class FaultyServer:
    """Answers every request with ``answer``: bytes after which it closes, or a function of the socket and the request.

    Attributes:
        url: where it listens.
        requests: the heads of the requests, as they came.
        connections: how many there were.
    """

    def __init__(self, answer: Union[bytes, Script]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = "http://127.0.0.1:%d" % self._listening.getsockname()[1]
        self.requests: List[bytes] = []
        self.connections = 0
        #: Set when the test is over: scripts that wait, wait for this.
        self.over = threading.Event()
        self._open: List[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "FaultyServer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.over.set()
        # A thread that waits in accept() does not notice that its socket was closed.
        with socket.create_connection(self._listening.getsockname()):
            pass
        self._threads[0].join(10)
        self._listening.close()
        for connection in self._open:
            # Closing alone does not wake a thread that waits in recv().
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads[1:]:
            thread.join(10)

    def _listen(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self.over.is_set():
                connection.close()
                return
            self.connections += 1
            # Without those that are over: tests look whether anything is left.
            self._open = [one for one in self._open if one.fileno() >= 0] + [connection]
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads[1:] = [one for one in self._threads[1:] if one.is_alive()] + [thread]

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = _head(connection)
                if request:
                    self.requests.append(request)
                    if isinstance(self._answer, bytes):
                        connection.sendall(self._answer)
                    else:
                        self._answer(connection, request)
            except OSError:
                pass  # the client had enough


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return b""
        head += piece
    return head
