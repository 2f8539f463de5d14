# cython: language_level=3
# What other extensions may know of a slot: a selector looks at its alarm, and marks it as used, without a call.

cimport cython
from libc.stdint cimport int64_t


cdef extern from "atomic.h" nogil:
    int64_t rc_word_read(int64_t *word)
    void rc_word_set(int64_t *word, int64_t value)
    void rc_word_mark(int64_t *word)

cdef extern from "clock.h" nogil:
    int64_t rc_coarse_now()
    int64_t rc_nanoseconds(double seconds)


@cython.final
cdef class Slot:
    cdef list held            # one item; never rebound
    cdef int64_t won          # the generation that may write: raised by compare-and-swap
    cdef int64_t written      # the generation that was written last: readers look at it
    cdef int64_t claimed      # 1: somebody asks the registry
    cdef int64_t alarm        # from this time on a caller has to look for himself; nanoseconds
    cdef int64_t marked       # 1: it was used
    cdef object clock         # by which the alarm is set: seconds, rising; None: rc_coarse_now()
    cdef object writing       # a lock


# The time by the slot's clock; -1 with an exception where that raises.
cdef inline int64_t slot_now(Slot slot) except? -1:
    return rc_coarse_now() if slot.clock is None else rc_nanoseconds(slot.clock())
