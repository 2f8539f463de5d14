"""Writes the inputs that fuzzing begins with, made of the recorded data: ``python -m tests.fuzz.corpus FOLDER``.

``FOLDER/body`` and ``FOLDER/tags`` are for the target of that name. Each input begins with the bytes that
``fuzz_body.c`` and ``fuzz_tags.c`` describe; here they are drawn so that every choice comes up.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import zlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Iterator, List

import msgpack
import zstandard

from tests import build, recorded

#: Longer inputs make a fuzzer slow.
LONGEST = 8192
TAGS, DOCUMENTS, STREAMS, MDNS, PARTS, COMPACT, FRAME = range(7)
DICTIONARY = Path(__file__).parents[2] / "regcache" / "codec" / "dictionaries" / "1.zdict"


def recorded_bodies() -> Iterator[bytes]:
    """Whole ones, and the first entries of those that are too long."""
    for body in recorded.bodies().values():
        if len(body.data) <= LONGEST:
            yield body.data
        elif body.service and len(body.data) < 100_000:
            entries = json.loads(body.data)
            yield from (found for found in (build.body(*entries[:n]) for n in (1, 2, 3)) if len(found) <= LONGEST)
    for line in recorded.lines("getservice_edge.jsonl"):
        yield bytes.fromhex(line["body_hex"]) if "body_hex" in line else line["body"].encode()


def written_bodies() -> Iterator[bytes]:
    """What no recorded body has: many limits reached, members twice, nodes that repeat."""
    tags = (build.tag("v", "1.0"), build.tag("t", {"a": "b"}), build.tag("e", {"name": "x", "request": None}), "www")
    same = [build.entry(str(i), tags=tags, Service_Meta={"k": "v", "": "\u20ac"}) for i in range(5)]
    for entry in same:
        entry["Checks"] = [{"CheckID": "a", "Status": "warning", "ServiceTags": list(tags)}, None] * 2
    yield build.body(*same)
    yield build.body(
        *(dict(entry, Service=dict(entry["Service"], Service=f"svc{i % 2}")) for i, entry in enumerate(same))
    )
    yield json.dumps(same, indent=2).encode()
    whole = [compact_tag(packed("2", {"a": "b"}, [{"name": "x"}, None]), trained) for trained in (True, False)]
    yield build.body(build.entry("a", tags=(tags[0], whole[0])), build.entry("b", tags=("www", *whole, tags[1])))
    yield build.body(build.entry("\u2028\U0001f600", Service_Weights={"Passing": -1, "Warning": None}, Node=None))
    yield build.body(*[build.entry("a", tags=tuple(f"t={{{i}" for i in range(9)))] * 2)
    yield b'[{"node":{"Node":"a","Meta":{"x":null,"y":[]}},"Node":null,"SERVICE":{"ID":"\\ud83d\\ude00\\udc00"},"Service":{"tag\xc5\xbf":["a"],"TAGS":null}}]'
    yield b'[null,{},[],1,"",true,{"Service":null},{"Service":{"Tags":[[{"a":[1e+5,-0.0]}],null,{}]},"Checks":[{},[],{"Status":1}]}]'
    yield b"[" * 40 + b"]" * 40
    yield b" \t\r\n"


#: Inputs that once failed, and some that would if a line of the core were left out, by target.
FOUND = {
    "body": [
        # the address of an empty buffer was added to
        bytes(8) + b'[{"Service":{"Tags":["e-"]}}]',
        # the same list once inside the limit of nesting, 5, and once beyond it
        bytes([4, 32, 4, 9, 9, 9, 0, 0]) + b'[{"Service":{"Tags":[[1]]},"Checks":[{"ServiceTags":[[1]]}]}]',
    ],
    "tags": [bytes(4) + b"e-", bytes(4) + b"v-"]
    # without memory for the window a stream with Go's empty dictionary was called corrupt
    + [bytes([0, 0, 0, fail]) + b"t-782000000001ab56ca56b252ca48cdc9c957aa05001bfb043a" for fail in range(1, 6)],
}


def bodies() -> Iterator[bytes]:
    draw = random.Random(1)
    for data in sorted({*recorded_bodies(), *written_bodies()}):
        options = draw.choice([0, 2, 4, 6, 4 + 1, 8, 16, 32, 63])
        sizes = draw.choice([(0, 0, 0), (draw.randrange(128),) * 3, (2, 30, 7), (draw.randrange(256), 200, 0)])
        waiting, failing = draw.choice([0, 1, 2, 128, 255]), draw.choice([0, 0, 0, draw.randrange(1, 40)])
        yield bytes([options, 1 << draw.randrange(8), draw.randrange(256), *sizes, waiting, failing]) + data


def payload(tag: str) -> bytes:
    """What a tag holds, as far as it can be read."""
    try:
        return zlib.decompress(bytes.fromhex(tag[2:])) if tag[1] == "-" else tag[2:].encode()
    except (ValueError, zlib.error):
        return b""


def packed(version: Any, metadata: Any, endpoints: Any) -> bytes:
    """A compact record; endpoints as go-micro's JSON has them."""

    def value(v: Any) -> Any:
        return (
            v
            if not isinstance(v, dict)
            else [v.get("name"), v.get("type"), v.get("values") and list(map(value, v["values"]))]
        )

    def endpoint(e: Any) -> Any:
        if not isinstance(e, dict):
            return e
        return [e.get("name"), value(e.get("request")), value(e.get("response")), e.get("metadata")]

    return bytes(msgpack.packb([version, metadata, [endpoint(e) for e in endpoints]]))


