"""One call to a node: found, counted while it is in flight, and its outcome taken from how the block was left."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Type, Union

from .front import Front
from .peer import Peer

if TYPE_CHECKING:
    from ...codec import Node

__all__ = ["Call"]

_NEW, _ENTERED, _FORGOTTEN = range(3)


class Call:
    """``with selector.call(timeout=0.5) as call: ...``, or ``async with``; for one use.

    The timeout begins when the call is made: finding a node counts. A block that is left by an exception is a failure
    of the node; by none, a success. A task that was cancelled, ``KeyboardInterrupt`` and whatever else is not an
    ``Exception`` say nothing about the node.

    Args:
        front: the selector.
        timeout: seconds, at least 0; None: no limit.
        key: for the strategy "hash".

    Raises:
        ValueError: a timeout below 0, or not a number.
    """

    __slots__ = (
        "_answered", "_begun", "_deadline", "_front", "_ignored", "_key", "_next", "_outcome", "_peer",
        "_why",
    )  # fmt: skip

    def __init__(
        self,
        front: Front,
        timeout: Optional[float] = None,
        key: object = None,
    ) -> None:
        # One thing to do next, or nothing. It is taken by pop(), which is one step also without the GIL.
        self._next = [_NEW]
        self._front = front
        self._key = key
        self._peer: Optional[Peer] = None
        self._ignored: Any = None
        self._why: Any = None
        self._outcome: Optional[str] = None
        self._begun = 0.0
        self._answered: Optional[float] = None
        self._deadline = math.inf
        if timeout is not None:
            if not timeout >= 0.0:
                raise ValueError(f"a timeout is at least 0 seconds, not {timeout!r}")
            self._deadline = front._now() + timeout

    @property
    def peer(self) -> Peer:
        """The node, as the selector knows it. RuntimeError before the block was entered."""
        if self._peer is None:
            raise RuntimeError("a call has a node once its block was entered: with selector.call() as call")
        return self._peer

    @property
    def node(self) -> "Node":
        """Where to call. RuntimeError before the block was entered."""
        return self.peer.node

    @property
    def remaining(self) -> Optional[float]:
        """Seconds left of the timeout, 0.0 when it is over; None without one. For the timeout of the call itself."""
        if self._deadline == math.inf:
            return None
        return max(0.0, self._deadline - self._front._now())

    @property
    def outcome(self) -> Optional[str]:
        """``"success"``, ``"failure"``, or ``"nothing"`` (ignored, cancelled); None until the block was left."""
        return self._outcome

    def ignore(self, exc: Union[BaseException, Type[BaseException]]) -> None:
        """This exception, or any of this type, is the caller's own mistake: neither failure nor success of the node.

        To be called inside the block; it may then be left by the exception, or without one.
        """
        if not (isinstance(exc, BaseException) or (isinstance(exc, type) and issubclass(exc, BaseException))):
            raise TypeError(f"an exception, or a type of exceptions, not {exc!r}")
        self._ignored = exc

    def failed(self, why: Union[BaseException, str]) -> None:
        """The node failed, though no exception says so (a response with the status 503)."""
        self._why = why if why is not None else "failed"

    def answered(self) -> None:
        """The answer begins to come: what it took until now is the node's latency, however long the block takes to read
        the rest, in which the call is still in flight. Only the first time counts."""
        if self._answered is None:
            self._answered = self._front._now()

    def __enter__(self) -> "Call":
        self._enter_once()
        return self._enter(self._front._peer(self.remaining, self._key))

    async def __aenter__(self) -> "Call":
        self._enter_once()
        picker = self._front._ready()
        if picker is None:
            return self._enter(await self._front._slow_async(self.remaining, self._key))
        return self._enter(picker.pick(self._key, self._front._now()))

    def _enter_once(self) -> None:
        if not self._take(_NEW):
            raise RuntimeError("a call is for one use: ask the selector for another")

    def _take(self, step: int) -> bool:
        """Is this to be done next, and by this thread?"""
        try:
            found = self._next.pop()
        except IndexError:
            return False
        if found != step:
            self._next.append(found)
        return found == step

    def _enter(self, peer: Peer) -> "Call":
        self._peer = peer
        peer._begin()
        self._next.append(_ENTERED)
        self._begun = self._front._now()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._peer is None or not self._take(_ENTERED):
            if self._take(_FORGOTTEN):
                return  # by what the garbage collector finalized after the call itself
            raise RuntimeError("a call is left once, and not before it was entered")
        self._peer._end()
        ok = self._judge(exc)
        if ok is None:
            self._outcome = "nothing"
            return
        self._outcome = "success" if ok else "failure"
        now = self._front._now()
        answered = now if self._answered is None else self._answered
        verdict = self._peer._record(ok, answered - self._begun, now)
        if verdict:
            self._front._verdict(self._peer, verdict, self._begun)

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.__exit__(kind, exc, trace)

    def _judge(self, exc: Optional[BaseException]) -> Optional[bool]:
        """Success, failure, or None: neither."""
        ignored = self._ignored
        if exc is None:
            if isinstance(ignored, BaseException):
                return None
            return self._why is None
        if not isinstance(exc, Exception):
            return None
        if exc is ignored or (isinstance(ignored, type) and isinstance(exc, ignored)):
            return None
        return False

    def __del__(self) -> None:
        # Entered by hand and forgotten: the node is not busy for ever.
        if self._peer is not None and self._take(_ENTERED):
            self._peer._end()
            self._next.append(_FORGOTTEN)
