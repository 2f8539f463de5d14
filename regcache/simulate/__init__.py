"""The incident that regcache was made after, played again: a slow registry, callers that retry, a script.

``story`` holds the numbers; ``service``, ``slow`` and ``backends`` are the world; ``callers`` and ``remover`` act in
it; ``fetch_on_expiry``, ``single_flight`` and ``ours`` are the caches that meet it; ``incident`` plays, ``record`` puts
together what was seen, and ``picture`` draws it.
"""

from __future__ import annotations

from .incident import CACHES, play
from .record import Result
from .story import Story

__all__ = ["CACHES", "Result", "Story", "play"]
