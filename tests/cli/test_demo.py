"""``regcache demo``: what regcache does, on a recorded body or on a live agent."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Iterator, List

import pytest
import zstandard

import regcache.cli.demo
from regcache import codec
from regcache.cli import baseline
from regcache.cli.measure import median_time
from regcache.cli.text import cells
from regcache.model import Record
from tests import build, recorded
from tests.consul import Agent
from tests.faulty import FaultyServer, response

from .conftest import Done, Run, typed

SMALL = recorded.GOMICRO / "consul" / "health_a.json"
#: What stands over each part.
HEADINGS = ("What it says", "How long it takes", "What it held in memory at most", "Picking nodes")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 picks in place of 100,000, and every time is taken once: what is shown is the same, sooner."""
    monkeypatch.setattr(regcache.cli.demo, "PICKS", 600)
    monkeypatch.setattr(regcache.cli.demo, "median_time", partial(median_time, runs=1))


def parts(done: Done) -> List[str]:
    """The headings on the page, in their order."""
    return [heading for line in done.lines for heading in HEADINGS if line.startswith(heading)]


def test_all_of_it_without_a_registry(run: Run) -> None:
    """As in the README: on the body that comes with the package."""
    done = run("demo")
    assert done.code == 0 and done.err == ""
    assert done.lines[0].startswith(f"regcache, {codec.BACKEND} codec, ")
    assert done.lines[1].startswith("on go.micro.srv.catalog: 22.6 MB")
    assert parts(done) == list(HEADINGS)
    assert "  2,000 nodes in " in done.out
    assert "after the refresh 2,000 of 2,000 nodes are the same objects as before" in done.out


def test_a_body_of_ones_own(run: Run) -> None:
    done = run("demo", "--body", SMALL)
    assert done.code == 0 and done.err == ""
    assert done.lines[1].startswith(f"on go.micro.srv.greeter: 7.6 kB, the body in {SMALL}")
    assert parts(done) == list(HEADINGS)
    assert "  3 nodes in 1 version: 3 passing" in done.lines
    assert "  0 warnings: every part of the body could be used" in done.lines
    assert "  after the refresh 3 of 3 nodes are the same objects as before" in done.lines
    assert "600 picks in a loop" in done.out
    assert "3 nodes, each picked 200 times" in done.out  # by round_robin


def test_the_same_as_a_process() -> None:
    done = typed("demo", "--body", SMALL)
    assert done.code == 0 and done.err == ""
    assert parts(done) == list(HEADINGS)
    assert "100,000 picks in a loop" in done.out


def test_one_of_its_nodes_is_shown(run: Run) -> None:
    done = run("demo", "--body", SMALL)
    node = codec.decode(SMALL.read_bytes())[0]
    assert f"    node.target     {node.target}" in done.lines
    assert f"    node.version    {node.version}" in done.lines
    assert "    node.endpoints  Greeter.Quote, Greeter.Release" in done.lines


@pytest.mark.parametrize("form", ["compact", "go-micro", "both"])
def test_what_is_said_of_tags_and_buffers_is_true_of_compact_tags_too(run: Run, form: str) -> None:
    record = Record("1.0", True, {"protocol": "grpc"})
    tags = codec.encode_tags(record, form=form)
    done = run("demo", "--body", "-", stdin=build.body(build.entry(tags=tags)))
    assert done.code == 0
    # Beside a compact tag those of go-micro say nothing new.
    unpacked = 2 if form == "go-micro" else 1
    assert f"  {len(tags)} tag{'s' * (len(tags) > 1)}, {unpacked} of them unpacked: " in done.out
    assert "after the refresh 1 of 1 node is the same object as before" in done.out
    within = codec.BACKEND == "pure" or form == "go-micro"
    assert ("  of that, the decoder's own buffers: " in done.out) == within
    assert ("what libzstd has of them for compact tags is not in the bar" in done.out) == (not within)


def test_a_packed_body_from_standard_input(run: Run) -> None:
    done = run("demo", "--body", "-", stdin=zstandard.compress(SMALL.read_bytes()))
    assert done.code == 0
    assert done.lines[1].endswith("the body in standard input")
    assert parts(done) == list(HEADINGS)


def test_each_measurement_has_a_time_and_a_comparison(run: Run) -> None:
    text = run("demo", "--body", SMALL).out
    for name in ("json + zlib", "json + zlib, with a memo of tags", "regcache, the first time", "regcache, refreshed"):
        assert re.search(rf"^  {re.escape(name)}.* [\d.]+ (ns|µs|ms|s)  █*", text, re.MULTILINE), name
    for name in ("the first time", "refreshed"):
        assert re.search(rf"^  {name} +[\d.]+ times (faster|slower) than json", text, re.MULTILINE), name


