"""Random numbers without a lock: a counter goes on by an odd step, and a mixer makes a number of where it is.

The mixer is that of wyrand (Wang Yi): one multiplication of 64 by 64 bits, its halves put together. Seeds, which may
lie side by side, are mixed by the finaliser of splitmix64 (Steele, Lea, Flood 2014). A number depends on the seed and
on how many were drawn before, and on nothing else, so that tests can repeat what happened. After a fork the child's
numbers, and the places of its round robins, are moved by a salt: children of one parent do not pick in step.
"""

from __future__ import annotations

import itertools
import os

__all__ = ["FLIP", "MASK", "STEP", "Draws", "mix", "salt"]

MASK = 2**64 - 1
#: 2**64 divided by the golden ratio, made odd.
STEP = 0x9E3779B97F4A7C15
#: wyrand's.
FLIP = 0xE7037ED1A0B428DB

_salt = 0


def mix(z: int) -> int:
    """A number of 64 bits from another; each of the bits of one depends on all of the other's."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def salt() -> int:
    """0 in the process that imported this, another number in each child that was forked."""
    return _salt


def _after_fork() -> None:
    global _salt
    _salt = int.from_bytes(os.urandom(8), "little")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Draws:
    """Numbers of 64 bits. May be used by any number of threads."""

    __slots__ = ("_begin", "_born", "_turn")

    def __init__(self, seed: int) -> None:
        self._begin = mix(seed & MASK)
        self._born = _salt
        self._turn = itertools.count(1)

    def __call__(self) -> int:
        # next() of a count is one step, which threads cannot divide.
        state = (self._begin + next(self._turn) * STEP + _salt - self._born) & MASK
        product = state * (state ^ FLIP)
        return (product >> 64) ^ (product & MASK)
