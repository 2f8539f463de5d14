"""``python -m benchmarks.many WAY BODY THREADS [--traced]``: what decoding in so many threads at once takes of memory.

In a process of its own, since what the system gave a process it seldom takes back. All threads read the same body, as
if it had come once, and all results are kept to the end. Prints a JSON object; bytes are beyond those before.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any, Dict, List, Sequence

from . import ways

__all__ = ["WAYS", "main"]

WAYS = ("naive", "msgspec-cold", "pure", "compiled", "compiled-chunks")


def main(arguments: Sequence[str]) -> int:
    way, name, threads = arguments[0], arguments[1], int(arguments[2])
    work = ways.HELD[way](ways.body(name))
    small = ways.HELD[way](ways.body("health_a"))
    small()  # what is made once is made
    print(json.dumps(_traced(work, threads) if "--traced" in arguments else _resident(work, threads)))
    return 0


def _traced(work: Any, threads: int) -> Dict[str, float]:
    """What Python's allocators were asked for."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = _together(work, threads)
    peak = tracemalloc.get_traced_memory()[1] - before
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    del kept
    return {"peak_bytes": peak, "held_bytes": held}


def _resident(work: Any, threads: int) -> Dict[str, float]:
    """What the system saw, and how long it took."""
    gc.collect()
    _write("/proc/self/clear_refs", "5")  # the peak begins anew
    before = _status("VmRSS")
    begun = time.perf_counter()
    kept = _together(work, threads)
    took = time.perf_counter() - begun
    peak = _status("VmHWM") - before
    gc.collect()
    held = _status("VmRSS") - before
    del kept
    return {"rss_peak_bytes": peak, "rss_held_bytes": held, "seconds": took}


def _together(work: Any, threads: int) -> List[Any]:
    kept: List[Any] = []
    go = threading.Event()

    def run() -> None:
        go.wait()
        kept.append(work())

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    go.set()
    for thread in running:
        thread.join()
    assert len(kept) == threads
    return kept


def _status(name: str) -> int:
    """Bytes, from what Linux says of this process."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, name
    return int(found.group(1)) * 1024


def _write(file: str, text: str) -> None:
    Path(file).write_text(text)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
