"""The fast path of a selector: is what was prepared still to be used? Then pick."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Callable, List, Optional

from .peer import Peer
from .picks import Picker

if TYPE_CHECKING:
    from ...codec import Node

__all__ = ["Front"]


class Front:
    """What a selector inherits. A subclass sets the picker, and says in ``_slow`` what to do where there is none.

    Args:
        slot: of the entry whose snapshots the picker is prepared from; None: nothing but its own alarm is looked at.
        clock: seconds; None: ``time.monotonic``.

    A subclass has:
        ``_slow(timeout, key) -> Peer``: there is no picker, or an alarm rang; it prepares, waits, raises.
        ``_slow_async(timeout, key) -> Peer``: the same, awaited.
        ``_verdict(peer, bits, begun)``: the outcome of a call that began then (seconds) says that somebody must look
            (see :meth:`Pulse._record`).
    """

    def __init__(self, slot: Any = None, clock: Optional[Callable[[], float]] = None) -> None:
        if clock is not None and not callable(clock):
            raise TypeError(f"a clock is called and returns seconds; {clock!r} cannot be called")
        self._slot = slot
        self._now: Callable[[], float] = clock if clock is not None else time.monotonic
        self._held: List[Optional[Picker]] = [None]  # one item; never rebound
        self._alarm = math.inf

    def select(self, timeout: Optional[float] = None, key: object = None) -> "Node":
        """A node to call. Never waits while anything is held.

        Args:
            timeout: seconds to wait for the first answer about the service, when nothing is held; None: the cache's
                own bound.
            key: str, bytes or int, for the strategy "hash": the same key goes to the same node.

        Raises:
            NotFound: the registry answered, and has no such service.
            NoneAvailable: there are nodes, but none may be used, or the filters left none.
            Timeout, Unavailable, and others: nothing is held; see :meth:`regcache.Cache.get`.
            TypeError: the strategy "hash", and no key or one of another type.
        """
        picker = self._ready()
        if picker is None:
            return self._slow(timeout, key).node
        return picker.pick(key, self._now()).node

    def _peer(self, timeout: Optional[float] = None, key: object = None) -> Peer:
        """:meth:`select`, and what the selector knows of the node."""
        picker = self._ready()
        return self._slow(timeout, key) if picker is None else picker.pick(key, self._now())

    def _ready(self) -> Optional[Picker]:
        """The picker, if it may be used as it is."""
        picker = self._held[0]
        if picker is None or (self._slot is not None and self._slot.look() is None) or self._now() >= self._alarm:
            return None
        return picker

    @property
    def _picker(self) -> Optional[Picker]:
        """The picker now, whatever the alarms say."""
        return self._held[0]

    def _set_picker(self, picker: Optional[Picker]) -> None:
        """From now on this one picks; None: ``_slow`` is called each time."""
        if picker is not None and not isinstance(picker, Picker):
            raise TypeError(f"a Picker, not {picker!r}")
        self._held[0] = picker

    def _set_alarm(self, at: float) -> None:
        """From this time of the clock on (seconds; ``math.inf``: never) ``_slow`` is called instead of picking."""
        self._alarm = float(at)

    def _slow(self, timeout: Optional[float], key: object) -> Peer:
        raise NotImplementedError("a subclass says what to do where nothing is prepared")

    async def _slow_async(self, timeout: Optional[float], key: object) -> Peer:
        raise NotImplementedError("a subclass says what to do where nothing is prepared")

    def _verdict(self, peer: Peer, bits: int, begun: float) -> None:
        raise NotImplementedError("a subclass says what to do with a peer that fails")
