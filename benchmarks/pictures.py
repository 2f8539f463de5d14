"""The pictures of a run. Each is drawn if what it shows was measured. Needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import drawing
from .run import Member, Run, data_size, groups, way_of

__all__ = ["draw"]

Groups = Dict[str, List[Member]]


def draw(run: Run, folder: Path) -> Dict[str, str]:
    """Draw everything that can be drawn: the files' names, and what each shows."""
    drawing.figure(1, 1)  # says at once that there is no matplotlib
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, picture in PICTURES.items():
        figure = picture(groups(run))
        if figure is not None:
            drawing.save(figure, folder / f"{name}.png")
            drawn[f"{name}.png"] = " ".join((picture.__doc__ or name).split())
    return drawn


def _bodies(all_groups: Groups) -> Optional[Any]:
    """From the bytes of a recorded Consul answer to what a program reads of every node. Shorter is better; the thin
    line is the span from the first to the third quartile."""
    names = [
        (f"{body}: {question}", title)
        for question, title in (
            ("addresses, ports, versions", "address, port and version"),
            ("every tag of every node", "and all metadata and endpoints"),
        )
        for body in ("health_b", "health_c")
    ]
    panels = [(all_groups[name], name, title) for name, title in names if name in all_groups]
    if not panels:
        return None
    figure = drawing.figure(13, 4.2 * ((len(panels) + 1) // 2))
    grid = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False)
    nodes = {"health_b": "200 nodes, 4.9 MB", "health_c": "2,000 nodes, 22.6 MB"}
    for axes, (members, name, title) in zip(grid.flat, panels):
        drawing.bars(axes, f"{nodes[name[:8]]}\n{title}", [_bar(m) for m in members if way_of(m) not in ALIKE])
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(
        "Time to read one answer of Consul (shorter is better; each panel has a scale of its own)",
        fontsize=14,
        color=drawing.INK,
    )
    return figure


#: Left out, since they are hardly to be told from others.
ALIKE = ("compiled-chunks", "compiled-chunks-refresh", "pure-chunks", "pure-refresh")


def _bar(member: Member) -> Tuple[str, float, float, float, str]:
    stats = member["stats"]
    return way_of(member), stats["median"], stats["q1"], stats["q3"], drawing.unit(stats["median"])


def _nodes(all_groups: Groups) -> Optional[Any]:
    """What one more node costs: time from bytes to every node's address, port and version, by the number of nodes. On
    the left all nodes say the same, on the right no tag is another's. Lower is better; both scales are logarithmic."""
    found: Dict[str, Dict[str, Dict[int, float]]] = {}
    for members in all_groups.values():
        for member in members:
            info = member["extra_info"]
            if "nodes" in info and "sharing" in info and way_of(member) not in ALIKE:
                line = found.setdefault(info["sharing"], {}).setdefault(way_of(member), {})
                line[info["nodes"]] = member["stats"]["median"]
    if not found or max(len(line) for ways in found.values() for line in ways.values()) < 2:
        return None
    figure = drawing.figure(13, 5.2)
    grid = figure.subplots(1, len(found), sharey=True, squeeze=False)
    every = [value for ways in found.values() for line in ways.values() for value in line.values()]
    titles = {"shared": "every tag shared", "distinct": "every tag distinct"}
    for axes, (sharing, ways) in zip(grid.flat, found.items()):
        drawing.prepare(axes, titles[sharing])
        ends = {}
        for way, line in ways.items():
            sizes = sorted(line)
            drawing.line(axes, way, sizes, [line[size] for size in sizes])
            ends[way] = line[sizes[-1]]
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("nodes", color=drawing.INK)
        drawing.log_seconds(axes, min(every) / 2, max(every) * 2, "reading an answer")
        drawing.spread_labels(axes, sizes[-1], ends)
    figure.suptitle("Time to read a service, by its number of nodes", fontsize=14, color=drawing.INK)
    return figure


def _latency(all_groups: Groups) -> Optional[Any]:
    """How long the slowest calls take: one in ten, one in a hundred, and so on. On the left nothing is refreshed; on
    the right 1,000 nodes are, several times a second. Lower is better."""
    panels = {}
    for members in all_groups.values():
        if "calls" in members[0]["extra_info"]:
            panels[members[0]["extra_info"]["calls"]["how"]] = members
    if not panels:
        return None
    figure = drawing.figure(13, 5.6)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)
    titles = {"quiet": "the list stays as it is", "refreshed": "the list is refreshed several times a second"}
    names = {0.5: "1 in 2", 0.9: "1 in 10", 0.99: "1 in 100", 0.999: "1 in\n1,000", 0.9999: "1 in\n10,000",
             1.0: "the\nslowest"}  # fmt: skip
    every: List[float] = []
    for axes, (how, members) in zip(grid.flat, panels.items()):
        drawing.prepare(axes, titles[how])
        ends = {}
        for member in members:
            seen = member["extra_info"]["calls"]
            shown = [(part, value) for part, value in zip(seen["parts"], seen["middle"])]
            values = [value for _, value in shown]
            drawing.line(axes, way_of(member), range(len(values)), values)
            ends[way_of(member)] = values[-1]
            every += values
        axes.set_xticks(range(len(shown)), [names[part] for part, _ in shown])
        axes.set_xlabel("calls that take longer than this", color=drawing.INK)
        panels[how] = ends
    for axes, ends in zip(grid.flat, panels.values()):
        drawing.log_seconds(axes, min(every) / 2, max(every) * 3, "a call")
        drawing.spread_labels(axes, len(shown) - 1, ends)
    figure.suptitle("One call for a node, and how slow the slowest are", fontsize=14, color=drawing.INK)
    return figure


