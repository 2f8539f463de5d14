"""grpc: a channel that follows the list of a service's nodes, in place of the resolver that grpcio has no hook for.

::

    channel = regcache.integrations.grpc.Channel(cache, "greeter")
    stub = greeter_pb2_grpc.GreeterStub(channel)
    stub.SayHello(HelloRequest(name="you"), timeout=1.0)

    channel = regcache.integrations.grpc.aio.Channel(cache, "greeter")      # for grpc.aio

Each node has a channel of grpcio of its own, opened at the first call to it, and closed when the node is gone.
"""

from __future__ import annotations

from ..extra import missing

try:
    import grpc  # noqa: F401
except ModuleNotFoundError as error:
    raise missing("grpc", error) from error

from . import aio
from .channel import Channel
from .rules import FAILED_CODES

__all__ = ["FAILED_CODES", "Channel", "aio"]
