"""The selector's fast path, compiled: the same names and results as :mod:`regcache.select.pure`."""

from __future__ import annotations

from .select import (
    FAILING,
    IN_A_ROW,
    PROBE_FAILED,
    PROBE_PASSED,
    Call,
    Front,
    Peer,
    Picker,
    Pool,
    Pulse,
    make_picker,
    own_picker,
)

__all__ = [
    "FAILING",
    "IN_A_ROW",
    "PROBE_FAILED",
    "PROBE_PASSED",
    "Call",
    "Front",
    "Peer",
    "Picker",
    "Pool",
    "Pulse",
    "make_picker",
    "own_picker",
]
