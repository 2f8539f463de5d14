"""The cache and a real Consul agent that is killed, stopped, emptied and locked.

After each of these: what was held is still served, the error has its type, and recovery comes by itself.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from regcache import (
    AccessDenied,
    Cache,
    ConsulRegistry,
    Event,
    Guard,
    RegcacheError,
    ServerError,
    Snapshot,
    Timeout,
    Unavailable,
)
from tests.consul import MASTER_TOKEN, Agent, free_ports, running
from tests.eventually import eventually
from tests.together import HANG

FAST = "performance { raft_multiplier = 1 }"
SERVICE = "greeter"


def register(agent: Agent, *numbers: int, service: str = SERVICE, token: Any = None) -> None:
    for number in numbers:
        body = {"ID": f"{service}-{number}", "Name": service, "Address": f"10.0.0.{number}", "Port": 8000 + number}
        agent.api("PUT", "/v1/agent/service/register", body, token=token)


def deregister(agent: Agent, *numbers: int, service: str = SERVICE) -> None:
    for number in numbers:
        agent.api("PUT", f"/v1/agent/service/deregister/{service}-{number}")


def kill(agent: Agent) -> None:
    assert agent.process is not None
    agent.process.kill()
    agent.process.wait()


@pytest.fixture
def start(consul_program: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts servers at the same address, with the data in a folder of this name."""
    ports = free_ports(3)

    def start(data: str, **options: Any) -> Any:
        folder = tmp_path / data
        folder.mkdir(exist_ok=True)
        arguments = ["-server", "-bootstrap-expect=1", "-data-dir", str(folder / "data")]
        return running(consul_program, folder, *arguments, config=FAST, ports=ports, **options)

    yield start


def still_serves(cache: Cache, count: int) -> bool:
    """Callers do not wait, and have all the nodes."""
    return len(cache.get(SERVICE, timeout=0)) == count


def failed(cache: Cache, service: str = SERVICE) -> RegcacheError:
    """The error, as soon as there is one."""
    eventually(lambda: cache.status(service).failures)
    error = cache.status(service).last_error
    assert isinstance(error, RegcacheError)
    return error


def test_killed_and_started_again_with_its_data(start: Callable[..., Any]) -> None:
    with start("one") as agent:
        register(agent, 1, 2, 3)
        cache = Cache(ConsulRegistry(agent.url))
        with cache:
            eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 3)
            kill(agent)
            assert isinstance(failed(cache), Unavailable)
            assert still_serves(cache, 3) and cache.status(SERVICE).state in ("failed", "refreshing")
            with start("one"):
                eventually(lambda: cache.status(SERVICE).watching)
                assert still_serves(cache, 3)
                register(agent, 4)
                eventually(lambda: still_serves(cache, 4))


def test_killed_and_started_again_without_its_data(start: Callable[..., Any]) -> None:
    """Its list is empty, its index begins anew, it is sure that it is right; its services come back."""
    events: List[Event] = []
    with start("one") as agent:
        for number in range(30):  # a high index
            agent.api("PUT", f"/v1/kv/{number}", "x")
        register(agent, 1, 2, 3)
        with Cache(ConsulRegistry(agent.url), guard=Guard(interval=0.5), on_event=events.append) as cache:
            eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 3)
            before = cache.get(SERVICE).index
            kill(agent)
            assert isinstance(failed(cache), Unavailable)
            with start("two"):
                eventually(lambda: cache.status(SERVICE).held_back)
                assert still_serves(cache, 3)
                register(agent, 1, 2, 3)
                eventually(lambda: cache.status(SERVICE).watching)
                assert still_serves(cache, 3)
                assert cache.get(SERVICE).index < before
                register(agent, 4)
                eventually(lambda: still_serves(cache, 4))
    kinds = [event.kind for event in events]
    assert kinds.count("held") == 1 and kinds.count("released") == 1
    assert not any(event.kind == "refreshed" and not event.snapshot for event in events), "an empty list was served"


def test_started_again_without_its_data_and_it_stays_empty(start: Callable[..., Any]) -> None:
    """In the end the registry is right."""
    with start("one") as agent:
        register(agent, 1, 2, 3)
        with Cache(ConsulRegistry(agent.url), guard=Guard(interval=0.2)) as cache:
            eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 3)
            kill(agent)
            failed(cache)
            with start("two"):
                eventually(lambda: len(cache.get(SERVICE, timeout=0)) == 0)
                register(agent, 7)
                eventually(lambda: still_serves(cache, 1))


