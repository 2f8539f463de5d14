"""What people type: ``regcache decode``, ``tags``, ``tags encode`` (encode.py), ``get``, ``register``, ``deregister``,
``demo``, ``simulate``; one file each.

Exit codes: 0 it worked, 1 the input or the registry is at fault, 2 the command line is.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import List, Optional

from ..errors import RegcacheError
from . import decode, demo, deregister, encode, get, register, simulate, tags
from .agent import as_typed
from .fault import Fault
from .text import safe

__all__ = ["main"]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # A narrow encoding is no reason to fail.
    if sys.stdout is None:
        _complain("the output cannot be written: it is closed")
        return 1
    code = 0
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads the output has seen enough.
        _drop_output()
    except OSError as error:
        _drop_output()
        _complain(f"the output cannot be written: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run(argv: Optional[List[str]]) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:2] == ["tags", "encode"]:  # one command; after "tags" argparse would take any word for a tag
        words = ["tags encode", *words[2:]]
    elif words[:2] == ["tags", "decode"]:
        words = ["tags", *words[2:]]
    try:
        args = _parser().parse_args(words)
    except SystemExit as done:  # It has shown its help, or what is wrong.
        return done.code if isinstance(done.code, int) else 0
    try:
        args.run(args)
    except Fault as fault:
        _complain(as_typed(str(fault), hasattr(args, "datacenter")))
        return fault.code
    except RegcacheError as error:
        _complain(as_typed(str(error), hasattr(args, "datacenter")))
        return 1
    return 0


def _complain(text: str) -> None:
    """One line, whatever a registry put into it."""
    if sys.stderr is not None:
        print(f"regcache: {safe(text)}", file=sys.stderr)


def _drop_output() -> None:
    """What is still in the buffer would fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="regcache", description="Look at what a service registry says, and at what regcache makes of it."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and the codec in use")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Command)
    for command in (decode, tags, encode, get, register, deregister, demo, simulate):
        command.add_to(commands)
    return parser


class _Command(argparse.ArgumentParser):
    """Its epilog is an example, which is not broken into lines: people copy it."""

    def format_help(self) -> str:
        example, self.epilog = self.epilog, None
        try:
            text = super().format_help()
        finally:
            self.epilog = example
        return f"{text}\nexample:\n  {example}\n" if example else text


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        from .. import __version__, codec

        print(f"regcache {__version__} ({codec.BACKEND} codec)")
        parser.exit()
