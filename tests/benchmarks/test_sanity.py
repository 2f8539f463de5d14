"""The benchmarks work, and what they compare gives the same results. Nothing is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from regcache.codec import BACKEND

ROOT = Path(__file__).parent.parent.parent
#: What the extra "bench" brings.
NEEDED = ("cachetools", "cashews", "dogpile.cache", "msgspec", "pytest_benchmark", "simdjson", "zlib_ng")


@pytest.mark.skipif(BACKEND != "compiled", reason="the compiled codec is what is compared")
def test_benchmarks() -> None:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the benchmarks are not here")
    for name in NEEDED:
        pytest.importorskip(name)
    command = [sys.executable, "-m", "pytest", "benchmarks", "--quick", "--benchmark-disable", "-q"]
    run = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
