"""The backends and the naive oracle find the same, in whatever hypothesis thinks of and however it is cut.

``HYPOTHESIS_PROFILE=thorough`` looks fifty times longer.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Callable, Dict, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from regcache import Limits
from tests import build, oracle, plain, recorded

# --- What hypothesis makes ---------------------------------------------------------------------------------


class Object(List[Tuple[str, Any]]):
    """A JSON object whose members may repeat."""


def dumped(value: Any) -> str:
    """JSON text of a value with Objects in it."""
    if isinstance(value, Object):
        return "{" + ",".join(f"{json.dumps(key)}: {dumped(below)}" for key, below in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(dumped(below) for below in value) + "]"
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")


texts = st.one_of(
    st.sampled_from(["", "a", "svc", "10.0.0.1", "\u00e9", "\U0001f600", "\u2028", '\x00\n"\\']), st.text(max_size=8)
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), texts
)
anything = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=3), st.lists(st.tuples(texts, below), max_size=3).map(Object)),
    max_leaves=6,
)


def other_case(key: str) -> st.SearchStrategy[str]:
    """A key as Go also takes it."""
    folded = [key, key, key, key.lower(), key.upper(), key.replace("s", "\u017f").replace("k", "\u212a")]
    return st.sampled_from(folded)


def objects(fields: Dict[str, st.SearchStrategy[Any]], odd: bool) -> st.SearchStrategy[Any]:
    """Objects with some of the fields, in any order, some twice, in any case; with ``odd`` also of a wrong type."""
    members = [st.tuples(other_case(key), values) for key, values in fields.items()]
    more = st.tuples(st.sampled_from(["Extra", "ServiceTags", "", "ID2"]), anything)
    if odd:
        members += [st.tuples(st.sampled_from(list(fields)), anything)]
    made = st.lists(st.one_of(*members, more), max_size=len(fields) + 3).map(Object)
    return st.one_of(made, made, made, anything) if odd else made


def values(odd: bool) -> st.SearchStrategy[Any]:
    """go-micro's message trees."""
    leaf = {"name": texts | st.none(), "type": texts | st.none()}
    flat = objects(leaf, odd)
    return st.recursive(
        flat,
        lambda below: objects({**leaf, "values": st.lists(below | st.none(), max_size=3) | st.none()}, odd),
        max_leaves=5,
    )


def string_maps(odd: bool) -> st.SearchStrategy[Any]:
    made = st.lists(st.tuples(texts, (anything if odd else texts) | st.none()), max_size=3).map(Object)
    return st.one_of(made, anything) if odd else made


def documents(odd: bool) -> Dict[str, st.SearchStrategy[str]]:
    """The texts inside tags: endpoints, metadata, versions."""
    endpoint = {"name": texts | st.none(), "request": values(odd) | st.none(), "response": values(odd) | st.none()}
    endpoint["metadata"] = string_maps(odd) | st.none()
    return {"e": objects(endpoint, odd).map(dumped), "t": string_maps(odd).map(dumped), "v": texts}


def without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@st.composite
def edits(draw: Any, data: bytes, tokens: List[bytes]) -> bytes:
    """``data`` after a few random edits."""
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 20)))
        new = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(tokens),
                st.binary(min_size=1, max_size=3),
                st.just(data[at:end] * 2),
                st.just(data[at:end].swapcase()),
            )
        )
        data = data[:at] + new + data[end:]
    return data


@st.composite
def tags(draw: Any, odd: bool) -> str:
    """A tag: go-micro's in either format, or foreign; with ``odd`` its text, its stream or its digits are edited."""
    kind = draw(st.sampled_from("etvetvx"))
    if kind == "x":
        return str(
            draw(
                st.sampled_from(["", "e", "t", "v", "prod", "eu-west-1", "v1", "e\u00e9-", "t=", "v-", "v-zz", "T-78"])
                | texts.map(without_surrogates)
            )
        )
    text = without_surrogates(draw(documents(odd)[kind]))
    data = text.encode()
    if odd and draw(st.booleans()):
        data = draw(edits(data, [b'"', b"null", b"{", b"[", b"]", b"\\ud83d", b"\\u00e9", b"\xff", b"1e5", b",", b" "]))
    if draw(st.booleans()):
        return f"{kind}={data.decode('utf-8', 'replace')}"
    digits = zlib.compress(data, draw(st.integers(0, 9))).hex()
    if odd and draw(st.integers(0, 3)) == 0:
        digits = draw(edits(digits.encode(), [b"0", b"ff", b"x", b"A"])).decode("latin-1")
    return f"{kind}-{digits}"


