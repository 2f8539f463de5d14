"""The page of the API has every name that is exported."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import regcache

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
