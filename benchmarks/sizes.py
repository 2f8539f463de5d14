"""``python -m benchmarks.sizes``: what go-micro's tags and the compact form take in a Consul body, and the time from
bytes to nodes, for 1 to 60 endpoints a node, in one run and in turns. In Markdown; ``--cpu-time`` for a busy machine.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Callable, Dict, List, Tuple

from regcache.codec import compiled, pure

from . import forms, measure

ROUNDS = 15
SHOWN = ("go-micro", "compact", "compact-dictionary")


def main() -> int:
    if sys.argv[1:] == ["--cpu-time"]:
        measure.clock = time.thread_time
    elif sys.argv[1:]:
        print("usage: python -m benchmarks.sizes [--cpu-time]", file=sys.stderr)
        return 2
    print(f"### Characters of a node's tags\n\n{sizes(characters)}\n")
    print(f"### Bytes of a Consul body for each node, the tags repeated in ServiceTags\n\n{sizes(body_bytes)}\n")
    for codec in (compiled, pure):
        name = codec.__name__.rpartition(".")[2]
        print(f"### {name}: one record from its tags to objects, nothing remembered, us\n\n{times(records(codec))}\n")
        for sharing, which in forms.SHARING.items():
            print(f"### {name}: from bytes to nodes, us a node, {which}\n\n{times(bodies(codec, sharing))}\n")
    return 0


def characters(form: str, endpoints: int) -> int:
    return sum(map(len, forms.FORMS[form](forms.record(endpoints))))


def body_bytes(form: str, endpoints: int) -> int:
    return len(forms.body(form, endpoints, "endpoints")) // forms.NODES


def sizes(size: Callable[[str, int], int]) -> str:
    rows = [["endpoints", *SHOWN, "both"]]
    for endpoints in forms.ENDPOINTS:
        first, *others = [size(form, endpoints) for form in (*SHOWN, "both")]
        rows.append([str(endpoints), f"{first:,}", *[f"{other:,} ({other / first:.0%})" for other in others]])
    return table(rows)


#: Work for each form, and what its time is divided by, for a number of endpoints.
Works = Callable[[int], Tuple[Dict[str, Callable[[], object]], Callable[[Callable[[], object]], float], int]]


def records(codec: object) -> Works:
    def works(endpoints: int) -> Tuple[Dict[str, Callable[[], object]], Callable[[Callable[[], object]], float], int]:
        record = forms.record(endpoints)

        def work(form: str) -> Callable[[], object]:
            tags = forms.FORMS[form](record)

            def run() -> object:
                found = codec.decode_tags(tags)  # type: ignore[attr-defined]
                return found.version, found.metadata, found.endpoints

            return run

        return {form: work(form) for form in SHOWN}, measure.looped, 1

    return works


def bodies(codec: object, sharing: str) -> Works:
    def works(endpoints: int) -> Tuple[Dict[str, Callable[[], object]], Callable[[Callable[[], object]], float], int]:
        def work(form: str) -> Callable[[], object]:
            body = forms.body(form, endpoints, sharing)
            return lambda: codec.decode(body)  # type: ignore[attr-defined]

        return {form: work(form) for form in SHOWN}, measure.once, forms.NODES

    return works


def times(works: Works) -> str:
    """Medians of rounds in turns."""
    rows: List[List[str]] = [["endpoints", *SHOWN]]
    for endpoints in forms.ENDPOINTS:
        run, by, share = works(endpoints)
        taken: Dict[str, List[float]] = {form: [] for form in run}
        for work in run.values():
            work()
        for _ in range(ROUNDS):
            for form, work in run.items():
                taken[form].append(by(work) / share)
        first, *others = [statistics.median(taken[form]) * 1e6 for form in SHOWN]
        rows.append([str(endpoints), f"{first:,.1f}", *[f"{other:,.1f} ({other / first:.0%})" for other in others]])
    return table(rows)


def table(rows: List[List[str]]) -> str:
    rows = [rows[0], ["---:"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