def framed(data: bytes, dictionary: bool) -> bytes:
    """A zstd frame without its magic number, as a compact tag has it."""
    trained = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes()) if dictionary else None
    options = zstandard.ZstdCompressionParameters.from_level(19, write_dict_id=False, write_content_size=True)
    return zstandard.ZstdCompressor(dict_data=trained, compression_params=options).compress(data)[4:]


def compact_tag(record: bytes, dictionary: bool) -> str:
    return f"m~1{dictionary:d}" + urlsafe_b64encode(framed(record, dictionary)).decode().rstrip("=")


def compact_records() -> Iterator[bytes]:
    """Of the recorded vectors, and some that no writer writes."""
    for line in recorded.lines("gomicro_vectors.jsonl.zst"):
        if "endpoints" in line and len(json.dumps(line["endpoints"])) < 2000:
            yield packed(line["version"], line["metadata"], line["endpoints"] or [])
    yield from (
        msgpack.packb(odd) for odd in (None, [], ["1", {}, [], 7], [None, None, None], ["1", {"a": None, "b": 1}, []])
    )
    yield msgpack.packb(
        [b"\xff", {1: 2, "k": [1.5, -1, 2**40, b"x", msgpack.ExtType(5, b"abc")]}, [[], [None] * 9, {"": ""}]]
    )
    yield b"\x93\xa11\x80" + b"\x91" * 30 + b"\x90"
    yield b"\xdd\xff\xff\xff\xff\xdf\0\0\0\1\xc7\0\5\xc6\0\0\0\0"


def tags() -> Iterator[bytes]:
    draw = random.Random(2)

    def made(mode: int, parts: List[bytes], *, more: int = 0) -> bytes:
        options = mode | (more or draw.choice([0, 0, 8, 16]))
        small = draw.choice([0, 0, 0, 1 << draw.randrange(8)])
        return bytes(
            [options, small, draw.randrange(256), draw.choice([0, 0, 0, draw.randrange(1, 30)])]
        ) + b"\xff".join(parts)

    documents = set()
    for line in recorded.lines("gomicro_vectors.jsonl.zst"):
        if sum(map(len, line["tags"])) <= 3000:
            yield made(TAGS, [tag.encode("utf-8", "replace") for tag in line["tags"]])
        ours = [tag for tag in line["tags"] if len(tag) > 2 and tag[0] in "etv" and tag[1] in "-="]
        documents |= {(tag[0].encode(), payload(tag)) for tag in ours if len(tag) < 4000}
    few = sorted(draw.sample(sorted(found for found in documents if len(found[1]) <= 2000), 600))
    for i, (kind, document) in enumerate(few):
        yield made(DOCUMENTS, [kind + document, *(a + b for a, b in few[i + 1 : i + 1 + i % 3])])
        if i % 4 == 0:
            yield made(STREAMS, [kind + zlib.compress(document)])
    for level in (0, 6):  # Go's empty preset dictionary, and another one
        stream = zlib.compress(b'{"a":"b"}' * level, level)[2:]
        yield made(STREAMS, [b"t" + head + stream for head in (b"x\x20\0\0\0\1", b"x\x20\0\0\1\1")])
    for line in recorded.lines("gomicro_mdns_vectors.jsonl"):
        try:
            document = zlib.decompress(bytes.fromhex("".join(line["record"])))
        except (ValueError, zlib.error):
            continue
        if len(document) <= 4000:
            yield made(MDNS, [document])
    for i, record in enumerate(sorted({record for record in compact_records() if len(record) <= 2000})):
        trained = i % 2 == 1
        frame = framed(record, trained)
        yield made(COMPACT, [record], more=32 if i % 8 == 0 else 0)
        yield made(FRAME, [frame], more=16 if trained else 8)
        tag = compact_tag(record, trained).encode()
        others = [b"v=2", b"www", b't={"a":"b"}', b"m~", b"m~20", b"m~1*"]
        yield made(TAGS, [*draw.sample(others, i % 4), tag, *draw.sample(others, i % 3)])
    names = ["CheckID", "CHEC\u212aid", "tag\u017f", "Endpoints"]
    for text in [*names, "789C00", "abc", "-_8", "AI", "AAAAAAC", "x" * 300, 'a"' * 40, "\u20ac\n" * 30]:
        yield made(PARTS, [text.encode()])
    yield made(PARTS, [bytes(range(256))])


def write(folder: Path) -> None:
    for name, inputs in (("body", bodies()), ("tags", tags())):
        where = folder / name
        where.mkdir(parents=True, exist_ok=True)
        for data in [*FOUND[name], *inputs]:
            (where / hashlib.sha1(data).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write(Path(sys.argv[1]))
