"""Compact tags that were cut, edited or thought of by hypothesis: both backends and the naive oracle find the same."""

from __future__ import annotations

import base64
from typing import Any, List

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from regcache import Limits
from regcache.codec import encode_compact, reasons
from regcache.model import Endpoint, Record, Value
from tests import build, oracle, plain
from tests.codec.test_twins import agreed, edits, limits

RECORD = Record("1.2.3", True, {"protocol": "mucp"}, (Endpoint("Greeter.Hello", Value("R", "R", (Value("name", "string"), None)), Value("S", "S"), {"stream": "false"}), None))  # fmt: skip
TAGS = [encode_compact(RECORD, dictionary=dictionary) for dictionary in (0, 1)]
LIMITS = Limits()
DATA = oracle.unpacked(TAGS[0])

texts = st.sampled_from(["", "a", "string", "é\u2028"]) | st.text(max_size=6)
broken_texts = texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=5)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary(max_size=4)
)
keys = texts | st.integers(-5, 300) | st.none() | st.binary(max_size=2)
others = st.recursive(
    scalars | texts, lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=3), max_leaves=5
)


def mostly(usual: Any, odd: bool) -> Any:
    return st.one_of(usual, usual, usual, usual, usual, others) if odd else usual


def lists(parts: List[Any], least: int, odd: bool) -> Any:
    """Lists with the parts in their places, some missing at the end, some later additions."""
    whole = st.tuples(*parts, st.lists(others, max_size=2)).map(lambda found: [*found[:-1], *found[-1]])
    return whole if not odd and least == len(parts) else st.tuples(whole, st.integers(least, len(parts) + 2)).map(
        lambda found: found[0][: found[1]]
    )  # fmt: skip


def records(odd: bool) -> Any:
    """Trees of compact records; with ``odd`` some places hold anything."""
    text = mostly(texts | st.none(), odd)
    mapping = mostly(st.dictionaries(mostly(texts, odd).filter(hashable), text, max_size=3) | st.none(), odd)
    value = st.recursive(
        lists([text, text, st.none()], 0, odd),
        lambda below: lists([text, text, mostly(st.lists(below | st.none(), max_size=3) | st.none(), odd)], 0, odd),
        max_leaves=5,
    )
    endpoint = lists([text, mostly(value | st.none(), odd), mostly(value | st.none(), odd), mapping], 0, odd)
    endpoints = mostly(st.lists(endpoint | st.none(), max_size=4) | st.none(), odd)
    return mostly(lists([text, mapping, endpoints], 2 if odd else 3, odd), odd)


def hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def packed(tree: Any) -> bytes:
    return bytes(msgpack.packb(tree, unicode_errors="surrogatepass"))


dictionaries = st.sampled_from("01")


def said_by_all(backends: List[Any], tag: str, limits: Limits = LIMITS, strict: bool = False) -> Any:
    return agreed(backends, lambda backend: backend.decode_tags([tag], limits=limits, strict=strict), plain.record)


def as_the_oracle_reads_it(backends: List[Any], tag: str) -> Any:
    found = said_by_all(backends, tag)
    assert bool(found["warnings"]) != found["version_found"] or not tag.startswith("m~")
    try:
        said = oracle.decode_tags([tag])
    except oracle.Unsure:
        return found
    assert {key: found[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}
    return found


def but_for_zstd(backends: List[Any], tag: str) -> None:
    """The same, except that versions of zstd differ in which of the frames that are broken they call corrupt."""
    found = [plain.record(backend.decode_tags([tag])) for backend in backends]
    corrupt = reasons.REASONS[reasons.ZSTD_CORRUPT][0]
    sound = [record for record in found if [w[0] for w in record["warnings"]] != [corrupt]]
    if len(sound) in (0, len(found)):
        as_the_oracle_reads_it(backends, tag)


@given(tree=records(odd=False), dictionary=dictionaries)
def test_valid_records_are_read_as_the_oracle_reads_them(backends: List[Any], tree: Any, dictionary: str) -> None:
    found = as_the_oracle_reads_it(backends, build.compact(packed(tree), dictionary))
    assert found["warnings"] == []


@given(tree=records(odd=True), dictionary=dictionaries, limits=limits, strict=st.booleans())
def test_odd_records_are_read_alike(
    backends: List[Any], tree: Any, dictionary: str, limits: Limits, strict: bool
) -> None:
    tag = build.compact(packed(tree), dictionary)
    as_the_oracle_reads_it(backends, tag)
    said_by_all(backends, tag, limits, strict)


TOKENS = [b"\xc0", b"\xc1", b"\x90", b"\x93", b"\x80", b"\x81", b"\xa0", b"\xa1\xff", b"\xd9\x01", b"\xda\x00\x01", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x01", b"\xde\x00\x01", b"\xdf\x00\x00\x00\x00", b"\xc4\x01", b"\xc7\x01\x05", b"\xd6\xff", b"\xcb", b"\xff"]  # fmt: skip


@given(data=st.data())
def test_edited_msgpack_is_read_alike(backends: List[Any], data: Any) -> None:
    tree = data.draw(records(odd=True))
    edited = data.draw(edits(data.draw(st.just(packed(tree)) | st.just(DATA)), TOKENS))
    tag = build.compact(edited, data.draw(dictionaries))
    as_the_oracle_reads_it(backends, tag)
    said_by_all(backends, tag, data.draw(limits))


@given(data=st.data(), dictionary=dictionaries)
def test_edited_frames_are_read_alike(backends: List[Any], data: Any, dictionary: str) -> None:
    frame = build.compressed(data.draw(st.just(DATA) | st.just(DATA * 3) | st.just(b"")), data.draw(dictionaries))
    tag = build.framed(
        data.draw(edits(frame, [b"\x00", b"\x01", b"\x20", b"\xff\xff\xff\xff", b"\x03\x00\x00"])), dictionary
    )
    but_for_zstd(backends, tag)


@given(data=st.data())
def test_edited_letters_are_read_alike(backends: List[Any], data: Any) -> None:
    letters = data.draw(
        edits(data.draw(st.sampled_from(TAGS)).encode(), [b"-", b"_", b"=", b"+", b"/", b" ", b"A", b"m~"])
    )
    but_for_zstd(backends, letters.decode("utf-8", "replace"))


def test_every_beginning_is_broken_and_only_that(backends: List[Any]) -> None:
    for tag in TAGS:
        for end in range(2, len(tag)):
            assert len(as_the_oracle_reads_it(backends, tag[:end])["warnings"]) == 1
    for end in range(len(DATA)):
        assert len(as_the_oracle_reads_it(backends, build.compact(DATA[:end]))["warnings"]) == 1
        assert len(as_the_oracle_reads_it(backends, build.compact(DATA[:end] + b"\xc0" + DATA[end:]))["warnings"]) <= 1
    for dictionary in "01":
        frame = build.compressed(DATA, dictionary)
        for end in range(len(frame)):
            assert len(as_the_oracle_reads_it(backends, build.framed(frame[:end], dictionary))["warnings"]) == 1


def test_every_flipped_bit_is_read_alike(backends: List[Any]) -> None:
    for tag in TAGS:
        frame = base64.urlsafe_b64decode(tag[4:] + "==")
        for bit in range(8 * len(frame)):
            edited = bytearray(frame)
            edited[bit // 8] ^= 1 << bit % 8
            but_for_zstd(backends, build.framed(bytes(edited), tag[3]))
    for bit in range(8 * len(DATA)):
        edited = bytearray(DATA)
        edited[bit // 8] ^= 1 << bit % 8
        as_the_oracle_reads_it(backends, build.compact(bytes(edited)))
