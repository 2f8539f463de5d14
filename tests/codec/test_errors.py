"""What can be wrong, where it is said to be, and what it costs. Every code of ``reasons`` has its rows here.

``@@`` marks the byte that an error names; it is not part of the input.
"""

from __future__ import annotations

import json
import threading
import zlib
from typing import Any, Dict, List, NamedTuple, Optional

import pytest

from regcache import DecodeError, LimitExceeded, Limits
from regcache.codec import reasons
from tests import build, plain, recorded


def named(code: str) -> Dict[str, Any]:
    """The parts of an error that its code decides."""
    reason, limit = reasons.REASONS[getattr(reasons, code)]
    return {"type": "LimitExceeded" if limit else "DecodeError", "reason": reason, "limit": limit}


def zipped(data: bytes, kind: bytes = b"t-") -> bytes:
    return kind + zlib.compress(data).hex().encode()


# --- A body that cannot be read: no snapshot ---------------------------------------------------------------


class Bad(NamedTuple):
    """A body, the code of its error, and the path at which it is."""

    code: str
    body: bytes
    path: str = ""
    limits: Limits = Limits()


BODIES = [
    Bad("TRUNCATED", b"@@"),
    Bad("TRUNCATED", b" \r\n\t@@"),
    Bad("TRUNCATED", b"[@@"),
    Bad("TRUNCATED", b"nul@@"),
    Bad("TRUNCATED", b"[{}@@"),
    Bad("TRUNCATED", b"[{},@@"),
    Bad("TRUNCATED", b'[{"Service":{"ID":"a"@@', "[0].Service"),
    Bad("TRUNCATED", b'[{"Service":{"ID":@@', "[0].Service"),
    Bad("TRUNCATED", b'[{"Service":{"Tags":["a",@@', "[0].Service.Tags"),
    Bad("BAD_VALUE", b"[{},@@x]", "[1]"),
    Bad("BAD_VALUE", b"[[@@x]]", "[0]"),
    Bad("BAD_LITERAL", b"[[n@@x]]", "[0]"),
    Bad("BAD_VALUE", b'[{"Checks":[[@@x]]}]', "[0].Checks[0]"),
    Bad("BAD_COMMA", b'[{"Service":[1 @@x]}]', "[0].Service"),
    Bad("BAD_VALUE", b'[{"Service":{"Tags":["a",@@x]}}]', "[0].Service.Tags[1]"),
    Bad("TRUNCATED", b'[{},{"Service":{"ID":"a@@', "[1].Service.ID"),
    Bad("TRUNCATED", b'[{"Service":{"Port":1@@', "[0].Service.Port"),
    Bad("TRUNCATED", b'[{"Service":{"Tags":["x","y@@', "[0].Service.Tags[1]"),
    Bad("TRUNCATED", b'[{"Checks":[{},{"Status":"\\u00@@', "[0].Checks[1].Status"),
    Bad("BAD_VALUE", b"@@x"),
    Bad("BAD_VALUE", b"@@]"),
    Bad("BAD_VALUE", b"@@\xef\xbb\xbf[]"),
    Bad("BAD_VALUE", b'[{"Extra":@@NaN}]', "[0]"),
    Bad("BAD_VALUE", b'[{"Extra":@@}]', "[0]"),
    Bad("BAD_VALUE", b'[{"Extra":[1,@@]}]', "[0]"),
    Bad("BAD_VALUE", b'[{"Extra":@@+1}]', "[0]"),
    Bad("BAD_VALUE", b'[{"Extra":@@.5}]', "[0]"),
    Bad("BAD_VALUE", b"[{\"Extra\":@@'x'}]", "[0]"),
    Bad("BAD_VALUE", b'[{"Service":{"Port":@@True}}]', "[0].Service.Port"),
    Bad("BAD_KEY", b"[{@@1:2}]", "[0]"),
    Bad("BAD_KEY", b'[{"Service":{"ID":"a",@@}}]', "[0].Service"),
    Bad("BAD_KEY", b"[{@@a:2}]", "[0]"),
    Bad("BAD_COLON", b'[{"Extra" @@1}]', "[0]"),
    Bad("BAD_COLON", b'[{"Extra"@@}]', "[0]"),
    Bad("BAD_COLON", b'[{"Node":{"Extra"@@,"x":1}}]', "[0].Node"),
    Bad("BAD_COMMA", b"[{} @@{}]"),
    Bad("BAD_COMMA", b'[{"Extra":1 @@"b":2}]', "[0]"),
    Bad("BAD_COMMA", b'[{"Extra":[1@@}}]', "[0]"),
    Bad("BAD_COMMA", b'[{"Node":{"Node":"n"@@]', "[0].Node"),
    Bad("BAD_COMMA", b'[{"Extra":1@@x}]', "[0]"),
    Bad("BAD_COMMA", b'[{"Extra":1.5@@.5}]', "[0]"),
    Bad("BAD_COMMA", b'[{"Extra":null@@x}]', "[0]"),
    Bad("BAD_COMMA", b'[{"Extra":1@@\xff}]', "[0]"),
    Bad("BAD_CONTROL", b'[{"Extra":"a@@\n"}]', "[0]"),
    Bad("BAD_CONTROL", b'[{"Extra":"@@\x00"}]', "[0]"),
    Bad("BAD_CONTROL", b'[{"Extra":"@@\x1f"}]', "[0]"),
    Bad("BAD_CONTROL", b'[{"a@@\tb":1}]', "[0]"),
    Bad("BAD_CONTROL", b'[{"Service":{"ID":"a@@\x08"}}]', "[0].Service.ID"),
    Bad("BAD_CONTROL", b'[{"Service":{"Tags":["e-78@@\n9c"]}}]', "[0].Service.Tags[0]"),
    Bad("BAD_ESCAPE", b'[{"Extra":"\\@@x"}]', "[0]"),
    Bad("BAD_ESCAPE", b'[{"Extra":"\\@@\n"}]', "[0]"),
    Bad("BAD_ESCAPE", b'[{"Extra":"\\u12@@g4"}]', "[0]"),
    Bad("BAD_ESCAPE", b'[{"Extra":"\\u@@"}]', "[0]"),
    Bad("BAD_ESCAPE", b'[{"\\@@U0041":1}]', "[0]"),
    Bad("BAD_ESCAPE", b'[{"Service":{"Address":"\\ud800\\u@@x"}}]', "[0].Service.Address"),
    Bad("BAD_UTF8", b'[{"Extra":"@@\xff"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"@@\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"@@\xc0\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"@@\xf5\x80\x80\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xc3@@("}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xe0@@\x80\xaf"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xed@@\xa0\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xf0@@\x8f\x80\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xf4@@\x90\x80\x80"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Extra":"\xe2\x82@@"}]', "[0]"),
    Bad("BAD_UTF8", b'[{"\xf0\x9f\x98@@":1}]', "[0]"),
    Bad("BAD_UTF8", b'[{"Service":{"Address":"h@@\xff"}}]', "[0].Service.Address"),
    Bad("BAD_NUMBER", b'[{"Extra":0@@1}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":-0@@1}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":-@@}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":-@@a}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":1.@@}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":1.@@e5}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":1e@@,"b":1}]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Extra":1E+@@ }]', "[0]"),
    Bad("BAD_NUMBER", b'[{"Service":{"Port":8.@@}}]', "[0].Service.Port"),
    Bad("BAD_LITERAL", b"nul@@x"),
    Bad("BAD_LITERAL", b'[{"Extra":tru@@}]', "[0]"),
    Bad("BAD_LITERAL", b'[{"Extra":fals@@\xc3}]', "[0]"),
    Bad("BAD_LITERAL", b'[{"Checks":n@@ }]', "[0].Checks"),
    Bad("TRAILING", b"[] @@x"),
    Bad("TRAILING", b"[]@@[]"),
    Bad("TRAILING", b"[]\n@@\x00"),
    Bad("TRAILING", b"null@@,"),
    Bad("NOT_A_LIST", b"@@{}"),
    Bad("NOT_A_LIST", b' \n@@"x"'),
    Bad("NOT_A_LIST", b"@@17"),
    Bad("NOT_A_LIST", b"@@true"),
    Bad("NOT_A_LIST", b"@@-"),
    Bad("LIMIT_BODY", b"[]  @@ ", "", Limits(body_bytes=4)),
    Bad("LIMIT_BODY", b'[{"Service":{"ID":"abc@@def"}}]', "", Limits(body_bytes=22)),
    Bad("LIMIT_NODES", b'[{"Service":{},"Node":{}},{"Service":{},"Node":{}}, @@{"Service":{},"Node":{}}]', "[2]", Limits(nodes=2)),
    Bad("LIMIT_NESTING", b'[{"Extra":[[@@[1]]]}]', "[0]", Limits(nesting=4)),
    Bad("LIMIT_NESTING", b'[{"Service":{"Extra":@@{}}}]', "[0].Service", Limits(nesting=3)),
    Bad("LIMIT_DECOMPRESSED", b'[{"Node":{},"Service":{"ID":"a","Tags":["' + zipped(b"{}") + b'", @@"' + zipped(b'{"k":"v"}') + b'"]}}]', "[0].Service.Tags[1]", Limits(decompressed_bytes=10)),
]  # fmt: skip


