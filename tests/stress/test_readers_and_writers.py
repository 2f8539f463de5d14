"""Readers against writers: no reader sees a torn or freed snapshot, whatever is published meanwhile.

``REGCACHE_STRESS_SECONDS`` (2 by default) says for how long.
"""

from __future__ import annotations

import gc
import json
import os
import threading
import time
import weakref
from typing import Any, List

import regcache
from regcache.cache.slot import Slot
from tests.together import Threads

SECONDS = float(os.environ.get("REGCACHE_STRESS_SECONDS", "2"))
NODES = 40


def body(generation: int) -> bytes:
    """A third of the nodes says the generation, the others stay; a few come and go."""
    entries = []
    for i in range(NODES + generation % 5):
        said = str(generation) if i % 3 == 0 else "always"
        endpoint = {"name": f"E.{said}", "request": {"name": "R", "type": "T", "values": [{"name": "f", "type": said}]}}
        tags = [f"t={json.dumps({'said': said, 'node': str(i)})}", f"e={json.dumps(endpoint)}", "v=1.0", "foreign"]
        service = {"ID": f"id-{i}", "Service": "svc", "Address": "10.0.0.1", "Port": 1000 + i, "Tags": tags}
        entries.append({"Node": {"Node": "n", "Address": "h"}, "Service": {**service, "Meta": {"said": said}}})
    return json.dumps(entries).encode()


def check(snapshot: Any) -> None:
    """Everything a snapshot says, read at once by many, is of its own generation."""
    generation = str(snapshot.index)
    for i, node in enumerate(snapshot.nodes):
        said = generation if i % 3 == 0 else "always"
        assert node.id == f"id-{i}" and node.port == 1000 + i and node.version == "1.0"
        assert node.metadata["said"] == said and node.metadata["node"] == str(i)
        assert node.endpoints[0].name == f"E.{said}" and node.endpoints[0].request.values[0].type == said
        assert node.tags == ("foreign",) and node.meta["said"] == said
    (service,) = snapshot.services()
    assert len(service.nodes) == len(snapshot)


def test_readers_see_whole_snapshots_while_they_are_replaced() -> None:
    slot = Slot()
    bodies = {generation: body(generation) for generation in range(1, 60)}
    slot.publish(regcache.decode(bodies[1], "svc", index=1), 1)
    end = time.monotonic() + SECONDS
    stop = threading.Event()
    alive: List[Any] = []
    turn = [1]
    turns = threading.Lock()

    def read(number: int) -> None:
        reader = slot.reader()
        while not stop.is_set():
            snapshot = slot.look() if number % 2 else reader.get()
            assert snapshot is not None
            check(snapshot)

    def write(number: int) -> None:
        while time.monotonic() < end:
            with turns:
                turn[0] += 1
                generation = turn[0]
            # The body, and what it is decoded against, may be of any moment: whoever asked later wins.
            name = generation % 59 + 1
            snapshot = regcache.decode(bodies[name], "svc", index=name, previous=slot.get())
            alive.append(weakref.ref(snapshot))
            slot.publish(snapshot, generation)
            if len(alive) > 1000:
                del alive[:900]

    readers = Threads(4, read)
    writers = Threads(2, write)
    writers.join()
    stop.set()
    readers.join()
    gc.collect()
    held = slot.get()
    assert held is not None
    check(held)
    del readers, writers
    gc.collect()
    assert [reference() for reference in alive if reference() not in (None, held)] == []
    assert turn[0] > 10
