# Records become Python objects when somebody asks, once for each distinct record.

cdef extern from *:
    """
    static void rc_python_init(void) { rc_record_drop_parsed = rc_drop_parsed; }
    """
    void rc_python_init() noexcept

rc_python_init()

cdef object _tuple_new = tuple.__new__


cdef inline str text(const uint8_t *p, size_t n):
    return PyUnicode_DecodeUTF8(<const char *>p, n, NULL) if n else ""


cdef str clean_text(const uint8_t *p, size_t n):
    """Text that may not be UTF-8: each bad byte becomes U+FFFD, as in Go."""
    cdef rc_buf clean
    memset(&clean, 0, sizeof(clean))
    try:
        if rc_put_clean(&clean, p, n) < 0:
            raise MemoryError
        return text(clean.data, clean.len)
    finally:
        rc_buf_free(&clean)


@cython.final
cdef class _Draft:
    """A Value while its text is read: members may still come twice."""

    cdef str name
    cdef str type
    cdef list values      # all elements there ever were: Go reuses them when the member comes again
    cdef Py_ssize_t length  # how many count; -1: null
    cdef object frozen

    def __cinit__(self):
        self.name = self.type = ""
        self.length = -1


cdef object _freeze(_Draft root):
    """Values of drafts, leaves first; without recursion, since values nest up to Limits.nesting."""
    cdef list order = [root]
    cdef Py_ssize_t i = 0, j
    cdef _Draft draft, child
    cdef list made
    while i < len(order):
        draft = <_Draft>order[i]
        i += 1
        for j in range(draft.length):
            if draft.values[j] is not None:
                order.append(draft.values[j])
    while i > 0:
        i -= 1
        draft = <_Draft>order[i]
        if draft.length < 0:
            draft.frozen = _tuple_new(Value, (draft.name, draft.type, None))
            continue
        made = []
        for j in range(draft.length):
            if draft.values[j] is None:
                made.append(None)
            else:
                child = <_Draft>draft.values[j]
                made.append(child.frozen)
                child.frozen = None
        draft.frozen = _tuple_new(Value, (draft.name, draft.type, tuple(made)))
    return root.frozen


cdef object _endpoint(str name, _Draft request, _Draft response, object metadata):
    return frozen_endpoint(name, None if request is None else _freeze(request),
                           None if response is None else _freeze(response), metadata)


@cython.final
cdef class _Reader:
    """Builds what one record says from the events of rc_document."""

    cdef str name
    cdef _Draft request
    cdef _Draft response
    cdef dict metadata
    cdef list open       # drafts from the outside in
    cdef str key
    cdef bint is_null
    cdef object error
    # mDNS only
    cdef str service
    cdef str version
    # of endpoints, as (name, request, response, metadata): a list that comes again reuses them, as Go's slice does
    cdef list drafts
    cdef Py_ssize_t length  # how many of them count; -1: null
    cdef bint once          # no list can come again, as in msgpack: the endpoints themselves are in it
    cdef dict outer_metadata
    cdef bint until_endpoints  # nobody wants what comes behind the metadata

    def __cinit__(self):
        self.open = []
        self.service = self.version = ""
        self.is_null = False
        self.length = -1
        self.clear()

    cdef void clear(self):
        self.name = ""
        self.request = self.response = None
        self.metadata = None

    cdef object endpoint(self):
        return _endpoint(self.name, self.request, self.response, self.metadata)

    cdef list endpoints(self):
        cdef list made = []
        if self.length < 0:
            return None
        if self.once:
            return self.drafts
        for draft in self.drafts[:self.length]:
            if draft is None:
                made.append(None)
            else:
                name, request, response, metadata = draft
                made.append(_endpoint(name, request, response, metadata))
        return made

    cdef int event(self, int event, int member, const uint8_t *p, size_t n) except -1:
        cdef _Draft draft, child
        if event == RC_E_STRING:
            if member == RC_M_PAIR:
                self.metadata[self.key] = text(p, n)
            elif member == RC_M_NAME:
                if self.open:
                    (<_Draft>self.open[len(self.open) - 1]).name = text(p, n)
                else:
                    self.name = text(p, n)
            elif member == RC_M_TYPE:
                (<_Draft>self.open[len(self.open) - 1]).type = text(p, n)
            elif member == RC_M_SERVICE:
                self.service = text(p, n)
            elif member == RC_M_VERSION:
                self.version = text(p, n)
        elif event == RC_E_KEY:
            self.key = text(p, n)
        elif event == RC_E_BEGIN:
            if member == RC_M_REQUEST:
                if self.request is None:
                    self.request = _Draft.__new__(_Draft)
                self.open.append(self.request)
            elif member == RC_M_RESPONSE:
                if self.response is None:
                    self.response = _Draft.__new__(_Draft)
                self.open.append(self.response)
            elif member == RC_M_METADATA:
                if self.metadata is None:
                    self.metadata = {}
            elif member == RC_M_VALUES:
                draft = <_Draft>self.open[len(self.open) - 1]
                if draft.values is None:
                    draft.values = []
                draft.length = 0
            elif member == RC_M_VALUE:
                draft = <_Draft>self.open[len(self.open) - 1]
                if draft.length < len(draft.values) and draft.values[draft.length] is not None:
                    child = <_Draft>draft.values[draft.length]
                else:
                    child = _Draft.__new__(_Draft)
                    self.place(draft, child)
                draft.length += 1
                self.open.append(child)
            elif member == RC_M_ENDPOINTS:
                if self.until_endpoints:
                    return 1
                if self.length < 0:
                    self.drafts = []
                self.length = 0
            elif member == RC_M_ENDPOINT:
                self.outer_metadata = self.metadata
                self.clear()
                if self.length < len(self.drafts) and self.drafts[self.length] is not None:
                    self.name, self.request, self.response, self.metadata = self.drafts[self.length]
        elif event == RC_E_END:
            if member == RC_M_REQUEST or member == RC_M_RESPONSE or member == RC_M_VALUE:
                self.open.pop()
            elif member == RC_M_VALUES:
                draft = <_Draft>self.open[len(self.open) - 1]
                if draft.length == 0:
                    draft.values = []
            elif member == RC_M_ENDPOINTS and self.length == 0:
                self.drafts = []
            elif member == RC_M_ENDPOINT:
                self.drafted(self.endpoint() if self.once else
                             (self.name, self.request, self.response, self.metadata))
                self.clear()
                self.metadata = self.outer_metadata
        elif event == RC_E_NULL:
            if member == RC_M_PAIR:
                self.metadata[self.key] = ""
            elif member == RC_M_REQUEST:
                self.request = None
            elif member == RC_M_RESPONSE:
                self.response = None
            elif member == RC_M_METADATA:
                self.metadata = None
            elif member == RC_M_VALUES:
                draft = <_Draft>self.open[len(self.open) - 1]
                draft.values = None
                draft.length = -1
            elif member == RC_M_VALUE:
                draft = <_Draft>self.open[len(self.open) - 1]
                self.place(draft, None)
                draft.length += 1
            elif member == RC_M_ENDPOINTS:
                self.length = -1
            elif member == RC_M_ENDPOINT:
                self.drafted(None)
            elif member == RC_M_ROOT:
                self.is_null = True
        return 0

    cdef int drafted(self, object draft) except -1:
        if self.length < len(self.drafts):
            self.drafts[self.length] = draft
        else:
            self.drafts.append(draft)
        self.length += 1
        return 0

    cdef int place(self, _Draft draft, object child) except -1:
        if draft.length < len(draft.values):
            draft.values[draft.length] = child
        else:
            draft.values.append(child)
        return 0


