"""``regcache register`` and ``deregister`` with a real agent, and ``regcache tags encode``."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import quote

import pytest

from regcache import decode
from regcache.codec import decode_tags
from regcache.registry import ConsulRegistry
from tests import oracle
from tests.consul import Agent, free_ports, running
from tests.eventually import eventually
from tests.faulty import FaultyServer, response
from tests.registry.test_registration import answering

from .conftest import SECONDS, Run, command, environment, typed

consul = pytest.importorskip("consul", reason="the extra consul is not installed")


def known(agent: Agent) -> Dict[str, Any]:
    services: Dict[str, Any] = agent.api("GET", "/v1/agent/services")
    return services


def heeding() -> None:
    """In a shell's background SIGINT is ignored, below nohup SIGHUP, and a command inherits that."""
    for one in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)


class Running:
    """A command that goes on until it is stopped; killed at the end of the test."""

    def __init__(self, *arguments: Any, **settings: str) -> None:
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**settings),
            preexec_fn=heeding,
        )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self, how: signal.Signals) -> "tuple[int, List[str], str]":
        """The exit code, the lines that follow, and what it complains of."""
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out.splitlines(), err


def register(agent: Agent, name: str, *more: Any, **settings: str) -> Running:
    arguments = ["--address", "10.0.0.1", "--port", 8080, "--registry", f"consul://{agent.address}", *more]
    return Running("register", name, *arguments, **settings)


# -- register ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_registered_until_it_is_stopped(consul_agent: Agent, service_name: str, how: signal.Signals) -> None:
    options = ["--id", service_name + "/1", "--version", "1.0", "--metadata", "protocol=grpc", "--metadata", "empty="]
    options += ["--metadata", "a=b=c", "--endpoint", "Say.Hello", "--endpoint", "Say.Bye", "--ttl", "1m30s"]
    options += ["--address", "10.0.0.1", "--port", "8080", "--registry", f"consul://{consul_agent.address}"]
    # In the order of the usage: the name comes last.
    with Running("register", *options, "--metadata", "more=1", "--tag", "eu", service_name) as running_:
        assert running_.line() == (
            f"registered {service_name} as {service_name}/1 at 10.0.0.1:8080, with {consul_agent.url}"
        )
        assert running_.line() == "passing at least every 60 s of a TTL of 90 s; Ctrl-C stops it"
        said = known(consul_agent)[service_name + "/1"]
        assert (said["Service"], said["Address"], said["Port"]) == (service_name, "10.0.0.1", 8080)
        for read in (decode_tags(said["Tags"]).to_dict(), oracle.decode_tags(said["Tags"])):
            assert read["version"] == "1.0"
            assert read["metadata"] == {"protocol": "grpc", "empty": "", "a": "b=c", "more": "1"}
            assert [endpoint["name"] for endpoint in read["endpoints"]] == ["Say.Hello", "Say.Bye"]
            assert "eu" in read["tags"]
        code, lines, complaint = running_.stop(how)
        assert service_name + "/1" not in known(consul_agent)
    assert (code, complaint) == (0, "")
    assert lines == [f"stopping: {how.name}", f"deregistered {service_name}/1"]


