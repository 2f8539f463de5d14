"""The pages about go-micro know every difference that the tests of the codec know."""

from __future__ import annotations

import json
import re

from tools import differences


def test_the_page_of_differences_is_up_to_date() -> None:
    assert differences.PAGE.read_text() == differences.page(), "python -m tools.differences"


def test_every_kind_is_explained_and_no_other() -> None:
    kinds = {entry["kind"] for entry in json.loads((differences.ROOT / "tests/data/differences.json").read_text())}
    table = (differences.ROOT / "docs/go-micro.md").read_text().split("## Where regcache decides otherwise")[1]
    assert set(re.findall(r"(?m)^\| `([a-z-]+)` \|", table)) == kinds
