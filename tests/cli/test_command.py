"""What all commands have in common: help, exit codes, and output that nobody or nothing can take."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import threading
from typing import List

import pytest

import regcache
from regcache import codec
from regcache.cli.text import cells
from tests import build
from tests.faulty import FaultyServer
from tests.recorded import GOMICRO

from .conftest import SECONDS, Run, command, environment, typed

RECORDED = GOMICRO / "consul"
SMALL = RECORDED / "health_a.json"
#: Larger than any pipe's buffer, as JSON.
LARGE = RECORDED / "health_b.json.zst"
COMMANDS = ("decode", "tags", "get", "demo", "register", "deregister", "simulate")


# -- help and version -------------------------------------------------------------------------------------------------


def test_the_version_names_the_codec_in_use(run: Run) -> None:
    assert run("--version") == (0, f"regcache {regcache.__version__} ({codec.BACKEND} codec)\n", "")


def test_help_lists_the_commands(run: Run) -> None:
    done = run("--help")
    assert done.code == 0 and done.err == ""
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s+\w", done.out, re.MULTILINE), done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert done.code == 0 and done.err == ""
    assert done.out.startswith(f"usage: regcache {name} ")


@pytest.mark.parametrize(
    "options, name",
    [
        (["--service", "--json", "--strict", "FILE"], "decode"),
        (["--json", "TAG"], "tags"),
        (["--registry", "--token", "--datacenter", "--timeout", "--json", "SERVICE"], "get"),
        (["--consul", "--token", "--body", "--service"], "demo"),
        (["--registry", "--token", "SERVICE"], "deregister"),
        (["--address", "--port", "--version", "--metadata", "--endpoint", "--ttl", "--form", "--registry"], "register"),
        (["--version", "--metadata", "--endpoint", "--form"], "tags encode"),
        (
            ["--consul", "--token", "--seconds", "--nodes", "--callers", "--seed", "--json", "--plot"],
            "simulate incident",
        ),
    ],
)
def test_help_explains_every_option(run: Run, options: List[str], name: str) -> None:
    explained = run(*name.split(), "--help").out.partition("\n\n")[2]
    for option in options:
        assert re.search(rf"^  {option}\b", explained, re.MULTILINE) or option in ("FILE", "TAG", "SERVICE"), option
        assert option.lower().lstrip("-") in explained.lower()


# -- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "COMMAND"),
        (["dcode"], "invalid choice: 'dcode'"),
        (["decode"], "FILE"),
        (["decode", "-", "--jsn"], "--jsn"),
        (["tags"], "TAG"),
        (["get", "--registry", "memory://"], "SERVICE"),
        (["get", "greeter", "--registry", "memory://", "--timeout", "0"], "a number of seconds is wanted"),
        (["get", "greeter", "--registry", "memory://", "--timeout", "soon"], "not 'soon'"),
        (["get", "greeter", "--registry", "memory://", "--timeout", "nan"], "not 'nan'"),
        (["demo", "--body", "a", "--consul", "b"], "not allowed with"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_2(run: Run, arguments: List[str], said: str) -> None:
    done = run(*arguments)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("usage: regcache") and said in done.err


def test_the_exit_code_is_that_of_the_process() -> None:
    assert typed("decode", SMALL).code == 0
    assert typed("decode", "/dev/null").code == 1
    assert typed("dcode").code == 2


def test_ctrl_c_is_130_and_silent() -> None:
    """The registry that it waits for never answers."""
    started = threading.Event()

    def interrupt(connection: socket.socket, request: bytes) -> None:
        started.wait(SECONDS)
        asked.send_signal(signal.SIGINT)
        connection.recv(1)  # until it is gone

    with FaultyServer(interrupt) as server:
        asked = subprocess.Popen(
            command("get", "greeter", "--registry", server.url, "--timeout", SECONDS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # What a shell runs in the background ignores the signal, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.set()
        out, err = asked.communicate(timeout=SECONDS)
    assert (asked.returncode, out, err) == (130, b"", b"")


# -- output that cannot be written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments", [("decode", SMALL), ("decode", LARGE, "--json"), ("--version",)], ids=["small", "large", "version"]
)
def test_a_full_disk_is_said_so(arguments: List[str], buffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = typed(*arguments, stdout=full, PYTHONUNBUFFERED=buffered)
    assert done.code == 1
    assert done.complaint == "the output cannot be written: No space left on device"


@pytest.mark.parametrize(
    "arguments", [("decode", LARGE, "--json"), ("decode", SMALL), ("--help",)], ids=["large", "small", "help"]
)
def test_a_pipe_that_was_closed_is_no_error(arguments: List[str]) -> None:
    """As in ``regcache decode ... | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        assert typed(*arguments, stdout=pipe) == (0, "", "")


