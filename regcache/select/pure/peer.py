"""A node as a selector knows it: how many calls are with it, how they went, and how long they took."""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Tuple

if TYPE_CHECKING:
    from ...codec import Node

__all__ = ["FAILING", "IN_A_ROW", "PROBE_FAILED", "PROBE_PASSED", "Peer", "Pool", "Pulse", "Tally"]

#: Bits of a verdict, see :meth:`Pulse._record`.
IN_A_ROW = 1
FAILING = 2
PROBE_PASSED = 4
PROBE_FAILED = 8

#: Seconds in which the weight of a latency falls to 1/e (Finagle's peak EWMA).
DECAY = 10.0
#: Seconds of each of the two halves of the window over which the rate of failures is taken.
HALF = 5.0
#: A half of the window counts no further than this.
MOST = 2**20 - 1

STATES = ("up", "probing", "ejected")

_Key = Tuple[str, str, str, int]

#: Of all counts. The garbage collector may end a forgotten call in the middle of any of them: the same thread takes it
#: again.
_lock = threading.RLock()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Tally:
    """How many calls are in flight with all peers of a pool together."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: int = 0


class Pulse:
    """What is counted of a peer. It outlives the peer's node object: counts survive refreshes.

    Args:
        tally: counts the calls of the whole pool.
        failures, rate, calls: see :class:`Pool`.
    """

    __slots__ = (
        "_calls", "_epochs", "_failed", "_failures", "_in_flight", "_latency", "_picked", "_rate", "_row",
        "_sampled", "_seen", "_state", "_tally",
    )  # fmt: skip

    def __init__(self, tally: Optional[Tally] = None, *, failures: int = 5, rate: float = 0.5, calls: int = 20) -> None:
        if failures < 0 or calls < 0 or not 0.0 <= rate <= 1.0:
            raise ValueError("failures and calls are at least 0, rate is from 0.0 to 1.0")
        self._failures, self._rate, self._calls = failures, rate, calls
        self._tally = tally if tally is not None else Tally()
        self._in_flight = 0
        self._row = 0
        self._state = 0
        #: Of each half of the window: which half of all time it is, its calls, those that failed.
        self._epochs = [-1, -1]
        self._seen = [0, 0]
        self._failed = [0, 0]
        self._latency = -1.0  # none yet
        self._sampled = 0.0
        self._picked = -math.inf

    def _begin(self) -> None:
        """A call begins."""
        with _lock:
            self._in_flight += 1
            self._tally.count += 1

    def _end(self) -> None:
        """A call is over; the count never falls below 0."""
        with _lock:
            if self._in_flight:
                self._in_flight -= 1
                self._tally.count -= 1

    def _record(self, ok: bool, elapsed: Optional[float], now: float) -> int:
        """How a call went.

        Args:
            ok: False: it failed.
            elapsed: how many seconds it took; None: not known. What a failure took counts only where it is more than
                what is known: a node that refuses at once would otherwise look like the best.
            now: seconds of the selector's clock.

        Returns:
            0: nothing to do. Otherwise the sum of why somebody must look: ``IN_A_ROW`` (as many failures in a row as
            the limit, or more), ``FAILING`` (the share of failures in the window), ``PROBE_PASSED`` or
            ``PROBE_FAILED`` (the outcome of a call to a probing peer). Of an ejected peer nothing more is asked.
        """
        with _lock:
            if elapsed is not None and elapsed >= 0.0:
                self._sample(ok, elapsed, now)
            epoch = int(now // HALF)
            half = epoch & 1
            if self._epochs[half] != epoch:
                self._epochs[half], self._seen[half], self._failed[half] = epoch, 0, 0
            if self._seen[half] < MOST:
                self._seen[half] += 1
                self._failed[half] += not ok
            self._row = 0 if ok else self._row + 1
            if self._state:
                return (PROBE_PASSED if ok else PROBE_FAILED) if self._state == 1 else 0
            if ok:
                return 0
            verdict = IN_A_ROW if 0 < self._failures <= self._row else 0
            seen, failed = self._seen[half], self._failed[half]
            if self._epochs[1 - half] == epoch - 1:
                seen += self._seen[1 - half]
                failed += self._failed[1 - half]
            if 0 < self._calls <= seen and failed >= self._rate * seen:
                verdict |= FAILING
            return verdict

    def _sample(self, ok: bool, elapsed: float, now: float) -> None:
        held = self._latency
        if held >= 0.0:
            weight = math.exp(-max(0.0, now - self._sampled) / DECAY)
            if elapsed < held:
                if not ok:
                    return
                elapsed = held * weight + elapsed * (1.0 - weight)
        elif not ok:
            return
        self._latency, self._sampled = elapsed, now

    def _probe(self, now: float, before: float) -> bool:
        """A call is given to it now, if the last one was not after ``before``: of many callers to one."""
        with _lock:
            if self._picked > before:
                return False
            self._picked = now
            return True

    def _set_state(self, state: str) -> None:
        with _lock:
            self._state = STATES.index(state)
            self._row = 0
            self._epochs = [-1, -1]


class Peer:
    """A node as one selector knows it. Read-only for everybody else."""

    __slots__ = ("__weakref__", "_node", "_pulse", "_weight")

    def __init__(self, node: "Node", pulse: Optional[Pulse] = None) -> None:
        self._node = node
        self._pulse = pulse if pulse is not None else Pulse()
        self._weight = 1.0

    @property
    def node(self) -> "Node":
        """The node, as the snapshot has it."""
        return self._node

    @property
    def in_flight(self) -> int:
        """Calls with the node that are not over, of this selector."""
        return self._pulse._in_flight

    @property
    def latency(self) -> Optional[float]:
        """Seconds that calls took lately, as of the last outcome: jumps up at once, and falls with a decay of 10 s
        (Finagle's peak EWMA). None: nobody has said yet."""
        latency = self._pulse._latency
        return latency if latency >= 0.0 else None

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._pulse._row

    @property
    def weight(self) -> float:
        """As prepared: how many calls it gets in relation to others; 1.0 is normal."""
        return self._weight

    @property
    def state(self) -> str:
        """``"up"``, ``"probing"`` (few calls, the next outcome decides) or ``"ejected"`` (none)."""
        return STATES[self._pulse._state]

    def _begin(self) -> None:
        self._pulse._begin()

    def _end(self) -> None:
        self._pulse._end()

    def _record(self, ok: bool, elapsed: Optional[float], now: float) -> int:
        return self._pulse._record(ok, elapsed, now)

    def _set(self, *, state: Optional[str] = None, weight: Optional[float] = None) -> None:
        """What the selector decided. Setting a state, even the one it has, begins the counting of failures anew.

        Raises:
            ValueError: a state that is none of the three.
        """
        if state is not None:
            if state not in STATES:
                raise ValueError(f"a peer's state is one of {', '.join(STATES)}, not {state!r}")
            self._pulse._set_state(state)
        if weight is not None:
            self._weight = float(weight)

    def __repr__(self) -> str:
        return f"<Peer {self.node.id!r} {self.state}, {self.in_flight} in flight>"


class Pool:
    """The peers of one selector, over all its snapshots. Renewed by one thread at a time.

    Args:
        failures: so many in a row make a verdict ``IN_A_ROW``; 0: never. 5 is Envoy's and gRPC's (A50).
        rate: such a share of failures makes a verdict ``FAILING``, of at least ``calls`` calls in the window.
        calls: 0: never.

    Raises:
        ValueError: a number out of its range.
    """

    __slots__ = ("_calls", "_failures", "_peers", "_rate", "_tally")

    def __init__(self, *, failures: int = 5, rate: float = 0.5, calls: int = 20) -> None:
        Pulse(failures=failures, rate=rate, calls=calls)
        self._failures, self._rate, self._calls = failures, rate, calls
        self._tally = Tally()
        self._peers: Dict[_Key, Peer] = {}

    def renew(self, nodes: Iterable["Node"]) -> List[Peer]:
        """The peers of these nodes, in their order; those that are not among them are dropped.

        A node that is the same object as before has the same peer. One that changed, under the same node_name, id,
        address and port, has a new peer that goes on with the old one's counts.
        """
        peers: Dict[_Key, Peer] = {}
        order: List[Peer] = []
        for node in nodes:
            key = (node.node_name, node.id, node.address, node.port)
            peer = peers.get(key) or self._peers.get(key)
            if peer is None:
                pulse = Pulse(self._tally, failures=self._failures, rate=self._rate, calls=self._calls)
                peer = Peer(node, pulse)
            elif peer.node is not node:
                weight = peer.weight
                peer = Peer(node, peer._pulse)
                peer._set(weight=weight)
            peers[key] = peer
            order.append(peer)
        self._peers = peers
        return order

    def get(self, node: "Node") -> Optional[Peer]:
        """The peer of this node, or of another object that says the same node_name, id, address and port."""
        return self._peers.get((node.node_name, node.id, node.address, node.port))

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def in_flight(self) -> int:
        """Calls that are not over, with all peers, those that were dropped included."""
        return self._tally.count
