"""Real HTTP servers, one for each node, that do what a test says and note what reached them."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Tuple

from regcache import MemoryRegistry, Node, Service
from tests.together import HANG

SERVICE = "greeter"


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the server's ``behave``."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def answer(self, status: int = 200, body: Optional[bytes] = None, **headers: str) -> None:
        """A whole response; by default the node's name."""
        body = self.server.name.encode() if body is None else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, length: int, status: int = 200) -> None:
        """The headers, and nothing of so many bytes of body."""
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def drop(self) -> None:
        """End the connection, in the middle of whatever it was."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        self.body = self._chunks() if chunked else self.rfile.read(length)
        self.server.requests.append((self.command, self.path, dict(self.headers), self.body))
        self.server.behave(self)

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = any

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """One node.

    Attributes:
        behave: called with the :class:`Handler` of each request.
        requests: method, path, headers, body of each.
        connections: how many were made.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str, host: str = "127.0.0.1", tls: Optional[ssl.SSLContext] = None) -> None:
        self.name = name
        self.behave: Callable[[Handler], object] = lambda handler: handler.answer()
        self.requests: List[Tuple[str, str, Dict[str, str], bytes]] = []
        self.connections = 0
        self.names: List[Optional[str]] = []
        self._open: List[socket.socket] = []
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        if tls is not None:
            tls.sni_callback = lambda connection, name, context: self.names.append(name)
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def node(self) -> Node:
        return Node(self.name, str(self.server_address[0]), self.port, metadata={"protocol": "http"})

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        self._open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away; that is what the tests are about."""

    def stop(self) -> None:
        """Nobody listens any more, and every connection is cut."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(HANG)
            self.server_close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Nodes:
    """The nodes of one service in a registry in memory."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.servers: List[Server] = []

    def start(self, count: int = 1, **options: Any) -> List[Server]:
        """So many more, registered."""
        servers = [Server(f"{SERVICE}-{len(self.servers) + turn + 1}", **options) for turn in range(count)]
        self.servers += servers
        self.register(*(server.node for server in servers))
        return servers

    def register(self, *nodes: Node, service: str = SERVICE) -> None:
        self.registry.register(Service(service, "1.0", nodes=nodes))

    def remove(self, server: Server) -> None:
        self.registry.deregister(server.node.id)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        self.registry.close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
