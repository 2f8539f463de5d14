"""Races: what is compared is measured in turns, so that whatever else the machine does disturbs all alike."""

from __future__ import annotations

import os
import random
import time
from typing import Any, Callable, Dict, List, Mapping

import pytest

from . import machine, measure

_load = pytest.StashKey[List[float]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="fewer rounds, and health_b in place of health_c")
    parser.addoption("--incident", metavar="FOLDER", default=".benchmarks/incident", help="where the incident is kept")
    parser.addoption("--cpu-time", action="store_true", help="CPU time of the thread, where the machine is busy")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: left out by --quick")
    config.stash[_load] = list(os.getloadavg()) if hasattr(os, "getloadavg") else []
    if config.getoption("cpu_time"):
        measure.clock = time.thread_time


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    if config.getoption("quick"):
        kept = [item for item in items if not _is_long(item)]
        config.hook.pytest_deselected(items=[item for item in items if _is_long(item)])
        items[:] = kept


def _is_long(item: Any) -> bool:
    return "health_c" in _params(item).values() or item.get_closest_marker("long") is not None


def _params(item: Any) -> Dict[str, Any]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


class _Given:
    """A timer for times that were taken before: 0, the first, 0, the second, ..."""

    __name__ = "taken in turns with the others of the group"

    def __init__(self, times: List[float]) -> None:
        self._ticks = iter([tick for took in times for tick in (0.0, took)])

    def __call__(self) -> float:
        return next(self._ticks)


_raced = pytest.StashKey[Dict[Any, Dict[str, List[float]]]]()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Gives pytest-benchmark times that were taken, and what else there is to say."""

    def run(times: List[float], group: str, **info: Any) -> None:
        request.node.add_marker(pytest.mark.benchmark(timer=_Given(times), group=group))
        benchmark = request.getfixturevalue("benchmark")
        benchmark.extra_info.update(info)
        benchmark.pedantic(lambda: None, rounds=len(times))

    return run


@pytest.fixture
def race(request: pytest.FixtureRequest, record: Callable[..., None]) -> Callable[..., None]:
    """Measures all selected tests that differ from this one in ``way`` alone, round by round in turns and each round in
    another order, and gives pytest-benchmark this one's times. The first to ask runs the race."""

    def run(
        prepare: Callable[[str], Callable[[], object]],
        *,
        group: str,
        rounds: int,
        baseline: str = "",
        by: Callable[[Callable[[], object]], float] = measure.once,
        **info: Any,
    ) -> None:
        node = request.node
        way = _params(node)["way"]
        races = request.session.stash.setdefault(_raced, {})
        key = _race_of(node)
        if key not in races:
            runners = [_params(item)["way"] for item in request.session.items if _race_of(item) == key]
            if request.config.getoption("benchmark_disable"):
                by(prepare(way))  # nothing is compared, so it is enough that it works
                return
            if request.config.getoption("quick"):
                rounds = max(3, rounds // 8)
            races[key] = _raced_in_turns({name: prepare(name) for name in runners}, by, rounds)
        record(races[key][way], group, **info, way=way, baseline=baseline, in_turns=True)

    return run


def _race_of(item: Any) -> Any:
    others = {name: value for name, value in _params(item).items() if name != "way"}
    return item.location[0], getattr(item, "originalname", item.name), tuple(sorted(others.items()))


def _raced_in_turns(
    works: Mapping[str, Callable[[], object]], by: Callable[[Callable[[], object]], float], rounds: int
) -> Dict[str, List[float]]:
    order = list(works)
    shuffle = random.Random(1).shuffle
    times: Dict[str, List[float]] = {name: [] for name in order}
    for work in works.values():
        by(work)
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            times[name].append(by(works[name]))
    return times


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Dict[str, Any]) -> None:
    machine_info.update(machine.about(), clock=measure.clock.__name__, quick=config.getoption("quick"))
    machine_info["load_average_at_start"] = config.stash[_load]
