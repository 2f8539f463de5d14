"""A short run of the fuzz targets (``tests/fuzz/run`` fuzzes for longer): no crash, and the same answer however a body
is cut. With libFuzzer where clang has it, else with a driver of our own, which only changes recorded inputs at random.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.conftest import BACKENDS

RUN = Path(__file__).with_name("run")
SECONDS, RUNS = 15, 50_000
#: The driver chooses blindly, and more of the same finds less.
DRIVER_RUNS = 10_000

#: The exit status of ``run`` where there is no such compiler.
LACKS = 3


def fuzz(target: str, folder: Path, options: List[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "REGCACHE_FUZZ_DIR": str(folder), "PYTHON": sys.executable, **environment}
    command = ["sh", str(RUN), str(SECONDS), target, *options]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


@pytest.mark.skipif(os.name != "posix", reason="tests/fuzz/run is a shell script")
@pytest.mark.skipif(BACKENDS == ["pure"], reason="the C is fuzzed where it is tested: without REGCACHE_PURE=1")
@pytest.mark.parametrize("target", ["body", "tags"])
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    done = fuzz(target, tmp_path, ["-seed=1", f"-runs={RUNS}"])
    if done.returncode == LACKS:
        done = fuzz(target, tmp_path, ["-seed=1", f"-runs={DRIVER_RUNS}"], REGCACHE_FUZZ_DRIVER="1")
    if done.returncode == LACKS and not os.environ.get("CI"):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert "Done " in done.stdout, done.stdout
