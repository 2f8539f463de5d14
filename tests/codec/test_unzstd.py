"""zstd frames, one after the other, from chunks cut anywhere, with a bounded window and a bounded result."""

from __future__ import annotations

import random
from typing import Any, Iterable, List

import pytest
import zstandard

from regcache import DecodeError, LimitExceeded
from regcache.cli.measure import traced_peak
from tests import recorded

MIB = 1024 * 1024
#: Text, which is packed well, and noise, which is not.
TEXT = recorded.body("health_a").data
NOISE = random.Random(1).randbytes(3000)


def frame(data: bytes, **options: Any) -> bytes:
    """One frame that says its size, with a checksum."""
    return zstandard.ZstdCompressor(write_checksum=True, **options).compress(data)


def stream(data: bytes, window_log: int) -> bytes:
    """One frame as a stream is packed: without its size, and with a window of that many bits."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, compression_level=1)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packing.compress(data) + packing.flush()


def skippable(data: bytes) -> bytes:
    """A frame that decoders pass over (RFC 8878, 3.1.2)."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def unpacked(codec: Any, chunks: Iterable[Any], **options: Any) -> bytes:
    unzstd = codec.Unzstd(**options)
    out = b"".join([unzstd.feed(chunk) for chunk in chunks])
    unzstd.finish()
    return out


def cut(data: bytes, size: int) -> List[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


STREAMS = {
    "one frame": (frame(TEXT), TEXT),
    "a frame that does not say its size": (stream(TEXT, 17), TEXT),
    "two frames": (frame(TEXT) + frame(NOISE), TEXT + NOISE),
    "an empty frame": (frame(b""), b""),
    "empty frames between": (frame(b"") + frame(TEXT) + frame(b"") * 2 + frame(NOISE), TEXT + NOISE),
    "a frame to pass over": (frame(TEXT) + skippable(NOISE) + frame(NOISE), TEXT + NOISE),
    "only a frame to pass over": (skippable(b"abc"), b""),
    "a long run of one byte": (frame(b"\0" * 300_000), b"\0" * 300_000),
}


@pytest.mark.parametrize("packed, data", STREAMS.values(), ids=STREAMS)
def test_frames_come_out_whole_however_they_are_cut(codec: Any, packed: bytes, data: bytes) -> None:
    assert unpacked(codec, [packed]) == data
    for size in (1, 2, 3, 7, 100, 257, 4096):
        assert unpacked(codec, cut(packed, size)) == data


def test_two_chunks_cut_at_every_byte(codec: Any) -> None:
    packed = frame(TEXT[:500]) + frame(NOISE[:200])
    for i in range(len(packed) + 1):
        assert unpacked(codec, [packed[:i], b"", packed[i:]]) == TEXT[:500] + NOISE[:200], i


def test_many_chunks_of_nothing(codec: Any) -> None:
    packed = zstandard.compress(b"a" * 1000)
    unzstd = codec.Unzstd()
    out = unzstd.feed(packed[:10])
    for _ in range(50):
        out += unzstd.feed(b"")
    out += unzstd.feed(packed[10:])
    unzstd.finish()
    assert out == b"a" * 1000


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_anything_that_holds_bytes_is_taken(codec: Any, wrap: Any) -> None:
    assert unpacked(codec, map(wrap, cut(frame(TEXT), 99))) == TEXT


@pytest.mark.parametrize("chunk", ["text", 5, None])
def test_anything_else_is_refused(codec: Any, chunk: Any) -> None:
    with pytest.raises(TypeError):
        codec.Unzstd().feed(chunk)


def test_a_large_body_comes_out_as_it_was(codec: Any) -> None:
    packed = (recorded.GOMICRO / "consul" / "health_c.json.zst").read_bytes()
    assert unpacked(codec, cut(packed, 65536)) == recorded.health_c().data


# -- broken input ------------------------------------------------------------------------------------------------------


def test_cut_short_anywhere(codec: Any) -> None:
    packed = frame(NOISE[:40] * 3)
    for whole in (b"", frame(TEXT)):
        for i in range(1, len(packed)):
            with pytest.raises(DecodeError, match="the zstd stream is cut short") as caught:
                unpacked(codec, [whole + packed[:i]])
            assert caught.value.offset == len(whole) + i


@pytest.mark.parametrize("size", [1, 10, 100_000])
@pytest.mark.parametrize("garbage", [b"xxxx", b"\0\0\0\0", b"[{}]", b"\x1f\x8b\x08\x00"])
def test_something_else_instead_of_a_frame_or_after_one(codec: Any, garbage: bytes, size: int) -> None:
    for whole in (b"", frame(TEXT)):
        with pytest.raises(DecodeError, match="the zstd stream is corrupt"):
            unpacked(codec, cut(whole + garbage, size))


@pytest.mark.parametrize("size", [1, 10, 100_000])
def test_any_flipped_byte_is_noticed(codec: Any, size: int) -> None:
    """The checksum sees to that. Nothing is noticed too early: what came out before was right."""
    packed = frame(TEXT[:700])
    for i in range(len(packed)):
        broken = bytearray(packed)
        broken[i] ^= 0xFF
        with pytest.raises(DecodeError):
            unpacked(codec, cut(bytes(broken), size))


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_window_of_8_mib_is_the_largest(codec: Any) -> None:
    assert unpacked(codec, [stream(TEXT, 23)]) == TEXT
    for window_log in (24, 25, 27):
        for size in (1, 100_000):
            with pytest.raises(DecodeError, match="corrupt"):
                unpacked(codec, cut(stream(TEXT, window_log), size))


def test_max_output_is_the_most_that_may_come_out(codec: Any) -> None:
    packed = frame(TEXT) + frame(NOISE)
    most = len(TEXT + NOISE)
    assert unpacked(codec, [packed], max_output=most) == TEXT + NOISE
    for size in (1, 100, 100_000):
        for less in (most - 1, len(TEXT), 1, 0):
            with pytest.raises(LimitExceeded, match="more bytes than allowed") as caught:
                unpacked(codec, cut(packed, size), max_output=less)
            assert caught.value.limit == "max_output"


def test_a_bomb_is_given_up_soon(codec: Any) -> None:
    """1 GiB of zeros in 100 KB: what it holds before it gives up does not grow with the chunk."""
    bomb = frame(b"\0" * (64 * MIB)) * 16

    def unpack(size: int) -> None:
        with pytest.raises(LimitExceeded):
            unpacked(codec, cut(bomb, size), max_output=100_000)

    for size in (len(bomb), 65536):
        assert traced_peak(lambda size=size: unpack(size)) < 20 * MIB  # type: ignore[misc]


def test_none_is_no_bound(codec: Any) -> None:
    assert unpacked(codec, [frame(b"\0" * (20 * MIB))], max_output=None) == b"\0" * (20 * MIB)


def test_nothing_is_no_frame(codec: Any) -> None:
    with pytest.raises(DecodeError, match="cut short"):
        codec.Unzstd().finish()


def test_an_error_is_raised_again(codec: Any) -> None:
    unzstd = codec.Unzstd()
    with pytest.raises(DecodeError, match="corrupt") as first:
        unzstd.feed(b"not zstd, and long enough to tell")
    for again in (unzstd.finish, lambda: unzstd.feed(frame(TEXT))):
        with pytest.raises(DecodeError) as later:
            again()
        assert later.value is first.value


@pytest.mark.parametrize("wrong", ["x", True, 1.5])
def test_a_bound_is_a_number(codec: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="max_output"):
        codec.Unzstd(max_output=wrong)
