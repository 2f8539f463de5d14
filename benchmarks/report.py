"""``python -m benchmarks.report RUN.json [MORE.json ...]``: runs of pytest-benchmark as tables, with where we lose.

Of the further runs, of another Python perhaps, the groups are taken that the first does not have. The ratios are
against the way that a group names, or ``--against`` another where a group has it. ``--write`` makes
``benchmarks/RESULTS.md`` and the pictures in ``benchmarks/pictures`` (matplotlib: the extra ``plot``).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from .losses import Loss, behind, losses
from .run import groups
from .tables import conditions, markdown, rows_of

__all__ = ["load", "main", "report"]

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PICTURES = HERE / "pictures"

ABOUT = """\
# Results

Made by `python -m benchmarks.report RUN.json --write`, from one run of
`python -m pytest benchmarks --benchmark-json=RUN.json`; what each way and group is stands in `benchmarks/README.md`.
Ratios are medians of ratios round by round, and `IQR` is the span from the first to the third quartile.
We wrote both regcache and this suite, so look at what is compared before you believe it; everybody can run it again.
"""
INCIDENT = """\
![The incident, with three caches](../docs/incident.png)

Lookups, requests in flight, memory and backends over time while a registry is slow, with three caches. Of another run:
`regcache simulate incident --plot docs/incident.png`. What this run saw stands below, under "incident".
"""
LOST = """\
The best of our ways beside the best of the others, wherever that is better, and the best of those in which a cache
reads (in chunks, over a connection) where they are worse still; found by the report in the numbers, by the median of
the ratios round by round, in herds and single calls by p99, for memory by the peak and by what is held afterwards. Ways
that know a body from before (`-warm`, `-refresh`) are compared with each other, and so are those that do not. What does
nothing at all is no way.
"""
GO = """\
This run had no Go toolchain with go-micro's modules, so go-micro in Go is not in it (`benchmarks/test_go.py` compares
where there is one). Quoted as they were reported, of another run on another machine with two cores: Go's go-micro
v1.1.0 took 41 ms and allocated 82 MB a call for `health_b`, and 368 ms and 684 MB for `health_c`. No ratio is made of
these.
"""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="A run as tables, in Markdown.")
    parser.add_argument("runs", nargs="+", metavar="RUN.json", help="what --benchmark-json wrote")
    parser.add_argument("--against", metavar="WAY", help="compare with this way, in groups that have it")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and the pictures")
    given = parser.parse_args(arguments)
    try:
        run = together([load(name) for name in given.runs])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if given.against:
        compare_with(run, given.against)
    if not given.write:
        print(report(run))
        return 0
    try:
        from . import pictures

        drawn = pictures.draw(run, PICTURES)
    except ImportError:
        print("the pictures need matplotlib: pip install 'regcache[plot]'", file=sys.stderr)
        return 1
    RESULTS.write_text(results(run, drawn) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS.name} and {len(drawn)} pictures")
    return 0


def load(name: str) -> Dict[str, Any]:
    """A run."""
    try:
        return dict(json.loads(Path(name).read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{name} is no run of pytest-benchmark: {error}") from error


def together(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """The first, with the groups that only the others have, and with their conditions."""
    run = dict(runs[0])
    for more in runs[1:]:
        new = [one for one in more["benchmarks"] if one["group"] not in groups(run)]
        run["benchmarks"] = [*run["benchmarks"], *new]
        run["further"] = [*run.get("further", []), {**more, "benchmarks": new}]
    return run


def compare_with(run: Dict[str, Any], way: str) -> None:
    """Makes another way the baseline of each group that has it and is compared at all."""
    having = {one["group"] for one in run["benchmarks"] if one["extra_info"].get("way") == way}
    for one in run["benchmarks"]:
        if one["group"] in having and one["extra_info"].get("baseline"):
            one["extra_info"]["baseline"] = way


def report(run: Dict[str, Any]) -> str:
    """The whole report, in Markdown."""
    parts = [all_conditions(run), f"### Where we lose\n\n{lost(losses(run), behind(run))}"]
    return "\n\n".join(parts + tables(run))


def results(run: Dict[str, Any], drawn: "Dict[str, str]") -> str:
    """RESULTS.md. ``drawn``: the pictures' files, and what each shows."""
    quick = ["**This is a quick run: few rounds, not all sizes.**"] if run["machine_info"].get("quick") else []
    shown = [f"![{file[:-4]}](pictures/{file})\n\n{text}" for file, text in drawn.items()]
    go = [] if any("go-micro in Go" in group for group in groups(run)) else [f"## Go\n\n{GO.rstrip()}"]
    parts = [ABOUT.rstrip(), *quick, "## Conditions", all_conditions(run), "## In pictures", *shown, INCIDENT.rstrip()]
    parts += ["## Where we lose", lost(losses(run), behind(run)), *go, "## All numbers", *tables(run)]
    return "\n\n".join(parts)


def all_conditions(run: Dict[str, Any]) -> str:
    """Of the run, and of those that it took groups from."""
    parts = [conditions(run)]
    for more in run.get("further", ()):
        taken = [f'"{group}"' for group in groups(more)]
        named = " and ".join(taken) if len(taken) < 3 else f"{taken[0]} to {taken[-1]}"
        parts.append(f"And of a run of its own, of which are the groups {named}:\n\n{conditions(more)}")
    return "\n\n".join(parts)


def lost(found: List[Loss], compact: List[Loss]) -> str:
    """The groups in which another way is better than ours, the worst first."""
    parts = [LOST.rstrip()]
    for codec in ("compiled", "pure"):
        some = [one for one in found if one.backend == codec]
        parts.append(f"The {codec} codec: " + _losses(some, "our best", "the best of the others"))
    parts.append(
        "Our compact form of tags beside go-micro's form of the same records, both read or written by regcache: "
        + _losses(compact, "compact", "go-micro")
    )
    return "\n\n".join(parts)


def _losses(some: List[Loss], ours: str, other: str) -> str:
    if not some:
        return "in no group of this run."
    rows = [("group", ours, "takes", other, "takes", "times ours is worse", "its IQR")]
    for one in some:
        rows.append((one.group, one.ours, one.ours_takes, one.other, one.other_takes, f"{one.times:.2f}", one.spread))
    return f"\n\n{markdown(rows)}"


def tables(run: Dict[str, Any]) -> List[str]:
    return [f"### {group}\n\n{markdown(rows_of(members))}" for group, members in groups(run).items()]


if __name__ == "__main__":
    sys.exit(main())
