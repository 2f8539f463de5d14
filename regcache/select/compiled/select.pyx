# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True, cdivision=True
# cython: freethreading_compatible=True
"""The selector's fast path: what is read and counted at each call.

A call reads one picker from a private list of one item, which is never rebound (as the slot does with snapshots), looks
at two alarms, and reads one place of an array. What the picker reads never changes once it is made, but for its
counters; the counters of a peer are words of their own in its Pulse. So there is no lock, and a picker that is replaced
lives until the last call that reads it is done: each holds a reference of its own.

The documentation of what behaves the same in Python is in the twin, :mod:`regcache.select.pure`.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

import os
from time import monotonic

from regcache.cache.compiled.slot cimport Slot, rc_coarse_now, rc_nanoseconds, rc_word_mark, rc_word_read, \
    rc_word_set

from ..pure.schedule import whole

include "core.pxi"
include "peer.pxi"
include "schedule.pxi"
include "ring.pxi"
include "picks.pxi"
include "chances.pxi"
include "make.pxi"
include "front.pxi"
include "call.pxi"