def test_stopped_and_continued(start: Callable[..., Any]) -> None:
    """It accepts connections and says nothing."""
    with start("one") as agent:
        register(agent, 1, 2)
        with Cache(ConsulRegistry(agent.url, timeout=0.5), wait=0.5) as cache:
            eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 2)
            os.kill(agent.process.pid, signal.SIGSTOP)
            os.waitpid(agent.process.pid, os.WUNTRACED)
            try:
                assert isinstance(failed(cache), Timeout)
                assert still_serves(cache, 2)
                with pytest.raises(Timeout):
                    cache.get("another", timeout=0.2)
                with pytest.raises(Timeout, match="did not answer"):
                    cache.get("another", timeout=HANG)
            finally:
                os.kill(agent.process.pid, signal.SIGCONT)
            register(agent, 3)
            eventually(lambda: still_serves(cache, 3))
            eventually(lambda: isinstance(cache.warm(["another"])["another"], Snapshot))


def test_one_half_and_all_are_deregistered(consul_agent: Agent, service_name: str) -> None:
    def nodes() -> List[str]:
        return sorted(n.id.rpartition("-")[2] for n in cache.get(service_name, timeout=HANG))

    everybody = range(1, 9)
    register(consul_agent, *everybody, service=service_name)
    with Cache(ConsulRegistry(consul_agent.url), guard=Guard(interval=0.2)) as cache:
        eventually(lambda: len(nodes()) == 8)
        deregister(consul_agent, 8, service=service_name)
        eventually(lambda: nodes() == ["1", "2", "3", "4", "5", "6", "7"])
        deregister(consul_agent, 5, 6, 7, service=service_name)
        eventually(lambda: nodes() == ["1", "2", "3", "4"])
        assert cache.status(service_name).held_back is None
        deregister(consul_agent, 1, 2, 3, 4, service=service_name)
        eventually(lambda: cache.status(service_name).held_back)
        assert len(nodes()) in (2, 3, 4), "the rest is held back"
        eventually(lambda: nodes() == [])
        register(consul_agent, 9, service=service_name)
        eventually(lambda: nodes() == ["9"])
        deregister(consul_agent, 9, service=service_name)


def test_accepted_by_hand(consul_agent: Agent, service_name: str) -> None:
    register(consul_agent, 1, service=service_name)
    with Cache(ConsulRegistry(consul_agent.url), guard=Guard(interval=30.0, hold=600.0)) as cache:
        eventually(lambda: len(cache.get(service_name, timeout=HANG)) == 1)
        deregister(consul_agent, 1, service=service_name)
        eventually(lambda: cache.status(service_name).held_back)
        assert len(cache.get(service_name)) == 1
        assert cache.accept(service_name)
        assert len(cache.get(service_name)) == 0


def test_an_index_that_is_too_high_costs_one_wait(consul_agent: Agent, service_name: str) -> None:
    """The agent then blocks for the whole wait, even when the data changes."""
    register(consul_agent, 1, service=service_name)
    with Cache(ConsulRegistry(consul_agent.url), wait=1.0) as cache:
        eventually(lambda: len(cache.get(service_name, timeout=HANG)) == 1)
        entry = cache._entries[service_name]
        entry._index = 10**12
        entry._change(lambda now: entry._ask(now, index=10**12))
        register(consul_agent, 2, service=service_name)
        eventually(lambda: len(cache.get(service_name, timeout=0)) == 2)
        eventually(lambda: cache.status(service_name).watching and entry._index < 10**12)
        deregister(consul_agent, 1, 2, service=service_name)


def test_no_leader(consul_program: str, tmp_path: Path) -> None:
    """A server that waits for a second one which never comes. It takes 7 s to say so."""
    arguments = ["-server", "-bootstrap-expect=2", "-data-dir", str(tmp_path / "data")]
    with running(consul_program, tmp_path, *arguments, ready="listening") as agent:
        with Cache(ConsulRegistry(agent.url, timeout=30)) as cache:
            with pytest.raises(ServerError, match="No cluster leader"):
                cache.get(SERVICE, timeout=HANG)


