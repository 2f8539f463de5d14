"""One call: what it counts, what it says of the node, and that it is used once."""

from __future__ import annotations

import asyncio
import gc
import math
from typing import Any, List

import pytest

from regcache.select.pure.peer import IN_A_ROW
from tests.together import together

from .peered import nodes
from .test_front import Clock


def selector(twin: Any, prepared: bool = True, **limits: Any) -> Any:
    """A front whose verdicts and slow path the test sees, and whose clock it sets."""

    class Selector(twin.Front):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.clock = Clock()
            super().__init__(None, self.clock)
            self.pool = twin.Pool(**limits)
            self.peers = self.pool.renew(nodes(2))
            self.verdicts: List[Any] = []
            self.slow: List[Any] = []
            if prepared:
                self._set_picker(twin.make_picker("round_robin", self.peers, seed=0))

        def _slow(self, timeout: Any, key: Any) -> Any:
            self.slow.append((timeout, key))
            self.clock.now += 1.0
            return self.peers[0]

        async def _slow_async(self, timeout: Any, key: Any) -> Any:
            await asyncio.sleep(0)
            return self._slow(timeout, key)

        def _verdict(self, peer: Any, bits: int, begun: float) -> None:
            assert begun <= self.clock.now
            self.verdicts.append((peer, bits))

    return Selector()


class Boom(Exception):
    pass


def run(twin: Any, front: Any, how: str, inside: Any, **options: Any) -> Any:
    """One call, entered and left as ``how`` says; returns it, and lets out what gets out."""
    call = twin.Call(front, **options)

    def sync() -> None:
        with call as entered:
            assert entered is call
            inside(call)

    async def tasked() -> None:
        async with call as entered:
            assert entered is call
            inside(call)

    if how == "sync":
        sync()
    else:
        asyncio.run(tasked())
    return call


HOW = pytest.mark.parametrize("how", ["sync", "async"])


@HOW
def test_a_success(twin: Any, how: str) -> None:
    front = selector(twin)

    def inside(call: Any) -> None:
        assert call.peer in front.peers and call.node is call.peer.node
        assert call.peer.in_flight == front.pool.in_flight == 1
        assert call.outcome is None
        front.clock.now += 0.25

    call = run(twin, front, how, inside)
    assert call.outcome == "success"
    assert call.peer.in_flight == front.pool.in_flight == 0
    assert call.peer.latency == pytest.approx(0.25)
    assert front.verdicts == front.slow == []


@HOW
def test_a_failure(twin: Any, how: str) -> None:
    front = selector(twin)

    def inside(call: Any) -> None:
        raise Boom

    calls = []
    for _ in range(10):
        with pytest.raises(Boom):
            run(twin, front, how, lambda call: (calls.append(call), inside(call)))
    assert {call.outcome for call in calls} == {"failure"}
    assert [one.failures for one in front.peers] == [5, 5]
    assert front.verdicts == [(calls[8].peer, IN_A_ROW), (calls[9].peer, IN_A_ROW)]
    assert front.pool.in_flight == 0


@HOW
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_says_nothing_of_the_node(twin: Any, how: str, kind: Any) -> None:
    front = selector(twin)
    calls: List[Any] = []

    def inside(call: Any) -> None:
        calls.append(call)
        raise kind

    if how == "async" and kind in (KeyboardInterrupt, SystemExit):
        pytest.skip("they end the loop")
    with pytest.raises(kind):
        run(twin, front, how, inside)
    assert calls[0].outcome == "nothing"
    assert (calls[0].peer.failures, calls[0].peer.latency, front.pool.in_flight) == (0, None, 0)


def test_a_task_that_is_cancelled(twin: Any) -> None:
    front = selector(twin)

    async def waiting(entered: asyncio.Event) -> None:
        async with twin.Call(front):
            entered.set()
            await asyncio.Event().wait()

    async def main() -> None:
        entered = asyncio.Event()
        task = asyncio.ensure_future(waiting(entered))
        await entered.wait()
        assert front.pool.in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert front.pool.in_flight == 0
    assert [one.failures for one in front.peers] == [0, 0]


@HOW
@pytest.mark.parametrize("given", ["the exception", "its type", "its parent"])
def test_ones_own_mistake(twin: Any, how: str, given: str) -> None:
    front, mistake = selector(twin), Boom()
    calls: List[Any] = []

    def inside(call: Any) -> None:
        calls.append(call)
        call.ignore({"the exception": mistake, "its type": Boom, "its parent": Exception}[given])
        raise mistake

    with pytest.raises(Boom):
        run(twin, front, how, inside)
    assert calls[0].outcome == "nothing" and calls[0].peer.failures == 0 and front.pool.in_flight == 0


