"""``python -m benchmarks.change``: from a change in a real agent to its snapshot, and to a bare query's body, in turn.

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
    print("| nodes | a bare blocking query, ms (quartiles) | regcache, to the snapshot, ms (quartiles) | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, running(program, Path(folder), "-dev") as agent:
        registry = ConsulRegistry(agent.url)
        refresher = Refresher(registry)
        try:
            for nodes in (3, 100, 1000):
                plain, ours = race(refresher, agent, f"change-{nodes}", nodes, TURNS)
                ratio = statistics.median(ours) / statistics.median(plain)
                print(f"| {nodes:,} | {shown(plain)} | {shown(ours)} | {ratio:.2f} |")
        finally:
            refresher.close()
            registry.close()
    return 0


def shown(seconds: List[float]) -> str:
    low, middle, high = (value * 1000 for value in statistics.quantiles(seconds, n=4))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    raise SystemExit(main())
