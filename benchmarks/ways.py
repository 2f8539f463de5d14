"""The ways to read a body that are compared, by name. Each is prepared, and then the prepared work is measured."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from regcache.codec import compiled, pure
from tests import recorded

from .baselines import best, naive
from .baselines.plain import Everything, Short

__all__ = ["BODIES", "EVERYTHING", "HELD", "LARGE", "VERSIONS", "body"]

CHUNK = 64 * 1024
BODIES = ("health_a", "health_b", "health_c")
#: Those whose decoding takes long enough to disturb others.
LARGE = BODIES[1:]

Work = Callable[[], Any]

_read: Dict[str, Any] = {}


def body(name: str) -> Any:
    """A recorded body. Read once and kept, so that reading it is in no measurement."""
    if name not in _read:
        _read[name] = recorded.body(name)
    return _read[name]


def _whole(codec: Any, taken: Any, previous: Any = None) -> Work:
    """The whole body in one piece."""
    return lambda: codec.decode(taken.data, taken.service, previous=previous)


def _in_chunks(codec: Any, taken: Any, previous: Any = None) -> Work:
    """The body in pieces, as it comes from a registry."""

    def work() -> Any:
        decoder = codec.Decoder(taken.service, previous=previous)
        with memoryview(taken.data) as view:
            for start in range(0, len(view), CHUNK):
                decoder.feed(view[start : start + CHUNK])
        return decoder.finish()

    return work


def _short(nodes: Any) -> List[Short]:
    return [(node.address, node.port, node.version) for node in nodes]


def _everything(nodes: Any) -> List[Everything]:
    return [(node.address, node.port, node.version, node.metadata, node.endpoints) for node in nodes]


def _snapshot(codec: Any, read: Callable[[Any], Any], how: Any, refresh: bool = False) -> Callable[[Any], Work]:
    """One of our codecs: the snapshot is made, and then what is wanted is read from each of its nodes."""

    def prepare(taken: Any) -> Work:
        previous = codec.decode(taken.data, taken.service) if refresh else None
        if refresh:
            read(previous)
        decode = how(codec, taken, previous)
        return lambda: read(decode())

    return prepare


def _beside(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What is read, and what it was read from."""
    return lambda nodes: (nodes, read(nodes))


def _cold(way: Callable[..., Any]) -> Callable[[Any], Work]:
    return lambda taken: lambda: way(taken.data, {})


def _warm(way: Callable[..., Any]) -> Callable[[Any], Work]:
    def prepare(taken: Any) -> Work:
        memo: Dict[str, Any] = {}
        way(taken.data, memo)
        return lambda: way(taken.data, memo)

    return prepare


#: Up to each node's address, port and version as Python objects. The first is what the others are compared with.
VERSIONS: Dict[str, Callable[[Any], Work]] = {
    "naive": lambda taken: lambda: naive.versions(taken.data),
    "msgspec-cold": _cold(best.versions),
    "msgspec-warm": _warm(best.versions),
    "simdjson-warm": _warm(best.simdjson_versions),
    "simdjson-last-tag-warm": _warm(best.simdjson_last_tag),
    "pure": _snapshot(pure, _short, _whole),
    "pure-chunks": _snapshot(pure, _short, _in_chunks),
    "pure-refresh": _snapshot(pure, _short, _whole, refresh=True),
    "compiled": _snapshot(compiled, _short, _whole),
    "compiled-chunks": _snapshot(compiled, _short, _in_chunks),
    "compiled-refresh": _snapshot(compiled, _short, _whole, refresh=True),
    "compiled-chunks-refresh": _snapshot(compiled, _short, _in_chunks, refresh=True),
}

#: The same and each node's metadata and endpoints.
EVERYTHING: Dict[str, Callable[[Any], Work]] = {
    "naive": lambda taken: lambda: naive.everything(taken.data),
    "msgspec-cold": _cold(best.everything),
    "msgspec-warm": _warm(best.everything),
    "pure": _snapshot(pure, _everything, _whole),
    "pure-refresh": _snapshot(pure, _everything, _whole, refresh=True),
    "compiled": _snapshot(compiled, _everything, _whole),
    "compiled-chunks": _snapshot(compiled, _everything, _in_chunks),
    "compiled-refresh": _snapshot(compiled, _everything, _whole, refresh=True),
    "compiled-chunks-refresh": _snapshot(compiled, _everything, _in_chunks, refresh=True),
}

#: What memory is asked of: as above, but ours keep what was read and the snapshot both, as a program does that looks at
#: its nodes.
HELD: Dict[str, Callable[[Any], Work]] = {
    "naive": VERSIONS["naive"],
    "naive-every-tag": EVERYTHING["naive"],
    "msgspec-cold": VERSIONS["msgspec-cold"],
    "msgspec-every-tag-cold": EVERYTHING["msgspec-cold"],
    "pure": _snapshot(pure, _beside(_short), _whole),
    "pure-chunks": _snapshot(pure, _beside(_short), _in_chunks),
    "compiled": _snapshot(compiled, _beside(_short), _whole),
    "compiled-chunks": _snapshot(compiled, _beside(_short), _in_chunks),
    "compiled-every-tag-chunks": _snapshot(compiled, _beside(_everything), _in_chunks),
    "compiled-refresh": _snapshot(compiled, _beside(_short), _whole, refresh=True),
}