def entries(odd: bool) -> st.SearchStrategy[Any]:
    """Entries of a health body."""
    ports = st.integers(0, 70_000) | (st.integers(-(2**64), 2**64) if odd else st.integers(-(2**63), 2**63 - 1))
    weights = objects({"Passing": ports | st.none(), "Warning": ports | st.none()}, odd) | st.none()
    service = {
        "ID": texts | st.none(), "Service": st.sampled_from(["svc", "svc", "SVC", "other"]), "Address": texts | st.none(),
        "Port": ports | st.none(), "Meta": string_maps(odd) | st.none(), "Weights": weights,
        "Tags": st.lists(tags(odd) | st.none() | (scalars if odd else st.none()), max_size=4) | st.none(),
    }  # fmt: skip
    node = {
        "Node": texts | st.none(),
        "Address": texts | st.none(),
        "Datacenter": texts | st.none(),
        "Meta": string_maps(odd) | st.none(),
    }
    checkids = st.sampled_from(["serfHealth", "_node_maintenance", "_service_maintenance:a"]) | st.none()
    check = objects(
        {"CheckID": checkids, "Status": st.sampled_from(["passing", "warning", "critical", "odd"]) | st.none()}, odd
    )
    outer = {
        "Node": objects(node, odd),
        "Service": objects(service, odd),
        "Checks": st.lists(check | st.none(), max_size=3) | st.none(),
    }
    return objects(outer, odd)


def bodies(odd: bool) -> st.SearchStrategy[bytes]:
    return st.lists(entries(odd), max_size=4).map(lambda made: without_surrogates(dumped(made)).encode())


SMALL_BODIES = [body.data for body in recorded.bodies().values() if 2 < len(body.data) < 4000 and body.service]
TOKENS = [b'"', b"null", b"{}", b"[", b"]", b"{", b"}", b",", b":", b" ", b"\\u", b"\\", b"1", b"-", b'"Service":null,', b'"Tags":["v=9"],', b"\xf0\x9f\x98", b"e5"]  # fmt: skip
mutations = st.sampled_from(SMALL_BODIES).flatmap(lambda data: edits(data, TOKENS))

limits = st.builds(
    Limits,
    body_bytes=st.just(10**6) | st.integers(1, 500),
    nodes=st.just(100) | st.integers(1, 3),
    string_bytes=st.just(1000) | st.integers(1, 20),
    tags=st.just(100) | st.integers(1, 3),
    tag_bytes=st.just(10_000) | st.integers(1, 100),
    record_bytes=st.just(10_000) | st.integers(1, 100),
    nesting=st.just(10_000) | st.integers(1, 12),
    decompressed_bytes=st.just(10**6) | st.integers(1, 300),
    warnings=st.integers(1, 5),
)
cuts = st.lists(st.integers(0, 5000), max_size=6)


def chunked(data: bytes, cuts: List[int]) -> List[bytes]:
    return build.pieces(data, [cut % (len(data) + 1) for cut in cuts])


def agreed(backends: List[Any], work: Callable[[Any], Any], shape: Callable[[Any], Any] = plain.snapshot) -> Any:
    """What all backends find, as plain data."""
    first, *others = [plain.outcome(lambda backend=backend: work(backend), shape) for backend in backends]
    for other in others:
        assert other == first
    return first


# --- What must be the same ---------------------------------------------------------------------------------


@given(body=bodies(odd=False), cuts=cuts)
def test_valid_bodies_are_read_as_the_oracle_reads_them(backends: List[Any], body: bytes, cuts: List[int]) -> None:
    found = agreed(backends, lambda backend: plain.decode_pieces(backend, chunked(body, cuts)))
    assert found["nodes"] == oracle.decode(body)
    only = agreed(backends, lambda backend: backend.decode(body, "svc"))
    assert only["nodes"] == oracle.decode(body, "svc")


@given(body=bodies(odd=False))
def test_valid_bodies_group_as_the_oracle_groups_them(backends: List[Any], body: bytes) -> None:
    services = agreed(
        backends, lambda backend: backend.decode(body, "svc"), lambda snapshot: snapshot.to_dict()["services"]
    )
    assert (services or None) == oracle.services(oracle.decode(body, "svc"), "svc")


@given(body=bodies(odd=True), cuts=cuts, limits=limits, strict=st.booleans(), service=st.sampled_from([None, "svc"]))
def test_odd_bodies_are_read_alike(
    backends: List[Any], body: bytes, cuts: List[int], limits: Limits, strict: bool, service: Any
) -> None:
    whole = agreed(backends, lambda backend: backend.decode(body, service, limits=limits, strict=strict))
    cut = agreed(
        backends,
        lambda backend: plain.decode_pieces(backend, chunked(body, cuts), service, limits=limits, strict=strict),
    )
    assert cut == whole


