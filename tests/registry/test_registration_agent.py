"""Registrations with a real agent: what it takes and refuses, and what it loses and gets back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import quote

import pytest

import regcache
from regcache import AccessDenied, Endpoint, Node, Service, Snapshot, Value, Weights, decode
from regcache.registry import ConsulRegistry
from tests import oracle
from tests.consul import MASTER_TOKEN, Agent, free_ports, running
from tests.eventually import eventually

consul = pytest.importorskip("consul", reason="the extra consul is not installed")

#: Seconds; a sign of life comes every two thirds of it. Short, but not so short that a busy machine misses one.
TTL = 3.0
PERIOD = TTL * 2 / 3

ENDPOINTS = (
    Endpoint(
        "Say.Hello",
        Value("Request", "Request", (Value("name", "string"), Value("<&>", "", (None, Value())))),
        Value("Response", "Response", ()),
        {"stream": "true", "\u2028": "naïve"},
    ),
    None,
    Endpoint("Say.Bye", None, None, None),
)


def greeter(name: str) -> Service:
    """Two nodes that have everything which can be registered."""
    metadata = {"protocol": "grpc", "broker": "<http>&", "emoji": "\U0001f388", "empty": "", "": "no key"}
    nodes = (
        Node(f"{name}-1", "10.0.0.1", 65535, metadata=metadata, meta={"a_b-C": "ü\n"}, weights=Weights(65535, 0)),
        Node(f"{name}/2 ?%20=ü", "fd00::1", 0, version="2.0", endpoints=(Endpoint("Other"),), tags=("eu", "", "x=y")),
    )
    return Service(name, "1.0", None, ENDPOINTS, nodes)


def load(agent: Agent, service: str) -> Snapshot:
    with ConsulRegistry(agent.url).fetch(service) as answer:
        return decode(b"".join(answer.chunks()), service, index=answer.index)


def ids(agent: Agent, service: str) -> List[str]:
    """Of all that are in the catalog and pass."""
    entries = agent.api("GET", f"/v1/health/service/{quote(service, safe='')}?passing")
    return sorted(entry["Service"]["ID"] for entry in entries)


def known(agent: Agent) -> Dict[str, Any]:
    services: Dict[str, Any] = agent.api("GET", "/v1/agent/services")
    return services


def state(agent: Agent, node_id: str) -> Optional[str]:
    check = agent.api("GET", "/v1/agent/checks").get(f"service:{node_id}")
    return check and check["Status"]


@pytest.fixture
def clean(consul_agent: Agent) -> Iterator[Agent]:
    """The agent, without what the test has registered."""
    before = set(known(consul_agent))
    yield consul_agent
    for node_id in set(known(consul_agent)) - before:
        consul_agent.raw("PUT", "/v1/agent/service/deregister/" + quote(node_id, safe=""))


# -- what is registered is what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["both", "go-micro", "compact"])
def test_what_is_registered_is_read_back(clean: Agent, service_name: str, form: Any) -> None:
    given = greeter(service_name)
    ConsulRegistry(clean.url).register(given, form=form, tags=["blue"])
    eventually(lambda: len(ids(clean, service_name)) == 2)
    snapshot = load(clean, service_name)
    assert not snapshot.warnings
    by_id = {node.id: node for node in snapshot}
    for node in given.nodes:
        read = by_id.pop(node.id)
        assert (read.name, read.address, read.port, read.status) == (given.name, node.address, node.port, "passing")
        assert read.version == (node.version or given.version)
        assert read.metadata == node.metadata
        assert read.endpoints == (node.endpoints or given.endpoints)
        assert (read.meta, read.weights) == (node.meta, node.weights)
        assert read.tags == tuple(tag for tag in (*node.tags, "blue") if tag)
    assert not by_id


def test_the_clients_read_the_same(clean: Agent, service_name: str) -> None:
    given = greeter(service_name)
    ConsulRegistry(clean.url).register(given)
    eventually(lambda: len(ids(clean, service_name)) == 2)
    client = consul.Consul(host=clean.host, port=clean.port)
    _, entries = client.health.service(service_name, passing=True)
    by_id = {entry["Service"]["ID"]: entry["Service"] for entry in entries}
    for node in given.nodes:
        said = by_id[node.id]
        assert (said["Service"], said["Address"], said["Port"]) == (given.name, node.address, node.port)
        assert (said["Meta"] or {}) == node.meta
        assert said["Weights"] == {"Passing": node.weights.passing, "Warning": node.weights.warning}
        assert client.agent.services()[node.id]["Tags"] == said["Tags"]


@pytest.mark.parametrize("form", ["both", "go-micro"])
def test_go_micro_reads_the_same(clean: Agent, service_name: str, form: Any) -> None:
    given = greeter(service_name)
    ConsulRegistry(clean.url).register(given, form=form)
    for node in given.nodes:
        said = oracle.decode_tags(known(clean)[node.id]["Tags"])
        assert said["version"] == (node.version or given.version)
        assert said["metadata"] == node.metadata
        wanted = [endpoint and endpoint.to_dict() for endpoint in node.endpoints or given.endpoints]
        assert said["endpoints"] == wanted


def test_a_node_without_an_address_gets_the_agents(clean: Agent, service_name: str) -> None:
    ConsulRegistry(clean.url).register(Service(service_name, nodes=(Node(service_name, "", 80),)))
    eventually(lambda: ids(clean, service_name))
    assert [node.target for node in load(clean, service_name)] == ["127.0.0.1:80"]


def test_registering_again_replaces(clean: Agent, service_name: str) -> None:
    registry = ConsulRegistry(clean.url)
    registry.register(Service(service_name, "1.0", nodes=(Node(service_name, "10.0.0.1", 80),)))
    clean.api("PUT", f"/v1/agent/check/fail/service:{service_name}")
    registry.register(Service(service_name, "2.0", nodes=(Node(service_name, "10.0.0.2", 81),)))
    eventually(lambda: [node.target for node in load(clean, service_name)] == ["10.0.0.2:81"])
    node = load(clean, service_name)[0]
    assert (node.version, node.status) == ("2.0", "passing")


def test_registering_and_deregistering(clean: Agent, service_name: str) -> None:
    registry = ConsulRegistry(clean.url)
    given = greeter(service_name)
    registry.register(given, ttl=None)
    assert {key: name for key, name in registry.registered().items() if name == service_name} == {
        node.id: service_name for node in given.nodes
    }
    assert state(clean, given.nodes[0].id) is None  # no check without a ttl
    registry.deregister(given.nodes[1].id)
    eventually(lambda: ids(clean, service_name) == [given.nodes[0].id])
    registry.deregister(given)
    eventually(lambda: not ids(clean, service_name))
    registry.deregister(given)
    registry.deregister("nobody")


def test_tokens(consul_program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Service("greeter", nodes=(Node("greeter-1", "10.0.0.1", 80),))
    with running(consul_program, tmp_path, "-dev", guarded=True) as agent:
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", MASTER_TOKEN)
        for token, said in ((None, "give one as token="), (MASTER_TOKEN.replace("1", "9"), "check token=")):
            with pytest.raises(AccessDenied, match=said):
                ConsulRegistry(agent.url, token=token).register(given)
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", "nonsense")
        registry = ConsulRegistry(agent.url, token=MASTER_TOKEN)
        registry.register(given)
        assert registry.registered() == {"greeter-1": "greeter"}
        registry.deregister(given)
        assert registry.registered() == {}


# -- what an agent refuses, or should ----------------------------------------------------------------------------------


def put(agent: Agent, name: str, **more: Any) -> int:
    body = {"Name": name, "ID": name + "-odd", "Address": "10.0.0.1", "Port": 80, **more}
    return agent.raw("PUT", "/v1/agent/service/register", body)[0]


def refused(agent: Agent, name: str, service: Optional[str] = None, ttl: float = 30.0, **node: Any) -> bool:
    """Does ConsulRegistry.register refuse it before it asks the agent?"""
    given = {"id": name + "-odd", "address": "10.0.0.1", "port": 80, **node}
    before = known(agent)
    try:
        ConsulRegistry(agent.url).register(
            Service(name if service is None else service, nodes=(Node(**given),)), ttl=ttl
        )
    except ValueError:
        assert known(agent) == before
        return True
    return False


META = [
    {"": ""}, {"a b": ""}, {"a.b": ""}, {"ü": ""}, {"a": ""}, {"A_b-9": ""}, {"consul-a": ""}, {"rpc-a": ""},
    {"k" * 128: ""}, {"k" * 129: ""}, {"k": "v" * 512}, {"k": "v" * 513}, {"k": "ü" * 256}, {"k": "ü" * 257},
    {"k": "\n\x00"}, {f"k{i}": "" for i in range(64)}, {f"k{i}": "" for i in range(65)},
]  # fmt: skip


@pytest.mark.parametrize("meta", META)
def test_meta_is_refused_where_the_agent_refuses_it(clean: Agent, service_name: str, meta: Dict[str, str]) -> None:
    assert refused(clean, service_name, meta=meta) == (put(clean, service_name, Meta=meta) == 400)


@pytest.mark.parametrize("passing, warning", [(0, 0), (1, 0), (1, 1), (-1, 1), (1, -1), (65535, 65535), (65536, 1)])
def test_weights_are_refused_where_the_agent_refuses_them(
    clean: Agent, service_name: str, passing: int, warning: int
) -> None:
    agents = put(clean, service_name, Weights={"Passing": passing, "Warning": warning}) == 400
    assert refused(clean, service_name, weights=Weights(passing, warning)) == agents


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "[::]", "::1", "host.example", "größe", "127.0.0.1"])
def test_addresses_are_refused_where_the_agent_refuses_them(clean: Agent, service_name: str, address: str) -> None:
    assert refused(clean, service_name, address=address) == (put(clean, service_name, Address=address) == 400)


def test_an_empty_name_is_refused_as_the_agent_does(clean: Agent, service_name: str) -> None:
    assert put(clean, "", ID=service_name) == 400
    assert refused(clean, service_name, service="")


def test_an_empty_id_the_agent_replaces_by_the_name(clean: Agent, service_name: str) -> None:
    assert put(clean, service_name, ID="") == 200
    assert service_name in known(clean)
    assert refused(clean, service_name, id="")


@pytest.mark.parametrize("port", [-1, 65536, 2**40])
def test_ports_that_the_agent_takes_although_nobody_can_call_them(clean: Agent, service_name: str, port: int) -> None:
    assert put(clean, service_name, Port=port) == 200
    assert refused(clean, service_name, port=port)


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_ports(clean: Agent, service_name: str, port: int) -> None:
    assert not refused(clean, service_name, port=port)
    assert known(clean)[service_name + "-odd"]["Port"] == port


def test_durations_that_the_agent_refuses_or_changes(clean: Agent, service_name: str) -> None:
    assert put(clean, service_name, Check={"TTL": "0s", "DeregisterCriticalServiceAfter": "65s"}) == 400
    assert refused(clean, service_name, ttl=0.0)
    assert refused(clean, service_name, ttl=-1.0)
    assert not refused(clean, service_name, ttl=1e9)


#: Begins of names and IDs, each followed by one that no other test uses.
WORDS = [
    "go.micro.srv.", "a b", "größe", "日本", "a/b", "a//b", "/", "./", "../", "a/../", "a/./", "%2F", "%", "?x=1&y#z", "'\"\\",
    "x" * 300, "\U0001f388", "-", ":", ";", "a\x00b", "a\nb", "\x7f", "\u00a0", "\u200b", "\u2028", "\u3000", "\ue000",
    "\u0378", "\u00ad", "\ufeff", "e\u0301",
]  # fmt: skip


@pytest.fixture(scope="module")
def littered_agent(consul_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent for nodes that cannot be removed again."""
    with running(consul_program, tmp_path_factory.mktemp("littered"), "-dev") as agent:
        yield agent


