"""Clients that people already use, finding their nodes by themselves: httpx, requests, aiohttp, grpc.

Each is a module of its own and needs its library, which the extra of the same name installs
(``pip install 'regcache[httpx]'``). They count calls in flight, tell the selector how calls went, and take the time of
finding a node out of the caller's timeout. ``docs/adapters.md`` has the rules.
"""

from __future__ import annotations

from .services import host

__all__ = ["host"]