@given(body=mutations, cuts=cuts, strict=st.booleans())
def test_mutated_recordings_are_read_alike(backends: List[Any], body: bytes, cuts: List[int], strict: bool) -> None:
    whole = agreed(backends, lambda backend: backend.decode(body, strict=strict))
    assert agreed(backends, lambda backend: plain.decode_pieces(backend, chunked(body, cuts), strict=strict)) == whole


@given(body=mutations)
def test_a_mutated_recording_is_json_or_refused(backends: List[Any], body: bytes) -> None:
    """Python's own parser decides what is JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    found = agreed(backends, lambda backend: backend.decode(body))
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=refuse)
        accepted = document is None or isinstance(document, list)
    except ValueError:
        accepted = False
    assert ("nodes" in found) == accepted


@given(before=bodies(odd=True), after=bodies(odd=True), data=st.data())
def test_refreshes_are_alike(backends: List[Any], before: bytes, after: bytes, data: Any) -> None:
    """The second body is another one, or the first with its entries in another order, or edited."""
    if data.draw(st.booleans()):
        after = data.draw(edits(before, TOKENS))

    def refreshed(backend: Any) -> Any:
        snapshot = backend.decode(after, previous=backend.decode(before))
        old = {id(node) for node in [*snapshot.removed]}
        assert not old & {id(node) for node in snapshot.nodes}
        return snapshot

    found = agreed(backends, refreshed)
    alone = agreed(backends, lambda backend: backend.decode(after))
    told = ("nodes", "warnings", "warning_count") if "nodes" in alone else alone
    assert {key: found[key] for key in told} == {key: alone[key] for key in told}


@given(given=st.lists(tags(odd=False), max_size=6))
def test_valid_tags_say_what_the_oracle_reads(backends: List[Any], given: List[str]) -> None:
    found = agreed(backends, lambda backend: backend.decode_tags(given), plain.record)
    said = oracle.decode_tags(given)
    assert {key: found[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}


@given(given=st.lists(tags(odd=True), max_size=6), limits=limits, strict=st.booleans())
def test_odd_tags_are_read_alike(backends: List[Any], given: List[str], limits: Limits, strict: bool) -> None:
    found = agreed(backends, lambda backend: backend.decode_tags(given, limits=limits, strict=strict), plain.record)
    wide = agreed(backends, lambda backend: backend.decode_tags(given), plain.record)
    said = oracle.decode_tags(given)
    assert {key: wide[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}
    assert ("version" not in found) <= strict or found["type"] == "LimitExceeded"


@given(
    given=st.lists(
        st.binary(max_size=12) | st.sampled_from([b"v=\xff", b"e={\xc3}", b't={"\xe2\x82":""}']),
        max_size=4,
    )
)
def test_tags_of_bytes_are_read_alike(backends: List[Any], given: List[bytes]) -> None:
    found = agreed(backends, lambda backend: backend.decode_tags(given), plain.record)
    said = oracle.decode_tags(given)
    assert {key: found[key] for key in said} == {**said, "endpoints": said["endpoints"] or None}


@given(tags=st.lists(tags(odd=True), max_size=5))
def test_a_body_says_what_its_tags_say(backends: List[Any], tags: List[str]) -> None:
    """decode_tags and a whole body go through the same code."""
    for backend in backends:
        record = backend.decode_tags(tags)
        (node,) = backend.decode(build.body(build.entry(tags=tuple(tags))))
        assert (node.version, node.metadata, node.tags) == (record.version, record.metadata, record.tags)
        assert [e and e.to_dict() for e in node.endpoints] == [e and e.to_dict() for e in record.endpoints]


@given(data=st.data())
def test_mdns_records_are_read_alike(backends: List[Any], data: Any) -> None:
    inner = {
        "Service": texts,
        "Version": texts,
        "Endpoints": st.lists(values(True), max_size=2),
        "Metadata": string_maps(True),
    }
    text = without_surrogates(dumped(data.draw(objects(inner, True)))).encode()
    digits = zlib.compress(data.draw(edits(text, TOKENS))).hex().encode()
    digits = data.draw(st.just(digits) | edits(digits, [b"0", b"ff", b"x"]))
    pieces = [piece[:255] for piece in chunked(digits, data.draw(cuts))]
    agreed(backends, lambda backend: backend.decode_mdns(pieces), lambda record: record)
