"""The picture of the incident: a column for each cache, a row for each thing that was watched. Needs matplotlib."""

from __future__ import annotations

import importlib
from typing import Any, Sequence

from .record import LATE, Result
from .story import Story

__all__ = ["FORMS", "draw", "plotting"]

#: What a picture's file may end with.
FORMS = ("png", "svg")

#: The first two are told apart by colour-blind people too.
BAD, GOOD, INK, FAINT = "#D55E00", "#0072B2", "#222222", "#8a8a8a"
SLOW = "#f4ecd8"


def plotting() -> Any:
    """matplotlib's Figure, which needs no screen. Raises ImportError where there is none."""
    return importlib.import_module("matplotlib.figure").Figure


def draw(story: Story, results: Sequence[Result], file: str) -> None:
    """Draw all runs side by side, with the same scales, into a file whose ending says its form.

    Raises:
        ImportError: there is no matplotlib.
        OSError: the file cannot be written.
    """
    figure = plotting()(figsize=(13.0, 10.0), layout="constrained", facecolor="white")
    grid = figure.subplots(len(_ROWS), len(results), sharex=True, sharey="row", squeeze=False)
    for number, result in enumerate(results):
        for row, panel in enumerate(_ROWS):
            axes = grid[row][number]
            _prepare(axes, story)
            panel(axes, story, result, _colour(result))
            if number == 0:
                axes.set_ylabel(_LABELS[row], rotation=0, ha="right", va="center", fontsize=12, color=INK)
        grid[0][number].set_title(_TITLES[result.key], fontsize=15, fontweight="bold", color=_colour(result), pad=18)
    figure.suptitle("The same callers, registry and script. What differs is the cache.", fontsize=13, color=FAINT)
    _explain(grid, story)
    _leave_room(grid, story, results)
    figure.align_ylabels()
    figure.savefig(file, dpi=110, metadata={"Date": None} if file.endswith(".svg") else None)


_TITLES = {
    "fetch_on_expiry": "go-rcache\neach caller fetches",
    "single_flight": "go-micro v6\none fetches, all wait",
    "regcache": "regcache\nnobody waits",
}


def _colour(result: Result) -> str:
    return GOOD if result.key == "regcache" else BAD


def _prepare(axes: Any, story: Story) -> None:
    axes.axvspan(story.slow_from, story.slow_until, color=SLOW, zorder=0, linewidth=0)
    axes.set_xlim(0, story.seconds)
    axes.tick_params(colors=FAINT, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#cccccc")


def _say(axes: Any, text: str, colour: str) -> None:
    """The row's number, large."""
    behind = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 2}
    place = {"transform": axes.transAxes, "ha": "right", "va": "top", "zorder": 9}
    axes.text(0.985, 0.93, text, fontsize=14, color=colour, bbox=behind, **place)


def _requests(axes: Any, story: Story, result: Result, colour: str) -> None:
    at, answered, failed = result.bins["at"], _rate(story, result, "answered"), _rate(story, result, "failed")
    both = [one + other for one, other in zip(answered, failed)]
    axes.fill_between(at, answered, color=GOOD, alpha=0.75, linewidth=0)
    axes.fill_between(at, answered, both, color=BAD, alpha=0.75, linewidth=0)
    axes.axhline(result.totals["wanted"] / story.seconds, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlabel("seconds", fontsize=10, color=FAINT)
    share = result.totals["answered"] / max(1, result.totals["wanted"])
    _say(axes, f"{share:.0%} answered", colour)


def _lookups(axes: Any, story: Story, result: Result, colour: str) -> None:
    slowest = [max(waited, 1e-6) for waited in result.bins["slowest_lookup"]]
    axes.set_yscale("log")
    axes.fill_between(result.bins["at"], 1e-6, slowest, color=colour, alpha=0.75, linewidth=0, step="mid")
    axes.axhline(LATE, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    _say(axes, f"slowest {_time(result.totals['slowest_lookup'])}", colour)


def _in_flight(axes: Any, story: Story, result: Result, colour: str) -> None:
    samples = result.samples
    axes.fill_between(samples["at"], samples["in_flight"], color=colour, alpha=0.75, linewidth=1, step="mid")
    _say(axes, f"{result.totals['registry_requests']:,} requests", colour)


def _memory(axes: Any, story: Story, result: Result, colour: str) -> None:
    samples = result.samples
    axes.fill_between(samples["at"], [max(0, value) / 1e6 for value in samples["memory"]], color=colour, alpha=0.75)
    # What was seen in a moment is less than the most that there was between two looks.
    axes.axhline(result.totals["peak_memory"] / 1e6, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    _say(axes, f"peak {result.totals['peak_memory'] / 1e6:.1f} MB", colour)


def _alive(axes: Any, story: Story, result: Result, colour: str) -> None:
    samples = result.samples
    axes.fill_between(samples["at"], samples["alive"], color=colour, alpha=0.75, linewidth=0, step="mid")
    left = story.nodes - result.totals["backends_lost"]
    _say(axes, f"{left} of {story.nodes} left", colour)


def _explain(grid: Any, story: Story) -> None:
    """What happens in every column, said once in each."""
    for axes in grid[0]:
        axes.text(story.slow_from, 1.01, " the registry is slow", transform=_top(axes), fontsize=9, color="#9a7b2f")
    for axes in grid[_ROWS.index(_alive)]:
        axes.axvline(story.sick_at, color=INK, linewidth=0.8, linestyle=":")
        axes.text(story.sick_at, 0.99, " one falls ill", transform=_top(axes), fontsize=9, color=INK, va="top")


def _top(axes: Any) -> Any:
    """x in seconds, y from 0 at the bottom to 1 at the top."""
    return axes.get_xaxis_transform()


_ROWS = (_lookups, _in_flight, _memory, _alive, _requests)
_LABELS = (
    "a lookup\ntakes",
    "registry\nrequests\nin flight",
    "memory\n(MB)",
    "backends\nregistered",
    "requests a\nsecond that\nare answered\n(blue) or\nfail (orange)",
)


def _leave_room(grid: Any, story: Story, results: Sequence[Result]) -> None:
    """Scales that begin at nothing and leave room above for the numbers."""
    for row, panel in enumerate(_ROWS):
        axes = grid[row][0]
        if panel is _lookups:
            axes.set_ylim(1e-6, 3000)
            axes.set_yticks([1e-6, LATE, 1.0], ["1 µs", "10 ms", "1 s"])
            axes.minorticks_off()
        elif panel is _requests:
            both = [(_rate(story, one, "answered"), _rate(story, one, "failed")) for one in results]
            axes.set_ylim(0, 1.5 * max(a + b for answered, failed in both for a, b in zip(answered, failed)))
        else:
            axes.set_ylim(0, axes.get_ylim()[1] * 1.3)


def _rate(story: Story, result: Result, what: str) -> Sequence[float]:
    """Counts as a rate a second, over a bin and some of its neighbours: single bins hold few."""
    counts, wide = result.bins[what], 4
    near = [counts[max(0, i - wide) : i + wide + 1] for i in range(len(counts))]
    return [sum(some) / len(some) * len(counts) / story.seconds for some in near]


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"