def _herd(all_groups: Groups) -> Optional[Any]:
    """1,000 callers ask in the moment in which the list has expired, and the registry takes a quarter of a second. Each
    line is those callers, sorted by how long they waited. Lower is better."""
    members = next((some for some in all_groups.values() if "herd" in some[0]["extra_info"]), None)
    if members is None:
        return None
    figure = drawing.figure(13, 6.2)
    axes = figure.subplots()
    drawing.prepare(axes, "")
    texts: Dict[str, str] = {}
    ends, delay = {}, members[0]["extra_info"]["herd"]["delay"]
    for member in members:
        seen = member["extra_info"]["herd"]
        points = [max(value, 1e-7) for value in seen["points"]]
        at = [i * seen["callers"] / (len(points) - 1) for i in range(len(points))]
        drawing.line(axes, way_of(member), at, points, marker="")
        # Where nearly all callers are: the last one may be the one that loads.
        loads = seen["loads"][len(seen["loads"]) // 2]
        ends[way_of(member)] = points[-2]
        texts[way_of(member)] = f"{way_of(member)}: {loads:,} {'request' if loads == 1 else 'requests'}"
    axes.axhline(delay, color=drawing.FAINT, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(
        seen["callers"] * 0.62,
        delay * 0.8,
        "what one request to the registry takes",
        color=drawing.FAINT,
        fontsize=10,
        va="top",
        bbox={"facecolor": "white", "linewidth": 0, "pad": 1},
    )
    axes.set_xlim(0, seen["callers"])
    axes.set_xlabel(
        "callers, sorted by how long they waited (threads; of cashews and regcache-async tasks of asyncio)",
        color=drawing.INK,
    )
    drawing.log_seconds(axes, 1e-7, 10.0, "a caller waits")
    drawing.spread_labels(axes, seen["callers"], ends, texts, apart=0.05)
    axes.set_title("A herd of 1,000 callers when the list expires", fontsize=14, color=drawing.INK)
    return figure


def _threads(all_groups: Groups) -> Optional[Any]:
    """Picking one of 100 nodes from several threads at once: time for one pick, of all threads together. Lower is
    better. With the GIL a line that stays flat loses nothing to the other threads; without it (where that was measured)
    a line that falls gains from each of them, as far as there are CPUs."""
    found: Dict[bool, Dict[str, Dict[int, float]]] = {}
    for members in all_groups.values():
        for member in members:
            info = member["extra_info"]
            if info.get("among") == 100 and way_of(member) not in ("random", "weighted"):
                line = found.setdefault(info["gil"], {}).setdefault(way_of(member), {})
                line[info["threads"]] = member["stats"]["median"]
    if not found:
        return None
    figure = drawing.figure(6.5 + 4.5 * len(found), 5.2)
    grid = figure.subplots(1, len(found), sharey=True, squeeze=False)
    every = [value for ways in found.values() for line in ways.values() for value in line.values()]
    for axes, (gil, ways) in zip(grid.flat, sorted(found.items(), reverse=True)):
        drawing.prepare(axes, "CPython with the GIL" if gil else "free-threaded CPython")
        for way, line in ways.items():
            drawing.line(axes, way, sorted(line), [line[count] for count in sorted(line)])
        counts = sorted(line)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("threads", color=drawing.INK)
        drawing.log_seconds(axes, min(every) / 2, max(every) * 2, "a pick")
        drawing.spread_labels(axes, counts[-1], {way: line[counts[-1]] for way, line in ways.items()})
    figure.suptitle("One pick of a node, by the number of threads", fontsize=14, color=drawing.INK)
    return figure


def _memory(all_groups: Groups) -> Optional[Any]:
    """Memory at most, beyond the body of 4.9 MB itself, for one decode and for 64 at once, as Python's allocators are
    asked for it. What the system sees (RSS) stands in the tables. Shorter is better."""
    panels = [some for some in all_groups.values() if "rss_peak_bytes" in some[0]["extra_info"]]
    if not panels:
        return None
    figure = drawing.figure(13, 3.2)
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, members in zip(grid.flat, panels):
        threads = members[0]["extra_info"]["threads"]
        rows = []
        for member in members:
            peak = member["extra_info"]["peak_bytes"]
            rows.append((way_of(member), peak, peak, peak, data_size(peak)))
        title = "one decode" if threads == 1 else f"{threads} decodes at once"
        drawing.bars(axes, f"{title} (a scale of its own)", rows)
    title = "Memory that reading 4.9 MB (200 nodes) takes at most, beside the 4.9 MB (tracemalloc; shorter is better)"
    figure.suptitle(title, fontsize=14, color=drawing.INK)
    return figure


def _tags(all_groups: Groups) -> Optional[Any]:
    """One tag, from its text to Python objects, by the size of what it says, with nothing remembered. On the left
    go-micro's form (zlib in hex digits), on the right the compact one. Lower is better."""
    found: Dict[str, Dict[str, Dict[int, float]]] = {}
    for members in all_groups.values():
        for member in members:
            info = member["extra_info"]
            if "form" in info:
                line = found.setdefault(info["form"], {}).setdefault(way_of(member), {})
                line[info["size"]] = member["stats"]["median"]
    if not found:
        return None
    figure = drawing.figure(13, 4.8)
    grid = figure.subplots(1, len(found), sharey=True, squeeze=False)
    every = [value for ways in found.values() for line in ways.values() for value in line.values()]
    for axes, (form, ways) in zip(grid.flat, found.items()):
        drawing.prepare(axes, f"{form} form")
        for way, line in ways.items():
            sizes = sorted(line)
            drawing.line(axes, way, sizes, [line[size] for size in sizes])
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,} B" for size in sizes])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("size of the JSON that the tag holds", color=drawing.INK)
        drawing.log_seconds(axes, min(every) / 2, max(every) * 2, "reading a tag")
        texts = {"naive": "zstandard + msgpack" if form == "compact" else "json + zlib, standard library"}
        drawing.spread_labels(axes, sizes[-1], {way: line[sizes[-1]] for way, line in ways.items()}, texts)
    figure.suptitle("Time to read one tag, by the size of what it says", fontsize=14, color=drawing.INK)
    return figure


PICTURES: Dict[str, Callable[[Groups], Optional[Any]]] = {
    "bodies": _bodies,
    "nodes": _nodes,
    "latency": _latency,
    "herd": _herd,
    "threads": _threads,
    "memory": _memory,
    "tags": _tags,
}