@pytest.mark.parametrize("word", WORDS)
def test_names_and_ids_are_refused_where_the_agent_could_not_be_asked_for_them(
    littered_agent: Agent, service_name: str, word: str
) -> None:
    """It registers any; then 301 or 400 is all that it says to whoever asks for the service, or removes the node."""
    odd = word + service_name
    path = quote(odd, safe="")
    assert put(littered_agent, odd, ID=odd, Check={"TTL": "30s"}) == 200
    asked = littered_agent.raw("GET", "/v1/health/service/" + path)[0]
    removed = littered_agent.raw("PUT", "/v1/agent/service/deregister/" + path)[0]
    assert refused(littered_agent, service_name, service=odd) == (asked != 200)
    assert refused(littered_agent, service_name, id=odd) == (removed != 200)


@pytest.mark.parametrize("word", ["/", "//", "/.", "/..", "/x/", "/x//"])
def test_ends_of_names_and_ids(littered_agent: Agent, service_name: str, word: str) -> None:
    odd = service_name + word
    path = quote(odd, safe="")
    assert put(littered_agent, odd, ID=odd, Check={"TTL": "30s"}) == 200
    asked = littered_agent.raw("GET", "/v1/health/service/" + path)[0]
    passed = littered_agent.raw("PUT", "/v1/agent/check/pass/service:" + path)[0]
    assert refused(littered_agent, service_name, service=odd) == (asked != 200)
    assert refused(littered_agent, service_name, id=odd) == (passed != 200)


