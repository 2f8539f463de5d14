"""Threads in tests: all start at once, and an error in any of them is the test's error."""

from __future__ import annotations

import threading
from typing import Callable, List, Optional, TypeVar

T = TypeVar("T")

#: Seconds after which a test that hangs is called broken. Nothing waits this long when all is well.
HANG = 60.0


class Threads:
    """``work(number)`` on ``count`` threads, which begin together."""

    def __init__(self, count: int, work: "Callable[[int], T]") -> None:
        self._results: List[Optional[T]] = [None] * count
        self._errors: List[BaseException] = []
        self._barrier = threading.Barrier(count)

        def run(number: int) -> None:
            try:
                self._barrier.wait(HANG)
                self._results[number] = work(number)
            except BaseException as error:
                self._errors.append(error)

        self._threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> list:  # type: ignore[type-arg]
        """The results, in order. Raises the first error, or AssertionError if a thread hangs."""
        for thread in self._threads:
            thread.join(HANG)
            assert not thread.is_alive(), "a thread hangs"
        if self._errors:
            raise self._errors[0]
        return self._results


def together(count: int, work: "Callable[[int], T]") -> list:  # type: ignore[type-arg]
    """Run ``work(number)`` on ``count`` threads and return the results."""
    return Threads(count, work).join()
