"""Where a body is cut does not matter, and any object that holds bytes is taken as it is."""

from __future__ import annotations

import array
import mmap
import random
from typing import Any, Dict, Iterable, List

import pytest

from tests import build, plain, recorded

#: Bodies up to this size are cut at every byte; of larger ones this many places are drawn.
SMALL = {"compiled": 12_000, "pure": 1_600}
SAMPLE = {"compiled": 600, "pure": 60}


def distinct() -> Dict[str, bytes]:
    """The recorded bodies (error texts and other lists included), each content once."""
    contents: Dict[bytes, str] = {}
    for body in recorded.bodies().values():
        contents.setdefault(body.data, body.name)
    return {name: data for data, name in contents.items()}


BODIES = distinct()


def places(codec: Any, data: bytes, inside: Iterable[int] = ()) -> List[int]:
    """Where to cut: everywhere in a small body, at random but reproducible places of a large one."""
    if len(data) <= SMALL[codec.name]:
        return list(range(len(data) + 1))
    sample = SAMPLE[codec.name] if len(data) < 100_000 else 20
    return sorted({*inside, *random.Random(len(data)).sample(range(len(data) + 1), sample)})


def same(found: Any, whole: Any) -> bool:
    """Without a walk through every attribute: these two comparisons cover them all."""
    if isinstance(whole, dict):
        return bool(found == whole)
    return bool(found == whole and found.warnings == whole.warnings and found.stats == whole.stats)


def decoded(codec: Any, chunks: Iterable[bytes]) -> Any:
    """A snapshot, or an error as plain data."""
    return plain.outcome(lambda: plain.decode_pieces(codec, chunks), lambda snapshot: snapshot)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_in_two_chunks_is_the_same(codec: Any, name: str) -> None:
    data = BODIES[name]
    whole = decoded(codec, [data])
    for cut in places(codec, data):
        assert same(decoded(codec, [data[:cut], data[cut:]]), whole), cut


@pytest.mark.parametrize("name", [name for name in BODIES if len(BODIES[name]) < 100_000])
def test_a_body_byte_by_byte_is_the_same(codec: Any, name: str) -> None:
    data = BODIES[name]
    assert same(decoded(codec, (data[i : i + 1] for i in range(len(data)))), decoded(codec, [data]))


@pytest.mark.parametrize("name", ["health_a", "health_unicode", "health_b"])
@pytest.mark.parametrize("size", [*range(2, 20), 31, 32, 33, 63, 64, 65, 97, 100])
def test_a_body_in_chunks_of_one_size_is_the_same(codec: Any, name: str, size: int) -> None:
    data = BODIES[name][:35_000]
    chunks = (data[i : i + size] for i in range(0, len(data), size))
    assert same(decoded(codec, chunks), decoded(codec, [data]))


def test_a_large_body_in_chunks_of_64_kib_is_the_same(codec: Any) -> None:
    data = recorded.health_c().data
    if codec.name == "pure":
        data = recorded.body("health_b").data
    whole = codec.decode(data)
    chunks = (data[i : i + 65536] for i in range(0, len(data), 65536))
    assert same(plain.decode_pieces(codec, chunks), whole)


def test_a_body_may_be_cut_inside_anything(codec: Any) -> None:
    """Escapes, UTF-8 sequences, numbers, hex digit pairs, literals, tags."""
    data = (
        b'[{"Node":{"Address":"\\ud83d\\ude00\xf0\x9f\x98\x80\\n"},"Service":{"ID":"\\u00e9\xc3\xa9","Port":-120,"Tags":["'
        + build.tag("t", {"k": "v\u00e9\U0001f600"}).encode()
        + b'","\\u0076=1.0",null],"Extra":[1.5e-3,true,false,null,{"a":{}}]},"Checks":[{"Status":"critic\\u0061l"}]}] '
    )
    whole = plain.snapshot(codec.decode(data))
    assert whole["nodes"][0]["address"] == "\U0001f600\U0001f600\n"
    assert whole["nodes"][0]["critical"] and whole["nodes"][0]["version"] == "1.0"
    for cut in range(len(data) + 1):
        for second in {cut, min(cut + 1, len(data)), min(cut + 7, len(data))}:
            assert plain.snapshot(plain.decode_pieces(codec, build.pieces(data, [cut, second]))) == whole


@pytest.mark.parametrize(
    "entry", ["-0", "12", "0.25", "-1.5e-182", "2E+30", "1e9", "true", "null", '"\\u00e9\u20ac"', "[]", "[[1e5], 7]"]
)
@pytest.mark.parametrize("after", ["]", " ]", ",{}]", " \n"])
def test_an_entry_that_is_none_may_be_cut_inside_anything(codec: Any, entry: str, after: str) -> None:
    body = f"[{entry}{after}".encode()
    whole = plain.outcome(lambda: codec.decode(body))
    for cut in range(len(body) + 1):
        assert plain.outcome(lambda cut=cut: plain.decode_pieces(codec, [body[:cut], body[cut:]])) == whole, cut  # type: ignore[misc]


def test_empty_chunks_change_nothing(codec: Any) -> None:
    data = build.body(build.entry())
    assert plain.decode_pieces(codec, [b"", data[:9], b"", b"", data[9:], b""]) == codec.decode(data)


@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)),
        lambda data: array.array("B", data),
        lambda data: array.array("b", data),
        lambda data: memoryview(b"xx" + data)[2:],
        lambda data: memoryview(data).cast("c"),
    ],
    ids=["bytes", "bytearray", "memoryview", "writable view", "array B", "array b", "sliced view", "view of chars"],
)
def test_anything_that_holds_bytes_is_taken(codec: Any, wrap: Any) -> None:
    data = build.body(build.entry(tags=("v=1",)))
    assert codec.decode(wrap(data)) == codec.decode(data)
    assert plain.decode_pieces(codec, [wrap(data[:20]), wrap(data[20:])]) == codec.decode(data)


def test_a_mapped_file_is_taken(codec: Any) -> None:
    data = build.body(build.entry(tags=("v=1",)))
    with mmap.mmap(-1, len(data)) as mapped:
        mapped[:] = data
        assert codec.decode(mapped) == codec.decode(data)


def test_a_chunk_is_free_again_after_it_was_fed(codec: Any) -> None:
    data = build.body(build.entry(tags=("v=1",), Service_Meta={"k": "v"}))
    chunk = bytearray(data)
    decoder = codec.Decoder()
    decoder.feed(chunk)
    chunk[:] = b"x" * len(chunk)
    chunk.clear()
    assert decoder.finish() == codec.decode(data)


@pytest.mark.parametrize(
    "chunk", ["[]", 1, None, [91, 93], memoryview(b"[ ] ")[::2]], ids=["str", "int", "None", "list", "view with gaps"]
)
def test_anything_else_is_refused(codec: Any, chunk: Any) -> None:
    decoder = codec.Decoder()
    with pytest.raises((TypeError, BufferError)):
        decoder.feed(chunk)
    decoder.feed(b"[]")
    assert len(decoder.finish()) == 0


def test_the_offset_counts_the_bytes_fed(codec: Any) -> None:
    decoder = codec.Decoder()
    assert decoder.offset == 0
    decoder.feed(b"[{}")
    assert decoder.offset == 3
    decoder.feed(b"]  ")
    assert decoder.offset == 6
    assert decoder.finish().stats.body_bytes == 6
