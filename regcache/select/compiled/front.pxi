# The fast path: pure/front.py

@cython.no_gc_clear  # the list and the slot are read without a look whether they are still there
cdef class Front:
    """What a selector inherits. A subclass sets the picker, and says in ``_slow`` what to do where there is none.

    Args:
        slot: of the entry whose snapshots the picker is prepared from; None: nothing but its own alarm is looked at.
        clock: seconds; None: ``time.monotonic``, which is read without a call of Python's, and may then be behind by
            some milliseconds where only alarms are looked at (clock.h).

    A subclass has:
        ``_slow(timeout, key) -> Peer``: there is no picker, or an alarm rang; it prepares, waits, raises.
        ``_slow_async(timeout, key) -> Peer``: the same, awaited.
        ``_verdict(peer, bits, begun)``: the outcome of a call that began then (seconds) says that somebody must look
            (see the twin's Pulse._record).
    """

    cdef list held            # one item, the picker or None; never rebound
    # With the GIL: how to pick where nothing has to be asked, and the picker, borrowed from the list; NULL: there is
    # none such, or the clock is a callable.
    cdef Quick quick
    cdef PyObject *picker
    cdef Slot slot
    cdef Slot apart           # in its place, where its alarm is set by another clock: looked at by a call
    cdef int64_t alarm        # nanoseconds
    cdef object clock         # None: rc_coarse_now() and rc_exact_now()
    cdef object __weakref__

    def __cinit__(self, *_, **__):
        self.held = [None]
        self.alarm = INT64_MAX
        self.clock = None

    def __init__(self, Slot slot=None, clock=None):
        if clock is not None and not callable(clock):
            raise TypeError(f"a clock is called and returns seconds; {clock!r} cannot be called")
        self.clock = monotonic if clock is None else clock
        if self.clock is monotonic:
            self.clock = None
        if slot is not None and slot.clock is not self.clock:
            self.slot, self.apart = None, slot
        else:
            self.slot, self.apart = slot, None

    def _peer(self, timeout=None, key=None):
        """:meth:`select`, which is below, and what the selector knows of the node."""
        cdef int64_t now = coarse(self)
        cdef object picker = ready(self, now)
        if picker is None:
            return <Peer?>self._slow(timeout, key)
        return <Peer>(<Picker>picker).seats[(<Picker>picker).choose(key, now)].peer

    def _ready(self):
        """The picker, if it may be used as it is."""
        return ready(self, coarse(self))

    def _now(self):
        """Seconds of the clock, exactly."""
        return monotonic() if self.clock is None else self.clock()

    @property
    def _picker(self):
        """The picker now, whatever the alarms say."""
        return rc_item_get(self.held)

    def _set_picker(self, Picker picker):
        """From now on this one picks; None: ``_slow`` is called each time."""
        cdef object _before = rc_item_get(self.held)  # not to be freed inside of the list
        rc_item_set(self.held, picker)
        self.picker = <PyObject *>picker
        if not RC_AHEAD or picker is None or self.clock is not None or self.apart is not None:
            self.quick = NULL
        else:
            self.quick = picker.quick

    def _set_alarm(self, double at):
        """From this time of the clock on (seconds; ``math.inf``: never) ``_slow`` is called instead of picking."""
        rc_word_set(&self.alarm, rc_nanoseconds(at))

    def _slow(self, timeout, key):
        raise NotImplementedError("a subclass says what to do where nothing is prepared")

    async def _slow_async(self, timeout, key):
        raise NotImplementedError("a subclass says what to do where nothing is prepared")

    def _verdict(self, peer, bits, begun):
        raise NotImplementedError("a subclass says what to do with a peer that fails")


cdef inline int64_t coarse(Front front) except? -1:
    return rc_coarse_now() if front.clock is None else rc_nanoseconds(front.clock())


cdef inline int64_t exact(Front front) except? -1:
    return rc_exact_now() if front.clock is None else rc_nanoseconds(front.clock())


# The picker, if it may be used as it is; marks the slot as used.
cdef inline object ready(Front front, int64_t now):
    if front.slot is None and front.apart is not None and front.apart.look() is None:
        return None
    return rc_item_get(front.held) if quiet(front, now) else None


