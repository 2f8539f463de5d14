# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
# cython: freethreading_compatible=True
"""The Python face of the compiled codec. Its rooms, in the order the data passes them."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.string cimport memcmp, memcpy, memset

from .core cimport *

import os
import re
import time
from types import MappingProxyType

from ...errors import DecodeError, LimitExceeded
from ...limits import Limits
from ...model import DecodeWarning, Endpoint, Record, Service, Stats, Value, Weights
from ...model import checked_weights, frozen_endpoint, join_target, same_deep
from .. import dictionaries, reasons

include "records.pxi"
include "node.pxi"
include "snapshot.pxi"
include "decoder.pxi"
include "unzstd.pxi"


def scanner(str name=None):
    """Chooses the instructions that find the end of a string, while nothing is decoded; for tests and comparisons.

    Args:
        name: "avx2", "sse2", "neon" or "portable"; None for the widest that this processor has.

    Returns:
        The name of the one in use.

    Raises:
        ValueError: this processor, or this build, does not have it.
    """
    cdef bytes wanted = None if name is None else name.encode()
    cdef const char *used = rc_text_use(NULL if wanted is None else PyBytes_AS_STRING(wanted))
    if used == NULL:
        raise ValueError(f"no scanner {name!r} here")
    return used.decode()


def _begin():
    cdef bytes dictionary = dictionaries.load("1")
    seed = os.urandom(16)
    rc_records_init(int.from_bytes(seed[:8], "little"), int.from_bytes(seed[8:], "little"))
    scanner()
    if rc_compact_init(<const uint8_t *>PyBytes_AS_STRING(dictionary), len(dictionary)) < 0:
        raise ImportError("regcache's dictionary 1.zdict is damaged; please install regcache again")


_begin()
