# Rounds by weight: pure/schedule.py, which also makes whole numbers of the weights.

cdef extern from "turns.h" nogil:
    ctypedef struct rc_turn:
        double at
        int64_t part
        uint32_t place
    int rc_turn_order(const void *a, const void *b)

cdef extern from "stdlib.h" nogil:
    void qsort(void *items, size_t count, size_t size, int (*order)(const void *, const void *))


# Whose each turn of a round is; *count of them. Owned by the caller.
cdef uint32_t *schedule_of(weights, size_t *count) except NULL:
    cdef dict groups = {}
    cdef list parts = whole(weights), members
    cdef rc_turn *turns
    cdef uint32_t *order = NULL
    cdef size_t total = sum(parts), at = 0, i
    cdef int64_t part, turn, of
    for i, made in enumerate(parts):
        if made:
            groups.setdefault(made, []).append(i)
    turns = <rc_turn *>array(total, sizeof(rc_turn))
    try:
        for made, members in groups.items():
            part = made
            of = part * len(members)
            for turn in range(of):
                # Quotients of whole numbers this small are equal as floats exactly where they are equal.
                turns[at].at = <double>(2 * turn + 1) / <double>(2 * of)
                turns[at].part = part
                turns[at].place = members[turn % len(members)]
                at += 1
        order = <uint32_t *>array(total, sizeof(uint32_t))
        with nogil:
            qsort(turns, total, sizeof(rc_turn), rc_turn_order)
            for i in range(total):
                order[i] = turns[i].place
    finally:
        PyMem_RawFree(turns)
    count[0] = total
    return order


def schedule(weights):
    """Of each turn of a round, whose it is: see the twin."""
    cdef size_t count = 0, i
    cdef uint32_t *order = schedule_of(weights, &count)
    try:
        return [order[i] for i in range(count)]
    finally:
        PyMem_RawFree(order)
