"""go-micro's tags and the compact form of the same records: one record cold, and a body of 100 nodes."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import pytest

from regcache.codec import compiled, encode_compact, encode_tags, pure

from . import forms
from .baselines import best, naive
from .measure import looped, once

CODECS = {"compiled": compiled, "pure": pure}
#: What the compact form is compared with stands first.
WAYS = ("go-micro", "compact", "compact-dictionary")
ENDPOINTS = (pytest.param(1, marks=pytest.mark.long), 8, pytest.param(60, marks=pytest.mark.long))


#: The record read by packages: go-micro's tags by the standard library and by the best of them, the compact tag by the
#: best of them (without a dictionary).
PACKAGES: Dict[str, Tuple[str, Callable[[List[str]], object]]] = {
    "naive": ("go-micro", naive.tags),
    "msgspec": ("go-micro", best.tags),
    "msgspec, compact": ("compact", lambda tags: best.compact(tags[-1])),
}


@pytest.mark.parametrize("way", (*WAYS, *PACKAGES))
@pytest.mark.parametrize("endpoints", ENDPOINTS)
@pytest.mark.parametrize("backend", CODECS)
def test_one_record(backend: str, endpoints: int, way: str, race: Any) -> None:
    """With nothing remembered: version, metadata and endpoints are made into objects."""
    decode_tags = CODECS[backend].decode_tags
    record = forms.record(endpoints)
    tags = forms.FORMS[way if way in WAYS else PACKAGES[way][0]](record)
    assert decode_tags(tags, strict=True) == record

    def prepare(way: str) -> Callable[[], object]:
        if way in PACKAGES:
            form, read = PACKAGES[way]
            written = forms.FORMS[form](record)
            return lambda: read(written)
        tags = forms.FORMS[way](record)

        def work() -> object:
            found = decode_tags(tags)
            return found.version, found.metadata, found.endpoints

        return work

    race(
        prepare,
        group=f"one record of {endpoints} endpoints, {backend}",
        rounds=20,
        baseline="go-micro",
        by=looped,
        characters=sum(map(len, tags)),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sharing", forms.SHARING)
@pytest.mark.parametrize("endpoints", ENDPOINTS)
@pytest.mark.parametrize("backend", CODECS)
def test_a_body(backend: str, endpoints: int, sharing: str, way: str, race: Any) -> None:
    """From bytes to nodes, with nothing remembered. Objects are made later, by who asks for them."""
    codec = CODECS[backend]
    body = forms.body(way, endpoints, sharing)
    first = codec.decode(body, strict=True)[0]
    assert (first.version, first.metadata, first.endpoints) == _said(forms.record(endpoints, 0, sharing))

    def prepare(way: str) -> Callable[[], object]:
        body = forms.body(way, endpoints, sharing)
        return lambda: codec.decode(body)

    race(
        prepare,
        group=f"{forms.NODES} nodes of {endpoints} endpoints, {forms.SHARING[sharing]}, {backend}",
        rounds=8,
        baseline="go-micro",
        by=once,
        body_bytes=len(body),
    )


@pytest.mark.parametrize("way", ("go-micro", "compact"))
def test_writing(way: str, race: Any) -> None:
    """What a registration costs once."""
    record = forms.record(8)
    works = {"go-micro": lambda: encode_tags(record), "compact": lambda: encode_compact(record)}
    race(lambda way: works[way], group="writing a record of 8 endpoints", rounds=40, baseline="go-micro", by=looped)


def _said(record: Any) -> Any:
    return record.version, record.metadata, record.endpoints
