"""The cache: what is around a snapshot over time."""

from __future__ import annotations

from .cache import Cache
from .connect import connect
from .entry import State

__all__ = ["Cache", "State", "connect"]
