"""What is written is what was said: for our decoder, for the naive oracle, and letter by letter as Go writes it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List

import pytest

from regcache import Limits
from regcache.codec import dictionaries, encode_compact, encode_tags
from regcache.model import Endpoint, Record, Service, Value
from tests import oracle, plain, recorded

#: The categories of lines whose tags are not broken on purpose.
WRITABLE = ("real", "random", "strings", "long", "order", "json-deep", "json-endpoint", "json-metadata")
VECTORS = {line["id"]: line for line in recorded.lines("gomicro_vectors.jsonl.zst") if line["category"] in WRITABLE}
#: Those that a release of go-micro itself wrote.
GO = [
    name
    for name, line in VECTORS.items()
    if line["category"] in ("real", "random", "strings", "long") and "hand-built" not in line["source"]
]
FORMS = ("go-micro", "plain", "compact", "both")
ROOT = Path(__file__).parent.parent.parent

VALUE = Value("Request", "Request", (Value("id", "string"), None, Value("at", "Time", ())))
ENDPOINT = Endpoint("Greeter.Hello", VALUE, None, {"stream": "false"})
RECORD = Record("1.2", True, {"b": "1", "a": ""}, (ENDPOINT, None), ("prod", "m-", "e", "eu-west-1"))


def depth(endpoints: Any) -> int:
    """How deep values are inside each other."""
    todo = [(value, 1) for e in endpoints if e for value in (e.request, e.response) if value]
    deepest = 0
    while todo:
        value, level = todo.pop()
        deepest = max(deepest, level)
        todo += [(below, level + 1) for below in value.values or () if below]
    return deepest


def same(found: Record, record: Record) -> bool:
    """Records without their warnings, at any depth."""
    todo: List[Any] = [(found[:5], record[:5])]
    while todo:
        a, b = todo.pop()
        if isinstance(a, tuple) and isinstance(b, tuple):
            if len(a) != len(b):
                return False
            todo += zip(a, b)
        elif a != b:
            return False
    return True


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VECTORS)
def test_what_is_written_says_the_same(codec: Any, name: str, form: str) -> None:
    record = codec.decode_tags(VECTORS[name]["tags"])._replace(version_found=True, warnings=())
    deep = depth(record.endpoints) > 250
    if deep and form in ("compact", "both"):
        with pytest.raises(ValueError, match="no room for values nested deeper than 250 levels"):
            encode_tags(record, form=form)
        return
    tags = encode_tags(record, form=form)
    # 5,000 levels of the same are a bomb by their ratio.
    assert same(codec.decode_tags(tags, limits=Limits(ratio=1000), strict=True), record)
    if not deep:
        said = oracle.decode_tags(tags)
        shown = plain.record(record)
        assert {**said, "endpoints": said["endpoints"] or None} == {key: shown[key] for key in said}


@pytest.mark.parametrize("name", GO)
def test_the_text_is_what_go_wrote(codec: Any, name: str) -> None:
    """Metadata tags come in Go's random order, and some lines were shuffled: the texts of a kind are compared."""
    line = VECTORS[name]
    ours = [tag for tag in line["tags"] if oracle.is_gomicro(tag)]
    wanted = [tag[0] + oracle.text(oracle.payload(tag)) for tag in ours if tag[1] == oracle.first_format(ours, tag[0])]
    record = codec.decode_tags(line["tags"])
    texts = [tag[0] + tag[2:] for tag in encode_tags(record._replace(tags=()), form="plain")]
    if "v6.10.0" in line["source"]:
        texts = [name_last(text) if text.startswith('e{"name"') else text for text in texts]
    if not record.version_found:
        texts.remove("v")
    # Go escapes what it puts in the place of a byte that is not UTF-8.
    assert sorted(texts) == sorted(text if text[0] == "v" else text.replace("\\ufffd", "\ufffd") for text in wanted)


def name_last(text: str) -> str:
    """An endpoint as go-micro v6 writes it: it moved the name to the end of the struct."""
    _, end = json.JSONDecoder().raw_decode(text, len('e{"name":'))
    return "e{" + text[end + 1 : -1] + "," + text[2:end] + "}"


@pytest.mark.parametrize("name", GO)
def test_hex_holds_what_plain_shows(codec: Any, name: str) -> None:
    record = codec.decode_tags(VECTORS[name]["tags"])._replace(tags=())
    written = zip(encode_tags(record), encode_tags(record, form="plain"))
    assert all(oracle.payload(new) == old[2:].encode() and new[0] == old[0] for new, old in written)


