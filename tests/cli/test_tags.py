"""``regcache tags``: what go-micro's tags say, which nobody can read (go-micro#667, #153)."""

from __future__ import annotations

import gzip
import json
from typing import Any, List

import pytest

from tests import build
from tests.codec.test_vectors import VECTORS, ours

from .conftest import Run, typed

#: The tag of go-micro#667.
REGISTRY = "t-789caa562a4a4dcf2c2e29aa54b2524acecf2b2ecd51aa05040000ffff560f07c8"

ENDPOINT = {
    "name": "Greeter.Hello",
    "request": {
        "name": "Request",
        "type": "HelloRequest",
        "values": [
            {"name": "name", "type": "string"},
            {"name": "where", "type": "Place", "values": [{"name": "city", "type": "string"}]},
        ],
    },
    "response": {"name": "Response", "type": "HelloResponse", "values": [{"name": "msg", "type": "string"}]},
    "metadata": {"stream": "false"},
}
CONTENT = {"v": "1.2.3", "t": {"broker": "http", "a": "1"}, "e": ENDPOINT}
FORMS = {
    "new": [build.tag(kind, content) for kind, content in CONTENT.items()],
    "old": [f"{kind}={content if kind == 'v' else json.dumps(content)}" for kind, content in CONTENT.items()],
}
SAID = """\
version     1.2.3
metadata    a       = 1
            broker  = http
endpoints   Greeter.Hello
              request   HelloRequest
                name    string
                where   Place
                  city  string
              response  HelloResponse
                msg     string
              metadata  stream=false
"""


def test_the_tag_that_somebody_asked_about(run: Run) -> None:
    assert run("tags", REGISTRY) == (0, "metadata    registry  = consul\n", "")
    assert typed("tags", REGISTRY) == run("tags", REGISTRY)


@pytest.mark.parametrize("form", FORMS)
def test_version_metadata_and_endpoints(run: Run, form: str) -> None:
    assert run("tags", *FORMS[form]) == (0, SAID, "")


@pytest.mark.parametrize("form", FORMS)
def test_the_same_as_json(run: Run, form: str) -> None:
    done = run("tags", "--json", *FORMS[form])
    assert done.code == 0
    said = json.loads(done.out)
    assert (said["version"], said["metadata"], said["tags"]) == (CONTENT["v"], CONTENT["t"], [])
    (endpoint,) = said["endpoints"]
    assert (endpoint["name"], endpoint["metadata"]) == (ENDPOINT["name"], ENDPOINT["metadata"])
    assert said["warnings"] == []


def printable(tag: str) -> bool:
    """Can it be typed, as one argument that is neither an option nor standard input?"""
    return bool(tag) and "\0" not in tag and not tag.startswith("-")


@pytest.mark.parametrize("category", sorted({line["category"] for line in VECTORS.values()} - {"json-deep"}))
def test_json_is_what_go_micro_reads_in_the_tags(run: Run, category: str) -> None:
    compared = 0
    for name, line in VECTORS.items():
        if line["category"] != category or "endpoints_json" in line or not all(map(printable, line["tags"] or [""])):
            continue
        done = run("tags", "--json", *line["tags"])
        if not done.out:
            continue  # nothing in it can be used
        expected = {**line, **(ours("vectors", name) or {})}
        said = json.loads(done.out)
        assert said["metadata"] == expected["metadata"], name
        assert said["version"] == expected["version"], name
        assert (said["endpoints"] or None) == (expected["endpoints"] or None), name
        compared += 1
    assert compared


def test_tags_of_others_are_listed(run: Run) -> None:
    assert run("tags", "v=1", "prod", "eu-west-1") == (0, "version     1\nother tags  prod, eu-west-1\n", "")


def test_an_empty_version_is_one(run: Run) -> None:
    assert run("tags", "v=") == (0, "version     \n", "")


# -- standard input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        "\n".join(FORMS["new"]).encode(),
        "\r\n".join(["", *FORMS["old"], ""]).encode(),
        json.dumps(FORMS["new"]).encode(),
        json.dumps(FORMS["old"], indent=2).encode(),
        gzip.compress("\n".join(FORMS["old"]).encode()),
    ],
    ids=["lines", "lines of Windows", "list", "indented list", "gzip"],
)
def test_standard_input(run: Run, data: bytes) -> None:
    """One tag a line, or the list that Consul has them in."""
    assert run("tags", "-", stdin=data) == (0, SAID, "")


