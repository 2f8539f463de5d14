"""Snapshots and nodes: what they say, what stays the same from one refresh to the next, and that they never change."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from regcache import DecodeWarning, Endpoint, Limits, Stats, Value, Weights
from tests import build, plain, recorded
from tests.together import together

SAME = build.tag("t", {"zone": "eu"})


def dumped(tree: Any) -> str:
    """JSON of any depth."""
    text, todo = "", [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, str) and one.startswith("\0"):
            text += one[1:]
        elif isinstance(one, dict):
            todo.append("\0}")
            for at, (key, value) in reversed(list(enumerate(one.items()))):
                todo += [value, f"\0{',' if at else ''}{json.dumps(key)}:"]
            todo.append("\0{")
        elif isinstance(one, list):
            todo.append("\0]")
            for at, value in reversed(list(enumerate(one))):
                todo += [value, "\0," if at else "\0"]
            todo.append("\0[")
        else:
            text += json.dumps(one)
    return text


def three() -> List[Dict[str, Any]]:
    return [build.entry(name, tags=(SAME, build.tag("v", "1"), build.tag("t", {"id": name}))) for name in "abc"]


# --- From one refresh to the next --------------------------------------------------------------------------


def test_without_a_previous_snapshot_all_nodes_are_added(codec: Any) -> None:
    snapshot = codec.decode(build.body(*three()))
    assert snapshot.added == snapshot.nodes
    assert snapshot.changed == snapshot.removed == ()
    assert snapshot.stats.reused == 0


def test_nodes_that_did_not_change_stay_the_same_objects(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    after = codec.decode(build.body(*three()), previous=before)
    assert all(new is old for new, old in zip(after, before))
    assert after == before and after is not before
    assert after.added == after.changed == after.removed == ()
    assert after.stats.reused == 3 and after.stats.decoded == 0


def test_order_does_not_matter_for_identity(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    after = codec.decode(build.body(*reversed(three())), previous=before)
    assert [node.id for node in after] == ["c", "b", "a"]
    assert after[0] is before[2] and after[1] is before[1] and after[2] is before[0]
    assert after != before


def test_added_changed_and_removed(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    a, b, _ = three()
    b["Service"]["Port"] = 81
    after = codec.decode(build.body(a, b, build.entry("d")), previous=before)
    assert after[0] is before[0]
    assert [node.id for node in after.added] == ["d"] and after.added[0] is after[2]
    assert [node.port for node in after.changed] == [81] and after.changed[0] is after[1]
    assert len(after.removed) == 1 and after.removed[0] is before[2]


@pytest.mark.parametrize(
    "change",
    [
        {"address": "10.0.0.2"},
        {"port": 81},
        {"status": "critical"},
        {"status": "warning"},
        {"tags": ("v=2",)},
        {"tags": ("v=1", "prod")},
        {"tags": ("v=1", "t={}", 't={"k":"v"}')},
        {"tags": ("v=1", "e={}")},
        {"Service_Meta": {"k": "v"}},
        {"Service_Weights": {"Passing": 5, "Warning": 1}},
        {"Node_Meta": {"k": "v"}},
        {"Node_Datacenter": "dc2"},
        {"Service_Service": "other"},
    ],
    ids=repr,
)
def test_any_attribute_that_differs_is_a_change(codec: Any, change: Dict[str, Any]) -> None:
    before = codec.decode(build.body(build.entry(tags=("v=1",))))
    changed = build.entry(**{"tags": ("v=1",), **change})
    after = codec.decode(build.body(changed), previous=before)
    assert after.changed == after.nodes and after.added == after.removed == ()
    assert after[0] is not before[0] and after[0] != before[0]


def test_another_consul_node_is_another_node(codec: Any) -> None:
    before = codec.decode(build.body(build.entry()))
    after = codec.decode(build.body(build.entry(Node_Node="n2")), previous=before)
    assert after.added == after.nodes and after.removed == before.nodes and after.changed == ()


def test_what_is_not_an_attribute_is_no_change(codec: Any) -> None:
    before = codec.decode(build.body(build.entry()))
    after = codec.decode(build.body(build.entry(Extra=1, Service_ModifyIndex=9)), previous=before)
    assert after[0] is before[0]


def test_the_same_content_in_another_tag_is_no_change(codec: Any) -> None:
    before = codec.decode(build.body(build.entry(tags=(build.tag("t", {"k": "v"}), "v=1"))))
    after = codec.decode(build.body(build.entry(tags=("v=1", 't={"k":"v"}'))), previous=before)
    assert plain.node(after[0]) == plain.node(before[0])
    assert after[0] is before[0] and after.changed == ()


def deep(levels: int) -> Any:
    value: Any = {"name": "leaf", "type": "string"}
    for _ in range(levels):
        value = {"name": "n", "type": "t", "values": [value]}
    return {"name": "e", "request": value}


@pytest.mark.parametrize("levels", [100, 3000])
def test_a_deep_record_in_another_tag_is_no_change_either(codec: Any, levels: int) -> None:
    """However deep: a service writes its own tags, and the other nodes' changes have to come through."""
    text = dumped(deep(levels))
    tags = [build.packed("e", text.encode()), build.packed("e", (text + " ").encode())]
    entries = [[build.entry("a", tags=(tag,)), build.entry("b", port=port)] for tag, port in zip(tags, (80, 81))]
    before = codec.decode(build.body(*entries[0]))
    after = codec.decode(build.body(*entries[1]), previous=before)
    assert not before.warnings and after[0] is before[0] and [node.id for node in after.changed] == ["b"]
    other = build.packed("e", text.replace("leaf", "life").encode())
    after = codec.decode(build.body(build.entry("a", tags=(other,))), previous=before)
    assert [node.id for node in after.changed] == ["a"] and after[0] != before[0]


