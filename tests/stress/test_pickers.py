"""Callers against a picker that is replaced all the time: no peer of another time is freed under them, counts add up.

``REGCACHE_STRESS_SECONDS`` (2 by default) says for how long.
"""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from typing import Any, List

import pytest

from regcache import Node
from regcache.select.peers import Pool
from regcache.select.picks import Call, Front, make_picker, own_picker
from regcache.select.strategies import NAMES
from tests.together import Threads

SECONDS = float(os.environ.get("REGCACHE_STRESS_SECONDS", "2"))
CALLERS = 8


class Selector(Front):
    """What is picked from is replaced all the time; nothing is ever slow."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(failures=3, calls=10)
        self.verdicts: List[int] = []
        self.generation = 0
        self.pickers: List[Any] = []

    def renew(self, strategy: str) -> None:
        """Some nodes stay the same objects, some change, some go; weights and the number of nodes too."""
        self.generation += 1
        turn = self.generation
        fresh = [Node(f"n{i}", "10.0.0.1", 80, version=str(turn)) for i in range(3 + turn % 4)]
        some = self.pool.renew([*STAYING, *fresh])
        weights = [1.0 + (i + turn) % 3 for i in range(len(some))] if turn % 2 else None
        if strategy == "own":
            picker = own_picker(Turning(), some)
        else:
            picker = make_picker(strategy, some, weights, before=self._picker, seed=turn)
        for one in some:
            one._set(state=("up", "probing")[turn % 2], weight=1.0 + turn % 2)
        self.pickers = [*(one for one in self.pickers[-200:] if one() is not None), weakref.ref(picker)]
        self._set_picker(picker)

    def _verdict(self, peer: Any, bits: int, begun: float) -> None:
        assert 0 < bits < 16 and peer.node.id and begun > 0
        self.verdicts.append(bits)


class Turning:
    def prepare(self, peers: Any) -> Any:
        return lambda key: peers[hash(key) % len(peers)]


STAYING = [Node(f"s{i}", "10.0.0.2", 80) for i in range(4)]


class Failed(Exception):
    pass


@pytest.mark.parametrize("strategy", [*NAMES, "own"])
def test_callers_beside_a_picker_that_is_replaced(strategy: str) -> None:
    selector = Selector()
    selector.renew(strategy)
    stop = threading.Event()
    end = time.monotonic() + SECONDS / 2

    def call(number: int) -> int:
        done = 0
        while not (stop.is_set() and done):
            done += 1
            node = selector.select(key=done)
            assert node.id[0] in "ns" and node.port == 80
            try:
                with Call(selector, 5.0, done) as call:
                    peer = call.peer
                    assert peer.in_flight >= 1 and call.node is peer.node
                    assert call.remaining is not None
                    if done % 7 == number % 7:
                        raise Failed
            except Failed:
                assert call.outcome == "failure"
            assert (peer.latency or 0.0) >= 0.0 and peer.failures >= 0 and peer.state in ("up", "probing")
        return done

    def renew(_: int) -> None:
        while time.monotonic() < end or selector.generation <= 10:
            selector.renew(strategy)

    callers = Threads(CALLERS, call)
    Threads(1, renew).join()
    stop.set()
    done = callers.join()
    assert all(done) and selector.generation > 10
    assert selector.verdicts, "probing peers were called"
    picker = selector._picker
    assert picker is not None
    assert [one.in_flight for one in picker.peers] == [0] * len(picker)
    assert selector.pool.in_flight == 0
    # Each picker that was replaced went with the last call of it.
    del callers
    gc.collect()
    assert [one() for one in selector.pickers if one() is not None] == [picker]


def test_rounds_are_exact_under_threads() -> None:
    """Of a picker that stays each peer is picked as often as any other, whoever asks."""
    some = Pool().renew(STAYING)
    selector = Front()
    selector._set_picker(make_picker("round_robin", some))

    def pick(_: int) -> List[str]:
        return [selector.select().id for _ in range(4 * 1000)]

    drawn = [name for one in Threads(CALLERS, pick).join() for name in one]
    assert {drawn.count(node.id) for node in STAYING} == {CALLERS * 1000}
