"""The callers: threads that want something of the service now and then, and try again when it takes too long."""

from __future__ import annotations

import random
import threading
import time
from array import array
from typing import List

from ..errors import RegcacheError
from .backends import Backends
from .lookup import Lookup
from .story import Story

__all__ = ["Callers"]

#: Seconds in which the threads wake up, before anybody wants anything.
LEAD = 0.2


class _Caller:
    """One thread. It alone writes its arrays; moments are seconds since the run's beginning."""

    def __init__(self, story: Story, number: int) -> None:
        dice = random.Random(f"{story.seed}/{number}")
        #: When it will want something. Requests it has no time for wait until it has.
        self.due: List[float] = []
        moment = dice.random() * story.period
        while moment < story.seconds - story.patience:
            self.due.append(moment)
            moment += story.period * (0.5 + dice.random())
        #: Each lookup: when it began, and how long it took.
        self.looked_up = array("d")
        self.waited = array("d")
        #: When requests were answered, and when they were given up.
        self.answered = array("d")
        self.failed = array("d")


class Callers:
    """All of them.

    Args:
        story: how many, how often, how patient; its seed says when each of them wants something.
        lookup: how they find a node.
        backends: what they call.
        stop: when it is set they leave, whatever they are doing.
    """

    def __init__(self, story: Story, lookup: Lookup, backends: Backends, stop: threading.Event) -> None:
        self._story = story
        self._lookup = lookup
        self._backends = backends
        self._stop = stop
        self._begun = 0.0
        self._go = threading.Event()
        self.each = [_Caller(story, number) for number in range(story.callers)]
        #: Requests that the callers wanted to make; the same in every run of a story.
        self.wanted = sum(len(caller.due) for caller in self.each)
        self._threads = [
            threading.Thread(target=self._run, args=(caller,), name="regcache-simulate-caller", daemon=True)
            for caller in self.each
        ]

    def start(self) -> float:
        """Let them begin, all together; the moment from which theirs count."""
        for thread in self._threads:
            thread.start()
        self._begun = time.monotonic() + LEAD
        self._go.set()
        return self._begun

    def join(self) -> None:
        """Wait until all have left; ``stop`` must be set."""
        self._go.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, caller: _Caller) -> None:
        self._go.wait()
        for due in caller.due:
            if self._stop.wait(max(0.0, self._begun + due - time.monotonic())):
                return
            answered = self._request(caller)
            if self._stop.is_set():
                return
            (caller.answered if answered else caller.failed).append(time.monotonic() - self._begun)

    def _request(self, caller: _Caller) -> bool:
        """One request, with its retries; was it answered?"""
        patience, stop = self._story.patience, self._stop
        for again in range(self._story.tries):
            if again and stop.wait(self._story.pause):
                return False
            begun = time.monotonic()
            try:
                node = self._lookup.select(patience)
            except RegcacheError:
                node = None
            caller.looked_up.append(begun - self._begun)
            caller.waited.append(time.monotonic() - begun)
            if stop.is_set():
                return False
            if node is not None:
                takes = self._backends.call(node.id)
                if stop.wait(min(takes, patience)):
                    return False
                if takes <= patience:
                    return True
        return False
