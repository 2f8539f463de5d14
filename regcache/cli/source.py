"""A file or standard input as chunks of a body, unpacked where it is gzip or zstd: its first bytes tell."""

from __future__ import annotations

import sys
import zlib
from contextlib import contextmanager
from typing import BinaryIO, Callable, Dict, Iterator, List

from ..errors import ProtocolError
from ..limits import Limits
from ..registry.file import unzstd
from .fault import Fault

__all__ = ["chunks", "read_all"]

CHUNK = 64 * 1024


def chunks(name: str) -> Iterator[bytes]:
    """The body in the file of this name, ``-`` for standard input.

    Raises:
        Fault: it cannot be opened or read, or is packed and damaged.
    """
    with _opened(name) as file:
        packed = _raw(file, name)
        head = b""
        for piece in packed:
            head += piece
            if len(head) >= 4:
                break
        unpack = next((form for magic, form in _FORMS.items() if head.startswith(magic)), None)
        pieces = _joined(head, packed)
        try:
            yield from pieces if unpack is None else unpack(pieces)
        except (zlib.error, EOFError, ProtocolError) as error:
            raise Fault(f"{name}: packed data that is cut short or damaged: {error}") from error


def read_all(name: str) -> bytes:
    """The whole body.

    Raises:
        Fault: as for :func:`chunks`, and if it is larger than any body may be.
    """
    pieces: List[bytes] = []
    count = 0
    for piece in chunks(name):
        count += len(piece)
        if count > Limits.body_bytes:
            raise Fault(f"{name}: more than {Limits.body_bytes:,} bytes, which no body may have")
        pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        if sys.stdin is None:
            raise Fault("standard input is closed; give it a file or a pipe")
        yield sys.stdin.buffer
        return
    try:
        file = open(name, "rb")
    except OSError as error:
        raise Fault(f"{name}: {error.strerror or error}") from error
    except ValueError as error:
        raise Fault(f"{name!r}: {error}") from error
    with file:
        yield file


def _raw(file: BinaryIO, name: str) -> Iterator[bytes]:
    while True:
        try:
            piece = file.read(CHUNK)
        except OSError as error:
            raise Fault(f"{name}: {error.strerror or error}") from error
        if not piece:
            return
        yield piece


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _gzip(packed: Iterator[bytes]) -> Iterator[bytes]:
    """One or more gzip members; each piece is small, however well they are packed."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    begun = False
    for piece in packed:
        while piece:
            if member.eof:
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield member.decompress(piece, CHUNK)
            begun = True
            piece = member.unused_data if member.eof else member.unconsumed_tail
    while begun and not member.eof:
        rest = member.decompress(member.unconsumed_tail, CHUNK)
        if not rest and not member.eof:
            raise EOFError("the end is missing")
        yield rest


_FORMS: Dict[bytes, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"\x28\xb5\x2f\xfd": unzstd,
}
