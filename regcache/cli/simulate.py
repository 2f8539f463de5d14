"""``regcache simulate incident``: three caches meet the same slow registry, one after the other."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .. import codec
from ..errors import RegcacheError
from ..simulate import CACHES, Result, Story, play
from ..simulate.picture import FORMS, draw, plotting
from ..simulate.service import Embedded, Home
from .agent import add_token, consul_at
from .fault import Fault
from .text import columns, duration, plural, safe, size, style

__all__ = ["add_to", "run"]

#: Seconds for all runs together in which a caller still has time to sleep.
SHORTEST = 1.0
LONGEST = 3600.0


def add_to(commands: Any) -> None:
    """Declare the command and what it can simulate."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "simulate",
        help="play an incident with three caches",
        description="Play what happens around a registry, with real threads, locks and decoding.",
    )
    stories = parser.add_subparsers(title="stories", metavar="STORY", required=True)
    incident: argparse.ArgumentParser = stories.add_parser(
        "incident",
        help="a slow registry, callers that retry, a script that removes slow backends",
        description="A registry becomes slow while callers in threads use a service of many backends; a script "
        "removes from the registry whatever backend answers late. The same is played with go-rcache's cache (each "
        "caller fetches an expired list), go-micro v6's (one fetches, the others wait) and regcache.",
        epilog="regcache simulate incident --plot incident.png",
    )
    default = Story()
    incident.add_argument(
        "--consul",
        metavar="URL",
        help="with a real agent, consul://host:port, behind the slowness (extra: consul)",
    )
    add_token(incident, "with --consul: the ACL token; it needs service:write and node:read")
    incident.add_argument(
        "--seconds",
        metavar="N",
        type=_seconds,
        default=default.seconds * len(CACHES),
        help="for all three together (%(default)g)",
    )
    incident.add_argument("--nodes", metavar="N", type=_count, default=default.nodes, help="backends (%(default)s)")
    incident.add_argument(
        "--callers", metavar="N", type=_count, help="threads that call (four for each of the backends)"
    )
    incident.add_argument("--seed", metavar="N", type=int, default=default.seed, help="of everything made up")
    incident.add_argument("--json", metavar="FILE", help="write what was seen; - for standard output, without a table")
    incident.add_argument("--plot", metavar="FILE", help="draw it, as .png or .svg (extra: plot)")
    incident.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Play, then say what was seen."""
    if args.token is not None and args.consul is None:
        raise Fault("--token goes with --consul", code=2)
    for file in (args.json, args.plot):
        if file and file != "-" and not Path(file).absolute().parent.is_dir():
            raise Fault(f"{file}: there is no such folder", code=2)
        if file and (Path(file).is_dir() or file.endswith("/")):
            raise Fault(f"{file}: is a folder", code=2)
    if args.plot:
        _check_plot(args.plot)
    callers = 4 * args.nodes if args.callers is None else args.callers
    story = Story(args.seconds / len(CACHES), args.nodes, callers, args.seed)
    if args.consul is not None:
        _check_agent(args.consul, args.token)
    quiet = args.json == "-"
    if not quiet:
        _introduce(story, args.consul)
    results = _results(story, args.consul, args.token)
    if not quiet:
        print("\n".join(_table(results)), flush=True)
    if args.json:
        _write_json(args.json, story, args.consul, results)
    if args.plot:
        try:
            draw(story, results, args.plot)
        except OSError as error:
            raise Fault(f"{args.plot}: {error.strerror or error}") from error


def _check_plot(file: str) -> None:
    if Path(file).suffix[1:].lower() not in FORMS:
        raise Fault(f"--plot {file}: a picture ends with {' or '.join('.' + form for form in FORMS)}", code=2)
    try:
        plotting()
    except ImportError as error:
        raise Fault(f"--plot needs matplotlib: pip install 'regcache[plot]' ({error})") from error


def _check_agent(url: str, token: Optional[str]) -> None:
    with contextlib.closing(consul_at("--consul", url, token)) as registry:
        registry.services()


def _results(story: Story, consul: Optional[str], token: Optional[str]) -> List[Result]:
    home: Callable[[], Home] = Embedded
    if consul is not None:
        home = partial(consul_at, "--consul", consul, token)
    try:
        results = []
        for number, caching in enumerate(CACHES, 1):
            if sys.stderr is not None and sys.stderr.isatty():
                print(f"\r{number} of {len(CACHES)}: {caching.name:<20}", end="\r", file=sys.stderr, flush=True)
            results.append(play(story, caching, home))
        return results
    except RegcacheError:
        raise
    except ImportError as error:
        raise Fault(str(error)) from error
    except RuntimeError as error:  # no thread to be had
        raise Fault(f"{plural(story.callers, 'caller')} are too many for this machine: {error}") from error


# What is said of it


def _introduce(story: Story, consul: Optional[str]) -> None:
    where = f"the agent at {safe(consul)}" if consul else "a registry in this process"
    print(style(f"{plural(story.callers, 'caller')}, {plural(story.nodes, 'backend')}, {where}", "bold"))
    print(
        f"  {story.seconds:.3g} s for each cache; from {story.slow_from:.2g} s to {story.slow_until:.2g} s a registry "
        f"request takes {duration(story.slow)} and more; lists are fresh for {duration(story.ttl)}",
        flush=True,
    )
    print()


def _table(results: Sequence[Result]) -> List[str]:
    rows: List[Tuple[str, ...]] = [("", *(result.name for result in results))]
    each = [result.totals for result in results]
    rows += [
        ("registry requests", *(f"{one['registry_requests']:,}" for one in each)),
        ("  in flight at once", *(f"{one['registry_requests_in_flight']:,}" for one in each)),
        ("lookups slower than 10 ms", *(f"{one['late_lookups']:,} of {one['lookups']:,}" for one in each)),
        ("slowest lookup", *(duration(one["slowest_lookup"]) for one in each)),
        ("requests answered", *(f"{one['answered']:,} of {one['wanted']:,}" for one in each)),
        ("errors", *(f"{one['errors']:,}" for one in each)),
        ("peak memory (tracemalloc)", *(size(one["peak_memory"]) for one in each)),
        ("backends lost", *(f"{one['backends_lost']:,}" for one in each)),
    ]
    widest = max(len(row[-1]) for row in rows)  # the last column of a table is not padded otherwise
    rows = [(*row[:-1], row[-1].rjust(widest)) for row in rows]
    return columns(rows, right=range(1, len(results)), gap="   ")


def _write_json(file: str, story: Story, consul: Optional[str], results: Sequence[Result]) -> None:
    text = json.dumps(as_json(story, consul, results), separators=(",", ":"))
    if file == "-":
        print(text)
        return
    try:
        Path(file).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Fault(f"{file}: {error.strerror or error}") from error


def as_json(story: Story, consul: Optional[str], results: Sequence[Result]) -> Dict[str, Any]:
    """Everything that was seen, and what it was seen on."""
    from .. import __version__

    return {
        "story": story.to_dict(),
        "registry": "embedded" if consul is None else "consul",
        "regcache": __version__,
        "codec": codec.BACKEND,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpus": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "runs": [result.to_dict() for result in results],
    }


# Arguments


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not SHORTEST <= value <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"a number of seconds from {SHORTEST:g} to {LONGEST:g} is wanted, not {text!r}"
        )
    return value


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"a number from 1 to 10,000 is wanted, not {text!r}")
    return value
