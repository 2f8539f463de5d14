# Pickers that draw lots (random, p2c, peak_ewma), and the one that hashes, with bounded loads. pure/picks.py

cdef enum:
    IDLE = 3000000000         # nanoseconds: see the twin's IDLE
cdef double UNKNOWN = 1e9     # seconds
cdef double BOUND = 1.25


# The table of the alias method; owned by the caller.
cdef rc_lot *lots_of(list weights) except NULL:
    cdef size_t count = len(weights), less, more, smalls = 0, larges = 0, i, heaviest = 0
    cdef double total = 0.0, weight
    cdef rc_lot *table
    cdef double *parts = NULL
    cdef size_t *small = NULL
    cdef size_t *large = NULL
    table = <rc_lot *>array(count, sizeof(rc_lot))
    try:
        parts = <double *>array(count, sizeof(double))
        small = <size_t *>array(count, sizeof(size_t))
        large = <size_t *>array(count, sizeof(size_t))
        for weight in weights:
            total += weight
        for i in range(count):
            parts[i] = <double>weights[i] * <double>count / total
            table[i].share = 0xFFFFFFFF
            table[i].other = <uint32_t>i
            if <double>weights[i] > <double>weights[heaviest]:
                heaviest = i
            if parts[i] < 1.0:
                small[smalls] = i
                smalls += 1
            else:
                large[larges] = i
                larges += 1
        while smalls and larges:
            smalls -= 1
            less = small[smalls]
            more = large[larges - 1]
            # Below 1.0 times 2**32: at most 0xFFFFFFFF.
            table[less].share = <uint32_t>(parts[less] * 4294967296.0)
            table[less].other = <uint32_t>more
            parts[more] -= 1.0 - parts[less]
            if parts[more] < 1.0:
                larges -= 1
                small[smalls] = more
                smalls += 1
        # Rounding may leave some that are whole but for their last bits. One that weighs nothing is not whole for that.
        for i in range(smalls):
            if <double>weights[small[i]] == 0.0:
                table[small[i]].share = 0
                table[small[i]].other = <uint32_t>heaviest
    except BaseException:
        PyMem_RawFree(table)
        raise
    finally:
        PyMem_RawFree(parts)
        PyMem_RawFree(small)
        PyMem_RawFree(large)
    return table


def aliases(weights):
    """Of each place: how much of 2**32 is its own, and whose the rest is."""
    cdef rc_lot *table = lots_of(list(weights))
    try:
        return [table[i].share for i in range(len(weights))], [table[i].other for i in range(len(weights))]
    finally:
        PyMem_RawFree(table)


@cython.final
@cython.no_gc_clear
cdef class Random(Picker):
    """Each peer as often as its weight says, by chance."""

    cdef rc_lots lots         # owns its table

    def __cinit__(self, peers, weights, before, uint64_t seed):
        self.quick = random_quick
        rc_lots_init(&self.lots, seed, 1, self.count, NULL if weights is None else lots_of(weights))

    def __dealloc__(self):
        PyMem_RawFree(self.lots.table)

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        return rc_lots_next_one(&self.lots)


cdef PyObject *random_quick(Picker self, int64_t now) noexcept:
    cdef PyObject *node = self.nodes[rc_lots_next_one(&(<Random>self).lots)]
    if RC_AHEAD:
        rc_fetch(self.nodes[(<Random>self).lots.next.first])
    Py_INCREF(<object>node)
    return node


