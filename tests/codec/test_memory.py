"""What a decode holds: the snapshot's records once, and buffers that do not grow with the body."""

from __future__ import annotations

import tracemalloc
from typing import Any, Callable, Tuple

import pytest

from tests import build, recorded

#: What the decoder itself may hold: zlib's window, a tag, and some stacks.
HELD = 1_000_000


def traced(work: Callable[[], Any]) -> Tuple[Any, int]:
    """What ``work`` returns, and the most memory that it had at once."""
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def feed_all(codec: Any, data: bytes) -> Any:
    decoder = codec.Decoder()
    view = memoryview(data)
    for i in range(0, len(data), 65536):
        decoder.feed(view[i : i + 65536])
    return decoder.finish()


def test_health_c_needs_3_mb_beyond_its_body(codec: Any) -> None:
    """22.6 MB, 2,000 nodes; addresses, ports and versions are read as Python objects."""
    if codec.name == "pure":
        pytest.skip("the figure is a promise of the compiled backend; tracing the pure one takes a minute")
    data = recorded.health_c().data
    codec.decode(build.body(build.entry()))

    def decode_and_read() -> Any:
        snapshot = feed_all(codec, data)
        return snapshot, [(node.address, node.port, node.version) for node in snapshot]

    (snapshot, read), peak = traced(decode_and_read)
    assert len(snapshot) == len(read) == 2000
    assert peak <= 3_000_000


def held_after(codec: Any, text: bytes) -> int:
    decoder = codec.Decoder()
    decoder.feed(text)
    return int(decoder.held_bytes)


def test_white_space_is_not_kept(codec: Any) -> None:
    assert held_after(codec, b"[") == held_after(codec, b"[" + b" " * 1_000_000) < HELD


@pytest.mark.parametrize(
    "skipped", [b'"' + b"x" * 1_000_000, b"[" + b"1," * 500_000 + b"1", b'"' + b"\\u00e9" * 200_000]
)
def test_what_is_skipped_is_not_kept(codec: Any, skipped: bytes) -> None:
    """The pure backend keeps the entry that it is in; the compiled one keeps nothing of it."""
    start = b'[{"Extra":'
    few, many = (held_after(codec, start + skipped[:length]) for length in (200, len(skipped)))
    assert many < HELD and many == few if codec.name == "compiled" else many <= len(start + skipped) + HELD


LONG = "x" * 10_000
#: What begins a body, a member that comes again, and what ends the body.
AGAIN = {
    "ID": ('[{"Service":{"ID":"a",', '"ID":"%LONG"', '"Address":"h"}}]'),
    "Address": ('[{"Service":{"ID":"a",', '"Address":"%LONG"', '"Address":"h"}}]'),
    "Meta": ('[{"Service":{"ID":"a",', '"Meta":{"k":"%LONG"}', '"Address":"h"}}]'),
    "Tags": ('[{"Service":{"ID":"a",', '"Tags":["%LONG"]', '"Address":"h"}}]'),
    "Service": ('[{"Service":{"ID":"a","Address":"h"},', '"Service":{"ID":"%LONG","Address":"h"}', '"x":1}]'),
    "Node": ('[{"Service":{"ID":"a","Address":"h"},', '"Node":{"Node":"%LONG","Address":"%LONG"}', '"x":1}]'),
}


@pytest.mark.parametrize("null", [False, True], ids=["", "null between"])
@pytest.mark.parametrize("member", AGAIN)
def test_of_a_member_that_comes_again_little_is_held(codec: Any, member: str, null: bool) -> None:
    if codec.name == "pure":
        pytest.skip("an unfinished entry is held whole there")
    begin, again, end = AGAIN[member]
    decoder = codec.Decoder()
    decoder.feed(begin.encode())
    for i in range(300):
        decoder.feed((again.replace("%LONG", f"{i}{LONG}") + "," + f'"{member}":null,' * null).encode())
    assert decoder.held_bytes < 300_000
    if null and member == "Service":
        end = end.replace('"x":1', '"Service":{"ID":"a","Address":"h"}')
    decoder.feed(end.encode())
    snapshot = decoder.finish()
    (node,) = snapshot
    if not null:
        assert {"ID": node.id, "Service": node.id, "Node": node.node_name}.get(member, "299x").startswith("299x")
    assert not snapshot.warnings and snapshot.stats.record_bytes < (1_000 if null else 100_000)


def test_the_decoder_holds_no_more_for_more_nodes(codec: Any) -> None:
    text = recorded.body("health_b").data.strip()
    decoder = codec.Decoder()
    first, most = 0, 0
    for i in range(0, len(text), 4096):
        decoder.feed(text[i : i + 4096])
        first = first or (decoder.held_bytes if i > 100_000 else 0)
        most = max(most, decoder.held_bytes)
    assert 0 < first and most <= first + 64 * 1024 and most < HELD
    assert len(decoder.finish()) == 200


def test_a_chunk_is_not_copied(codec: Any) -> None:
    data = b"[" + b" " * 5_000_000 + b"]"
    codec.decode(b"[]")
    _, peak = traced(lambda: codec.decode(data))
    assert peak < 1_000_000


def test_a_snapshot_holds_each_record_once(codec: Any) -> None:
    tags = tuple(build.tag("t", {f"key{n}": "v" * 200}) for n in range(50))
    few, many = (
        codec.decode(build.body(*(build.entry(str(n), tags=tags) for n in range(count)))) for count in (10, 200)
    )
    assert few.stats.records == many.stats.records == 50
    assert few.stats.record_bytes == many.stats.record_bytes > 50 * 200
