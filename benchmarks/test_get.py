"""Taking the newest snapshot: ``Cache.get()``, a reader's ``get()``, and a plain dict, which nobody refreshes."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict

import pytest

from regcache import Cache, MemoryRegistry, Node, Service

from .measure import looped

ROUNDS = 40

WAYS: Dict[str, Callable[[Cache], Callable[[], Any]]] = {
    "dict": lambda cache: {"greeter": cache.get("greeter")}.__getitem__,
    "cache": lambda cache: cache.get,
    "reader": lambda cache: cache.reader("greeter").get,
}


@pytest.mark.parametrize("way", WAYS)
def test_get(way: str, race: Any) -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=(Node("greeter-1", "10.0.0.1", 8080),)))
    with Cache(registry) as cache:
        held = cache.get("greeter", timeout=10.0)

        def prepare(way: str) -> Callable[[], Any]:
            get = WAYS[way](cache)
            work = get if way == "reader" else functools.partial(get, "greeter")
            assert work() is held
            return work

        race(prepare, group="taking the newest snapshot", rounds=ROUNDS, baseline="cache", by=looped)
