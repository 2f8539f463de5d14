"""Real gRPC servers, one for each node, that do what a test says."""

from __future__ import annotations

import threading
from concurrent import futures
from typing import Any, Callable, Iterator, List, Optional

import pytest

from regcache import MemoryRegistry, Node, Service

grpc: Any = pytest.importorskip("grpc")

SERVICE = "greeter"


class Server:
    """One node, whose answers are its name.

    Attributes:
        behave: called with each request (of a stream: all of them joined) and grpc's context; its answer is sent, of
            a stream of answers twice.
        calls: the requests.
        peers: the clients' connections.
        authorities: what the clients call it.
    """

    def __init__(self, name: str, credentials: Any = None) -> None:
        self.name = name
        self.behave: Callable[[bytes, Any], bytes] = lambda request, context: name.encode()
        self.calls: List[bytes] = []
        self.peers: "set[str]" = set()
        self.server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((self._handlers(),))
        if credentials is None:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    @property
    def node(self) -> Node:
        return Node(self.name, "127.0.0.1", self.port, metadata={"protocol": "grpc"})

    def stop(self) -> None:
        self.server.stop(None).wait()

    def _answer(self, request: bytes, context: Any) -> bytes:
        self.calls.append(request)
        self.peers.add(context.peer())
        return self.behave(request, context)

    def _handlers(self) -> Any:
        def stream(request: bytes, context: Any) -> Iterator[bytes]:
            yield self._answer(request, context)
            yield self._answer(request, context)

        return grpc.method_handlers_generic_handler(
            "greeter.Say",
            {
                "Hello": grpc.unary_unary_rpc_method_handler(self._answer),
                "Many": grpc.unary_stream_rpc_method_handler(stream),
                "All": grpc.stream_unary_rpc_method_handler(
                    lambda many, context: self._answer(b"".join(many), context)
                ),
                "Chat": grpc.stream_stream_rpc_method_handler(
                    lambda many, context: (self._answer(one, context) for one in many)
                ),
            },
        )


class Stub:
    """As protoc's plugin writes it, for bytes."""

    def __init__(self, channel: Any) -> None:
        def text(message: bytes) -> str:
            return message.decode()

        options = {"request_serializer": str.encode, "response_deserializer": text, "_registered_method": True}
        self.Hello = channel.unary_unary("/greeter.Say/Hello", **options)
        self.Many = channel.unary_stream("/greeter.Say/Many", **options)
        self.All = channel.stream_unary("/greeter.Say/All", **options)
        self.Chat = channel.stream_stream("/greeter.Say/Chat", **options)


class Nodes:
    """The nodes of one service in a registry in memory."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.servers: List[Server] = []

    def start(self, count: int = 1, credentials: Any = None) -> List[Server]:
        """So many more, registered."""
        first = len(self.servers) + 1
        servers = [Server(f"{SERVICE}-{number}", credentials) for number in range(first, first + count)]
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


def failing(code: Any) -> "Callable[[bytes, Any], bytes]":
    """A behaviour: every call ends with this code."""

    def behave(request: bytes, context: Any) -> bytes:
        context.abort(code, f"no {code.name}")
        raise AssertionError("abort raises")

    return behave


class Gate:
    """A behaviour: calls wait until it is open."""

    def __init__(self, name: str = "gate") -> None:
        self.name = name
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, request: bytes, context: Any) -> bytes:
        self.entered.set()
        gone: Optional[bool] = context.add_callback(self.open.set)
        if gone:
            self.open.wait()
        return self.name.encode()
