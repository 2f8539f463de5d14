"""The tables of a report: one for each group, of a form that fits what was measured."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from .run import Member, baseline_of, data_size, ratio, seconds, way_of

__all__ = ["conditions", "markdown", "rows_of"]

Rows = List[Tuple[str, ...]]


def rows_of(members: List[Member]) -> Rows:
    """A group's table; the first row names its columns."""
    info = members[0]["extra_info"]
    for name, rows in _FORMS.items():
        if name in info:
            return rows(members)
    return _times(members)


def markdown(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append(f"| {' | '.join(cells)} |")
    ruler = [("-" * widths[0])] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, f"| {' | '.join(ruler)} |")
    return "\n".join(lines)


def _times(members: List[Member]) -> Rows:
    baseline = baseline_of(members)
    name = members[0]["extra_info"].get("baseline", "")
    allocated = any("allocated_bytes" in member["extra_info"] for member in members)
    head: Tuple[str, ...] = ("way", "median", "IQR", "min", "rounds")
    if baseline:
        head += (f"times quicker than {name}", "its IQR")
    rows: Rows = [(*head, "allocated a call") if allocated else head]
    for member in members:
        stats = member["stats"]
        row: Tuple[str, ...] = (
            way_of(member),
            seconds(stats["median"]),
            f"{seconds(stats['q1'])} - {seconds(stats['q3'])}",
            seconds(stats["min"]),
            str(stats["rounds"]),
        )
        if baseline:
            first, middle, last = ratio(baseline, member)
            row += (f"{middle:.2f}", f"{first:.2f} - {last:.2f}")
        if allocated:
            row += (_maybe(member["extra_info"].get("allocated_bytes")),)
        rows.append(row)
    return rows


def _memory(members: List[Member]) -> Rows:
    baseline = baseline_of(members)
    own = any("decoder_bytes" in member["extra_info"] for member in members)
    resident = any("rss_peak_bytes" in member["extra_info"] for member in members)
    head = ["way", "peak beyond the body", "held afterwards", "share of the peak"]
    rows: Rows = [tuple(head + ["the decoder itself"] * own + ["peak of RSS", "RSS afterwards"] * resident)]
    for member in members:
        info = member["extra_info"]
        share = f"{info['peak_bytes'] / baseline['extra_info']['peak_bytes']:.1%}" if baseline else ""
        row = [way_of(member), data_size(info["peak_bytes"]), data_size(info["held_bytes"]), share]
        if own:
            row.append(_maybe(info.get("decoder_bytes")))
        if resident:
            row += [_maybe(info.get("rss_peak_bytes")), _maybe(info.get("rss_held_bytes"))]
        rows.append(tuple(row))
    return rows


def _maybe(count: Optional[float]) -> str:
    return "" if count is None else data_size(count)


def _incident(members: List[Member]) -> Rows:
    heads = ("registry requests", "slower than 10 ms", "slowest lookup", "answered", "errors", "peak memory", "lost")
    rows: Rows = [("way", *heads)]
    for member in members:
        seen = member["extra_info"]["incident"]
        row = (
            f"{seen['registry_requests']:,}",
            f"{seen['late_lookups']:,} of {seen['lookups']:,}",
            seconds(seen["slowest_lookup"]),
            f"{seen['answered']:,} of {seen['wanted']:,}",
            f"{seen['errors']:,}",
            data_size(seen["peak_memory"]),
            f"{seen['backends_lost']:,}",
        )
        rows.append((way_of(member), *row))
    return rows


def _herd(members: List[Member]) -> Rows:
    rows: Rows = [("way", "loads", "callers that waited", "median", "p99", "longest", "until all were served")]
    for member in members:
        seen = member["extra_info"]["herd"]
        row = (_span(seen["loads"]), _span(seen["waited"]), seconds(seen["p50"]), seconds(seen["p99"]))
        rows.append((way_of(member), *row, seconds(seen["longest"]), seconds(member["stats"]["median"])))
    return rows


def _span(counts: List[int]) -> str:
    """Of several herds."""
    if counts[0] == counts[-1]:
        return f"{counts[0]:,}"
    return f"{counts[len(counts) // 2]:,} ({counts[0]:,} - {counts[-1]:,})"


def _calls(members: List[Member]) -> Rows:
    parts = members[0]["extra_info"]["calls"]["parts"]
    rows: Rows = [("way", *("longest" if part == 1 else f"p{100 * part:.6g}" for part in parts), "refreshes")]
    for member in members:
        seen = member["extra_info"]["calls"]
        rows.append((way_of(member), *map(seconds, seen["middle"]), f"{seen['refreshes']:,} in {seen['seconds']:g} s"))
    return rows


_FORMS: Dict[str, Callable[[List[Member]], Rows]] = {
    "incident": _incident,
    "herd": _herd,
    "calls": _calls,
    "peak_bytes": _memory,
}


def conditions(run: Dict[str, Any]) -> str:
    """Everything about the machine that the numbers depend on."""
    machine = run["machine_info"]
    cpu = machine.get("cpu") or {}
    load = machine.get("load_average")
    at_start = machine.get("load_average_at_start")
    lines = [
        ("date", run["datetime"][:16].replace("T", " ") + " UTC"),
        ("CPU", f"{cpu.get('brand_raw', machine.get('processor') or 'not known')}, {machine.get('cpus')} CPUs"),
        ("system", f"{machine['system']} {machine['release']} {machine['machine']}"),
        ("Python", f"{machine['python_implementation']} {machine['python_version']} ({machine['python_compiler']})"),
        ("compiler of the extension", machine.get("extension_compiler", "not known")),
        ("packages", ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())),
        ("clock of what is compared", machine.get("clock", "not known")),
        ("scheduling", machine.get("scheduling", "not known")),
        ("load average at the start", _load(at_start)),
        ("load average at the end", _load(load)),
    ]
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _load(load: Any) -> str:
    return ", ".join(f"{one:.2f}" for one in load) if load else "not known"