def test_a_mistake_that_was_dealt_with_inside(twin: Any) -> None:
    front = selector(twin)
    call = run(twin, front, "sync", lambda call: call.ignore(Boom()))
    assert call.outcome == "nothing" and call.peer.latency is None
    call = run(twin, front, "sync", lambda call: call.ignore(Boom))
    assert call.outcome == "success", "none of this type came"


def test_another_exception_than_the_ignored(twin: Any) -> None:
    front = selector(twin)
    for ignored in (Boom(), LookupError):

        def inside(call: Any, ignored: Any = ignored) -> None:
            call.ignore(ignored)
            raise Boom

        with pytest.raises(Boom):
            run(twin, front, "sync", inside)
    assert [one.failures for one in front.peers] == [1, 1]


@pytest.mark.parametrize("what", [None, 5, "Boom", object])
def test_what_cannot_be_ignored(twin: Any, what: Any) -> None:
    with pytest.raises(TypeError, match="an exception, or a type of exceptions, not "):
        twin.Call(selector(twin)).ignore(what)


@HOW
@pytest.mark.parametrize("why", ["503", Boom(), None])
def test_a_failure_without_an_exception(twin: Any, how: str, why: Any) -> None:
    call = run(twin, selector(twin), how, lambda call: call.failed(why))
    assert call.outcome == "failure" and call.peer.failures == 1


@HOW
def test_finding_a_node_is_in_the_timeout(twin: Any, how: str) -> None:
    front = selector(twin, prepared=False)

    def inside(call: Any) -> None:
        assert front.slow == [(pytest.approx(2.0), "key")]
        assert call.remaining == pytest.approx(1.0), "half a second before, one second to find it"
        front.clock.now += 0.5
        assert call.remaining == pytest.approx(0.5)
        front.clock.now += 9.0
        assert call.remaining == 0.0

    call = twin.Call(front, 2.5, "key")
    front.clock.now += 0.5
    if how == "sync":
        with call:
            inside(call)
    else:

        async def tasked() -> None:
            async with call:
                inside(call)

        asyncio.run(tasked())
    assert call.peer.latency == pytest.approx(9.5), "what finding it took is not the node's"


def test_without_a_timeout(twin: Any) -> None:
    front = selector(twin, prepared=False)
    for timeout in (None, math.inf):
        call = twin.Call(front, timeout)
        assert call.remaining is None
        with call:
            assert call.remaining is None
    assert front.slow == [(None, None)] * 2
    assert twin.Call(front, 0).remaining == 0.0


@pytest.mark.parametrize("timeout", [-0.1, math.nan, -math.inf])
def test_a_timeout_that_is_none(twin: Any, timeout: float) -> None:
    with pytest.raises(ValueError, match="a timeout is at least 0 seconds, not "):
        twin.Call(selector(twin), timeout)
    with pytest.raises(TypeError):
        twin.Call(selector(twin), "soon")


def test_before_it_was_entered(twin: Any) -> None:
    call = twin.Call(selector(twin))
    for name in ("node", "peer"):
        with pytest.raises(RuntimeError, match="once its block was entered"):
            getattr(call, name)
    with pytest.raises(RuntimeError, match="left once, and not before it was entered"):
        call.__exit__(None, None, None)


@HOW
def test_it_is_for_one_use(twin: Any, how: str) -> None:
    front = selector(twin)
    call = run(twin, front, how, lambda call: None)
    with pytest.raises(RuntimeError, match="for one use"):
        call.__enter__()
    with pytest.raises(RuntimeError, match="left once"):
        call.__exit__(None, None, None)
    assert front.pool.in_flight == 0 and [one.in_flight for one in front.peers] == [0, 0]


def test_it_is_not_entered_twice(twin: Any) -> None:
    front = selector(twin)
    call = twin.Call(front)
    with call:
        with pytest.raises(RuntimeError, match="for one use"):
            call.__enter__()
        assert front.pool.in_flight == 1
    assert call.outcome == "success" and front.pool.in_flight == 0


def test_of_many_threads_one_enters(twin: Any) -> None:
    front = selector(twin)
    call = twin.Call(front)

    def enter(_: int) -> bool:
        try:
            call.__enter__()
        except RuntimeError:
            return False
        return True

    assert sum(together(8, enter)) == front.pool.in_flight == 1
    call.__exit__(None, None, None)
    assert front.pool.in_flight == 0


