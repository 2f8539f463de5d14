"""A world in which calls take time, on a clock of its own: what happens depends on a seed and on nothing else.

Backends have a queue and work on one call after the other, also on those that nobody waits for any more: that is what
makes retries heavy. Callers come by chance, wait for so long, and try again.
"""

from __future__ import annotations

import heapq
import itertools
import random
from typing import Any, Callable, Dict, List, Optional, Tuple

from regcache import Guard, Node, Selector
from regcache.select import Attempt
from tests.select.source import Clock, Source, node


class Late(Exception):
    """A caller's patience is over."""


class World:
    """Time, and what happens in it."""

    def __init__(self, seed: int) -> None:
        self.clock = Clock()
        self.dice = random.Random(seed)
        self._order = itertools.count()
        self._events: List[Tuple[float, int, Callable[[], object]]] = []

    def at(self, seconds: float, what: Callable[[], object]) -> None:
        """Let this happen so many seconds from now."""
        heapq.heappush(self._events, (self.clock.now + seconds, next(self._order), what))

    def run(self, seconds: float) -> None:
        """Until so many seconds have passed."""
        end = self.clock.now + seconds
        while self._events and self._events[0][0] <= end:
            self.clock.now, _, what = heapq.heappop(self._events)
            what()
        self.clock.now = end


class Backends:
    """Each works on one call at a time; a call costs it ``work`` seconds on average, by chance (exponentially)."""

    def __init__(self, world: World, ids: List[str], work: float) -> None:
        self._world = world
        self.work: Dict[str, float] = dict.fromkeys(ids, work)
        #: When each will have worked off what it has.
        self._free: Dict[str, float] = dict.fromkeys(ids, 0.0)

    def call(self, which: str) -> float:
        """The seconds until the answer of one more call."""
        now = self._world.clock.now
        self._free[which] = max(now, self._free[which]) + self._world.dice.expovariate(1 / self.work[which])
        return self._free[which] - now

    def delay(self, which: str) -> float:
        """The seconds that a call would take."""
        return max(0.0, self._free[which] - self._world.clock.now) + self.work[which]


class Registry(Source):
    """What the script takes nodes out of; the selector sees it through a guard, if there is one."""

    def __init__(self, world: World, count: int, guard: Optional[Guard]) -> None:
        super().__init__(clock=world.clock)
        self._world = world
        self._guard = guard
        self._there: Dict[str, Node] = {one.id: one for one in map(node, range(1, count + 1))}
        self.lost: List[str] = []
        self.refresh(*self._there.values())

    @property
    def ids(self) -> List[str]:
        return list(self._there)

    def remove(self, *those: str) -> None:
        """Deregister them."""
        for which in those:
            self.lost.append(which)
            del self._there[which]
        self._answer()

    def fail(self, *those: str) -> None:
        """Their checks turn critical."""
        for which in those:
            self._there[which] = node(int(which.rpartition("-")[2]), status="critical")
        self._answer()

    def _answer(self) -> None:
        held = self.slot.get()
        assert held is not None
        answer = type(held)("greeter", self._there.values())
        why = None if self._guard is None else self._guard.doubts(held, answer)
        if why is None:
            self.refresh(*self._there.values())
        else:
            self.hold(why)


class Callers:
    """They come by chance, ``rate`` a second; each wants one answer, by up to ``tries`` calls with ``patience`` seconds
    each."""

    def __init__(
        self, world: World, backends: Backends, selector: Selector, *, rate: float, patience: float, tries: int
    ) -> None:
        self._world = world
        self._backends = backends
        self._selector = selector
        self._rate = rate
        self._patience = patience
        self._tries = tries
        self.wanted = 0
        self.calls = 0
        #: Seconds from the first call of each that was answered.
        self.answered: List[float] = []

    def come(self) -> None:
        self._world.at(self._world.dice.expovariate(self._rate), self.come)
        self.wanted += 1
        attempts = self._selector.attempts(tries=self._tries)
        self._try(attempts, self._world.clock.now)

    def _try(self, attempts: Any, begun: float) -> None:
        for attempt in attempts:
            try:
                call = attempt.__enter__()
            except LookupError:
                return  # there are no nodes any more
            self.calls += 1
            takes = self._backends.call(call.node.id)
            late = takes > self._patience
            self._world.at(min(takes, self._patience), lambda: self._end(attempts, attempt, late, begun))  # noqa: B023
            return

    def _end(self, attempts: Any, attempt: Attempt, late: bool, begun: float) -> None:
        error = Late() if late else None
        attempt.__exit__(None if error is None else Late, error, None)
        if not late:
            self.answered.append(self._world.clock.now - begun)
        elif attempt.again:
            self._try(attempts, begun)


class Script:
    """It means well: it looks at one node after the other, and takes those that answer late out of the registry."""

    def __init__(self, world: World, backends: Backends, registry: Registry, *, look: float, late: float) -> None:
        self._world = world
        self._backends = backends
        self._registry = registry
        self._look = look
        self._late = late
        self._round = itertools.cycle(registry.ids)

    def go_on(self) -> None:
        self._world.at(self._look, self.go_on)
        which = next(self._round)
        if which in self._registry.ids and self._backends.delay(which) > self._late:
            self._registry.remove(which)


def percentile(values: List[float], part: float) -> float:
    return sorted(values)[int(part * len(values))]