def test_a_closed_standard_output_is_said_so() -> None:
    line = ["sh", "-c", 'exec "$@" >&-', "sh", *command("decode", SMALL)]
    done = subprocess.run(line, stderr=subprocess.PIPE, env=environment(), timeout=SECONDS)
    assert (done.returncode, done.stderr) == (1, b"regcache: the output cannot be written: it is closed\n")


def test_a_closed_standard_input_is_said_so() -> None:
    line = ["sh", "-c", 'exec "$@" <&-', "sh", *command("decode", "-")]
    done = subprocess.run(line, stderr=subprocess.PIPE, env=environment(), timeout=SECONDS)
    assert done.returncode == 1 and done.stderr.startswith(b"regcache: standard input is closed")


def test_a_narrow_encoding_is_no_reason_to_fail() -> None:
    unicode = RECORDED / "health_unicode.json"
    for arguments in (("decode", unicode), ("decode", unicode, "--json")):
        done = typed(*arguments, PYTHONIOENCODING="ascii")
        assert done.code == 0 and done.err == "" and done.out.isascii()


# -- terminals ---------------------------------------------------------------------------------------------------------


def table(lines: List[str]) -> List[str]:
    """The lines under the headings, which a terminal may wrap: those hold whole sentences."""
    return [line for line in lines if line.startswith("  ")]


@pytest.mark.parametrize("columns", [40, 61, 80, 200])
@pytest.mark.parametrize("name", ["health_a.json", "health_unicode.json", "health_six.json", "health_plugins.json"])
def test_no_line_of_a_table_is_wider_than_the_window(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("decode", RECORDED / name)
    assert done.code == 0
    assert max(map(cells, table(done.lines))) <= columns


def test_without_a_terminal_nothing_is_cut(run: Run) -> None:
    done = run("decode", SMALL)
    assert "go.micro.srv.greeter-00229dcb-924b-4ccf-864d-edfe9a80e816  10.5.112.219:30479 " in done.out
    assert "…" not in done.out and "\x1b" not in done.out


def on_a_terminal(columns: int, *arguments: object, **settings: str) -> str:
    """What a command writes on a terminal of this width."""
    terminal, end = pty.openpty()
    try:
        with open(end, "wb", buffering=0) as stdout:
            subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=stdout, check=True)
            process = subprocess.Popen(
                command(*arguments), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stdout, env=environment(**settings)
            )
        seen = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # How Linux says that nobody is left who could write.
                break
            if not piece:
                break
            seen += piece
        assert process.wait(SECONDS) == 0, seen
    finally:
        os.close(terminal)
    return seen.decode()


def test_a_narrow_terminal_gets_short_lines_and_colour() -> None:
    seen = on_a_terminal(60, "decode", RECORDED / "health_maint.json", TERM="xterm")
    assert "\x1b[1m" in seen and "\x1b[35m" in seen
    plain = re.sub(r"\x1b\[\d+m", "", seen)
    assert "\x1b" not in plain
    assert max(map(cells, table(plain.splitlines()))) <= 60


@pytest.mark.parametrize("settings", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_terminal_without_colour_gets_none(settings: "dict[str, str]") -> None:
    assert "\x1b" not in on_a_terminal(60, "decode", SMALL, **settings)


def test_nothing_that_a_registry_says_reaches_the_terminal_raw(run: Run) -> None:
    evil = "\x1b[2J\x07\u202e"
    tags = (f"v={evil}", evil, build.tag("t", {evil: evil}), build.tag("e", {"name": evil}), "t-zz")
    entry = build.entry(evil, tags=tags, address=evil, Service_Service=evil)
    for body in (build.body(entry), build.body(entry, entry)):
        done = run("decode", "-", stdin=body)
        assert done.code == 0 and "1 warning:" in done.lines or "2 warnings:" in done.lines
        assert "\\x1b[2J" in done.out
        assert done.out.replace("\n", "").isprintable()


def test_an_error_that_repeats_a_registrys_words_is_one_printable_line(run: Run) -> None:
    answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\na\n\x1b[2J\x07bc"
    with FaultyServer(answer) as server:
        done = run("get", "greeter", "--registry", server.url)
    assert done.code == 1 and done.complaint.isprintable()
    assert "answered 500 (a\\n\\x1b[2J\\x07b" in done.complaint
