"""Zstandard files as a stream, with a bounded window."""

from __future__ import annotations

from typing import Any, Optional, Union

from ...errors import DecodeError, LimitExceeded

__all__ = ["Unzstd"]

#: A frame may ask for a window of this many bytes at most; it is what the decompressor holds.
MAX_WINDOW = 8 * 1024 * 1024
#: Bytes given to zstd at once. Four bytes can stand for 128 KiB (a run of one byte), so this many for 8 MiB:
#: the most by which ``max_output`` is overshot before it is noticed.
STEP = 256


class Unzstd:
    """Decompresses zstd frames, one after the other, from chunks cut anywhere.

    ``max_output``: the most bytes that may come out; more raises :class:`~regcache.errors.LimitExceeded`.
    After an error every later call raises the same error again.
    """

    __slots__ = ("_decompressor", "_failed", "_frame", "_max_output", "_read", "_written")

    def __init__(self, *, max_output: Optional[int] = None) -> None:
        import zstandard  # only files need it

        if max_output is not None and (isinstance(max_output, bool) or not isinstance(max_output, int)):
            raise TypeError(f"max_output must be an int or None, not {type(max_output).__name__}")
        self._decompressor: Any = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._frame: Any = None
        self._max_output = max_output
        self._read = 0
        self._written = 0
        self._failed: Optional[DecodeError] = None

    def feed(self, chunk: Union[bytes, bytearray, memoryview]) -> bytes:
        """The bytes that this chunk completes; may be empty. Raises :class:`DecodeError` where the input is corrupt."""
        if self._failed is not None:
            raise self._failed
        view = memoryview(chunk).cast("B")
        out = []
        for start in range(0, len(view), STEP):
            piece = bytes(view[start : start + STEP])
            while piece:
                out.append(self._step(piece))
                piece = b""
                if self._frame.eof:
                    piece = self._frame.unused_data
                    self._read -= len(piece)
                    self._frame = None
        return b"".join(out)

    def finish(self) -> None:
        """Raises :class:`DecodeError` if the last frame is cut short, or if there was none."""
        if self._failed is None and (self._frame is not None or self._read == 0):
            self._failed = DecodeError("the zstd stream is cut short", self._read)
        if self._failed is not None:
            raise self._failed

    def _step(self, piece: bytes) -> bytes:
        import zstandard

        if self._frame is None:
            self._frame = self._decompressor.decompressobj()
        try:
            out: bytes = self._frame.decompress(piece)
        except zstandard.ZstdError:
            self._failed = DecodeError("the zstd stream is corrupt", self._read)
            raise self._failed from None
        self._read += len(piece)
        self._written += len(out)
        if self._max_output is not None and self._written > self._max_output:
            self._failed = LimitExceeded("decompresses to more bytes than allowed", self._read, limit="max_output")
            raise self._failed
        return out
