# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
# cython: freethreading_compatible=True
"""Where the newest snapshot of one service is kept: readers take it without a lock, writers replace it in one step.

The snapshot is the one item of a private list, which is never rebound. A GIL build reads it and counts the reference;
a free-threaded one does the same through ``PyList_GetItemRef``, which is safe beside a writer. Reclamation is the
snapshot's own reference count.

Who may write is decided by one compare-and-swap on a generation, in the order in which the registry was asked, and not
by the registry's index: that one goes backwards when a registry was restarted without its data.

Beside it are the two words that every call needs: the alarm, which is the time from which on a caller has to look for
himself, and whether anybody came.
"""

cimport cython
from libc.stdint cimport INT64_MIN, int64_t

import threading
from time import monotonic

cdef extern from "atomic.h" nogil:
    int rc_word_raise(int64_t *word, int64_t value)
    int rc_word_claim(int64_t *word)

cdef extern from "item.h":
    object rc_item_get(list held)
    int rc_item_set(list held, object item) except -1

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_get_thread_ident()

cdef enum:
    CLOSED = 0x7fffffffffffffff


@cython.final
@cython.no_gc_clear  # the list is read without a look whether it is still there
cdef class Slot:
    """Holds one snapshot or ``None``. May be used from any number of threads.

    Args:
        clock: what the alarm is set by: seconds, rising. ``time.monotonic`` (or ``None``) is read without a call of
            Python's, and may then be behind by some milliseconds (clock.h).
    """

    def __cinit__(self, clock=None):
        self.held = [None]
        self.alarm = CLOSED
        self.clock = monotonic if clock is None else clock
        if self.clock is monotonic:
            self.clock = None
        self.writing = threading.Lock()

    @property
    def generation(self):
        """That of the snapshot held; 0 before the first."""
        return rc_word_read(&self.written)

    @property
    def closed(self):
        """Is it at its end?"""
        return rc_word_read(&self.written) == CLOSED

    @property
    def used(self):
        """Did anybody :meth:`look` since this was last set to False?"""
        return rc_word_read(&self.marked) != 0

    @used.setter
    def used(self, bint value):
        rc_word_set(&self.marked, value)

    def get(self):
        """The newest snapshot, or ``None``; never waits."""
        return rc_item_get(self.held)

    def look(self):
        """The newest snapshot; ``None`` if there is none, or the alarm rings. Never waits. The slot is used then."""
        # The alarm first: one that was put off is seen together with the snapshot that was the reason.
        cdef int64_t alarm = rc_word_read(&self.alarm)
        rc_word_mark(&self.marked)
        if slot_now(self) >= alarm:
            return None
        return rc_item_get(self.held)

    def set_alarm(self, double seconds):
        """From this time on, by the slot's clock, :meth:`look` gives ``None``; infinity: never, unless it is closed."""
        with self.writing:
            if rc_word_read(&self.written) != CLOSED:
                rc_word_set(&self.alarm, rc_nanoseconds(seconds))

    def publish(self, snapshot, int64_t generation):
        """Replace what is held, unless that is of this generation (an int of at least 1) or a later one.

        Returns:
            Was it published? It was not when somebody who asked later was faster, or after :meth:`close`.
        """
        cdef object _before = None
        if not rc_word_raise(&self.won, generation):
            return False
        with self.writing:
            # Whoever asked later may have won meanwhile, and even have written: then this one is the older.
            if generation < rc_word_read(&self.won):
                return False
            _before = rc_item_get(self.held)
            rc_item_set(self.held, snapshot)
            rc_word_set(&self.written, generation)
        # `_before` is dropped here, outside the lock: that may run code of anybody's.
        return True

    def claim(self):
        """Become the one who asks the registry: True for one caller until :meth:`release`."""
        return rc_word_claim(&self.claimed) != 0

    def release(self):
        """The asking is over."""
        rc_word_set(&self.claimed, 0)

    def close(self):
        """Let go of the snapshot and refuse any other."""
        cdef object _before = None
        rc_word_raise(&self.won, CLOSED)
        with self.writing:
            _before = rc_item_get(self.held)
            rc_item_set(self.held, None)
            rc_word_set(&self.written, CLOSED)
            rc_word_set(&self.alarm, INT64_MIN)  # it rings for ever, and selectors look at nothing else

    def renew(self):
        """In the child of a fork, where one thread is left: nobody writes, and nobody asks, any more.

        What is held stays, and so does the slot itself: selectors refer to it.
        """
        self.writing = threading.Lock()
        rc_word_set(&self.claimed, 0)

    def reader(self, otherwise=None):
        """A :class:`Reader` of this slot, for the thread that calls this."""
        return Reader(self, otherwise)


@cython.final
@cython.no_gc_clear  # and so is the slot
cdef class Reader:
    """What one thread's hot loop reads: while nothing was published it costs a few loads, and no count in the slot.

    It is of the thread that made it, and keeps its snapshot alive until it is used again or dropped.

    Args:
        slot: whose snapshots.
        otherwise: called with the timeout where :meth:`Slot.look` would give ``None``, for something to return.
    """

    cdef Slot slot
    cdef object otherwise
    cdef object snapshot
    cdef int64_t generation
    cdef unsigned long thread
    cdef object __weakref__

    def __cinit__(self, Slot slot not None, otherwise=None):
        self.slot = slot
        self.otherwise = otherwise
        self.generation = -1
        self.thread = PyThread_get_thread_ident()

    def get(self, timeout=None):
        """The newest snapshot, as :meth:`Slot.look`; if there is none, or the alarm rings, what ``otherwise`` says.

        Raises:
            RuntimeError: this is another thread. Two at once would drop one reference twice.
        """
        if self.thread != PyThread_get_thread_ident():
            raise RuntimeError("a reader is for the thread that made it")
        cdef Slot slot = self.slot
        # In this order: an alarm that was put off is seen together with the snapshot that was the reason; and if a
        # writer comes after the generation was read, the next call looks again.
        cdef int64_t alarm = rc_word_read(&slot.alarm)
        cdef int64_t generation = rc_word_read(&slot.written)
        if generation != self.generation:
            self.snapshot = rc_item_get(slot.held)
            self.generation = generation
        rc_word_mark(&slot.marked)
        if self.snapshot is None or slot_now(slot) >= alarm:
            return None if self.otherwise is None else self.otherwise(timeout)
        return self.snapshot
