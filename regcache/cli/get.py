"""``regcache get``: a service's nodes, asked of a registry."""

from __future__ import annotations

import argparse
from typing import Any

from ..codec import Decoder
from ..errors import DecodeError, NotFound, RegcacheError
from ..registry import ConsulRegistry, open_registry
from .agent import DEFAULT, add_token, unseen
from .fault import Fault
from .show import as_json, print_json, print_snapshot

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "get",
        help="ask a registry for a service's nodes",
        description="Ask a registry for a service's nodes.",
        epilog="regcache get greeter --registry consul://127.0.0.1:8500",
    )
    parser.add_argument("service", metavar="SERVICE", help="the service's exact name")
    parser.add_argument(
        "--registry",
        metavar="URL",
        default=DEFAULT,
        help="consul://host:port, consul+https://host:port, consul+unix:///path, or file:///folder (%(default)s)",
    )
    add_token(parser, "Consul's ACL token; it needs service:read and node:read")
    parser.add_argument("--datacenter", metavar="DC", help="ask for the services of this Consul datacenter")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=10.0, help="for everything (10)")
    parser.add_argument("--json", action="store_true", help="write JSON: services as go-micro has them, and warnings")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """One request, without a cache."""
    try:
        registry = open_registry(args.registry, token=args.token, datacenter=args.datacenter)
        consul = isinstance(registry, ConsulRegistry)
        if not consul and (args.token is not None or args.datacenter is not None):
            raise Fault(f"--token and --datacenter are for Consul, which {args.registry} is not", code=2)
        decoder = Decoder(args.service)
        with registry.fetch(args.service, timeout=args.timeout) as answer:
            for chunk in answer.chunks():
                decoder.feed(chunk)
            snapshot = decoder.finish(index=answer.index)
    except DecodeError as error:
        error.source = f"the answer of {args.registry} for {args.service!r}"
        raise
    except RegcacheError:  # A body that cannot be decoded is a ValueError, too.
        raise
    except ValueError as error:
        raise Fault(str(error), code=2) from error
    if not snapshot.nodes:
        others = f" (but {snapshot.stats.other:,} nodes of another)" if snapshot.stats.other else ""
        missing = f"{args.registry} has no service {args.service!r}{others}"
        raise NotFound(unseen(missing, args.token) if consul else missing)
    if args.json:
        print_json(as_json(snapshot))
    else:
        print_snapshot(snapshot)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"a number of seconds is wanted, more than 0, not {text!r}")
    return value