cdef int _tell(void *ctx, int event, int member, const uint8_t *p, size_t n) noexcept:
    cdef _Reader reader = <_Reader>ctx
    try:
        return reader.event(event, member, p, n)
    except BaseException as e:
        reader.error = e
        return -1


cdef enum:
    COMPACT = 100  # beside the kinds of rc_document


cdef _Reader _read(int kind, const uint8_t *p, size_t n, size_t nesting, size_t most, int *code,
                   bint until_endpoints=False):
    """The record as a reader full of it; `code` says what is wrong, if something is."""
    cdef _Reader reader = _Reader.__new__(_Reader)
    reader.until_endpoints = until_endpoints
    reader.once = kind == COMPACT
    cdef rc_buf scratch
    memset(&scratch, 0, sizeof(scratch))
    if kind == RC_DOC_METADATA:
        reader.metadata = {}
    if kind == COMPACT:
        code[0] = rc_compact_document(p, n, nesting, most, &scratch, _tell, <void *>reader)
    else:
        code[0] = rc_document(kind, p, n, nesting, most, &scratch, _tell, <void *>reader)
    rc_buf_free(&scratch)
    if reader.error is not None:
        raise reader.error
    if code[0] == RC_NO_MEMORY:
        raise MemoryError
    return reader


cdef object _parse(rc_record *r):
    cdef const uint8_t *p = rc_record_data(r)
    cdef uint32_t size
    cdef int kind
    cdef size_t at
    cdef int code = RC_OK
    cdef _Reader reader
    cdef str key
    cdef dict made
    if r.kind == RC_K_FOREIGN:
        return text(p, r.data_len)
    if r.kind == RC_K_VERSION:
        return clean_text(p, r.data_len)
    if r.kind == RC_K_META:
        made = {}
        at = 0
        key = None
        while at < r.data_len:
            memcpy(&size, p + at, 4)
            at += 4
            if key is None:
                key = text(p + at, size)
            else:
                made[key] = text(p + at, size)
                key = None
            at += size
        return MappingProxyType(made)
    # The nesting was checked when the record was decoded.
    if r.kind == RC_K_COMPACT:
        reader = _read(COMPACT, p, r.data_len, <size_t>-1, <size_t>-1, &code)
        return tuple(reader.endpoints() or ())
    kind = RC_DOC_ENDPOINT if r.kind == RC_K_ENDPOINT else RC_DOC_METADATA
    reader = _read(kind, p, r.data_len, <size_t>-1, <size_t>-1, &code)
    if r.kind == RC_K_METADATA:
        return reader.metadata
    return None if reader.is_null else reader.endpoint()


cdef object compact_metadata(rc_record *r):
    """Filters look at the metadata of many nodes, and at nobody's endpoints."""
    cdef void *held = rc_lazy_get(&r.metadata)
    cdef object made
    cdef int code = RC_OK
    if held == NULL:
        made = _read(COMPACT, rc_record_data(r), r.data_len, <size_t>-1, <size_t>-1, &code, True).metadata
        made = MappingProxyType(made or {})
        held = rc_lazy_set(&r.metadata, made)
    return <object>held


cdef object parsed(rc_record *r):
    cdef void *held = rc_lazy_get(&r.parsed)
    cdef object made
    if held == NULL:
        made = _parse(r)
        held = rc_lazy_set(&r.parsed, made)
    return <object>held
