"""``regcache decode``: a recorded body as a table or as JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
import zstandard

from regcache.cli.source import chunks
from tests import build, recorded
from tests.codec.test_vectors import EDGE, by_version, edge_body, ours, sentence

from .conftest import Run, typed

FILES = {line["name"]: recorded.GOMICRO / line["body_file"] for line in recorded.lines("consul_responses.jsonl")}

#: Two nodes of one service; one tag of the first, and the port of the second, cannot be used.
HALF_BROKEN = build.body(
    build.entry("a", tags=("t-zz", "v=1", "prod")),
    build.entry("b", port="x"),
)
TAG_AT = HALF_BROKEN.index(b'"t-zz"')
PORT_AT = HALF_BROKEN.index(b'"x"')


# -- JSON --------------------------------------------------------------------------------------------------------------


def warned(done: Any) -> List[str]:
    return [warning["reason"] for warning in json.loads(done.out)["warnings"]]


@pytest.mark.parametrize("name", recorded.health_names())
def test_json_is_what_get_service_returned(run: Run, name: str) -> None:
    """In the files as they were recorded: plain, gzip and zstd."""
    expected = recorded.expected(name)
    here = ours("recorded", name)
    done = run("decode", "--json", FILES[name], "--service", expected["requested"])
    assert done.code == 0 and done.err == ""
    said = json.loads(done.out)
    assert set(said) == {"services", "warnings"}
    assert by_version(said["services"]) == (by_version((here or expected[recorded.APART])["services"]) or [])
    if here:
        assert warned(done) == [sentence(code) for code in here["warnings"]]


@pytest.mark.parametrize("name", EDGE)
def test_json_of_an_odd_body(run: Run, name: str) -> None:
    line = EDGE[name]
    if not line["requested"]:
        pytest.skip("the command line has no empty service")
    expected: Dict[str, Any] = ours("edge", name) or line[recorded.APART]
    done = run("decode", "--json", "-", "--service", line["requested"], stdin=edge_body(line))
    if "error" in expected:
        assert done.code == 1 and done.out == ""
        assert done.complaint.startswith(("-: byte ", "-: is empty"))
    else:
        assert done.code == 0
        assert by_version(json.loads(done.out)["services"]) == (by_version(expected["services"]) or [])


def test_json_lists_the_warnings(run: Run) -> None:
    done = run("decode", "--json", "-", stdin=HALF_BROKEN)
    assert done.code == 0
    assert json.loads(done.out)["warnings"] == [
        {"reason": "not a hex digit", "offset": TAG_AT, "path": "[0].Service.Tags[0]", "node": "a"},
        {"reason": "an integer was expected", "offset": PORT_AT, "path": "[1].Service.Port", "node": "b"},
    ]


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_table_has_a_line_for_each_node(run: Run) -> None:
    done = run("decode", FILES["health_a"])
    assert done.code == 0 and done.err == ""
    said = json.loads(run("decode", "--json", FILES["health_a"]).out)
    (service,) = said["services"]
    assert done.lines[0] == f"{service['name']}: 3 nodes in 1 version, 3 passing"
    assert f"version {service['version']}: 3 nodes, 3 passing" in done.lines
    for node in service["nodes"]:
        (row,) = [line for line in done.lines if node["id"] in line]
        assert row.split()[:3] == [node["id"], f"{node['address']}:{node['port']}", "passing"]
    for endpoint in service["endpoints"]:
        assert endpoint["name"] in done.out
    for key, value in service["nodes"][0]["metadata"].items():
        assert f"{key}={value}" in done.out


def test_a_table_shows_nodes_that_may_not_be_picked(run: Run) -> None:
    """GetService leaves them out; whoever looks wants to know."""
    body = build.body(*(build.entry(status, status=status) for status in ("passing", "warning", "critical")))
    done = run("decode", "-", stdin=body)
    assert done.lines[0] == "svc: 3 nodes in 1 version, 1 passing, 1 warning, 1 critical"
    assert [line.split()[2] for line in done.lines[-3:]] == ["passing", "warning", "critical"]


def test_a_table_ends_with_the_warnings(run: Run) -> None:
    done = run("decode", "-", stdin=HALF_BROKEN)
    assert done.code == 0 and done.err == ""
    assert done.lines[-3:] == [
        "2 warnings:",
        f"  byte {TAG_AT}, [0].Service.Tags[0] (node 'a'): not a hex digit",
        f"  byte {PORT_AT}, [1].Service.Port (node 'b'): an integer was expected",
    ]


def test_more_warnings_than_are_kept_are_counted(run: Run) -> None:
    done = run("decode", "-", stdin=build.body(*[None] * 1234))
    assert "1,234 warnings:" in done.lines and done.lines[-1] == "  and 1,134 more"


@pytest.mark.parametrize("body", [b"[]", b"null"])
def test_no_nodes(run: Run, body: bytes) -> None:
    assert run("decode", "-", stdin=body) == (0, "(no service): no nodes\n", "")
    assert json.loads(run("decode", "-", "--json", stdin=body).out) == {"services": [], "warnings": []}


def test_service_leaves_the_others_out(run: Run) -> None:
    body = build.body(build.entry("a"), build.entry("b", Service_Service="other"))
    assert run("decode", "-", stdin=body).lines[0] == "2 services: 2 nodes in 2 versions, 2 passing"
    assert run("decode", "-", "--service", "other", stdin=body).lines[0] == "other: 1 node in 1 version, 1 passing"
    assert run("decode", "-", "--service", "none", stdin=body) == (0, "none: no nodes\n", "")


# -- strict ------------------------------------------------------------------------------------------------------------


def test_strict_stops_at_the_first_part_that_cannot_be_used(run: Run) -> None:
    done = run("decode", "--strict", "-", stdin=HALF_BROKEN)
    assert done.code == 1 and done.out == ""
    assert done.complaint == f"-: byte {TAG_AT}, [0].Service.Tags[0] (node 'a'): not a hex digit"


def test_strict_changes_nothing_where_all_is_well(run: Run) -> None:
    assert run("decode", "--strict", FILES["health_b"]) == run("decode", FILES["health_b"])


# -- where the body comes from -------------------------------------------------------------------------------------------

MIB = 1024 * 1024
BODY = recorded.body("health_b").data
FORMS = {
    "plain": BODY,
    "gzip": gzip.compress(BODY),
    "two gzip members": gzip.compress(BODY[:77]) + gzip.compress(BODY[77:]),
    "zstd": zstandard.compress(BODY),
    "two zstd frames": zstandard.compress(BODY[:77]) + zstandard.compress(BODY[77:]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_packed_body_is_unpacked_whatever_its_name(run: Run, tmp_path: Path, form: str) -> None:
    file = tmp_path / "body"
    file.write_bytes(FORMS[form])
    said = run("decode", FILES["health_b"])
    assert said.code == 0
    assert run("decode", file) == said
    assert run("decode", "-", stdin=FORMS[form]) == said


@pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
def test_standard_input_of_a_process(form: str) -> None:
    done = typed("decode", "-", stdin=FORMS[form])
    assert done.code == 0 and done.err == ""
    assert ": 200 nodes in 2 versions, 193 passing, 3 warning, 4 critical" in done.lines[0]


@pytest.mark.parametrize("form", ["gzip", "two gzip members", "zstd", "two zstd frames"])
@pytest.mark.parametrize("damage", ["cut short", "followed by something else"])
def test_a_damaged_packed_body_is_said_so(run: Run, form: str, damage: str) -> None:
    data = FORMS[form][:-9] if damage == "cut short" else FORMS[form] + b"something else"
    done = run("decode", "-", stdin=data)
    assert done.code == 1 and done.out == ""
    assert done.complaint.startswith("-: packed data that is cut short or damaged")


@pytest.mark.parametrize("head", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd\xff"])
def test_the_mere_beginning_of_a_packed_body(run: Run, head: bytes) -> None:
    assert run("decode", "-", stdin=head).complaint.startswith("-: packed data that is cut short or damaged")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_no_piece_is_large_however_well_it_is_packed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "body"
    file.write_bytes(pack(bytes(40 * MIB)))
    sizes = [len(piece) for piece in chunks(str(file))]
    assert sum(sizes) == 40 * MIB and max(sizes) <= 8 * MIB


# -- what people get wrong -----------------------------------------------------------------------------------------------


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "nothing.json"
    assert run("decode", file).complaint == f"{file}: No such file or directory"


def test_a_folder(run: Run, tmp_path: Path) -> None:
    assert run("decode", tmp_path).complaint == f"{tmp_path}: Is a directory"


def test_a_name_that_no_file_has(run: Run) -> None:
    assert "embedded null" in run("decode", "a\0b").complaint


@pytest.mark.parametrize(
    "template, path, said",
    [
        (b'[{"Service":{"ID":"a" @@"Port":1}}]', "[0].Service", "',' or the end"),
        (b'[{},{"Service":{"Tags":["a",n@@il]}}]', "[1].Service.Tags[1]", "true, false or null"),
        (b'[{"Service":{"ID":"a@@\n"}}]', "[0].Service.ID", "a control character in a string"),
        (b'[{"Service":{"ID":"a@@\xff"}}]', "[0].Service.ID", "invalid UTF-8"),
        (b"[{}@@", "", "the body ends before the list does"),
        (b"[] @@x", "", "data after the end of the list"),
        (b'@@{"a":1}', "", "the body is not a list"),
        (b"@@<html>404 page not found</html>", "", "a JSON value was expected"),
    ],
)
def test_a_broken_body_is_refused_with_byte_and_path(run: Run, template: bytes, path: Optional[str], said: str) -> None:
    body, offset = build.marked(template)
    done = run("decode", "-", stdin=body)
    assert done.code == 1 and done.out == ""
    file, place, reason = done.complaint.split(": ", 2)
    assert file == "-"
    assert place.partition(" (node")[0] == f"byte {offset}" + (f", {path}" if path else "")
    assert said in reason


def test_no_body_at_all(run: Run) -> None:
    """As of a download that failed."""
    assert run("decode", "-", stdin=b"") == (1, "", "regcache: -: is empty\n")


def test_a_mistake_shows_no_traceback() -> None:
    for arguments in (("decode", "/nothing"), ("decode", "/"), ("decode", "-")):
        assert "Traceback" not in typed(*arguments, stdin=b"{").complaint


@pytest.mark.parametrize("options", [[], ["--json"], ["--strict"], ["--service", "greeter"]])
def test_a_body_of_the_catalog_is_named(run: Run, options: List[str]) -> None:
    said = {"Node": "n", "Address": "10.0.0.1", "ServiceID": "greeter-1", "ServiceName": "greeter", "ServicePort": 80}
    done = run("decode", "-", *options, stdin=json.dumps([said]).encode())
    assert done.code == 1 and done.out == ""
    assert done.complaint == (
        "-: byte 10, [0].Node: an object was expected; this looks like /v1/catalog/service, and /v1/health/service is wanted"
    )
