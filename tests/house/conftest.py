"""These tests are about the repository: where there is only the package and its tests, there is nothing to look at."""

from __future__ import annotations

from pathlib import Path

if not (Path(__file__).parents[2] / "pyproject.toml").is_file():
    collect_ignore_glob = ["test_*.py"]
