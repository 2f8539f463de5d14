"""One tag of 20 B to 20 kB, in go-micro's form and in the compact one: what it says, as Python objects."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, List, Tuple

import pytest

from regcache.codec import compiled, encode_compact, encode_tags, pure
from regcache.model import Endpoint, Record, Value

from .baselines import best, naive
from .measure import looped

ROUNDS = 30
#: Bytes of go-micro's JSON, about. The smallest is a pair of metadata, the others are endpoints.
SIZES = (20, 200, 2_000, 20_000)
WORDS = ("user", "order", "item", "price", "count", "state", "owner", "token", "page", "limit", "query", "group")


def record(size: int) -> Record:
    """With fields as services have them; the same each time."""
    if size < 100:
        return Record("", False, {"protocol": "grpc"}, ())
    dice = random.Random(size)
    name = f"{dice.choice(WORDS).title()}.Get"
    fields: List[Value] = []
    while True:
        made = Record("", False, {}, (Endpoint(name, Value("Request", "Request", tuple(fields)), None, {}),))
        if len(naive.unpacked(*tags("go-micro", made))) >= size:
            return made
        field = f"{dice.choice(WORDS)}_{dice.choice(WORDS)}_{dice.randrange(1000)}"
        fields.append(Value(field, dice.choice(("string", "int64", "bool", "float64")), ()))


def tags(form: str, record: Record) -> List[str]:
    """The one tag of the record."""
    if form == "compact":
        return [encode_compact(record, dictionary=0)]
    return [tag for tag in encode_tags(record) if tag[0] != "v"]


#: What a tag says: metadata, and the endpoints in whatever form a way has for them.
Said = Tuple[Dict[str, str], List[Any]]


def _tags(read: Callable[[List[str]], Dict[str, Any]]) -> Callable[[List[str]], Said]:
    def work(tags: List[str]) -> Said:
        said = read(tags)
        return said["metadata"], said["endpoints"]

    return work


def _compact(read: Callable[[str], List[Any]]) -> Callable[[List[str]], Said]:
    def work(tags: List[str]) -> Said:
        _, metadata, endpoints = (*read(tags[0]), None, None)[:3]
        return metadata or {}, endpoints or []

    return work


def _ours(codec: Any) -> Callable[[List[str]], Said]:
    def work(tags: List[str]) -> Said:
        record = codec.decode_tags(tags)
        return record.metadata, record.endpoints

    return work


#: Form -> way -> what it does.
WAYS: Dict[str, Dict[str, Callable[[List[str]], Said]]] = {
    "go-micro": {"naive": _tags(naive.tags), "msgspec": _tags(best.tags)},
    "compact": {"naive": _compact(naive.compact), "msgspec": _compact(best.compact)},
}
for form in WAYS.values():
    form.update(pure=_ours(pure), compiled=_ours(compiled))


@pytest.mark.parametrize("way", ("naive", "msgspec", "pure", "compiled"))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", WAYS)
def test_one_tag(form: str, size: int, way: str, race: Any) -> None:
    taken = record(size)
    written = tags(form, taken)
    metadata, endpoints = WAYS[form][way](written)
    assert dict(metadata) == taken.metadata
    assert [e["name"] if isinstance(e, dict) else e[0] for e in endpoints] == [e.name for e in taken.endpoints if e]

    def prepare(way: str) -> Callable[[], object]:
        work = WAYS[form][way]
        return lambda: work(written)

    race(
        prepare,
        group=f"one tag of {size:,} B, {form}",
        rounds=ROUNDS,
        baseline="naive",
        by=looped,
        characters=len(written[0]),
        size=size,
        form=form,
    )
