"""Feedback: ejection, probes, slow start, panic.

Nodes that fail get no calls for a while, new ones few at first, and when too few are left all of them do.
Policy only, on times that are given to it: no clock, thread or lock. A selector calls it under its own lock, when
an outcome matters or the time has come, never at an ordinary call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Set

from ..cache.status import count
from .peers import FAILING, IN_A_ROW, PROBE_FAILED, PROBE_PASSED
from .subset import Key, key_of

if TYPE_CHECKING:
    from ..codec import Node
    from .peers import Peer

__all__ = ["Chosen", "Feedback", "Health"]

#: The statuses of nodes that calls may go to.
USABLE = frozenset({"passing", "warning"})
#: Every so many seconds in which a node is well one of its ejections is forgotten: the sweep of Envoy and gRPC (A50).
SWEEP = 10.0
#: Seconds by which times may differ that are the same: compiled calls count in nanoseconds.
ROUNDED = 1e-6
#: In so many steps a new node's weight rises to its own.
STEPS = 10


@dataclass(frozen=True)
class Feedback:
    """When a node is ejected, for how long, and when there is no choice any more.

    Args:
        failures: so many in a row; 0: never for that. Envoy's ``consecutive_5xx``: 5.
        rate: this part of the calls of the last 10 s. Hystrix opens its circuit at half of 20 calls in 10 s.
        calls: no rate is looked at before there were so many calls in the last 10 s; 0: never.
        ejection: seconds of a node's first ejection; twice as many for the second in a row, and so on. Every 10 s
            in which the node is well take one off the count, as in gRPC (A50). Envoy's and gRPC's
            ``base_ejection_time``: 30.
        longest: seconds that an ejection lasts at most. Envoy's and gRPC's ``max_ejection_time``: 300.
        share: the part of the nodes that may be ejected at the same time; one always may. Envoy's and gRPC's
            ``max_ejection_percent``: 10.
        probe: the weight of a node whose ejection is over, until the outcome of a call decides that began since.
        slow_start: seconds in which the weight of a node that is new rises to its own; 0: it has it at once. The nodes
            of the first snapshot are not new. Off by default, as in Envoy.
        floor: the weight that a new node begins with, as a part of its own. Envoy's ``min_weight_percent``: 10.
        panic: with a smaller part than this of the nodes healthy (passing or warning, and not ejected), or while the
            guard holds an answer back, calls are spread over all nodes but those in maintenance: the few that are left
            would break under the load of all, and it is likelier that the registry or this process is wrong than that
            most nodes are. 0: never. Envoy and Finagle panic below 0.5.

    Raises:
        ValueError: a number makes no sense.
    """

    failures: int = 5
    rate: float = 0.5
    calls: int = 20
    ejection: float = 30.0
    longest: float = 300.0
    share: float = 0.1
    probe: float = 0.1
    slow_start: float = 0.0
    floor: float = 0.1
    panic: float = 0.5

    def __post_init__(self) -> None:
        for name in ("rate", "share", "panic"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a part, from 0 to 1, not {getattr(self, name)!r}")
        for name in ("probe", "floor"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is a part, more than 0 and at most 1, not {getattr(self, name)!r}")
        for name in ("failures", "calls", "slow_start"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)!r}")
        if not 0 < self.ejection < math.inf:
            raise ValueError(f"ejection must be more than 0 seconds, and finite, not {self.ejection!r}")
        if not self.ejection <= self.longest < math.inf:
            raise ValueError(f"longest must be at least ejection, and finite, not {self.longest!r}")


class Chosen(NamedTuple):
    """The nodes that calls may go to now, and how much each weighs."""

    peers: "List[Peer]"
    #: In the order of the peers.
    weights: List[float]
    #: Why calls go to ill nodes too; ``None``: they go to the healthy ones.
    panic: Optional[str]
    #: Those that are passing or warning, and not ejected.
    healthy: int


class _Ejection:
    """What is remembered of a node that was ejected."""

    __slots__ = ("count", "until", "well_since")

    def __init__(self, count: int, until: float, well_since: float) -> None:
        #: How many times in a row.
        self.count = count
        self.until = until
        self.well_since = well_since


class Health:
    """What one selector has learned about the nodes that there are.

    Args:
        feedback: the numbers; ``None``: nothing is learned, and there is no panic.
        weighted: do nodes weigh what Consul says? If not they all weigh 1.0, and while their checks say warning as
            much less as Consul says.
    """

    def __init__(self, feedback: Optional[Feedback], weighted: bool = False) -> None:
        self.feedback = feedback
        self._weighted = weighted
        self._ejections: Dict[Key, _Ejection] = {}
        #: The nodes of the last snapshot, where it matters which of the next are new.
        self._known: Optional[Set[Key]] = None
        #: Nodes in their slow start, and since when there are.
        self._new: Dict[Key, float] = {}
        #: Of how many nodes a share may be ejected.
        self.among = 0

    def renew(self, peers: "Sequence[Peer]", now: float) -> None:
        """These are the nodes now. What was learned of those that are gone is forgotten."""
        slow_start = 0.0 if self.feedback is None else self.feedback.slow_start
        if not self._ejections and not slow_start:
            return
        keys = {key_of(peer) for peer in peers}
        if slow_start:
            self._new = {key: since for key, since in self._new.items() if key in keys}
            if self._known is not None:
                self._new.update(dict.fromkeys(keys - self._known, now))
            self._known = keys
        if self._ejections:
            self._ejections = {key: ejection for key, ejection in self._ejections.items() if key in keys}
            for peer in peers:
                ejection = self._ejections.get(key_of(peer))
                # In the child of a fork peers are new, but not what is known of their nodes.
                if ejection is not None and ejection.until > -math.inf and peer.state == "up":
                    peer._set(state="ejected")

    # -- outcomes ------------------------------------------------------------------------------------------------

    def hear(self, peer: "Peer", verdict: int, begun: float, now: float) -> Optional[str]:
        """An outcome that may matter (the bits are those of a peer's verdict), of a call that began then: why the node
        is ejected now, ``""`` if it is readmitted; ``None``: nothing changes.

        Several threads may bring the same verdict; those after the first change nothing.
        """
        ejection = self._ejections.get(key_of(peer))
        if self.feedback is None or peer.state == "ejected":
            return None
        if peer.state == "probing":
            if ejection is not None and begun < ejection.until - ROUNDED:
                return None  # it began before the ejection was over, or even before it: it says nothing about now
            if verdict & PROBE_FAILED:
                self._eject(peer, now)
                return "it failed again"
            if verdict & PROBE_PASSED and ejection is not None:
                ejection.until, ejection.well_since = -math.inf, now
                peer._set(state="up")
                return ""
            return None
        if not verdict & (IN_A_ROW | FAILING) or self.ejected(now) >= self.room():
            return None
        row = max(peer.failures, self.feedback.failures)
        why = f"{row} calls in a row failed" if verdict & IN_A_ROW else "most of its calls failed"
        self._eject(peer, now)
        return why

    def room(self) -> int:
        """How many nodes may be ejected at the same time."""
        return 0 if self.feedback is None else max(1, int(self.feedback.share * self.among))

    def ejected(self, now: float) -> int:
        """How many are. Those that are probed do not count: without calls nothing may be heard of them for long."""
        return sum(ejection.until > now for ejection in self._ejections.values())

    def left(self, peer: "Peer", now: float) -> float:
        """Seconds until the end of its ejection; 0.0 if it is not ejected."""
        ejection = self._ejections.get(key_of(peer))
        return 0.0 if ejection is None else max(0.0, ejection.until - now)

    def _eject(self, peer: "Peer", now: float) -> None:
        feedback = self.feedback
        assert feedback is not None
        before = self._ejections.get(key_of(peer))
        count = 0
        if before is not None:
            count = self._bad_times(before, now) if peer.state == "up" else before.count
        count += 1
        until = now + min(feedback.ejection * count, feedback.longest)
        # Whole, and before the state: an interrupt may come between any two steps.
        self._ejections[key_of(peer)] = _Ejection(count, until, now)
        peer._set(state="ejected")

    def _bad_times(self, ejection: _Ejection, now: float) -> int:
        """The count of a node that is up: one less for each sweep in which it was well."""
        if not ejection.count:
            return 0
        return max(0, ejection.count - int((now - ejection.well_since) / SWEEP))

    # -- time ----------------------------------------------------------------------------------------------------

    def settle(self, peers: "Sequence[Peer]", now: float) -> None:
        """What time alone changes: nodes whose ejection is over are probed from now on."""
        feedback = self.feedback
        if feedback is None:
            return
        if self._ejections:
            for peer in peers:
                ejection = self._ejections.get(key_of(peer))
                if ejection is None:
                    continue
                if peer.state == "ejected" and now >= ejection.until:
                    peer._set(state="probing")
                elif peer.state == "up" and not self._bad_times(ejection, now):
                    del self._ejections[key_of(peer)]
        if self._new:
            self._new = {key: since for key, since in self._new.items() if now - since < feedback.slow_start}

    def alarm(self, peers: "Sequence[Peer]", now: float) -> float:
        """When time alone changes something next; infinity: never."""
        alarm = math.inf
        if self._ejections:
            alarm = min(
                (self._ejections[key_of(peer)].until for peer in peers if peer.state == "ejected"), default=math.inf
            )
        if self._new and self.feedback is not None:
            step = self.feedback.slow_start / STEPS
            alarm = min(alarm, *(since + step * (int((now - since) / step) + 1) for since in self._new.values()))
        return alarm

    # -- which nodes, and how much of each -----------------------------------------------------------------------

    def share(self, node: "Node") -> float:
        """How many calls a node gets in relation to others, as far as its checks say; 0.0: none. It depends on the
        snapshot alone."""
        if node.status not in USABLE:
            return 0.0
        warns = node.status == "warning"
        if not self._weighted and not warns:
            return 1.0
        passing, warning = node.weights
        if self._weighted:
            return float(max(0, warning if warns else passing))
        return max(0, warning) / max(1, passing)

    def choose(self, peers: "Sequence[Peer]", shares: Sequence[float], doubt: Optional[str], now: float) -> Chosen:
        """Where calls may go.

        Args:
            peers: those that may be used at all; none is in maintenance.
            shares: the :meth:`share` of each.
            doubt: why the guard holds back an answer that would have taken most nodes away, if it does.
        """
        healthy: List[Peer] = []
        weights: List[float] = []
        learned = bool(self._ejections or self._new)
        for peer, share in zip(peers, shares):
            if share > 0 and not (learned and peer.state == "ejected"):
                healthy.append(peer)
                weights.append(self._weight(peer, share, now) if learned else share)
        panic = self._panic(len(peers), len(healthy), doubt)
        if panic is None:
            return Chosen(healthy, weights, None, len(healthy))
        weights = [max(1.0, float(peer.node.weights.passing)) if self._weighted else 1.0 for peer in peers]
        return Chosen(list(peers), weights, panic, len(healthy))

    def _panic(self, nodes: int, healthy: int, doubt: Optional[str]) -> Optional[str]:
        feedback = self.feedback
        if feedback is None or not feedback.panic or not nodes:
            return None
        if doubt is not None:
            return f"the guard holds an answer back ({doubt})"
        if healthy < feedback.panic * nodes:
            few = f"only {healthy}" if healthy else "none"
            return f"{few} of {count(nodes, 'node')} {'is' if healthy < 2 else 'are'} healthy"
        return None

    def _weight(self, peer: "Peer", share: float, now: float) -> float:
        feedback = self.feedback
        assert feedback is not None
        if peer.state == "probing":
            share *= feedback.probe
        since = self._new.get(key_of(peer)) if self._new else None
        if since is not None:
            # In steps, so that nodes that came together weigh the same.
            step = int(STEPS * (now - since) / feedback.slow_start)
            share *= max(feedback.floor, min(1.0, step / STEPS))
        return share
