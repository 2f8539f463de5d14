"""Strategies: which of the peers is next. Prepared once for each snapshot, so that a pick only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Sequence, Union

from .picks import Picker, own_picker
from .picks import make_picker as _make_named

if TYPE_CHECKING:
    from .peers import Peer

__all__ = ["NAMES", "Strategy", "check_strategy", "make_picker"]

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

        Called for each new snapshot, and whenever which peers get calls, or their weights, have changed (ejections,
        probes, slow start, panic); by one thread at a time, while older picks may still be running. What it raises is
        raised by ``select()``.
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