@cython.no_gc_clear
cdef class TwoChoices(Picker):
    """The less busy of two that are drawn: by calls in flight in relation to weights."""

    cdef rc_choices choices

    def __cinit__(self, peers, weights, before, uint64_t seed):
        cdef uint32_t i
        self.choices.nodes = self.nodes
        self.choices.cells = <rc_cell **>array(self.count, sizeof(void *))
        for i in range(self.count):
            self.choices.cells[i] = self.seats[i].pulse.cell
        if weights is not None:
            self.choices.weights = <double *>array(self.count, sizeof(double))
            for i in range(self.count):
                self.choices.weights[i] = weights[i]
        rc_lots_init(&self.choices.lots, seed, 2, self.count, NULL if weights is None else lots_of(weights))
        self.quick = two_quick
        if RC_AHEAD and weights is None and self.count > 1:
            self.quick = two_quick_many if self.count > RC_MANY else two_quick_few

    def __dealloc__(self):
        PyMem_RawFree(self.choices.lots.table)
        PyMem_RawFree(self.choices.cells)
        PyMem_RawFree(self.choices.weights)

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        return rc_idler(&self.choices)


cdef PyObject *two_quick(Picker self, int64_t now) noexcept:
    cdef PyObject *node = self.nodes[rc_idler(&(<TwoChoices>self).choices)]
    Py_INCREF(<object>node)
    return node


cdef PyObject *two_quick_few(Picker self, int64_t now) noexcept:
    cdef PyObject *node
    if not rc_lots_ready(&(<TwoChoices>self).choices.lots):
        return two_quick(self, now)
    node = rc_idler_even(&(<TwoChoices>self).choices, False)
    Py_INCREF(<object>node)
    return node


cdef PyObject *two_quick_many(Picker self, int64_t now) noexcept:
    cdef PyObject *node
    if not rc_lots_ready(&(<TwoChoices>self).choices.lots):
        return two_quick(self, now)
    node = rc_idler_even(&(<TwoChoices>self).choices, True)
    Py_INCREF(<object>node)
    return node


@cython.final
@cython.no_gc_clear
cdef class PeakEwma(TwoChoices):
    """The cheaper of two that are drawn: latency * (calls in flight + 1), those in flight in relation to weights.

    The numbers, and how an idle peer is probed: see the twin.
    """

    cdef double most          # the greatest weight

    def __cinit__(self, peers, weights, before, uint64_t seed):
        self.most = 1.0 if weights is None else max(weights)
        self.quick = ewma_quick

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        return self.cheaper(now)

    cdef inline uint32_t cheaper(self, int64_t now) noexcept:
        cdef rc_two two = rc_lots_next_two(&self.choices.lots)
        cdef uint32_t first = two.first, second = two.second
        cdef int64_t seen
        cdef rc_cell *cell
        if RC_AHEAD and self.count > RC_MANY:
            rc_choices_fetch(self.choices.cells, self.choices.nodes, rc_two_read(&self.choices.lots.next),
                             rc_two_read(&self.choices.lots.later))
        if self.cost(second, now) < self.cost(first, now):
            first = two.second
            second = two.first
        cell = self.choices.cells[second]
        seen = rc_count_read(&cell.picked)
        # Of many that see an idle peer, one wins the swap and probes it.
        if seen <= now - IDLE and rc_count_swap(&cell.picked, &seen, now):
            return second
        cell = self.choices.cells[first]
        # The clock's ticks are milliseconds apart: a busy word is written once for each.
        if rc_count_read(&cell.picked) != now:
            rc_count_set(&cell.picked, now)
        return first

    cdef inline double cost(self, uint32_t place, int64_t now) noexcept:
        cdef rc_cell *cell = self.choices.cells[place]
        cdef double latency = rc_real_read(&cell.latency)
        # Weights say already who is drawn; here they say no more than how many calls are many.
        cdef double busy = rc_count_read(&cell.busy)
        if self.choices.weights != NULL:
            busy = busy * self.most / self.choices.weights[place]
        if latency < 0.0:
            return UNKNOWN * (busy + 1.0)
        return latency * rc_cell_decay(cell, now) * (busy + 1.0)


cdef PyObject *ewma_quick(Picker self, int64_t now) noexcept:
    cdef PyObject *node = self.nodes[(<PeakEwma>self).cheaper(now)]
    Py_INCREF(<object>node)
    return node