def test_two_of_a_service_have_ids_of_their_own(consul_agent: Agent, service_name: str) -> None:
    with register(consul_agent, service_name) as one, register(consul_agent, service_name) as other:
        one.line(), other.line()
        ids = [key for key, said in known(consul_agent).items() if said["Service"] == service_name]
        assert len(ids) == 2 and all(key.startswith(service_name + "-") for key in ids)
        assert one.stop(signal.SIGTERM)[0] == other.stop(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("form, ours", [("both", 1), ("go-micro", 0), ("compact", 1)])
def test_forms(consul_agent: Agent, service_name: str, form: str, ours: int) -> None:
    with register(consul_agent, service_name, "--id", service_name, "--version", "1.0", "--form", form) as running_:
        running_.line()
        tags = known(consul_agent)[service_name]["Tags"]
        assert [tag[:2] for tag in tags] == ["m~"] * ours + (["v-"] if form != "compact" else [])
        assert running_.stop(signal.SIGTERM)[0] == 0


def test_without_an_address_it_is_the_agents(consul_agent: Agent, service_name: str) -> None:
    where = ["--port", "80", "--registry", f"consul://{consul_agent.address}"]
    with Running("register", service_name, "--id", service_name, "--address", "", *where) as running_:
        said = running_.line()
        assert (
            said
            == f"registered {service_name} as {service_name} at the agent's address, port 80, with {consul_agent.url}"
        )
        assert running_.stop(signal.SIGTERM)[0] == 0


def test_the_environment_decides_nothing(consul_agent: Agent, service_name: str) -> None:
    settings = {"CONSUL_HTTP_ADDR": "127.0.0.1:9", "CONSUL_HTTP_TOKEN": "nonsense", "http_proxy": "http://127.0.0.1:9"}
    with register(consul_agent, service_name, **settings) as running_:
        assert running_.line().startswith("registered ")
        assert running_.stop(signal.SIGTERM)[0] == 0


def test_an_agent_that_is_restarted_without_its_data_gets_it_back(consul_program: str, tmp_path: Path) -> None:
    ports = free_ports(3)
    with running(consul_program, tmp_path, "-dev", ports=ports) as agent:
        running_ = register(agent, "greeter", "--id", "greeter-1", "--ttl", "3s")
        assert running_.line().startswith("registered ")
    with running_:
        with running(consul_program, tmp_path, "-dev", ports=ports) as agent:
            eventually(lambda: "greeter-1" in known(agent))
            code, lines, complaints = running_.stop(signal.SIGTERM)
    assert (code, lines[-1]) == (0, "deregistered greeter-1")
    assert f"regcache: greeter at {agent.url}: was lost, and is registered again (greeter-1)\n" in complaints
    assert "Traceback" not in complaints


def test_an_agent_that_is_gone_at_the_end_is_a_fault(consul_program: str, tmp_path: Path) -> None:
    with running(consul_program, tmp_path, "-dev") as agent:
        running_ = register(agent, "greeter")
        running_.line()
    with running_:
        code, lines, complaint = running_.stop(signal.SIGTERM)
    assert code == 1
    assert complaint.splitlines()[-1].endswith("Connection refused; is the agent running?")
    assert "deregistered" not in "".join(lines)


def test_killed_it_is_removed_by_the_agent_itself(consul_agent: Agent, service_name: str) -> None:
    """Slow: Consul waits for at least a minute after the TTL, and looks every 30 s."""
    options = ["--id", service_name, "--ttl", "1s", "--deregister-after", "1m"]
    with register(consul_agent, service_name, *options) as running_:
        running_.line()
        running_.process.kill()
        running_.process.wait()
        begun = time.monotonic()
        check = f"service:{service_name}"
        eventually(lambda: consul_agent.api("GET", "/v1/agent/checks")[check]["Status"] == "critical", 10)
        eventually(lambda: service_name not in known(consul_agent), 150)
        assert time.monotonic() - begun > 55


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["greeter", "--port", "70000"], "--port must be 0 to 65535, not 70000"),
        (["greeter", "--port", str(2**70)], "--port must be 0 to 65535, not 11805"),
        (["", "--port", "1"], "name may not be empty"),
        (["a/../b", "--port", "1"], "name 'a/../b' is a path"),
        (["greeter", "--port", "1", "--id", ""], "--id may not be empty"),
        (["greeter", "--port", "1", "--address", "0.0.0.0"], "--address '0.0.0.0' is no address"),
        (
            ["greeter", "--port", "1", "--address", "http://x"],
            "--address 'http://x' is no host name or IP address; the port goes into --port",
        ),
        (["greeter", "--port", "1", "--ttl", "10ms"], "--ttl must be from 1 to 1,000,000,000 s, not 0.01"),
        (["greeter", "--port", "1", "--deregister-after", "5s"], "--deregister-after must be from 60"),
        (["greeter", "--port", "1", "--tag", "e-12"], "begins with 'e-'"),
        (["greeter", "--port", "1", "--metadata", "a=1", "--metadata", "a=2"], "--metadata a=... is there twice"),
        (["greeter", "--port", "1", "--registry", "memory://"], "--registry memory://: a Consul agent is wanted"),
        (["greeter", "--port", "1", "--registry", "ftp://x"], "names no registry"),
    ],
)
def test_what_cannot_be_registered_is_said_with_the_option(run: Run, arguments: List[str], complaint: str) -> None:
    done = run("register", "--address", "10.0.0.1", *arguments[1:], "--", arguments[0])
    assert done.code == 2
    assert complaint in done.complaint


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--port", "1"], "--address"),
        (["--address", "a"], "--port"),
        (["--address", "a", "--port", "http"], "invalid int value"),
        (["--address", "a", "--port", "1", "--metadata", "a"], "key=value is wanted, not 'a'"),
        (["--address", "a", "--port", "1", "--ttl", "soon"], "a time such as 30s or 1m30s is wanted, not 'soon'"),
        (["--address", "a", "--port", "1", "--form", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_command_lines(run: Run, arguments: List[str], complaint: str) -> None:
    done = run("register", "greeter", *arguments)
    assert done.code == 2
    assert complaint in done.err


def test_nobody_listens() -> None:
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        _nobody_at(held.getsockname()[1])


def _nobody_at(port: int) -> None:
    for words in (["register", "x", "--address", "a", "--port", 1], ["deregister", "x"]):
        done = typed(*words, "--registry", f"consul://127.0.0.1:{port}")
        assert done.code == 1
        assert "Connection refused; is the agent running?" in done.complaint


# -- deregister --------------------------------------------------------------------------------------------------------


def test_deregister_by_id_and_by_name(consul_agent: Agent, service_name: str) -> None:
    ids = [f"{service_name}-{word}" for word in ("1", "2", "3 /?")]
    for node_id in ids:
        consul_agent.api("PUT", "/v1/agent/service/register", {"Name": service_name, "ID": node_id, "Port": 80})
    url = f"consul://{consul_agent.address}"
    done = typed("deregister", ids[0], "--registry", url)
    assert (done.code, done.lines) == (0, [f"deregistered {ids[0]} of {service_name}"])
    assert set(ids) & set(known(consul_agent)) == set(ids[1:])
    done = typed("deregister", service_name, "--registry", url)
    assert (done.code, done.lines) == (0, [f"deregistered {node_id} of {service_name}" for node_id in ids[1:]])
    assert not set(ids) & set(known(consul_agent))
    done = typed("deregister", service_name, "--registry", url)
    assert done.code == 1
    assert f"has neither a node with the ID {service_name!r} nor such a service (or it cannot" in done.complaint


def test_an_id_goes_before_a_name(consul_agent: Agent, service_name: str) -> None:
    for node_id in (service_name, service_name + "-2"):
        consul_agent.api("PUT", "/v1/agent/service/register", {"Name": service_name, "ID": node_id, "Port": 80})
    done = typed("deregister", service_name, "--registry", f"consul://{consul_agent.address}")
    assert (done.code, done.lines) == (0, [f"deregistered {service_name} of {service_name}"])
    assert service_name + "-2" in known(consul_agent)
    consul_agent.api("PUT", f"/v1/agent/service/deregister/{quote(service_name)}-2")


# -- tags encode -------------------------------------------------------------------------------------------------------

RECORD = {
    "version": "1.0",
    "metadata": {"protocol": "grpc", "a": "<b>"},
    "endpoints": [
        {
            "name": "Say.Hello",
            "request": {"name": "R", "type": "R", "values": [{"name": "n", "type": "string", "values": None}, None]},
            "response": None,
            "metadata": {"stream": "true"},
        },
        None,
    ],
    "tags": ["eu"],
}


@pytest.mark.parametrize("form", ["go-micro", "plain", "compact", "both"])
def test_json_there_and_back(run: Run, form: str) -> None:
    tags = run("tags", "encode", "-", "--form", form, stdin=json.dumps(RECORD).encode())
    assert tags.code == 0
    back = run("tags", "-", "--json", stdin=tags.out.encode())
    assert json.loads(back.out) == {**RECORD, "warnings": []}
    again = run("tags", "encode", "-", "--form", form, stdin=back.out.encode())
    assert again.out == tags.out
    listed = run("tags", "encode", "--json", "--form", form, "-", stdin=back.out.encode())
    assert json.loads(listed.out) == tags.lines
    if form != "compact":
        read = oracle.decode_tags(tags.lines)
        assert {key: read[key] for key in ("version", "metadata", "endpoints")} == {
            key: RECORD[key] for key in ("version", "metadata", "endpoints")
        }


def test_options(run: Run) -> None:
    done = run(
        "tags",
        "encode",
        "--version",
        "1.0",
        "--metadata",
        "a=b",
        "--metadata",
        "c=",
        "--endpoint",
        "Say.Hello",
        "--tag",
        "eu",
    )
    assert done.code == 0
    record = decode_tags(done.lines)
    assert (record.version, dict(record.metadata), record.tags) == ("1.0", {"a": "b", "c": ""}, ("eu",))
    assert [endpoint and endpoint.name for endpoint in record.endpoints] == ["Say.Hello"]


def test_the_older_command_is_as_it_was(run: Run) -> None:
    for words in (["tags"], ["tags", "decode"]):
        assert run(*words, "v-789c33d433000001220090").lines == ["version     1.0"]
    assert run("tags", "decode", "encode").lines == ["other tags  encode"]


@pytest.mark.parametrize(
    "arguments, stdin, code, complaint",
    [
        ([], "", 2, "nothing to encode"),
        (["-", "--version", "1"], "{}", 2, "everything comes from standard input"),
        (["record.json"], "", 2, "- is wanted for standard input"),
        (["--metadata", "a=1", "--metadata", "a=2"], "", 2, "is there twice"),
        (["--tag", "v-12"], "", 2, "begins with 'v-'"),
        (["--tag", "two\nlines"], "", 1, "is not one line; use --json"),
        (["-"], "", 1, "standard input is not JSON"),
        (["-"], "\u00ff", 1, "standard input is not JSON"),
        (["-"], "[" * 100_000, 1, "standard input is"),
        (["-"], "[]", 1, "standard input must be an object"),
        (["-"], '{"name": 1}', 1, "standard input has a member 'name'"),
        (["-"], '{"version": 1}', 1, "version must be a string"),
        (["-"], '{"metadata": []}', 1, "metadata must be an object"),
        (["-"], '{"metadata": {"a": 1}}', 1, "metadata"),
        (["-"], '{"endpoints": {}}', 1, "endpoints must be a list"),
        (["-"], '{"endpoints": [1]}', 1, "endpoints[0] must be an object"),
        (["-"], '{"endpoints": [{"name": 1}]}', 1, "endpoints[0].name must be a string"),
        (["-"], '{"endpoints": [{"request": {"values": [{"type": 1}]}}]}', 1, "endpoints[0].request.values[0].type must"),
        (["-"], '{"endpoints": [{"method": ""}]}', 1, "endpoints[0] has a member 'method'"),
        (["-"], '{"tags": [1]}', 1, "tags[0]"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded(run: Run, arguments: List[str], stdin: str, code: int, complaint: str) -> None:
    done = run("tags", "encode", *arguments, stdin=stdin.encode("latin-1"))
    assert done.code == code
    assert complaint in done.complaint


def test_what_is_registered_is_what_regcache_get_shows(consul_agent: Agent, service_name: str) -> None:
    with register(consul_agent, service_name, "--version", "1.0", "--metadata", "protocol=grpc") as running_:
        running_.line()
        eventually(lambda: consul_agent.api("GET", f"/v1/health/service/{service_name}?passing"))
        done = typed("get", service_name, "--registry", f"consul://{consul_agent.address}")
        assert done.code == 0
        assert "10.0.0.1:8080" in done.out and "version 1.0" in done.out and "protocol=grpc" in done.out
        with ConsulRegistry(consul_agent.url).fetch(service_name) as answer:
            assert decode(b"".join(answer.chunks()))[0].status == "passing"
        assert running_.stop(signal.SIGTERM)[0] == 0


def test_a_server_that_says_yes_to_everything_is_no_agent() -> None:
    welcome = response(b"<html>welcome</html>", headers={"Connection": "close"})
    with FaultyServer(answering(welcome)) as server:
        command = ["register", "greeter", "--address", "10.0.0.1", "--port", "80", "--registry", server.url]
        done = typed(*command)
    assert done.code == 1 and done.out == ""
    assert "is this a Consul agent?" in done.complaint
