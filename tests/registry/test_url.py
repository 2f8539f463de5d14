"""One URL for every registry."""

from __future__ import annotations

import re

import pytest

import regcache
from regcache.cache import Cache, connect
from regcache.registry import ConsulRegistry, FileRegistry, MemoryRegistry, open_registry


@pytest.mark.parametrize(
    "url, expected",
    [
        ("consul://127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("consul://127.0.0.1", "http://127.0.0.1:8500"),
        ("consul://", "http://127.0.0.1:8500"),
        ("consul://[::1]", "http://[::1]:8500"),
        ("consul://[::1]:85/prefix", "http://[::1]:85/prefix"),
        ("consul+https://consul.internal", "https://consul.internal:8501"),
        ("consul+https://consul.internal:443", "https://consul.internal:443"),
        ("consul+unix:///run/consul.sock", "unix:///run/consul.sock"),
        ("http://127.0.0.1:8500", "http://127.0.0.1:8500"),
    ],
)
def test_consul(url: str, expected: str) -> None:
    registry = open_registry(url, datacenter="dc2")
    assert isinstance(registry, ConsulRegistry)
    assert registry.url == expected
    assert registry.datacenter == "dc2"


def test_file_and_memory() -> None:
    registry = open_registry("file:///var/lib/some%20bodies")
    assert isinstance(registry, FileRegistry)
    assert registry.folder == "/var/lib/some bodies"
    assert isinstance(open_registry("memory://"), MemoryRegistry)


@pytest.mark.parametrize(
    "url", ["", "consul", "etcd://x", "file://", "file://host/x", "memory://x", "consul://u:p@h:1"]
)
def test_what_names_no_registry(url: str) -> None:
    with pytest.raises(ValueError):
        open_registry(url)


@pytest.mark.parametrize("scheme", ["consul", "consul+https", "http"])
def test_a_port_that_cannot_be_is_said_with_its_url(scheme: str) -> None:
    with pytest.raises(ValueError, match=f"^'{re.escape(scheme)}://host:99999' has no port that can be"):
        open_registry(f"{scheme}://host:99999")


def test_a_password_is_not_repeated_even_then() -> None:
    with pytest.raises(ValueError) as caught:
        open_registry("consul://user:secret@host:99999")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["consul://h?token=secret", "http://bob:secret@h:1/?x=1", "consuls://bob:secret@h:1", "consul+unix:///s?token=secret",
     "consul+unix://bob:secret@h/s", "http://h/#secret"],
)  # fmt: skip
def test_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_registry(url)
    assert "secret" not in str(caught.value)


def test_connect() -> None:
    with connect("memory://", ttl=5.0) as cache:
        assert isinstance(cache, Cache)
        assert isinstance(cache.registry, MemoryRegistry)
        assert len(cache.get("greeter")) == 0
    with pytest.raises(regcache.Unavailable, match="closed"):
        cache.registry.fetch("greeter")


def test_a_registry_that_was_handed_over_stays_open() -> None:
    registry = MemoryRegistry()
    with Cache(registry):
        pass
    with registry.fetch("greeter") as answer:
        assert b"".join(answer.chunks()) == b"[]"
