"""The page of the API has every name that is exported."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any, Dict

import pytest

import regcache
from regcache.cache.options import CacheOptions
from regcache.select.options import AdapterOptions, SelectorOptions

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


#: What the upgrade policy covers, beside ``regcache`` itself.
MODULES = ("cache", "codec", "integrations", "registry", "select")
ADAPTERS = ("aiohttp", "grpc", "httpx", "requests")


def named() -> "set[str]":
    text = PAGE.read_text()
    assert "automodule:: regcache.errors" in text
    found = re.findall(r"auto(?:class|function|data):: (regcache[\w.]+)", text)
    return {name.rpartition(".")[2] for name in found} | set(regcache.errors.__all__)


def test_every_exported_name_is_there() -> None:
    assert set(regcache.__all__) - named() == {"codec"}, "which is a module"


@pytest.mark.parametrize("module", MODULES)
def test_so_is_every_name_of_the_rooms(module: str) -> None:
    exported = importlib.import_module(f"regcache.{module}").__all__
    assert set(exported) - named() == set()


@pytest.mark.parametrize("module", ADAPTERS)
def test_so_is_every_name_of_the_adapters(module: str) -> None:
    pytest.importorskip(module)
    exported = importlib.import_module(f"regcache.integrations.{module}").__all__
    assert set(exported) - named() == ({"aio"} if module == "grpc" else set())


def types(function: Any, *without: str) -> Dict[str, str]:
    """Of the parameters, as they are written."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.annotation.strip("'\"") for one in parameters if one.name not in ("self", *without)}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (CacheOptions, types(regcache.Cache.__init__, "registry", "close_registry")),
        (SelectorOptions, types(regcache.Selector.__init__, "source", "strategy", "filters")),
        (AdapterOptions, types(regcache.Selector.__init__, "source")),
    ],
)
def test_type_checkers_know_every_option(options: Any, wanted: Dict[str, str]) -> None:
    assert {name: kind.__forward_arg__ for name, kind in options.__annotations__.items()} == wanted


def test_an_option_that_connect_does_not_have() -> None:
    with pytest.raises(
        TypeError, match=r"no option 'timeout', but token, .* Cache\(ConsulRegistry\(url, timeout=1.0\)"
    ):
        regcache.connect("memory://", timeout=1.0)  # type: ignore[call-arg]