# -- kept --------------------------------------------------------------------------------------------------------------


def test_the_ttl_passes_over_many_periods(clean: Agent, service_name: str) -> None:
    given = Service(service_name, nodes=(Node(service_name, "10.0.0.1", 80), Node(service_name + "-2", "10.0.0.2", 80)))
    with ConsulRegistry(clean.url).register(given, ttl=TTL, keep=True) as registration:
        eventually(lambda: len(ids(clean, service_name)) == 2)
        index = load(clean, service_name).index
        seen = {registration.status.last_pass}

        def many() -> bool:
            assert [state(clean, node.id) for node in given.nodes] == ["passing"] * 2
            assert ids(clean, service_name) == [node.id for node in given.nodes]
            seen.add(registration.status.last_pass)
            return len(seen) > 6

        eventually(many, 10 * PERIOD)
        assert registration.status.failures == registration.status.again == 0
        # Nobody who watches the service is woken by signs of life.
        assert {entry["Service"]["ModifyIndex"] for entry in _entries(clean, service_name)} <= set(range(index + 1))
        assert (
            max(check["ModifyIndex"] for entry in _entries(clean, service_name) for check in entry["Checks"]) <= index
        )
    eventually(lambda: not ids(clean, service_name))
    assert not {node.id for node in given.nodes} & set(known(clean))


