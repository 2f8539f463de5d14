"""What adapters are told: what cannot be right is said when they are made, not by their calls."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest

import regcache
from regcache import Cache, MemoryRegistry, Node
from regcache.integrations.services import Services
from tests.eventually import eventually
from tests.together import HANG


@pytest.fixture
def cache() -> Iterator[Cache]:
    registry = MemoryRegistry()
    for version in ("1.0", "2.0"):
        nodes = (Node(f"greeter-{version}", "127.0.0.1", 9000),)
        registry.register(regcache.Service("greeter", version, nodes=nodes))
        registry.register(regcache.Service("payments", version, nodes=nodes))
    with Cache(registry) as made:
        yield made


def ids(services: Services, name: str = "greeter") -> List[str]:
    selector = services.get(name)
    assert selector is not None
    selector.select(timeout=HANG)
    assert eventually(lambda: selector.status().peers)
    return [peer.id for peer in selector.status().peers]


@pytest.mark.parametrize(
    ("options", "error", "wanted"),
    [
        ({"strategy": "rr"}, ValueError, "there is no strategy 'rr'; there are hash"),
        ({"foo": 1}, TypeError, "there is no option 'foo'; selectors have budget, clock, feedback"),
        ({"source": None}, TypeError, "there is no option 'source'"),
        ({"filters": 5}, TypeError, "filters are called with a node, one or several of them; 5 cannot"),
        ({"filters": ["1.0"]}, TypeError, "a filter is called with a node; '1.0' cannot be called"),
        ({"subset": 5}, TypeError, "subset is a regcache.Subset"),
        ({"limit": 0}, ValueError, "rate must be more than 0"),
    ],
)
@pytest.mark.parametrize("protocols", [None, ("http",)])
def test_options_are_looked_at_when_the_adapter_is_made(
    cache: Cache, options: Any, error: Any, wanted: str, protocols: Any
) -> None:
    with pytest.raises(error, match=wanted):
        Services(cache, None, protocols, options)


def test_protocols_are_several(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"protocols are several, such as \['http'\], or None for any"):
        Services(cache, None, "http", {})


def test_nothing_is_opened_for_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regcache.integrations.services.connect", lambda url: pytest.fail("it was opened"))
    with pytest.raises(TypeError):
        Services("memory://", "greeter", None, {})
    with pytest.raises(TypeError):
        Services("memory://", None, None, {"foo": 1})


@pytest.mark.parametrize("protocols", [None, ("http",)])
def test_one_filter_is_as_good_as_several(cache: Cache, protocols: Any) -> None:
    for filters in (regcache.version("2.0"), lambda node: node.version == "2.0"):
        services = Services(cache, None, protocols, {"filters": filters})
        assert ids(services) == ["greeter-2.0"]
        services.close()


def test_filters_that_can_be_gone_through_once_are_those_of_every_service(cache: Cache) -> None:
    services = Services(cache, None, None, {"filters": iter([regcache.version("2.0")])})
    assert ids(services) == ids(services, "payments") == ["greeter-2.0"]
    services.close()


def test_after_its_end_nothing_is_opened_for_a_first_call(cache: Cache) -> None:
    services = Services(cache, None, None, {})
    assert ids(services, "greeter")
    services.close()
    for name in ("greeter", "payments"):
        with pytest.raises(regcache.Unavailable, match=f"the client is closed; there are no nodes of '{name}'"):
            services.find(name)
    assert not services._made and len(cache.get("greeter")) == 2
    given = Services({"greeter": cache.selector("greeter")}, None, None, {})
    given.close()
    with pytest.raises(regcache.Unavailable, match="the client is closed"):
        given.find("greeter")
    assert given.find("elsewhere") is None