def test_a_body_that_the_plain_reading_cannot_read(run: Run) -> None:
    """regcache goes on where one entry is null; the comparison is left out."""
    done = run("demo", "--body", "-", stdin=build.body(None, build.entry(tags=("v=1", "t-zz"))))
    assert done.code == 0
    assert sum("cannot read this body" in line for line in done.lines) == 2
    assert "  byte 1, [0]: the entry has no Service" in done.lines
    assert "2 warnings:" in done.lines


def test_nodes_that_may_not_be_picked(run: Run) -> None:
    done = run(
        "demo",
        "--body",
        "-",
        stdin=build.body(build.entry(Checks=[{"CheckID": "_node_maintenance", "Status": "critical"}])),
    )
    assert done.code == 0
    assert "no node may be picked" in done.lines[-1]


@pytest.mark.parametrize("columns", [50, 80])
def test_no_row_of_what_a_body_says_is_wider_than_the_window(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("demo", "--body", recorded.GOMICRO / "consul" / "health_unicode.json")
    assert done.code == 0
    said = done.lines[: done.lines.index("  0 warnings: every part of the body could be used")]
    rows = [line for line in said if line.startswith("    ")]
    assert len(rows) >= 8 and max(map(cells, rows)) <= columns


def test_the_plain_reading_is_a_fair_one() -> None:
    """It finds the same as regcache, so that the two may be compared."""
    for name in ("health_a", "health_b"):
        body = recorded.body(name).data
        for nodes in (baseline.read(body), baseline.read(body, {})):
            snapshot = codec.decode(body)
            assert [(n.id, n.address, n.port, n.version, n.metadata) for n in nodes] == [
                (n.id, n.address, n.port, n.version, dict(n.metadata)) for n in snapshot
            ]
            assert [[e["name"] for e in n.endpoints] for n in nodes] == [
                [e.name for e in n.endpoints] for n in snapshot
            ]


# -- a live agent ------------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(consul_agent: Agent, service_name: str) -> Iterator[str]:
    """The name of a service with 40 nodes."""
    consul_agent.register(json.loads(recorded.body("health_b").data)[:40], service_name)
    yield service_name
    consul_agent.deregister(service_name)


def test_the_services_of_a_live_agent(run: Run, consul_agent: Agent, registered: str) -> None:
    done = run("demo", "--consul", consul_agent.url, "--service", registered)
    assert done.code == 0 and done.err == ""
    assert done.lines[0] == f"The services of {consul_agent.url}"
    rows = {line.split()[0]: line.split()[1] for line in done.lines[3 : done.lines.index("", 3)]}
    assert "consul" in rows and rows[registered] == "40"
    assert parts(done) == list(HEADINGS)
    assert "  40 nodes in " in done.out
    assert any(line.startswith(f"on {registered}: ") and consul_agent.url in line for line in done.lines)


def test_the_largest_service_is_the_subject(run: Run, consul_agent: Agent, registered: str) -> None:
    done = run("demo", "--consul", consul_agent.url)
    assert done.code == 0
    assert parts(done) == list(HEADINGS)


# -- what people get wrong -----------------------------------------------------------------------------------------------


def test_an_unknown_service(run: Run, consul_agent: Agent, service_name: str) -> None:
    done = run("demo", "--consul", consul_agent.url, "--service", service_name)
    assert done.code == 1 and done.out == ""
    assert (
        done.complaint == f"{consul_agent.url} has no service {service_name!r} (or it cannot be read without a token)"
    )


def test_a_token_is_sent(run: Run) -> None:
    with FaultyServer(response(status="403 Forbidden")) as server:
        done = run("demo", "--consul", server.url, "--token", "5ecre7")
    assert done.code == 1 and done.complaint.endswith("check --token and its policies")
    assert b"X-Consul-Token: 5ecre7\r\n" in server.requests[0]
    assert run("demo", "--token", "5ecre7").complaint == "--token goes with --consul"


def test_nobody_listens(run: Run) -> None:
    done = run("demo", "--consul", "http://127.0.0.1:0")
    assert done.code == 1 and done.out == ""
    assert "http://127.0.0.1:0 cannot be reached: " in done.complaint


@pytest.mark.parametrize("url", ["127.0.0.1:8500", "etcd://127.0.0.1"])
def test_a_url_that_names_no_agent_is_2(run: Run, url: str) -> None:
    done = run("demo", "--consul", url)
    assert done.code == 2 and "looks like consul://host:port" in done.complaint


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "nothing.json"
    assert run("demo", "--body", file).complaint == f"{file}: No such file or directory"


@pytest.mark.parametrize(
    "body, said",
    [
        (b"[]", "- holds no node of a service with a name"),
        (build.body(build.entry(Service_Service="")), "- holds no node of a service with a name"),
        (b"[{}", "-: byte 3: the body ends before the list does"),
        (b"", "-: byte 0: the body ends before the list does"),
    ],
)
def test_a_body_without_nodes(run: Run, body: bytes, said: str) -> None:
    done = run("demo", "--body", "-", stdin=body)
    assert done.code == 1 and done.out == ""
    assert done.complaint == said
