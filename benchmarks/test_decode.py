"""Whole bodies, from bytes to what a program reads of every node."""

from __future__ import annotations

from typing import Any

import pytest

from . import ways
from .baselines.plain import names_of

ROUNDS = {"health_a": 21, "health_b": 40, "health_c": 21}


@pytest.mark.parametrize("way", ways.VERSIONS)
@pytest.mark.parametrize("name", ways.BODIES)
def test_versions(name: str, way: str, race: Any) -> None:
    """Up to each node's address, port and version."""
    taken = ways.body(name)
    assert ways.VERSIONS[way](taken)() == ways.VERSIONS["naive"](taken)()
    race(
        lambda way: ways.VERSIONS[way](taken),
        group=f"{name}: addresses, ports, versions",
        rounds=ROUNDS[name],
        baseline="naive",
        body_bytes=len(taken.data),
    )


@pytest.mark.parametrize("way", ways.EVERYTHING)
@pytest.mark.parametrize("name", ways.BODIES)
def test_everything(name: str, way: str, race: Any) -> None:
    """The same and each node's metadata and endpoints."""
    taken = ways.body(name)
    assert names_of(ways.EVERYTHING[way](taken)()) == names_of(ways.EVERYTHING["naive"](taken)())
    race(
        lambda way: ways.EVERYTHING[way](taken),
        group=f"{name}: every tag of every node",
        rounds=ROUNDS[name] // 3,
        baseline="naive",
        body_bytes=len(taken.data),
    )
