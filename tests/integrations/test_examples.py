"""The examples run, and leave nothing open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.together import HANG

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*_client.py"))


def test_there_are_examples() -> None:
    assert "httpx_client.py" in EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(name: str) -> None:
    pytest.importorskip(name.split("_")[0])
    command = [sys.executable, "-W", "error::ResourceWarning", str(ROOT / "examples" / name)]
    # Older releases of grpc's C core say on stderr that a server went away.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRPC_VERBOSITY": "NONE"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, timeout=HANG, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    assert "hello from greeter-2" in ran.stdout
    busy = ran.stdout.split("do not notice")[1]
    assert "greeter-1" not in busy and "greeter-3" in busy
