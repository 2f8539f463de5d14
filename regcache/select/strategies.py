"""Strategies: which of the peers is next. Prepared once for each snapshot, so that a pick only reads."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Protocol, Sequence, Tuple, Union

from .picks import Picker, own_picker
from .picks import make_picker as _make_named

if TYPE_CHECKING:
    from ..codec import Node
    from .peers import Peer

__all__ = ["NAMES", "Random", "RoundRobin", "Strategy", "check_strategy", "make_picker", "strategy_named"]

#: The strategies that have a name.
NAMES = ("hash", "p2c", "peak_ewma", "random", "round_robin", "weighted")


class Strategy(Protocol):
    """A way to choose of your own. One object serves one selector, over all its snapshots.

    The least busy of all peers, for a service of few nodes::

        class LeastBusy:
            def prepare(self, peers):
                return lambda key: min(peers, key=lambda peer: peer.in_flight / peer.weight)

        selector = cache.selector("greeter", strategy=LeastBusy())
    """

    def prepare(self, peers: Sequence["Peer"]) -> Callable[[Any], "Peer"]:
        """Get ready for these peers (at least one); what is returned is called with the key of each ``select()`` (None
        where there is none), and returns one of them. It is called from any thread, also from several at once.

        Called for each new snapshot, and when a peer was ejected or came back; by one thread at a time, while older
        picks may still be running. What it raises is raised by ``select()``.
        """


def check_strategy(strategy: Union[str, Strategy]) -> None:
    """Is it one?

    Raises:
        ValueError: there is none of this name.
        TypeError: neither a name nor something with ``prepare``.
    """
    if isinstance(strategy, str):
        if strategy not in NAMES:
            raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(NAMES)}")
    elif not callable(getattr(strategy, "prepare", None)):
        raise TypeError(f"a strategy is one of {', '.join(NAMES)}, or has prepare(peers); {strategy!r} has not")


def make_picker(
    strategy: Union[str, Strategy],
    peers: Sequence["Peer"],
    weights: Optional[Sequence[float]] = None,
    *,
    before: Optional[Picker] = None,
    seed: int = 0,
) -> Picker:
    """A picker for these peers (at least one), by a strategy of a name or of somebody's own.

    Args and errors: those of :func:`regcache.select.picks.make_picker`. Of one's own only the peers are used, whose
    ``weight`` says what ``weights`` does; what it raises is not caught.
    """
    check_strategy(strategy)
    if isinstance(strategy, str):
        return _make_named(strategy, peers, weights, before=before, seed=seed)
    return own_picker(strategy, peers)


class Random:
    """Each node is as likely as any other.

    Args:
        random: returns floats from 0 to 1, 1 excluded.
    """

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random

    def prepare(self, nodes: Sequence["Node"]) -> Callable[[], "Node"]:
        """The nodes."""
        random, count = self._random, len(nodes)
        return lambda: nodes[int(random() * count)]


class RoundRobin:
    """One after the other. A refresh does not begin anew: it goes on with the node that would have been next."""

    def __init__(self) -> None:
        self._nodes: Sequence["Node"] = ()
        self._turn: Iterator[int] = itertools.count()

    def prepare(self, nodes: Sequence["Node"]) -> Callable[[], "Node"]:
        """The nodes."""
        turn = itertools.count(self._start(nodes))
        self._nodes, self._turn = nodes, turn
        count = len(nodes)
        # next() of a count is one step, which threads cannot divide.
        return lambda: nodes[next(turn) % count]

    def _start(self, nodes: Sequence["Node"]) -> int:
        """Where, among these, is the first of those before that has not had its turn?"""
        old = self._nodes
        if not old:
            return 0
        places: Dict[Tuple[str, str], int] = {}
        for place, node in enumerate(nodes):
            places.setdefault((node.node_name, node.id), place)
        turn = next(self._turn)
        for step in range(len(old)):
            node = old[(turn + step) % len(old)]
            start = places.get((node.node_name, node.id))
            if start is not None:
                return start
        return 0


_NAMED: Dict[str, Callable[[], Any]] = {"random": Random, "round_robin": RoundRobin}


def strategy_named(strategy: Any) -> Any:
    """A new strategy of this name; or the one given, as it is.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(strategy, str):
        return strategy
    if strategy not in _NAMED:
        raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(sorted(_NAMED))}")
    return _NAMED[strategy]()
