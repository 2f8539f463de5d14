"""What all pictures have in common: colours that colour-blind people can tell apart, axes, and units."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .run import seconds

__all__ = ["INK", "FAINT", "bars", "colour_of", "figure", "line", "log_seconds", "save", "spread_labels", "unit"]

INK, FAINT, GRID = "#222222", "#6b6b6b", "#dddddd"
#: Okabe and Ito's colours. Ours is the blue, whatever the picture.
COLOURS = (
    ("compiled-refresh", "#56B4E9"),
    ("compiled", "#0072B2"),
    ("regcache, get", "#56B4E9"),
    ("regcache-async", "#56B4E9"),
    ("regcache", "#0072B2"),
    ("round_robin", "#0072B2"),
    ("random.choice", "#8c8c8c"),
    ("cycle", "#E69F00"),
    ("hash", "#CC79A7"),
    ("peak_ewma", "#a6761d"),
    ("random", "#56B4E9"),
    ("p2c", "#009E73"),
    ("pure", "#009E73"),
    ("msgspec", "#E69F00"),
    ("simdjson", "#CC79A7"),
    ("dogpile", "#CC79A7"),
    ("cachetools-condition", "#E69F00"),
    ("cachetools", "#D55E00"),
    ("cashews", "#a6761d"),
    ("go-", "#8c8c8c"),
    ("naive", "#D55E00"),
    ("lock", "#D55E00"),
)
OURS = ("compiled", "regcache", "pure", "round_robin", "random", "p2c", "peak_ewma", "hash")
#: Colours are not all: the second of two that belong together is dashed.
DASHED = ("-warm", "-condition", "-early", "-refresh", "go-micro v6")
#: What a person calls them who has not read the benchmarks.
TITLES = {
    "naive": "json + zlib, standard library",
    "msgspec-cold": "msgspec + zlib-ng",
    "msgspec-warm": "msgspec + zlib-ng, tags remembered",
    "simdjson-warm": "pysimdjson, tags remembered",
    "simdjson-last-tag-warm": "pysimdjson, only the last tag",
    "pure": "regcache, pure Python",
    "compiled": "regcache",
    "compiled-chunks": "regcache, in chunks of 64 KiB",
    "compiled-refresh": "regcache, as a refresh",
    "lock": "round robin under a lock",
    "cycle": "dict, clock and itertools.cycle",
    "peak_ewma": "regcache, peak_ewma",
    "hash": "regcache, hash",
    "msgspec": "msgspec + zlib-ng, or zstandard",
    "round_robin": "regcache, round_robin",
    "random": "regcache, random",
    "p2c": "regcache, p2c (the default)",
    "regcache, get and random.choice": "regcache, get",
}


def figure(wide: float, high: float) -> Any:
    """matplotlib's Figure, which needs no screen. Raises ImportError where there is none."""
    return importlib.import_module("matplotlib.figure").Figure(
        figsize=(wide, high), layout="constrained", facecolor="white"
    )


def save(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=110, metadata={"Software": None})


def colour_of(way: str) -> str:
    return next((colour for beginning, colour in COLOURS if way.startswith(beginning)), FAINT)


def title_of(way: str) -> str:
    return TITLES.get(way, way)


def is_ours(way: str) -> bool:
    return way.startswith(OURS) and way != "random.choice"


def dash_of(way: str) -> Any:
    return (0, (4, 2)) if way == "random" or any(part in way for part in DASHED) else "solid"


def unit(value: float) -> str:
    return seconds(value).replace("us", "µs")


def prepare(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=12, color=INK, loc="left")
    axes.tick_params(colors=FAINT, labelsize=10)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#bbbbbb")


def bars(axes: Any, title: str, rows: Sequence[Tuple[str, float, float, float, str]]) -> None:
    """Bars from above to below: a way, its number, the quartiles of it, and the number in words.

    A bar that would not be seen is drawn all the same, by its text.
    """
    prepare(axes, title)
    places = list(range(len(rows)))[::-1]
    longest = max(max(row[1], row[3]) for row in rows)
    for place, (way, middle, first, last, text) in zip(places, rows):
        axes.barh(place, middle, color=colour_of(way), height=0.66)
        axes.plot([first, last], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
        axes.text(
            max(middle, last) + longest * 0.015,
            place,
            text,
            va="center",
            fontsize=10,
            color=INK,
            fontweight="bold" if is_ours(way) else "normal",
        )
    axes.set_yticks(places, [title_of(row[0]) for row in rows])
    for label, (way, *_) in zip(axes.get_yticklabels(), rows):
        label.set_color(INK)
        label.set_fontweight("bold" if is_ours(way) else "normal")
    axes.set_xlim(0, longest * 1.25)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def line(axes: Any, way: str, at: Sequence[float], values: Sequence[float], marker: str = "o") -> None:
    axes.plot(
        at,
        values,
        color=colour_of(way),
        linestyle=dash_of(way),
        linewidth=2.4 if is_ours(way) else 1.7,
        marker=marker,
        markersize=4.5,
        zorder=3 if is_ours(way) else 2,
    )


def log_seconds(axes: Any, low: float, high: float, about: str) -> None:
    """A logarithmic axis of times with their units, one line a power of ten. ``about``: what takes so long."""
    steps = (1, 2, 5) if high / low < 200 else (1, 3) if high / low < 3000 else (1,)
    ticks = [step * 10.0**power for power in range(-9, 3) for step in steps]
    ticks = [tick for tick in ticks if low * 0.99 <= tick <= high * 1.01]
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [unit(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel(f"{about} (lower is better)", color=FAINT)
    axes.label_outer()
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def spread_labels(
    axes: Any, x: float, ends: Dict[str, float], texts: Mapping[str, str] = MappingProxyType({}), apart: float = 0.062
) -> None:
    """The ways' names at the right ends of their lines, moved away from each other where they would overlap.

    ``texts``: what to say instead of a name. ``apart``: the least distance, as a part of a logarithmic axis.
    """
    low, high = (math.log10(bound) for bound in axes.get_ylim())
    places: List[Tuple[float, str]] = sorted(
        ((math.log10(value) - low) / (high - low), way) for way, value in ends.items()
    )
    where = [place for place, _ in places]
    for _ in range(200):
        for i in range(len(where) - 1):
            near = where[i + 1] - where[i]
            if near < apart:
                where[i] -= (apart - near) / 2
                where[i + 1] += (apart - near) / 2
    for place, (_, way) in zip(where, places):
        dashed = "" if dash_of(way) == "solid" else " (dashed)"
        axes.annotate(
            texts.get(way, title_of(way)) + dashed,
            xy=(x, place),
            xycoords=("data", "axes fraction"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=colour_of(way),
            fontweight="bold" if is_ours(way) else "normal",
            annotation_clip=False,
        )
