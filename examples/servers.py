"""What the examples call: HTTP servers of this process, registered in a registry in memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator, List

import regcache


class Greeter(ThreadingHTTPServer):
    """Says hello, and who it is; while it is ``busy`` it answers 503."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Hello)
        self.name = name
        self.busy = False
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client went away."""

    @property
    def node(self) -> regcache.Node:
        address, port = self.server_address[:2]
        return regcache.Node(self.name, str(address), port, metadata={"protocol": "http"})


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Greeter

    def do_GET(self) -> None:
        body = f"hello from {self.server.name}".encode()
        self.send_response(503 if self.server.busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def greeters(registry: regcache.MemoryRegistry, count: int = 3) -> "Iterator[List[Greeter]]":
    """So many nodes of the service greeter."""
    servers = [Greeter(f"greeter-{number}") for number in range(1, count + 1)]
    registry.register(regcache.Service("greeter", "1.0", nodes=tuple(server.node for server in servers)))
    try:
        yield servers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
