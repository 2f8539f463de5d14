"""Nodes and a cache of them. What is left open when a test is over fails it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from regcache import Cache
from tests.integrations.servers import Nodes

STRICT = ("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: "List[pytest.Item]") -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in STRICT:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What was left open says so in its own test."""
    yield
    gc.collect()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture
def cache(nodes: Nodes) -> Iterator[Cache]:
    with Cache(nodes.registry) as made:
        yield made


@pytest.fixture
def events() -> "List[Any]":
    return []
