"""Memory of one decode and of 64 at once in threads, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from . import many

ROOT = Path(__file__).parent.parent
NAME = "health_b"


def _asked(way: str, threads: int, *more: str) -> Dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.many", way, NAME, str(threads), *more]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is asked of Linux's /proc")
@pytest.mark.parametrize("way", many.WAYS)
@pytest.mark.parametrize("threads", [1, pytest.param(64, marks=pytest.mark.long)])
def test_memory(threads: int, way: str, benchmark: Any) -> None:
    plural = "decode" if threads == 1 else "decodes at once"
    benchmark.group = f"{NAME}: memory of {threads} {plural}, in a process of its own (times: of the processes)"
    found = benchmark.pedantic(_asked, (way, threads))
    found.update(_asked(way, threads, "--traced"))
    benchmark.extra_info.update(way=way, baseline="naive", threads=threads, **found)
