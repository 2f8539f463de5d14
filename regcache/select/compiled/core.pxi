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
    ctypedef struct rc_draws:
        pass
    void rc_draws_init(rc_draws *draws, uint64_t seed)

cdef extern from "lots.h" nogil:
    enum:
        RC_DRAWS
    ctypedef struct rc_lot:
        uint32_t share
        uint32_t other
    ctypedef struct rc_lots:
        rc_draws draws
        rc_lot *table
        uint32_t count
    uint32_t rc_lots_one(rc_lots *lots)
    void rc_lots_two(rc_lots *lots, uint32_t *first, uint32_t *second)

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
