"""What the real go-micro returned is what the codec returns, except where ``data/differences.json`` says otherwise."""

from __future__ import annotations

import copy
import json
import zlib
from typing import Any, Dict, List, Optional

import pytest

from regcache import DecodeError
from regcache.codec import reasons
from tests import oracle, plain, recorded

#: The kinds of difference that are decisions of ours.
KINDS = {
    "go-panics": "go-micro dies, we go on",
    "foreign-tag-locks": "a foreign tag hides go-micro's tags from go-micro, not from us",
    "body-stricter": "a body that is not one JSON document in UTF-8 is refused",
    "entry-alone": "a wrong type costs one entry; Go's client loses the list",
    "part-alone": "a wrong type costs one part of an entry; Go's client loses the list",
    "not-read": "Go's client loses the list for a member that we do not read",
    "brackets-once": "an address in brackets is not bracketed again",
}

VECTORS = {line["id"]: line for line in recorded.lines("gomicro_vectors.jsonl.zst")}
MDNS = {line["id"]: line for line in recorded.lines("gomicro_mdns_vectors.jsonl")}
EDGE = {line["id"]: line for line in recorded.lines("getservice_edge.jsonl")}
RECORDED = recorded.health_names()


def ours(source: str, name: str) -> Optional[Dict[str, Any]]:
    """Our answer where the table documents a difference."""
    line = recorded.differences().get((source, name))
    return None if line is None else line["ours"]


def by_version(services: Optional[List[Dict[str, Any]]]) -> Optional[List[Dict[str, Any]]]:
    """Go's order of versions is random; the recorded one is sorted."""
    return services and sorted(services, key=lambda service: str(service["version"]))


def joined(services: Optional[List[Dict[str, Any]]], addresses: List[str]) -> Optional[List[Dict[str, Any]]]:
    """Services with address and port of each node joined, as later releases return them."""
    services = copy.deepcopy(services)
    left = iter(addresses)
    for service in services or []:
        for node in service["nodes"] or []:
            node["address"] = next(left)
            del node["port"]
    return services


def answer(snapshot: Any) -> Optional[List[Dict[str, Any]]]:
    """A snapshot's services as Go's JSON: no service is null."""
    return [service.to_dict() for service in snapshot.services()] or None


def targets(snapshot: Any) -> List[str]:
    """The joined addresses, in the order of :func:`by_version`."""
    services = sorted(snapshot.services(), key=lambda service: str(service.version))
    return [node.target for service in services for node in service.nodes]


