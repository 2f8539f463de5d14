"""What is said in two places says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

import pytest

import regcache

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"\b([a-z][a-z-]*)(?:\[\w+\])?==([\w.]+)")


def pins(text: str) -> Dict[str, str]:
    return dict(PIN.findall(text))


def test_pre_commit_runs_the_versions_of_the_extra_lint() -> None:
    extra = re.search(r"(?m)^lint = (.*)$", (ROOT / "pyproject.toml").read_text())
    assert extra is not None
    wanted = pins(extra.group(1))
    wanted.pop("pyright")  # It needs the whole house, not the files of a commit.
    assert pins((ROOT / ".pre-commit-config.yaml").read_text()) == wanted


def test_the_version_is_in_one_place() -> None:
    """In the package, from where the build reads it; the changelog names what was released."""
    assert 'version = { attr = "regcache.__version__" }' in (ROOT / "pyproject.toml").read_text()
    for path in ("pyproject.toml", "setup.py", "README.md", "docs/design.md"):
        assert f'"{regcache.__version__}"' not in (ROOT / path).read_text(), path


@pytest.mark.skipif(not (ROOT / ".github").is_dir(), reason="a source distribution has no workflows")
def test_actions_are_pinned_by_commit_and_one_version_is_used() -> None:
    used: Dict[str, set] = {}  # type: ignore[type-arg]
    for workflow in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for action, commit, version in re.findall(r"uses: (\S+?)@(\S+)(?: # (v[\d.]+))?", workflow.read_text()):
            assert re.fullmatch("[0-9a-f]{40}", commit) and version, f"{workflow.name}: {action}@{commit}"
            used.setdefault(action, set()).add((commit, version))
    assert used
    assert {action: pins for action, pins in used.items() if len(pins) > 1} == {}
