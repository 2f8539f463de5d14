"""Fixtures of the registries' tests."""

from __future__ import annotations

import socket
from typing import Iterator

import pytest


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of loopback on which nobody listens: it is bound, so that nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
