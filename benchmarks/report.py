"""``python -m benchmarks.report RUN.json [WAY] [--write]``: a run of pytest-benchmark as tables, with where we lose.

The ratios are against the way that a group names, or against WAY where a group has it. ``--write`` makes
``benchmarks/RESULTS.md`` and the pictures in ``benchmarks/pictures`` (matplotlib: the extra ``plot``) of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from .losses import Loss, losses
from .run import groups
from .tables import conditions, markdown, rows_of

__all__ = ["main", "report"]

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
The best of our ways beside the best of the others, wherever that is better; found by the report in the numbers, by the
median, in herds and single calls by p99, for memory by the peak and by what is held afterwards. Ways that know a body
from before (`-warm`, `-refresh`) are compared with each other, and so are those that do not. What does nothing at all
is no way.
"""
GO = """\
This run had no Go toolchain with go-micro's modules, so go-micro in Go is not in it (`benchmarks/test_go.py` compares
where there is one). Quoted as they were reported, of another run on another machine with two cores: Go's go-micro
v1.1.0 took 41 ms and allocated 82 MB a call for `health_b`, and 368 ms and 684 MB for `health_c`. No ratio is made of
these.
"""


def main(arguments: Sequence[str]) -> int:
    given = [argument for argument in arguments if argument != "--write"]
    if len(given) not in (1, 2):
        print("usage: python -m benchmarks.report RUN.json [WAY] [--write]", file=sys.stderr)
        return 2
    try:
        run = json.loads(Path(given[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{given[0]}: {error}", file=sys.stderr)
        return 1
    if len(given) == 2:
        compare_with(run, given[1])
    if len(given) == len(arguments):
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


def compare_with(run: Dict[str, Any], way: str) -> None:
    """Makes another way the baseline of each group that has it and is compared at all."""
    having = {one["group"] for one in run["benchmarks"] if one["extra_info"].get("way") == way}
    for one in run["benchmarks"]:
        if one["group"] in having and one["extra_info"].get("baseline"):
            one["extra_info"]["baseline"] = way


def report(run: Dict[str, Any]) -> str:
    """The whole report, in Markdown."""
    parts = [conditions(run), f"### Where we lose\n\n{lost(losses(run))}"]
    return "\n\n".join(parts + tables(run))


def results(run: Dict[str, Any], drawn: "Dict[str, str]") -> str:
    """RESULTS.md. ``drawn``: the pictures' files, and what each shows."""
    quick = ["**This is a quick run: few rounds, not all sizes.**"] if run["machine_info"].get("quick") else []
    shown = [f"![{file[:-4]}](pictures/{file})\n\n{text}" for file, text in drawn.items()]
    go = [] if any("go-micro in Go" in group for group in groups(run)) else [f"## Go\n\n{GO.rstrip()}"]
    parts = [ABOUT.rstrip(), *quick, "## Conditions", conditions(run), "## In pictures", *shown, INCIDENT.rstrip()]
    parts += ["## Where we lose", lost(losses(run)), *go, "## All numbers", *tables(run)]
    return "\n\n".join(parts)


def lost(found: List[Loss]) -> str:
    """The groups in which another way is better than the best of ours, the worst first."""
    parts = [LOST.rstrip()]
    for codec in ("compiled", "pure"):
        rows = [("group", "our best", "takes", "the best of the others", "takes", "times ours is worse")]
        for one in found:
            if one.backend == codec:
                rows.append((one.group, one.ours, one.ours_takes, one.other, one.other_takes, f"{one.times:.2f}"))
        parts.append(
            f"The {codec} codec: " + (f"\n\n{markdown(rows)}" if len(rows) > 1 else "in no group of this run.")
        )
    return "\n\n".join(parts)


def tables(run: Dict[str, Any]) -> List[str]:
    return [f"### {group}\n\n{markdown(rows_of(members))}" for group, members in groups(run).items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