def compact(document: Any) -> str:
    """Compact JSON at any depth (``json`` gives up at about 1,000)."""
    out: List[str] = []
    todo: List[Any] = [(document,)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        (value,) = item
        if isinstance(value, dict):
            parts: List[Any] = ["{"]
            for key, below in value.items():
                parts += ["," if len(parts) > 1 else "", json.dumps(key) + ":", (below,)]
            todo += reversed([*parts, "}"])
        elif isinstance(value, list):
            parts = ["["]
            for below in value:
                parts += ["," if len(parts) > 1 else "", (below,)]
            todo += reversed([*parts, "]"])
        else:
            out.append(json.dumps(value, ensure_ascii=False))
    return "".join(out)


def vector_answer(codec: Any, line: Dict[str, Any]) -> Dict[str, Any]:
    """The members of a line as we would have written them."""
    record = codec.decode_tags(line["tags"])
    said = {"metadata": dict(record.metadata), "version": record.version, "version_found": record.version_found}
    endpoints = record.to_dict()["endpoints"]
    if "endpoints_json" in line:
        return {**said, "endpoints_json": compact(endpoints)}
    return {**said, "endpoints": endpoints}


@pytest.mark.parametrize("name", VECTORS)
def test_tags_say_what_go_micro_reads_in_them(codec: Any, name: str) -> None:
    line = VECTORS[name]
    said = vector_answer(codec, line)
    assert said == {**{key: line[key] for key in said}, **(ours("vectors", name) or {})}


@pytest.mark.parametrize("name", MDNS)
def test_an_mdns_record_says_what_go_micro_reads_in_it(codec: Any, name: str) -> None:
    line = MDNS[name]
    if "error" in line:
        with pytest.raises(DecodeError):
            codec.decode_mdns(line["record"])
    else:
        assert codec.decode_mdns(line["record"]) == line["txt"]


#: encoding/json decodes into what is there: a list that comes again reuses the elements of the one before.
MDNS_AGAIN = {
    '{"Endpoints":[{"name":"a","metadata":{"x":"1"},"request":{"name":"q"}}],"Endpoints":[{"request":{"type":"r"}}]}': [
        {"name": "a", "request": {"name": "q", "type": "r", "values": None}, "response": None, "metadata": {"x": "1"}}
    ],
    '{"Endpoints":[{"name":"a"},{"name":"b"}],"Endpoints":[{}]}': [
        {"name": "a", "request": None, "response": None, "metadata": None}
    ],
    '{"Endpoints":[{"name":"a"}],"Endpoints":null,"Endpoints":[{}]}': [
        {"name": "", "request": None, "response": None, "metadata": None}
    ],
    '{"Endpoints":[{"name":"a"}],"Endpoints":[null]}': [None],
}


@pytest.mark.parametrize("text", MDNS_AGAIN)
def test_endpoints_of_an_mdns_record_that_come_again(codec: Any, text: str) -> None:
    assert codec.decode_mdns([zlib.compress(text.encode()).hex()])["Endpoints"] == MDNS_AGAIN[text]


def edge_body(line: Dict[str, Any]) -> bytes:
    return bytes.fromhex(line["body_hex"]) if "body_hex" in line else line["body"].encode()


@pytest.mark.parametrize("name", EDGE)
def test_an_odd_body_gives_what_get_service_returned(codec: Any, name: str) -> None:
    line = EDGE[name]
    here = ours("edge", name)
    if "error" in (here or line[recorded.APART]):
        with pytest.raises(DecodeError) as caught:
            codec.decode(edge_body(line), line["requested"])
        if here:
            assert caught.value.reason == sentence(here["error"])
        return
    snapshot = codec.decode(edge_body(line), line["requested"])
    services = by_version(answer(snapshot))
    assert services == (here or line[recorded.APART])["services"]
    if here:
        assert [warning.reason for warning in snapshot.warnings] == [sentence(code) for code in here["warnings"]]
    for release in recorded.JOINED:
        assert joined(services, targets(snapshot)) == joined_expectation("edge", name, line[release], services)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_body_gives_what_get_service_returned(codec: Any, name: str) -> None:
    expected = recorded.expected(name)
    here = ours("recorded", name)
    snapshot = codec.decode(recorded.body(name).data, expected["requested"])
    services = by_version(answer(snapshot))
    assert services == by_version((here or expected[recorded.APART])["services"])
    if here:
        assert [warning.reason for warning in snapshot.warnings] == [sentence(code) for code in here["warnings"]]
    for release in recorded.JOINED:
        if release in expected:
            assert joined(services, targets(snapshot)) == joined_expectation(
                "recorded", name, expected[release], services
            )


def sentence(code: str) -> str:
    return reasons.REASONS[getattr(reasons, code)][0]


def joined_expectation(source: str, name: str, answer: Dict[str, Any], services: Any) -> Any:
    """What a release that joins addresses returned, or our answer in its form where the table has one."""
    here = ours(source + "-joined", name)
    if here:
        return joined(services, here["addresses"])
    if ours(source, name):
        return joined(services, [f"{n['address']}:{n['port']}" for s in services or [] for n in s["nodes"] or []])
    return answer["services"]


def theirs(source: str, name: str) -> Any:
    """What the real releases answered where the table documents another answer of ours."""
    if source == "vectors":
        return VECTORS[name]
    line = recorded.expected(name) if source.startswith("recorded") else EDGE[name]
    return line[recorded.JOINED[0] if source.endswith("-joined") else recorded.APART]


@pytest.mark.parametrize("key", recorded.differences(), ids="-".join)
def test_every_documented_difference_differs(key: Any) -> None:
    line, real = recorded.differences()[key], theirs(*key)
    assert line["kind"] in KINDS and line["reason"]
    if key[0].endswith("-joined"):
        addresses = [node["address"] for service in real["services"] for node in service["nodes"]]
        assert addresses != line["ours"]["addresses"]
    elif key[0] == "vectors":
        assert line["ours"] and all(real[member] != value for member, value in line["ours"].items())
    else:
        assert real.get("services", "none") != line["ours"].get("services", "an error")


def test_every_kind_of_difference_occurs() -> None:
    assert {line["kind"] for line in recorded.differences().values()} == set(KINDS)


@pytest.mark.parametrize("name", [n for n in VECTORS if VECTORS[n]["category"] not in ("json-deep", "json-endpoint")])
def test_the_naive_oracle_agrees_with_go_micro(name: str) -> None:
    line = VECTORS[name]
    said = oracle.decode_tags(line["tags"])
    found = {**said, "endpoints": said["endpoints"] or None}
    real = {
        **{key: line[key] for key in ("endpoints", "metadata", "version", "version_found")},
        **(ours("vectors", name) or {}),
    }
    assert {key: found[key] for key in real} == real


@pytest.mark.parametrize("name", [n for n in RECORDED if n not in ("health_c", "health_b_gzip", "health_b_passing")])
def test_a_recorded_body_gives_the_nodes_that_the_oracle_reads(codec: Any, name: str) -> None:
    body = recorded.body(name)
    snapshot = codec.decode(body.data)
    assert [plain.node(node) for node in snapshot] == oracle.decode(body.data)
    assert snapshot.warning_count == len(snapshot.warnings)