def _entries(agent: Agent, service: str) -> Any:
    return agent.api("GET", f"/v1/health/service/{service}")


def test_without_signs_of_life_it_becomes_critical(clean: Agent, service_name: str) -> None:
    """So that the test before proves something."""
    ConsulRegistry(clean.url).register(Service(service_name, nodes=(Node(service_name, "10.0.0.1", 80),)), ttl=1.0)
    assert state(clean, service_name) == "passing"
    eventually(lambda: state(clean, service_name) == "critical", 10)


def test_what_somebody_else_deregistered_comes_back(clean: Agent, service_name: str) -> None:
    given = Service(service_name, "1.0", nodes=(Node(service_name, "10.0.0.1", 80, metadata={"a": "b"}),))
    with ConsulRegistry(clean.url).register(given, ttl=TTL, keep=True) as registration:
        clean.api("PUT", f"/v1/agent/service/deregister/{service_name}")
        eventually(lambda: ids(clean, service_name) == [service_name], 2 * PERIOD)
        eventually(lambda: registration.status.again == 1)
        assert load(clean, service_name)[0].metadata == {"a": "b"}


def test_an_agent_killed_and_restarted_without_its_data_gets_the_service_back_within_two_periods(
    consul_program: str, tmp_path: Path
) -> None:
    ports = free_ports(3)
    given = Service("greeter", "1.0", nodes=(Node("greeter-1", "10.0.0.1", 80, metadata={"a": "b"}),))
    with running(consul_program, tmp_path, "-dev", ports=ports) as agent:
        registration = ConsulRegistry(agent.url).register(given, ttl=TTL, keep=True)
        assert agent.process is not None
        agent.process.kill()
        agent.process.wait()
        eventually(lambda: registration.status.failures >= 3)  # it goes on trying
        assert not registration.status.registered
        assert isinstance(registration.status.last_error, regcache.Unavailable)
    with running(consul_program, tmp_path, "-dev", ports=ports) as agent:
        begun = time.monotonic()
        eventually(lambda: ids(agent, "greeter") == ["greeter-1"], 2 * PERIOD)
        assert time.monotonic() - begun < 2 * PERIOD
        eventually(lambda: registration.status.registered)
        assert (registration.status.again, registration.status.failures) == (1, 0)
        assert load(agent, "greeter")[0].metadata == {"a": "b"}
        registration.close()
        eventually(lambda: not ids(agent, "greeter"))


def test_an_agent_that_is_down_at_the_end_is_said_so(consul_program: str, tmp_path: Path) -> None:
    given = Service("greeter", nodes=(Node("greeter-1", "10.0.0.1", 80),))
    with running(consul_program, tmp_path, "-dev") as agent:
        registration = ConsulRegistry(agent.url).register(given, keep=True, at_exit=False)
    with pytest.raises(regcache.Unavailable, match="is the agent running"):
        registration.close()


# -- processes ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
import regcache

url, name, then = sys.argv[1:]
registry = regcache.ConsulRegistry(url)
service = regcache.Service(name, "1.0", nodes=(regcache.Node(name, "10.0.0.1", 80),))
registration = registry.register(service, ttl=3.0, keep=True, at_exit=then != "stay")
print("registered", flush=True)
sys.stdin.readline()
if then == "raise":
    raise SystemExit(3)
if then == "fork":
    child = os.fork()
    if child == 0:
        assert registration.closed and registry.registered()
        registration.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not registration.closed
    print("forked", flush=True)
    sys.stdin.readline()
"""


def _program(agent: Agent, name: str, then: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(regcache.__file__).parents[1])}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, agent.url, name, then]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "registered\n"
    assert name in known(agent)
    return process


def _go_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("then, code, stays", [("end", 0, False), ("raise", 3, False), ("stay", 0, True)])
def test_the_end_of_a_process(clean: Agent, service_name: str, then: str, code: int, stays: bool) -> None:
    with _program(clean, service_name, then) as process:
        _go_on(process)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, "")
    assert (service_name in known(clean)) == stays


def test_a_fork_keeps_one_registration(clean: Agent, service_name: str) -> None:
    with _program(clean, service_name, "fork") as process:
        _go_on(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        until = time.monotonic() + 2 * TTL

        def still() -> bool:
            assert state(clean, service_name) == "passing"
            return time.monotonic() > until

        eventually(still)
        _go_on(process)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert service_name not in known(clean)
