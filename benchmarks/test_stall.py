"""A body that is read and another Python thread that is always busy: how long one keeps the other from running.

``nothing`` is the busy thread beside one that sleeps: what the machine itself and its other work make of it.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

import pytest

from . import ways
from .measure import beside, stall

ROUNDS = 21

WAYS: Dict[str, Callable[[Any], Callable[[], Any]]] = {
    "nothing": lambda taken: lambda: time.sleep(0.02),
    **{
        way: ways.VERSIONS[way]
        for way in (
            "naive",
            "msgspec-cold",
            "msgspec-warm",
            "pure",
            "pure-chunks",
            "compiled",
            "compiled-chunks",
            "compiled-refresh",
            "compiled-chunks-refresh",
        )
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ways.LARGE)
def test_stall(name: str, way: str, race: Any) -> None:
    """The longest time that the busy thread does not run."""
    taken = ways.body(name)
    race(
        lambda way: WAYS[way](taken),
        group=f"{name}: longest stall of another thread",
        rounds=ROUNDS,
        by=stall,
    )


@pytest.mark.parametrize("way", [way for way in WAYS if way != "nothing"])
@pytest.mark.parametrize("name", ways.LARGE)
def test_beside(name: str, way: str, race: Any) -> None:
    """How long the decode takes meanwhile. Whoever lets go of the GIL waits for it afterwards, 5 ms each time."""
    taken = ways.body(name)
    race(
        lambda way: WAYS[way](taken),
        group=f"{name}: decoding beside a busy thread",
        rounds=ROUNDS // 3,
        baseline="naive",
        by=beside,
    )