def register_many(agent: Agent, service: str, count: int) -> None:
    """By transactions of 64, which is as many as an agent takes."""
    agent.api("PUT", "/v1/catalog/register", {"Node": service, "Address": "10.0.0.1"})
    for start in range(0, count, 64):
        operations = []
        for number in range(start, min(start + 64, count)):
            node = {"ID": f"{service}-{number}", "Service": service, "Address": "10.0.0.1", "Port": number + 1}
            operations.append({"Service": {"Verb": "set", "Node": service, "Service": node}})
        agent.api("PUT", "/v1/txn", operations)


def test_ten_thousand_nodes(consul_agent: Agent, service_name: str) -> None:
    """One goes, half of them go, all go: each is seen, and what was there before is kept object by object."""
    register_many(consul_agent, service_name, 10_000)
    with Cache(ConsulRegistry(consul_agent.url), guard=Guard(interval=0.2)) as cache:
        first = cache.get(service_name, timeout=HANG)
        assert len(first) == 10_000 and {node.port for node in first} == set(range(1, 10_001))
        gone = {"Node": service_name, "ServiceID": f"{service_name}-77"}
        consul_agent.api("PUT", "/v1/catalog/deregister", gone)
        eventually(lambda: len(cache.get(service_name, timeout=0)) == 9_999)
        second = cache.get(service_name)
        assert {id(node) for node in second} < {id(node) for node in first}
        assert [node.id for node in second.removed] == [f"{service_name}-77"]
        consul_agent.api("PUT", "/v1/catalog/deregister", {"Node": service_name})
        eventually(lambda: cache.status(service_name).held_back)
        assert len(cache.get(service_name, timeout=0)) == 9_999
        eventually(lambda: len(cache.get(service_name, timeout=0)) == 0)


READ = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'


@pytest.fixture
def guarded(start: Callable[..., Any]) -> Iterator[Agent]:
    with start("acl", guarded=True) as agent:
        register(agent, 1, 2, 3, token=MASTER_TOKEN)
        yield agent


def new_token(agent: Agent, secret: str) -> str:
    """A token that may read; its accessor."""
    policies = agent.api("GET", "/v1/acl/policies", token=MASTER_TOKEN)
    if not any(policy["Name"] == "reader" for policy in policies):
        agent.api("PUT", "/v1/acl/policy", {"Name": "reader", "Rules": READ}, token=MASTER_TOKEN)
    made = agent.api("PUT", "/v1/acl/token", {"SecretID": secret, "Policies": [{"Name": "reader"}]}, token=MASTER_TOKEN)
    accessor: str = made["AccessorID"]
    return accessor


def test_a_token_that_is_taken_away_and_given_back(guarded: Agent) -> None:
    secret = "22222222-3333-4444-5555-666666666666"
    accessor = new_token(guarded, secret)
    with Cache(ConsulRegistry(guarded.url, token=secret), wait=1.0) as cache:
        eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 3)
        guarded.api("DELETE", f"/v1/acl/token/{accessor}", token=MASTER_TOKEN)
        assert isinstance(failed(cache), AccessDenied)
        assert still_serves(cache, 3)
        with pytest.raises(AccessDenied, match="check token="):
            cache.get("another", timeout=HANG)
        new_token(guarded, secret)
        eventually(lambda: cache.status(SERVICE).watching)
        assert still_serves(cache, 3)


def test_a_token_that_may_no_longer_read_makes_an_empty_list_which_is_held_back(guarded: Agent) -> None:
    """Consul answers 200 and an empty list, and says nothing of it."""
    secret = "22222222-3333-4444-5555-777777777777"
    new_token(guarded, secret)
    policies = guarded.api("GET", "/v1/acl/policies", token=MASTER_TOKEN)
    (reader,) = [policy["ID"] for policy in policies if policy["Name"] == "reader"]

    def rules(text: str) -> None:
        body = {"ID": reader, "Name": "reader", "Rules": text}
        guarded.api("PUT", f"/v1/acl/policy/{reader}", body, token=MASTER_TOKEN)

    guard = Guard(confirmations=1000, interval=0.2)
    with Cache(ConsulRegistry(guarded.url, token=secret), wait=1.0, guard=guard) as cache:
        eventually(lambda: len(cache.get(SERVICE, timeout=HANG)) == 3)
        rules('node_prefix "" { policy = "read" }')
        register(guarded, 4, token=MASTER_TOKEN)  # the agent looks again when something changes
        eventually(lambda: cache.status(SERVICE).held_back)
        assert still_serves(cache, 3)
        rules(READ)
        eventually(lambda: cache.status(SERVICE).held_back is None)
        assert still_serves(cache, 4)
