"""``python -m tests.house.page FILE CONSUL``: runs every code block of a page, in order, as its reader would.

- ``python`` blocks share one namespace, and may ``await``. A block whose first line is ``# name.py`` is written to that
  file in place of being run.
- ``text`` after Python (and before the next ``text``) is what that must have printed; ``...`` stands for anything.
- ``sh`` blocks are run line by line. Servers go on in the background to the end of the page. Commands that change the
  reader's machine are only checked: that the extra, the script or the target they name exists.
- ``<!-- run`` ... ``-->`` is Python that no reader sees: what the page takes for granted, and what has to be true.
- 127.0.0.1:8500 is the agent CONSUL, and 127.0.0.1:8000 is a free port.

Runs in the current folder, which should be an empty one. Any other kind of block is an error, so that none is left out.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

ROOT = Path(__file__).parents[2]
#: Kinds of blocks that are pictures or excerpts, not code.
SHOWN = {"text", "json", "toml", "yaml", "{toctree}", "{include}", "{eval-rst}"}
HIDDEN = re.compile(r"<!-- run\n(.*?)-->", re.DOTALL)
FENCE = re.compile(r"(?ms)^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ ]*$")
SERVERS = ("gunicorn", "uvicorn", "celery", "regcache register", "python -m django runserver", "python server.py")
#: Installing, cloning, and the project's own commands, which other checks run.
NOT_HERE = ("apt-get ", "pip install", "git clone", "cd ", "sh tools/", "make ", "python -m pip", "sudo ", "docker ", "pre-commit",
            "tests/fuzz/run", "python -m tools.", "python -m pytest", "REGCACHE_", "HYPOTHESIS_PROFILE", "python -m benchmarks")  # fmt: skip


class Block(NamedTuple):
    kind: str
    code: str
    line: int


def blocks(text: str) -> List[Block]:
    """All blocks of a page, with the line of their first line, 1 the first. Hidden ones are Python."""
    found = [
        (match.start(), Block(match["kind"].strip(), match["code"], text.count("\n", 0, match.start("code")) + 1))
        for match in FENCE.finditer(text)
    ]
    found += [
        (match.start(), Block("hidden", match[1], text.count("\n", 0, match.start(1)) + 1))
        for match in HIDDEN.finditer(text)
    ]
    return [block for _, block in sorted(found)]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Page:
    """One page being read."""

    def __init__(self, path: Path, consul: str) -> None:
        self.path = path
        self.port = free_port()
        self._places = {
            "127.0.0.1:8500": consul,
            "localhost:8500": consul,
            "port=8500": f"port={consul.rpartition(':')[2]}",
            "--port 8000": f"--port {self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
        }
        self._namespace: Dict[str, Any] = {"__name__": "page", "__builtins__": __builtins__}
        #: What the last Python block printed; None: that was compared.
        self._printed: Optional[str] = None
        self._loop = asyncio.new_event_loop()
        self._servers: "List[subprocess.Popen[bytes]]" = []
        sys.path.insert(0, os.getcwd())
        programs = Path("bin").resolve()
        programs.mkdir()
        curl = Path(__file__).with_name("curl.py")
        # No links to the interpreter: through one it does not find its virtual environment.
        for name, module in (("regcache", "-m regcache"), ("curl", f"{curl}"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            (programs / name).chmod(0o755)
        os.environ["PATH"] = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def read(self) -> None:
        try:
            for block in blocks(self.path.read_text()):
                code = block.code
                for here, there in self._places.items():
                    code = code.replace(here, there)
                if block.kind in ("python", "hidden"):
                    self._python(code, block)
                elif block.kind == "text" and self._printed is not None:
                    self._compare(code, block)
                elif block.kind == "sh":
                    self._shell(code, block)
                elif block.kind.partition(" ")[0] not in SHOWN:
                    raise SystemExit(f"{self.path}:{block.line}: nobody runs blocks of the kind {block.kind!r}")
        finally:
            self._stop()

    def _python(self, code: str, block: Block) -> None:
        name = re.match(r"# ([\w./-]+\.py)\n", code)
        if name:
            Path(name[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(name[1]).write_text(code)
            return
        # Line numbers are those of the page, in tracebacks too.
        tree = ast.parse("\n" * (block.line - 1) + code, str(self.path))
        compiled = compile(tree, str(self.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            if compiled.co_flags & inspect.CO_COROUTINE:
                self._loop.run_until_complete(eval(compiled, self._namespace))
            else:
                exec(compiled, self._namespace)
        if block.kind == "python":
            self._printed = said.getvalue()

    def _compare(self, wanted: str, block: Block) -> None:
        found, self._printed = self._printed or "", None
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if not doctest.OutputChecker().check_output(wanted, found, flags):
            raise SystemExit(f"{self.path}:{block.line}: the page promises\n{wanted}\nand this was printed:\n{found}")

    def _shell(self, code: str, block: Block) -> None:
        for line in code.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            if not command or command.startswith("#"):
                continue
            if re.match(r"regcache (get|register|deregister) ", command) and "--registry" not in command:
                command += f" --registry consul://{self._places['127.0.0.1:8500']}"  # the agent at the usual port
            if command.startswith(NOT_HERE):
                for problem in unknown(command):
                    raise SystemExit(f"{self.path}:{block.line}: {problem}")
            elif command.startswith(SERVERS):
                process = subprocess.Popen(shlex.split(command), stdin=subprocess.DEVNULL, start_new_session=True)
                self._servers.append(process)
                self._wait_for(process, command, block)
            else:
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], stdin=subprocess.DEVNULL, timeout=60)
                if done.returncode:
                    raise SystemExit(f"{self.path}:{block.line}: {command!r} ended with {done.returncode}")

    def _wait_for(self, process: "subprocess.Popen[bytes]", command: str, block: Block) -> None:
        """Until it listens, where we know on what; else as long as it takes to fail."""
        until = time.monotonic() + (30.0 if str(self.port) in command else 1.5)
        while time.monotonic() < until:
            if process.poll() is not None:
                raise SystemExit(f"{self.path}:{block.line}: {command!r} ended with {process.returncode}")
            if str(self.port) in command:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                    return
            time.sleep(0.05)
        if str(self.port) in command:
            raise SystemExit(f"{self.path}:{block.line}: {command!r} does not listen")

    def _stop(self) -> None:
        self._loop.close()
        for process in self._servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._servers:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def unknown(command: str) -> Iterator[str]:
    """What a command that is not run names, and what is not there."""
    for script in re.findall(r"(?:^|\s)((?:tools|tests)/[\w./-]+)", command):
        if not (ROOT / script).exists():
            yield f"{command!r}: there is no {script}"
    for target in re.findall(r"\bmake ([\w-]+)", command):
        if not re.search(rf"(?m)^{re.escape(target)}:", (ROOT / "Makefile").read_text()):
            yield f"{command!r}: the Makefile has no target {target}"
    for module in re.findall(r"python -m ((?:tools|benchmarks)[\w.]*)", command):
        if not any((ROOT / (module.replace(".", "/") + end)).is_file() for end in (".py", "/__init__.py")):
            yield f"{command!r}: there is no module {module}"
    for extras in re.findall(r"(?:regcache|\.)\[([\w,-]+)\]", command):
        for extra in extras.split(","):
            if not re.search(rf"(?m)^{re.escape(extra)} = \[", (ROOT / "pyproject.toml").read_text()):
                yield f"{command!r}: there is no extra {extra}"


if __name__ == "__main__":
    Page(Path(sys.argv[1]).resolve(), sys.argv[2]).read()
