"""Picking: the fast path of a selector, and the pickers it reads. The door: compiled, or its pure twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import BACKEND

__all__ = ["Call", "Front", "Picker", "make_picker", "own_picker"]

if TYPE_CHECKING or BACKEND == "pure":
    from .pure import Call, Front, Picker, make_picker, own_picker
else:
    from .compiled import Call, Front, Picker, make_picker, own_picker
