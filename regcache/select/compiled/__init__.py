"""The selector's fast path, compiled."""

from __future__ import annotations

from ..pure import (
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
