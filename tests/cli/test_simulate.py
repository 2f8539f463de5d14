"""``regcache simulate incident``: short runs. What is asserted must hold on a machine that is busy with other things."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Dict

import pytest

from regcache.simulate import CACHES, Story, play
from regcache.simulate.callers import Callers
from regcache.simulate.record import BINS
from tests.consul import Agent
from tests.faulty import FaultyServer, response

from .conftest import Run, typed

#: Few enough for some seconds, and as crowded as the story needs.
SMALL = ("--seconds", "4.5", "--nodes", "10", "--callers", "60")
TOTALS = {
    "registry_requests",
    "registry_requests_in_flight",
    "lookups",
    "late_lookups",
    "slowest_lookup",
    "wanted",
    "answered",
    "errors",
    "peak_memory",
    "backends_lost",
}


def _check(seen: Dict[str, Any]) -> None:
    """The invariants of a run, whatever the machine is doing."""
    story = seen["story"]
    runs = {run["key"]: run["totals"] for run in seen["runs"]}
    assert list(runs) == [caching.key for caching in CACHES]
    each_fetches, one_fetches, ours = runs.values()

    # Ours asks about once for each ttl. Nobody waits for the slow registry: what may be late are the few lookups
    # from which a busy machine took the CPU, while whoever waits is late every time.
    assert 1 < ours["registry_requests"] <= 2 * story["seconds"] / story["ttl"]
    assert ours["registry_requests_in_flight"] == 1
    assert ours["slowest_lookup"] < story["slow"] or ours["late_lookups"] < ours["lookups"] / 50
    assert ours["answered"] > 0

    # The ancestors stood in line, the first of them with a request for each caller.
    assert each_fetches["slowest_lookup"] > story["slow"]
    assert one_fetches["slowest_lookup"] > story["slow"] / 2
    assert each_fetches["registry_requests"] > 2 * ours["registry_requests"]
    assert each_fetches["registry_requests_in_flight"] > 10
    assert one_fetches["registry_requests_in_flight"] == 1

    assert len({run["wanted"] for run in runs.values()}) == 1
    for run in runs.values():
        assert set(run) == TOTALS
        assert 0 <= run["late_lookups"] <= run["lookups"]
        assert run["answered"] + run["errors"] <= run["wanted"]
        assert 0 <= run["backends_lost"] <= story["nodes"]
        assert run["peak_memory"] > 0


def test_what_was_seen_as_json(run: Run) -> None:
    before = threading.active_count()
    done = run("simulate", "incident", *SMALL, "--json", "-")
    assert done.code == 0 and done.err == ""
    seen = json.loads(done.out)
    assert seen["registry"] == "embedded"
    assert (seen["story"]["seconds"], seen["story"]["nodes"], seen["story"]["callers"]) == (1.5, 10, 60)
    _check(seen)
    for one in seen["runs"]:
        assert set(one["bins"]) == {"at", "slowest_lookup", "answered", "failed"}
        assert {len(values) for values in one["bins"].values()} == {BINS}
        assert sum(one["bins"]["answered"]) == one["totals"]["answered"]
        assert sum(one["bins"]["failed"]) == one["totals"]["errors"]
        assert set(one["samples"]) == {"at", "in_flight", "memory", "alive"}
        assert len({len(values) for values in one["samples"].values()}) == 1
        assert one["samples"]["alive"][-1] == seen["story"]["nodes"] - one["totals"]["backends_lost"]
    assert threading.active_count() == before


def test_the_table(tmp_path: Path) -> None:
    """As people type it; the JSON goes into a file beside it."""
    file = tmp_path / "seen.json"
    done = typed("simulate", "incident", *SMALL, "--seed", "2", "--json", file)
    assert done.code == 0 and done.err == ""
    assert done.lines[0] == "60 callers, 10 backends, a registry in this process"
    heads = [line.strip().split("   ")[0] for line in done.lines[4:]]
    assert done.lines[3].split("  ")[-1].strip() == "regcache"
    assert heads == [
        "registry requests",
        "in flight at once",
        "lookups slower than 10 ms",
        "slowest lookup",
        "requests answered",
        "errors",
        "peak memory (tracemalloc)",
        "backends lost",
    ]
    seen = json.loads(file.read_text())
    _check(seen)
    assert [f"{one['totals']['registry_requests']:,}" for one in seen["runs"]] == done.lines[4].split()[2:]


def test_with_a_real_agent_which_is_left_as_it_was(run: Run, consul_agent: Agent) -> None:
    done = run("simulate", "incident", *SMALL, "--consul", consul_agent.url, "--json", "-")
    assert done.code == 0, done.err
    seen = json.loads(done.out)
    assert seen["registry"] == "consul"
    _check(seen)
    assert not [one for one in consul_agent.api("GET", "/v1/agent/services") if "simulate" in one]


def test_the_same_seed_wants_the_same() -> None:
    """Two runs differ in what the machine does, never in what is asked for, and when."""
    due = []
    nobody: Any = None
    for seed in (1, 1, 2):
        story = Story(0.4, 5, 10, seed)
        due.append([caller.due for caller in Callers(story, nobody, nobody, threading.Event()).each])
    assert due[0] == due[1] != due[2]


def test_a_failure_leaves_no_threads_and_no_nodes() -> None:
    """A registry that fails at the first lookup."""
    from regcache import Unavailable
    from regcache.simulate.service import Embedded

    homes = []

    class Broken(Embedded):
        def __init__(self) -> None:
            super().__init__()
            homes.append(self)

        def fetch(self, service: str, **how: Any) -> Any:
            raise Unavailable("nobody there")

    before = threading.active_count()
    for caching in CACHES:
        with pytest.raises(Unavailable, match="nobody there"):
            play(Story(0.4, 5, 10), caching, Broken)
    assert [home.services() for home in homes] == [[], [], []]
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (("--plot", "x.gif"), "--plot x.gif: a picture ends with .png or .svg"),
        (("--plot", "/no/such/x.png"), "/no/such/x.png: there is no such folder"),
        (("--json", "/no/such/x.json"), "/no/such/x.json: there is no such folder"),
        (("--consul", "nonsense"), "names no registry: it looks like consul://"),
        (("--consul", ""), "names no registry: it looks like consul://"),
        (("--plot", "/"), "/: is a folder"),
        (("--json", "/"), "/: is a folder"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(run: Run, arguments: Any, complaint: str) -> None:
    done = run("simulate", "incident", *arguments)
    assert done.code == 2 and done.out == ""
    assert complaint in done.complaint


@pytest.mark.parametrize("arguments", [("--seconds", "0"), ("--seconds", "nan"), ("--nodes", "0"), ("--callers", "x")])
def test_numbers_that_are_none(run: Run, arguments: Any) -> None:
    done = run("simulate", "incident", *arguments)
    assert done.code == 2 and done.out == ""
    assert "is wanted, not" in done.err


def test_a_story_is_wanted(run: Run) -> None:
    assert run("simulate").code == 2


def test_an_agent_that_is_not_there(run: Run) -> None:
    done = run("simulate", "incident", "--consul", "http://127.0.0.1:1")
    assert done.code == 1 and done.out == ""
    assert "cannot be reached" in done.complaint


def test_a_token_is_sent(run: Run) -> None:
    with FaultyServer(response(status="403 Forbidden")) as server:
        done = run("simulate", "incident", "--consul", server.url, "--token", "5ecre7")
    assert done.code == 1 and done.complaint.endswith("check --token and its policies")
    assert b"X-Consul-Token: 5ecre7\r\n" in server.requests[0]
    assert run("simulate", "incident", "--token", "5ecre7").complaint == "--token goes with --consul"


def test_a_picture_without_matplotlib(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from regcache.simulate import picture

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(picture.importlib, "import_module", missing)
    done = run("simulate", "incident", "--plot", "x.png")
    assert done.code == 1 and done.out == ""
    assert done.complaint.startswith("--plot needs matplotlib: pip install 'regcache[plot]'")


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture(run: Run, tmp_path: Path, form: str) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"seen.{form}"
    done = run("simulate", "incident", "--seconds", "1.5", "--nodes", "5", "--callers", "10", "--plot", file)
    assert done.code == 0, done.err
    assert file.read_bytes().startswith(b"\x89PNG" if form == "png" else b"<?xml")
