"""The states of a service, and the ways from one to another."""

from __future__ import annotations

import enum
from typing import Dict, FrozenSet

__all__ = ["MOVES", "State"]


class State(enum.Enum):
    """What is going on with a service. Whether something is held is another question."""

    #: Nobody has asked yet.
    COLD = "cold"
    #: A request is in flight that answers at once (a watch waits in FRESH).
    REFRESHING = "refreshing"
    #: What is held is watched, or younger than the ttl.
    FRESH = "fresh"
    #: What is held is older than the ttl, or no longer watched because nobody asked; the next caller starts a refresh.
    STALE = "stale"
    #: An answer came that is not believed yet; what was held before is still served.
    HELD = "held"
    #: The last request failed; what was held before, if anything, is still served.
    FAILED = "failed"
    #: No more requests.
    CLOSED = "closed"


#: From each state, those that it may change to.
MOVES: Dict[State, FrozenSet[State]] = {
    State.COLD: frozenset({State.REFRESHING, State.CLOSED}),
    State.REFRESHING: frozenset(State) - {State.REFRESHING},
    State.FRESH: frozenset(State) - {State.COLD},
    State.STALE: frozenset({State.REFRESHING, State.CLOSED}),
    State.HELD: frozenset(State) - {State.COLD},
    State.FAILED: frozenset({State.REFRESHING, State.STALE, State.COLD, State.FRESH, State.CLOSED}),
    State.CLOSED: frozenset({State.CLOSED}),
}
