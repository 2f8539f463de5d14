"""``python -m benchmarks.instructions [--update]``: instructions of one call of each kernel, beside the stored ones.

In Markdown. ``--update`` stores them for machines, Pythons and compilers of this kind. It needs valgrind and a C
compiler. The exit code is 1 if a kernel takes more than the margin allows.
"""

from __future__ import annotations

import sys
from typing import Sequence

from . import CannotCount, compared, count, key, load, save
from .stored import MARGIN


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--update"]):
        print("usage: python -m benchmarks.instructions [--update]", file=sys.stderr)
        return 2
    try:
        counts = count()
    except CannotCount as error:
        print(f"nothing was counted: {error}", file=sys.stderr)
        return 2
    stored = load(key()) or {}
    print(f"{key()}\n\n| kernel | instructions of a call | stored | change |\n| :-- | --: | --: | --: |")
    for name, now in counts.items():
        before = stored.get(name)
        change = "" if before is None else f"{now / before - 1:+.2%}"
        print(f"| {name} | {now:,} | {'' if before is None else format(before, ',')} | {change} |")
    if arguments:
        save(key(), counts)
        return 0
    return int(any(one.change > MARGIN for one in compared(counts, stored)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