@pytest.mark.parametrize("bad", BODIES, ids=lambda bad: f"{bad.code} {bad.body.decode('latin-1')!a}")
def test_a_broken_body_names_its_byte_and_its_path(codec: Any, bad: Bad) -> None:
    body, offset = build.marked(bad.body)
    found = plain.outcome(lambda: codec.decode(body, limits=bad.limits))
    wanted = {**named(bad.code), "offset": offset, "path": bad.path}
    assert {key: found.get(key) for key in wanted} == wanted
    for cut in range(len(body) + 1):
        chunks = build.pieces(body, [cut])
        again = plain.outcome(lambda chunks=chunks: plain.decode_pieces(codec, chunks, limits=bad.limits))
        assert again == found, f"cut at {cut}"


# --- A part that cannot be used: a warning -----------------------------------------------------------------


class Part(NamedTuple):
    """One entry, the code of its warning, where it is in the entry, and what remains of the entry."""

    code: str
    entry: bytes
    path: str = ""
    node: Optional[str] = "x"
    #: Members of the node that is kept all the same; ``None``: the entry is dropped.
    kept: Optional[Dict[str, Any]] = None
    limits: Limits = Limits()


NODE = b'"Node":{"Node":"n","Address":"h"},'


def with_service(text: bytes, before: bytes = NODE) -> bytes:
    return b"{" + before + b'"Service":{"ID":"x","Service":"svc",' + text + b"}}"


