"""The compact form: what its tag says, what can be wrong with it, and how it stands beside go-micro's tags."""

from __future__ import annotations

import base64
import tracemalloc
from typing import Any, Dict, List

import msgpack
import pytest
import zstandard

from regcache import LimitExceeded, Limits
from regcache.codec import encode_compact, encode_tags, reasons
from regcache.model import Endpoint, Record, Value
from tests import build, oracle, plain, recorded

#: Tags as they were written when the form was released: they must be read for ever.
RECORD = Record("1.2.3", True, {"protocol": "mucp", "registry": "consul"}, (
    Endpoint("Greeter.Hello", Value("Request", "Request", (Value("name", "string"), None)), Value("Response"), {"stream": "false"}),
    None, Endpoint("é\u2028", None, Value("", "t", ()), {})))  # fmt: skip
GOLDEN = {
    "no dictionary": "m~10JH2tAwAShxofoLsB_wu13F1fHLTr1nrlITfbK3t5kiVydOC_U1U9CotzJylne9kuTUeZf3yGls8Z_0nre7Gf7JiIvV-5fJOCoPuOEy-sTGN0wlm_7nbAohzxTworxd5HDre7QiypSCG91NbdCC5wgM4BAgDaDOMTdw-yk6x5",
    "dictionary 1": "m~11JH3NAQAUApOlMS4yLjOCk5StR2VyksCRqMCUpcOp4oCowJOgoXSQgAY8k18aY-5-DAYUkRrmdU-EcgsJzQWyk6x5",
    "an empty record": "m~11JAQhAACToICQVd2tIw",
}


LIMITS = Limits()


def code(name: str) -> str:
    return reasons.REASONS[getattr(reasons, name)][0]


def problems(codec: Any, tag: Any, limits: Limits = LIMITS) -> List[str]:
    """The warnings about one tag, alone and in a body; both say the same."""
    record = codec.decode_tags([tag], limits=limits)
    assert not record.tags, "a compact tag is never foreign"
    (node,) = snapshot = codec.decode(build.body(build.entry(tags=(tag,))), limits=limits)
    assert [w.reason for w in snapshot.warnings] == [w.reason for w in record.warnings]
    assert (node.version, node.metadata, node.endpoints) == (record.version, record.metadata, record.endpoints)
    assert node.tags == () and record.version_found == (not record.warnings)
    return [w.reason for w in record.warnings]


# --- What it says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_tags_are_read(codec: Any, name: str) -> None:
    wanted = Record("", True) if name == "an empty record" else RECORD
    assert codec.decode_tags([GOLDEN[name]], strict=True) == wanted
    assert codec.decode_tags([GOLDEN[name].encode()], strict=True) == wanted


