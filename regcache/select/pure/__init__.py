"""The selector's fast path in plain Python: the same names and results as :mod:`regcache.select.compiled`."""

from __future__ import annotations

from .call import Call
from .front import Front
from .peer import FAILING, IN_A_ROW, PROBE_FAILED, PROBE_PASSED, Peer, Pool, Pulse
from .picks import Picker, make_picker, own_picker

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
