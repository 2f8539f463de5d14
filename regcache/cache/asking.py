"""What is said to a registry, and what is made of its answers. Everything here may take long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, Optional

from .. import codec
from ..errors import DecodeError, RegcacheError, Unavailable
from ..limits import Limits
from .connections import SHORTEST, Turn
from .load import Load, Outcome

if TYPE_CHECKING:
    from ..registry import Answer, Registry
    from ..registry.base import Pending

__all__ = ["Asking"]

#: Bytes of an answer without news that are read, so that its connection can be used again. Others are closed.
DRAINED = 256 * 1024


class Asking:
    """One registry.

    Args:
        limits: for the decoder.
        clock: seconds, rising.
    """

    def __init__(self, registry: "Registry", *, limits: Limits, clock: Callable[[], float]) -> None:
        self.registry = registry
        self._limits = limits
        self._clock = clock
        #: Its own seconds for a whole exchange.
        self.timeout: float = getattr(registry, "timeout", 10.0)
        self._begin: Optional[Callable[..., "Pending"]] = getattr(registry, "begin", None)

    @property
    def multiplexed(self) -> bool:
        """Can a request wait without a thread?"""
        return self._begin is not None

    def begin(self, load: Load, turn: "Turn[Load]") -> "Pending":
        """Send the request. For multiplexed ones."""
        assert self._begin is not None
        return self._begin(load.service, **self._how(load, turn))

    def read(self, load: Load, turn: "Turn[Load]", pending: "Pending") -> Optional[Outcome]:
        """The outcome; ``None``: nothing is new, and it may wait for longer."""
        with pending.answer() as answer:
            # What was asked without an index, because a connection was lost, may be of another history.
            return self._take_in(load, turn, answer, load.index if getattr(pending, "blocking", True) else None)

    def fetch(self, load: Load, turn: "Turn[Load]") -> Optional[Outcome]:
        """The same, from beginning to end, on a thread that waits."""
        with self.registry.fetch(load.service, **self._how(load, turn)) as answer:
            return self._take_in(load, turn, answer, load.index)

    def failed(self, load: Load, error: BaseException) -> Outcome:
        """The outcome, when one of the others raised."""
        if not isinstance(error, RegcacheError):
            failure = Unavailable(f"the registry failed on {load.service!r}: {type(error).__name__}: {error}")
            failure.__cause__ = error
            error = failure
        _forget_frames(error)
        return load.outcome(self._clock(), error=error)

    def _how(self, load: Load, turn: "Turn[Load]") -> Any:
        wait = turn.wait if turn.blocking else None
        return {"index": load.index, "wait": wait, "timeout": self.timeout, "consistency": load.consistency}

    def _take_in(self, load: Load, turn: "Turn[Load]", answer: "Answer", index: Optional[int]) -> Optional[Outcome]:
        taken = self._clock()
        if index is not None and answer.index == index:
            _drain(answer)
            now = self._clock()
            # One that ended early, as those of an agent that shuts down do, is not asked again from here.
            if load.until - now >= SHORTEST and now - load.sent >= 0.9 * turn.wait:
                return None
            return load.outcome(now, index=index, unchanged=True)
        decoder = codec.Decoder(load.service, limits=self._limits, previous=load.previous)
        try:
            for chunk in answer.chunks():
                decoder.feed(chunk)
            snapshot = decoder.finish(index=answer.index, taken=taken)
        except DecodeError as error:
            # A byte and a path say little to whoever asks several registries for many services.
            error.source = f"the answer of {self.registry!r} for {load.service!r}"
            raise
        return load.outcome(self._clock(), snapshot=snapshot, index=answer.index)


def _drain(answer: "Answer") -> None:
    size = 0
    for chunk in answer.chunks():
        size += len(chunk)
        if size > DRAINED:
            return


def _forget_frames(error: BaseException) -> None:
    """An error is kept for as long as a service fails; the frames that it came through hold sockets and bodies."""
    seen: List[BaseException] = []
    left: List[Optional[BaseException]] = [error]
    while left:
        one = left.pop()
        if one is not None and one not in seen:
            one.__traceback__ = None
            seen.append(one)
            left += (one.__cause__, one.__context__)