SAYS: Dict[str, Any] = {
    "nil for everything": ([None, None, None], Record("", True)),
    "later additions": (["1", {}, [], 7, {"a": [1.5]}, b"x"], Record("1", True)),
    "nil values": (["1", {"a": None, "": ""}, None], Record("1", True, {"a": "", "": ""})),
    "short endpoints": (["", None, [[], ["e"], ["f", None], None]], Record("", True, {}, (Endpoint(), Endpoint("e"), Endpoint("f"), None))),
    "long endpoints": (["", None, [["e", None, None, None, 1, [{1: 2}]]]], Record("", True, {}, (Endpoint("e"),))),
    "short values": (["", None, [["e", [], ["v"]]]], Record("", True, {}, (Endpoint("e", Value(), Value("v")),))),
    "long values": (["", None, [["e", ["v", None, None, 1, []]]]], Record("", True, {}, (Endpoint("e", Value("v")),))),
    "no values and none": (["", None, [["e", ["v", "t", [None, ["w", "u", []]]]]]], Record("", True, {}, (Endpoint("e", Value("v", "t", (None, Value("w", "u", ())))),))),
    "metadata and none": (["", None, [["e", None, None, {}], ["f", None, None, {"a": None}]]], Record("", True, {}, (Endpoint("e", None, None, {}), Endpoint("f", None, None, {"a": ""})))),
    "keys that come twice": (b"\x93\xa0\x83\xa1a\xa11\xa1b\xa1x\xa1a\xa12\xc0", Record("", True, {"a": "2", "b": "x"})),
    "str8, array16, map16": (b"\xdc\x00\x03\xd9\x011\xde\x00\x01\xd9\x01a\xd9\x00\xc0", Record("1", True, {"a": ""})),
    "str16, array32, map32": (b"\xdd\x00\x00\x00\x03\xda\x00\x011\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01a\xda\x00\x00\xc0", Record("1", True, {"a": ""})),
    "bytes that are not UTF-8": (b"\x93\xa4\xff\xf0\x9f\x98\x81\xa1\x80\xa3\xed\xa0\x80\xc0", Record("\ufffd" * 4, True, {"\ufffd": "\ufffd" * 3})),
    "every kind of number, skipped": (b"\x94\xc0\xc0\xc0\xdc\x00\x13\x00\x7f\xe0\xff\xc2\xc3\xca0000\xcb00000000\xcc0\xcd00\xce0000\xcf00000000\xd00\xd100\xd20000\xd300000000\xc4\x00\xc5\x00\x010\xc6\x00\x00\x00\x020\x00", Record("", True)),
    "every kind of extension, skipped": (b"\x94\xc0\xc0\xc0\x9a\xd4\x050\xd5000\xd6\xff0000\xd7\xff00000000\xd8" + b"0" * 17 + b"\xc7\x000\xc8\x00\x02000\xc9\x00\x00\x00\x0300\x00\x00\x82\x91\x01\x80\xc3\x90\xa0", Record("", True)),
}  # fmt: skip


