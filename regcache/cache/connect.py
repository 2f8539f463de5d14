"""A cache from one URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ..registry import open_registry
from .cache import Cache
from .options import CacheOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["connect"]


def connect(
    url: str, *, token: Optional[str] = None, datacenter: Optional[str] = None, **options: "Unpack[CacheOptions]"
) -> Cache:
    """A :class:`~regcache.Cache` of the registry that a URL names; closing the cache closes both.

    Args:
        url: ``consul://host:port``, ``consul+https://host:port``, ``consul+unix:///path/of/socket``,
            ``file:///folder``, ``memory://``.
        token, datacenter: for Consul; see :class:`~regcache.ConsulRegistry`.
        options: everything that :class:`~regcache.Cache` takes: ``watch``, ``ttl``, ``guard``, ``max_stale`` and more.

    Raises:
        ValueError: the URL names no registry, or a number makes no sense.
        TypeError: there is no such option. Those of a registry, such as ``timeout``, ``verify`` and ``cert``, are for
            :class:`~regcache.ConsulRegistry`, and that for :class:`~regcache.Cache`.
    """
    known = ("token", "datacenter", *CacheOptions.__annotations__)
    for name in options:
        if name not in known:
            raise TypeError(
                f"connect() has no option {name!r}, but {', '.join(known)}; "
                "others of Consul's are for Cache(ConsulRegistry(url, timeout=1.0), close_registry=True)"
            )
    return Cache(open_registry(url, token=token, datacenter=datacenter), close_registry=True, **options)
