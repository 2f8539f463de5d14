"""Which nodes calls go to now, and by what picker: everything that depends on the snapshot and on what was learned.

Policy only: a selector calls it under its own lock, with the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple, Union

from ..cache.events import Event, EventKind
from .health import Chosen, Feedback, Health
from .peers import Peer, Pool
from .picks import Picker
from .report import PeerStatus
from .sieve import Kept, Sieve, none_available
from .strategies import Strategy, check_strategy, make_picker
from .subset import Chooser, Subset

if TYPE_CHECKING:
    from ..codec import Node, Snapshot
    from .filters import Filters

__all__ = ["Arrangement"]


class Arrangement:
    """Of one selector. See there for the arguments.

    Attributes:
        snapshot: what it was last arranged for.
        size: how many nodes the filters left.
        used: the peers that calls go to; ``healthy``: how many are healthy; ``panic``: why calls go to ill ones too.
        due: when time alone changes something.
        events: what happened, to be told.
    """

    def __init__(
        self,
        service: str,
        *,
        strategy: Union[str, Strategy],
        filters: "Filters",
        feedback: Optional[Feedback],
        subset: Optional[Subset],
        seed: int,
    ) -> None:
        check_strategy(strategy)
        self.service = service
        self.strategy = strategy
        self.sieve: Sieve = Sieve(service, filters)
        self.subset = subset
        self._chooser = None if subset is None else Chooser(subset)
        self._feedback = feedback
        self._seed = seed
        self._arranged = 0
        self.events: List[Event] = []
        #: Was panic told of, and not its end?
        self._told = False
        self.forget()

    def forget(self) -> None:
        """As at the beginning."""
        self._health = Health(self._feedback, weighted=self.strategy == "weighted")
        self.leave_behind(self._seed)

    def leave_behind(self, seed: int) -> None:
        """Calls in flight, latencies and the place in the round are forgotten, ejections are not: in the child of a
        fork."""
        learns = self._feedback
        if learns is None:
            self._pool = Pool(failures=0, calls=0)
        else:
            self._pool = Pool(failures=learns.failures, rate=learns.rate, calls=learns.calls)
        self._seed = seed
        #: The last that picked: the rounds go on from there.
        self._before: Optional[Picker] = None
        self.close()

    def close(self) -> None:
        """Let go of the snapshot."""
        self.snapshot: "Optional[Snapshot]" = None
        self._kept: Optional[Kept] = None
        #: Why the filters left nothing of it.
        self._failure: Optional[Exception] = None
        #: What each of the kept peers weighs by its checks.
        self._shares: Sequence[float] = ()
        self._nothing()

    def _nothing(self) -> None:
        self.used: Sequence[Peer] = ()
        self.healthy: int = 0
        self.panic: Optional[str] = None
        self.due: float = math.inf

    @property
    def size(self) -> int:
        return 0 if self._kept is None else len(self._kept.peers)

    # -- what is learned ---------------------------------------------------------------------------------------------

    def peer(self, node: "Node") -> Optional[Peer]:
        """What is known of this node, or of another object that has its name and address."""
        return self._pool.get(node)

    @property
    def in_flight(self) -> int:
        """Calls that are not over."""
        return self._pool.in_flight

    def hear(self, peer: Peer, bits: int, begun: float, now: float) -> bool:
        """The outcome of a call that began then, which may change something. Does it?"""
        # The call may be older than the last refresh, and its node another object now; one that is counted anew since
        # (it was away, or there was a reset or a fork) is not judged by what was counted before.
        known = self._pool.get(peer.node)
        if known is None or known._pulse is not peer._pulse:
            return False
        why = self._health.hear(known, bits, begun, now)
        if why is None:
            return False
        node = f"{peer.node.id!r} ({peer.node.target})"
        if why:
            self._happened("ejected", f"{node} is ejected for {self._health.left(peer, now):.0f} s: {why}")
        else:
            self._happened("readmitted", f"{node} answers again, and gets its share of the calls")
        return True

    # -- arranging ---------------------------------------------------------------------------------------------------

    def arrange(self, snapshot: "Optional[Snapshot]", doubt: Optional[str], now: float) -> Optional[Picker]:
        """A picker for this snapshot and what is known now; ``None``: there is no snapshot.

        Args:
            doubt: why the guard holds back an answer that would have taken most nodes away, if it does.

        Raises:
            NotFound, NoneAvailable: there is none to pick.
            Exception: what a filter or a strategy raised. The filters are not asked again about this snapshot.
        """
        try:
            if snapshot is not self.snapshot:
                self._renew(snapshot, now)
            if self._failure is not None:
                raise self._failure
            if self._kept is None:
                return None
            return self._pick(self._kept, doubt, now)
        except BaseException:
            self._nothing()
            if self._kept is not None:
                # Time may give back what is missing: ejections end.
                self.due = self._health.alarm(self._kept.peers, now)
            raise

    def _renew(self, snapshot: "Optional[Snapshot]", now: float) -> None:
        self._kept = self._failure = None
        if snapshot is not None:
            peers = self._pool.renew(snapshot)
            self._health.renew(peers, now)
            try:
                self._kept = self.sieve.sift(peers)
                self._shares = [self._health.share(peer.node) for peer in self._kept.peers]
            except Exception as error:
                self._failure = error
        self.snapshot = snapshot

    def _pick(self, kept: Kept, doubt: Optional[str], now: float) -> Picker:
        self._health.settle(kept.peers, now)
        chosen = self._choose(kept, doubt, now)
        peers, weights = chosen.peers, chosen.weights
        if self._chooser is not None:
            weighs = dict(zip(peers, weights))
            peers = self._chooser.choose(peers)
            weights = [weighs[peer] for peer in peers]
        for peer, weight in zip(peers, weights):
            if peer.weight != weight:
                peer._set(weight=weight)
        self._arranged += 1
        # Another seed each time: with the same one the first picks after each refresh would be of the same nodes.
        picker = make_picker(self.strategy, peers, weights, before=self._before, seed=self._seed + self._arranged)
        self._before = picker
        self.used, self.healthy, self.panic = peers, chosen.healthy, chosen.panic
        self.due = self._health.alarm(kept.peers, now)
        return picker

    def _choose(self, kept: Kept, doubt: Optional[str], now: float) -> Chosen:
        health, peers, shares = self._health, kept.peers, self._shares
        places = self.sieve.candidates(kept, lambda place: shares[place] > 0 and peers[place].state != "ejected")
        if len(places) < len(peers):
            peers, shares = [peers[place] for place in places], [shares[place] for place in places]
        health.among = len(peers) if self.subset is None else min(len(peers), self.subset.size)
        chosen = health.choose(peers, shares, doubt, now)
        if not chosen.peers:
            raise none_available(self.service, kept.peers)
        if chosen.panic is not None and not self._told:
            self._happened("panic", f"calls go to ill nodes too: {chosen.panic}")
        elif chosen.panic is None and self._told:
            self._happened("calm", f"calls go to healthy nodes only again: {chosen.healthy} of {len(peers)}")
        self._told = chosen.panic is not None
        return chosen

    def _happened(self, kind: EventKind, text: str) -> None:
        self.events.append(Event(kind, self.service, text, self.snapshot))

    # -- what is going on --------------------------------------------------------------------------------------------

    def report(self, now: float) -> Tuple[PeerStatus, ...]:
        """Each of the nodes that the filters left."""
        used = set(self.used)
        return tuple(
            PeerStatus(
                peer.node.id,
                peer.node.target,
                peer.node.status,
                peer.state,
                peer in used,
                peer.weight if peer in used else 0.0,
                peer.in_flight,
                peer.failures,
                peer.latency,
                self._health.left(peer, now),
            )
            for peer in (() if self._kept is None else self._kept.peers)
        )
