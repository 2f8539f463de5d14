"""The dictionaries that the compact form is written with: zstd dictionaries that writers and readers must share.

A file here is never changed once it was released; a better dictionary gets a new character. ``python -m
tools.train_dictionary`` makes them, from records made for it.
"""

from __future__ import annotations

import hashlib
import pkgutil
from functools import lru_cache
from typing import Any, Dict

__all__ = ["DIGESTS", "load", "trained"]

#: The character that names a dictionary in a tag -> the SHA-256 of its file.
DIGESTS: Dict[str, str] = {"1": "041d84b2d968205845b6ba7fef7a846eaa3f268b37cbba5d5cbc18a7441f7af4"}


@lru_cache(maxsize=None)
def load(name: str) -> bytes:
    """The bytes of the dictionary with this character: a trained zstd dictionary (RFC 8878, section 5).

    Raises :class:`ImportError` where the file is missing or another one: tags written with it could not be read by
    others, and theirs not here.
    """
    try:
        # Not importlib.resources: it brings tempfile, random and more, and this is read whenever regcache is imported.
        data = pkgutil.get_data(__name__, f"{name}.zdict")
    except OSError as error:
        raise ImportError(f"regcache was installed without its dictionary {name}.zdict") from error
    if data is None or hashlib.sha256(data).hexdigest() != DIGESTS[name]:
        raise ImportError(f"regcache was installed with another dictionary {name}.zdict than its own")
    return data


def trained(name: str) -> Any:
    """The dictionary with this character for the package zstandard; ``None`` for "0", which is no dictionary."""
    import zstandard  # only who writes the compact form, or reads it in pure Python, needs it

    if name == "0":
        return None
    return zstandard.ZstdCompressionDict(load(name), dict_type=zstandard.DICT_TYPE_FULLDICT)
