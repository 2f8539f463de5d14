"""The script that means well: it goes round the backends and takes those that answer late out of the registry."""

from __future__ import annotations

import itertools
import threading
from typing import Optional, Set

from ..errors import RegcacheError
from .backends import Backends
from .service import Home
from .story import Story

__all__ = ["Remover"]


class Remover:
    """One thread, which looks at one backend after the other.

    Args:
        story: how often it looks, and what late means.
        registry: where it removes.
        backends: what it looks at.
        alive: the IDs of the nodes in the registry; those removed are taken out of this set.
        stop: when it is set the thread leaves.
    """

    def __init__(
        self, story: Story, registry: Home, backends: Backends, alive: Set[str], stop: threading.Event
    ) -> None:
        self._story = story
        self._registry = registry
        self._backends = backends
        self._stop = stop
        self._order = sorted(alive)
        self.alive = alive
        #: Why it ended before its time.
        self.error: Optional[RegcacheError] = None
        self._thread = threading.Thread(target=self._run, name="regcache-simulate-script", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it has left."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            for node_id in itertools.cycle(self._order):
                if self._stop.wait(self._story.look):
                    return
                if node_id in self.alive and self._backends.delay(node_id) > self._story.patience:
                    self._registry.deregister(node_id)
                    self.alive.discard(node_id)
        except RegcacheError as error:
            self.error = error
