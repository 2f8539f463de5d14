# One call: pure/call.py

cdef enum:
    NEW
    ENTERED
    LEFT


@cython.no_gc_clear  # __dealloc__ looks at the peer
cdef class Call:
    """``with selector.call(timeout=0.5) as call: ...``, or ``async with``; for one use.

    The timeout begins when the call is made: finding a node counts. A block that is left by an exception is a failure
    of the node; by none, a success. A task that was cancelled, ``KeyboardInterrupt`` and whatever else is not an
    ``Exception`` say nothing about the node.

    Args:
        front: the selector.
        timeout: seconds, at least 0; None: no limit.
        key: for the strategy "hash".

    Raises:
        ValueError: a timeout below 0, or not a number.
    """

    cdef Front front
    cdef Peer found
    cdef object key, ignored, why, said
    cdef int64_t begun        # nanoseconds
    cdef int64_t heard        # nanoseconds; INT64_MAX: the answer has not begun
    cdef int64_t deadline     # INT64_MAX: none
    cdef int64_t state        # claimed in one step: a call that two threads enter is entered by one

    def __cinit__(self, Front front not None, timeout=None, key=None):
        cdef double seconds
        self.front = front
        self.key = key
        self.heard = INT64_MAX
        self.deadline = INT64_MAX
        if timeout is not None:
            seconds = timeout
            if not seconds >= 0.0:
                raise ValueError(f"a timeout is at least 0 seconds, not {timeout!r}")
            if seconds < 4e9:
                self.deadline = exact(front) + rc_nanoseconds(seconds)

    def __dealloc__(self):
        # Entered by hand and forgotten: the node is not busy for ever.
        if self.state == ENTERED and self.found is not None:
            rc_pulse_end(&self.found.pulse.c)

    @property
    def peer(self):
        """The node, as the selector knows it. RuntimeError before the block was entered."""
        if self.found is None:
            raise RuntimeError("a call has a node once its block was entered: with selector.call() as call")
        return self.found

    @property
    def node(self):
        """Where to call. RuntimeError before the block was entered."""
        return self.peer.node

    @property
    def remaining(self):
        """Seconds left of the timeout, 0.0 when it is over; None without one. For the timeout of the call itself."""
        if self.deadline == INT64_MAX:
            return None
        return max(0.0, <double>(self.deadline - exact(self.front)) * 1e-9)

    @property
    def outcome(self):
        """``"success"``, ``"failure"``, or ``"nothing"`` (ignored, cancelled); None until the block was left."""
        return self.said

    def ignore(self, exc):
        """This exception, or any of this type, is the caller's own mistake: neither failure nor success of the node.

        To be called inside the block; it may then be left by the exception, or without one.
        """
        if not (isinstance(exc, BaseException) or isinstance(exc, type) and issubclass(exc, BaseException)):
            raise TypeError(f"an exception, or a type of exceptions, not {exc!r}")
        self.ignored = exc

    def failed(self, why):
        """The node failed, though no exception says so (a response with the status 503)."""
        self.why = "failed" if why is None else why

    def answered(self):
        """The answer begins to come: what it took until now is the node's latency, however long the block takes to read
        the rest, in which the call is still in flight. Only the first time counts."""
        if self.heard == INT64_MAX:
            self.heard = exact(self.front)

    def __enter__(self):
        cdef int64_t now
        cdef object picker
        enter_once(self)
        now = exact(self.front)
        picker = ready(self.front, now)
        if picker is None:
            enter(self, self.front._slow(self.remaining, self.key), exact(self.front))
        else:
            enter_one_of(self, <Picker>picker, now)
        return self

    def __aenter__(self):
        cdef int64_t now
        cdef object picker
        enter_once(self)
        now = exact(self.front)
        picker = ready(self.front, now)
        if picker is None:
            return enter_later(self)
        enter_one_of(self, <Picker>picker, now)
        return Done(self)

    def __exit__(self, kind, exc, trace):
        leave(self, exc)

    def __aexit__(self, kind, exc, trace):
        leave(self, exc)
        return Done(None)


@cython.final
@cython.no_gc_clear
cdef class Done:
    """What is awaited where there is nothing to wait for: a coroutine would cost more than the call."""

    cdef object result

    def __cinit__(self, result):
        self.result = result

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.result)


async def enter_later(Call call):
    enter(call, await call.front._slow_async(call.remaining, call.key), exact(call.front))
    return call


cdef int enter_once(Call call) except -1:
    cdef int64_t seen = NEW
    # LEFT until a node was found.
    if rc_count_read(&call.state) != NEW or not rc_count_swap(&call.state, &seen, LEFT):
        raise RuntimeError("a call is for one use: ask the selector for another")
    return 0


cdef int enter_one_of(Call call, Picker picker, int64_t now) except -1:
    cdef Py_ssize_t place = picker.choose(call.key, now)
    # What may take long (somebody's own strategy) is no latency of the node.
    return enter(call, <Peer>picker.seats[place].peer, now if picker.quick != NULL else exact(call.front))


cdef int enter(Call call, object peer, int64_t now) except -1:
    call.found = <Peer?>peer
    rc_pulse_begin(&call.found.pulse.c)
    call.begun = now
    rc_word_set(&call.state, ENTERED)  # who sees it sees the peer, too
    return 0


cdef int leave(Call call, object exc) except -1:
    cdef int64_t seen = ENTERED, now
    cdef bint ok
    cdef int verdict
    if not rc_count_swap(&call.state, &seen, LEFT):
        raise RuntimeError("a call is left once, and not before it was entered")
    rc_pulse_end(&call.found.pulse.c)
    if exc is None:
        if isinstance(call.ignored, BaseException):
            call.said = "nothing"
            return 0
        ok = call.why is None
    elif (not isinstance(exc, Exception) or exc is call.ignored
            or isinstance(call.ignored, type) and isinstance(exc, call.ignored)):
        call.said = "nothing"
        return 0
    else:
        ok = False
    call.said = "success" if ok else "failure"
    now = exact(call.front)
    verdict = rc_pulse_record(&call.found.pulse.c, ok, <double>(min(now, call.heard) - call.begun) * 1e-9, now)
    if verdict:
        call.front._verdict(call.found, verdict, <double>call.begun / 1e9)
    return 0
