"""Waiting in tests: for a condition, and never longer than it takes."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def eventually(condition: "Callable[[], T]", seconds: float = 30.0) -> T:
    """What the condition says as soon as that is true. An AssertionError if it is not within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        said = condition()
        if said:
            return said
        assert time.monotonic() < until, f"still {said!r} after {seconds:g} s"
        time.sleep(0.02)
