"""``python -m benchmarks.instructions.kernels MARKS``: the work whose instructions are counted, each once.

MARKS is the library made of ``marks.c``. Everything is the same in every run: inputs, order, and no garbage collector
in between. What is made once, or remembered, has been before the counting begins.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from itertools import repeat
from typing import Any, Callable, Dict, List

from regcache import Cache, MemoryRegistry
from regcache.codec import compiled, encode_compact, encode_tags

from .. import forms, made

__all__ = ["CALLS", "main"]

NODES = 50
ENDPOINTS = 8

#: Kernel -> so many calls are counted together. Their number divides the count.
CALLS = {
    "decode, shared tags": 1,
    "decode, distinct tags": 1,
    "refresh, nothing changed": 1,
    "refresh, half of the nodes changed": 1,
    "one record, go-micro's tags": 20,
    "one record, compact": 20,
    "get": 1000,
    "select, round_robin": 1000,
    "select, random": 1000,
    "select, p2c": 1000,
}


def _decode(sharing: str) -> Callable[[], Any]:
    body = made.body(NODES, sharing).data
    return lambda: compiled.decode(body, made.SERVICE)


def _refresh(changed: float) -> Callable[[], Any]:
    previous = compiled.decode(made.body(NODES, "distinct").data, made.SERVICE)
    body = made.body(NODES, "distinct", changed).data
    return lambda: compiled.decode(body, made.SERVICE, previous=previous)


def _record(tags: List[str]) -> Callable[[], Any]:
    def work() -> Any:
        record = compiled.decode_tags(tags)
        return record.version, record.metadata, record.endpoints

    return work


def prepared(cache: Cache) -> Dict[str, Callable[[], Any]]:
    """The work of each kernel."""
    record = forms.record(ENDPOINTS)
    service = made.SERVICE
    return {
        "decode, shared tags": _decode("shared"),
        "decode, distinct tags": _decode("distinct"),
        "refresh, nothing changed": _refresh(0.0),
        "refresh, half of the nodes changed": _refresh(0.5),
        "one record, go-micro's tags": _record(encode_tags(record)),
        "one record, compact": _record([encode_compact(record)]),
        "get": lambda: cache.get(service),
        "select, round_robin": cache.selector(service, strategy="round_robin").select,
        "select, random": cache.selector(service, strategy="random").select,
        "select, p2c": cache.selector(service, strategy="p2c").select,
    }


def main(library: str) -> None:
    marks = ctypes.CDLL(library)
    registry = MemoryRegistry()
    registry.put(made.SERVICE, made.body(NODES, "shared").data)
    # Long enough that nothing is refreshed meanwhile, however slow the counting makes it.
    with Cache(registry, watch=False, ttl=86400.0) as cache:
        cache.get(made.SERVICE, timeout=600.0)
        works = prepared(cache)
        gc.disable()
        for name, calls in CALLS.items():
            work, mark = works[name], name.encode()
            for _ in range(3):
                work()
            marks.begin()
            for _ in repeat(None, calls):
                work()
            marks.end(mark)


if __name__ == "__main__":
    main(sys.argv[1])
