"""ConsulRegistry against a real agent: what was registered there is what a snapshot has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from regcache import AccessDenied, RequestError, ServerError, Snapshot, Unavailable, decode
from regcache.cache import Cache
from regcache.registry import ConsulRegistry
from tests.consul import MASTER_TOKEN, Agent, running
from tests.recorded import GOMICRO, read


def load(registry: ConsulRegistry, service: str) -> Snapshot:
    with Cache(registry) as cache:
        return cache.get(service, timeout=30)


def recorded(name: str, count: int) -> List[Dict[str, Any]]:
    files = [path for path in (GOMICRO / "consul").iterdir() if path.name.split(".")[0] == name]
    entries: List[Dict[str, Any]] = json.loads(read(files[0]))
    return entries[:count]


def facts(snapshot: Snapshot) -> List[Any]:
    """What a caller uses of each node, in the order of their names."""
    return sorted(
        (
            node.id,
            node.address,
            node.port,
            node.status,
            node.version,
            sorted(node.metadata.items()),
            json.dumps([endpoint and endpoint.to_dict() for endpoint in node.endpoints]),
            sorted(node.tags),
        )
        for node in snapshot
    )


@pytest.mark.parametrize("name, count", [("health_a", 1), ("health_a", 3), ("health_b", 200), ("health_c", 2000)])
def test_recorded_services_come_back_as_they_were_registered(
    consul_agent: Agent, service_name: str, name: str, count: int
) -> None:
    entries = recorded(name, count)
    consul_agent.register(entries, service_name)
    try:
        snapshot = load(ConsulRegistry(consul_agent.url, timeout=30), service_name)
    finally:
        consul_agent.deregister(service_name)
    assert len(snapshot) == count
    assert snapshot.index >= 1
    assert not snapshot.warnings
    for entry in entries:
        entry["Service"]["ID"] = f"{service_name}/{entry['Service']['ID']}"
    assert facts(snapshot) == facts(decode(json.dumps(entries).encode()))


@pytest.mark.parametrize(
    "name", ["größe", "日本 服务", "a b+c", "a/b", "q?x=1&y#z", "100%", "%2F", "'\"\\", "emoji 🎈", "x;y"]
)
def test_odd_names(consul_agent: Agent, service_name: str, name: str) -> None:
    service = service_name + name
    consul_agent.register(recorded("health_a", 1), service)
    try:
        registry = ConsulRegistry(consul_agent.url)
        snapshot = load(registry, service)
        assert service in registry.services()
    finally:
        consul_agent.deregister(service)
    assert len(snapshot) == 1
    assert snapshot[0].name == service


@pytest.mark.parametrize("name", ["..", "a//b", "../catalog/services"])
def test_a_name_never_becomes_another_path(consul_agent: Agent, name: str) -> None:
    """Consul's web server redirects such paths; the redirect is not followed."""
    try:
        snapshot = load(ConsulRegistry(consul_agent.url), name)
    except RequestError as error:
        assert "redirects are not followed" in str(error)
    else:
        assert len(snapshot) == 0


def test_a_name_that_nobody_has_is_an_empty_snapshot(consul_agent: Agent, service_name: str) -> None:
    snapshot = load(ConsulRegistry(consul_agent.url), service_name)
    assert len(snapshot) == 0
    assert snapshot.index >= 1


def test_a_blocking_query_waits_for_the_change(consul_agent: Agent, service_name: str) -> None:
    registry = ConsulRegistry(consul_agent.url)
    with registry.fetch(service_name) as answer:
        assert b"".join(answer.chunks()).strip() == b"[]"
    consul_agent.register(recorded("health_a", 1), service_name)
    try:
        with registry.fetch(service_name, index=answer.index, wait=30) as later:
            body = b"".join(later.chunks())
    finally:
        consul_agent.deregister(service_name)
    assert later.index > answer.index
    assert len(decode(body)) == 1


def test_a_blocking_query_ends_with_its_wait(consul_agent: Agent, service_name: str) -> None:
    registry = ConsulRegistry(consul_agent.url)
    with registry.fetch(service_name) as answer:
        b"".join(answer.chunks())
    with registry.fetch(service_name, index=answer.index, wait=0.01) as later:
        assert b"".join(later.chunks()).strip() == b"[]"
    assert later.index >= answer.index


@pytest.mark.parametrize("consistency", ["stale", "default", "consistent"])
def test_read_modes(consul_agent: Agent, consistency: Any) -> None:
    assert len(load(ConsulRegistry(consul_agent.url, consistency=consistency), "consul")) == 1


def test_an_unknown_datacenter_is_said_so(consul_agent: Agent) -> None:
    with pytest.raises(ServerError, match="No path to datacenter"):
        load(ConsulRegistry(consul_agent.url, datacenter="nowhere"), "consul")


def test_nobody_listens(unused_port: int) -> None:
    with pytest.raises(Unavailable, match="cannot be reached.*is the agent running"):
        load(ConsulRegistry(f"http://127.0.0.1:{unused_port}"), "consul")


# -- the clients ---------------------------------------------------------------------------------------------------


def test_a_client_of_python_consul2_or_py_consul(consul_agent: Agent) -> None:
    consul = pytest.importorskip("consul")
    client = consul.Consul(host=consul_agent.host, port=consul_agent.port, consistency="consistent")
    registry = ConsulRegistry(client)
    assert registry.url == consul_agent.url
    assert registry.consistency == "consistent"
    assert len(load(registry, "consul")) == 1


# -- access --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded_agent(consul_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent that tells nothing to those without a token, with one service, ``secret``."""
    with running(consul_program, tmp_path_factory.mktemp("acl"), "-dev", guarded=True) as agent:
        agent.api("PUT", "/v1/agent/service/register", {"Name": "secret", "Port": 80}, token=MASTER_TOKEN)
        yield agent


def test_the_token_is_sent(guarded_agent: Agent) -> None:
    registry = ConsulRegistry(guarded_agent.url, token=MASTER_TOKEN)
    assert registry.services() == ["consul", "secret"]
    assert len(load(registry, "secret")) == 1


def test_the_token_of_a_client_is_sent(guarded_agent: Agent) -> None:
    consul = pytest.importorskip("consul")
    client = consul.Consul(host=guarded_agent.host, port=guarded_agent.port, token=MASTER_TOKEN)
    assert len(load(ConsulRegistry(client), "secret")) == 1


def test_a_bad_token_is_denied(guarded_agent: Agent) -> None:
    registry = ConsulRegistry(guarded_agent.url, token=MASTER_TOKEN.replace("1", "9"))
    with pytest.raises(AccessDenied, match="check token="):
        load(registry, "secret")


def test_without_a_token_the_list_is_empty_and_the_message_says_why_that_may_be(guarded_agent: Agent) -> None:
    """Consul's own answer to anonymous requests; 1.8 gives no sign that it left something out."""
    with Cache(ConsulRegistry(guarded_agent.url)) as cache:
        assert len(cache.get("secret")) == 0
        with pytest.raises(LookupError, match="or its token may not read it"):
            cache.selector("secret").select()


def test_no_leader(consul_program: str, tmp_path: Path) -> None:
    """A server that waits for a second one which never comes. It takes 7 s to say so."""
    arguments = ["-server", "-bootstrap-expect=2", "-data-dir", str(tmp_path / "data")]
    with running(consul_program, tmp_path, *arguments, ready="listening") as agent:
        with pytest.raises(ServerError, match="No cluster leader"):
            load(ConsulRegistry(agent.url, timeout=30), "consul")