def test_one_that_was_finalized_may_still_be_left(twin: Any) -> None:
    """Of a cycle that is forgotten the garbage collector finalizes the call perhaps before whoever leaves it."""
    if not hasattr(twin.Call, "__del__"):
        pytest.skip("it has no finalizer")
    front = selector(twin)
    call = twin.Call(front).__enter__()
    call.__del__()
    assert front.pool.in_flight == 0
    call.__exit__(None, None, None)
    assert front.pool.in_flight == 0 and call.outcome is None


@HOW
def test_nothing_was_found(twin: Any, how: str) -> None:
    front = selector(twin, prepared=False)

    def none(timeout: Any, key: Any) -> Any:
        raise Boom

    front._slow = none
    call = twin.Call(front)
    with pytest.raises(Boom):
        if how == "sync":
            call.__enter__()
        else:

            async def tasked() -> None:
                async with call:
                    raise AssertionError("it was entered")

            asyncio.run(tasked())
    assert front.pool.in_flight == 0 and call.outcome is None
    with pytest.raises(RuntimeError, match="for one use"):
        call.__enter__()
    with pytest.raises(RuntimeError, match="left once"):
        call.__exit__(None, None, None)


def test_one_that_was_forgotten(twin: Any) -> None:
    front = selector(twin)
    twin.Call(front).__enter__()
    gc.collect()
    assert front.pool.in_flight == 0


@pytest.mark.parametrize("threshold", range(1, 60))
def test_one_that_the_collector_finds_while_its_node_is_counted(twin: Any, threshold: int) -> None:
    """It ends in the middle of whatever the thread is doing."""
    front = selector(twin)
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        forgotten: List[Any] = [twin.Call(front)]
        forgotten[0].__enter__()
        forgotten.append(forgotten)
        del forgotten
        gc.set_threshold(threshold)
        gc.enable()
        for turn in range(50):
            for peer in front.peers:
                peer._record(True, 0.1, float(turn))
    finally:
        gc.set_threshold(*before)
        gc.enable()
    gc.collect()
    assert front.pool.in_flight == 0


def test_choosing_by_somebodys_own_strategy_is_no_latency(twin: Any) -> None:
    front = selector(twin)

    class Slow:
        def prepare(self, peers: Any) -> Any:
            def pick(key: object) -> Any:
                front.clock.now += 1.0
                return peers[0]

            return pick

    front._set_picker(twin.own_picker(Slow(), front.peers))
    with twin.Call(front):
        front.clock.now += 0.25
    assert front.peers[0].latency == pytest.approx(0.25)


def test_the_peer_outlives_its_pool(twin: Any) -> None:
    front = selector(twin)
    with twin.Call(front) as call:
        front.pool.renew([])
        front._set_picker(None)
        front.peers.clear()
        gc.collect()
        assert call.peer.in_flight == 1
    assert call.peer.in_flight == 0


def test_calls_beside_each_other(twin: Any) -> None:
    front = selector(twin)

    async def one() -> None:
        async with twin.Call(front):
            await asyncio.sleep(0)

    async def main() -> int:
        tasks = [asyncio.ensure_future(one()) for _ in range(20)]
        await asyncio.sleep(0)
        seen: int = front.pool.in_flight
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(main()) == 20
    assert front.pool.in_flight == 0


def test_p2c_sees_the_calls(twin: Any) -> None:
    front = selector(twin)
    front._set_picker(twin.make_picker("p2c", front.peers))
    with twin.Call(front) as first, twin.Call(front) as second:
        assert {first.peer, second.peer} == set(front.peers)


def test_a_call_that_ends_in_a_cycle_with_its_peer_still_finds_it(twin: Any) -> None:
    """The garbage collector clears the objects of a cycle one by one, the oldest first."""

    class Knowing:
        node_name, id, address, port = "n", "n1", "10.0.0.1", 80

    node, front = Knowing(), selector(twin)
    (peer,) = front.pool.renew([node])
    front._set_picker(twin.make_picker("random", [peer], seed=0))
    younger = Knowing()
    younger.itself = younger  # type: ignore[attr-defined]
    younger.call = twin.Call(front)  # type: ignore[attr-defined]
    younger.call.__enter__()  # type: ignore[attr-defined]
    node.known = younger  # type: ignore[attr-defined]
    pool = front.pool
    pool.renew([])
    assert pool.in_flight == 1
    del node, front, peer, younger
    gc.collect()
    assert pool.in_flight == 0
