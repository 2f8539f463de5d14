"""Hex digits to bytes."""

from __future__ import annotations

from binascii import unhexlify
from typing import Union

from .. import reasons

__all__ = ["BadRecord", "unhex"]


class BadRecord(Exception):
    """One tag cannot be used; ``code`` is its number in :mod:`regcache.codec.reasons`. Never leaves the package.

    ``cost``: bytes that it decompressed to before that was known.
    """

    def __init__(self, code: int, cost: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.cost = cost


def unhex(digits: Union[str, bytes]) -> bytes:
    """The bytes that the digits stand for; upper and lower case, nothing else (no spaces).

    Raises :class:`BadRecord` with ODD_HEX or BAD_HEX; the length is looked at first, as Go does.
    """
    try:
        return unhexlify(digits)
    except ValueError:
        # A str that is not ASCII counts in bytes, as it came from the wire.
        size = len(digits.encode("utf-8", "replace") if isinstance(digits, str) else digits)
        raise BadRecord(reasons.ODD_HEX if size & 1 else reasons.BAD_HEX) from None
