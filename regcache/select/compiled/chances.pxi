# Pickers that draw lots, and the one that hashes. pure/picks.py

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


@cython.no_gc_clear
cdef class Random(Picker):
    """Each peer as often as its weight says, by chance."""

    cdef rc_lots lots         # owns its table

    def __cinit__(self, peers, weights, before, uint64_t seed):
        cdef uint32_t i
        rc_draws_init(&self.lots.draws, seed)
        self.lots.count = self.count
        if weights is not None:
            self.lots.table = lots_of(weights)
            for i in range(self.count):
                self.seats[i].weight = weights[i]

    def __dealloc__(self):
        PyMem_RawFree(self.lots.table)

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        return rc_lots_one(&self.lots)


@cython.final
@cython.no_gc_clear
cdef class TwoChoices(Random):
    """The less busy of two that are drawn: by calls in flight in relation to weights."""

    cdef int64_t **busy       # owned; where the calls in flight of each peer are counted

    def __cinit__(self, peers, weights, before, uint64_t seed):
        cdef uint32_t i
        self.busy = <int64_t **>array(self.count, sizeof(void *))
        for i in range(self.count):
            self.busy[i] = self.seats[i].pulse.in_flight

    def __dealloc__(self):
        PyMem_RawFree(self.busy)

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        cdef uint32_t first = 0, second = 0
        cdef int64_t busy, other
        if self.count == 1:
            return 0
        rc_lots_two(&self.lots, &first, &second)
        busy = rc_count_read(self.busy[first])
        other = rc_count_read(self.busy[second])
        if self.lots.table == NULL:
            return second if other < busy else first
        # A tie is the first's: which of them is first, is chance.
        return second if other * self.seats[first].weight < busy * self.seats[second].weight else first


@cython.final
@cython.no_gc_clear
cdef class PeakEwma(Random):
    """The cheaper of two that are drawn: latency * (calls in flight + 1), those in flight in relation to weights.

    The numbers, and how an idle peer is probed: see the twin.
    """

    cdef double most          # the greatest weight

    def __cinit__(self, peers, weights, before, uint64_t seed):
        self.most = 1.0 if weights is None else max(weights)

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        cdef uint32_t first = 0, second = 0, swapped
        cdef int64_t seen
        cdef rc_pulse *pulse
        if self.count == 1:
            return 0
        rc_lots_two(&self.lots, &first, &second)
        if self.cost(second, now) < self.cost(first, now):
            swapped = first
            first = second
            second = swapped
        pulse = self.seats[second].pulse
        seen = rc_count_read(&pulse.picked)
        # Of many that see an idle peer, one wins the swap and probes it.
        if seen <= now - IDLE and rc_count_swap(&pulse.picked, &seen, now):
            return second
        pulse = self.seats[first].pulse
        # The clock's ticks are milliseconds apart: a busy word is written once for each.
        if rc_count_read(&pulse.picked) != now:
            rc_count_set(&pulse.picked, now)
        return first

    cdef inline double cost(self, uint32_t place, int64_t now) noexcept:
        cdef Seat *seat = &self.seats[place]
        cdef double latency = rc_real_read(&seat.pulse.latency)
        # Weights say already who is drawn; here they say no more than how many calls are many.
        cdef double busy = rc_count_read(seat.pulse.in_flight)
        if self.lots.table != NULL:
            busy = busy * self.most / seat.weight
        if latency < 0.0:
            return UNKNOWN * (busy + 1.0)
        return latency * rc_pulse_decay(seat.pulse, now) * (busy + 1.0)


@cython.final
@cython.no_gc_clear
cdef class Hash(Picker):
    """The owner of the key on a ring; the next one where it has too much in flight. See :class:`Ring` of the twin."""

    cdef Ring ring

    def __cinit__(self, peers, weights, before, uint64_t seed):
        cdef double total = 0.0, weight
        cdef uint32_t i
        if weights is None:
            weights = [1.0] * self.count
        for weight in weights:
            total += weight
        self.ring = Ring([(<Peer>peer).node for peer in self.held], weights)
        for i in range(self.count):
            # How many calls of all calls it may have.
            self.seats[i].weight = BOUND * <double>weights[i] / total

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        cdef uint64_t hashed = 0
        cdef rc_ring *ring = &self.ring.c
        cdef size_t start, step
        cdef uint32_t place
        cdef double calls
        hash_of(key, &hashed)
        start = rc_ring_find(ring, hashed)
        # With the call that is being placed there is at least one peer below the bound, whatever the shares are.
        calls = <double>(rc_count_read(self.seats[0].pulse.tally) + 1)
        for step in range(ring.count):
            if start + step >= ring.count:
                start -= ring.count
            place = ring.owners[start + step]
            if <double>rc_count_read(self.seats[place].pulse.in_flight) < self.seats[place].weight * calls:
                return place
        return ring.owners[start]

    def _other(self, key, tried, now=None):
        """A pick that is none of those tried: the next on the ring."""
        cdef uint64_t hashed = 0
        cdef rc_ring *ring = &self.ring.c
        cdef size_t start, step
        hash_of(key, &hashed)
        start = rc_ring_find(ring, hashed)
        for step in range(ring.count):
            peer = self.held[ring.owners[(start + step) % ring.count]]
            if peer not in tried:
                return peer
        return None