# A place on a ring: whose it is among the peers, and how many of its points count.
cdef struct Spot:
    uint32_t place
    uint32_t counts


@cython.final
@cython.no_gc_clear
cdef class Hash(Picker):
    """The owner of the key on a ring; the next one where it has too much in flight. See :class:`Ring` of the twin."""

    cdef Ring ring            # may be that of the picker before
    cdef dict known           # of each pulse, where it is on the ring; never changed
    cdef Spot *spots          # owned; of each place on the ring
    cdef size_t size          # of the ring, in places

    def __cinit__(self, peers, weights, before, uint64_t seed):
        cdef double total = 0.0, weight
        cdef uint32_t i, there
        cdef list counts
        if weights is None:
            weights = [1.0] * self.count
        for weight in weights:
            total += weight
        counts = counting(weights)
        self.find(before)
        self.size = self.ring.c.count // RC_POINTS
        self.spots = <Spot *>array(self.size, sizeof(Spot))
        for i in range(self.count):
            there = i
            if <size_t>len(self.known) == self.size:
                there = self.known[(<Peer>self.held[i]).pulse]
            self.spots[there].place = i
            self.spots[there].counts = counts[i]
            # How many calls of all calls it may have.
            self.seats[i].weight = BOUND * <double>weights[i] / total

    def __dealloc__(self):
        PyMem_RawFree(self.spots)

    # The ring, and where on it each peer is: those of before, if they have all peers and not twice as many. (A peer
    # that is listed twice has one pulse for two places: such a ring is nobody's but its own.)
    cdef int find(self, object before) except -1:
        cdef dict known
        cdef Hash old
        if isinstance(before, Hash):
            old = before
            if <size_t>len(old.known) == old.size <= 2 * <size_t>self.count:
                known = old.known
                if len({(<Peer>peer).pulse for peer in self.held if (<Peer>peer).pulse in known}) == self.count:
                    self.ring = old.ring
                    self.known = known
                    return 0
        self.known = {(<Peer>peer).pulse: place for place, peer in enumerate(self.held)}
        self.ring = Ring([(<Peer>peer).node for peer in self.held])
        return 0

    # Where the first point that counts is, at `at` or after it.
    cdef inline size_t point(self, size_t at) noexcept:
        cdef rc_ring *ring = &self.ring.c
        cdef uint32_t owner
        while True:
            if at >= ring.count:
                at -= ring.count
            owner = ring.owners[at]
            if owner % RC_POINTS < self.spots[owner // RC_POINTS].counts:
                return at
            at += 1

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        cdef uint64_t hashed = 0
        cdef size_t first, at
        cdef uint32_t place
        cdef double calls
        hash_of(key, &hashed)
        # With the call that is being placed there is at least one peer below the bound, whatever the shares are.
        calls = <double>(rc_count_read(self.seats[0].pulse.tally) + 1)
        first = at = self.point(rc_ring_find(&self.ring.c, hashed))
        while True:
            place = self.spots[self.ring.c.owners[at] // RC_POINTS].place
            if <double>rc_count_read(&self.seats[place].pulse.cell.busy) < self.seats[place].weight * calls:
                return place
            at = self.point(at + 1)
            # But other threads count meanwhile, and a peer may be listed twice.
            if at == first:
                return self.spots[self.ring.c.owners[first] // RC_POINTS].place

    def _other(self, key, tried, now=None):
        """A pick that is none of those tried: the next on the ring."""
        cdef uint64_t hashed = 0
        cdef size_t first, at
        hash_of(key, &hashed)
        first = at = self.point(rc_ring_find(&self.ring.c, hashed))
        while True:
            peer = self.held[self.spots[self.ring.c.owners[at] // RC_POINTS].place]
            if peer not in tried:
                return peer
            at = self.point(at + 1)
            if at == first:
                return None
