"""What a run depends on beside the code: the machine, the compiler, the versions."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Dict

__all__ = ["about", "compiler", "packages"]

PACKAGES = (
    "msgspec",
    "zlib-ng",
    "pysimdjson",
    "cachetools",
    "dogpile.cache",
    "cashews",
    "msgpack",
    "zstandard",
    "urllib3",
    "pytest-benchmark",
)


def about() -> Dict[str, Any]:
    """For a report."""
    return {
        "packages": packages(),
        "extension_compiler": compiler(),
        "cpus": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "scheduling": _scheduling(),
    }


def packages() -> Dict[str, str]:
    """regcache with its commit, and what it is compared with."""
    import regcache

    return {"regcache": f"{regcache.__version__} {_commit()}".strip(), **{name: _version(name) for name in PACKAGES}}


def compiler() -> str:
    """What the extension says that it was compiled by; compilers note it in ELF files."""
    codec = importlib.import_module("regcache.codec.compiled.codec")
    found = re.search(rb"(GCC: \([^)\0]*\) [0-9.]+|clang version [0-9.]+)", Path(str(codec.__file__)).read_bytes())
    return found.group(1).decode() if found else "not known"


def _version(name: str) -> str:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True
        )
    except OSError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _scheduling() -> str:
    """Does this process get a CPU before the others?"""
    if not hasattr(os, "sched_getscheduler"):
        return "not known"
    policy = {getattr(os, name): name for name in ("SCHED_OTHER", "SCHED_BATCH", "SCHED_FIFO", "SCHED_RR")}
    return policy.get(os.sched_getscheduler(0), "not known")
