"""How weights become turns: a round in which each peer has as many turns as its weight says, spread evenly.

Peers of one weight are a group. A group has ``weight * members`` turns in a round of length 1, the middles of as many
equal parts of it, and its members take them in turn; all groups' turns in order of time are the schedule (the order of
the earliest deadline). It is exact over a round; of two different weights no peer has more turns in a row than it must
have: ``ceil(w / (sum of the others))``. Of more than two it may have one more where the groups' turns meet.
"""

from __future__ import annotations

from functools import reduce
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
    groups: Dict[int, List[int]] = {}
    for place, part in enumerate(whole(weights)):
        if part:
            groups.setdefault(part, []).append(place)
    turns: List[Tuple[float, int, int]] = []
    for part, members in groups.items():
        count = part * len(members)
        # Quotients of whole numbers this small are equal as floats exactly where they are equal.
        turns += [((2 * turn + 1) / (2 * count), -part, members[turn % len(members)]) for turn in range(count)]
    turns.sort()
    return [place for _, _, place in turns]
