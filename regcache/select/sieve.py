"""From a snapshot to the nodes that calls might go to: what filters and preferences leave of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Callable, FrozenSet, List, NamedTuple, Sequence, Tuple

from ..cache.status import count
from ..errors import NoneAvailable, NotFound
from .filters import Filters, sorted_out

if TYPE_CHECKING:
    from .peers import Peer

__all__ = ["Kept", "Sieve"]


class Kept(NamedTuple):
    """What the filters left of one snapshot. Every filter was asked once about each node."""

    peers: "List[Peer]"
    #: For each preference the places, among the peers, of those it prefers.
    preferred: Tuple[FrozenSet[int], ...] = ()


class Sieve:
    """The filters of one selector.

    Raises:
        TypeError: one cannot be called with a node.
    """

    def __init__(self, service: str, filters: Filters) -> None:
        self._service = service
        self._filters, self._preferences = sorted_out(filters)

    def __repr__(self) -> str:
        return repr([*self._filters, *self._preferences])

    def __bool__(self) -> bool:
        return bool(self._filters or self._preferences)

    def sift(self, peers: "Sequence[Peer]") -> Kept:
        """Those that every filter says yes to, at least one; nodes in maintenance are never among them.

        Raises:
            NotFound: there are no nodes.
            NoneAvailable: all are in maintenance, or a filter left none.
            Exception: what a filter raised.
        """
        if not peers:
            raise NotFound(f"the registry has no service {self._service!r} (or its token may not read it)")
        left = [peer for peer in peers if peer.node.status != "maintenance"]
        if not left:
            raise none_available(self._service, peers)
        for chosen in self._filters:
            before, left = left, [peer for peer in left if chosen(peer.node)]
            if not left:
                raise NoneAvailable(
                    f"the filter {chosen!r} left none of {count(len(before), 'node')} of {self._service!r} "
                    f"({chosen.there_is([peer.node for peer in before])})"
                )
        preferred = tuple(
            frozenset(place for place, peer in enumerate(left) if preference.preferred(peer.node))
            for preference in self._preferences
        )
        return Kept(left, preferred)

    def candidates(self, kept: Kept, usable: Callable[[int], bool]) -> Sequence[int]:
        """The places of the preferred ones as long as enough of them are usable, else of all. Asks no filter."""
        left: Sequence[int] = range(len(kept.peers))
        for preference, preferred in zip(self._preferences, kept.preferred):
            chosen = [place for place in left if place in preferred]
            if preference.enough(sum(map(usable, chosen)), len(chosen)):
                left = chosen
        return left


def none_available(service: str, peers: "Sequence[Peer]") -> NoneAvailable:
    """None of these may be used, because of what their checks say, or because they are ejected."""
    counts = Counter("ejected" if peer.state == "ejected" else peer.node.status for peer in peers)
    states = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    of = f"none of the {len(peers)} nodes of" if len(peers) != 1 else "the 1 node of"
    may = "may not" if len(peers) == 1 else "may"
    return NoneAvailable(f"{of} {service!r} {may} be used: {states}")
