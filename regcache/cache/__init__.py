"""The cache: what is around a snapshot over time."""

from __future__ import annotations

from .cache import Cache
from .connect import connect
from .events import Event
from .guard import Guard
from .slot import Reader
from .state import State
from .status import HeldBack, Status

__all__ = ["Cache", "Event", "Guard", "HeldBack", "Reader", "State", "Status", "connect"]
