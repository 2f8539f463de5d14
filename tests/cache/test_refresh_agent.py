"""The refresher against real agents: many services, few connections; agents that hang, die and come back."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

import pytest

from regcache import Cache, Event, Timeout, Unavailable
from regcache.cache.refresh import Outcome, Refresher
from regcache.registry import ConsulRegistry
from tests.cache.asked import Told, ask, threads_left
from tests.consul import Agent, free_ports, running
from tests.together import HANG

MANY = 1000


@pytest.fixture
def refresh() -> Iterator[Callable[..., Refresher]]:
    """Makes a refresher for an agent, and closes it."""
    made: List[Any] = []

    def make(agent: Agent, timeout: float = 10.0, **options: Any) -> Refresher:
        registry = ConsulRegistry(agent.url, timeout=timeout)
        made.append((registry, Refresher(registry, **options)))
        return made[-1][1]  # type: ignore[no-any-return]

    yield make
    for registry, refresher in made:
        refresher.close()
        registry.close()
    assert threads_left() == []


def put(agent: Agent, service: str, number: int = 1, port: int = 80) -> None:
    body = {"ID": f"{service}-{number}", "Service": service, "Port": port, "Tags": [f"tag-{number}"]}
    agent.api("PUT", "/v1/catalog/register", {"Node": f"{service}-node", "Address": "10.0.0.1", "Service": body})


def take(agent: Agent, service: str, number: int = 1) -> None:
    gone = {"Node": f"{service}-node", "ServiceID": f"{service}-{number}"}
    agent.api("PUT", "/v1/catalog/deregister", gone)


def connections(agent: Agent) -> Optional[int]:
    """How many this machine has to the agent, where the system tells."""
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    ends = [line.split()[1:4] for line in lines]
    return sum(remote.endswith(f":{agent.port:04X}") and state == "01" for _, remote, state in ends)


class Watcher:
    """What an entry of a cache does with a refresher: one blocking load after the other."""

    def __init__(self, refresher: Refresher, service: str) -> None:
        self._refresher = refresher
        self._service = service
        self.changed = threading.Event()
        self.errors: List[Any] = []
        self.load(None, None)

    def load(self, index: Optional[int], snapshot: Any) -> None:
        def done(outcome: Outcome) -> None:
            if outcome.error is not None:
                self.errors.append(outcome.error)
                return
            if not outcome.unchanged:
                self.changed.set()
            self.load(outcome.index, snapshot if outcome.unchanged else outcome.snapshot)

        self._refresher.load(self._service, done, index=index, wait=55, previous=snapshot)


def test_a_thousand_services(refresh: Any, consul_program: str, tmp_path: Path) -> None:
    """Few connections, few threads; a change in any of them is noticed, and a cold caller does not wait for them."""
    with running(consul_program, tmp_path, "-dev") as agent:
        names = [f"service-{number}" for number in range(MANY)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: put(agent, name), names))
        refresher = refresh(agent)
        watchers = {name: Watcher(refresher, name) for name in names}
        for watcher in watchers.values():
            assert watcher.changed.wait(HANG)
        for watcher in watchers.values():
            watcher.changed.clear()
        changed = random.sample(names, 50)
        for name in changed:
            put(agent, name, 2)
        began = time.monotonic()
        assert ask(refresher, names[0], urgent=True).snapshot is not None
        assert time.monotonic() - began < HANG / 4
        most = 0
        for name in changed:
            while not watchers[name].changed.wait(0.1):
                most = max(most, connections(agent) or 0)
                assert time.monotonic() - began < HANG, f"the change in {name} was not noticed"
        assert len(refresher.threads) <= 5
        assert most <= 128
        for name, watcher in watchers.items():
            assert watcher.changed.is_set() == (name in changed), name
            assert watcher.errors == []


def bare(agent: Agent, service: str, index: int, change: Callable[[], None]) -> float:
    """Seconds from a change until a blocking query has its whole body, with nothing around it."""
    sent = threading.Event()
    at: List[float] = []

    def query() -> None:
        connection = http.client.HTTPConnection(agent.host, agent.port, timeout=HANG)
        connection.request("GET", f"/v1/health/service/{service}?index={index}&wait=30s&stale")
        sent.set()
        connection.getresponse().read()
        at.append(time.perf_counter())
        connection.close()

    thread = threading.Thread(target=query)
    thread.start()
    assert sent.wait(HANG)
    began = _change_soon(change)
    thread.join(HANG)
    return at[0] - began


def refreshed(refresher: Refresher, service: str, held: Outcome, change: Callable[[], None]) -> float:
    """Seconds from a change until the refresher has told of its snapshot."""
    told = Told()
    at: List[float] = []

    def done(outcome: Outcome) -> None:
        at.append(time.perf_counter())
        told(outcome)

    refresher.load(service, done, index=held.index, wait=30, previous=held.snapshot)
    began = _change_soon(change)
    assert not told.next().unchanged
    return at[0] - began


def unselected(registry: ConsulRegistry, service: str, gone: str, change: Callable[[], None]) -> float:
    """Seconds from the deregistration of a node until no pick of a selector is of it any more."""
    told = threading.Event()
    at: List[float] = []

    def hear(event: Event) -> None:  # selectors are told before
        if event.kind == "refreshed" and event.snapshot is not None and event.snapshot.removed:
            at.append(time.perf_counter())
            told.set()

    with Cache(registry, on_event=hear) as cache:
        selector = cache.selector(service, "round_robin")
        count = len(cache.get(service))
        assert gone in {selector.select().id for _ in range(count)}
        deadline = time.monotonic() + HANG
        while not cache.status(service).watching:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        began = _change_soon(change)
        assert told.wait(HANG)
        assert gone not in {selector.select().id for _ in range(count)}
    return at[0] - began


def _change_soon(change: Callable[[], None]) -> float:
    time.sleep(0.05)  # by now the query waits in the agent; if it does not, it is only faster
    began = time.perf_counter()
    change()
    return began


class Race(NamedTuple):
    """Seconds from each change."""

    bare: List[float]
    refreshed: List[float]
    unselected: List[float]


def race(refresher: Refresher, registry: ConsulRegistry, agent: Agent, service: str, nodes: int, turns: int) -> Race:
    """In turn: a bare blocking query, the refresher's to its snapshot, a selector's to its picks."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: put(agent, service, number), range(1, nodes + 1)))
    found = Race([], [], [])
    try:
        held = ask(refresher, service)
        for _ in range(turns):
            for change in (take, put):
                once = partial(change, agent, service)
                found.bare.append(bare(agent, service, held.index, once))
                held = ask(refresher, service, previous=held.snapshot)
            for change in (take, put):
                once = partial(change, agent, service)
                found.refreshed.append(refreshed(refresher, service, held, once))
                held = ask(refresher, service, previous=held.snapshot)
            once = partial(take, agent, service)
            found.unselected.append(unselected(registry, service, f"{service}-1", once))
            put(agent, service)
            held = ask(refresher, service, previous=held.snapshot)
    finally:
        agent.deregister(service)
    return found


