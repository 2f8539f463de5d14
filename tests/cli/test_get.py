"""``regcache get``: a service's nodes, asked of a registry."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path
from typing import Any, Iterator

import pytest
import zstandard

from regcache.cli import _parser
from tests import build, recorded
from tests.consul import Agent
from tests.faulty import FaultyServer, response

from .conftest import Run, typed

BODY = recorded.body("health_a").data
NAME = "go.micro.srv.greeter"


def get(run: Run, url: str, *more: Any, service: str = NAME) -> Any:
    return run("get", service, "--registry", url, *more)


# -- a real agent ------------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(consul_agent: Agent, service_name: str) -> Iterator[str]:
    """The name of a service with three nodes."""
    consul_agent.register(json.loads(BODY), service_name)
    yield service_name
    consul_agent.deregister(service_name)


def test_a_service_of_an_agent(run: Run, consul_agent: Agent, registered: str) -> None:
    done = get(run, f"consul://{consul_agent.address}", service=registered)
    assert done.code == 0 and done.err == ""
    assert done.lines[0] == f"{registered}: 3 nodes in 1 version, 3 passing"
    for entry in json.loads(BODY):
        (row,) = [line for line in done.lines if entry["Service"]["ID"] in line]
        assert f"{entry['Service']['Address']}:{entry['Service']['Port']}" in row


def test_json_is_what_decode_makes_of_the_agents_answer(run: Run, consul_agent: Agent, registered: str) -> None:
    body = consul_agent.raw("GET", f"/v1/health/service/{registered}")[1]
    done = get(run, consul_agent.url, "--json", service=registered)
    assert done.code == 0
    assert done == run("decode", "--json", "-", stdin=body)


def test_the_same_as_a_process(run: Run, consul_agent: Agent, registered: str) -> None:
    assert typed("get", registered, "--registry", consul_agent.url) == get(run, consul_agent.url, service=registered)


def test_an_unknown_service(run: Run, consul_agent: Agent, service_name: str) -> None:
    done = get(run, consul_agent.url, service=service_name)
    assert done.code == 1
    assert (
        done.complaint == f"{consul_agent.url} has no service {service_name!r} (or it cannot be read without a token)"
    )


def test_an_unknown_datacenter(run: Run, consul_agent: Agent) -> None:
    done = get(run, consul_agent.url, "--datacenter", "nowhere", service="consul")
    assert done.code == 1 and "No path to datacenter" in done.complaint


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_token_and_datacenter_are_sent(run: Run) -> None:
    with FaultyServer(response(BODY)) as server:
        assert get(run, server.url, "--token", "5ecre7", "--datacenter", "dc2").code == 0
    (request,) = server.requests
    assert b"X-Consul-Token: 5ecre7\r\n" in request
    assert b"dc=dc2" in request.split(b"\r\n")[0]


def test_the_token_is_not_shown(run: Run) -> None:
    with FaultyServer(response(b"Permission denied", status="403 Forbidden")) as server:
        done = get(run, server.url, "--token", "5ecre7")
    assert done.code == 1
    assert done.complaint.endswith("403 (Permission denied): the token was refused; check --token and its policies")
    assert "5ecre7" not in done.err
    done = get(run, "consul://127.0.0.1", "--token", "5ecre7 ")
    assert done.code == 2 and "5ecre7" not in done.complaint


def test_a_token_that_may_not_read_it_is_named(run: Run) -> None:
    with FaultyServer(response(b"[]")) as server:
        done = get(run, server.url, "--token", "5ecre7")
    assert done.code == 1
    assert done.complaint == f"{server.url} has no service {NAME!r} (or the token may not read it)"


def test_messages_name_the_options_and_not_the_arguments(run: Run) -> None:
    for status, said in (("403 No", "give one as --token"), ("500 No", "and check --datacenter")):
        with FaultyServer(response(status=status)) as server:
            assert get(run, server.url).complaint.endswith(said)
    with FaultyServer(response(status="500 No")) as server:
        done = run("deregister", NAME, "--registry", server.url)
    assert done.code == 1 and done.complaint.endswith(": look at the agent's log")


@pytest.mark.parametrize("option", ["--token", "--datacenter"])
def test_what_is_for_consul_alone_is_refused_elsewhere(run: Run, tmp_path: Path, option: str) -> None:
    done = get(run, tmp_path.as_uri(), option, "x")
    assert done.code == 2 and done.complaint.startswith("--token and --datacenter are for Consul, which file:///")


def test_the_agent_of_this_machine_is_asked_unless_another_is_named() -> None:
    args = _parser().parse_args(["get", NAME])
    assert args.registry == _parser().parse_args(["deregister", NAME]).registry == "consul://127.0.0.1:8500"


# -- other registries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending, pack", [(".json", bytes), (".json.gz", gzip.compress), (".json.zst", zstandard.compress)]
)
def test_a_folder_of_bodies(run: Run, tmp_path: Path, ending: str, pack: Any) -> None:
    (tmp_path / (NAME + ending)).write_bytes(pack(BODY))
    done = get(run, tmp_path.as_uri(), "--json")
    assert done.code == 0
    assert done == run("decode", "--json", "-", stdin=BODY)


def test_a_folder_without_the_service(run: Run, tmp_path: Path) -> None:
    done = get(run, tmp_path.as_uri())
    assert done.code == 1 and f"{tmp_path} has no file for {NAME!r}" in done.complaint


def test_a_folder_with_another_service_under_this_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "greeter.json").write_bytes(BODY)
    url = tmp_path.as_uri()
    done = get(run, url, service="greeter")
    assert done.code == 1
    assert done.complaint == f"{url} has no service 'greeter' (but 3 nodes of another)"


def test_a_folder_with_a_broken_body(run: Run, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.json").write_bytes(BODY[:-9])
    done = get(run, tmp_path.as_uri())
    assert done.code == 1 and done.out == ""
    url = tmp_path.as_uri()
    assert done.complaint.startswith(f"the answer of {url} for {NAME!r}: byte {len(BODY) - 9}, [2]")


def test_an_empty_memory(run: Run) -> None:
    done = get(run, "memory://")
    assert done.code == 1 and done.complaint == f"memory:// has no service {NAME!r}"


def test_warnings_are_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "svc.json").write_bytes(build.body(build.entry(tags=("v-zz",))))
    done = get(run, tmp_path.as_uri(), service="svc")
    assert done.code == 0 and done.lines[-2] == "1 warning:" and done.lines[-1].endswith(": not a hex digit")


# -- what people get wrong -----------------------------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback on which nobody listens: it is bound, so that nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_nobody_listens(run: Run, closed_port: int) -> None:
    done = get(run, f"consul://127.0.0.1:{closed_port}")
    assert done.code == 1
    assert done.complaint == (
        f"http://127.0.0.1:{closed_port} cannot be reached: Connection refused; is the agent running?"
    )


def test_nobody_listens_and_no_traceback_is_shown(closed_port: int) -> None:
    done = typed("get", NAME, "--registry", f"consul://127.0.0.1:{closed_port}")
    assert done.code == 1 and "Connection refused" in done.complaint


def test_no_socket_of_this_name(run: Run, tmp_path: Path) -> None:
    done = get(run, f"consul+unix://{tmp_path}/consul.sock")
    assert done.code == 1 and "cannot be reached: No such file or directory" in done.complaint


def test_an_agent_that_does_not_answer(run: Run) -> None:
    with FaultyServer(lambda connection, request: connection.recv(1)) as server:
        done = get(run, server.url, "--timeout", "0.2")
    assert done.code == 1 and done.complaint == f"{server.url} did not answer to the end within 0.2 s"


@pytest.mark.parametrize(
    "answer, said",
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (response(b"not found", status="404 Not Found"), "is this the address of a Consul agent?"),
        (response(headers={"X-Consul-Index": None}), "is this a Consul agent"),
        (response(b"<html>"), "byte 0: a JSON value was expected"),
        (response(b"[]", headers={"Content-Length": "1000"}), "cut short"),
    ],
    ids=["ssh", "404", "a web server", "html", "cut short"],
)
def test_a_server_that_is_no_agent(run: Run, answer: bytes, said: str) -> None:
    with FaultyServer(answer) as server:
        done = get(run, server.url)
    assert done.code == 1 and done.out == ""
    assert said in done.complaint


@pytest.mark.parametrize(
    "url, said",
    [
        ("etcd://127.0.0.1", "it looks like consul://host:port"),
        ("127.0.0.1:8500", "it looks like consul://host:port"),
        ("", "it looks like consul://host:port"),
        ("file://elsewhere/folder", "three slashes: file:///folder"),
        ("memory://x", "it looks like consul://host:port"),
        ("consul://127.0.0.1:99999", "'consul://127.0.0.1:99999' has no port that can be"),
        ("consul://a b", "a b"),
        ("consul://me:hush@127.0.0.1", "give the token as --token"),
        ("consul://127.0.0.1?dc=x", "has no query"),
    ],
)
def test_a_url_that_names_no_registry_is_2(run: Run, url: str, said: str) -> None:
    done = get(run, url)
    assert done.code == 2 and done.out == ""
    assert said in done.complaint and "hush" not in done.complaint


def test_an_empty_name_is_2(run: Run) -> None:
    done = get(run, "memory://", service="")
    assert done.code == 2 and done.complaint == "a service's name may not be empty"
