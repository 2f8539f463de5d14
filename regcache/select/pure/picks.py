"""Pickers: prepared once for a snapshot and its weights; a pick then only reads, and counts."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, Iterator, List, Optional, Sequence, Tuple, Type

from .peer import DECAY, Peer, Pulse
from .ring import POINTS, Ring, counting, hash_key
from .rng import MASK, Draws, mix, salt
from .schedule import schedule

if TYPE_CHECKING:
    from ..strategies import Strategy

__all__ = ["BOUND", "IDLE", "Picker", "make_picker", "own_picker"]

#: No peer has more calls in flight than this times its share (hash; Mirrokni et al. call it c).
BOUND = 1.25
#: Seconds after which a peer that had no call gets one, whatever it cost (peak_ewma): Kratos' forcePick; go-zero: 1 s.
IDLE = 3.0
#: Seconds that stand for a latency that nobody knows: more than any that is known.
UNKNOWN = 1e9
#: Weights beyond this are a mistake.
HEAVIEST = 1e9
#: Draws until a second peer is not the first.
DRAWS = 4


class Picker:
    """Picks one of its peers. Made by :func:`make_picker`; may be used by any number of threads."""

    __slots__ = ("__weakref__", "_peers")

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = tuple(peers)

    @property
    def peers(self) -> Tuple[Peer, ...]:
        """What it picks from, in the order of the snapshot."""
        return self._peers

    def __len__(self) -> int:
        return len(self._peers)

    def pick(self, key: object = None, now: Optional[float] = None) -> Peer:
        """One of the peers. Counts nothing as in flight.

        Args:
            key: str, bytes or int; only the strategy "hash" and people's own look at it.
            now: seconds of the selector's clock, default ``time.monotonic()``; only "peak_ewma" looks at it.

        Raises:
            TypeError: "hash", and no key or one of another type; an own strategy that returned no peer of these.
            Anything that an own strategy raises.
        """
        return self._peers[self._choose(key, now)]

    def _choose(self, key: object, now: Optional[float]) -> int:
        raise NotImplementedError

    def _other(self, key: object, tried: Collection[Peer], now: Optional[float] = None) -> Optional[Peer]:
        """A pick that is none of those tried, for another attempt; None: all of them were."""
        for _ in range(DRAWS):
            peer = self.pick(key, now)
            if peer not in tried:
                return peer
        start = self._peers.index(peer)
        for step in range(1, len(self._peers)):
            peer = self._peers[(start + step) % len(self._peers)]
            if peer not in tried:
                return peer
        return None


class _Lots:
    """Draws peers by their weights: one look whatever their number (the alias method: Walker 1977, Vose 1991)."""

    __slots__ = ("_aliases", "_count", "_draws", "_shares")

    def __init__(self, count: int, weights: Optional[Sequence[float]], seed: int) -> None:
        self._count = count
        self._draws = Draws(seed)
        self._shares: Optional[List[int]] = None
        self._aliases: List[int] = []
        if weights is not None:
            self._shares, self._aliases = aliases(weights)

    @staticmethod
    def _place(drawn: int, count: int) -> Tuple[int, int]:
        """Of so many, and what is left of the random number, which is as good as another one."""
        return drawn * count >> 64, drawn * count & MASK

    def one(self) -> int:
        place, rest = self._place(self._draws(), self._count)
        if self._shares is None or rest >> 32 < self._shares[place]:
            return place
        return self._aliases[place]

    def two(self) -> Tuple[int, int]:
        """Two of at least two; the first as likely as its weight says. Where weights leave little choice it may come
        twice."""
        if self._shares is None:
            first, rest = self._place(self._draws(), self._count)
            second, _ = self._place(rest, self._count - 1)
            return first, second + (second >= first)
        first = self.one()
        for _ in range(DRAWS):
            second = self.one()
            if second != first:
                return first, second
        return first, first


def aliases(weights: Sequence[float]) -> Tuple[List[int], List[int]]:
    """Of each place: how much of 2**32 is its own, and whose the rest is."""
    count = len(weights)
    # Summed one by one: sum() of later Pythons rounds better, and the twins would differ.
    total = 0.0
    for weight in weights:
        total += weight
    parts = [weight * count / total for weight in weights]
    shares, others = [2**32 - 1] * count, list(range(count))
    small = [place for place in range(count) if parts[place] < 1.0]
    large = [place for place in range(count) if parts[place] >= 1.0]
    while small and large:
        less, more = small.pop(), large[-1]
        shares[less], others[less] = min(int(parts[less] * 4294967296.0), 2**32 - 1), more
        parts[more] -= 1.0 - parts[less]
        if parts[more] < 1.0:
            small.append(large.pop())
    # Rounding may leave some that are whole but for their last bits. One that weighs nothing is not whole for that.
    for place in small:
        if not weights[place]:
            shares[place], others[place] = 0, weights.index(max(weights))
    return shares, others


class Random(Picker):
    """Each peer as often as its weight says, by chance."""

    __slots__ = ("_lots",)

    def __init__(self, peers: Sequence[Peer], weights: Optional[Sequence[float]], before: object, seed: int) -> None:
        super().__init__(peers)
        self._lots = _Lots(len(peers), weights, seed)

    def _choose(self, key: object, now: Optional[float]) -> int:
        return self._lots.one()


class Rounds(Picker):
    """One after the other; where weights differ, by a schedule. Goes on where the one before would have."""

    __slots__ = ("_born", "_order", "_turn")

    def __init__(self, peers: Sequence[Peer], weights: Optional[Sequence[float]], before: object, seed: int) -> None:
        super().__init__(peers)
        self._order = list(range(len(peers))) if weights is None else schedule(weights)
        start = self._resume(before) if isinstance(before, Rounds) else None
        self._born = salt()
        if start is None:
            start = (mix(seed & MASK) >> 32) * len(self._order) >> 32
        self._turn: Iterator[int] = itertools.count(start)

    def _choose(self, key: object, now: Optional[float]) -> int:
        # next() of a count is one step, which threads cannot divide.
        return self._order[self._place(next(self._turn))]

    def _place(self, turn: int) -> int:
        return (turn + ((salt() - self._born) & MASK)) % len(self._order)

    def _resume(self, before: "Rounds") -> Optional[int]:
        """Where the first of those that had not had their turn has its own; None: none of them is left."""
        places: Dict[Pulse, int] = {}
        for place in sorted(set(self._order)):
            places.setdefault(self._peers[place]._pulse, place)
        turns = len(before._order)
        start = before._place(next(before._turn))
        for step in range(turns):
            turn = (start + step) % turns
            found = places.get(before._peers[before._order[turn]]._pulse)
            if found is None:
                continue
            # Of several turns in a round the one nearest to this time of the round: neither does anybody wait for long
            # nor are many called again.
            here, further = len(self._order) * turn // turns, 0
            while self._order[(here + further) % len(self._order)] != found:
                further = -further if further > 0 else 1 - further
            return (here + further) % len(self._order)
        return None


class TwoChoices(Picker):
    """The less busy of two that are drawn: by calls in flight in relation to weights."""

    __slots__ = ("_lots", "_weights")

    def __init__(self, peers: Sequence[Peer], weights: Optional[Sequence[float]], before: object, seed: int) -> None:
        super().__init__(peers)
        self._lots = _Lots(len(peers), weights, seed)
        self._weights = weights

    def _choose(self, key: object, now: Optional[float]) -> int:
        if len(self._peers) == 1:
            return 0
        first, second = self._lots.two()
        busy, other = self._peers[first]._pulse._in_flight, self._peers[second]._pulse._in_flight
        if self._weights is None:
            return second if other < busy else first
        # A tie is the first's: which of them is first, is chance.
        return second if other * self._weights[first] < busy * self._weights[second] else first


class PeakEwma(TwoChoices):
    """The cheaper of two that are drawn: latency * (calls in flight + 1), those in flight in relation to weights.

    The latency is Finagle's peak EWMA: a slower answer counts at once, quicker ones take it down with a decay of 10 s,
    and it falls the same way while no answer comes. A peer that nobody has heard of yet gets one call at once; until
    that one's outcome is known it comes after those that are known. So does one that had no call for 3 s (Kratos'
    forcePick; go-zero has 1 s): its old latency would otherwise keep it away from calls that could show that it is
    well again. One caller of many makes such a probe.
    """

    __slots__ = ("_most",)

    def __init__(self, peers: Sequence[Peer], weights: Optional[Sequence[float]], before: object, seed: int) -> None:
        super().__init__(peers, weights, before, seed)
        self._most = 1.0 if weights is None else max(weights)

    def _choose(self, key: object, now: Optional[float]) -> int:
        if now is None:
            now = time.monotonic()
        # One alone is noted too: when others come, it is not idle.
        first, second = self._lots.two() if len(self._peers) > 1 else (0, 0)
        a, b = self._cost(first, now), self._cost(second, now)
        if b < a:
            first, second = second, first
        pulse = self._peers[first]._pulse
        # Looked at without the lock: of many that see an idle peer, the first to take the lock probes it.
        idle = self._peers[second]._pulse
        if idle._picked <= now - IDLE and idle._probe(now, now - IDLE):
            return second
        pulse._picked = now
        return first

    def _cost(self, place: int, now: float) -> float:
        pulse = self._peers[place]._pulse
        latency = pulse._latency
        # Weights say already who is drawn; here they say no more than how many calls are many.
        busy: float = pulse._in_flight
        if self._weights is not None:
            busy = busy * self._most / self._weights[place]
        if latency < 0.0:
            return UNKNOWN * (busy + 1.0)
        return latency * math.exp(-max(0.0, now - pulse._sampled) / DECAY) * (busy + 1.0)


class Hash(Picker):
    """The owner of the key on a ring; the next one where it has too much in flight. See :class:`Ring`."""

    __slots__ = ("_counts", "_known", "_places", "_ring", "_shares")

    def __init__(self, peers: Sequence[Peer], weights: Optional[Sequence[float]], before: object, seed: int) -> None:
        super().__init__(peers)
        weights = weights if weights is not None else [1.0] * len(peers)
        self._ring, self._known = self._find(before)
        #: Of each place on the ring: whose it is among the peers, and how many of its points count.
        self._places = [0] * (len(self._ring) // POINTS)
        self._counts = [0] * len(self._places)
        for place, (peer, count) in enumerate(zip(self._peers, counting(weights))):
            there = self._known[peer._pulse] if len(self._known) == len(self._places) else place
            self._places[there], self._counts[there] = place, count
        total = 0.0
        for weight in weights:
            total += weight
        self._shares = [BOUND * weight / total for weight in weights]

    def _find(self, before: object) -> Tuple[Ring, Dict[Pulse, int]]:
        """The ring, and where on it each peer is: those of before, if they have all peers and not twice as many. (A
        peer that is listed twice has one pulse for two places: such a ring is nobody's but its own.)"""
        if isinstance(before, Hash) and len(before._known) == len(before._places) <= 2 * len(self._peers):
            if len({peer._pulse for peer in self._peers if peer._pulse in before._known}) == len(self._peers):
                return before._ring, before._known
        known = {peer._pulse: place for place, peer in enumerate(self._peers)}
        return Ring([peer.node for peer in self._peers]), known

    def _walk(self, key: object) -> Iterator[int]:
        return map(self._places.__getitem__, self._ring.walk(hash_key(key), self._counts))

    def _choose(self, key: object, now: Optional[float]) -> int:
        # With the call that is being placed there is at least one peer below the bound, whatever the shares are.
        calls = self._peers[0]._pulse._tally.count + 1
        for place in self._walk(key):
            if self._peers[place]._pulse._in_flight < self._shares[place] * calls:
                return place
        return next(self._walk(key))

    def _other(self, key: object, tried: Collection[Peer], now: Optional[float] = None) -> Optional[Peer]:
        for place in self._walk(key):
            if self._peers[place] not in tried:
                return self._peers[place]
        return None


class Own(Picker):
    """What somebody's own strategy returned from ``prepare``."""

    __slots__ = ("_call", "_places")

    def __init__(self, peers: Sequence[Peer], call: Callable[[Any], Peer]) -> None:
        super().__init__(peers)
        self._call = call
        self._places = {peer: place for place, peer in enumerate(self._peers)}

    def _choose(self, key: object, now: Optional[float]) -> int:
        peer = self._call(key)
        place = self._places.get(peer) if isinstance(peer, Peer) else None
        if place is None:
            raise TypeError(f"a strategy's pick returns one of the peers that it was prepared for, not {peer!r}")
        return place


_NAMED: Dict[str, Type[Any]] = {
    "random": Random,
    "round_robin": Rounds,
    "weighted": Rounds,
    "p2c": TwoChoices,
    "peak_ewma": PeakEwma,
    "hash": Hash,
}


def make_picker(
    strategy: str,
    peers: Sequence[Peer],
    weights: Optional[Sequence[float]] = None,
    *,
    before: Optional[Picker] = None,
    seed: int = 0,
) -> Picker:
    """A picker for these peers.

    Args:
        strategy: "random", "round_robin", "weighted", "p2c", "peak_ewma" or "hash".
        peers: at least one.
        weights: of each peer how many calls it gets in relation to the others, 0.0 (none, unless all are 0) to 1e9;
            None: all the same.
        before: the picker that this one replaces; the rounds go on where it would have.
        seed: of its random numbers.

    Raises:
        ValueError: no such strategy; no peers; another number of weights, or one out of its range.
    """
    kind = _NAMED.get(strategy)
    if kind is None:
        raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(sorted(_NAMED))}")
    return kind(_some(peers), _checked(weights, len(peers)), before, seed)  # type: ignore[no-any-return]


def own_picker(strategy: "Strategy", peers: Sequence[Peer]) -> Picker:
    """A picker of somebody's own strategy.

    Raises:
        ValueError: no peers.
        TypeError: what it prepared cannot be called.
        Anything that the strategy raises.
    """
    call = strategy.prepare(tuple(_some(peers)))
    if not callable(call):
        raise TypeError(f"a strategy's prepare() returns something to call with a key, not {call!r}")
    return Own(peers, call)


def _some(peers: Sequence[Peer]) -> Sequence[Peer]:
    if not peers:
        raise ValueError("a picker needs at least one peer")
    return peers


def _checked(weights: Optional[Sequence[float]], count: int) -> Optional[List[float]]:
    """None where all are the same."""
    if weights is None:
        return None
    checked = [float(weight) for weight in weights]
    if len(checked) != count:
        raise ValueError(f"{count} peers have {count} weights, not {len(checked)}")
    for weight in checked:
        if not 0.0 <= weight <= HEAVIEST:
            raise ValueError(f"a weight is from 0.0 to {HEAVIEST:g}, not {weight!r}")
    return None if min(checked) == max(checked) else checked
