"""How weights become turns: a round in which each peer has as many turns as its weight says, spread evenly.

A peer's turn k of w, in a round of T turns, has a time to begin, ``floor(k * T / w)``, and a deadline,
``ceil((k + 1) * T / w)``; of the turns that may begin the one with the earliest deadline is next. So no deadline is
ever missed, and at every moment each peer has had what its weight says, give or take one turn (Baruah, Cohen, Plaxton,
Varvel 1996: proportionate progress). Peers of one weight are scheduled as a group of their common weight and take its
turns one after the other, which spreads them evenly among all others; of two with one deadline the one that was not
just picked is next. Of two different weights no peer then has more turns in a row than it must have,
``ceil(w / sum of the others)``; of more than two one more at most, and that rarely.
"""

from __future__ import annotations

from functools import reduce
from heapq import heappop, heappush, heapreplace
from math import gcd
from typing import Dict, List, Sequence, Tuple

__all__ = ["LONGEST", "schedule", "whole"]

#: Turns of a round at most, or four for each peer where that is more; longer ones have their weights scaled down.
LONGEST = 65_536
#: Weights that are not all whole numbers are taken to a thousandth.
PARTS = 1000


def whole(weights: Sequence[float]) -> List[int]:
    """The weights as whole numbers in the same relation, without a common divisor. A weight above 0 stays above 0.

    Where their sum is beyond what a round may have, each is scaled down and rounded down, to at least 1: it is then
    wrong by less than one turn in a round.
    """
    if all(weight == int(weight) for weight in weights):
        parts = [int(weight) for weight in weights]
    else:
        parts = [max(1, int(weight * PARTS + 0.5)) if weight > 0 else 0 for weight in weights]
    divisor = reduce(gcd, parts)
    parts = [part // divisor for part in parts]
    total, longest = sum(parts), max(LONGEST, 4 * len(parts))
    if total > longest:
        parts = [max(1, part * longest // total) if part else 0 for part in parts]
        divisor = reduce(gcd, parts)
        parts = [part // divisor for part in parts]
    return parts


def schedule(weights: Sequence[float]) -> List[int]:
    """Of each turn of a round, whose it is: places in ``weights``, which are at least 0 and not all 0."""
    members: Dict[int, List[int]] = {}
    for place, part in enumerate(whole(weights)):
        if part:
            members.setdefault(part, []).append(place)
    groups = [_Group(part * len(places), places) for part, places in sorted(members.items(), reverse=True)]
    total = sum(group.turns for group in groups)
    #: Of each moment, which groups' next turns may begin then.
    released: List[List[int]] = [[] for _ in range(total)]

    def release(place: int, time: int) -> None:
        group = groups[place]
        if group.taken < group.turns:
            released[max(time, group.taken * total // group.turns)].append(place)

    for place in range(len(groups)):
        release(place, 0)
    ready: List[Tuple[int, int]] = []
    order: List[int] = []
    last = -1
    for time in range(total):
        for place in released[time]:
            group = groups[place]
            heappush(ready, (-(-(group.taken + 1) * total // group.turns), place))
        deadline, place = heappop(ready)
        if place == last and len(groups[place].places) == 1 and ready and ready[0][0] == deadline:
            place = heapreplace(ready, (deadline, place))[1]
        group = groups[place]
        order.append(group.places[group.taken % len(group.places)])
        group.taken += 1
        release(place, time + 1)
        last = place
    return order


class _Group:
    """The peers of one weight, and how many of their turns in the round are taken."""

    __slots__ = ("places", "taken", "turns")

    def __init__(self, turns: int, places: List[int]) -> None:
        self.turns, self.places, self.taken = turns, places, 0