def with_tag(tag: bytes) -> bytes:
    return with_service(b'"Tags":["t={\\"k\\":\\"v\\"}",@@"' + tag + b'","prod"]')


GOOD_TAG = {"metadata": {"k": "v"}, "tags": ["prod"]}
NO_META: Dict[str, Any] = {"meta": {}}
TAG = ".Service.Tags[1]"
SHORT = Limits(string_bytes=8)

PARTS = [
    Part("NOT_AN_OBJECT", b"@@1", node=None),
    Part("NOT_AN_OBJECT", b"@@[{}]", node=None),
    Part("NOT_AN_OBJECT", b'@@"x"', node=None),
    Part("NOT_AN_OBJECT", b"@@false", node=None),
    Part("NO_SERVICE", b"@@null", node=None),
    Part("NO_SERVICE", b"@@{}", node=None),
    Part("NO_SERVICE", b'@@{"Service":null,"Node":{"Address":"h"}}', node=None),
    Part("NO_ADDRESS", b'@@{"Service":{"ID":"x","Service":"svc","Address":""}}'),
    Part("NO_ADDRESS", b'@@{"Node":null,"Service":{"ID":"x","Service":"svc"}}'),
    Part("WANT_OBJECT", b"{" + NODE + b'"Service":@@"x"}', ".Service", None),
    Part("WANT_OBJECT", b'{"Service":{"ID":"x","Service":"svc"},"Node":@@[]}', ".Node"),
    Part("WANT_LIST", b'{"Service":{"ID":"x","Service":"svc"},' + NODE + b'"Checks":@@{}}', ".Checks"),
    Part("WANT_OBJECT", b'{"Service":{"ID":"x","Service":"svc"},' + NODE + b'"Checks":[null,@@1]}', ".Checks[1]"),
    Part("WANT_STRING", b'{"Service":{"ID":"x","Service":"svc"},' + NODE + b'"Checks":[{},{"Status":@@1}]}', ".Checks[1].Status"),
    Part("WANT_STRING", b'{"Service":{"ID":"x","Service":"svc"},' + NODE + b'"Checks":[{"CheckID":@@{}}]}', ".Checks[0].CheckID"),
    Part("WANT_STRING", b"{" + NODE + b'"Service":{"ID":@@5,"Service":"svc"}}', ".Service.ID", None),
    Part("WANT_STRING", b"{" + NODE + b'"Service":{"ID":"x","Service":@@true}}', ".Service.Service"),
    Part("WANT_STRING", with_service(b'"Address":@@[]'), ".Service.Address"),
    Part("WANT_LIST", with_service(b'"Tags":@@"x"'), ".Service.Tags"),
    Part("WANT_STRING", b'{"Service":{"ID":"x","Service":"svc"},"Node":{"Node":@@1}}', ".Node.Node"),
    Part("WANT_STRING", b'{"Service":{"ID":"x","Service":"svc"},"Node":{"Address":@@1}}', ".Node.Address"),
    Part("WANT_STRING", b'{"Service":{"ID":"x","Service":"svc"},"Node":{"Datacenter":@@1}}', ".Node.Datacenter"),
    Part("WANT_INTEGER", with_service(b'"Port":@@"80"'), ".Service.Port"),
    Part("WANT_INTEGER", with_service(b'"Port":@@80.0'), ".Service.Port"),
    Part("WANT_INTEGER", with_service(b'"Port":@@8e1'), ".Service.Port"),
    Part("WANT_INTEGER", with_service(b'"Port":@@9223372036854775808'), ".Service.Port"),
    Part("WANT_INTEGER", with_service(b'"Port":@@-9223372036854775809'), ".Service.Port"),
    Part("WANT_INTEGER", with_service(b'"Port":@@false'), ".Service.Port"),
    Part("LIMIT_STRING", b"{" + NODE + b'"Service":{"ID":@@"123456789","Service":"svc"}}', ".Service.ID", None, None, SHORT),
    Part("LIMIT_STRING", with_service(b'"Address":@@"123456789"'), ".Service.Address", limits=SHORT),
    Part("LIMIT_STRING", b'{"Service":{"ID":"x","Service":"svc"},' + NODE + b'"Checks":[{"CheckID":@@"123456789"}]}', ".Checks[0].CheckID", limits=SHORT),
    # From here on the node is kept.
    Part("WANT_OBJECT", with_service(b'"Meta":@@[]'), ".Service.Meta", kept=NO_META),
    Part("WANT_STRING", with_service(b'"Meta":{"a":"1","b":@@1}'), ".Service.Meta", kept=NO_META),
    Part("LIMIT_STRING", with_service(b'"Meta":{"a":"1","b":@@"123456789"}'), ".Service.Meta", kept=NO_META, limits=SHORT),
    Part("LIMIT_STRING", with_service(b'"Meta":{"a":"1",@@"123456789":"b"}'), ".Service.Meta", kept=NO_META, limits=SHORT),
    Part("WANT_OBJECT", b'{"Service":{"ID":"x","Service":"svc"},"Node":{"Address":"h","Meta":@@"m"}}', ".Node.Meta", kept={"node_meta": {}}),
    Part("WANT_OBJECT", with_service(b'"Weights":@@1'), ".Service.Weights", kept={"weights": (1, 1)}),
    Part("WANT_INTEGER", with_service(b'"Weights":{"Passing":@@"2","Warning":3}'), ".Service.Weights.Passing", kept={"weights": (1, 3)}),
    Part("WANT_INTEGER", with_service(b'"Weights":{"Passing":2,"Warning":@@0.5}'), ".Service.Weights.Warning", kept={"weights": (2, 1)}),
    Part("WANT_STRING", with_service(b'"Tags":["a",@@1,"b"]'), ".Service.Tags[1]", kept={"tags": ["a", "b"]}),
    Part("LIMIT_TAGS", with_service(b'"Tags":["a","b",@@"c","d"]'), ".Service.Tags[2]", kept={"tags": ["a", "b"]}, limits=Limits(tags=2)),
    Part("LIMIT_TAG", with_tag(b"x" * 21), TAG, kept=GOOD_TAG, limits=Limits(tag_bytes=20)),
    Part("LIMIT_TAG", with_tag(b"v=" + b"1" * 19), TAG, kept=GOOD_TAG, limits=Limits(tag_bytes=20)),
    Part("ODD_HEX", with_service(b'"Tags":[@@"t-789","prod"]'), ".Service.Tags[0]", kept={"metadata": {}, "tags": ["prod"]}),
    Part("BAD_HEX", with_service(b'"Tags":[@@"e-7x"]'), ".Service.Tags[0]", kept={"endpoints": []}),
    Part("BAD_HEX", with_service(b'"Tags":[@@"v-zz","v=2"]'), ".Service.Tags[0]", kept={"version": "", "tags": []}),
    Part("ZLIB_CORRUPT", with_service(b'"Tags":[@@"v-0000000000"]'), ".Service.Tags[0]", kept={"version": ""}),
    Part("ZLIB_CORRUPT", with_service(b'"Tags":[@@"' + zipped(b"{}")[:-2] + b'00"]'), ".Service.Tags[0]", kept={"metadata": {}}),
    Part("ZLIB_CORRUPT", with_service(b'"Tags":[@@"v-78bb00000002"]'), ".Service.Tags[0]", kept={"version": ""}),
    Part("ZLIB_TRUNCATED", with_service(b'"Tags":[@@"t-"]'), ".Service.Tags[0]", kept={"metadata": {}}),
    Part("ZLIB_TRUNCATED", with_service(b'"Tags":[@@"' + zipped(b"{}")[:-2] + b'"]'), ".Service.Tags[0]", kept={"metadata": {}}),
    Part("RECORD_NOT_JSON", with_tag(b"t={"), TAG, kept=GOOD_TAG),
    Part("RECORD_NOT_JSON", with_tag(b"t="), TAG, kept=GOOD_TAG),
    Part("RECORD_NOT_JSON", with_tag(b't={\\"k\\":1,}'), TAG, kept=GOOD_TAG),
    Part("RECORD_SHAPE", with_tag(b't={\\"k\\":1}'), TAG, kept=GOOD_TAG),
    Part("RECORD_SHAPE", with_tag(b"t=[]"), TAG, kept=GOOD_TAG),
    Part("RECORD_SHAPE", with_tag(b'e={\\"name\\":1}'), TAG, kept={**GOOD_TAG, "endpoints": []}),
    Part("RECORD_SHAPE", with_tag(b'e={\\"request\\":[]}'), TAG, kept={**GOOD_TAG, "endpoints": []}),
    Part("RECORD_NESTING", with_tag(b'e={\\"x\\":[[[[[]]]]]}'), TAG, kept={**GOOD_TAG, "endpoints": []}, limits=Limits(nesting=5)),
    Part("LIMIT_RECORD", with_tag(b"v=" + b"1" * 11), TAG, kept={**GOOD_TAG, "version": ""}, limits=Limits(record_bytes=10)),
    Part("LIMIT_RECORD", with_tag(zipped(b"1" * 11, b"v-")), TAG, kept={**GOOD_TAG, "version": ""}, limits=Limits(record_bytes=10)),
    Part("COMPACT_FORM", with_tag(b"m~20AAAA"), TAG, kept=GOOD_TAG),
    Part("COMPACT_DICTIONARY", with_tag(b"m~1zAAAA"), TAG, kept=GOOD_TAG),
    Part("BAD_BASE64", with_tag(b"m~10A"), TAG, kept=GOOD_TAG),
    Part("ZSTD_CORRUPT", with_tag(b"m~10AAAA"), TAG, kept=GOOD_TAG),
    Part("RECORD_NOT_MSGPACK", with_tag(build.compact(b"\xc1").encode()), TAG, kept=GOOD_TAG),
    Part("RECORD_SHAPE", with_tag(build.compact([]).encode()), TAG, kept=GOOD_TAG),
    Part("LIMIT_RATIO", with_tag(zipped(b"1" * 200_000, b"v-")), TAG, kept={**GOOD_TAG, "version": ""}, limits=Limits(ratio=10)),
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.code} {part.entry[:90].decode()}")
def test_a_broken_part_is_named_and_costs_itself_alone(codec: Any, part: Part) -> None:
    good = b'{"Service":{"ID":"%s","Service":"svc","Address":"i"}}'
    body, offset = build.marked(b"[" + good % b"first" + b", " + part.entry + b" ," + good % b"last" + b"]")
    snapshot = codec.decode(body, limits=part.limits)
    wanted = (named(part.code)["reason"], offset, "[1]" + part.path, part.node)
    assert plain.warnings(snapshot) == [wanted]
    assert snapshot.warning_count == 1
    assert [node.id for node in snapshot] == ["first", *(["x"] if part.kept is not None else []), "last"]
    assert snapshot.stats.dropped == (part.kept is None)
    if part.kept is not None:
        node = plain.node(snapshot[1])
        assert {key: node[key] for key in part.kept} == part.kept


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.code} {part.entry[:90].decode()}")
def test_strict_raises_for_a_broken_part(codec: Any, part: Part) -> None:
    body, offset = build.marked(b"[" + part.entry + b"]")
    found = plain.outcome(lambda: codec.decode(body, limits=part.limits, strict=True))
    assert found == {**named(part.code), "offset": offset, "path": "[0]" + part.path, "node": part.node}


