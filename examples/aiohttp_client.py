"""aiohttp: a middleware of the session. Runs by itself: python examples/aiohttp_client.py

It needs the library: pip install 'regcache[aiohttp]'
"""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
from servers import greeters

import regcache
from regcache.integrations.aiohttp import Middleware

registry = regcache.MemoryRegistry()  # for the example; elsewhere: regcache.connect("consul://127.0.0.1:8500")


async def hello(session: aiohttp.ClientSession) -> str:
    async with session.get("http://greeter/hello") as response:
        return await response.text()


async def main() -> None:
    with greeters(registry) as servers:
        async with regcache.Cache(registry) as cache, Middleware(cache, services=["greeter"], tries=3) as middleware:
            timeout = aiohttp.ClientTimeout(total=2.0)
            async with aiohttp.ClientSession(middlewares=[middleware], timeout=timeout) as session:
                print(dict(Counter(await asyncio.gather(*(hello(session) for _ in range(30))))))
                print("greeter-1 is busy, and answers 503; callers do not notice:")
                servers[0].busy = True
                print(dict(Counter(await asyncio.gather(*(hello(session) for _ in range(30))))))


asyncio.run(main())
