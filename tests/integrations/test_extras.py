"""Without the library there is one sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "name, module", [("httpx", "httpx"), ("requests", "requests"), ("aiohttp", "aiohttp"), ("grpc", "grpc")]
)
def test_a_library_that_is_missing(name: str, module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; import regcache.integrations.{name}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1] == (
        f"ImportError: regcache.integrations.{name} needs {module}, which is not installed: pip install 'regcache[{name}]'"
    )
