"""What a cache tells the outside as it happens: a hook, and the log."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Callable, Dict, Literal, NamedTuple, Optional, Tuple

from ..arguments import check_callable

if TYPE_CHECKING:
    from ..codec import Snapshot

__all__ = ["Event", "EventKind", "Notifier", "logger"]

logger: logging.Logger = logging.getLogger("regcache")
# A library keeps quiet until its user sets up logging.
logger.addHandler(logging.NullHandler())

EventKind = Literal[
    "refreshed", "held", "released", "error", "stuck",
    "ejected", "readmitted", "panic", "calm",
]  # fmt: skip

#: One line in the log for each service and kind in so many seconds.
QUIET = 30.0
#: How many services and kinds are remembered for that.
REMEMBERED = 10_000

_LEVELS: Dict[str, int] = {
    "refreshed": logging.DEBUG,
    "released": logging.INFO,
    "held": logging.WARNING,
    "error": logging.WARNING,
    "stuck": logging.ERROR,
    "ejected": logging.WARNING,
    "readmitted": logging.INFO,
    "panic": logging.WARNING,
    "calm": logging.INFO,
    "hook": logging.ERROR,
}


class Event(NamedTuple):
    """Something that happened to a service. Its text says it in words."""

    #: ``refreshed``: a new snapshot is served. ``held``: an answer is held back. ``released``: no longer, because it is
    #: believed now, the nodes are back, or nobody asks any more. ``error``: a request failed.
    #: ``stuck``: one never ended.
    #: Of a selector: ``ejected``: a node that fails gets no calls for a while. ``readmitted``: it does again.
    #: ``panic``: too few nodes are healthy, so that calls go to all of them. ``calm``: no longer.
    kind: EventKind
    service: str
    text: str
    #: The new one (refreshed), the one that is held back (held), the one that is served (all others).
    snapshot: Optional["Snapshot"] = None
    error: Optional[BaseException] = None

    def __str__(self) -> str:
        return f"{self.service}: {self.text}"


class Notifier:
    """Tells the hook and the log. Whatever the hook does, the cache goes on.

    Args:
        hook: called with each :class:`Event`, on the thread on which it happens; it should be quick.
        clock: seconds, rising.

    Raises:
        TypeError: the hook cannot be called.
    """

    def __init__(self, hook: Optional[Callable[[Event], object]], clock: Callable[[], float]) -> None:
        check_callable("on_event", hook, "each event")
        self._hook = hook
        self._clock = clock
        self._lock = threading.RLock()  # a signal's handler may be told of something in the middle of this
        #: When a line was last written, and how many were left out since.
        self._lines: Dict[Tuple[str, str], Tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        self._write(event.kind, event.service, event.text)
        if self._hook is None:
            return
        try:
            self._hook(event)
        except Exception as error:
            self.failed(event.service, "the hook for events", error)

    def failed(self, service: str, what: str, error: Exception) -> None:
        """Somebody who was told of something raised."""
        self._write("hook", service, f"{what} failed: {error!r}", error)

    def renew(self) -> None:
        """In the child of a fork: another thread may have held the lock."""
        self._lock = threading.RLock()

    def _write(self, kind: str, service: str, text: str, error: Optional[BaseException] = None) -> None:
        level = _LEVELS[kind]
        if not logger.isEnabledFor(level):
            return
        now = self._clock()
        with self._lock:
            before, left_out = self._lines.get((service, kind), (None, 0))
            if before is not None and now - before < QUIET:
                self._lines[service, kind] = (before, left_out + 1)
                return
            if len(self._lines) >= REMEMBERED:
                self._lines.clear()
            self._lines[service, kind] = (now, 0)
        more = f" ({left_out} more of this kind were not logged)" if left_out else ""
        logger.log(level, "%s: %s%s", service, text, more, exc_info=error)
