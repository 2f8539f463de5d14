"""The cache: one request in flight, nobody waits while anything is held, and errors that say what happened."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from typing import Any, Iterator, List, Type

import pytest

from regcache import (
    DecodeError,
    LimitExceeded,
    Limits,
    NotFound,
    ProtocolError,
    RateLimited,
    RegcacheError,
    Service,
    Snapshot,
    Timeout,
    Unavailable,
)
from regcache.cache import Cache, State
from tests.cache.stub import Clock, Held, Settled, node
from tests.together import HANG, Threads, together


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    Settled.wait()
    Settled.close()


def state(cache: Cache, service: str = "greeter") -> State:
    return cache._entries[service].state


# -- cold ------------------------------------------------------------------------------------------------------------


def test_a_thousand_callers_on_a_cold_cache_make_one_request() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry, cold_wait=HANG)
    callers = Threads(1000, lambda _: cache.get("greeter"))
    assert registry.arrived.wait(HANG)
    assert state(cache) is State.REFRESHING
    registry.open.set()
    snapshots: List[Snapshot] = callers.join()
    assert registry.requests == 1
    assert len({id(snapshot) for snapshot in snapshots}) == 1
    assert [n.id for n in snapshots[0]] == ["greeter-1"]
    assert state(cache) is State.FRESH


def test_a_cold_start_never_fails_without_a_reason() -> None:
    """go-micro's own cache said "not found" to some of the callers of a cold start, now and then."""
    for _ in range(100):
        registry = Held(node(1))
        cache = Cache(registry, cold_wait=HANG)
        assert [len(snapshot) for snapshot in together(8, lambda _: cache.get("greeter"))] == [1] * 8  # noqa: B023
        assert registry.requests == 1


def test_each_caller_waits_for_its_own_time_and_the_request_goes_on() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry)
    patient = Threads(1, lambda _: cache.get("greeter", timeout=HANG))
    assert registry.arrived.wait(HANG)
    for timeout in (0, 0.02):
        with pytest.raises(Timeout, match="no answer about 'greeter' within"):
            cache.get("greeter", timeout=timeout)
    registry.open.set()
    assert len(patient.join()[0]) == 1
    assert cache.get("greeter", timeout=0) is cache.get("greeter", timeout=0)
    assert registry.requests == 1


def test_the_default_wait() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry, cold_wait=0.02)
    started = time.monotonic()
    with pytest.raises(Timeout, match=r"within 0\.02 s"):
        cache.get("greeter")
    assert 0.02 <= time.monotonic() - started < HANG
    registry.open.set()


def test_the_request_is_not_made_on_the_callers_thread() -> None:
    registry = Held(node(1))
    Cache(registry).get("greeter", timeout=HANG)
    assert registry.threads != [threading.get_ident()]


def test_an_empty_first_answer_is_returned_and_remembered() -> None:
    registry = Held()
    cache = Cache(registry, cold_wait=HANG)
    for _ in range(1000):
        assert len(cache.get("greeter")) == 0
    assert registry.requests == 1


@pytest.mark.parametrize("error", [Unavailable, RateLimited, ProtocolError, NotFound, Timeout])
def test_errors_of_a_first_load_are_typed_and_remembered_for_a_moment(error: Type[RegcacheError]) -> None:
    registry, clock = Held(node(1)), Clock()
    registry.error = error("so it is")
    cache = Cache(registry, clock=clock, cold_wait=HANG)
    raised = []
    for _ in range(100):
        with pytest.raises(error, match="so it is") as caught:
            cache.get("greeter")
        raised.append(caught.value)
    assert registry.requests == 1
    assert len(set(map(id, raised))) == 100, "an exception shared by callers would collect their tracebacks"
    assert state(cache) is State.FAILED
    registry.error = None
    clock.now += 0.25
    assert len(cache.get("greeter")) == 1
    assert registry.requests == 2


