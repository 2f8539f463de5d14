"""Every test that asks for ``codec`` runs once for each backend; REGCACHE_PURE=1 leaves the pure one alone."""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import Any, List

import pytest
from hypothesis import HealthCheck, settings

NAMES = ("Decoder", "decode", "decode_tags", "decode_mdns", "Node", "Snapshot", "Unzstd")
BACKENDS = ["pure"] if os.environ.get("REGCACHE_PURE", "0") not in ("", "0") else ["compiled", "pure"]

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=QUIET)
settings.register_profile("ci", parent=settings.get_profile("quick"), derandomize=True)
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick"))


def backend(name: str) -> Any:
    """A backend's names. A missing extension fails the tests: it is never passed over."""
    module = importlib.import_module(f"regcache.codec.{name}")
    return SimpleNamespace(name=name, **{attribute: getattr(module, attribute) for attribute in NAMES})


@pytest.fixture(params=BACKENDS)
def codec(request: pytest.FixtureRequest) -> Any:
    """One backend of the codec."""
    return backend(request.param)


@pytest.fixture(scope="session")
def backends() -> List[Any]:
    """All backends, for tests that compare them."""
    return [backend(name) for name in BACKENDS]


#: Real Consul agents, for the tests that ask for one.
pytest_plugins = ["tests.consul"]
