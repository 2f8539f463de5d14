"""``regcache decode``: a recorded health body, as a table or as JSON."""

from __future__ import annotations

import argparse
from typing import Any

from ..codec import Decoder
from ..errors import DecodeError
from .fault import Fault
from .show import as_json, print_json, print_snapshot
from .source import chunks

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "decode",
        help="show the nodes in a body of Consul's /v1/health/service/<name>",
        description="Show the nodes in a body of Consul's /v1/health/service/<name>.",
        epilog="curl -s localhost:8500/v1/health/service/greeter | regcache decode -",
    )
    parser.add_argument("file", metavar="FILE", help="JSON, also packed by gzip or zstd; - for standard input")
    parser.add_argument("--service", metavar="NAME", help="leave out the nodes of other services")
    parser.add_argument("--json", action="store_true", help="write JSON: services as go-micro has them, and warnings")
    parser.add_argument("--strict", action="store_true", help="stop at the first part that cannot be used")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Decode the file chunk by chunk and show it."""
    decoder = Decoder(args.service, strict=args.strict)
    empty = True
    try:
        for chunk in chunks(args.file):
            empty = empty and not chunk
            decoder.feed(chunk)
        snapshot = decoder.finish()
    except DecodeError as error:
        raise Fault(f"{args.file}: {'is empty' if empty else error}{_hint(error.path)}") from error
    if not snapshot.nodes and snapshot.warnings and _hint(snapshot.warnings[0].path):
        first = snapshot.warnings[0]
        raise Fault(f"{args.file}: {first}{_hint(first.path)}")
    if args.json:
        print_json(as_json(snapshot))
    else:
        print_snapshot(snapshot)


def _hint(path: str) -> str:
    """Where a node of Consul should be, /v1/catalog/service has its name."""
    catalog = path.endswith("].Node")
    return "; this looks like /v1/catalog/service, and /v1/health/service is wanted" if catalog else ""