def test_the_order_of_tags() -> None:
    tags = encode_tags(RECORD, form="both")
    assert [tag[:2] for tag in tags] == ["m~", "t-", "t-", "e-", "e-", "v-", "pr", "m-", "e", "eu"]
    assert tags[1:] == encode_tags(RECORD) and [tags[0], *RECORD.tags] == encode_tags(RECORD, form="compact")
    assert tags[0] == encode_compact(RECORD) and tags[0].startswith("m~11")
    assert encode_tags(RECORD, form="plain") == [
        't={"b":"1"}',
        't={"a":""}',
        'e={"name":"Greeter.Hello","request":{"name":"Request","type":"Request","values":[{"name":"id","type":"string",'
        '"values":null},null,{"name":"at","type":"Time","values":[]}]},"response":null,"metadata":{"stream":"false"}}',
        "e=null",
        "v=1.2",
        *RECORD.tags,
    ]


@pytest.mark.parametrize(
    ("text", "json_text"),
    [
        ('"\\/', '\\"\\\\/'),
        ("\n\r\t\b\f\x00\x1f\x7f", "\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f"),
        ("<>&'", "\\u003c\\u003e\\u0026'"),
        ("\u2027\u2028\u2029\u202a", "\u2027\\u2028\\u2029\u202a"),
        ("é\U0001f600\ufffd\ufeff", "é\U0001f600\ufffd\ufeff"),
        ("a\ud800\udfff", "a\\ufffd\\ufffd"),
    ],
)
def test_strings_are_escaped_as_go_escapes_them(codec: Any, text: str, json_text: str) -> None:
    record = Record("", True, {text: text}, (Endpoint(text, Value(text, text)),))
    assert encode_tags(record, form="plain")[:2] == [
        f't={{"{json_text}":"{json_text}"}}',
        f'e={{"name":"{json_text}","request":{{"name":"{json_text}","type":"{json_text}","values":null}},'
        '"response":null,"metadata":null}',
    ]
    whole = text.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")
    for form in FORMS:
        found = codec.decode_tags(encode_tags(record, form=form))
        assert found.metadata == {whole: whole} and found.endpoints == (Endpoint(whole, Value(whole, whole)),)


def test_maps_are_sorted_as_go_sorts_them() -> None:
    keys = ["b", "a", "\U00010000", "\uffff", "é", "", "B"]
    endpoint = Endpoint("", None, None, dict.fromkeys(keys, ""))
    (text, _) = encode_tags(Record("", True, {}, (endpoint,)), form="plain")
    found = list(json.loads(text[2:])["metadata"])
    assert found == sorted(keys, key=str.encode)


def test_a_version_tag_is_always_written(codec: Any) -> None:
    for form in FORMS:
        assert codec.decode_tags(encode_tags(Record(), form=form)).version_found
    assert encode_tags(Record(), form="plain") == ["v="]
    assert codec.decode_tags(encode_tags(Record("a\udc80"))).version == "a\ufffd"


def test_a_node_and_a_service_are_written_as_their_record(codec: Any) -> None:
    node = codec.Node("id", metadata=RECORD.metadata, version="1.2", endpoints=RECORD.endpoints, tags=RECORD.tags)
    assert encode_tags(node, form="both") == encode_tags(RECORD, form="both")
    other = codec.Node("id", metadata=RECORD.metadata, version="9", endpoints=(), tags=RECORD.tags)
    service = Service("svc", "1.2", None, RECORD.endpoints, (other,))
    assert encode_tags(service, form="both") == encode_tags(RECORD, form="both")
    assert encode_tags(service._replace(nodes=()), form="plain") == encode_tags(
        RECORD._replace(metadata={}, tags=()), form="plain"
    )
    with pytest.raises(ValueError, match="the service has 2 nodes"):
        encode_tags(service._replace(nodes=(node, other)))


def test_values_as_deep_as_msgpack_goes(codec: Any) -> None:
    value = Value("deepest")
    for _ in range(249):
        value = Value("v", "t", (value,))
    record = Record("", True, {}, (Endpoint("e", value, value),))
    for dictionary in (0, 1):
        assert same(codec.decode_tags([encode_compact(record, dictionary=dictionary)], strict=True), record)
    with pytest.raises(ValueError, match="deeper than 250 levels"):
        encode_compact(Record("", True, {}, (Endpoint("e", None, Value("v", "t", (value,))),)))


