"""A zlib stream to bytes, stopped at a limit."""

from __future__ import annotations

import zlib

from ...limits import RATIO_FLOOR, Limits
from .. import reasons
from .unhex import BadRecord

__all__ = ["inflate"]

#: A corrupt stream costs whole steps of so many bytes: zlib does not tell how far the last one came.
STEP = 256


def inflate(data: bytes, limits: Limits) -> bytes:
    """The first zlib stream in ``data``; what follows it is ignored, as Go's reader ignores it.

    At most one byte more than allowed is ever written, so that a bomb costs no more than the limit.
    Raises :class:`BadRecord` with ZLIB_CORRUPT, ZLIB_TRUNCATED, LIMIT_RECORD or LIMIT_RATIO.
    """
    by_ratio = max(RATIO_FLOOR, limits.ratio * len(data))
    allowed = min(limits.record_bytes, by_ratio)
    stream = zlib.decompressobj(zdict=b"")  # the empty dictionary, which Go has
    try:
        out = stream.decompress(data, allowed + 1)
    except zlib.error:
        if not _too_large_first(data, allowed):
            raise BadRecord(reasons.ZLIB_CORRUPT, _until_corrupt(data)) from None
        too_large = True
    else:
        too_large = len(out) > allowed
    if too_large:
        code = reasons.LIMIT_RECORD if limits.record_bytes <= by_ratio else reasons.LIMIT_RATIO
        raise BadRecord(code, allowed)
    if not stream.eof:
        raise BadRecord(reasons.ZLIB_TRUNCATED, len(out))
    return out


def _until_corrupt(data: bytes) -> int:
    """Bytes in whole steps that a corrupt stream yields."""
    stream = zlib.decompressobj(zdict=b"")  # the empty dictionary, which Go has
    out = 0
    try:
        while True:
            out += len(stream.decompress(data, STEP))
            data = stream.unconsumed_tail
    except zlib.error:
        return out


def _too_large_first(data: bytes, allowed: int) -> bool:
    """Does a corrupt stream yield a byte too many before it is found to be corrupt?

    :mod:`zlib` throws away what a call wrote before it failed, so the last steps are made one byte at a time.
    """
    stream = zlib.decompressobj(zdict=b"")  # the empty dictionary, which Go has
    try:
        if len(stream.decompress(data, allowed)) < allowed:
            return False
        rest = stream.unconsumed_tail
        for i in range(len(rest)):
            if stream.decompress(rest[i : i + 1], 1):
                return True
    except zlib.error:
        pass
    return False