# No alarm has rung. Marks the slot as used.
cdef inline bint quiet(Front front, int64_t now) noexcept:
    # No variable for the slot: it would be counted, which costs more than all the looks at it.
    if front.slot is not None:
        rc_word_mark(&front.slot.marked)
        if now >= rc_word_read(&front.slot.alarm):
            return False
    return now < rc_word_read(&front.alarm)


# Front.select(), as a method of C's: what Cython makes of a method with two optional arguments counts None up and down
# four times, and goes through an object of its own; together that is a quarter of a pick. With the GIL, and called as
# it mostly is, it counts nothing but the node: nothing of Python's runs meanwhile, so nobody can replace the picker.
cdef PyObject *front_select(PyObject *self, PyObject **args, Py_ssize_t nargs, PyObject *names) noexcept:
    cdef int64_t now
    if RC_AHEAD and nargs == 0 and names == NULL and (<Front>self).quick != NULL:
        now = rc_coarse_now()
        if quiet(<Front>self, now):
            return (<Front>self).quick(<Picker>(<Front>self).picker, now)
        return SELECT_ANY(self, NULL, 0, NULL)
    return SELECT_ANY(self, args, nargs, names)


cdef object select_any(Front self, PyObject **args, Py_ssize_t nargs, PyObject *names):
    cdef PyObject *timeout = <PyObject *>None
    cdef PyObject *key = <PyObject *>None
    cdef int64_t now
    cdef object picker
    arguments(args, nargs, names, &timeout, &key)
    now = coarse(self)
    picker = ready(self, now)
    if picker is None:
        return (<Peer?>self._slow(<object>timeout, <object>key)).node
    return <object>(<Picker>picker).nodes[(<Picker>picker).choose(<object>key, now)]


# What it raises passes through front_select(), which is C to Cython.
cdef (PyObject *(*)(PyObject *, PyObject **, Py_ssize_t, PyObject *) noexcept) SELECT_ANY
SELECT_ANY = <PyObject *(*)(PyObject *, PyObject **, Py_ssize_t, PyObject *) noexcept><void *>select_any


# Those of select(timeout=None, key=None); borrowed.
cdef int arguments(PyObject **args, Py_ssize_t nargs, PyObject *names, PyObject **timeout, PyObject **key) except -1:
    cdef Py_ssize_t i
    cdef object name
    if nargs > 2:
        raise TypeError(f"select() takes timeout and key, not {nargs} arguments")
    if nargs > 0:
        timeout[0] = args[0]
    if nargs > 1:
        key[0] = args[1]
    if names != NULL:
        for i in range(len(<tuple>names)):
            name = (<tuple>names)[i]
            if nargs < 1 and name == "timeout":
                timeout[0] = args[nargs + i]
            elif nargs < 2 and name == "key":
                key[0] = args[nargs + i]
            else:
                raise TypeError(f"select() takes timeout and key, once each, not {name}={<object>args[nargs + i]!r}")
    return 0


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        PyObject *tp_dict
    ctypedef object (*PyCFunction)(object, object)
    ctypedef struct PyMethodDef:
        const char *ml_name
        PyCFunction ml_meth
        int ml_flags
        const char *ml_doc
    int METH_FASTCALL
    int METH_KEYWORDS
    object PyDescr_NewMethod(PyTypeObject *type, PyMethodDef *method)
    void PyType_Modified(PyTypeObject *type)

cdef PyMethodDef SELECT
SELECT.ml_name = "select"
SELECT.ml_meth = <PyCFunction><void *>front_select
SELECT.ml_flags = METH_FASTCALL | METH_KEYWORDS
SELECT.ml_doc = b"""select($self, /, timeout=None, key=None)
--

A node to call. Never waits while anything is held.

Args:
    timeout: seconds to wait for the first answer about the service, when nothing is held; None: the cache's own bound.
    key: str, bytes or int, for the strategy "hash": the same key goes to the same node.

Raises:
    NotFound: the registry answered, and has no such service.
    NoneAvailable: there are nodes, but none may be used, or the filters left none.
    Timeout, Unavailable, and others: nothing is held; see :meth:`regcache.Cache.get`.
    TypeError: the strategy "hash", and no key or one of another type.
"""
(<dict>(<PyTypeObject *>Front).tp_dict)["select"] = PyDescr_NewMethod(<PyTypeObject *>Front, &SELECT)
PyType_Modified(<PyTypeObject *>Front)
