"""Counting by valgrind's callgrind, in an interpreter of its own."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Dict, List

from ..machine import compiler
from .kernels import CALLS

__all__ = ["CannotCount", "count", "key"]

HERE = Path(__file__).parent
#: Seconds; it takes ten where nothing else runs.
PATIENCE = 600


class CannotCount(Exception):
    """What is missing here, in one sentence."""


def key() -> str:
    """What counts depend on beside regcache: only those with the same key are compared."""
    parts = [
        platform.machine(),
        f"AVX2 {'yes' if _avx2() else 'no'}",
        f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
        "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "",
        f"extension {compiler()}",
        f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
        " ".join(platform.libc_ver()),
    ]
    return ", ".join(part for part in parts if part)


def count() -> Dict[str, int]:
    """Instructions of one call of each kernel. Raises CannotCount."""
    valgrind, cc = shutil.which("valgrind"), shutil.which(os.environ.get("CC", "cc"))
    if valgrind is None:
        raise CannotCount("there is no valgrind on the PATH")
    if cc is None:
        raise CannotCount("there is no C compiler to build benchmarks/instructions/marks.c with")
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks.so"
        made = subprocess.run(
            [cc, "-shared", "-fPIC", "-O2", "-o", str(marks), str(HERE / "marks.c")], capture_output=True, text=True
        )
        if made.returncode != 0:
            raise CannotCount("marks.c could not be compiled; is the header valgrind/callgrind.h there?")
        command = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/counts"]
        command += [sys.executable, "-m", "benchmarks.instructions.kernels", str(marks)]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(
            command, cwd=HERE.parent.parent, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        if run.returncode != 0:
            raise RuntimeError(f"the kernels failed under valgrind:\n{run.stdout}{run.stderr}")
        return _read(sorted(Path(folder).glob("counts.*")))


def _read(files: List[Path]) -> Dict[str, int]:
    """What callgrind wrote down at each mark, by its name."""
    counts: Dict[str, int] = {}
    for file in files:
        text = file.read_text(errors="replace")
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if name is not None and total is not None:
            counts[name.group(1)] = round(int(total.group(1)) / CALLS[name.group(1)])
    assert set(counts) == set(CALLS), f"callgrind wrote down only {sorted(counts)}"
    return {name: counts[name] for name in CALLS}


def _avx2() -> bool:
    """Does this CPU have what the scanner takes where it is there?"""
    try:
        return re.search(r"^flags\s*:.*\bavx2\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE) is not None
    except OSError:
        return False
