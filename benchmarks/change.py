"""``python -m benchmarks.change``: how soon a change in a real agent is known, and that a node is gone is heeded.

From the change to the body of a bare blocking query, to the snapshot, and (when a node is deregistered) to the moment
from which on no selector picks it; in turn.

In Markdown. The agent is that of ``CONSUL_BIN``, of the PATH, or the one that ``tests/tools/get-consul`` brings.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import List

from regcache.cache.refresh import Refresher
from regcache.registry import ConsulRegistry
from tests.cache.test_refresh_agent import race
from tests.consul import GET_CONSUL, running

TURNS = 20


def main() -> int:
    program = os.environ.get("CONSUL_BIN") or shutil.which("consul")
    if not program:
        program = subprocess.run([str(GET_CONSUL)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print("| nodes | a bare query, ms (quartiles) | to the snapshot | ratio | to the selector's picks | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, running(program, Path(folder), "-dev") as agent:
        registry = ConsulRegistry(agent.url)
        refresher = Refresher(registry)
        try:
            for nodes in (3, 100, 1000):
                found = race(refresher, registry, agent, f"change-{nodes}", nodes, TURNS)
                plain = statistics.median(found.bare)
                cells = [f"{nodes:,}", shown(found.bare)]
                for times in (found.refreshed, found.unselected):
                    cells += [shown(times), f"{statistics.median(times) / plain:.2f}"]
                print(f"| {' | '.join(cells)} |")
        finally:
            refresher.close()
            registry.close()
    return 0


def shown(seconds: List[float]) -> str:
    low, middle, high = (value * 1000 for value in statistics.quantiles(seconds, n=4))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    raise SystemExit(main())
