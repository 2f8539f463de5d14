"""``python -m benchmarks.tail [NODES [SECONDS]]``: the slowest calls of a busy thread, with and without refreshes.

The service has 10,000 nodes with go-micro's tags, a tenth of which change with every refresh, and refreshes follow each
other without a pause. Quiet and busy turns alternate, so that the rest of the machine disturbs both alike. In Markdown.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import sys
import time
from array import array
from typing import Any, Callable, Dict, Iterator, List, Sequence

from regcache import Cache, Endpoint, Event, MemoryRegistry, Node, Service, Value

TURNS = 5
#: A refresh is due when an answer is two thirds of this old: at once.
TTL = 0.001
#: Parts of the calls that are at most as slow as what is shown.
PARTS = (0.5, 0.99, 0.999, 0.9999)

WAYS: Dict[str, Callable[[Cache], Callable[[], Any]]] = {
    "Cache.get()": lambda cache: lambda: cache.get("greeter"),
    "reader.get()": lambda cache: cache.reader("greeter").get,
    "Selector.select()": lambda cache: cache.selector("greeter").select,
}


class Changing(MemoryRegistry):
    """Says in turns one of two things, which were written before, so that writing them disturbs nobody."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        super().__init__()
        self._said = bodies
        self.asked = 0

    def begin(self, service: str, **how: Any) -> Any:
        self.asked += 1
        self.put(service, self._said[self.asked % 2])
        return super().begin(service, **how)


def body(count: int, turn: int) -> bytes:
    """The nodes of a service; a tenth of them says which turn it is."""
    value = Value("Request", "Request", tuple(Value(f"field{i}", "string") for i in range(4)))
    endpoints = tuple(Endpoint(f"Greeter.Call{i}", value, value, {}) for i in range(8))
    registry = MemoryRegistry()
    nodes = tuple(
        Node(
            f"greeter-{i}",
            f"10.{i // 62500}.{i // 250 % 250}.{i % 250}",
            8080,
            metadata={"protocol": "grpc", "zone": f"z{i % 3}", "turn": str(turn if i % 10 == 0 else 0)},
            endpoints=endpoints,
        )
        for i in range(count)
    )
    registry.register(Service("greeter", "1.0", nodes=nodes), form="go-micro")
    with registry.fetch("greeter") as answer:
        return b"".join(answer.chunks())


@contextlib.contextmanager
def cache_of(bodies: Sequence[bytes], ttl: float) -> Iterator[Any]:
    """A cache, and the times at which it published something."""
    published: List[float] = []

    def hear(event: Event) -> None:
        if event.kind == "refreshed":
            published.append(time.perf_counter())

    with Cache(Changing(bodies), watch=False, ttl=ttl, on_event=hear) as cache:
        cache.get("greeter", timeout=60.0)
        yield cache, published


def calls(work: Callable[[], Any], seconds: float) -> "array[int]":
    """Nanoseconds of each call, with those of looking at the clock."""
    took = array("q")
    keep, clock = took.append, time.perf_counter_ns
    work()
    gc.collect()
    until = clock() + int(seconds * 1e9)
    begun = clock()
    while begun < until:
        work()
        ended = clock()
        keep(ended - begun)
        begun = clock()
    return took


def main(arguments: Sequence[str]) -> int:
    count = int(arguments[0]) if arguments else 10_000
    seconds = float(arguments[1]) if len(arguments) > 1 else 2.0
    bodies = [body(count, turn) for turn in range(2)]
    print(f"{count:,} nodes, {len(bodies[0]) / 1e6:.1f} MB, {TURNS} turns of {seconds:g} s each way; switch interval "
          f"{sys.getswitchinterval() * 1000:g} ms\n")  # fmt: skip
    columns = ["median", "p99", "p99.9", "p99.99", "longest"]
    print(f"| call | refreshes | {' | '.join(columns)} | p99.9 against quiet (turn by turn) |")
    print("| --- | ---: |" + " ---: |" * (len(columns) + 1))
    for name, way in WAYS.items():
        ratios: List[float] = []
        shown: Dict[bool, List[List[float]]] = {False: [], True: []}
        refreshes = 0
        for _ in range(TURNS):
            tails = []
            for busy in (False, True):
                with cache_of(bodies, TTL if busy else 3600.0) as (cache, published):
                    work = way(cache)
                    work()
                    before = len(published)
                    took = sorted(calls(work, seconds))
                    refreshes += len(published) - before
                places = [took[int(len(took) * part)] for part in PARTS]
                shown[busy].append([float(value) for value in (*places, took[-1])])
                tails.append(places[2])
            ratios.append(tails[1] / tails[0])
        for busy in (False, True):
            values = [statistics.median(column) for column in zip(*shown[busy])]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if busy else ""
            print(
                f"| {name} | {refreshes if busy else 0} | {' | '.join(map(_readable, values))} | {ratio} |", flush=True
            )
    return 0


def _readable(nanoseconds: float) -> str:
    for bound, divisor, unit in ((1e4, 1.0, "ns"), (1e7, 1e3, "us"), (float("inf"), 1e6, "ms")):
        if nanoseconds < bound:
            return f"{nanoseconds / divisor:,.0f} {unit}"
    raise AssertionError(nanoseconds)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
