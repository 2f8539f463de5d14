"""Subsetting: each client of a large service uses some of its nodes only, so that connections stay few."""

from __future__ import annotations

import socket
from hashlib import blake2b
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from .peers import Peer

__all__ = ["Chooser", "Subset", "key_of"]

#: With fewer nodes, one that is lost or slow is too much of the whole. Finagle's aperture has the same minimum.
MINIMUM = 12

Key = Tuple[str, str, str, int]


class Subset:
    """Use so many of a service's nodes, always the same ones: those that score highest for this client (rendezvous
    hashing). A node that comes or goes changes one place in the subset at most, and which clients a node gets does not
    depend on the order of anything. Clients spread over nodes as by chance: of 1,000 clients with 25 of 100 nodes each,
    every node gets 250 give or take 20 %.

    Args:
        size: how many; at least 12 (Finagle's minimum). 25 is Kratos' number.
        client: who we are. By default the host's name, which stays the same when the program starts again, is the same
            in all processes of a host, and is the pod's in Kubernetes. Where many workers of one host should use
            different nodes, add a number of the worker: ``Subset(client=f"{host}/{worker}")``.

    Raises:
        ValueError: the size is too small.
    """

    def __init__(self, size: int = 25, client: Optional[str] = None) -> None:
        if size < MINIMUM:
            raise ValueError(f"a subset has at least {MINIMUM} nodes, not {size!r}")
        self.size = size
        self.client: str = socket.gethostname() if client is None else client

    def __repr__(self) -> str:
        return f"Subset({self.size}, client={self.client!r})"


class Chooser:
    """Chooses for one selector; remembers the scores of the nodes that there are."""

    def __init__(self, subset: Subset) -> None:
        self.subset = subset
        self._scores: Dict[Key, bytes] = {}
        self._key = blake2b(subset.client.encode(errors="surrogatepass"), digest_size=32).digest()

    def choose(self, peers: "Sequence[Peer]") -> "List[Peer]":
        """The subset of these, in their order; all of them if they are no more than its size."""
        if len(peers) <= self.subset.size:
            return list(peers)
        before, self._scores = self._scores, {}
        scored = []
        for place, peer in enumerate(peers):
            key = key_of(peer)
            score = self._scores[key] = before.get(key) or self._score(key)
            scored.append((score, key, place))
        scored.sort(reverse=True)
        return [peers[place] for _, _, place in sorted(scored[: self.subset.size], key=lambda one: one[2])]

    def _score(self, key: Key) -> bytes:
        # No hash of Python's: those differ from process to process.
        return blake2b(repr(key).encode(errors="surrogatepass"), digest_size=8, key=self._key).digest()


def key_of(peer: "Peer") -> Key:
    """What makes a node the same one over refreshes."""
    node = peer.node
    return node.node_name, node.id, node.address, node.port
