"""``regcache register``: a node of a service, registered as long as the command runs."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import uuid
from contextlib import contextmanager
from typing import Any, Iterator, Set

from ..codec import Node
from ..errors import RegcacheError
from ..model import Endpoint, Service
from .agent import add_agent, add_parts, as_typed, duration, opened, pairs
from .fault import Fault
from .text import safe

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "register",
        help="register a node of a service, for as long as this runs",
        description="Register a node of a service with a Consul agent, keep it passing, register it again when the "
        "agent lost it, and deregister it when this is stopped (Ctrl-C, SIGTERM, SIGHUP). If this is killed, the "
        "agent removes it by itself.",
        epilog="regcache register greeter --address 10.0.0.1 --port 8080 --version 1.0 --metadata protocol=grpc",
    )
    parser.add_argument("name", metavar="NAME", help="the service's name")
    parser.add_argument(
        "--address",
        metavar="HOST",
        required=True,
        help="where the node can be called: a host name or an IP address; '' is the agent's",
    )
    parser.add_argument("--port", metavar="PORT", type=int, required=True, help="0 to 65535")
    parser.add_argument("--id", metavar="ID", help="the node's ID, one of its own for each (NAME and a random UUID)")
    parser.add_argument("--version", metavar="VERSION", default="", help="the service's version")
    add_parts(parser)
    parser.add_argument(
        "--ttl", metavar="TIME", type=duration, default=30.0, help="critical without a sign of life for so long (30s)"
    )
    parser.add_argument(
        "--deregister-after",
        metavar="TIME",
        type=duration,
        help="removed by the agent when critical for so long (the ttl or 1m, whichever is longer, and 5s)",
    )
    parser.add_argument(
        "--form",
        choices=("both", "go-micro", "compact"),
        default="both",
        help="the tags: both kinds, those for every go-micro reader, or regcache's compact one (%(default)s)",
    )
    add_agent(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Register, stay until a signal comes, deregister."""
    registry = opened(args)
    if not 0 <= args.port <= 65535:
        raise Fault(f"--port must be 0 to 65535, not {args.port}", code=2)
    node_id = f"{args.name}-{uuid.uuid4()}" if args.id is None else args.id
    # Blocked from here on, in the background thread too: a signal is only ever waited for, so that it can come at
    # any moment and nothing is left half done.
    with _stopping() as signals, _news():
        try:
            node = Node(node_id, args.address, args.port, metadata=pairs(args.metadata), tags=args.tag)
            endpoints = tuple(Endpoint(name) for name in args.endpoint)
            registration = registry.register(
                Service(args.name, args.version, None, endpoints, (node,)),
                ttl=args.ttl,
                deregister_after=args.deregister_after,
                form=args.form,
                keep=True,
            )
        except RegcacheError:
            raise
        except ValueError as error:
            raise Fault(_of_options(str(error)), code=2) from error
        except ImportError as error:
            raise Fault(str(error)) from error
        with registration:
            if node_id not in registry.registered():  # a server that is no agent may say yes to everything
                raise Fault(f"{registry.url} took the registration, but does not know {node_id}")
            where = node.target if args.address else f"the agent's address, port {args.port}"
            _say(f"registered {args.name} as {node_id} at {where}, with {registry.url}")
            _say(f"passing at least every {registration.interval:.3g} s of a TTL of {args.ttl:g} s; Ctrl-C stops it")
            stopped = signal.sigwait(signals)
            _say(f"stopping: {signal.Signals(stopped).name}")
        _say(f"deregistered {node_id}")


#: The members of a Service that messages name -> the options that they come from.
_TYPED = {
    "nodes[0].metadata": "--metadata",
    "nodes[0].": "--",
    "nodes[0]: ": "",
    "goes into port": "goes into --port",
    "ttl must": "--ttl must",
    "deregister_after must": "--deregister-after must",
}


def _of_options(text: str) -> str:
    for member, option in _TYPED.items():
        text = text.replace(member, option)
    return text


@contextmanager
def _stopping() -> Iterator[Set[signal.Signals]]:
    """The signals that stop this, blocked. Those that whoever started this wants ignored (nohup) do not."""
    wanted = [signal.SIGINT, signal.SIGHUP]
    signals = {signal.SIGTERM, *(one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _news() -> Iterator[None]:
    """What the registration logs, on standard error: troubles, and their ends."""
    logger = logging.getLogger("regcache.registry")
    handler = _Handler(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            print(f"regcache: {safe(as_typed(record.getMessage()))}", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(safe(text), flush=True)
