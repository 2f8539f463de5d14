"""What the report makes of a run: tables of each form, and the groups in which we lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

losses = pytest.importorskip("benchmarks.losses", reason="the benchmarks are not here")
report = pytest.importorskip("benchmarks.report", reason="the benchmarks are not here")


def member(group: str, way: str, *times: float, **info: Any) -> Dict[str, Any]:
    ordered = sorted(times)
    middle = ordered[len(ordered) // 2]
    stats = {"data": list(times), "median": middle, "q1": ordered[0], "q3": ordered[-1], "min": ordered[0]}
    return {
        "group": group,
        "name": way,
        "stats": {**stats, "rounds": len(times)},
        "extra_info": {"way": way, "baseline": "naive", "in_turns": True, **info},
    }


HERD = {"callers": 2, "delay": 0.25, "loads": [1], "waited": [0], "p50": 1e-6, "p99": 1e-6, "longest": 0.1}
CALLS = {"how": "quiet", "parts": [0.5, 0.9, 0.99, 1.0], "refreshes": 0, "seconds": 1.0}

RUN: Dict[str, Any] = {
    "datetime": "2026-01-02T03:04:05",
    "machine_info": {
        "system": "Linux",
        "release": "6",
        "machine": "x86_64",
        "python_implementation": "CPython",
        "python_version": "3.11.7",
        "python_compiler": "GCC",
        "load_average": [0.5, 0.25, 0.125],
    },
    "benchmarks": [
        member("lost", "naive", 1.0, 2.0, 4.0),
        member("lost", "compiled", 2.0, 4.0, 8.0),
        member("lost", "compiled-chunks", 3.0, 6.0, 9.0),
        member("won", "naive", 2.0, 2.0, 2.0),
        member("won", "compiled", 1.0, 1.0, 1.0),
        member("won", "pure", 5.0, 6.0, 7.0),
        member("floor", "empty", 1e-9, 1e-9),
        member("floor", "select", 2e-9, 2e-9),
        member(
            "memory", "naive", 1.0, peak_bytes=1000, held_bytes=10, rss_peak_bytes=2000, rss_held_bytes=20, threads=1
        ),
        member(
            "memory", "compiled", 1.0, peak_bytes=2000, held_bytes=10, rss_peak_bytes=2000, rss_held_bytes=20, threads=1
        ),
        member("herd", "dogpile.cache", 1.0, herd={**HERD, "points": [1e-6, 0.1]}),
        member("herd", "regcache", 1.0, herd={**HERD, "points": [1e-6, 0.1]}),
        member("calls", "cachetools-lock", 1.0, calls={**CALLS, "middle": [1e-6, 2e-6, 3e-6, 4e-6]}),
        member("calls", "regcache, select", 1.0, calls={**CALLS, "middle": [1e-6, 2e-6, 6e-6, 7e-6]}),
    ],
}


def test_losses_are_found_in_the_numbers() -> None:
    """The best of ours with each codec beside the best of the others; floors are no way."""
    found = {(one.group, one.backend): one for one in losses.losses(RUN) if one.ours != "compiled-chunks"}
    assert set(found) == {("lost", "compiled"), ("won", "pure"), ("memory", "compiled"), ("calls", "compiled")}
    lost = found["lost", "compiled"]
    assert (lost.ours, lost.other, lost.times) == ("compiled", "naive", 2.0)
    assert found["memory", "compiled"].ours_takes == "2.0 kB"
    assert found["calls", "compiled"].times == 2.0
    times = [one.times for one in losses.losses(RUN)]
    assert times == sorted(times, reverse=True)


def test_the_report_has_every_group_and_the_machine() -> None:
    said = report.report(RUN)
    for group in ("lost", "won", "floor", "memory", "herd", "calls"):
        assert f"### {group}\n" in said
    assert "- load average at the end: 0.50, 0.25, 0.12" in said
    (row,) = [line for line in said[said.index("### won") :].splitlines() if line.startswith("| compiled")][:1]
    assert [cell.strip() for cell in row.split("|")][1:6] == ["compiled", "1 s", "1 s - 1 s", "1 s", "3"]


def test_pictures(tmp_path: Path) -> None:
    """Those are drawn whose numbers are there."""
    pytest.importorskip("matplotlib")
    from benchmarks import pictures

    drawn = pictures.draw(RUN, tmp_path)
    assert set(drawn) == {"memory.png", "herd.png", "latency.png"} == {file.name for file in tmp_path.iterdir()}


def test_what_a_cache_meets_is_a_loss_of_its_own_where_it_is_worse() -> None:
    lost = [one for one in losses.losses(RUN) if one.group == "lost"]
    assert [(one.ours, one.times, one.spread) for one in lost] == [
        ("compiled-chunks", 3.0, "2.62 - 3.00"),
        ("compiled", 2.0, ""),
    ]


def test_the_compact_form_is_compared_with_go_micros() -> None:
    run = {**RUN, "benchmarks": [member("a", "go-micro", 1.0, 1.0), member("a", "compact", 2.0, 2.0)]}
    assert [(one.group, one.times) for one in losses.behind(run)] == [("a", 2.0)]
    assert "in no group of this run" in report.report(RUN).partition("compact form")[2]


def test_a_further_run_adds_its_own_groups() -> None:
    more = {**RUN, "datetime": "2026-02-03T00:00:00", "benchmarks": [member("new", "naive", 1.0), RUN["benchmarks"][0]]}
    said = report.report(report.together([RUN, more]))
    assert "### new\n" in said and '"new"' in said and "2026-02-03" in said
    assert said.count("### lost\n") == 1 and "### new\n" not in report.report(RUN)


def test_a_change_beside_its_base() -> None:
    beside = pytest.importorskip("benchmarks.beside")
    slower = [
        member(one["group"], one["extra_info"]["way"], *(2 * t for t in one["stats"]["data"]))
        if one["extra_info"]["way"] == "compiled"
        else one
        for one in RUN["benchmarks"]
    ]
    found = beside.moved(RUN, {**RUN, "benchmarks": slower})
    times = {(one.group, one.way): one.times for one in found}
    assert times["lost", "compiled"] == 0.5 and times["lost", "compiled-chunks"] == 1.0
    assert [one.times for one in found] == sorted(one.times for one in found)
