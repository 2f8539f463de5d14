"""What a selector knows of each node. The door: compiled, or its pure twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import BACKEND

__all__ = ["FAILING", "IN_A_ROW", "PROBE_FAILED", "PROBE_PASSED", "Peer", "Pool"]

if TYPE_CHECKING or BACKEND == "pure":
    from .pure import FAILING, IN_A_ROW, PROBE_FAILED, PROBE_PASSED, Peer, Pool
else:
    from .compiled import FAILING, IN_A_ROW, PROBE_FAILED, PROBE_PASSED, Peer, Pool
