"""What the commands that write to an agent have in common: its address, pairs, durations."""

from __future__ import annotations

import argparse
import re
from typing import Dict, Iterable, Optional, Tuple

from ..registry import ConsulRegistry, open_registry
from .fault import Fault

__all__ = [
    "DEFAULT",
    "add_agent",
    "add_parts",
    "add_token",
    "as_typed",
    "consul_at",
    "duration",
    "opened",
    "pairs",
    "unseen",
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PARTS = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ms|s|m|h))+", re.ASCII)
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)", re.ASCII)


#: Where an agent listens unless somebody says otherwise.
DEFAULT = "consul://127.0.0.1:8500"
#: What messages call the arguments of Python -> the options that they come from.
_OPTIONS = {
    "check token= and its policies": "check --token and its policies",
    "as token=": "as --token",
    "check verify= and cert=": "check the authorities, which are the system's or those of SSL_CERT_FILE",
}


def as_typed(text: str, datacenter: bool = False) -> str:
    """A message of the library, in the words of this command line. Can a ``datacenter`` be given on it?"""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return text.replace(", and check datacenter=", ", and check --datacenter" if datacenter else "")


def unseen(text: str, token: Optional[str]) -> str:
    """That something is not there, and why it may be there nevertheless: agents leave out what a token may not read."""
    return text + (" (or it cannot be read without a token)" if token is None else " (or the token may not read it)")


def add_agent(parser: argparse.ArgumentParser) -> None:
    """Where the agent is."""
    parser.add_argument(
        "--registry",
        metavar="URL",
        default=DEFAULT,
        help="the agent: consul://host:port, consul+https://host:port, consul+unix:///path (%(default)s)",
    )
    add_token(parser, "Consul's ACL token; it needs service:write")


def add_token(parser: argparse.ArgumentParser, about: str) -> None:
    """The token."""
    parser.add_argument("--token", metavar="TOKEN", help=about)


def opened(args: argparse.Namespace) -> ConsulRegistry:
    """The agent that was named.

    Raises:
        Fault: it cannot be one.
    """
    return consul_at("--registry", args.registry, args.token)


def consul_at(option: str, url: str, token: Optional[str] = None) -> ConsulRegistry:
    """The agent at the URL that this option names.

    Raises:
        Fault: it cannot be one.
    """
    try:
        registry = open_registry(url, token=token)
    except ValueError as error:
        raise Fault(str(error), code=2) from error
    if not isinstance(registry, ConsulRegistry):
        raise Fault(f"{option} {url}: a Consul agent is wanted", code=2)
    return registry


def duration(text: str) -> float:
    """``30s``, ``1m30s``, ``500ms``, or a number of seconds."""
    if _PARTS.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a time such as 30s or 1m30s is wanted, not {text!r}") from None


def add_parts(parser: argparse.ArgumentParser) -> None:
    """What a node says of itself: metadata, endpoints, and further tags."""
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        type=pair,
        action="append",
        default=[],
        help="the node's metadata; may be repeated",
    )
    parser.add_argument(
        "--endpoint",
        metavar="NAME",
        action="append",
        default=[],
        help="what it answers, such as Say.Hello; may be repeated",
    )
    parser.add_argument(
        "--tag", metavar="TAG", action="append", default=[], help="a further tag, as it is; may be repeated"
    )


def pair(text: str) -> Tuple[str, str]:
    """``key=value``; the value may hold further ``=``."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"key=value is wanted, not {text!r}")
    return key, value


def pairs(given: Iterable[Tuple[str, str]]) -> Dict[str, str]:
    """Pairs as a mapping.

    Raises:
        Fault: a key is there twice.
    """
    made: Dict[str, str] = {}
    for key, value in given:
        if key in made:
            raise Fault(f"--metadata {key}=... is there twice", code=2)
        made[key] = value
    return made
