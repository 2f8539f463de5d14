"""``python -m benchmarks.report FILE.json [WAY]``: a run of pytest-benchmark as tables of medians, spreads and ratios.

The ratios are against the naive way, or against WAY where a group has it.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

__all__ = ["main", "report"]

UNITS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: python -m benchmarks.report FILE.json [WAY], of --benchmark-json=FILE.json", file=sys.stderr)
        return 2
    try:
        run = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    if len(arguments) == 2:
        compare_with(run, arguments[1])
    print(report(run))
    return 0


def compare_with(run: Dict[str, Any], way: str) -> None:
    """Makes another way the baseline of each group that has it and is compared at all."""
    having = {one["group"] for one in run["benchmarks"] if one["extra_info"].get("way") == way}
    for one in run["benchmarks"]:
        if one["group"] in having and one["extra_info"].get("baseline"):
            one["extra_info"]["baseline"] = way


def report(run: Dict[str, Any]) -> str:
    """The whole report, in Markdown."""
    groups: Dict[str, List[Dict[str, Any]]] = {}
    for benchmark in run["benchmarks"]:
        groups.setdefault(benchmark["group"] or benchmark["name"], []).append(benchmark)
    parts = [_conditions(run)]
    for group, members in groups.items():
        info = members[0]["extra_info"]
        rows = (_incident_rows if "incident" in info else _memory_rows if "peak_bytes" in info else _time_rows)(members)
        parts.append(f"### {group}\n\n{_table(rows)}")
    return "\n\n".join(parts)


def _conditions(run: Dict[str, Any]) -> str:
    machine = run["machine_info"]
    cpu = machine.get("cpu") or {}
    load = machine.get("load_average")
    lines = [
        ("date", run["datetime"][:16].replace("T", " ") + " UTC"),
        ("CPU", f"{cpu.get('brand_raw', machine.get('processor') or 'not known')}, {machine.get('cpus')} CPUs"),
        ("system", f"{machine['system']} {machine['release']} {machine['machine']}"),
        ("Python", f"{machine['python_implementation']} {machine['python_version']} ({machine['python_compiler']})"),
        ("compiler of the extension", machine.get("extension_compiler", "not known")),
        ("packages", ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())),
        ("clock of what is compared", machine.get("clock", "not known")),
        ("load average at the end", ", ".join(f"{one:.2f}" for one in load) if load else "not known"),
    ]
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _time_rows(members: List[Dict[str, Any]]) -> List[Tuple[str, ...]]:
    baseline = _baseline(members)
    name = members[0]["extra_info"].get("baseline", "")
    rows: List[Tuple[str, ...]] = [("way", "median", "IQR", "min", "rounds")]
    if baseline:
        rows[0] += (f"times quicker than {name}", "its IQR")
    for member in members:
        stats = member["stats"]
        way = member["extra_info"].get("way", member["name"])
        row: Tuple[str, ...] = (
            way,
            _seconds(stats["median"]),
            f"{_seconds(stats['q1'])} - {_seconds(stats['q3'])}",
            _seconds(stats["min"]),
            str(stats["rounds"]),
        )
        if baseline:
            first, middle, last = _ratio(baseline, member)
            row += (f"{middle:.2f}", f"{first:.2f} - {last:.2f}")
        rows.append(row)
    return rows


def _ratio(baseline: Dict[str, Any], member: Dict[str, Any]) -> Tuple[float, float, float]:
    """Quartiles of the ratios round by round: each round's two were measured within seconds of each other."""
    slow, fast = baseline["stats"]["data"], member["stats"]["data"]
    if len(slow) != len(fast) or not member["extra_info"].get("in_turns"):
        ratio = baseline["stats"]["median"] / member["stats"]["median"]
        return ratio, ratio, ratio
    ratios = [a / b for a, b in zip(slow, fast) if b]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    first, middle, last = statistics.quantiles(ratios, n=4, method="inclusive")
    return first, middle, last


def _memory_rows(members: List[Dict[str, Any]]) -> List[Tuple[str, ...]]:
    baseline = _baseline(members)
    rows: List[Tuple[str, ...]] = [("way", "peak beyond the body", "held afterwards", "the decoder itself", "share")]
    for member in members:
        info = member["extra_info"]
        share = f"{info['peak_bytes'] / baseline['extra_info']['peak_bytes']:.1%}" if baseline else ""
        own = _bytes(info["decoder_bytes"]) if "decoder_bytes" in info else ""
        rows.append((info["way"], _bytes(info["peak_bytes"]), _bytes(info["held_bytes"]), own, share))
    return rows


def _incident_rows(members: List[Dict[str, Any]]) -> List[Tuple[str, ...]]:
    heads = ("registry requests", "slower than 10 ms", "slowest lookup", "answered", "errors", "peak memory", "lost")
    rows: List[Tuple[str, ...]] = [("way", *heads)]
    for member in members:
        seen = member["extra_info"]["incident"]
        row = (
            f"{seen['registry_requests']:,}",
            f"{seen['late_lookups']:,} of {seen['lookups']:,}",
            _seconds(seen["slowest_lookup"]),
            f"{seen['answered']:,} of {seen['wanted']:,}",
            f"{seen['errors']:,}",
            _bytes(seen["peak_memory"]),
            f"{seen['backends_lost']:,}",
        )
        rows.append((member["extra_info"]["way"], *row))
    return rows


def _baseline(members: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    for member in members:
        info = member["extra_info"]
        if info.get("way") is not None and info["way"] == info.get("baseline"):
            return member
    return None


def _seconds(seconds: float) -> str:
    for below, times, unit in UNITS:
        if seconds < below:
            return f"{seconds * times:.3g} {unit}" if seconds * times < 100 else f"{seconds * times:.0f} {unit}"
    raise AssertionError(seconds)


def _bytes(count: int) -> str:
    if count < 1_000_000:
        return f"{count / 1e3:,.1f} kB"
    return f"{count / 1e6:,.2f} MB"


def _table(rows: List[Tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append(f"| {' | '.join(cells)} |")
    ruler = [("-" * widths[0])] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, f"| {' | '.join(ruler)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
