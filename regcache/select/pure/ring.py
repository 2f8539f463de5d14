"""Consistent hashing: a ring of points of each peer, of which as many count as its weight says.

A key belongs to the owner of the first point at or after its own hash. A peer's points depend on its own name alone,
so that a peer that goes takes only its own keys along, and one that comes takes only what it then owns: one part in n.

Why a ring, and not jump or Maglev hashing: peers leave from anywhere in the list (jump hashing can only remove the
last), a change must move nobody else's keys (Maglev moves a few), points may follow weights, and the next owner on the
ring is a natural second choice when the first has too much to do (bounded loads: Mirrokni, Thorup, Zadimoghaddam 2016).

Hashes are FNV-1a of 64 bits, mixed as splitmix64 does: the same in every process, on every machine, in both twins.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Iterator, List, Sequence, Tuple, Union

from .rng import MASK, STEP, mix

if TYPE_CHECKING:
    from ...codec import Node

__all__ = ["POINTS", "Ring", "counting", "hash_key", "hash_node"]

#: Points of a peer of full weight. The share of keys that a peer owns is off by 1/sqrt(64), an eighth, as a rule; the
#: bound on the load takes off the rest. 12 bytes a point: 10,000 peers take 7.7 MB.
POINTS = 64


def _fnv1a(data: bytes) -> int:
    state = 0xCBF29CE484222325
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & MASK
    return mix(state)


def hash_key(key: object) -> int:
    """64 bits of a str (its UTF-8), bytes, or int (two's complement, little-endian, 8 bytes or what it needs).

    Raises:
        TypeError: a key of another type, or none.
    """
    if isinstance(key, str):
        return _fnv1a(key.encode("utf-8", "surrogatepass"))
    if isinstance(key, bytes):
        return _fnv1a(key)
    if isinstance(key, int):
        size = 8 if -(2**63) <= key < 2**63 else key.bit_length() // 8 + 1
        return _fnv1a(int.to_bytes(key, size, "little", signed=True))
    if key is None:
        raise TypeError("the strategy 'hash' needs a key: select(key=...) with a str, bytes or int")
    raise TypeError(f"a key is a str, bytes or int, not {type(key).__name__}")


def hash_node(node: "Node") -> int:
    """64 bits of what names a node: node_name, id, address and port."""
    name = "\0".join((node.node_name, node.id, node.address, str(node.port)))
    return _fnv1a(name.encode("utf-8", "surrogatepass"))


def counting(weights: Sequence[float]) -> List[int]:
    """How many of its points count, of each node: of the greatest weight all, of others in relation to it, at least
    one; of weight 0 none. The weights are at least 0, and one is above."""
    most = max(weights)
    return [max(1, int(POINTS * weight / most + 0.5)) if weight > 0 else 0 for weight in weights]


class Ring:
    """The points of some nodes, sorted. Immutable.

    A walk passes over the points that do not count. So a ring serves every weight of its nodes, and any part of them:
    the keys are owned as on a ring of those points alone, since it is always a node's first points that count.

    Args:
        nodes: at least one.
    """

    __slots__ = ("_owners", "_points")

    def __init__(self, nodes: Sequence["Node"]) -> None:
        points: List[Tuple[int, int, int]] = []
        for place, node in enumerate(nodes):
            name = hash_node(node)
            points += [(mix((name + (turn + 1) * STEP) & MASK), name, place * POINTS + turn) for turn in range(POINTS)]
        # Two points at one place are the business of names, not of the order in which nodes are listed.
        points.sort()
        self._points = [point for point, _, _ in points]
        #: Whose each point is, times POINTS, and which of his points.
        self._owners = [owner for _, _, owner in points]

    def __len__(self) -> int:
        return len(self._points)

    def walk(self, hashed: int, counts: Sequence[int]) -> Iterator[int]:
        """The owners of the points that count (so many of each node) in order, from that of this hash on."""
        count = len(self._points)
        start = bisect_left(self._points, hashed)
        for step in range(count):
            place, turn = divmod(self._owners[(start + step) % count], POINTS)
            if turn < counts[place]:
                yield place

    def owner(self, key: Union[str, bytes, int], counts: Sequence[int]) -> int:
        """Whose a key is, however busy: a place in the list of nodes."""
        return next(self.walk(hash_key(key), counts))
