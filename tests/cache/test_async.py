"""Tasks of asyncio: the same answers, and a loop that is never blocked."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Awaitable, Callable, List

import pytest

from regcache import Cache, MemoryRegistry, NotFound, Service, Timeout, Unavailable
from tests.cache.fake import faked, running
from tests.cache.stub import Held, node
from tests.eventually import eventually
from tests.together import HANG


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work(), HANG)

    return asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_held_snapshots_come_without_a_pause() -> None:
    cache, refresher = running(10)
    coroutine = cache.get_async("greeter")
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)  # without any loop: it never waits for anything
    assert ended.value.value is cache.get("greeter")


def test_a_cold_start() -> None:
    registry = Held(node(1))

    async def work() -> None:
        async with Cache(registry) as cache:
            snapshot = await cache.get_async("greeter", timeout=HANG)
            assert [n.id for n in snapshot] == ["greeter-1"]

    run(work)
    assert registry.threads != [threading.get_ident()]


def test_ten_thousand_tasks_make_one_request_and_are_woken_once() -> None:
    cache, refresher = faked(watch=False)
    woken: List[int] = []

    async def work() -> List[Any]:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> Any:
            woken.append(1)
            return wake(*args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        tasks = [asyncio.ensure_future(cache.get_async("greeter", timeout=HANG)) for _ in range(10_000)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: refresher.now.many(3))
        thread.start()
        got = await asyncio.gather(*tasks)
        thread.join()
        return got

    got = run(work)
    assert len(got) == 10_000 and len(set(map(id, got))) == 1
    assert len(refresher.loads) == 1 and len(woken) == 1


def test_each_task_waits_for_its_own_time() -> None:
    cache, refresher = faked()

    async def work() -> None:
        patient = asyncio.ensure_future(cache.get_async("greeter", timeout=HANG))
        for timeout in (0, 0.02):
            with pytest.raises(Timeout, match="no answer about 'greeter' within"):
                await cache.get_async("greeter", timeout=timeout)
        refresher.now.many(2)
        assert len(await patient) == 2

    run(work)
    assert len(refresher.loads) == 2, "the first, and the watch"


def test_a_task_that_is_cancelled_cancels_nothing_for_the_others() -> None:
    cache, refresher = faked()

    async def work() -> None:
        tasks = [asyncio.ensure_future(cache.get_async("greeter", timeout=HANG)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[:9]:
            task.cancel()
        await asyncio.gather(*tasks[:9], return_exceptions=True)
        flight = cache._entries["greeter"]._flight
        assert flight is not None and sum(map(len, flight._loops.values())) == 1
        assert not refresher.now.cancelled
        refresher.now.many(2)
        assert len(await tasks[9]) == 2
        assert all(task.cancelled() for task in tasks[:9])

    run(work)


def test_errors_are_typed_and_each_task_has_its_own() -> None:
    cache, refresher = faked()

    async def work() -> List[BaseException]:
        tasks = [asyncio.ensure_future(cache.get_async("greeter", timeout=HANG)) for _ in range(10)]
        await asyncio.sleep(0)
        refresher.now.fail(Unavailable("down"))
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = run(work)
    assert all(isinstance(error, Unavailable) and "down" in str(error) for error in errors)
    assert len(set(map(id, errors))) == 10


def test_a_loop_that_is_gone_disturbs_nobody() -> None:
    cache, refresher = faked()

    async def work() -> None:
        asyncio.ensure_future(cache.get_async("greeter", timeout=HANG))
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    refresher.now.many(2)
    assert len(cache.get("greeter")) == 2
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_threads_and_two_loops_wait_together() -> None:
    cache, refresher = faked(watch=False)
    sizes: List[int] = []

    def threads() -> None:
        sizes.append(len(cache.get("greeter", timeout=HANG)))

    def loops() -> None:
        sizes.append(len(run(lambda: cache.get_async("greeter", timeout=HANG))))

    everybody = [threading.Thread(target=work) for work in (threads, loops, loops)]
    for thread in everybody:
        thread.start()

    def all_wait() -> bool:
        entry = cache._entries.get("greeter")
        return entry is not None and entry._flight is not None and len(entry._flight._loops) == 2

    eventually(all_wait)
    refresher.now.many(4)
    for thread in everybody:
        thread.join(HANG)
    assert sizes == [4, 4, 4]


def test_the_loop_goes_on_while_a_registry_hangs() -> None:
    registry = Held(node(1))
    registry.open.clear()

    async def work() -> None:
        async with Cache(registry) as cache:
            waiting = asyncio.ensure_future(cache.get_async("greeter", timeout=HANG))
            await until(registry.arrived.is_set)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not waiting.done()
            registry.open.set()
            assert len(await waiting) == 1

    run(work)


def test_select_async() -> None:
    registry = MemoryRegistry()
    registry.register(Service("greeter", "1.0", nodes=(node(1), node(2))))

    async def work() -> None:
        async with Cache(registry) as cache:
            selector = cache.selector("greeter", "round_robin")
            first, second, *more = [(await selector.select_async(timeout=HANG)).id for _ in range(4)]
            assert {first, second} == {"greeter-1", "greeter-2"} and more == [first, second]
            assert selector.select().id == first, "both forms go round together"
            with pytest.raises(NotFound, match="no service 'other'"):
                await cache.selector("other").select_async(timeout=HANG)

    run(work)


def test_closing_tells_tasks_that_wait() -> None:
    registry = Held(node(1))
    registry.open.clear()

    async def work() -> None:
        cache = Cache(registry)
        waiting = asyncio.ensure_future(cache.get_async("greeter", timeout=HANG))
        await until(registry.arrived.is_set)
        closing = asyncio.ensure_future(cache.aclose())
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        registry.open.set()
        await closing

    run(work)
