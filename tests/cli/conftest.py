"""Two ways to type a command: in this process, and as people do."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Protocol

import pytest

import regcache
from regcache.cli import main

#: What of the environment changes the output.
SETTINGS = ("COLUMNS", "NO_COLOR", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONPATH", "TERM")
SECONDS = 120


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> List[str]:
        return self.out.splitlines()

    @property
    def complaint(self) -> str:
        """What follows ``regcache:``, where a command failed with one line, as every command should."""
        assert self.code in (1, 2), self
        assert self.err.startswith("regcache: ") and self.err.count("\n") == 1, self.err
        return self.err[len("regcache: ") :].rstrip("\n")


class Run(Protocol):
    def __call__(self, *arguments: Any, stdin: bytes = b"") -> Done: ...


@pytest.fixture(autouse=True)
def _plain_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process."""

    def one(*arguments: Any, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return one


def command(*arguments: Any) -> List[str]:
    return [sys.executable, "-m", "regcache", *map(str, arguments)]


def environment(**settings: str) -> Dict[str, str]:
    """This process's, with the settings given in place of those that change the output."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return {**kept, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(Path(regcache.__file__).parents[1]), **settings}


def typed(*arguments: Any, stdin: Optional[bytes] = b"", stdout: Any = subprocess.PIPE, **settings: str) -> Done:
    """A command in a process of its own. ``settings`` are environment variables."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment(**settings),
        timeout=SECONDS,
    )
    return Done(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())
