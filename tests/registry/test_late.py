"""What only Consul needs is imported when somebody asks for Consul, and asyncio by those who use it."""

from __future__ import annotations

import subprocess
import sys

LATE = """
import sys
import regcache
from regcache import registry

assert "ConsulRegistry" in dir(regcache) and "ConsulRegistry" in dir(registry)
regcache.connect("memory://").close()
for module in ("urllib3", "asyncio"):
    assert module not in sys.modules, f"{module} came along"
assert not hasattr(regcache, "Consul")
assert not hasattr(registry, "Consul")
"""
ASKED = """
{}
import sys
assert "urllib3" in sys.modules
assert regcache.ConsulRegistry is regcache.registry.ConsulRegistry
assert "ConsulRegistry" in vars(regcache)
"""
#: Ways to ask.
WAYS = (
    "import regcache; regcache.ConsulRegistry('http://127.0.0.1:1').close()",
    "import regcache; from regcache import ConsulRegistry",
    "import regcache; from regcache.registry import ConsulRegistry",
    "import regcache; regcache.connect('consul://127.0.0.1:1').close()",
    "import regcache; from regcache import *; ConsulRegistry",
)


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_who_asks_neither_for_consul_nor_for_a_task_waits_for_neither() -> None:
    run(LATE)


def test_every_way_to_ask_leads_to_the_one_class() -> None:
    for way in WAYS:
        run(ASKED.format(way))
