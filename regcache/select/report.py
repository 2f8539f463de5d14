"""What a selector does and why, as data and in words."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..cache.status import count

__all__ = ["PeerStatus", "SelectorStatus"]


class PeerStatus(NamedTuple):
    """One of the nodes that the filters left."""

    id: str
    #: Where it is reached: ``address:port``.
    target: str
    #: What its checks say: passing, warning or critical.
    status: str
    #: What the selector makes of it: up, probing or ejected.
    state: str
    #: Do calls go to it?
    used: bool
    #: How many calls it gets in relation to others; 1.0 is normal.
    weight: float
    #: Calls that are not over.
    in_flight: int
    #: Failures in a row.
    failures: int
    #: Seconds that calls took lately; ``None``: not known.
    latency: Optional[float]
    #: Seconds until its ejection is over; 0.0: it is not ejected.
    ejected_for: float


class SelectorStatus(NamedTuple):
    """All of one moment."""

    service: str
    strategy: str
    #: The filters, as a person would type them.
    filters: str
    #: Nodes of the snapshot; ``None``: there is none yet, or no longer.
    nodes: Optional[int]
    #: Nodes that the filters left, and those of them that are healthy and to which calls go.
    peers: Tuple[PeerStatus, ...]
    healthy: int
    used: int
    #: Why calls go to ill nodes too; ``None``: they go to the healthy ones.
    panic: Optional[str]
    #: Why the last snapshot cannot be used: what :meth:`~regcache.Selector.select` raises.
    error: Optional[BaseException]
    #: Calls that are not over, with all nodes, those that are gone included.
    in_flight: int
    #: The subset, as a person would type it.
    subset: Optional[str]
    closed: bool

    @property
    def ejected(self) -> Tuple[str, ...]:
        """The IDs of the nodes that are ejected."""
        return tuple(peer.id for peer in self.peers if peer.state == "ejected")

    @property
    def probing(self) -> Tuple[str, ...]:
        """The IDs of the nodes whose next call decides whether they are used again."""
        return tuple(peer.id for peer in self.peers if peer.state == "probing")

    def to_dict(self) -> Dict[str, Any]:
        """The same, ready for JSON."""
        error = self.error
        return {
            **self._asdict(),
            "peers": [peer._asdict() for peer in self.peers],
            "error": None if error is None else f"{type(error).__name__}: {error}",
            "ejected": list(self.ejected),
            "probing": list(self.probing),
        }

    def __str__(self) -> str:
        return f"{self.service}: " + "; ".join([*self._picks(), *self._bad(), *self._more()])

    def _picks(self) -> List[str]:
        if self.closed:
            return ["closed"]
        if self.error is not None:
            return [f"cannot pick: {type(self.error).__name__}: {self.error}"]
        if self.nodes is None:
            return [f"picks by {self.strategy}, once there is a snapshot"]
        text = f"picks among {self.used} of {count(self.nodes, 'node')} by {self.strategy}"
        return [text + (f", those that pass {self.filters}" if self.filters else "")]

    def _bad(self) -> List[str]:
        told = [f"panic: {self.panic}, so calls go to ill nodes too"] if self.panic is not None else []
        for peer in self.peers:
            if peer.state == "ejected":
                told.append(f"{peer.id} is ejected for {peer.ejected_for:.0f} s more")
            elif peer.state == "probing":
                told.append(f"{peer.id} is probed")
        return told

    def _more(self) -> List[str]:
        told = [f"{count(self.in_flight, 'call')} in flight"]
        if self.subset is not None:
            told.append(f"a subset: {self.subset}")
        return told
