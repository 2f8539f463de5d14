"""Where the newest snapshot of one service is kept. The door: the compiled slot, or its pure twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import BACKEND

__all__ = ["Reader", "Slot"]

if TYPE_CHECKING or BACKEND == "pure":
    from .pure.slot import Reader, Slot
else:
    from .compiled.slot import Reader, Slot