def test_every_change_is_told_of(refresh: Any, consul_agent: Agent, service_name: str) -> None:
    """How soon, beside a bare blocking query, is measured by benchmarks/change.py."""
    with closing(ConsulRegistry(consul_agent.url)) as registry:
        found = race(refresh(consul_agent), registry, consul_agent, service_name, 3, 2)
    assert [len(times) for times in found] == [4, 4, 2]


def test_an_agent_that_is_stopped_and_goes_on(refresh: Any, consul_program: str, tmp_path: Path) -> None:
    """It takes connections and answers nothing: every load ends at its deadline. Afterwards all is well at once."""
    with running(consul_program, tmp_path, "-dev") as agent:
        assert agent.process is not None
        put(agent, "greeter")
        refresher = refresh(agent, timeout=0.5)
        index = ask(refresher, "greeter").index
        agent.process.send_signal(signal.SIGSTOP)
        os.waitpid(agent.process.pid, os.WUNTRACED)  # it may go on for a moment after the signal
        try:
            blocked = Told()
            refresher.load("greeter", blocked, index=index, wait=0.5)
            told = [Told() for _ in range(20)]
            for one in told:
                refresher.load("greeter", one, urgent=True)
            for one in [*told, blocked]:
                assert isinstance(one.next().error, Timeout)
            assert len(refresher.threads) <= 5
        finally:
            agent.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + HANG
        while ask(refresher, "greeter").snapshot is None:
            assert time.monotonic() < deadline


def test_an_agent_that_is_killed_and_comes_back_empty(refresh: Any, consul_program: str, tmp_path: Path) -> None:
    ports = free_ports(3)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with running(consul_program, tmp_path / "first", "-dev", ports=ports) as agent:
        assert agent.process is not None
        put(agent, "greeter")
        refresher = refresh(agent)
        index = ask(refresher, "greeter").index
        told = Told()
        refresher.load("greeter", told, index=index, wait=55)
        refresher.load("greeter", Told(), index=index, wait=55)
        assert ask(refresher, "greeter").index == index
        agent.process.kill()
        assert isinstance(told.next().error, Unavailable)
        agent.process.wait()
        assert "cannot be reached" in str(ask(refresher, "greeter").error)
    with running(consul_program, tmp_path / "second", "-dev", ports=ports):
        outcome = ask(refresher, "greeter")
        assert outcome.snapshot is not None and len(outcome.snapshot) == 0
        assert ask(refresher, "greeter", index=outcome.index, wait=0.01).error is None


def test_an_agent_that_shuts_down_says_nothing_new(refresh: Any, consul_program: str, tmp_path: Path) -> None:
    """It answers the query with the index that it was asked with. That is not a turn that is over."""
    with running(consul_program, tmp_path, "-dev") as agent:
        assert agent.process is not None
        put(agent, "greeter")
        refresher = refresh(agent)
        index = ask(refresher, "greeter").index
        told = Told()
        refresher.load("greeter", told, index=index, wait=55)
        assert ask(refresher, "greeter").index == index
        os.kill(agent.process.pid, signal.SIGTERM)
        outcome = told.next()
        assert outcome.unchanged or isinstance(outcome.error, Unavailable)
        agent.process.wait(HANG)
