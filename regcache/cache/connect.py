"""A cache from one URL."""

from __future__ import annotations

from typing import Any, Optional

from ..registry import open_registry
from .cache import Cache

__all__ = ["connect"]


def connect(url: str, *, token: Optional[str] = None, datacenter: Optional[str] = None, **options: Any) -> Cache:
    """A :class:`~regcache.Cache` of the registry that a URL names; closing the cache closes both.

    Args:
        url: ``consul://host:port``, ``consul+https://host:port``, ``consul+unix:///path/of/socket``,
            ``file:///folder``, ``memory://``.
        token, datacenter: for Consul; see :class:`~regcache.ConsulRegistry`.
        options: everything that :class:`~regcache.Cache` takes: ``watch``, ``ttl``, ``guard``, ``max_stale`` and more.

    Raises:
        ValueError: the URL names no registry.
    """
    return Cache(open_registry(url, token=token, datacenter=datacenter), close_registry=True, **options)
