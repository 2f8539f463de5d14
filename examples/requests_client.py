"""requests: a scheme of its own, or a host. Runs by itself: python examples/requests_client.py

It needs the library: pip install 'regcache[requests]'
"""

from __future__ import annotations

from collections import Counter

import requests
from servers import greeters

import regcache
from regcache.integrations.requests import Adapter

registry = regcache.MemoryRegistry()  # for the example; elsewhere: regcache.connect("consul://127.0.0.1:8500")

with greeters(registry) as servers, regcache.Cache(registry) as cache, requests.Session() as session:
    adapter = Adapter(cache, strategy="round_robin", tries=3)
    session.mount("http+regcache://", adapter)
    session.mount("http://greeter/", adapter)
    urls = ["http+regcache://greeter/hello", "http://greeter/hello"]
    print(dict(Counter(session.get(url, timeout=2.0).text for url in urls * 15)))
    print("greeter-1 is busy, and answers 503; callers do not notice:")
    servers[0].busy = True
    print(dict(Counter(session.get(url, timeout=2.0).text for url in urls * 15)))
