# Pickers that need no chance: the base, rounds, and people's own. pure/picks.py

# What a pick reads of a peer; borrowed from the picker's tuple of peers.
cdef struct Seat:
    PyObject *peer
    rc_pulse *pulse
    double weight     # 1.0 where all are the same

# A node, with a reference.
ctypedef PyObject *(*Quick)(Picker self, int64_t now) noexcept


@cython.no_gc_clear  # select() may read `seats` as long as the picker is there
cdef class Picker:
    """Picks one of its peers. Made by :func:`make_picker`; may be used by any number of threads."""

    cdef tuple held           # the peers
    cdef PyObject **nodes     # owned; by themselves, because most picks of many nodes look nowhere else
    cdef Seat *seats          # owned
    cdef uint32_t count
    cdef Quick quick          # NULL: somebody else's code may run in choose(), or it may raise
    cdef object __weakref__

    def __cinit__(self, peers, *_):
        cdef uint32_t i
        cdef Peer peer
        cdef tuple held = tuple(peers)
        if not 0 < len(held) < 0x7FFFFFFF:
            raise ValueError("a picker needs at least one peer")
        self.nodes = <PyObject **>array(len(held), sizeof(void *))
        self.seats = <Seat *>array(len(held), sizeof(Seat))
        for i in range(<uint32_t>len(held)):
            peer = held[i]
            self.nodes[i] = <PyObject *>peer.node
            self.seats[i].peer = <PyObject *>peer
            self.seats[i].pulse = &peer.pulse.c
            self.seats[i].weight = 1.0
        self.held = held
        self.count = <uint32_t>len(held)

    def __dealloc__(self):
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.seats)

    # A place in `seats`. now: nanoseconds of the selector's clock.
    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        raise NotImplementedError("pickers are made by make_picker()")

    @property
    def peers(self):
        """What it picks from, in the order of the snapshot."""
        return self.held

    def __len__(self):
        return self.count

    def pick(self, key=None, now=None):
        """One of the peers. Counts nothing as in flight.

        Args:
            key: str, bytes or int; only the strategy "hash" and people's own look at it.
            now: seconds of the selector's clock, default ``time.monotonic()``; only "peak_ewma" looks at it.

        Raises:
            TypeError: "hash", and no key or one of another type; an own strategy that returned no peer of these.
            Anything that an own strategy raises.
        """
        return <Peer>self.seats[self.choose(key, rc_nanoseconds(monotonic() if now is None else now))].peer

    def _other(self, key, tried, now=None):
        """A pick that is none of those tried, for another attempt; None: all of them were."""
        cdef Py_ssize_t start = 0, step
        cdef int64_t at = rc_nanoseconds(monotonic() if now is None else now)
        for _ in range(RC_DRAWS):
            start = self.choose(key, at)
            if self.held[start] not in tried:
                return self.held[start]
        for step in range(1, self.count):
            if self.held[(start + step) % self.count] not in tried:
                return self.held[(start + step) % self.count]
        return None


@cython.final
@cython.no_gc_clear
cdef class Rounds(Picker):
    """One after the other; where weights differ, by a schedule. Goes on where the one before would have."""

    cdef uint32_t *order      # owned; NULL: the order of the peers
    cdef size_t turns         # of a round
    cdef int64_t turn         # how many were picked, and where it began
    cdef uint64_t born

    def __cinit__(self, peers, weights, before, uint64_t seed):
        self.quick = rounds_quick
        self.turns = self.count
        cdef uint32_t i
        if weights is not None:
            self.order = schedule_of(weights, &self.turns)
            for i in range(self.count):
                self.seats[i].weight = weights[i]
        self.born = rc_salt_get()
        self.turn = -1
        if isinstance(before, Rounds):
            self.turn = self.resume(before)
        if self.turn < 0:
            self.turn = <int64_t>(((rc_mix(seed) >> 32) * self.turns) >> 32)

    def __dealloc__(self):
        PyMem_RawFree(self.order)

    # After a fork the child's rounds are moved by its salt.
    cdef inline size_t place(self, uint64_t turn) noexcept:
        cdef uint64_t moved = rc_salt_get() - self.born
        return <size_t>(turn if moved == 0 else (turn + moved) % self.turns)

    cdef inline uint32_t at(self, size_t turn) noexcept:
        return <uint32_t>turn if self.order == NULL else self.order[turn]

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        return self.next()

    cdef inline uint32_t next(self) noexcept:
        return self.at(self.place(rc_count_turn(&self.turn, self.turns)))

    # Where the first of those that had not had their turn has its own; -1: none of them is left.
    cdef int64_t resume(self, Rounds before) except -2:
        cdef dict places = {}
        cdef size_t start = before.place(<uint64_t>rc_count_read(&before.turn) % before.turns)
        cdef size_t step, further, turn, here, at
        cdef uint32_t found
        cdef Peer peer
        for step in range(self.count):
            if self.seats[step].weight > 0.0:
                places.setdefault((<Peer>self.held[step]).pulse, step)
        for step in range(before.turns):
            turn = (start + step) % before.turns
            peer = before.held[before.at(turn)]
            if peer.pulse not in places:
                continue
            found = places[peer.pulse]
            # Of several turns in a round the one nearest to this time of the round: neither does anybody wait for long
            # nor are many called again.
            here = self.turns * turn // before.turns
            for further in range(self.turns):
                # One ahead, one behind, two ahead: the size of a round is added, for no size is below 0.
                at = (here + (further + 1) // 2 if further % 2 else here + self.turns - further // 2) % self.turns
                if self.at(at) == found:
                    return <int64_t>at
        return -1


cdef PyObject *rounds_quick(Picker self, int64_t now) noexcept:
    cdef PyObject *node = self.nodes[(<Rounds>self).next()]
    Py_INCREF(<object>node)
    return node


@cython.final
@cython.no_gc_clear
cdef class Own(Picker):
    """What somebody's own strategy returned from ``prepare``."""

    cdef object call
    cdef dict places

    def __cinit__(self, peers, call):
        self.call = call
        self.places = {peer: place for place, peer in enumerate(self.held)}

    cdef Py_ssize_t choose(self, object key, int64_t now) except -1:
        cdef object peer = self.call(key)
        cdef object place = self.places.get(peer) if isinstance(peer, Peer) else None
        if place is None:
            raise TypeError(f"a strategy's pick returns one of the peers that it was prepared for, not {peer!r}")
        return place
