# What the headers declare, and the salt that a fork renews.

cdef extern from "item.h":
    object rc_item_get(list held)
    int rc_item_set(list held, object item) except -1

cdef extern from "count.h" nogil:
    int64_t rc_count_read(int64_t *word)
    void rc_count_set(int64_t *word, int64_t value)
    int64_t rc_count_add(int64_t *word, int64_t more)
    int rc_count_swap(int64_t *word, int64_t *seen, int64_t value)
    uint64_t rc_count_turn(int64_t *word, uint64_t turns)
    double rc_real_read(int64_t *word)
    void rc_real_set(int64_t *word, double value)

cdef extern from "rng.h" nogil:
    uint64_t RC_STEP
    uint64_t rc_salt_get()
    void rc_salt_set(uint64_t salt)
    uint64_t rc_mix(uint64_t z)

cdef extern from "lots.h" nogil:
    enum:
        RC_DRAWS
        RC_AHEAD
    ctypedef struct rc_lot:
        uint32_t share
        uint32_t other
    ctypedef struct rc_two:
        uint32_t first
        uint32_t second
    ctypedef struct rc_lots:
        rc_lot *table
        rc_two next
        rc_two later
    void rc_lots_init(rc_lots *lots, uint64_t seed, int places, uint32_t count, rc_lot *table)
    uint32_t rc_lots_next_one(rc_lots *lots)
    rc_two rc_lots_next_two(rc_lots *lots)
    bint rc_lots_ready(const rc_lots *lots)
    rc_two rc_two_read(const rc_two *two)
    void rc_fetch(const void *there)

cdef extern from "cells.h" nogil:
    ctypedef struct rc_cell:
        int64_t busy
        int64_t latency
        int64_t picked
    ctypedef struct rc_cells:
        pass
    rc_cell *rc_cell_take(rc_cells *cells)
    void rc_cell_give(rc_cells *cells, rc_cell *cell)
    void rc_cells_free(rc_cells *cells)

cdef extern from "choices.h" nogil:
    enum:
        RC_MANY
    ctypedef struct rc_choices:
        rc_lots lots
        rc_cell **cells
        PyObject **nodes
        double *weights
    void rc_choices_fetch(rc_cell **cells, PyObject **nodes, rc_two next, rc_two later)
    uint32_t rc_idler(rc_choices *choices)
    PyObject *rc_idler_even(rc_choices *choices, int many)

cdef extern from "exact.h" nogil:
    int64_t rc_exact_now()

cdef object MASK = 0xFFFFFFFFFFFFFFFF


def _after_fork():
    rc_salt_set(int.from_bytes(os.urandom(8), "little"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# An array of so many items, all 0; freed by whoever keeps it, with PyMem_RawFree.
cdef void *array(size_t count, size_t size) except NULL:
    cdef void *made = PyMem_RawCalloc(count, size)
    if made == NULL:
        raise MemoryError()
    return made
