"""Strategies by name, and people's own."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import pytest

from regcache.select.peers import Peer, Pool
from regcache.select.strategies import NAMES, check_strategy, make_picker

from .peered import nodes, peers, picks


class LeastBusy:
    """The example of :class:`regcache.select.Strategy`."""

    def prepare(self, peers: Sequence[Peer]) -> Callable[[Any], Peer]:
        return lambda key: min(peers, key=lambda peer: peer.in_flight / peer.weight)


class Returning:
    def __init__(self, pick: Any) -> None:
        self._pick = pick

    def prepare(self, peers: Sequence[Peer]) -> Any:
        return self._pick


def test_names() -> None:
    some = Pool().renew(nodes(3))
    for name in NAMES:
        check_strategy(name)
        assert make_picker(name, some).pick("key") in some


@pytest.mark.parametrize("strategy, error, text", [
    ("best", ValueError, "no strategy 'best'; there are hash, p2c,"),
    (None, TypeError, "or has prepare"),
    (Returning, None, ""),
    (object(), TypeError, "or has prepare"),
])  # fmt: skip
def test_checked(strategy: Any, error: Any, text: str) -> None:
    if error is None:
        check_strategy(strategy(None))
        return
    for check in (check_strategy, lambda given: make_picker(given, Pool().renew(nodes(1)))):
        with pytest.raises(error, match=text):
            check(strategy)


def test_ones_own(twin: Any) -> None:
    some = peers(twin, 3)
    picker = twin.own_picker(LeastBusy(), some)
    assert picker.peers == tuple(some)
    some[0]._begin()
    some[1]._begin()
    assert picks(picker, 3) == [2, 2, 2]
    some[2]._begin()
    some[2]._set(weight=2.0)
    assert picks(picker, 3) == [2, 2, 2]


def test_the_key_is_handed_on(twin: Any) -> None:
    keys: List[Any] = []
    some = peers(twin, 1)
    picker = twin.own_picker(Returning(lambda key: keys.append(key) or some[0]), some)
    picker.pick()
    picker.pick(["anything"])
    assert keys == [None, ["anything"]]


@pytest.mark.parametrize("returned", [None, 0, "n0", peers])
def test_what_is_no_peer_of_these(twin: Any, returned: Any) -> None:
    some = peers(twin, 2)
    with pytest.raises(TypeError, match="one of the peers that it was prepared for, not "):
        twin.own_picker(Returning(lambda key: returned), some).pick()
    with pytest.raises(TypeError, match="one of the peers that it was prepared for, not <Peer "):
        twin.own_picker(Returning(lambda key: peers(twin, 1)[0]), some).pick()


def test_what_it_raises_is_raised(twin: Any) -> None:
    def no(key: Any) -> Any:
        raise LookupError("no")

    class Never:
        def prepare(self, peers: Any) -> Any:
            raise LookupError("never")

    some = peers(twin, 2)
    with pytest.raises(LookupError, match="no"):
        twin.own_picker(Returning(no), some).pick()
    with pytest.raises(LookupError, match="never"):
        twin.own_picker(Never(), some)
    with pytest.raises(TypeError, match="something to call with a key, not 5"):
        twin.own_picker(Returning(5), some)
    with pytest.raises(ValueError, match="at least one peer"):
        twin.own_picker(LeastBusy(), [])