@pytest.mark.parametrize("dictionary", "01")
@pytest.mark.parametrize("name", SAYS)
def test_what_a_tag_says(codec: Any, name: str, dictionary: str) -> None:
    tree, wanted = SAYS[name]
    tag = build.compact(tree, dictionary)
    assert codec.decode_tags([tag], strict=True) == wanted
    said = oracle.decode_tags([tag])
    assert {key: plain.record(wanted)[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}


def test_times_are_extensions_as_others(codec: Any) -> None:
    """msgpack's own unpacker refuses times of a wrong length."""
    tag = build.compact(b"\x94\xa11\xc0\xc0\xd4\xff0")
    assert problems(codec, tag) == []
    with pytest.raises((oracle.Unsure, oracle.Broken)):  # Broken: msgpack before 1.2 does not say why
        oracle.compact(tag)


def test_many_items_are_read(codec: Any) -> None:
    """More than the quick way takes, and an endpoint that says it has 2^32-1 members."""
    pairs = {str(i): "x" for i in range(5000)}
    found = codec.decode_tags([build.compact(["1", pairs, [["e"]] * 5000])], strict=True)
    assert found.metadata == pairs and found.endpoints == (Endpoint("e"),) * 5000
    assert problems(codec, build.compact(b"\x93\xc0\xc0\x91\xdd\xff\xff\xff\xff\xa0")) == [code("RECORD_NOT_MSGPACK")]


# --- What can be wrong -------------------------------------------------------------------------------------

FRAME = build.compressed(msgpack.packb(["1", {}, []]))
CHECKED = zstandard.ZstdCompressor(write_checksum=True).compress(msgpack.packb(["1", {}, []]))[4:]
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(msgpack.packb(["1", {}, []]))[4:]
WITH_ID = zstandard.ZstdCompressor(
    dict_data=zstandard.ZstdCompressionDict(oracle.DICTIONARY.read_bytes()), write_dict_id=True
).compress(msgpack.packb(["1", {}, []]))[4:]

WRONG: Dict[str, List[Any]] = {
    "COMPACT_FORM": ["m~", "m~1", "m~2", "m~20AAAA", "m~é", "m~ 0" + "A" * 8],
    "COMPACT_DICTIONARY": ["m~12", "m~1é", "m~1-" + "A" * 20, "m~19" + build.framed(FRAME)[4:]],
    "BAD_BASE64": [
        "m~10A", "m~10AAAAA", "m~10AB", "m~10AAB", "m~10AA==", "m~10AAA=", "m~10A A", "m~10+A", "m~10/A", "m~10é", "m~10A\nAA",
        "m~10AAAA\n", build.framed(FRAME) + "=", build.framed(FRAME)[:-2] + "!" + build.framed(FRAME)[-1],
    ],
    "ZSTD_CORRUPT": [
        "m~10", "m~11", "m~10AA", "m~10AAAA", build.framed(b"\x28\xb5\x2f\xfd" + FRAME), build.framed(FRAME + b"\x00"),
        build.framed(FRAME[:-1]), build.framed(UNSIZED), build.framed(CHECKED[:-1] + b"\x00"), build.framed(CHECKED[:-1]),
        build.framed(WITH_ID), build.framed(b"\x28" + FRAME[1:]), build.framed(b"\x20\x05" + b"\x07\x00\x00"),
        build.framed(b"\x20\x05" + b"\x21\x00\x00" + b"aaaa"), build.framed(b"\x20\x03" + b"\x21\x00\x00" + b"aaaa"),
        build.framed(b"\x20\x00\x19\x00\x00a"), build.framed(b"\xe0" + b"\xff" * 8 + b"\x01\x00\x00"),
    ],
    "RECORD_NOT_MSGPACK": [build.compact(data) for data in (
        b"", b"\xc1", b"\x93\xc0\xc0", b"\x93\xc0\xc0\xc1", b"\x93\xc0\xc0\xc0\xc0", b"\x94\xc0\xc0\xc0\xd9", b"\x94\xc0\xc0\xc0\xda\x00",
        b"\x93\xa2a", b"\x94\xc0\xc0\xc0\xc4\x02a", b"\x94\xc0\xc0\xc0\xc7\x01\x00", b"\x94\xc0\xc0\xc0\xcb0000000", b"\x94\xc0\xc0\xc0\xd4\x00",
        b"\x01\xc1", b"\x93\x01\xc0\xc1", b"\xc0\xc0", b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff\xc0", b"\xdb\xff\xff\xff\xff" + b"a" * 50)],
    "RECORD_SHAPE": [build.compact(tree) for tree in (
        None, 1, "a", {}, {0: 1}, [], ["1"], ["1", {}], [1, {}, []], [b"1", {}, []], [[], {}, []], ["1", [], []], ["1", "a", []], ["1", {1: "a"}, []],
        ["1", {None: "a"}, []], ["1", {b"a": "a"}, []], ["1", {"a": 1}, []], ["1", {"a": b"a"}, []], ["1", {"a": []}, []], ["1", {"a": {}}, []], ["1", {}, {}],
        ["1", {}, "a"], ["1", {}, [1]], ["1", {}, ["a"]], ["1", {}, [{}]], ["1", {}, [[1]]], ["1", {}, [["e", "a"]]], ["1", {}, [["e", {}]]],
        ["1", {}, [["e", None, 1]]], ["1", {}, [["e", None, None, []]]], ["1", {}, [["e", None, None, {"a": 1}]]], ["1", {}, [["e", [1]]]],
        ["1", {}, [["e", ["v", 1]]]], ["1", {}, [["e", ["v", "t", {}]]]], ["1", {}, [["e", ["v", "t", "x"]]]], ["1", {}, [["e", ["v", "t", [1]]]]],
        ["1", {}, [["e", ["v", "t", ["x"]]]]], ["1", {}, [["e", ["v", "t", [["w", None, 1]]]]]], b"\x93\xc0\x81\x90\xc0\xc0", b"\x93\xc7\x00\x01\xc0\xc0")],
}  # fmt: skip


@pytest.mark.parametrize(("name", "tag"), [(name, tag) for name, tags in WRONG.items() for tag in tags])
def test_what_is_wrong_is_named(codec: Any, name: str, tag: str) -> None:
    assert problems(codec, tag) == [code(name)]
    with pytest.raises(oracle.Broken):
        oracle.compact(tag)


def test_a_frame_of_another_making_is_read(codec: Any) -> None:
    """A checksum, the dictionary's ID, several blocks, a window in place of a single segment."""
    record = msgpack.packb(["1", {}, []])
    raw = b"\x20" + bytes([len(record)]) + b"\x08\x00\x00" + record[:1]  # the first byte in a block of its own
    raw += (len(record) - 1 << 3 | 1).to_bytes(3, "little") + record[1:]
    window = b"\x40\x00" + (len(record) - 256).to_bytes(2, "little", signed=True)
    assert problems(codec, build.framed(CHECKED)) == problems(codec, build.framed(raw)) == []
    assert problems(codec, build.framed(WITH_ID, "1")) == []
    big = msgpack.packb(["1" * 300, {}, []])
    window = b"\x40\x00" + (len(big) - 256).to_bytes(2, "little") + (len(big) << 3 | 1).to_bytes(3, "little") + big
    assert problems(codec, build.framed(window)) == []


def test_malformed_wins_over_shape_and_nesting_comes_as_met(codec: Any) -> None:
    assert problems(codec, build.compact(b"\x93\x01\x02\xc1")) == [code("RECORD_NOT_MSGPACK")]
    five = Limits(nesting=5)
    assert problems(codec, build.compact(["1", {}, [], [[[[]]]]]), five) == []
    assert problems(codec, build.compact(["1", {}, [], [[[[[]]]]]]), five) == [code("RECORD_NESTING")]
    assert problems(codec, build.compact(["1", {}, [], {"a": {"b": {"c": {"d": {}}}}}]), five) == [
        code("RECORD_NESTING")
    ]
    assert problems(codec, build.compact(b"\x92\xc0" + b"\x91" * 5 + b"\xc1"), five) == [code("RECORD_NESTING")]
    assert problems(codec, build.compact(b"\x91" * 4 + b"\xc1"), five) == [code("RECORD_NOT_MSGPACK")]


@pytest.mark.parametrize("depth", [1, 400, 1000, 2000, 4990])
def test_values_are_read_at_any_depth(codec: Any, depth: int) -> None:
    """msgpack's unpacker stops at 1,024 lists; 10,000 are allowed, and a value takes two."""
    head = b"\x93\xa1v\xa1t\x91"
    data = b"\x93\xa11\x80\x91\x92\xa1e" + head * depth + b"\x91\xa4leaf"
    limits = Limits(ratio=10_000)
    (endpoint,) = codec.decode_tags([build.compact(data)], strict=True, limits=limits).endpoints
    value, found = endpoint.request, 0
    while value.values:
        (value,) = value.values
        found += 1
    assert (found, value) == (depth, Value("leaf"))
    assert len(str(endpoint.to_dict()["name"])) == 1


def test_too_deep_is_refused(codec: Any) -> None:
    for head, tail in ((b"\x93\xa1v\xa1t\x91", b"\xc0"), (b"\x91", b"\xc0"), (b"\x81\xa1k", b"\xc0")):
        data = b"\x94\xa11\x80\x91\x92\xa1e" + b"\x93\xc0\xc0\x90" + head * 10_001 + tail
        assert problems(codec, build.compact(data)) == [code("RECORD_NESTING")]


# --- Bombs -------------------------------------------------------------------------------------------------


def sized(size: int, blocks: bytes) -> str:
    """A tag whose frame says that it holds so many bytes."""
    return build.framed(b"\xe0" + size.to_bytes(8, "little") + blocks)


def test_a_bomb_is_refused_by_its_size(codec: Any) -> None:
    zeros = build.compressed(b"\x00" * 100_000_000)
    assert len(zeros) < 10_000
    tags = [build.framed(zeros), sized(2**63, b"\x01\x00\x00"), sized(2**64 - 3, b"\x01\x00\x00")]
    tracemalloc.start()
    try:
        for tag in tags:
            assert codec.decode_tags([tag]).warnings[0].reason == code(
                "LIMIT_RECORD" if tag is tags[0] else "LIMIT_RATIO"
            )
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("said", [0, 1, 100, 99_999, 100_001, 500_000])
def test_a_size_that_lies_is_found_out(codec: Any, said: int) -> None:
    block = (100_000 << 3 | 3).to_bytes(3, "little") + b"\x00"  # 100,000 zeros
    assert problems(codec, sized(said, block), Limits(ratio=10**6)) == [code("ZSTD_CORRUPT")]
    assert problems(codec, sized(100_000, block)) == [code("RECORD_NOT_MSGPACK")]


def test_the_limits_of_a_record(codec: Any) -> None:
    tag = build.compact(["1", {"a": "x" * 1000}, []])
    size = len(oracle.unpacked(tag))
    assert problems(codec, tag, Limits(record_bytes=size)) == []
    assert problems(codec, tag, Limits(record_bytes=size - 1)) == [code("LIMIT_RECORD")]
    assert problems(codec, tag, Limits(tag_bytes=len(tag))) == []
    assert codec.decode_tags([tag], limits=Limits(tag_bytes=len(tag) - 1)).warnings[0].reason == code("LIMIT_TAG")
    big = build.compact(["x" * 200_000, {}, []])
    by_ratio = -(-len(oracle.unpacked(big)) // (len(base64.urlsafe_b64decode(big[4:] + "=="))))
    assert problems(codec, big, Limits(ratio=by_ratio)) == []
    assert problems(codec, big, Limits(ratio=by_ratio - 1)) == [code("LIMIT_RATIO")]
    assert problems(codec, big, Limits(ratio=1, record_bytes=128 * 1024)) == [code("LIMIT_RECORD")]


def test_compact_records_count_toward_all_records(codec: Any) -> None:
    tags = [build.compact([letter * 1000, {}, []]) for letter in "ab"]
    size = sum(len(oracle.unpacked(tag)) for tag in tags)
    body = build.body(
        build.entry("a", tags=(tags[0],)), build.entry("b", tags=(tags[1],)), build.entry("c", tags=(tags[0],))
    )
    snapshot = codec.decode(body, limits=Limits(decompressed_bytes=size))
    assert (snapshot.stats.records, snapshot.stats.decoded) == (2, 2)
    again = codec.decode(body, limits=Limits(decompressed_bytes=size), previous=snapshot)
    assert (again.stats.records, again.stats.decoded, again.stats.reused) == (2, 0, 3)
    assert all(new is old for new, old in zip(again, snapshot))
    with pytest.raises(LimitExceeded) as caught:
        codec.decode(body, limits=Limits(decompressed_bytes=size - 1))
    assert (caught.value.limit, caught.value.path) == ("decompressed_bytes", "[1].Service.Tags[0]")


# --- Beside other tags -------------------------------------------------------------------------------------

HELD = encode_tags(Record("go", True, {"from": "go"}, (Endpoint("Go.Micro"),)))
OURS = encode_compact(Record("m", True, {"from": "m"}, (Endpoint("M"), None)))
OTHER = encode_compact(Record("other"))
UNKNOWN = ["m~20abc", "m~1zabc", "m~11!"]


def from_tags(codec: Any, tags: List[str]) -> Any:
    """What a node says, and the places of its warnings; a list of tags and a body agree."""
    record = codec.decode_tags(tags)
    snapshot = codec.decode(build.body(build.entry(tags=tuple(tags))))
    (node,) = snapshot
    assert (node.version, node.metadata, node.endpoints, node.tags) == (
        record.version, record.metadata, record.endpoints, record.tags)  # fmt: skip
    assert [w.path for w in snapshot.warnings] == [f"[0].Service.Tags{w.path}" for w in record.warnings]
    said = oracle.decode_tags(tags)
    assert {key: plain.record(record)[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}
    return (
        record.metadata.get("from"),
        record.version,
        len(record.endpoints),
        record.tags,
        [w.path for w in record.warnings],
    )


def test_the_compact_tag_counts_wherever_it_stands(codec: Any) -> None:
    wanted = ("m", "m", 2, ("prod", "x"), [])
    for at in range(len(HELD) + 1):
        assert from_tags(codec, ["prod", *HELD[:at], OURS, *HELD[at:], "x"]) == wanted


def test_both_forms_say_the_same(codec: Any) -> None:
    for name in ("v0001", "v0050", "v0200"):
        line = next(line for line in recorded.lines("gomicro_vectors.jsonl.zst") if line["id"] == name)
        record = codec.decode_tags(line["tags"])
        tags = encode_tags(record, form="both")
        assert codec.decode_tags(tags) == codec.decode_tags(tags[1:]) == codec.decode_tags(tags[::-1])._replace(
            tags=record.tags
        ) == record._replace(version_found=True)  # fmt: skip


def test_of_several_the_first_good_one_counts(codec: Any) -> None:
    assert from_tags(codec, [OURS, OTHER, *UNKNOWN]) == ("m", "m", 2, (), [])
    assert from_tags(codec, [OTHER, OURS]) == (None, "other", 0, (), [])
    assert from_tags(codec, [*UNKNOWN, "a", OURS, "m~"]) == ("m", "m", 2, ("a",), ["[0]", "[1]", "[2]"])


def test_what_is_unknown_is_skipped_and_go_micro_s_tags_are_read(codec: Any) -> None:
    assert from_tags(codec, [UNKNOWN[0], *HELD, UNKNOWN[1]]) == ("go", "go", 1, (), ["[0]", "[4]"])
    assert from_tags(codec, [*HELD, UNKNOWN[2]]) == ("go", "go", 1, (), ["[3]"])


def test_broken_tags_after_a_compact_one_are_not_read(codec: Any) -> None:
    broken = ["e-zz", "t-zz", "v-zz", "e={", "t={", "m~"]
    assert from_tags(codec, [OURS, *broken]) == ("m", "m", 2, (), [])
    # A v tag alone decides once; e and t tags of the other format are not looked at.
    assert from_tags(codec, [*broken, OURS]) == ("m", "m", 2, (), ["[0]", "[1]", "[2]", "[5]"])


def test_tags_that_only_look_like_it_are_foreign(codec: Any) -> None:
    tags = ["m", "m-", "M~11", "~m", "am~", "m=~"]
    assert from_tags(codec, [*tags, OURS]) == ("m", "m", 2, tuple(tags), [])
    assert codec.decode_tags(tags).tags == tuple(tags)


def test_a_node_stays_the_same_whichever_form_says_it(codec: Any) -> None:
    record = Record("1", True, {"a": "b"}, (Endpoint("E", Value("r", "t")),))
    bodies = [
        build.body(build.entry(tags=tuple(encode_tags(record, form=form)))) for form in ("go-micro", "both", "compact")
    ]
    first = codec.decode(bodies[0])
    snapshot = first
    for body in bodies[1:]:
        snapshot = codec.decode(body, previous=snapshot)
        assert snapshot[0] is first[0] and not snapshot.changed


def test_a_compact_record_is_read_only_and_shared(codec: Any) -> None:
    first, second = codec.decode(build.body(build.entry("a", tags=(OURS,)), build.entry("b", tags=(OURS, "x"))))
    assert first.endpoints is second.endpoints
    with pytest.raises(TypeError):
        first.metadata["x"] = "y"
    assert first.metadata == second.metadata == {"from": "m"} and first.version == "m"
