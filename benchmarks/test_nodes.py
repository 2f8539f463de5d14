"""What a body costs by its number of nodes, where all tags are alike and where no two are."""

from __future__ import annotations

from typing import Any

import pytest

from . import made, ways
from .baselines.plain import names_of

ROUNDS = {100: 15, 1_000: 9, 10_000: 3}
SIZES = [100, 1_000, pytest.param(10_000, marks=pytest.mark.long)]
WAYS = ("naive", "msgspec-cold", "msgspec-warm", "pure", "compiled", "compiled-chunks", "compiled-refresh")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sharing", made.SHARING)
@pytest.mark.parametrize("size", SIZES)
def test_versions(size: int, sharing: str, way: str, race: Any) -> None:
    """Up to each node's address, port and version."""
    taken = made.body(size, sharing)
    assert ways.VERSIONS[way](taken)() == ways.VERSIONS["naive"](taken)()
    race(
        lambda way: ways.VERSIONS[way](taken),
        group=f"{taken.name}: addresses, ports, versions",
        rounds=ROUNDS[size],
        baseline="naive",
        body_bytes=len(taken.data),
        nodes=size,
        sharing=sharing,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sharing", made.SHARING)
@pytest.mark.parametrize("size", [100, pytest.param(1_000, marks=pytest.mark.long)])
def test_everything(size: int, sharing: str, way: str, race: Any) -> None:
    """The same and each node's metadata and endpoints."""
    taken = made.body(size, sharing)
    assert names_of(ways.EVERYTHING[way](taken)()) == names_of(ways.EVERYTHING["naive"](taken)())
    race(
        lambda way: ways.EVERYTHING[way](taken),
        group=f"{taken.name}: every tag of every node",
        rounds=ROUNDS[size],
        baseline="naive",
        body_bytes=len(taken.data),
    )
