"""grpc, sync and aio: a channel that follows the nodes. Runs by itself: python examples/grpc_client.py

It needs the library: pip install 'regcache[grpc]'
Stubs that were generated from a .proto take the channel as they take one of grpc.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent import futures
from typing import Any, List

import grpc

import regcache
from regcache.integrations.grpc import Channel, aio

registry = regcache.MemoryRegistry()  # for the example; elsewhere: regcache.connect("consul://127.0.0.1:8500")
HELLO = "/greeter.Say/Hello"


class Greeter:
    """A node; while it is ``busy`` it ends its calls with UNAVAILABLE."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.busy = False
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        methods = {"Hello": grpc.unary_unary_rpc_method_handler(self.hello)}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("greeter.Say", methods),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.node = regcache.Node(name, "127.0.0.1", port, metadata={"protocol": "grpc"})
        self.server.start()

    def hello(self, request: bytes, context: Any) -> bytes:
        if self.busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        return f"hello from {self.name}".encode()


def sync(cache: regcache.Cache) -> None:
    with Channel(cache, "greeter", strategy="round_robin", tries=3, idempotent=[HELLO]) as channel:
        hello = channel.unary_unary(HELLO)
        print("sync:", dict(Counter(hello(b"", timeout=2.0).decode() for _ in range(30))))


async def tasks(cache: regcache.Cache) -> None:
    async with aio.Channel(cache, "greeter", tries=3, idempotent=[HELLO]) as channel:
        hello = channel.unary_unary(HELLO)

        async def call() -> str:
            answer: bytes = await hello(b"", timeout=2.0)
            return answer.decode()

        print("aio: ", dict(Counter(await asyncio.gather(*(call() for _ in range(30))))))


servers: List[Greeter] = [Greeter(f"greeter-{number}") for number in (1, 2, 3)]
registry.register(regcache.Service("greeter", "1.0", nodes=tuple(server.node for server in servers)))
with regcache.Cache(registry) as cache:
    sync(cache)
    asyncio.run(tasks(cache))
    print("greeter-1 is busy; callers do not notice:")
    servers[0].busy = True
    sync(cache)
for server in servers:
    server.server.stop(None).wait()
