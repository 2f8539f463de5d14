"""A call that had no node to go to, in the form that grpc's own calls have."""

from __future__ import annotations

from typing import Any, Callable, NoReturn, Optional, Tuple

import grpc

from .rules import code_of

__all__ = ["Failed"]


class Failed(grpc.RpcError, grpc.Call, grpc.Future):
    """An error to raise, a future that failed, and a stream that ends at once.

    Args:
        error: why; it is the ``__cause__``, and its text the details.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.__cause__ = self._why = error
        self._code = code_of(error)

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return str(self.__cause__)

    def debug_error_string(self) -> str:
        return repr(self.__cause__)

    def initial_metadata(self) -> Tuple[()]:
        return ()

    def trailing_metadata(self) -> Tuple[()]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> None:
        return None

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def add_callback(self, callback: Callable[[], object]) -> bool:
        return False  # it is over; grpc calls nothing then

    def add_done_callback(self, fn: "Callable[[Failed], object]") -> None:
        fn(self)

    def result(self, timeout: Optional[float] = None) -> NoReturn:
        raise Failed(self._why)  # another one each time: it collects the tracebacks of everybody who raises it

    def exception(self, timeout: Optional[float] = None) -> "Failed":
        return self

    def traceback(self, timeout: Optional[float] = None) -> Any:
        return self.__traceback__

    def __iter__(self) -> "Failed":
        return self

    def __next__(self) -> NoReturn:
        raise Failed(self._why)
