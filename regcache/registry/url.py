"""A registry from one URL."""

from __future__ import annotations

from typing import Optional
from urllib.parse import unquote, urlsplit

from .base import Registry
from .file import FileRegistry
from .memory import MemoryRegistry

__all__ = ["open_registry"]

#: scheme -> what Consul's own transport is called, and the port that Consul gives it by default.
_CONSUL = {"consul": ("http", 8500), "consul+https": ("https", 8501)}


def open_registry(url: str, *, token: Optional[str] = None, datacenter: Optional[str] = None) -> Registry:
    """The registry that a URL names.

    Args:
        url: ``consul://host:port`` (8500), ``consul+https://host:port`` (8501), ``consul+unix:///path/of/socket``,
            ``http://host:port`` or ``https://host:port`` of a Consul agent, ``file:///folder``, or ``memory://``.
        token, datacenter: for Consul.

    Raises:
        ValueError: the URL is none of these.
    """
    parts = urlsplit(url)
    scheme = parts.scheme
    if scheme in _CONSUL:
        from .http import port_of  # brings urllib3, as the registry below

        transport, port = _CONSUL[scheme]
        host = parts.netloc or "127.0.0.1"
        if port_of(parts) is None:
            host = f"{host.rstrip(':')}:{port}"
        url = parts._replace(scheme=transport, netloc=host).geturl()
    elif scheme == "consul+unix":
        url = "unix:" + url.partition(":")[2]
    elif scheme == "file" and not parts.netloc and parts.path:
        return FileRegistry(unquote(parts.path))
    elif scheme == "memory" and url == "memory://":
        return MemoryRegistry()
    elif scheme not in ("http", "https", "unix"):
        # The URL is not repeated: it may hold a password.
        raise ValueError(
            f"a URL with the scheme {scheme!r} like this one names no registry: it looks like consul://host:port, "
            "consul+https://host:port, consul+unix:///path, file:///folder or memory://"
        )
    from .consul import ConsulRegistry

    return ConsulRegistry(url, token=token, datacenter=datacenter)
