# Pulse, Peer, Pool: pure/peer.py

cdef extern from "pulse.h" nogil:
    enum:
        RC_IN_A_ROW
        RC_FAILING
        RC_PROBE_PASSED
        RC_PROBE_FAILED
    ctypedef struct rc_pulse:
        rc_cell *cell
        int64_t row
        int64_t state
        int64_t *tally
        int64_t limit
        int64_t calls
        double rate
    void rc_pulse_begin(rc_pulse *pulse)
    void rc_pulse_end(rc_pulse *pulse)
    double rc_cell_decay(rc_cell *cell, int64_t now)
    int rc_pulse_record(rc_pulse *pulse, int ok, double elapsed, int64_t now)
    void rc_pulse_set_state(rc_pulse *pulse, int64_t state)

IN_A_ROW = RC_IN_A_ROW
FAILING = RC_FAILING
PROBE_PASSED = RC_PROBE_PASSED
PROBE_FAILED = RC_PROBE_FAILED

cdef tuple STATES = ("up", "probing", "ejected")


@cython.final
@cython.no_gc
cdef class Tally:
    """How many calls are in flight with all peers of a pool together."""

    cdef int64_t count
    cdef rc_cells cells       # of each of them

    def __dealloc__(self):
        rc_cells_free(&self.cells)


@cython.final
@cython.no_gc  # holds a Tally alone
cdef class Pulse:
    """What is counted of a peer. It outlives the peer's node object: counts survive refreshes."""

    cdef rc_pulse c
    cdef Tally tally    # keeps c.tally and c.cell alive, which was taken from it

    def __cinit__(self, Tally tally=None, *, int64_t failures=5, double rate=0.5, int64_t calls=20):
        if failures < 0 or calls < 0 or not 0.0 <= rate <= 1.0:
            raise ValueError("failures and calls are at least 0, rate is from 0.0 to 1.0")
        self.tally = Tally() if tally is None else tally
        self.c.cell = rc_cell_take(&self.tally.cells)
        if self.c.cell == NULL:
            raise MemoryError()
        self.c.tally = &self.tally.count
        self.c.limit = failures
        self.c.rate = rate
        self.c.calls = calls

    def __dealloc__(self):
        if self.c.cell != NULL:
            rc_cell_give(&self.tally.cells, self.c.cell)


@cython.final
@cython.no_gc_clear  # calls and pickers look at the pulse for as long as they are there
cdef class Peer:
    """A node as one selector knows it. Read-only for everybody else."""

    cdef readonly object node
    cdef Pulse pulse
    cdef int64_t share        # the weight, a float in a word: other threads may read it
    cdef object __weakref__

    def __cinit__(self, node, Pulse pulse=None):
        self.node = node
        self.pulse = Pulse() if pulse is None else pulse
        rc_real_set(&self.share, 1.0)

    @property
    def in_flight(self):
        """Calls with the node that are not over, of this selector."""
        return rc_count_read(&self.pulse.c.cell.busy)

    @property
    def latency(self):
        """Seconds that calls took lately, as of the last outcome: jumps up at once, and falls with a decay of 10 s
        (Finagle's peak EWMA). None: nobody has said yet."""
        cdef double latency = rc_real_read(&self.pulse.c.cell.latency)
        return latency if latency >= 0.0 else None

    @property
    def failures(self):
        """Failures in a row."""
        return rc_count_read(&self.pulse.c.row)

    @property
    def weight(self):
        """As prepared: how many calls it gets in relation to others; 1.0 is normal."""
        return rc_real_read(&self.share)

    @property
    def state(self):
        """``"up"``, ``"probing"`` (few calls, the next outcome decides) or ``"ejected"`` (none)."""
        return STATES[rc_count_read(&self.pulse.c.state)]

    @property
    def _pulse(self):
        return self.pulse

    def _begin(self):
        rc_pulse_begin(&self.pulse.c)

    def _end(self):
        rc_pulse_end(&self.pulse.c)

    def _record(self, bint ok, elapsed, double now):
        return rc_pulse_record(&self.pulse.c, ok, -1.0 if elapsed is None else elapsed, rc_nanoseconds(now))

    def _set(self, *, state=None, weight=None):
        """What the selector decided. Setting a state, even the one it has, begins the counting of failures anew.

        Raises:
            ValueError: a state that is none of the three.
        """
        if state is not None:
            if state not in STATES:
                raise ValueError(f"a peer's state is one of {', '.join(STATES)}, not {state!r}")
            rc_pulse_set_state(&self.pulse.c, STATES.index(state))
        if weight is not None:
            rc_real_set(&self.share, weight)

    def __repr__(self):
        return f"<Peer {self.node.id!r} {self.state}, {self.in_flight} in flight>"


@cython.final
@cython.no_gc_clear  # the list is read without a look whether it is still there
cdef class Pool:
    """The peers of one selector, over all its snapshots. Renewed by one thread at a time.

    Args:
        failures: so many in a row make a verdict ``IN_A_ROW``; 0: never. 5 is Envoy's and gRPC's (A50).
        rate: such a share of failures makes a verdict ``FAILING``, of at least ``calls`` calls in the window.
        calls: 0: never.

    Raises:
        ValueError: a number out of its range.
    """

    # One item, a dict that is never changed, but replaced: calls that end read it while another thread renews.
    cdef list held
    cdef dict limits
    cdef Tally tally

    def __cinit__(self, *, int64_t failures=5, double rate=0.5, int64_t calls=20):
        self.limits = {"failures": failures, "rate": rate, "calls": calls}
        Pulse(**self.limits)
        self.tally = Tally()
        self.held = [{}]

    def renew(self, nodes):
        """The peers of these nodes, in their order; those that are not among them are dropped.

        A node that is the same object as before has the same peer. One that changed, under the same node_name, id,
        address and port, has a new peer that goes on with the old one's counts.
        """
        cdef dict _before = rc_item_get(self.held), peers = {}
        cdef list order = []
        cdef Peer peer, changed
        for node in nodes:
            key = (node.node_name, node.id, node.address, node.port)
            peer = peers.get(key) or _before.get(key)
            if peer is None:
                peer = Peer(node, Pulse(self.tally, **self.limits))
            elif peer.node is not node:
                changed = Peer(node, peer.pulse)
                rc_real_set(&changed.share, rc_real_read(&peer.share))
                peer = changed
            peers[key] = peer
            order.append(peer)
        rc_item_set(self.held, peers)
        return order

    def get(self, node):
        """The peer of this node, or of another object that says the same node_name, id, address and port."""
        cdef dict peers = rc_item_get(self.held)
        return peers.get((node.node_name, node.id, node.address, node.port))

    def __len__(self):
        cdef dict peers = rc_item_get(self.held)
        return len(peers)

    @property
    def in_flight(self):
        """Calls that are not over, with all peers, those that were dropped included."""
        return rc_count_read(&self.tally.count)
