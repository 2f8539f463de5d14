"""What a registry may make us hold: each limit, at its edge and one beyond."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from dataclasses import FrozenInstanceError, fields
from typing import Any, Callable, Dict, Tuple

import pytest

from regcache import LimitExceeded, Limits
from regcache.limits import RATIO_FLOOR, containers
from tests import build, plain

#: A body that needs exactly so much of a limit.
Needs = Callable[[int], bytes]


def body_of(size: int) -> bytes:
    return b"[" + b" " * (size - 2) + b"]"


def nested(depth: int) -> bytes:
    return build.body(build.entry())[:-2] + b',"Extra":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}]"


def records_of(size: int) -> bytes:
    """Three records that differ, ``size`` bytes together."""
    first, second = "a" * (size // 3), "b" * (size // 3)
    third = "c" * (size - len(first) - len(second))
    return build.body(*(build.entry(text[0], tags=(build.tag("v", text),)) for text in (first, second, third)))


def bomb(kind: str, letters: int) -> bytes:
    """A body with one tag that decompresses to so many letters."""
    return build.body(build.entry("bomb", tags=(build.packed(kind, b"a" * letters), "prod")))


RAISES: Dict[str, Tuple[int, Needs]] = {
    "body_bytes": (50, body_of),
    "nodes": (3, lambda count: build.body(*(build.entry(str(n)) for n in range(count)))),
    "nesting": (20, nested),
    "decompressed_bytes": (1000, records_of),
}

WARNS: Dict[str, Tuple[int, Needs]] = {
    "string_bytes": (30, lambda size: build.body(build.entry("x" * size))),
    "tags": (5, lambda count: build.body(build.entry(tags=tuple("abcdefgh"[:count])))),
    "tag_bytes": (60, lambda size: build.body(build.entry(tags=("v=" + "1" * (size - 2),)))),
    "record_bytes": (500, lambda size: bomb("v", size)),
}


@pytest.mark.parametrize("name", RAISES)
def test_a_limit_on_the_body_raises_one_beyond(codec: Any, name: str) -> None:
    limit, needs = RAISES[name]
    limits = Limits(**{name: limit})
    assert codec.decode(needs(limit), limits=limits).warning_count == 0
    with pytest.raises(LimitExceeded) as caught:
        codec.decode(needs(limit + 1), limits=limits)
    assert caught.value.limit == name


@pytest.mark.parametrize("name", WARNS)
def test_a_limit_on_a_part_warns_one_beyond(codec: Any, name: str) -> None:
    limit, needs = WARNS[name]
    limits = Limits(**{name: limit})
    assert codec.decode(needs(limit), limits=limits).warning_count == 0
    assert codec.decode(needs(limit + 1), limits=limits).warning_count == 1
    with pytest.raises(LimitExceeded) as caught:
        codec.decode(needs(limit + 1), limits=limits, strict=True)
    assert caught.value.limit == name


#: A record with so many objects, lists and keys, as the payload of a tag of this kind.
CROWDED: Dict[str, Callable[[int], str]] = {
    "JSON": lambda count: build.packed("e", b'{"request":{"values":[' + b",".join([b"{}"] * (count - 3)) + b"]}}"),
    "lists that nobody wants": lambda count: build.packed("e", b'{"x":[' + b",".join([b"[]"] * (count - 2)) + b"]}"),
    "compact": lambda count: build.compact(["1", None, [["e", ["", "", [[]] * (count - 5)]]]]),
    "keys": lambda count: build.compact(["1", {str(i): "" for i in range(count - 2)}, None]),
}


@pytest.mark.parametrize("kind", CROWDED)
def test_a_record_has_no_more_objects_than_its_size_allows(codec: Any, kind: str) -> None:
    """Each becomes a Python object of 80 bytes, though it may be written in one."""
    limits = Limits(record_bytes=8000)
    most = containers(limits.record_bytes)
    fits, beyond = (build.body(build.entry(tags=(CROWDED[kind](count), "prod"))) for count in (most, most + 1))
    assert not codec.decode(fits, limits=limits).warnings
    (warning,) = codec.decode(beyond, limits=limits).warnings
    assert "record_bytes" in warning.reason and warning.path.endswith("Tags[0]")


def test_every_limit_is_tried_here() -> None:
    assert {*RAISES, *WARNS, "ratio", "warnings"} == {field.name for field in fields(Limits)}


def test_the_ratio_limit_begins_above_its_floor(codec: Any) -> None:
    limits = Limits(ratio=1)
    assert codec.decode(bomb("v", RATIO_FLOOR), limits=limits).warning_count == 0
    (warning,) = codec.decode(bomb("v", RATIO_FLOOR + 1), limits=limits).warnings
    assert "ratio" in warning.reason


def test_the_ratio_counts_the_compressed_bytes_of_the_tag(codec: Any) -> None:
    letters = 300_000
    packed = len(zlib.compress(b"a" * letters))
    enough = -(-letters // packed)
    assert codec.decode(bomb("v", letters), limits=Limits(ratio=enough)).warning_count == 0
    assert codec.decode(bomb("v", letters), limits=Limits(ratio=enough - 1)).warning_count == 1


def test_a_limit_counts_bytes_not_characters(codec: Any) -> None:
    body = build.body(build.entry("\u00e9" * 10))
    assert codec.decode(body, limits=Limits(string_bytes=20)).warning_count == 0
    assert codec.decode(body, limits=Limits(string_bytes=19)).warning_count == 1


def test_a_repeated_record_counts_once(codec: Any) -> None:
    entries = [build.entry(str(n), tags=(build.tag("v", "1" * 100),)) for n in range(50)]
    snapshot = codec.decode(build.body(*entries), limits=Limits(decompressed_bytes=100))
    assert len(snapshot) == 50 and snapshot.stats.records == 1 and snapshot.stats.decoded == 1


def test_a_string_that_is_not_read_may_be_long(codec: Any) -> None:
    body = build.body(build.entry(Extra="x" * 100_000))
    assert codec.decode(body, limits=Limits(string_bytes=10)).warning_count == 0


def test_a_limit_on_strings_does_not_hide_members(codec: Any) -> None:
    """The names of members are not kept, so they may be longer."""
    body = b'[{"Node":{"Datacenter":"d"},"Service":{"Address":"h","Weights":{"Passing":5}}}]'
    (node,) = codec.decode(body, limits=Limits(string_bytes=1))
    assert (node.address, node.datacenter, node.weights.passing) == ("h", "d", 5)


def test_64_mib_from_130_kb_costs_kilobytes(codec: Any) -> None:
    """A tag of 130 KB that holds 64 MiB (go-micro allocates 439 MiB for one such), and the good tags beside it."""
    tag = build.packed("t", b'{"k":"' + b"a" * (64 * 1024 * 1024) + b'"}')
    assert 130_000 < len(tag) < 131_000
    body = build.body(build.entry("web-1", tags=(build.tag("v", "1.0"), tag, "prod")))
    codec.decode(build.body(build.entry(tags=(build.tag("v", "1.0"),))))
    tracemalloc.start()
    try:
        snapshot = codec.decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
    (warning,) = snapshot.warnings
    assert warning.node == "web-1" and warning.path == "[0].Service.Tags[1]"
    assert snapshot[0].version == "1.0" and snapshot[0].tags == ("prod",) and snapshot[0].metadata == {}


def test_a_tag_list_is_limited_too(codec: Any) -> None:
    record = codec.decode_tags([build.packed("v", b"1" * 100)], limits=Limits(record_bytes=99))
    assert [tuple(w)[1:] for w in record.warnings] == [(0, "[0]", None)]
    assert record.version == "" and record.version_found


def test_an_mdns_record_is_limited_too(codec: Any) -> None:
    digits = zlib.compress(b'{"Service":"' + b"s" * 100 + b'"}').hex()
    assert codec.decode_mdns([digits])["Service"] == "s" * 100
    with pytest.raises(LimitExceeded):
        codec.decode_mdns([digits], limits=Limits(record_bytes=50))


def test_a_deep_record_may_be_read_to_its_limit(codec: Any) -> None:
    deep = "e=" + '{"x":' + "[" * 9_999 + "]" * 9_999 + "}"
    record = codec.decode_tags([deep, "e={}"])
    assert len(record.endpoints) == 2 and not record.warnings
    deeper = "e=" + '{"x":' + "[" * 10_000 + "]" * 10_000 + "}"
    assert [tuple(w)[2] for w in codec.decode_tags([deeper]).warnings] == ["[0]"]


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_limit_is_a_positive_int(name: str) -> None:
    for value in (0, -1, 2**62 + 1):
        with pytest.raises(ValueError, match=name):
            Limits(**{name: value})
    for wrong in (1.0, "1", None, True):
        with pytest.raises(TypeError, match=name):
            Limits(**{name: wrong})
    assert getattr(Limits(**{name: 1}), name) == 1
    assert getattr(Limits(**{name: 2**62}), name) == 2**62


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().nodes = 5  # type: ignore[misc]


@pytest.mark.parametrize("limits", [None, 5, {"nodes": 5}], ids=repr)
def test_limits_of_another_type_are_refused(codec: Any, limits: Any) -> None:
    with pytest.raises(TypeError):
        codec.Decoder(limits=limits)


def test_the_largest_limits_are_taken(codec: Any) -> None:
    limits = Limits(**{field.name: 2**62 for field in fields(Limits)})
    body = build.body(build.entry(tags=(build.tag("t", {"k": "v"}),)))
    assert codec.decode(body, limits=limits) == codec.decode(body)
    assert plain.outcome(lambda: codec.decode_tags(["v=1"], limits=limits), plain.record)["version"] == "1"


def corrupt(data: bytes) -> str:
    """A tag whose zlib stream ends in a block that cannot be, behind so much data."""
    stream = zlib.compressobj()
    packed = stream.compress(data) + stream.flush(zlib.Z_FULL_FLUSH)
    return f"t-{(packed + bytes([7])).hex()}"


def wrong_sum(data: bytes) -> str:
    return f"t-{(zlib.compress(data)[:-4] + bytes(4)).hex()}"


#: A broken tag, and the bytes that it decompressed to before that was known: of a corrupt stream whole steps of 256.
BROKEN: Dict[str, Tuple[str, int]] = {
    "the hex": ("t-zz", 0),
    "plain": ("t=" + "[" * 1000, 0),
    "not JSON": (build.packed("t", b"a" * 1000), 1000),
    "another shape": (build.packed("e", b"[]"), 2),
    "cut short": (build.packed("t", b"a" * 1000)[:-8], 1000),
    "too large by ratio": (build.packed("t", b"a" * (RATIO_FLOOR + 1)), RATIO_FLOOR),
    "corrupt at once": ("t-" + "ff" * 20, 0),
    "corrupt after 1": (corrupt(b"a"), 0),
    "corrupt after 255": (corrupt(b"a" * 255), 0),
    "corrupt after 256": (corrupt(b"a" * 256), 0),
    "corrupt after 257": (corrupt(b"a" * 257), 256),
    "corrupt after 512": (corrupt(b"a" * 512), 256),
    "corrupt after 513": (corrupt(b"a" * 513), 512),
    "corrupt after 50,000 that differ": (corrupt(random.Random(1).randbytes(50_000)), 49_920),
    "corrupt where it would be too large": (corrupt(b"a" * RATIO_FLOOR), RATIO_FLOOR - 256),
    "another sum of 1,000": (wrong_sum(b"a" * 1000), 768),
    "another sum of 1,024": (wrong_sum(b"a" * 1024), 768),
    "another sum of 1,025": (wrong_sum(b"a" * 1025), 1024),
    "compact, another dictionary": ("m~1zAAAA", 0),
    "compact, no frame": ("m~10AAAA", 0),
    "compact, not msgpack": (build.compact(b"\xc1" * 1000), 1000),
    "compact, damaged": (build.framed(build.compressed(b"\xc1" * 1000)[:-5] + b"\xff" * 5), 1000),
    "compact, too large": (build.compact(b"a" * (RATIO_FLOOR + 1)), 0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_broken_tag_decompressed_to_counts(codec: Any, name: str) -> None:
    """Else many small tags that hold much of nothing would keep a processor busy for as long as the body is."""
    tag, cost = BROKEN[name]
    entries = build.entry("a", tags=(tag, tag)), build.entry("b", tags=(tag, build.tag("v", "12345")))
    body = build.body(*entries)
    snapshot = codec.decode(body, limits=Limits(decompressed_bytes=cost + 5))
    assert [node.version for node in snapshot] == ["", "12345"] and snapshot.warning_count == 3
    again = codec.decode(body, limits=Limits(decompressed_bytes=cost + 5), previous=snapshot)
    assert again.warning_count == 3 and again.stats.reused == 2
    for previous in (None, codec.decode(body), snapshot):
        with pytest.raises(LimitExceeded) as caught:
            codec.decode(body, limits=Limits(decompressed_bytes=cost + 4), previous=previous)
        assert (caught.value.limit, caught.value.path) == ("decompressed_bytes", "[1].Service.Tags[1]")


def test_bombs_end_the_body_before_they_cost_seconds(codec: Any) -> None:
    """Tags that decompress to 128 KiB each, and are no records: 128 MiB of them, and one more."""
    tags = [build.packed("t", b"a" * (RATIO_FLOOR - 8) + b"%08d" % n) for n in range(1025)]
    entries = [build.entry(str(n), tags=(tag,)) for n, tag in enumerate(tags)]
    assert codec.decode(build.body(*entries[:1024])).warning_count == 1024
    with pytest.raises(LimitExceeded) as caught:
        codec.decode(build.body(*entries))
    assert (caught.value.limit, caught.value.path) == ("decompressed_bytes", "[1024].Service.Tags[0]")
