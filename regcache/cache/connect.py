"""A cache from one URL."""

from __future__ import annotations

from typing import Optional

from ..limits import Limits
from ..registry import open_registry
from .cache import Cache

__all__ = ["connect"]


def connect(
    url: str,
    *,
    token: Optional[str] = None,
    datacenter: Optional[str] = None,
    ttl: float = 30.0,
    limits: Limits = Limits(),
    cold_wait: float = 3.2,
) -> Cache:
    """A :class:`~regcache.Cache` of the registry that a URL names; closing the cache closes both.

    Args:
        url: ``consul://host:port``, ``consul+https://host:port``, ``consul+unix:///path/of/socket``,
            ``file:///folder``, ``memory://``.
        token, datacenter: for Consul; see :class:`~regcache.ConsulRegistry`.
        ttl, limits, cold_wait: see :class:`~regcache.Cache`.

    Raises:
        ValueError: the URL names no registry.
    """
    registry = open_registry(url, token=token, datacenter=datacenter)
    return Cache(registry, ttl=ttl, limits=limits, cold_wait=cold_wait, close_registry=True)
