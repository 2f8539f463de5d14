"""The first question about a service: from nothing to its nodes, through the registry."""

from __future__ import annotations

import gc
import urllib.request
from typing import Any, Callable, Dict, Iterator, List

import pytest
import urllib3

from regcache import Cache, ConsulRegistry, Decoder, MemoryRegistry

from . import made, measure, ways
from .baselines import best, naive
from .server import serving

PATH = "/v1/health/service/"

#: Returns the nodes, and what has to be closed afterwards.
Work = Callable[[], Any]


def _first(work: Work) -> float:
    """Seconds until ``work`` has its nodes. Closing is not in it."""
    gc.collect()
    begun = measure.clock()
    _, opened = work()
    took = measure.clock() - begun
    for one in opened:
        one.close()
    return took


def _decoded(registry: Any, service: str, opened: List[Any]) -> Any:
    """In this thread, with nothing around the decoder."""
    decoder = Decoder(service)
    with registry.fetch(service) as answer:
        for chunk in answer.chunks():
            decoder.feed(chunk)
    return _short(decoder.finish()), opened


def _cached(registry: Any, service: str, opened: List[Any]) -> Any:
    cache = Cache(registry, watch=False)
    return _short(cache.get(service, timeout=60.0)), [cache, *opened]


def _short(nodes: Any) -> Any:
    return [(node.address, node.port, node.version) for node in nodes]


@pytest.mark.parametrize("way", ["decoder", "cache"])
@pytest.mark.parametrize("nodes", [3, 100, 1_000])
def test_embedded(nodes: int, way: str, race: Any) -> None:
    """A new cache and its first ``get()``, beside fetching and decoding without one. Registry: in memory."""
    registry = MemoryRegistry()
    registry.put(made.SERVICE, made.body(nodes, "shared").data)
    works: Dict[str, Work] = {
        "decoder": lambda: _decoded(registry, made.SERVICE, []),
        "cache": lambda: _cached(registry, made.SERVICE, []),
    }
    found, opened = works[way]()
    assert found == naive.versions(made.body(nodes, "shared").data)
    for one in opened:
        one.close()
    race(
        works.__getitem__,
        group=f"cold start: embedded registry, {nodes:,} nodes",
        rounds=30,
        baseline="decoder",
        by=_first,
    )


@pytest.fixture(scope="module")
def urls() -> Iterator[Callable[[str], str]]:
    """URLs of processes that answer with a body."""
    running: Dict[str, Any] = {}

    def url(name: str) -> str:
        if name not in running:
            server = serving(name)
            running[name] = server, server.__enter__()
        return str(running[name][1])

    yield url
    for server, _ in running.values():
        server.__exit__(None, None, None)


def _naive(url: str, service: str) -> Any:
    with urllib.request.urlopen(url + PATH + service) as answer:
        return naive.versions(answer.read()), []


def _msgspec(url: str, service: str) -> Any:
    pool = urllib3.PoolManager()
    return best.versions(pool.request("GET", url + PATH + service).data, {}), [_Pool(pool)]


class _Pool:
    def __init__(self, pool: Any) -> None:
        self.close = pool.clear


def _ours(how: Callable[[Any, str, List[Any]], Any]) -> Callable[[str, str], Any]:
    def work(url: str, service: str) -> Any:
        registry = ConsulRegistry(url)
        return how(registry, service, [registry])

    return work


OVER_HTTP: Dict[str, Callable[[str, str], Any]] = {
    "naive": _naive,
    "msgspec-cold": _msgspec,
    "decoder": _ours(_decoded),
    "cache": _ours(_cached),
}


@pytest.mark.parametrize("way", OVER_HTTP)
@pytest.mark.parametrize("name", ways.LARGE)
def test_over_http(name: str, way: str, urls: Any, race: Any) -> None:
    """A new connection to another process on this machine, one request, and what every node's address and version is.
    The server's own work is in all times."""
    taken, url = ways.body(name), urls(name)
    found, opened = OVER_HTTP[way](url, taken.service)
    assert found == naive.versions(taken.data)
    for one in opened:
        one.close()
    race(
        lambda way: lambda: OVER_HTTP[way](url, taken.service),
        group=f"cold start: {name} over HTTP",
        rounds=20,
        baseline="naive",
        by=_first,
    )
