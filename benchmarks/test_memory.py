"""Memory beyond the body: at most until each node has been read, and afterwards. The times are those of tracing."""

from __future__ import annotations

from typing import Any

import pytest

from regcache.codec import compiled, pure

from . import ways
from .baselines import naive
from .measure import memory, once

CODECS = {"pure": pure, "compiled": compiled}


@pytest.mark.parametrize("way", ways.HELD)
@pytest.mark.parametrize("name", ways.LARGE)
def test_memory(name: str, way: str, benchmark: Any) -> None:
    taken = ways.body(name)
    benchmark.group = f"{name}: memory (times: traced)"
    work = ways.HELD[way](taken)
    found = memory(work)
    benchmark.extra_info.update(
        way=way, baseline="naive", body_bytes=len(taken.data), peak_bytes=found.peak, held_bytes=found.held
    )
    codec = CODECS.get(way.partition("-")[0])
    if codec is not None:
        assert len(work()[0]) == len(naive.versions(taken.data))
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