def test_every_reason_has_a_row() -> None:
    assert {getattr(reasons, row.code) for row in [*BODIES, *PARTS]} == set(reasons.REASONS)


def test_strict_names_the_first_of_several(codec: Any) -> None:
    body = build.body(build.entry(), build.entry("b", tags=("ok", "v-zz", "t={")), build.entry("c", port="x"))
    with pytest.raises(DecodeError) as caught:
        codec.decode(body, strict=True)
    assert caught.value.path == "[1].Service.Tags[1]"
    assert caught.value.node == "b"


def test_strict_takes_what_has_no_warning(codec: Any) -> None:
    body = recorded.body("health_a").data
    assert codec.decode(body, strict=True) == codec.decode(body)


def test_warnings_come_in_the_order_of_the_body(codec: Any) -> None:
    bad = build.entry("b", tags=("v-zz", "t={"), Service_Meta={"k": 1})
    snapshot = codec.decode(build.body(build.entry("a", tags=("e-1",)), bad, None))
    assert [warning.path for warning in snapshot.warnings] == [
        "[0].Service.Tags[0]",
        "[1].Service.Tags[0]",
        "[1].Service.Tags[1]",
        "[1].Service.Meta",
        "[2]",
    ]


def test_a_dropped_entry_has_one_warning(codec: Any) -> None:
    snapshot = codec.decode(build.body(build.entry("b", tags=("v-zz", 1), port="x", address=5)))
    assert [warning.path for warning in snapshot.warnings] == ["[0].Service.Address"]
    assert snapshot.stats.dropped == 1 and snapshot.stats.entries == 1


