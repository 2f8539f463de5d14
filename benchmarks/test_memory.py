"""Memory beyond the body: at most during a decode, and afterwards. The times in this group are those of tracing."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest

from regcache.codec import compiled, pure

from . import ways
from .baselines import best, naive
from .measure import memory, once

#: What is kept afterwards is what each way returns: a list of tuples, or one of our snapshots.
KEPT: Dict[str, Callable[[Any], Callable[[], Any]]] = {
    "naive": lambda taken: lambda: naive.versions(taken.data),
    "naive-every-tag": lambda taken: lambda: naive.everything(taken.data),
    "msgspec-cold": lambda taken: lambda: best.versions(taken.data, {}),
    "msgspec-every-tag-cold": lambda taken: lambda: best.everything(taken.data, {}),
    "pure": lambda taken: ways.whole(pure, taken),
    "pure-chunks": lambda taken: ways.in_chunks(pure, taken),
    "compiled": lambda taken: ways.whole(compiled, taken),
    "compiled-chunks": lambda taken: ways.in_chunks(compiled, taken),
    "compiled-refresh": lambda taken: ways.whole(compiled, taken, compiled.decode(taken.data, taken.service)),
}
CODECS = {"pure": pure, "compiled": compiled}


@pytest.mark.parametrize("way", KEPT)
@pytest.mark.parametrize("name", ways.LARGE)
def test_memory(name: str, way: str, benchmark: Any) -> None:
    taken = ways.body(name)
    prepare = KEPT[way]
    benchmark.group = f"{name}: memory (times: traced)"
    work = prepare(taken)
    found = memory(work)
    benchmark.extra_info.update(
        way=way, baseline="naive", body_bytes=len(taken.data), peak_bytes=found.peak, held_bytes=found.held
    )
    codec = CODECS.get(way.partition("-")[0])
    if codec is not None:
        assert len(work()) == len(naive.versions(taken.data))
        benchmark.extra_info["decoder_bytes"] = decoder_bytes(codec, taken)
    benchmark.pedantic(once, (work,))


def decoder_bytes(codec: Any, taken: Any) -> int:
    """The most that a decoder says it holds itself, asked after each chunk."""
    decoder = codec.Decoder(taken.service)
    held = 0
    with memoryview(taken.data) as view:
        for start in range(0, len(view), ways.CHUNK):
            decoder.feed(view[start : start + ways.CHUNK])
            held = max(held, decoder.held_bytes)
    decoder.finish()
    return int(held)
