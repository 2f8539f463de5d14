"""go-micro's own client in Go beside regcache: a request over HTTP to another process, and all that its answer says.

Both keep their connection. go-micro decodes each node's metadata, and endpoints once for each version; regcache is
asked for everything of every node, with and without the snapshot of the request before.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from regcache import ConsulRegistry, Decoder

from . import go_micro, measure, ways
from .server import serving

#: Body -> what go-micro's last call cost.
_last: Dict[str, Dict[str, Any]] = {}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return go_micro.build(tmp_path_factory.mktemp("go"))
    except go_micro.NotBuilt as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def opened() -> Iterator[contextlib.ExitStack]:
    """What is open until all have been compared."""
    with contextlib.ExitStack() as stack:
        yield stack


def _ours(url: str, service: str, opened: contextlib.ExitStack, refresh: bool) -> Callable[[], float]:
    registry = opened.enter_context(contextlib.closing(ConsulRegistry(url)))
    previous: Any = None

    def ask() -> Any:
        nonlocal previous
        decoder = Decoder(service, previous=previous)
        with registry.fetch(service) as answer:
            for chunk in answer.chunks():
                decoder.feed(chunk)
        snapshot = decoder.finish()
        previous = snapshot if refresh else None
        return [(node.target, node.version, node.metadata, node.endpoints) for node in snapshot]

    return lambda: measure.once(ask)


@pytest.mark.parametrize("way", ["go-micro v1.1.0", "regcache", "regcache-refresh"])
@pytest.mark.parametrize("name", ways.LARGE)
def test_go(
    name: str, way: str, race: Any, program: Path, opened: contextlib.ExitStack, request: pytest.FixtureRequest
) -> None:
    taken = ways.body(name)

    def prepare(way: str) -> Callable[[], float]:
        url = opened.enter_context(serving(name))
        if way.startswith("regcache"):
            return _ours(url, str(taken.service), opened, way.endswith("refresh"))
        asked = opened.enter_context(contextlib.closing(go_micro.GoMicro(program, url, str(taken.service))))

        def ask() -> float:
            found = _last[name] = asked.ask()
            assert found["nodes"] > 0
            return float(found["seconds"])

        return ask

    race(
        prepare,
        group=f"{name}: go-micro in Go, over HTTP",
        rounds=20,
        baseline="go-micro v1.1.0",
        by=lambda work: work(),
    )
    if not way.startswith("regcache"):
        request.getfixturevalue("benchmark").extra_info["allocated_bytes"] = _last[name]["bytes"]
