"""Starting: a fresh interpreter that does nothing, that imports regcache, and that imports what others begin with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

ROUNDS = 20
ROOT = Path(__file__).parent.parent

WAYS: Dict[str, str] = {
    "nothing": "pass",
    "json and zlib": "import json, zlib",
    "urllib3": "import urllib3",
    "regcache": "import regcache",
    "regcache, first decode": "import regcache; regcache.decode(b'[]')",
    "msgspec and zlib_ng": "import msgspec, zlib_ng.zlib_ng",
    "requests": "import requests",
    "cachetools": "import cachetools",
    "dogpile.cache": "import dogpile.cache",
    "cashews": "import cashews",
}


@pytest.mark.parametrize("way", WAYS)
def test_start(way: str, race: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From the start of the process to its end; byte code is there from the start before."""

    def prepare(way: str) -> Callable[[], object]:
        # Whatever this machine does with byte code: it is written by the first start, and read by all others.
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": str(tmp_path_factory.getbasetemp()),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", WAYS[way]]
        return lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True)

    race(prepare, group="start of a process (all that Python itself does is in it)", rounds=ROUNDS, baseline="nothing")
