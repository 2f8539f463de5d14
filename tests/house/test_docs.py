"""Every code block of the README and of docs/ runs, against a real Consul agent (:mod:`tests.house.page`)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

import regcache
from tests.consul import Agent

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "benchmarks/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
#: Seconds for one page.
LONGEST = 180.0


def greeter(name: str, version: str, node: int) -> regcache.Service:
    made = regcache.Node(f"{name}-{version}-{node}", "127.0.0.1", 9000 + node, metadata={"protocol": "grpc"})
    return regcache.Service(name, version, endpoints=(regcache.Endpoint("Say.Hello"),), nodes=(made,))


@pytest.fixture
def consul_with_services(consul_agent: Agent) -> Iterator[Agent]:
    """An agent that has what the pages talk about: ``greeter``, in two versions, and ``payments``."""
    registry = regcache.ConsulRegistry(consul_agent.url)
    services: List[regcache.Service] = [greeter("greeter", "1.0", node) for node in range(3)]
    services += [greeter("greeter", "2.0", 3), greeter("payments", "1.0", 4)]
    for service in services:
        registry.register(service, ttl=600.0)
    yield consul_agent
    for service in services:
        registry.deregister(service)
    registry.close()


def needed(text: str) -> List[str]:
    """Packages that a page needs: ``<!-- needs: fastapi httpx -->``."""
    return [name for names in re.findall(r"<!-- needs: ([\w ]+) -->", text) for name in names.split()]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page: str, consul_with_services: Agent, tmp_path: Path) -> None:
    for name in needed((ROOT / page).read_text()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}, of the extra docs")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-m", "tests.house.page", str(ROOT / page), consul_with_services.address]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=LONGEST,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
