"""The same records in every form that tags have: bodies of one service, with so many endpoints a node."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Callable, Dict, List

from regcache.codec import decode_tags, encode_compact, encode_tags
from regcache.model import Endpoint, Record
from tests import recorded

__all__ = ["ENDPOINTS", "FORMS", "NODES", "SHARING", "body", "entry", "record"]

#: Endpoints of a node.
ENDPOINTS = (1, 2, 4, 8, 16, 30, 60)
#: Nodes of a body.
NODES = 100
FORMS: Dict[str, Callable[[Record], List[str]]] = {
    "go-micro": encode_tags,
    "compact": lambda record: [encode_compact(record, dictionary=0)],
    "compact-dictionary": lambda record: [encode_compact(record)],
    "both": lambda record: encode_tags(record, form="both"),
}
#: What the nodes of a body have in common. A tag is decoded once, however many nodes have it.
SHARING = {
    "everything": "all nodes say the same",
    "endpoints": "each node has one metadata pair of its own",
    "nothing": "no tag of a node is another's",
}
VERSION = "2024.05.17.1201"
METADATA = {"broker": "http", "protocol": "mucp", "registry": "consul", "server": "rpc", "transport": "http"}


@lru_cache(maxsize=None)
def _endpoints() -> List[Endpoint]:
    """Endpoints that go-micro's own extractor made, each name once: recorded, so no dictionary was trained on them."""
    found: Dict[str, Endpoint] = {}
    for line in recorded.lines("gomicro_vectors.jsonl.zst"):
        if line["category"] == "real":
            for endpoint in decode_tags(line["tags"]).endpoints:
                if endpoint is not None:
                    found.setdefault(endpoint.name, endpoint)
    return list(found.values())


def record(endpoints: int, node: int = 0, sharing: str = "everything") -> Record:
    """A record with so many endpoints, six metadata pairs and a version."""
    taken = tuple(_endpoints()[:endpoints])
    assert len(taken) == endpoints, "so many endpoints were not recorded"
    if sharing == "everything":
        return Record(VERSION, True, {**METADATA, "zone": "eu-west-1a"}, taken)
    if sharing == "endpoints":
        return Record(VERSION, True, {**METADATA, "zone": f"eu-west-1{'abc'[node % 3]}-{node // 3}"}, taken)
    named = tuple([endpoint._replace(name=f"{endpoint.name}{node}") for endpoint in taken])
    return Record(f"{VERSION}.{node}", True, {key: f"{value}{node}" for key, value in METADATA.items()}, named)


def body(form: str, endpoints: int, sharing: str) -> bytes:
    """A health body as Consul writes it, the tags repeated in the check."""
    entries = [entry(i, FORMS[form](record(endpoints, i, sharing))) for i in range(NODES)]
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()


def entry(i: int, tags: List[str]) -> Dict[str, Any]:
    """One node of a body, as Consul writes it."""
    service, node, address = "go.micro.srv.catalog", f"worker-{i % 25}", f"10.0.{i // 250}.{i % 250 + 1}"
    identity = f"{service}-{i:08x}-53b1-11e9-8647-d663bd873d93"
    check = {
        "Node": node, "CheckID": f"service:{identity}", "Name": "Service TTL check", "Status": "passing", "Notes": "",
        "Output": "", "ServiceID": identity, "ServiceName": service, "ServiceTags": tags, "Type": "ttl",
        "Definition": {}, "CreateIndex": 100 + i, "ModifyIndex": 200 + i,
    }  # fmt: skip
    return {
        "Node": {
            "ID": f"{i % 25:08x}-9d6b-4b8e-a3c5-6c1a1d0c7c11", "Node": node, "Address": address, "Datacenter": "dc1",
            "TaggedAddresses": {"lan": address, "wan": address}, "Meta": {"consul-network-segment": ""},
            "CreateIndex": 5, "ModifyIndex": 6,
        },
        "Service": {
            "ID": identity, "Service": service, "Tags": tags, "Address": address, "Meta": None, "Port": 20_000 + i,
            "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": False, "Proxy": {"MeshGateway": {}},
            "Connect": {}, "CreateIndex": 100 + i, "ModifyIndex": 100 + i,
        },
        "Checks": [check],
    }  # fmt: skip
