"""go-micro itself, as a process: the program of ``benchmarks/go``, built where a Go toolchain and its modules are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict
from urllib.parse import urlsplit

__all__ = ["GoMicro", "NotBuilt", "build"]

SOURCE = Path(__file__).parent / "go"
#: Seconds for fetching the modules and compiling them.
PATIENCE = 300


class NotBuilt(Exception):
    """Why it cannot be compared with here, in one sentence."""


def build(folder: Path) -> Path:
    """The program, built in a folder. Raises NotBuilt."""
    go = shutil.which("go")
    if go is None:
        raise NotBuilt("there is no Go toolchain (go) on the PATH")
    for name in ("go.mod", "main.go"):
        shutil.copy(SOURCE / name, folder / name)
    # go.mod is completed in the copy: it names one module, and says which release.
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    try:
        built = subprocess.run(
            [go, "build", "-o", "go-micro", "."],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise NotBuilt(f"go build did not end within {PATIENCE} s") from None
    if built.returncode != 0:
        said = built.stdout.strip().splitlines() or ["nothing"]
        raise NotBuilt(f"go-micro could not be built in benchmarks/go; go build says: {said[-1]}")
    return folder / "go-micro"


class GoMicro:
    """A client that asks for one service, once for each :meth:`ask`."""

    def __init__(self, program: Path, url: str, service: str) -> None:
        self._process = subprocess.Popen(
            [str(program), urlsplit(url).netloc, service], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self) -> Dict[str, Any]:
        """What one call cost: seconds, bytes, nodes."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()
