# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
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

from ...errors import DecodeError
from ...limits import RATIO_FLOOR, Limits
from ...model import DecodeWarning, Endpoint, Record, Service, Stats, Value, Weights, frozen_endpoint, join_target
from .. import reasons

include "records.pxi"
include "node.pxi"
include "snapshot.pxi"
include "decoder.pxi"
include "unzstd.pxi"


def _begin():
    seed = os.urandom(16)
    rc_records_init(int.from_bytes(seed[:8], "little"), int.from_bytes(seed[8:], "little"))
    return rc_text_init().decode()


#: Which instructions find the end of a string: "avx2", "sse2", "neon" or "portable".
SCANNER = _begin()
