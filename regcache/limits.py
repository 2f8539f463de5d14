"""How much a registry may make a decode hold; every limit has a default and the reason for it.

How many calls a selector makes is another matter: ``select/budget.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits", "RATIO_FLOOR", "containers"]

#: The ratio limit looks only at records larger than this (bytes): 64 KiB of one letter, which go-micro
#: writes and reads, has a ratio of 800.
RATIO_FLOOR = 128 * 1024


def containers(record_bytes: int) -> int:
    """As many objects, lists and pairs as a record may have that may have so many bytes.

    One that is written in a byte or two becomes a Python object of 80; those that go-micro writes take 17 and more.
    """
    return 16 + record_bytes // 16


@dataclass(frozen=True)
class Limits:
    """Upper bounds for one decode. Sizes are bytes; every value is an int of at least 1.

    A limit on the whole body (``body_bytes``, ``nodes``, ``nesting``, ``decompressed_bytes``) raises
    :class:`~regcache.LimitExceeded` and yields no snapshot. A limit on a part (``string_bytes``, ``tags``,
    ``tag_bytes``, ``record_bytes``, ``ratio``) costs that part alone (a string outside ``Meta`` and the tags: its
    entry) and is listed in the snapshot's warnings.
    """

    #: A whole body. 10,000 nodes of 10 KB are 100 MB; more than twice that is not a list of peers.
    body_bytes: int = 256 * 1024 * 1024
    #: Nodes of one service. The largest services reported to go-micro have 4,000 (micro/go-micro#2821).
    nodes: int = 100_000
    #: An ID, name, address, key or value that is kept. Consul caps Meta values at 512 bytes and names at 255.
    string_bytes: int = 16 * 1024
    #: Tags of one node. go-micro writes one for each endpoint and metadata pair; the rest is not read.
    tags: int = 4096
    #: One tag as written (hex counts twice). An endpoint with 60 nested types takes 20 KB.
    tag_bytes: int = 256 * 1024
    #: One record after decompression. It is written into a buffer of at most this size, and may have an object, list or
    #: pair for every 16 bytes of it.
    record_bytes: int = 512 * 1024
    #: Decompressed bytes for each compressed byte, looked at above 128 KiB (:data:`RATIO_FLOOR`).
    #: Deflate cannot exceed 1,032; JSON records reach 20.
    ratio: int = 200
    #: Objects and arrays inside each other, in a body and in a record. 10,000 is the limit of Go's encoding/json.
    nesting: int = 10_000
    #: All distinct records of one decode together, and what its broken tags decompressed to: the work that the
    #: tags of one body may make. 10,000 nodes with 12 KB of records of their own, each, are within it.
    decompressed_bytes: int = 128 * 1024 * 1024
    #: Warnings that a snapshot lists; all are counted.
    warnings: int = 100

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"Limits.{field.name} must be an int, not {type(value).__name__}")
            if value < 1 or value > 2**62:
                raise ValueError(f"Limits.{field.name} must be from 1 to 2**62, not {value}")
