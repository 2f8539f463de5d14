"""One URL for every registry."""

from __future__ import annotations

import re
from typing import Any

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
    "url, said",
    [
        ("", "without a scheme names no registry: it looks like consul://host:port, "),
        ("consul", "without a scheme"),
        ("localhost:8500", "without a scheme"),
        ("127.0.0.1:8500", "without a scheme"),
        ("//127.0.0.1:8500", "without a scheme"),
        ("etcd://x", "with the scheme 'etcd' .* http://host:port, https://host:port, unix:///path, "),
        ("consul:127.0.0.1:8500", "two slashes and then a host: consul://host:port"),
        ("consul:/127.0.0.1:8500", "two slashes and then a host: consul://host:port"),
        ("consul:///127.0.0.1:8500", "two slashes and then a host: consul://host:port"),
        ("consul+https:/127.0.0.1", r"two slashes and then a host: consul\+https://host:port"),
        ("http:/127.0.0.1", "looks like http://host:port"),
        ("http://:8500", "'http://:8500' has no host"),
        ("file://", "three slashes: file:///folder"),
        ("file://relative", "three slashes: file:///folder"),
        ("file://host/x", "three slashes: file:///folder"),
        ("consul+unix://relative", "three slashes: unix:///"),
        ("memory://x", "with the scheme 'memory'"),
        ("consul://u:p@h:1", "no user and password"),
        ("consul://::1", r"'consul://::1' is no host and port; IPv6 is written consul://\[::1\]:8500"),
        ("http://fe80::2:8500", r"IPv6 is written http://\[::1\]:8500"),
        ("http://[::1:8500", "not well formed"),
        ("consul://a b", "no spaces or control characters in its host: 'a b"),
        *((url, "no spaces around it") for url in ("consul://h:9 ", " consul://h", "consul://h\n", "consul://h\x7f/")),
    ],
)
def test_what_names_no_registry(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        open_registry(url)


@pytest.mark.parametrize("url", [8500, None, b"consul://127.0.0.1"])
def test_a_url_is_text(url: Any) -> None:
    with pytest.raises(TypeError, match=f"a registry's URL is a str, .*, not {type(url).__name__}"):
        connect(url)


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
     "consul+unix://bob:secret@h/s", "http://h/#secret", "http:/bob:secret@h", "unix:bob:secret@h", "http://bob:secret@h\u2100",
     "consul:/bob:secret@h", "consul://bob:secret@::1", "http://bob:secret@[h", "consul://bob:secret@h ", "bob:secret@h",
     "consul:/bob:secret@h:8500", "https:///bob:secret@h", "consul+unix:bob:secret@h", "consul+https:bob:secret@h:1",
     *(f"{scheme}://bob:{cut}@h:1" for scheme in ("consul", "consul+https", "http", "https")
       for cut in ("secret/x", "secret#x", "secret?x", "1secret#x"))],
)  # fmt: skip
def test_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_registry(url)
    assert "secret" not in str(caught.value)


def test_the_path_of_a_socket_may_have_the_mark_of_a_password() -> None:
    registry = open_registry("consul+unix:///run/consul@dc1.sock")
    assert isinstance(registry, ConsulRegistry) and registry.url == "unix:///run/consul@dc1.sock"


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
