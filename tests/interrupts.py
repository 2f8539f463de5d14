"""Interrupts in tests: the handler of a signal raises, at each place in turn where CPython may run it."""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import threading
from types import FrameType
from typing import Any, Callable, Iterator, List

import pytest


class Interrupt(BaseException):
    """What the handler raises."""


class Interrupted:
    """Does ``work()``, and raises in it at one place: where a function of Python's begins, or one of C's has returned.

    Attributes:
        kept: what was raised, with its traceback, as somebody may keep it.
        over: is the work shorter than that?
    """

    def __init__(self, place: int, work: "Callable[[], object]") -> None:
        self.kept: "List[BaseException]" = []
        self.over = True
        places = itertools.count()

        def profile(frame: FrameType, event: str, _: Any) -> None:
            if event in ("call", "c_return") and next(places) == place:
                sys.setprofile(None)
                self.over = False
                raise Interrupt

        gc.disable()  # what is raised in what the collector runs goes nowhere
        try:
            sys.setprofile(profile)
            work()
        except Interrupt as error:
            self.kept.append(error)
        finally:
            sys.setprofile(None)
            gc.enable()


def everywhere(make: "Callable[[], Callable[[], object]]") -> "Iterator[Interrupted]":
    """What ``make()`` returns is interrupted at its first place, what it returns the next time at the second, and so
    on to its end."""
    if _before_the_block():
        pytest.skip("in this CPython an interrupt may come between a lock's taking and the block that gives it back")
    for place in itertools.count():
        interrupted = Interrupted(place, make())
        if interrupted.over:
            assert place, "there was nothing to interrupt"
            return
        yield interrupted


@functools.lru_cache(maxsize=None)
def _before_the_block() -> bool:
    """May ``with lock:`` itself leave a lock locked? Since CPython 3.14 it calls ``__enter__`` like any other function,
    and nothing that is written in Python can help that."""
    lock = threading.Lock()

    def work() -> None:
        with lock:
            pass

    for place in itertools.count():
        interrupted = Interrupted(place, work)
        if interrupted.over or lock.locked():
            return lock.locked()
    raise AssertionError
