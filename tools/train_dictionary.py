"""Trains a dictionary of the compact form: ``python -m tools.train_dictionary``.

The records are made by :mod:`tools.made_records` from a fixed seed, so that the same version of zstandard yields the
same bytes. A dictionary that was released must never change: what is trained anew gets a new character.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, List

import zstandard

from regcache.codec.encode import LEVEL, pack

from .made_records import records

#: The dictionary's ID in its header; frames of the compact form do not repeat it. From zstd's range for private use.
DICTIONARY_ID = 0x72630001
#: zstd's cover algorithm: the length of a segment, and of what is counted inside it. Found by trying: of 64 to 1,000
#: and 6 to 8, with 2,000 to 8,000 samples and 8 to 32 KiB, these left the shortest tags, if only by 3 %.
K, D = 200, 6
FOLDER = Path(__file__).parent.parent / "regcache" / "codec" / "dictionaries"


def train(samples: int, size: int, seed: int) -> bytes:
    """The dictionary of ``size`` bytes at most, from so many records."""
    packed: List[Any] = [pack(record) for record in records(samples, seed)]
    trained = zstandard.train_dictionary(size, packed, dict_id=DICTIONARY_ID, level=LEVEL, k=K, d=D)
    return bytes(trained.as_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=4000, help="records to learn from (default: %(default)s)")
    parser.add_argument("--size", type=int, default=32 * 1024, help="bytes of the dictionary (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the records (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=FOLDER / "1.zdict", help="the file (default: %(default)s)")
    asked = parser.parse_args()
    data = train(asked.samples, asked.size, asked.seed)
    asked.output.write_bytes(data)
    print(f"{asked.output}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
