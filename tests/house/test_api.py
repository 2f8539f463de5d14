"""The page of the API has every name that is exported."""

from __future__ import annotations

import re
from pathlib import Path

import regcache

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_exported_name_is_there() -> None:
    text = PAGE.read_text()
    named = {name.rpartition(".")[2] for name in re.findall(r"auto(?:class|function):: (regcache[\w.]+)", text)}
    assert "automodule:: regcache.errors" in text
    named |= set(regcache.errors.__all__)
    named |= {"codec"}  # a module
    assert set(regcache.__all__) - named == set()
