"""A registry from one URL."""

from __future__ import annotations

from typing import Optional
from urllib.parse import unquote

from .base import Registry, split_url
from .file import FileRegistry
from .memory import MemoryRegistry

__all__ = ["open_registry"]

#: scheme -> what Consul's own transport is called, and the port that Consul gives it by default.
_CONSUL = {"consul": ("http", 8500), "consul+https": ("https", 8501)}


def open_registry(url: str, *, token: Optional[str] = None, datacenter: Optional[str] = None) -> Registry:
    """The registry that a URL names.

    Args:
        url: ``consul://host:port`` (8500), ``consul+https://host:port`` (8501), ``consul+unix:///path/of/socket``,
            ``http://host:port``, ``https://host:port`` or ``unix:///path`` of a Consul agent, ``file:///folder``, or
            ``memory://``.
        token, datacenter: for Consul.

    Raises:
        TypeError: it is not a str.
        ValueError: the URL is none of these.
    """
    # No message repeats the URL: it may hold a password.
    parts = split_url(url)
    scheme = parts.scheme
    if scheme in _CONSUL:
        from .http import port_of  # brings urllib3, as the registry below

        if parts.path and not parts.netloc:
            # With one slash, or none, the host would be a path, and the agent of this machine would be asked.
            raise ValueError(f"a Consul URL has two slashes and then a host: {scheme}://host:port")
        transport, port = _CONSUL[scheme]
        host = parts.netloc or "127.0.0.1"
        if port_of(parts) is None:
            host = f"{host.rstrip(':')}:{port}"
        url = parts._replace(scheme=transport, netloc=host).geturl()
    elif scheme == "consul+unix":
        url = "unix:" + url.partition(":")[2]
    elif scheme == "file":
        if parts.netloc or not parts.path:
            raise ValueError("a folder's URL has three slashes: file:///folder")
        return FileRegistry(unquote(parts.path))
    elif scheme == "memory" and url == "memory://":
        return MemoryRegistry()
    elif scheme not in ("http", "https", "unix"):
        # Of localhost:8500 the host would be the scheme.
        named = f"with the scheme {scheme!r} like this one" if "://" in url and scheme else "without a scheme"
        raise ValueError(
            f"a URL {named} names no registry: it looks like consul://host:port, consul+https://host:port, "
            "consul+unix:///path, http://host:port, https://host:port, unix:///path, file:///folder or memory://"
        )
    from .consul import ConsulRegistry

    return ConsulRegistry(url, token=token, datacenter=datacenter)