WRONG: Dict[str, Record] = {
    "version must be a str, not int": Record(1),  # type: ignore[arg-type]
    "metadata must be a mapping of str to str": Record("", True, ["a"]),  # type: ignore[arg-type]
    "metadata: the key 1 must be a str, not int": Record("", True, {1: "a"}),  # type: ignore[dict-item]
    "metadata['a'] must be a str, not NoneType": Record("", True, {"a": None}),  # type: ignore[dict-item]
    "endpoints must be a tuple of Endpoint or None": Record("", True, {}, "ab"),  # type: ignore[arg-type]
    "endpoints[1] must be an Endpoint or None, not dict": Record("", True, {}, (None, {})),  # type: ignore[arg-type]
    "endpoints[0].name must be a str, not bytes": Record("", True, {}, (Endpoint(b""),)),  # type: ignore[arg-type]
    "endpoints[0].metadata must be a mapping of str to str, or None, not str": Record("", True, {}, (Endpoint("", None, None, "a"),)),  # type: ignore[arg-type]
    "endpoints[0].metadata['a'] must be a str, not int": Record("", True, {}, (Endpoint("", None, None, {"a": 1}),)),  # type: ignore[dict-item]
    "endpoints[0].response must be a Value or None, not str": Record("", True, {}, (Endpoint("", None, "a"),)),  # type: ignore[arg-type]
    "endpoints[2].request.values[0].name must be a str, not int": Record("", True, {}, (None, None, Endpoint("", Value("", "", (Value(1),))))),  # type: ignore[arg-type]
    "endpoints[0].request.values[1].values[0].type must be a str, not NoneType": Record("", True, {}, (Endpoint("", Value("", "", (None, Value("", "", (Value("", None),))))),)),  # type: ignore[arg-type]
    "endpoints[0].request.values must be a tuple of Value, or None, not list": Record("", True, {}, (Endpoint("", Value("", "", [])),)),  # type: ignore[arg-type]
    "tags must be an iterable of str": Record("", True, {}, (), "ab"),  # type: ignore[arg-type]
    "tags[1] must be a str, not int": Record("", True, {}, (), ("a", 1)),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_type_is_named(sentence: str) -> None:
    for write in (encode_compact, encode_tags):
        with pytest.raises(TypeError) as caught:
            write(WRONG[sentence])
        assert str(caught.value) == sentence


def test_other_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="record must be a Record, a Node or a Service, not Endpoint"):
        encode_tags(ENDPOINT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="form must be one of go-micro, plain, compact, both, not 'hex'"):
        encode_tags(RECORD, form="hex")
    with pytest.raises(ValueError, match="dictionary must be 0 or 1, not 2"):
        encode_compact(RECORD, dictionary=2)
    with pytest.raises(TypeError, match="dictionary must be an int, not bool"):
        encode_compact(RECORD, dictionary=True)
    for tag in ("e-", "t=x", "v-12", "m~", "m~11AAAA"):
        with pytest.raises(ValueError, match=r"tags\[1\] would be read as part of the record"):
            encode_tags(RECORD._replace(tags=("ok", tag)))


def test_a_read_only_mapping_is_written() -> None:
    record = RECORD._replace(metadata=MappingProxyType(dict(RECORD.metadata)))
    assert encode_tags(record, form="both") == encode_tags(RECORD, form="both")


def test_a_compact_tag_is_short() -> None:
    """A record as those of the recorded service of 2,000 nodes: at most a quarter, and 40 % without the dictionary."""
    entries = json.loads(recorded.health_c().data[:20_000].rpartition(b',{"Node":{"ID"')[0] + b"]")
    tags = entries[0]["Service"]["Tags"]
    size = len("".join(tags))
    said = oracle.decode_tags(tags)
    endpoints = tuple(endpoint(said) for said in said["endpoints"])
    record = Record(said["version"], True, said["metadata"], endpoints)
    assert len(tags) == 15 and len(endpoints) == 8
    assert len(encode_compact(record)) <= size / 4
    assert len(encode_compact(record, dictionary=0)) <= size * 0.4


def endpoint(said: Dict[str, Any]) -> Endpoint:
    return Endpoint(said["name"], value(said["request"]), value(said["response"]), said["metadata"])


def value(said: Any) -> Any:
    if said is None:
        return None
    below = said["values"]
    return Value(said["name"], said["type"], None if below is None else tuple(value(v) for v in below))


# --- The dictionary ----------------------------------------------------------------------------------------


def test_the_dictionary_is_the_recorded_one() -> None:
    folder = Path(dictionaries.__file__).parent
    found = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.zdict")}
    # A released one is never changed: records written with it are in registries.
    assert found == dictionaries.DIGESTS
    assert found["1"] == "041d84b2d968205845b6ba7fef7a846eaa3f268b37cbba5d5cbc18a7441f7af4"
    assert all(path.stat().st_size <= 32 * 1024 for path in folder.glob("*.zdict"))


def test_the_training_can_be_run_again(tmp_path: Path) -> None:
    made = [tmp_path / "one", tmp_path / "two"]
    for output in made:
        command = ["-m", "tools.train_dictionary", "--samples", "150", "--size", "4096", "--output", str(output)]
        done = subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True, text=True)
        assert hashlib.sha256(output.read_bytes()).hexdigest() in done.stdout
    assert made[0].read_bytes() == made[1].read_bytes()
    assert made[0].read_bytes()[:4] == b"\x37\xa4\x30\xec"  # RFC 8878, section 5
