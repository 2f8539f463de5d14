"""The recorded data under ``data/``: what a real Consul agent sent and what the real go-micro made of it."""

from __future__ import annotations

import gzip
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote

import zstandard

DATA = Path(__file__).parent / "data"
GOMICRO = DATA / "gomicro"

#: The releases whose answers are recorded. The first keeps address and port apart, the others join them.
APART, *JOINED = "go-micro v1.1.0", "go-plugins v1.5.1", "go-micro v6.10.0"


class Body(NamedTuple):
    """One recorded answer of a Consul agent."""

    name: str
    #: The path that was asked for, without its query.
    path: str
    status: int
    data: bytes

    @property
    def service(self) -> Optional[str]:
        """The service asked for, where this is the answer to a health request that succeeded."""
        asked = self.path.rpartition("/")
        return unquote(asked[2]) if asked[0] in ("/v1/health/service", "/v1/health/connect") else None


def read(path: Path) -> bytes:
    """A file's content; ``.zst`` and ``.gz`` are unpacked."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def lines(name: str) -> List[Dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    return [json.loads(line) for line in read(GOMICRO / name).splitlines()]


@lru_cache(maxsize=None)
def bodies() -> Dict[str, Body]:
    """Every recorded body by name, ``health_c`` (22.6 MB) left out."""
    found = {}
    for line in lines("consul_responses.jsonl"):
        if line["name"] != "health_c":
            data = read(GOMICRO / line["body_file"])
            found[line["name"]] = Body(line["name"], line["path"].partition("?")[0], line["status"], data)
    return found


def health_c() -> Body:
    """2,000 nodes, 22.6 MB. Not kept, so that nothing else pays for it."""
    data = read(GOMICRO / "consul" / "health_c.json.zst")
    return Body("health_c", "/v1/health/service/go.micro.srv.catalog", 200, data)


def health_names() -> List[str]:
    """The bodies that are lists of health entries, the large one included."""
    return [name for name, body in bodies().items() if body.service and body.status == 200] + ["health_c"]


def body(name: str) -> Body:
    return health_c() if name == "health_c" else bodies()[name]


def expected(name: str) -> Dict[str, Any]:
    """What the releases returned for a recorded body."""
    for suffix in (".json", ".json.zst"):
        path = GOMICRO / "expected" / (name + suffix)
        if path.exists():
            return dict(json.loads(read(path)))
    raise FileNotFoundError(name)


@lru_cache(maxsize=None)
def differences() -> Dict[Tuple[str, str], Dict[str, Any]]:
    """The table of documented differences: (source, id) -> its line."""
    table = json.loads((DATA / "differences.json").read_text(encoding="utf-8"))
    found = {(line["source"], line["id"]): line for line in table}
    assert len(found) == len(table), "a difference is listed twice"
    return found
