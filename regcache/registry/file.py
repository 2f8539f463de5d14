"""Recorded bodies in a folder: for tests, for demonstrations, and for machines without a registry."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import BinaryIO, Callable, Dict, Iterator, List, Optional, Union
from urllib.parse import unquote

from ..errors import AccessDenied, LimitExceeded, NotFound, ProtocolError, RegcacheError, Unavailable
from ..limits import Limits
from .base import Answer, BytesLike, Consistency, checked_name

__all__ = ["FileRegistry"]

CHUNK = 64 * 1024


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
            Unavailable: it cannot be read, or there is no such folder.
        """
        base = os.path.join(self.folder, _file_name(checked_name(service)))
        for ending, unpack in _FORMS.items():
            try:
                file = open(base + ending, "rb")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unreadable(error) from error
            index_now = max(1, os.fstat(file.fileno()).st_mtime_ns)
            return Answer(self._read(unpack(file, self.max_bytes), file.name), index=index_now, close=file.close)
        if not os.path.isdir(self.folder):  # an outage, which is never NotFound
            raise Unavailable(f"the folder {self.folder} does not exist")
        raise NotFound(f"{self.folder} has no file for {service!r}: {os.path.basename(base)}.json[.zst|.gz]")

    def _read(self, chunks: Iterator[BytesLike], name: str) -> Iterator[BytesLike]:
        taken = 0
        try:
            for chunk in chunks:
                taken += len(chunk)
                if taken > self.max_bytes:
                    raise self._too_large(name)
                yield chunk
        except LimitExceeded as error:  # of the unpacking, which looks at one chunk as a whole
            raise self._too_large(name) from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ProtocolError(f"{name} is cut short or damaged: {error}") from error
        except OSError as error:
            raise Unavailable(f"{name} cannot be read: {error}") from error

    def _too_large(self, name: str) -> LimitExceeded:
        reason = f"{name} holds more than {self.max_bytes:,} bytes; raise max_bytes= if it is wanted"
        return LimitExceeded(reason, self.max_bytes, limit="body_bytes")

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


def _plain(file: BinaryIO, max_bytes: int) -> Iterator[BytesLike]:
    while True:
        chunk = file.read(CHUNK)
        if not chunk:
            return
        yield chunk


def _gzip(file: BinaryIO, max_bytes: int) -> Iterator[BytesLike]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        while True:
            chunk = unpacked.read(CHUNK)
            if not chunk:
                return
            yield chunk


def _zstd(file: BinaryIO, max_bytes: int) -> Iterator[BytesLike]:
    from ..codec import Unzstd  # the codec's room comes later; only this form needs it

    unzstd = Unzstd(max_output=max_bytes)  # a chunk of zstd may hold two thousand times its size and more
    for packed in _plain(file, max_bytes):
        yield unzstd.feed(packed)
    unzstd.finish()


_FORMS: Dict[str, Callable[[BinaryIO, int], Iterator[BytesLike]]] = {
    ".json": _plain,
    ".json.zst": _zstd,
    ".json.gz": _gzip,
}
