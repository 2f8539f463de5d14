"""Whatever instructions find the end of a string, what is read is the same: they differ in speed alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from regcache import DecodeError
from tests import plain, recorded
from tests.conftest import BACKENDS, backend

if "compiled" not in BACKENDS:
    pytest.skip("the pure codec has one way to find the end of a string", allow_module_level=True)

from regcache.codec.compiled import codec as module

#: Strings are of 0 to this many bytes: six steps of the widest instructions, and what is left.
LONGEST = 200
#: What ends a run of plain bytes, once at every place of a string.
SPECIAL = {
    "a quote": b'"',
    "an escape": b"\\n",
    "an escaped quote": b'\\"',
    "an escape of a code point": b"\\u00e9",
    "a bad escape": b"\\x",
    "a control byte": b"\x1f",
    "text beyond ASCII": "\u00e9".encode(),
    "a byte that begins nothing": b"\x80",
}
#: Plain bytes next to those that are not: below and above the quote and the backslash, first and last of ASCII.
PLAIN = bytes(b for b in b" !#[]^~\x7fa" for _ in range(30))[: LONGEST + 1]


def here() -> List[str]:
    """The names that this processor has."""
    names = []
    for name in ("avx2", "sse2", "neon", "portable"):
        try:
            module.scanner(name)
        except ValueError:
            continue
        names.append(name)
    module.scanner()
    return names


@pytest.fixture(params=here())
def scanner(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of them in use, the usual one again afterwards."""
    assert module.scanner(request.param) == request.param
    yield request.param
    module.scanner()


def strings(special: bytes) -> Iterator[bytes]:
    """Bodies with one string: plain bytes of every length, and something special at every place among them."""
    for length in range(LONGEST + 1):
        text = PLAIN[:length]
        # Blanks before it, so that it begins at every alignment.
        head = b" " * (length % 32) + b'[{"Service":{"Address":"x","ID":"'
        for i in range(length + 1):
            yield head + text[:i] + special + text[i:] + b'"}}]'


def short(codec: Any, body: bytes) -> Tuple[object, ...]:
    """What a body with one string says, or why it cannot be decoded."""
    try:
        (node,) = codec.decode(body)
    except DecodeError as error:
        return error.reason, error.offset, error.path, error.node
    return (node.id,)


@lru_cache(maxsize=None)
def of_the_pure_backend(name: str) -> List[Tuple[object, ...]]:
    return [short(backend("pure"), body) for body in strings(SPECIAL[name])]


def test_the_widest_is_in_use_by_default() -> None:
    assert module.scanner() == here()[0]


def test_an_unknown_name_is_refused_and_changes_nothing(scanner: str) -> None:
    with pytest.raises(ValueError, match="no scanner 'mmx' here"):
        module.scanner("mmx")


def test_a_string_without_anything_special(scanner: str) -> None:
    codec = backend("compiled")
    for length in range(LONGEST + 1):
        for blanks in range(32):
            body = b" " * blanks + b'[{"Service":{"Address":"x","ID":"' + PLAIN[:length] + b'"}}]'
            assert short(codec, body) == (PLAIN[:length].decode(),), (length, blanks)


@pytest.mark.parametrize("name", SPECIAL)
def test_a_special_byte_at_every_place_of_a_string(scanner: str, name: str) -> None:
    codec = backend("compiled")
    found = [short(codec, body) for body in strings(SPECIAL[name])]
    assert found == of_the_pure_backend(name)


def distinct() -> Dict[str, bytes]:
    contents: Dict[bytes, str] = {}
    for body in recorded.bodies().values():
        if len(body.data) < 100_000:
            contents.setdefault(body.data, body.name)
    return {name: data for data, name in contents.items()}


@pytest.mark.parametrize("name, data", distinct().items(), ids=list(distinct()))
def test_a_recorded_body(scanner: str, name: str, data: bytes) -> None:
    of_pure = plain.outcome(lambda: backend("pure").decode(data))
    assert plain.outcome(lambda: backend("compiled").decode(data)) == of_pure
    chunks = [data[i : i + 37] for i in range(0, len(data), 37)]
    assert plain.outcome(lambda: plain.decode_pieces(backend("compiled"), chunks)) == of_pure
