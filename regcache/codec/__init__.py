"""The codec: a registry's bytes become an immutable snapshot, and records become tags.

There are two backends with the same names and the same results: ``compiled`` (C and Cython) and ``pure``
(``REGCACHE_PURE=1``). Which one is in use is in :data:`BACKEND`. There is no silent fallback: where the
extension is missing, importing fails and says what to do.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .encode import encode_compact, encode_tags

__all__ = [
    "BACKEND",
    "Decoder",
    "Node",
    "Snapshot",
    "Unzstd",
    "decode",
    "decode_mdns",
    "decode_tags",
    "encode_compact",
    "encode_tags",
]

#: ``"compiled"`` or ``"pure"``.
BACKEND: str

if TYPE_CHECKING or os.environ.get("REGCACHE_PURE", "0") not in ("", "0"):
    from .pure import Decoder, Node, Snapshot, Unzstd, decode, decode_mdns, decode_tags

    BACKEND = "pure"
else:
    try:
        from .compiled import Decoder, Node, Snapshot, Unzstd, decode, decode_mdns, decode_tags
    except ModuleNotFoundError as missing:
        raise ImportError(
            "regcache was installed without its compiled codec for this Python; install a wheel or build it "
            "(pip install --force-reinstall --no-cache-dir regcache), or set REGCACHE_PURE=1 to use the slower "
            "pure-Python codec on purpose"
        ) from missing
    BACKEND = "compiled"
