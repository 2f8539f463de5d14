"""For pages that call ``greeter``: a node of it that answers, in place of those that are only registered."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import regcache


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


def listen(consul: str) -> None:
    """From now on ``greeter`` is one node, which is this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry = regcache.ConsulRegistry(consul)
    for node_id, name in registry.registered().items():
        if name == "greeter":
            registry.deregister(node_id)
    node = regcache.Node("greeter-1.0-0", "127.0.0.1", server.server_port)
    registry.register(regcache.Service("greeter", "1.0", nodes=(node,)))
    registry.close()
