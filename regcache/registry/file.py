"""Recorded bodies in a folder: for tests, for demonstrations, and for machines without a registry."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from typing import BinaryIO, Callable, Dict, Iterable, Iterator, List, Optional, Union
from urllib.parse import unquote

from ..errors import AccessDenied, DecodeError, LimitExceeded, NotFound, ProtocolError, RegcacheError, Unavailable
from ..limits import Limits
from .base import Answer, BytesLike, Consistency, checked_name

__all__ = ["FileRegistry", "unzstd"]

CHUNK = 64 * 1024
#: Bytes of zstd that are unpacked at once. Four can stand for 128 KiB (a run of one byte), so this many for 8 MiB: the
#: most that is held at once, and that the interpreter's other threads wait for.
ZSTD_CHUNK = 256


class FileRegistry:
    """Bodies of ``/v1/health/service/<name>`` in files named ``<name>.json``, ``.json.zst`` or ``.json.gz``.

    The first of these that exists is read. Its index is its time of change in nanoseconds. In a file's name the
    characters ``/ \\ % :`` and NUL, and a dot at the beginning, are written as in URLs (``%2F``), so that no name of
    a service leads out of the folder.

    Args:
        folder: where the files are.
        max_bytes: the largest body, unpacked.
    """

    #: A file has nothing to wait for.
    blocking = False

    def __init__(self, folder: Union[str, "os.PathLike[str]"], *, max_bytes: int = Limits.body_bytes) -> None:
        self.folder: str = os.fspath(folder)
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"FileRegistry({self.folder!r})"

    def fetch(
        self,
        service: str,
        *,
        index: Optional[int] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
        consistency: Optional[Consistency] = None,
    ) -> Answer:
        """See :meth:`regcache.registry.Registry.fetch`; it answers at once, whatever ``index`` and ``wait`` are.

        Raises:
            NotFound: the folder has no such file.
            AccessDenied: it may not be read.
            Unavailable: it cannot be read, it is no file (but a folder or a pipe), or there is no such folder.
        """
        base = os.path.join(self.folder, _file_name(checked_name(service)))
        for ending, unpack in _FORMS.items():
            try:
                file = open(base + ending, "rb", opener=_at_once)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unreadable(error) from error
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                file.close()
                raise Unavailable(f"{file.name} cannot be read: it is no regular file")
            chunks = self._read(_named(unpack(file), file.name), file.name)
            return Answer(chunks, index=max(1, state.st_mtime_ns), close=file.close)
        if not os.path.isdir(self.folder):  # an outage, which is never NotFound
            raise Unavailable(f"the folder {self.folder} does not exist")
        raise NotFound(f"{self.folder} has no file for {service!r}: {os.path.basename(base)}.json[.zst|.gz]")

    def _read(self, chunks: Iterator[BytesLike], name: str) -> Iterator[BytesLike]:
        taken = 0
        for chunk in chunks:
            taken += len(chunk)
            if taken > self.max_bytes:
                reason = f"{name} holds more than {self.max_bytes:,} bytes; raise max_bytes= if it is wanted"
                raise LimitExceeded(reason, self.max_bytes, limit="body_bytes")
            yield chunk

    def services(self) -> List[str]:
        """The services that there are files for, sorted."""
        try:
            files = os.listdir(self.folder)
        except OSError as error:
            raise _unreadable(error) from error
        return sorted({unquote(f[: -len(e)]) for f in files for e in _FORMS if f.endswith(e) and not f.startswith(".")})

    def close(self) -> None:
        """There is nothing to close."""


def _file_name(service: str) -> str:
    name = "".join(f"%{ord(c):02X}" if c in "/\\%:\0" else c for c in service)
    return "%2E" + name[1:] if name.startswith(".") else name


def _unreadable(error: OSError) -> RegcacheError:
    kind = AccessDenied if isinstance(error, PermissionError) else Unavailable
    return kind(f"{error.filename} cannot be read: {error.strerror}")


def _at_once(path: str, flags: int) -> int:
    """Opening a pipe would wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _named(chunks: Iterator[BytesLike], name: str) -> Iterator[BytesLike]:
    """What is wrong with a file, with its name."""
    try:
        yield from chunks
    except (EOFError, zlib.error, gzip.BadGzipFile, DecodeError) as error:
        raise ProtocolError(f"{name} is cut short or damaged: {error}") from error
    except OSError as error:
        raise Unavailable(f"{name} cannot be read: {error}") from error


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while True:
        chunk = file.read(CHUNK)
        if not chunk:
            return
        yield chunk


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        while True:
            chunk = unpacked.read(CHUNK)
            if not chunk:
                return
            yield chunk


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    return unzstd(_plain(file))


def unzstd(packed: Iterable[bytes]) -> Iterator[bytes]:
    """What comes out of zstd, in pieces of 8 MiB at most, however well it is packed.

    Raises:
        DecodeError: it is cut short or damaged.
    """
    from ..codec import Unzstd  # the codec's room comes later; only this form needs it

    unpacking = Unzstd()
    for chunk in packed:
        for start in range(0, len(chunk), ZSTD_CHUNK):
            unpacked = unpacking.feed(chunk[start : start + ZSTD_CHUNK])
            if unpacked:
                yield unpacked
    unpacking.finish()


_FORMS: Dict[str, Callable[[BinaryIO], Iterator[BytesLike]]] = {
    ".json": _plain,
    ".json.zst": _zstd,
    ".json.gz": _gzip,
}
