"""httpx, sync and async: the host of the URL is the service. Runs by itself: python examples/httpx_client.py

It needs the library: pip install 'regcache[httpx]'
"""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
from servers import greeters

import regcache
from regcache.integrations.httpx import AsyncTransport, Transport

registry = regcache.MemoryRegistry()  # for the example; elsewhere: regcache.connect("consul://127.0.0.1:8500")


def sync(cache: regcache.Cache) -> None:
    transport = Transport(cache, strategy="round_robin", tries=3)
    with httpx.Client(mounts={"all://greeter": transport}, timeout=2.0) as client:
        print("sync: ", dict(Counter(client.get("http://greeter/hello").text for _ in range(30))))


async def tasks(cache: regcache.Cache) -> None:
    async with httpx.AsyncClient(transport=AsyncTransport(cache, tries=3), timeout=2.0) as client:
        answers = await asyncio.gather(*(client.get("http://greeter/hello") for _ in range(30)))
        print("async:", dict(Counter(answer.text for answer in answers)))


with greeters(registry) as servers, regcache.Cache(registry) as cache:
    sync(cache)
    asyncio.run(tasks(cache))
    print("greeter-1 is busy, and answers 503; callers do not notice:")
    servers[0].busy = True
    sync(cache)
