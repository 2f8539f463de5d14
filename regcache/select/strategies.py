"""Strategies: which of the usable nodes is next. Prepared once for each snapshot, so that a pick only reads."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Callable, Dict, Iterator, Protocol, Sequence, Tuple, Union

if TYPE_CHECKING:
    from ..codec import Node

__all__ = ["Random", "RoundRobin", "Strategy", "strategy_named"]


class Strategy(Protocol):
    """A way to choose. One object serves one selector, over all its snapshots."""

    def prepare(self, nodes: Sequence["Node"]) -> Callable[[], "Node"]:
        """Get ready for these nodes (at least one); what is returned picks one of them, from any thread.

        Called for each new snapshot, by one thread at a time. Older picks may still be running.
        """


class Random:
    """Each node is as likely as any other.

    Args:
        random: returns floats from 0 to 1, 1 excluded.
    """

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random

    def prepare(self, nodes: Sequence["Node"]) -> Callable[[], "Node"]:
        """See :meth:`Strategy.prepare`."""
        random, count = self._random, len(nodes)
        return lambda: nodes[int(random() * count)]


class RoundRobin:
    """One after the other. A refresh does not begin anew: it goes on with the node that would have been next."""

    def __init__(self) -> None:
        self._nodes: Sequence["Node"] = ()
        self._turn: Iterator[int] = itertools.count()

    def prepare(self, nodes: Sequence["Node"]) -> Callable[[], "Node"]:
        """See :meth:`Strategy.prepare`."""
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


_NAMED: Dict[str, Callable[[], Strategy]] = {"random": Random, "round_robin": RoundRobin}


def strategy_named(strategy: Union[str, Strategy]) -> Strategy:
    """A new strategy of this name; or the one given, as it is.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(strategy, str):
        return strategy
    if strategy not in _NAMED:
        raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(sorted(_NAMED))}")
    return _NAMED[strategy]()