def test_the_tags_of_a_node_as_curl_shows_them(run: Run) -> None:
    assert typed("tags", "-", stdin=json.dumps([REGISTRY]).encode()) == run("tags", REGISTRY)


def test_lines_that_only_begin_like_a_list_are_lines(run: Run) -> None:
    assert run("tags", "-", stdin=b"[prod]\nv=1\n").out == "version     1\nother tags  [prod]\n"


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "standard input is empty"),
        (b" \n\r\n", "standard input is empty"),
        (b'["a", 1]', "standard input is JSON, but a list of strings is wanted"),
        (b'{"a": 1}', "standard input is JSON, but a list of strings is wanted"),
        (b"[null]", "standard input is JSON, but a list of strings is wanted"),
    ],
)
def test_standard_input_that_holds_no_tags(run: Run, data: bytes, said: str) -> None:
    assert run("tags", "-", stdin=data).complaint == said


def test_a_line_of_many_brackets_is_a_tag(run: Run) -> None:
    assert run("tags", "-", stdin=b"[" * 100_000).code == 0


def test_the_help_tells_of_all_tags_that_are_read(run: Run) -> None:
    assert "(m~)" in run("tags", "--help").out


# -- broken tags -------------------------------------------------------------------------------------------------------

BROKEN = {
    "t-zz": "tag 1, 't-zz': not a hex digit",
    "t-7": "tag 1, 't-7': an odd number of hex digits",
    "t-00": "tag 1, 't-00': the zlib stream is ",
    REGISTRY[:40]: f"tag 1, {REGISTRY[:24]!r}...: the zlib stream is cut short",
    build.packed("t", b"{"): "tag 1, 't-",
    "e={]": "tag 1, 'e={]': the record is not JSON",
}


@pytest.mark.parametrize("tag, said", BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_tag_alone_is_an_error(run: Run, tag: str, said: str) -> None:
    done = run("tags", tag)
    assert done.code == 1 and done.out == ""
    assert done.complaint.startswith(said)


@pytest.mark.parametrize("tag, said", BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_tag_costs_that_tag_alone(run: Run, tag: str, said: str) -> None:
    done = run("tags", tag, "v=1", "prod")
    assert done.code == 0 and done.err == ""
    assert done.lines[:-1] == ["version     1", "other tags  prod", "", "1 warning:"]
    assert done.lines[-1].startswith("  " + said)


def test_a_broken_version_alone_is_an_error(run: Run) -> None:
    assert run("tags", "v-00").complaint.startswith("tag 1, 'v-00': the zlib stream is ")


def test_a_broken_version_is_an_empty_one_as_in_go_micro(run: Run) -> None:
    done = run("tags", "v-00", "v=1", "prod")
    assert done.code == 0 and done.lines[:2] == ["version     ", "other tags  prod"]
    assert done.lines[-1].startswith("  tag 1, 'v-00': the zlib stream is ")


def test_broken_tags_as_json(run: Run) -> None:
    """JSON is written whatever it says, so that a program need not read the message."""
    done = run("tags", "--json", "t-zz", "t-7")
    assert done.code == 1
    assert [warning["path"] for warning in json.loads(done.out)["warnings"]] == ["[0]", "[1]"]
    assert done.complaint == "tag 1, 't-zz': not a hex digit; tag 2, 't-7': an odd number of hex digits"


@pytest.mark.parametrize("tags", [["v=\udcff"], ["\udcff"], ['t={"\udcff":""}']])
def test_an_argument_that_is_not_utf_8(run: Run, tags: List[Any]) -> None:
    """Python hands such arguments over with surrogates in them. As in Go, U+FFFD stands for each such byte."""
    done = run("tags", *tags)
    assert done.code == 0 and done.err == ""
    assert "\ufffd" in done.out


@pytest.mark.parametrize("depth", [500, 4000])
def test_deep_messages_are_shown(run: Run, depth: int) -> None:
    """Deeper than Python calls functions; json may give up, but says so."""
    text = '{"name":"E","request":' + '{"name":"n","values":[' * depth + "]}" * depth + "}"
    tag = build.packed("e", text.encode())
    shown = run("tags", tag)
    assert shown.code == 0 and len(shown.lines) == depth + 1
    done = run("tags", "--json", tag)
    if done.code:
        assert done.complaint == "the records are nested too deeply to be written as JSON"
