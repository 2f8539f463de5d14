"""The incident, played with each cache as ``regcache simulate incident`` does.

``incident.json`` (what was seen) and ``incident.png`` (the picture, where there is matplotlib) go into the folder that
``--incident`` names, by default ``.benchmarks/incident``. No test asserts a time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from regcache.cli.simulate import as_json
from regcache.simulate import CACHES, Result, Story, play
from regcache.simulate.picture import draw

WAYS = {caching.name: caching for caching in CACHES}


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Any:
    """The story, and the runs so far; written down at the end, if all of them took place."""
    story = Story(1.5, 30, 120) if request.config.getoption("quick") else Story()
    results: Dict[str, Result] = {}
    yield story, results
    if len(results) < len(WAYS):
        return
    folder = Path(request.config.getoption("incident"))
    folder.mkdir(parents=True, exist_ok=True)
    runs = list(results.values())
    (folder / "incident.json").write_text(json.dumps(as_json(story, None, runs)) + "\n", encoding="utf-8")
    try:
        draw(story, runs, str(folder / "incident.png"))
    except ImportError:
        pass


@pytest.mark.parametrize("way", WAYS)
def test_incident(way: str, seen: Any, benchmark: Any) -> None:
    story, results = seen
    benchmark.group = f"incident: {story.callers} callers, {story.nodes} backends, {story.seconds:g} s each"
    results[way] = result = benchmark.pedantic(play, (story, WAYS[way]))
    benchmark.extra_info.update(way=way, incident=result.totals)
    assert result.totals["answered"] > 0