def test_failures_in_a_row_are_asked_about_less_and_less_often() -> None:
    registry, clock = Held(), Clock()
    registry.error = Unavailable("down")
    cache = Cache(registry, clock=clock, cold_wait=HANG, random=lambda: 0.0)
    waits = []
    for number in range(1, 9):
        started = clock.now
        while registry.requests < number:
            clock.now += 0.25
            with pytest.raises(Unavailable):
                cache.get("greeter")
        waits.append(clock.now - started)
    assert waits[1:] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_body_that_is_broken() -> None:
    registry = Held()
    registry.put("greeter", b'[{"Service": ')
    with pytest.raises(DecodeError) as caught:
        Cache(registry).get("greeter", timeout=HANG)
    assert caught.value.offset == 13


def test_limits_are_the_decoders() -> None:
    registry = Held()
    registry.put("greeter", b"[" + b" " * 100 + b"]")
    with pytest.raises(LimitExceeded) as caught:
        Cache(registry, limits=Limits(body_bytes=50)).get("greeter", timeout=HANG)
    assert caught.value.limit == "body_bytes"


def test_a_registry_with_a_bug_does_not_hang_its_callers() -> None:
    registry = Held()
    registry.error = ZeroDivisionError("oh")
    with pytest.raises(Unavailable, match="ZeroDivisionError: oh") as caught:
        Cache(registry).get("greeter", timeout=HANG)
    cause = caught.value.__cause__
    assert cause is not None and isinstance(cause.__cause__, ZeroDivisionError)


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    cache = Cache(Held(node(1)), clock=clock, cold_wait=HANG)

    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none)
        with pytest.raises(Unavailable, match="can't start new thread"):
            cache.get("greeter")
    clock.now += 1
    assert len(cache.get("greeter")) == 1


# -- warm ------------------------------------------------------------------------------------------------------------


def test_fresh_snapshots_are_served_without_a_request() -> None:
    registry, clock = Held(node(1)), Clock()
    cache = Cache(registry, ttl=30, clock=clock, cold_wait=HANG, random=lambda: 0.0)
    snapshot = cache.get("greeter")
    clock.now += 19.9
    assert cache.get("greeter") is snapshot
    assert state(cache) is State.FRESH
    clock.now += 10.1
    assert state(cache) is State.STALE
    assert registry.requests == 1


def test_a_thousand_callers_on_a_stale_cache_make_one_request_and_none_waits() -> None:
    registry, clock = Held(node(1)), Clock()
    cache = Cache(registry, ttl=30, clock=clock, cold_wait=HANG)
    old = cache.get("greeter")
    registry.register(Service("greeter", "1.0", nodes=(node(2),)))
    registry.arrived.clear()
    registry.open.clear()
    clock.now += 30
    # The registry does not answer while they call, so that whoever waited would never come back.
    assert all(snapshot is old for snapshot in together(1000, lambda _: cache.get("greeter", timeout=0)))
    assert registry.arrived.wait(HANG)
    assert state(cache) is State.REFRESHING
    assert cache.get("greeter", timeout=0) is old
    registry.open.set()
    Settled.wait()
    assert registry.requests == 2
    new = cache.get("greeter")
    assert [n.id for n in new] == ["greeter-1", "greeter-2"]
    assert new[0] is old[0], "a node that did not change stays the same object"
    assert [n.id for n in new.added] == ["greeter-2"]


def test_the_last_good_snapshot_is_served_while_the_registry_fails() -> None:
    registry, clock = Held(node(1)), Clock()
    cache = Cache(registry, ttl=30, clock=clock, cold_wait=HANG)
    good = cache.get("greeter")
    registry.error = Unavailable("down")
    for _ in range(50):
        clock.now += 60
        assert cache.get("greeter", timeout=0) is good
        Settled.wait()
        assert state(cache) is State.FAILED
    assert registry.requests == 51
    for _ in range(50):  # no time passes: no more requests
        assert cache.get("greeter", timeout=0) is good
    assert registry.requests == 51
    registry.error = None
    registry.register(Service("greeter", "1.0", nodes=(node(2),)))
    clock.now += 60
    cache.get("greeter")
    Settled.wait()
    assert len(cache.get("greeter")) == 2
    assert state(cache) is State.FRESH


def test_services_do_not_disturb_each_other() -> None:
    registry = Held(node(1))
    cache = Cache(registry, cold_wait=HANG)
    assert len(cache.get("greeter")) == 1
    assert len(cache.get("other")) == 0
    assert registry.requests == 2