def test_warnings_are_bounded_and_all_counted(codec: Any) -> None:
    broken = build.entry("b", tags=tuple(f"v-{'z' * 2}" if n == 0 else f"t={n}" for n in range(10)))
    snapshot = codec.decode(build.body(*[broken] * 5), limits=Limits(warnings=7))
    assert len(snapshot.warnings) == 7
    assert snapshot.warning_count == 50
    assert snapshot.warnings[-1].path == "[0].Service.Tags[6]"


def test_decode_tags_lists_its_warnings(codec: Any) -> None:
    record = codec.decode_tags(["prod", "v-zz", "t={}", "t={"])
    assert [tuple(warning) for warning in record.warnings] == [
        (named("BAD_HEX")["reason"], 0, "[1]", None),
        (named("RECORD_NOT_JSON")["reason"], 0, "[3]", None),
    ]


def test_decode_tags_strict_raises(codec: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode_tags(["prod", "v-zz"], strict=True)
    assert plain.error(caught.value) == {**named("BAD_HEX"), "offset": 0, "path": "[1]", "node": None}


@pytest.mark.parametrize("tags", [[1], [None], 5], ids=["int", "None", "not iterable"])
def test_decode_tags_wants_strings(codec: Any, tags: Any) -> None:
    with pytest.raises(TypeError):
        codec.decode_tags(tags)


# --- The life of a decoder ---------------------------------------------------------------------------------


def test_an_error_stays(codec: Any) -> None:
    decoder = codec.Decoder()
    found = plain.outcome(lambda: decoder.feed(b"[x]"))
    assert found["offset"] == 1
    assert plain.outcome(lambda: decoder.feed(b"[]")) == found
    assert plain.outcome(lambda: decoder.finish()) == found
    assert plain.outcome(lambda: decoder.finish()) == found


def test_a_truncated_body_stays_truncated(codec: Any) -> None:
    decoder = codec.Decoder()
    decoder.feed(b"[")
    found = plain.outcome(lambda: decoder.finish())
    assert found["reason"] == named("TRUNCATED")["reason"]
    assert plain.outcome(lambda: decoder.feed(b"]")) == found
    assert plain.outcome(lambda: decoder.finish()) == found


def test_whatever_else_interrupts_a_decode_ends_it(codec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes may be lost: there is no snapshot of what is left, in which they would count as removed."""
    entries = [build.entry(name, tags=(build.tag("t", {"id": name}),)) for name in "ab"]
    before = codec.decode(build.body(*entries))
    late = build.body(*(build.entry(name, tags=(build.tag("t", {"id": name, "x": "1"}),)) for name in "ab"))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    decoder = codec.Decoder(previous=before)
    with monkeypatch.context() as patch:
        if codec.name == "compiled":
            # What compares the node with the one before, and may be interrupted there.
            patch.setattr("regcache.codec.compiled.codec.same_deep", interrupted)
            late = build.body(*(build.entry(n, tags=(f"t={json.dumps({'id': n})}",)) for n in "ab"))
        else:
            patch.setattr("regcache.codec.pure.decoder.same_node", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decoder.feed(late)
    for call in (decoder.finish, lambda: decoder.feed(b"]")):
        with pytest.raises(KeyboardInterrupt):
            call()


def test_a_decoder_finishes_once(codec: Any) -> None:
    decoder = codec.Decoder()
    decoder.feed(b"[]")
    decoder.finish()
    with pytest.raises(RuntimeError, match="this decoder has finished"):
        decoder.finish()
    with pytest.raises(RuntimeError, match="this decoder has finished"):
        decoder.feed(b" ")


def test_two_threads_may_not_feed_one_decoder(codec: Any) -> None:
    """One of them is refused. White space is fed, so that either order is a valid body."""
    entries = recorded.body("health_b").data.strip()[1:-1]
    body = b"[" + b",".join([entries] * (10 if codec.name == "compiled" else 1)) + b"]"
    refusals: List[BaseException] = []
    for _ in range(200):
        decoder, together, fed = codec.Decoder(), threading.Barrier(2), threading.Event()

        def feed_all(decoder: Any = decoder, together: Any = together, fed: Any = fed) -> None:
            together.wait(60)
            try:
                decoder.feed(body)
            except RuntimeError as problem:
                refusals.append(problem)
            finally:
                fed.set()

        thread = threading.Thread(target=feed_all)
        thread.start()
        together.wait(60)
        while not refusals and not fed.is_set():
            try:
                decoder.feed(b" ")
            except RuntimeError as problem:
                refusals.append(problem)
        thread.join(60)
        if refusals:
            break
    assert refusals and str(refusals[0]) == "another thread is using this decoder"


def test_errors_say_the_place(codec: Any) -> None:
    with pytest.raises(LimitExceeded) as caught:
        codec.decode(build.body(build.entry("web-1", tags=("v=12345",))), limits=Limits(record_bytes=3), strict=True)
    assert caught.value.limit == "record_bytes"
    assert "[0].Service.Tags[0]" in str(caught.value) and "'web-1'" in str(caught.value)
    assert str(caught.value.offset) in str(caught.value)
