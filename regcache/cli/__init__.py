"""What people type: ``regcache decode``, ``tags``, ``get``, ``demo``; one file each.

Exit codes: 0 it worked, 1 the input or the registry is at fault, 2 the command line is.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import List, Optional

from ..errors import RegcacheError
from . import decode, demo, get, tags
from .fault import Fault

__all__ = ["main"]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # A narrow encoding is no reason to fail.
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output has seen enough. What is still in the buffer would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Fault as fault:
        print(f"regcache: {fault}", file=sys.stderr)
        return fault.code
    except RegcacheError as error:
        print(f"regcache: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"regcache: the output cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="regcache", description="Look at what a service registry says, and at what regcache makes of it."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and the codec in use")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (decode, tags, get, demo):
        command.add_to(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        from .. import __version__, codec

        print(f"regcache {__version__} ({codec.BACKEND} codec)")
        parser.exit()
