"""FileRegistry: recorded bodies in a folder, and no way out of it."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Callable, Dict

import pytest
import zstandard

from regcache import AccessDenied, LimitExceeded, NotFound, ProtocolError, Unavailable
from regcache.registry import FileRegistry
from tests.together import Threads

MIB = 1024 * 1024
BODY = b"[" + b" " * 300_000 + b"]"
PACK: Dict[str, Callable[[bytes], bytes]] = {
    ".json": lambda body: body,
    ".json.zst": lambda body: zstandard.ZstdCompressor().compress(body),
    ".json.gz": gzip.compress,
}


def read(registry: FileRegistry, service: str) -> bytes:
    with registry.fetch(service) as answer:
        return b"".join(answer.chunks())


@pytest.mark.parametrize("ending", PACK)
def test_every_form(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"go.micro.srv.greeter{ending}"
    file.write_bytes(PACK[ending](BODY))
    registry = FileRegistry(tmp_path)
    assert registry.services() == ["go.micro.srv.greeter"]
    assert read(registry, "go.micro.srv.greeter") == BODY
    os.utime(file, ns=(5, 123_456_789))
    with registry.fetch("go.micro.srv.greeter", index=123_456_789, wait=1000) as answer:
        assert answer.index == 123_456_789


@pytest.mark.parametrize("ending", PACK)
def test_a_body_over_the_cap(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"x{ending}").write_bytes(PACK[ending](BODY))
    assert read(FileRegistry(tmp_path, max_bytes=len(BODY)), "x") == BODY
    with pytest.raises(LimitExceeded, match=r"x\.json.* holds more than .* bytes; raise max_bytes="):
        read(FileRegistry(tmp_path, max_bytes=len(BODY) - 1), "x")


@pytest.mark.parametrize("ending", [".json.zst", ".json.gz"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_packed_files_that_are_damaged(tmp_path: Path, ending: str, damage: str) -> None:
    packed = PACK[ending](BODY)
    (tmp_path / f"x{ending}").write_bytes(packed[:-5] if damage == "cut" else b"\0garbage" * 10)
    with pytest.raises(
        ProtocolError, match=rf"^{re.escape(str(tmp_path))}/x{re.escape(ending)} is cut short or damaged: "
    ):
        read(FileRegistry(tmp_path), "x")


@pytest.mark.parametrize("ending", PACK)
def test_no_chunk_is_large_however_well_it_is_packed(tmp_path: Path, ending: str) -> None:
    """It would be held as a whole, and other threads would wait for it, before it could be counted."""
    body = bytes(40 * MIB)
    (tmp_path / f"x{ending}").write_bytes(PACK[ending](body))
    with FileRegistry(tmp_path).fetch("x") as answer:
        sizes = [len(chunk) for chunk in answer.chunks()]
    assert sum(sizes) == len(body) and max(sizes) <= 8 * MIB


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file for 'greeter': greeter\.json"):
        FileRegistry(tmp_path).fetch("greeter")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "..",
        ".",
        "/etc/passwd",
        "a/../../secret",
        "..\\secret",
        "a\0b",
        ".hidden",
        "100%",
        "a%2Fb",
        "größe",
    ],
)
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_bytes(b"[]")
    folder = tmp_path / "folder"
    folder.mkdir()
    registry = FileRegistry(folder)
    with pytest.raises(NotFound) as caught:
        registry.fetch(name)
    file = str(caught.value).rsplit(": ", 1)[1].split("[")[0]
    assert "/" not in file and not file.startswith(".")
    # And the file that the message names is the one that is read.
    (folder / file).write_bytes(b"[1]")
    assert read(registry, name) == b"[1]"
    assert registry.services() == [name]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path / "none")
    with pytest.raises(Unavailable, match="the folder .*none does not exist"):
        registry.fetch("x")
    with pytest.raises(Unavailable, match="cannot be read"):
        registry.services()


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(Unavailable, match="cannot be read"):
        FileRegistry(tmp_path).fetch("x")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "x.json")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(AccessDenied, match="Permission denied"):
        FileRegistry(tmp_path).fetch("x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file_and_nobody_waits_for_its_other_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")

    def ask(_: int) -> None:
        with pytest.raises(Unavailable, match=r"x\.json cannot be read: it is no regular file"):
            FileRegistry(tmp_path).fetch("x")

    Threads(1, ask).join()
