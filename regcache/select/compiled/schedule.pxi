# Rounds by weight: pure/schedule.py, which also makes whole numbers of the weights.

cdef extern from "turns.h" nogil:
    ctypedef struct rc_group:
        int64_t turns
        int64_t peers
        int64_t taken
    void rc_round(rc_group *groups, size_t count, size_t *released, size_t *heap, uint32_t *order, int64_t total)


# Whose each turn of a round is; *count of them. Owned by the caller.
cdef uint32_t *schedule_of(weights, size_t *count) except NULL:
    cdef list parts = whole(weights), members
    cdef dict grouped = {}
    cdef size_t total = sum(parts), i, kinds
    cdef rc_group *groups = NULL
    cdef size_t *released = NULL
    cdef size_t *heap = NULL
    cdef uint32_t *order
    for i, part in enumerate(parts):
        if part:
            grouped.setdefault(part, []).append(i)
    members = sorted(grouped.items(), reverse=True)
    kinds = len(members)
    order = <uint32_t *>array(total, sizeof(uint32_t))
    try:
        groups = <rc_group *>array(kinds, sizeof(rc_group))
        released = <size_t *>array(total + 1, sizeof(size_t))
        heap = <size_t *>array(kinds, sizeof(size_t))
        for i in range(kinds):
            part, places = members[i]
            members[i] = places
            groups[i].peers = len(places)
            groups[i].turns = part * len(places)
        with nogil:
            rc_round(groups, kinds, released, heap, order, <int64_t>total)
        for i in range(kinds):
            groups[i].taken = 0
        for i in range(total):
            kinds = order[i]
            order[i] = (<list>members[kinds])[groups[kinds].taken % groups[kinds].peers]
            groups[kinds].taken += 1
    except BaseException:
        PyMem_RawFree(order)
        raise
    finally:
        PyMem_RawFree(groups)
        PyMem_RawFree(released)
        PyMem_RawFree(heap)
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