def test_a_deep_endpoint_can_be_hashed_on_a_small_stack(codec: Any) -> None:
    """A thread of musl's has 128 KiB; the hash of nested tuples would go down as deep as they are."""
    code = f"""
import threading, regcache
from tests import build
from tests.codec.test_snapshot import deep, dumped
from regcache.codec import {codec.name} as codec
snapshot = codec.decode(build.body(build.entry("a", tags=(build.packed("e", dumped(deep(3000)).encode()),))))
(endpoint,) = snapshot[0].endpoints
threading.stack_size(256 * 1024)
said = []
thread = threading.Thread(target=lambda: said.append(hash(endpoint)))
thread.start(); thread.join()
assert said == [hash(endpoint)]
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_equal_values_hash_alike() -> None:
    one, two = (Value("r", "t", (Value("f", "string"),)) for _ in range(2))
    assert one == two and hash(one) == hash(two)
    assert len({one, two, Value("r", "t"), Value("r", "t", ())}) == 3


def test_duplicates_are_matched_in_order(codec: Any) -> None:
    twice = [build.entry("a", port=1), build.entry("a", port=2)]
    before = codec.decode(build.body(*twice))
    after = codec.decode(build.body(*twice, build.entry("a", port=3)), previous=before)
    assert after[0] is before[0] and after[1] is before[1]
    assert [node.port for node in after.added] == [3]
    less = codec.decode(build.body(twice[0]), previous=after)
    assert less[0] is before[0] and [node.port for node in less.removed] == [2, 3]


def test_a_record_is_decoded_once_in_a_body(codec: Any) -> None:
    snapshot = codec.decode(build.body(*three()))
    assert snapshot.stats.tags == 9
    assert snapshot.stats.records == snapshot.stats.decoded == 5
    assert snapshot.stats.record_bytes > 0


def test_a_record_is_taken_over_from_the_previous_snapshot(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    after = codec.decode(
        build.body(*three(), build.entry("d", tags=(SAME, build.tag("t", {"id": "d"})))), previous=before
    )
    assert after.stats.decoded == 1 and after.stats.records == 6


def test_a_record_that_is_not_used_any_more_is_dropped(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    a, _, _ = three()
    less = codec.decode(build.body(a), previous=before)
    assert less.stats.records == 3 and less.stats.record_bytes < before.stats.record_bytes
    again = codec.decode(build.body(*three()), previous=less)
    assert again.stats.decoded == 2 and again.stats.records == 5


def test_a_broken_record_is_told_again(codec: Any) -> None:
    body = build.body(build.entry(tags=("v-zz", "t={", build.tag("t", {"k": "v"}))))
    before = codec.decode(body)
    after = codec.decode(body, previous=before)
    assert before.warning_count == 2
    assert after.warnings == before.warnings and after[0] is before[0]


def test_a_snapshot_does_not_keep_its_previous_alive(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    kept = codec.decode(build.body(*three()[:2], build.entry("d")), previous=before)
    alive = weakref.ref(before)
    del before
    gc.collect()
    assert alive() is None
    assert len(kept) == 3


def test_a_finished_decoder_does_not_keep_its_previous_alive(codec: Any) -> None:
    before = codec.decode(build.body(*three()))
    decoder = codec.Decoder(previous=before)
    decoder.feed(build.body(*three()))
    decoder.finish()
    alive = weakref.ref(before)
    del before
    gc.collect()
    assert alive() is None


def test_memory_does_not_grow_over_many_refreshes(codec: Any) -> None:
    snapshot = None
    held = set()
    for turn in range(20):
        entries = [build.entry(str(n), tags=(build.tag("t", {"turn": f"{turn:03}"}),)) for n in range(10)]
        snapshot = codec.decode(build.body(*entries), previous=snapshot)
        held.add((snapshot.stats.records, snapshot.stats.record_bytes))
    assert len(held) == 1


@pytest.mark.parametrize("previous", [1, "snapshot", [], object()], ids=["int", "str", "list", "object"])
def test_a_previous_of_another_type_is_refused(codec: Any, previous: Any) -> None:
    with pytest.raises(TypeError):
        codec.Decoder(previous=previous)


# --- A snapshot --------------------------------------------------------------------------------------------


def test_a_snapshot_is_a_sequence_of_nodes(codec: Any) -> None:
    snapshot = codec.decode(build.body(*three()))
    assert len(snapshot) == 3 and bool(snapshot)
    assert list(snapshot) == list(snapshot.nodes) == [snapshot[0], snapshot[1], snapshot[2]]
    assert snapshot[-1].id == "c"
    with pytest.raises(IndexError):
        snapshot[3]
    assert not codec.decode(b"[]")


def test_the_service_is_the_one_asked_for(codec: Any) -> None:
    body = build.body(
        build.entry("a"), build.entry("b", Service_Service="SVC"), build.entry("c", Service_Service="other")
    )
    asked = codec.decode(body, "svc")
    assert asked.service == "svc" and [node.id for node in asked] == ["a"]
    assert asked.stats.other == 2 and asked.stats.entries == 3 and asked.warning_count == 0
    everything = codec.decode(body)
    assert everything.service == "svc" and [node.id for node in everything] == ["a", "b", "c"]
    assert codec.decode(b"[]").service == "" and codec.decode(b"[]", "svc").service == "svc"


def test_the_index_is_kept(codec: Any) -> None:
    assert codec.decode(b"[]", index=2310).index == 2310
    assert plain.decode_pieces(codec, [b"[]"], index=2310).index == 2310
    assert codec.decode(b"[]").index == 0


def test_the_age_counts_from_when_it_was_taken(codec: Any) -> None:
    assert codec.decode(b"[]").age is None
    taken = time.monotonic() - 100
    snapshot = codec.decode(b"[]", taken=taken)
    assert snapshot.taken == taken
    first = snapshot.age
    assert 100 <= first <= snapshot.age <= time.monotonic() - taken


def test_snapshots_are_equal_by_service_nodes_and_index(codec: Any) -> None:
    body = build.body(*three())
    snapshot = codec.decode(body, index=1)
    assert snapshot == codec.decode(body, index=1, taken=5.0)
    assert snapshot != codec.decode(body, index=2)
    assert snapshot != codec.decode(build.body(*three()[:2]), index=1)
    assert codec.decode(b"[]", "a") != codec.decode(b"[]", "b")
    assert snapshot != 5 and snapshot != snapshot.nodes


def test_a_snapshot_can_be_made_by_hand(codec: Any) -> None:
    nodes = [codec.Node("a"), codec.Node("b")]
    snapshot = codec.Snapshot("svc", nodes)
    assert snapshot.nodes == tuple(nodes) and snapshot.added == snapshot.nodes
    assert snapshot.changed == snapshot.removed == snapshot.warnings == ()
    assert (snapshot.index, snapshot.taken, snapshot.age, snapshot.warning_count) == (0, None, None, 0)
    assert snapshot.stats == Stats()
    warning = DecodeWarning("r", 1, "p", None)
    full = codec.Snapshot(
        "svc", nodes, index=4, taken=1.5, warnings=[warning], warning_count=9, added=nodes[:1], changed=nodes[1:], removed=[nodes[0]], stats=Stats(7)
    )  # fmt: skip
    assert (full.index, full.taken, full.warnings, full.warning_count) == (4, 1.5, (warning,), 9)
    assert (full.added, full.changed, full.removed) == ((nodes[0],), (nodes[1],), (nodes[0],))
    assert full.stats.body_bytes == 7
    assert codec.Snapshot("svc", nodes, warnings=[warning]).warning_count == 1


def test_a_hand_made_snapshot_can_be_the_previous_one(codec: Any) -> None:
    decoded = codec.decode(build.body(*three()))
    by_hand = codec.Snapshot(decoded.service, decoded.nodes)
    after = codec.decode(build.body(*three()), previous=by_hand)
    assert all(new is old for new, old in zip(after, by_hand))


def test_services_group_nodes_by_version(codec: Any) -> None:
    def node(name: str, version: str, endpoint: str, status: str = "passing") -> Dict[str, Any]:
        return build.entry(name, tags=(f"v={version}", 'e={"name":"%s"}' % endpoint), status=status)

    entries = [
        node("a", "2", "A", "critical"),
        node("b", "1", "B"),
        node("c", "2", "C"),
        node("d", "3", "D", "critical"),
    ]
    snapshot = codec.decode(build.body(*entries))
    two, one, three_ = snapshot.services()
    assert (two.version, one.version, three_.version) == ("2", "1", "3")
    assert [n.id for n in two.nodes] == ["c"] and two.endpoints[0].name == "A"
    assert [n.id for n in one.nodes] == ["b"] and one.nodes[0] is snapshot[1]
    assert three_.nodes == () and three_.endpoints[0].name == "D"
    assert {service.name for service in snapshot.services()} == {"svc"}
    assert all(service.metadata is None for service in snapshot.services())
    assert codec.decode(b"[]").services() == []


@pytest.mark.parametrize(
    "checks, status, critical",
    [
        ([], "passing", False),
        ([("c", "passing"), ("d", "warning")], "warning", False),
        ([("c", "critical"), ("d", "warning")], "critical", True),
        ([("c", "Critical"), ("d", "unknown"), ("e", "")], "passing", False),
        ([("_node_maintenance", "critical")], "maintenance", True),
        ([("_node_maintenance", "passing"), ("c", "critical")], "maintenance", True),
        ([("_service_maintenance:web-1", "critical"), ("c", "passing")], "maintenance", True),
        ([("_service_maintenance:", "passing")], "maintenance", False),
        ([("_node_maintenance2", "warning")], "warning", False),
        ([("_service_maintenance", "passing")], "passing", False),
        ([("c", "maintenance")], "passing", False),
    ],
)
def test_the_status_sums_up_the_checks(codec: Any, checks: Any, status: str, critical: bool) -> None:
    given = [{"CheckID": name, "Status": word} for name, word in checks]
    (node,) = codec.decode(build.body(build.entry(Checks=given)))
    assert (node.status, node.critical) == (status, critical)


def test_to_dict_has_go_micros_members(codec: Any) -> None:
    body = build.body(build.entry("a", tags=("v=1", 't={"k":"v"}', "e={}", "t=[]")))
    said = codec.decode(body, index=3).to_dict()
    (warning,) = said.pop("warnings")
    assert said == {
        "service": "svc",
        "index": 3,
        "services": [
            {
                "name": "svc",
                "version": "1",
                "metadata": None,
                "endpoints": [{"name": "", "request": None, "response": None, "metadata": None}],
                "nodes": [{"id": "a", "address": "10.0.0.1", "port": 80, "metadata": {"k": "v"}}],
            }
        ],
        "warning_count": 1,
    }
    assert set(warning) == {"reason", "offset", "path", "node"}


@pytest.mark.parametrize("name", [name for name in recorded.health_names() if name != "health_c"])
def test_to_dict_can_be_written_as_json(codec: Any, name: str) -> None:
    said = codec.decode(recorded.body(name).data).to_dict()
    assert json.loads(json.dumps(said)) == said


# --- Nodes -------------------------------------------------------------------------------------------------


def full_node(codec: Any) -> Any:
    """A node with something in every attribute, decoded."""
    request = {"name": "Q", "type": "Q", "values": [{"name": "a", "type": "int", "values": None}, None]}
    tags = (build.tag("v", "1.0"), build.tag("t", {"k": "v"}), build.tag("e", {"name": "E", "request": request, "metadata": {"m": "n"}}), build.tag("e", None), "prod")  # fmt: skip
    made = build.entry("web-1", tags=tags, status="critical", Service_Meta={"a": "b"}, Node_Meta={"c": "d"}, Service_Weights={"Passing": 10, "Warning": 2})  # fmt: skip
    return codec.decode(build.body(made))[0]


def test_a_node_has_every_attribute(codec: Any) -> None:
    node = full_node(codec)
    assert (node.id, node.name, node.address, node.port) == ("web-1", "svc", "10.0.0.1", 80)
    assert (node.node_name, node.datacenter) == ("n1", "dc1")
    assert (node.version, node.status, node.critical) == ("1.0", "critical", True)
    assert node.metadata == {"k": "v"} and node.meta == {"a": "b"} and node.node_meta == {"c": "d"}
    assert node.tags == ("prod",)
    assert node.weights == Weights(10, 2) and node.weights.passing == 10
    values = (Value("a", "int", None), None)
    assert node.endpoints == (Endpoint("E", Value("Q", "Q", values), None, {"m": "n"}), None)
    assert isinstance(node.endpoints[0], Endpoint) and isinstance(node.weights, Weights)
    assert node.to_dict() == {"id": "web-1", "address": "10.0.0.1", "port": 80, "metadata": {"k": "v"}}


def test_a_node_can_be_made_by_hand(codec: Any) -> None:
    node = full_node(codec)
    by_hand = codec.Node(
        "web-1", "10.0.0.1", 80, metadata={"k": "v"}, version="1.0", endpoints=list(node.endpoints), status="critical",
        critical=True, name="svc", node_name="n1", datacenter="dc1", tags=["prod"], meta={"a": "b"}, node_meta={"c": "d"},
        weights=Weights(10, 2),
    )  # fmt: skip
    assert by_hand == node and hash(by_hand) == hash(node)
    assert plain.node(by_hand) == plain.node(node)


@pytest.mark.parametrize(
    "wrong",
    [{"port": 1.5}, {"port": True}, {"port": "80"}, {"tags": "prod"}, {"tags": [1]}, {"weights": (1.5, 2)},
     {"weights": ("x", "y")}, {"weights": (True, 1)}, {"weights": (1, 2, 3)}, {"endpoints": ["e"]}, {"name": 1}],
)  # fmt: skip
def test_a_node_by_hand_of_other_types_is_refused(codec: Any, wrong: Dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        codec.Node("a", **wrong)


def test_a_node_by_hand_has_defaults(codec: Any) -> None:
    assert plain.node(codec.Node("a")) == {
        "id": "a", "address": "", "port": 0, "name": "", "node_name": "", "datacenter": "", "version": "", "metadata": {},
        "endpoints": [], "tags": [], "meta": {}, "node_meta": {}, "weights": (1, 1), "status": "passing", "critical": False,
    }  # fmt: skip


def test_equality_looks_at_every_attribute(codec: Any) -> None:
    base: Dict[str, Any] = {
        "id": "a", "address": "h", "port": 1, "metadata": {"k": "v"}, "version": "1", "endpoints": (Endpoint("E"),),
        "status": "passing", "critical": False, "name": "svc", "node_name": "n", "datacenter": "dc", "tags": ("x",),
        "meta": {"k": "v"}, "node_meta": {"k": "v"}, "weights": Weights(1, 1),
    }  # fmt: skip
    other: Dict[str, Any] = {
        "id": "b", "address": "i", "port": 2, "metadata": {"k": "w"}, "version": "2", "endpoints": (Endpoint("F"),),
        "status": "warning", "critical": True, "name": "svc2", "node_name": "m", "datacenter": "dd", "tags": ("x", "y"),
        "meta": {}, "node_meta": {"k": "v", "l": ""}, "weights": Weights(1, 2),
    }  # fmt: skip
    node = codec.Node(**base)
    assert node == codec.Node(**base) and hash(node) == hash(codec.Node(**base))
    for name, value in other.items():
        assert node != codec.Node(**{**base, name: value}), name
    assert node != "a" and node != 5


def test_nodes_can_be_keys(codec: Any) -> None:
    body = build.body(*three())
    counts = dict.fromkeys(codec.decode(body), 0)
    for node in codec.decode(body):
        counts[node] += 1
    assert list(counts.values()) == [1, 1, 1]


def test_nothing_can_be_changed(codec: Any) -> None:
    node = full_node(codec)
    snapshot = codec.decode(build.body(build.entry()))
    for thing, names in ((node, plain.node(node)), (snapshot, plain.snapshot(snapshot))):
        for name in [*names, "anything_else"]:
            with pytest.raises(AttributeError):
                setattr(thing, name, 1)
            if name != "anything_else":
                with pytest.raises(AttributeError):
                    delattr(thing, name)
    for mapping in (node.metadata, node.meta, node.node_meta, node.endpoints[0].metadata):
        with pytest.raises(TypeError):
            mapping["k"] = "x"
    with pytest.raises(TypeError):
        snapshot[0] = node
    assert isinstance(node.tags, tuple) and isinstance(node.endpoints, tuple) and isinstance(snapshot.nodes, tuple)


def test_a_node_by_hand_does_not_follow_its_arguments(codec: Any) -> None:
    metadata, meta, tags = {"k": "v"}, {"k": "v"}, ["x"]
    node = codec.Node("a", metadata=metadata, meta=meta, tags=tags)
    metadata["k"] = meta["k"] = tags[0] = "changed"
    assert node.metadata == node.meta == {"k": "v"} and node.tags == ("x",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_everything_can_be_pickled(codec: Any, protocol: int) -> None:
    node = full_node(codec)
    again = pickle.loads(pickle.dumps(node, protocol))
    assert again == node and plain.node(again) == plain.node(node) and type(again) is type(node)
    snapshot = codec.decode(build.body(*three(), None, build.entry("z", tags=("v-zz",))), index=7, taken=1.0)
    kept = pickle.loads(pickle.dumps(snapshot, protocol))
    assert kept == snapshot and plain.snapshot(kept) == plain.snapshot(snapshot) and type(kept) is type(snapshot)


def test_a_pickled_recorded_body_is_the_same(codec: Any) -> None:
    snapshot = codec.decode(recorded.body("health_unicode").data)
    assert plain.snapshot(pickle.loads(pickle.dumps(snapshot))) == plain.snapshot(snapshot)


def test_a_copy_is_the_same_object(codec: Any) -> None:
    node = full_node(codec)
    assert copy.copy(node) is node and copy.deepcopy(node) is node
    snapshot = codec.decode(build.body(*three()))
    assert copy.copy(snapshot) == snapshot and copy.deepcopy(snapshot) == snapshot
    assert copy.deepcopy(snapshot)[0] is snapshot[0]


def test_a_repr_is_short_and_says_what_it_is(codec: Any) -> None:
    node = full_node(codec)
    assert repr(node).startswith("Node(") and "web-1" in repr(node) and "10.0.0.1" in repr(node)
    snapshot = codec.decode(recorded.body("health_b").data)
    assert "Snapshot" in repr(snapshot) and "go.micro.srv.orders" in repr(snapshot) and "200" in repr(snapshot)
    assert len(repr(snapshot)) < 300


@pytest.mark.parametrize(
    "address, port, target",
    [
        ("10.0.0.1", 80, "10.0.0.1:80"),
        ("10.0.0.1", 0, "10.0.0.1:0"),
        ("host.example.com", 443, "host.example.com:443"),
        ("queue", 0, "queue"),
        ("fd00::1", 80, "[fd00::1]:80"),
        ("[fd00::1]", 80, "[fd00::1]:80"),
        ("10.0.0.1:90", 80, "[10.0.0.1:90]:80"),
        ("10.0.0.1", -1, "10.0.0.1:-1"),
    ],
)
def test_the_target_joins_address_and_port(codec: Any, address: str, port: int, target: str) -> None:
    assert codec.Node("a", address, port).target == target
    assert codec.decode(build.body(build.entry(address=address, port=port)))[0].target == target


def test_threads_may_read_a_fresh_snapshot_at_once(codec: Any) -> None:
    body = recorded.body("health_b").data
    expected = [plain.node(node) for node in codec.decode(body)]
    for _ in range(3):
        snapshot, together = codec.decode(body), threading.Barrier(4)
        results: List[SimpleNamespace] = []

        def read(snapshot: Any = snapshot, together: Any = together, results: Any = results) -> None:
            together.wait(60)
            read = [(node.metadata, node.endpoints, node.meta) for node in snapshot]
            results.append(SimpleNamespace(objects=read, plain=[plain.node(node) for node in snapshot]))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 4
        assert all(result.plain == expected for result in results)
        assert all(result.objects == results[0].objects for result in results)


def test_metadata_is_made_once_for_each_record(codec: Any) -> None:
    tags = (build.tag("e", {"name": "E", "metadata": {"k": "v"}}),)
    snapshot = codec.decode(build.body(build.entry("a", tags=tags), build.entry("b", tags=tags)))
    assert snapshot[0].endpoints[0] is snapshot[1].endpoints[0]


def test_a_node_outlives_its_snapshot(codec: Any) -> None:
    node = full_node(codec)
    gc.collect()
    assert node.endpoints[0].name == "E" and node.metadata == {"k": "v"}


def test_limits_do_not_stay_with_a_snapshot(codec: Any) -> None:
    """A node that was decoded under wide limits is taken over under the same content, not decoded again."""
    before = codec.decode(build.body(*three()))
    after = codec.decode(build.body(*three()), previous=before, limits=Limits(decompressed_bytes=10**6))
    assert after[0] is before[0]


# --- Whoever serves it -------------------------------------------------------------------------------------


class Keeper:
    def is_stale(self, snapshot: Any) -> bool:
        return True

    def is_held(self, snapshot: Any) -> bool:
        return True

    def explain(self, snapshot: Any) -> str:
        return f"{snapshot.service} is served"


def test_what_a_snapshot_says_of_itself_is_said_by_whoever_serves_it(codec: Any) -> None:
    snapshot = codec.decode(build.body(*three()), "svc", index=7)
    assert snapshot.explain() == "svc: a snapshot with 3 nodes (index 7) that no cache serves"
    assert snapshot.stale is snapshot.held is False
    keeper, other = Keeper(), Keeper()
    snapshot._attach(weakref.ref(keeper))
    snapshot._attach(weakref.ref(other))
    assert snapshot.explain() == "svc is served"
    assert snapshot.stale is snapshot.held is True
    del keeper
    gc.collect()
    assert snapshot.explain() == "svc: a snapshot with 3 nodes (index 7) that no cache serves any more"
    assert (snapshot.stale, snapshot.held) == (True, False)


def test_whoever_serves_it_is_not_copied(codec: Any) -> None:
    keeper = Keeper()
    snapshot = codec.Snapshot("svc", index=7, taken=time.monotonic())
    snapshot._attach(weakref.ref(keeper))
    again = pickle.loads(pickle.dumps(snapshot))
    assert again == snapshot
    assert re.fullmatch(
        r"svc: a snapshot with 0 nodes \(index 7, taken \d\.\d s ago\) that no cache serves", again.explain()
    )


def test_one_of_many_serves_it(codec: Any) -> None:
    """All see the same one, whoever came first."""
    for _ in range(20):
        snapshot = codec.Snapshot("svc")
        keepers = [Keeper() for _ in range(4)]
        for number, keeper in enumerate(keepers):
            keeper.explain = lambda snapshot, number=number: str(number)  # type: ignore[method-assign]

        def attach(number: int, snapshot: Any = snapshot, keepers: Any = keepers) -> str:
            snapshot._attach(weakref.ref(keepers[number]))
            return snapshot.explain()

        assert len(set(together(4, attach))) == 1
