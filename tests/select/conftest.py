"""Every test that asks for ``twin`` runs once for each backend of the pickers."""

from __future__ import annotations

import importlib
from typing import Any, List

import pytest

from tests.conftest import BACKENDS


def backend(name: str) -> Any:
    """A backend's names. A missing extension fails the tests: it is never passed over."""
    return importlib.import_module(f"regcache.select.{name}")


def parts(name: str) -> Any:
    """The inner names of a backend that tests compare: schedule, hash_key, hash_node, Ring, aliases."""
    if name == "compiled":
        return importlib.import_module("regcache.select.compiled.select")
    made = type("parts", (), {})
    for module in ("schedule", "ring", "picks"):
        for key, value in vars(importlib.import_module(f"regcache.select.pure.{module}")).items():
            setattr(made, key, staticmethod(value) if callable(value) and not isinstance(value, type) else value)
    return made


@pytest.fixture(params=BACKENDS)
def twin(request: pytest.FixtureRequest) -> Any:
    """One backend of the pickers."""
    return backend(request.param)


@pytest.fixture(params=BACKENDS)
def inner(request: pytest.FixtureRequest) -> Any:
    """The inner names of one backend."""
    return parts(request.param)


@pytest.fixture(scope="session")
def twins() -> List[Any]:
    """All backends, for tests that compare them."""
    return [backend(name) for name in BACKENDS]


@pytest.fixture(scope="session")
def inners() -> List[Any]:
    """The inner names of all backends."""
    return [parts(name) for name in BACKENDS]