def test_a_chain_of_refreshes_keeps_no_old_snapshots() -> None:
    registry, clock = Held(node(1)), Clock()
    cache = Cache(registry, ttl=30, clock=clock, cold_wait=HANG)
    seen: List[Any] = []
    for _ in range(5):
        registry.put("greeter", b"[]")
        cache.get("greeter")
        Settled.wait()
        snapshot = cache.get("greeter")
        try:
            seen.append(weakref.ref(snapshot))
        except TypeError:
            pytest.skip("snapshots of this backend cannot be referenced weakly")
        del snapshot
        clock.now += 30
    gc.collect()
    assert sum(reference() is not None for reference in seen) == 1


# -- the end ---------------------------------------------------------------------------------------------------------


def test_close_lets_go_and_tells_those_who_wait() -> None:
    registry = Held(node(1))
    cache = Cache(registry, cold_wait=HANG)
    cache.get("greeter")
    registry.arrived.clear()
    registry.open.clear()

    def waits(_: int) -> None:
        with pytest.raises(Unavailable, match="closed"):
            cache.get("other")

    waiting = Threads(3, waits)
    assert registry.arrived.wait(HANG)
    cache.close(timeout=0.05)
    waiting.join()
    registry.open.set()
    Settled.wait()
    for service in ("greeter", "other", "new"):
        with pytest.raises(Unavailable, match="closed"):
            cache.get(service)
    cache.close()


def test_a_context_manager() -> None:
    with Cache(Held(node(1))) as cache:
        assert len(cache.get("greeter", timeout=HANG)) == 1
    with pytest.raises(Unavailable):
        cache.get("greeter")


def test_names_and_numbers_that_cannot_be_used() -> None:
    cache = Cache(Held())
    with pytest.raises(ValueError):
        cache.get("")
    with pytest.raises(TypeError):
        cache.get(b"greeter")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Cache(Held(), ttl=0)
    with pytest.raises(ValueError):
        Cache(Held(), cold_wait=-1)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"guard": 0.5}, "guard is a regcache.Guard, .* not 0.5"),
        ({"limits": 5}, "limits are a regcache.Limits, .* not 5"),
        ({"limits": None}, "limits are a regcache.Limits, .* not None"),
        ({"on_event": 5}, "on_event is called with each event; 5 cannot be called"),
        ({"workers": 1.5}, "workers is a whole number, not 1.5"),
        ({"connections": 2.5}, "connections is a whole number, not 2.5"),
    ],
)
def test_what_is_of_another_kind_is_refused_when_the_cache_is_made(options: Any, wanted: str) -> None:
    with pytest.raises(TypeError, match=wanted):
        Cache(Held(), **options)


class Client:
    """As much of consul.Consul as matters."""

    http = None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("consul://127.0.0.1:8500", r"not str; regcache.connect\(url\) makes a cache of a URL"),
        (None, "not NoneType"),
        (Client(), r"such as regcache.ConsulRegistry\(\.\.\.\), which takes .* a consul.Consul; not Client"),
        (Held, "not the class Held"),
    ],
)
def test_what_is_no_registry_is_refused(given: Any, wanted: str) -> None:
    with pytest.raises(TypeError, match=f"a registry is wanted, .*{wanted}"):
        Cache(given)


def test_one_name_is_not_several() -> None:
    registry = Held()
    cache = Cache(registry)
    with pytest.raises(TypeError, match=r"services are several names, such as \['consul'\]"):
        cache.warm("consul")
    assert registry.requests == 0


def test_a_timeout_below_0_is_refused_where_somebody_would_wait() -> None:
    registry = Held(node(1))
    registry.open.clear()
    cache = Cache(registry)

    async def later() -> None:
        await cache.get_async("greeter", timeout=-1)

    for wait in (
        lambda: cache.get("greeter", timeout=-1),
        lambda: asyncio.run(later()),
        lambda: cache.reader("greeter").get(-1),
        lambda: cache.selector("greeter").select(timeout=-1),
        lambda: cache.warm(["greeter"], timeout=-1),
    ):
        with pytest.raises(ValueError, match="a timeout is at least 0 seconds, not -1"):
            wait()
    registry.open.set()
    assert cache.get("greeter", timeout=HANG) is cache.get("greeter", timeout=-1), "nobody looks at it"
