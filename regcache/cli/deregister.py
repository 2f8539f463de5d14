"""``regcache deregister``: takes nodes away from an agent."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import NotFound
from .agent import add_agent, opened, unseen
from .fault import Fault
from .text import safe

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "deregister",
        help="take a node, or all nodes of a service, away from an agent",
        description="Take nodes away from the agent with which they are registered: the one with this ID, or else all "
        "nodes of the service with this name that this agent has. Nodes that another agent has stay. A node that "
        "regcache register keeps comes back; stop that command instead.",
        epilog="regcache deregister greeter-1 --registry consul://127.0.0.1:8500",
    )
    parser.add_argument("what", metavar="NAME_OR_ID", help="a node's ID, or a service's name")
    add_agent(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Deregister, and say what."""
    registry = opened(args)
    nodes = registry.registered()
    ids = [args.what] if args.what in nodes else sorted(key for key, name in nodes.items() if name == args.what)
    if not ids:
        missing = f"the agent at {registry.url} has neither a node with the ID {args.what!r} nor such a service"
        raise NotFound(unseen(missing, args.token))
    for node_id in ids:
        try:
            registry.deregister(node_id)
        except (ImportError, ValueError) as error:
            raise Fault(str(error)) from error
        print(f"deregistered {safe(node_id)} of {safe(nodes[node_id])}", flush=True)
