# The decoder's Python side: chunks in, nodes out, everything that is wrong with its place.

# Getting the GIL back beside a busy thread takes the interpreter's switch interval, 5 ms, and a chunk of 64 KiB is read
# in 0.02 ms, which is not long enough for a thread that waits for the GIL to wake up and take it. So small chunks keep
# it for HELD ns, or until one of them inflates more than INFLATED bytes, and then step aside for as long as a waking
# thread needs. Larger ones let it go at once, and take it back only when PAUSE nodes wait to become objects (about
# 0.3 ms). benchmarks/test_stall.py measures both sides: how long others wait, and how long a decode takes beside a busy
# thread.
cdef enum:
    SMALL = 131072
    HELD = 1000000
    INFLATED = 1048576
    PAUSE = 1024

cdef extern from "aside.h" nogil:
    int64_t rc_now()
    void rc_step_aside()

cdef dict _MEMBERS = {
    RC_P_NODE: "Node", RC_P_NODE_NODE: "Node.Node", RC_P_NODE_ADDRESS: "Node.Address",
    RC_P_NODE_DATACENTER: "Node.Datacenter", RC_P_NODE_META: "Node.Meta", RC_P_SERVICE: "Service",
    RC_P_ID: "Service.ID", RC_P_NAME: "Service.Service", RC_P_TAGS: "Service.Tags", RC_P_TAG: "Service.Tags",
    RC_P_ADDRESS: "Service.Address", RC_P_PORT: "Service.Port", RC_P_META: "Service.Meta",
    RC_P_WEIGHTS: "Service.Weights", RC_P_PASSING: "Service.Weights.Passing",
    RC_P_WARNING: "Service.Weights.Warning", RC_P_CHECKS: "Checks", RC_P_CHECK: "Checks",
    RC_P_CHECK_ID: "CheckID", RC_P_CHECK_STATUS: "Status",
}


cdef str _path(const rc_problem *p):
    if p.place == RC_P_TOP:
        return ""
    if p.place == RC_P_ENTRY:
        return f"[{p.entry}]"
    if p.place == RC_P_TAG or p.place == RC_P_CHECK:
        return f"[{p.entry}].{_MEMBERS[p.place]}[{p.index}]"
    if p.place == RC_P_CHECK_ID or p.place == RC_P_CHECK_STATUS:
        return f"[{p.entry}].Checks[{p.index}].{_MEMBERS[p.place]}"
    return f"[{p.entry}].{_MEMBERS[p.place]}"


cdef rc_decoder *_new_decoder(object limits, bint strict) except NULL:
    if not isinstance(limits, Limits):
        raise TypeError(f"limits must be a Limits, not {type(limits).__name__}")
    cdef rc_decoder *d = rc_decoder_new()
    if d == NULL:
        raise MemoryError
    try:
        d.body_bytes = limits.body_bytes
        d.decompressed_bytes = limits.decompressed_bytes
        d.nodes_limit = limits.nodes
        d.string_bytes = min(limits.string_bytes, 2**30)
        d.tags_limit = limits.tags
        d.tag_bytes = min(limits.tag_bytes, 2**30)
        # A million levels are 125 KB of bits; who allows more does not mean it.
        d.nesting = min(limits.nesting, 1_000_000)
        d.warnings_limit = limits.warnings
        d.strict = strict
        d.workshop.record_bytes = min(limits.record_bytes, 2**30)
        d.workshop.ratio = limits.ratio
        d.workshop.nesting = d.nesting
        d.kinds = <uint8_t *>rc_malloc(d.nesting // 8 + 1)
        if d.kinds == NULL:
            raise MemoryError
        memset(d.kinds, 0, d.nesting // 8 + 1)
    except BaseException:
        rc_decoder_free(d)
        raise
    return d


@cython.final
cdef class Decoder:
    """Decodes the body of ``/v1/health/service/<name>``, which may come in chunks cut anywhere.

    Args:
        service: the name to keep (exactly); entries of other names are left out. None keeps all.
        limits: :class:`regcache.Limits`.
        previous: the snapshot before this one: its records are not decoded again, its unchanged nodes are kept.
        strict: raise for what would be a warning.

    The bytes are read without the GIL. One thread at a time: another one gets a RuntimeError.
    """

    cdef rc_decoder *d
    cdef Snapshot previous
    cdef object limits
    cdef str service
    cdef list nodes
    cdef list added
    cdef list changed
    cdef object error
    cdef bint finished
    # Matching with the previous snapshot: the next node of it that is expected; which of them are taken; where each
    # key is, once the order turned out to be another.
    cdef Py_ssize_t expected
    cdef bytearray used
    cdef dict places
    cdef bint ordered
    cdef Py_ssize_t reused
    cdef int64_t held_since  # ns of rc_now()

    def __cinit__(self, service=None, *, limits=Limits(), previous=None, strict=False):
        cdef bytes name
        if service is not None and not isinstance(service, str):
            raise TypeError(f"service must be a str or None, not {type(service).__name__}")
        if previous is not None and not isinstance(previous, Snapshot):
            raise TypeError(f"previous must be a Snapshot or None, not {type(previous).__name__}")
        self.d = _new_decoder(limits, bool(strict))
        self.service = service
        self.limits = limits
        self.held_since = rc_now()
        self.nodes, self.added, self.changed = [], [], []
        if service is not None:
            name = service.encode("utf-8", "surrogatepass")
            self.d.has_service = 1
            if rc_buf_put(&self.d.service, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)) < 0:
                raise MemoryError
        if previous is not None:
            self.previous = previous
            self.used = bytearray(len(self.previous.nodes))
            self.ordered = True
            # Records that other limits let in are decoded again.
            if self.previous.memo is not None and self.previous.memo.limits == limits:
                self.d.previous = &self.previous.memo.table

    def __dealloc__(self):
        rc_decoder_free(self.d)

    @property
    def offset(self):
        """Bytes read so far."""
        return self.d.consumed

    @property
    def held_bytes(self):
        """Bytes that the decoder itself holds, apart from the nodes and records that are the snapshot's."""
        return rc_decoder_bytes(self.d)

    def feed(self, chunk):
        """Reads a chunk: any bytes-like object, contiguous; it is not copied.

        Raises:
            DecodeError: the body is broken; every later call raises it again.
            LimitExceeded: it is larger than the limits allow.
            RuntimeError: another thread is using this decoder, or it has finished.
            TypeError, BufferError: not a contiguous bytes-like object.
        """
        cdef Py_buffer view
        if rc_decoder_enter(self.d) < 0:
            raise RuntimeError("another thread is using this decoder")
        try:
            self.check()
            PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
            try:
                self.read(<const uint8_t *>view.buf, <size_t>view.len)
            finally:
                PyBuffer_Release(&view)
        finally:
            rc_decoder_leave(self.d)

    cdef int check(self) except -1:
        if self.error is not None:
            raise self.error
        if self.finished:
            raise RuntimeError("this decoder has finished")
        return 0

    cdef int read(self, const uint8_t *p, size_t left) except -1:
        cdef size_t used
        cdef int code
        cdef bint small = left <= SMALL, keep = False
        if small:
            keep = rc_now() - self.held_since < HELD
        while left:
            if keep:
                code = rc_scan(self.d, p, left, PAUSE, INFLATED, &used)
                keep = False  # more was inflated than expected, or many nodes came
            else:
                with nogil:
                    code = rc_scan(self.d, p, left, PAUSE, <size_t>-1, &used)
                    if small:
                        rc_step_aside()
                self.held_since = rc_now()
            if code != RC_OK:
                raise self.fail()
            p += used
            left -= used
            self.take()
        return 0

    cdef object fail(self):
        """The error to raise; from now on every call raises it."""
        cdef rc_problem *p = &self.d.error
        self.nodes = self.added = self.changed = None
        self.previous = None
        self.d.previous = NULL
        if p.code == RC_NO_MEMORY:
            self.error = MemoryError()
        else:
            self.error = reasons.error(p.code, p.offset, _path(p), self.named(p))
        return self.error

    cdef str named(self, const rc_problem *p):
        return text(self.d.notes.data + p.node.at, p.node.len) if p.has_node else None

    cdef int take(self) except -1:
        """Makes Python nodes of those that wait."""
        cdef rc_node *waiting = <rc_node *>(<void *>self.d.nodes.data)
        cdef rc_record **records = <rc_record **>(<void *>self.d.records.data)
        cdef const uint8_t *arena = self.d.arena.data
        cdef size_t i
        cdef Node node, old, last = None
        if self.d.node_count == 0:
            return 0
        if self.nodes:
            last = <Node>self.nodes[len(self.nodes) - 1]
        try:
            for i in range(self.d.node_count):
                old = self.match(&waiting[i], arena)
                if old is None:
                    node = _make_node(&waiting[i], records, arena, last)
                    self.added.append(node)
                else:
                    node = self.unchanged(old, &waiting[i], records, arena, last)
                self.nodes.append(node)
                last = node
        except BaseException as error:
            self.error = error  # a node may be lost: of this body there is no snapshot any more
            raise
        finally:
            rc_decoder_taken(self.d)
        return 0

    cdef Node unchanged(self, Node old, const rc_node *n, rc_record **records, const uint8_t *arena, Node last):
        """The old node where nothing has changed, else a new one."""
        cdef Node node
        if _same_fields(old, n, arena):
            if _same_records(old, n, records):
                self.reused += 1
                return old
            # Other tags may still say the same: in another order, compressed by another zlib.
            node = _make_node(n, records, arena, last)
            if old == node:
                self.reused += 1
                return old
        else:
            node = _make_node(n, records, arena, last)
        self.changed.append(node)
        return node

    cdef Node match(self, const rc_node *n, const uint8_t *arena):
        """The previous snapshot's node of the same Consul node and ID: of several, the first that is not taken."""
        cdef tuple before
        cdef Node node
        cdef Py_ssize_t at
        if self.previous is None:
            return None
        before = self.previous.nodes
        if self.ordered and self.expected < len(before):
            node = <Node>before[self.expected]
            if (not self.used[self.expected] and _same_text(node.id, arena + n.id.at, n.id.len)
                    and _same_text(node.node_name, arena + n.node_name.at, n.node_name.len)):
                self.used[self.expected] = 1
                self.expected += 1
                return node
        if self.places is None:
            # Another order, or nodes that came or went: find them by name from here on.
            self.places = {}
            for at in range(len(before) - 1, -1, -1):
                node = <Node>before[at]
                self.places.setdefault((node.node_name, node.id), []).append(at)
            # Guessing on is right as long as no key comes twice.
            self.ordered = len(self.places) == len(before)
        found = self.places.get((text(arena + n.node_name.at, n.node_name.len), text(arena + n.id.at, n.id.len)))
        if found is not None:
            while found:
                at = found.pop()
                if not self.used[at]:
                    self.used[at] = 1
                    self.expected = at + 1
                    return <Node>before[at]
        return None

    def finish(self, *, index=0, taken=None):
        """The end of the body: the snapshot.

        Args:
            index: the registry's index, an int.
            taken: when the answer came, in seconds of ``time.monotonic()``.

        Raises:
            DecodeError: the body has not ended.
            RuntimeError: it has finished before, or another thread is using this decoder.
        """
        cdef Snapshot snapshot
        cdef Py_ssize_t i
        if rc_decoder_enter(self.d) < 0:
            raise RuntimeError("another thread is using this decoder")
        try:
            self.check()
            if rc_scan_end(self.d) != RC_OK:
                raise self.fail()
            removed = []
            if self.previous is not None:
                removed = [self.previous.nodes[i] for i in range(len(self.used)) if not self.used[i]]
            snapshot = <Snapshot>Snapshot.__new__(Snapshot)
            snapshot.memo = <Memo>Memo.__new__(Memo)
            if self.d.dropped or self.d.others or self.d.replaced:
                rc_table_sweep(&self.d.table)  # what no node has
            stats = Stats(
                body_bytes=self.d.consumed, entries=self.d.entries, dropped=self.d.dropped, other=self.d.others,
                tags=self.d.tags, records=rc_table_tags(&self.d.table), decoded=self.d.workshop.decoded,
                record_bytes=rc_table_bytes(&self.d.table), reused=self.reused)
            snapshot.service = self.service
            if self.service is None:
                snapshot.service = (<Node>self.nodes[0]).name if self.nodes else ""
            snapshot.index = index
            snapshot.taken = taken
            snapshot.warnings = self.listed()
            snapshot.warning_count = self.d.warning_count
            snapshot.added = tuple(self.added)
            snapshot.changed = tuple(self.changed)
            snapshot.removed = tuple(removed)
            snapshot.stats = stats
            snapshot.nodes = tuple(self.nodes)
            snapshot.memo.table = self.d.table
            snapshot.memo.limits = self.limits
            memset(&self.d.table, 0, sizeof(self.d.table))
            self.finished = True
            self.nodes = self.added = self.changed = None
            self.previous = None
            self.d.previous = NULL
            return snapshot
        finally:
            rc_decoder_leave(self.d)

    cdef tuple listed(self):
        cdef rc_problem *p = <rc_problem *>(<void *>self.d.problems.data)
        cdef size_t i
        return tuple([
            DecodeWarning(reasons.REASONS[p[i].code][0], p[i].offset, _path(&p[i]), self.named(&p[i]))
            for i in range(self.d.problems.len // sizeof(rc_problem))
        ])


def decode(body, service=None, *, limits=Limits(), previous=None, strict=False, index=0, taken=None):
    """A whole body at once: :class:`Decoder`, fed and finished.

    Args:
        body: any bytes-like object, contiguous.
        service, limits, previous, strict: as for :class:`Decoder`.
        index, taken: as for :meth:`Decoder.finish`.

    Raises:
        DecodeError: the body is broken.
        LimitExceeded: it is larger than the limits allow.
    """
    cdef Decoder decoder = Decoder(service, limits=limits, previous=previous, strict=strict)
    decoder.feed(body)
    return decoder.finish(index=index, taken=taken)


cdef object _SURROGATES = re.compile("[\ud800-\udfff]")


cdef bytes _tag_bytes(object tag):
    if isinstance(tag, str):
        try:
            return (<str>tag).encode()
        except UnicodeEncodeError:
            return _SURROGATES.sub("\ufffd", tag).encode()
    cdef bytes raw = bytes(memoryview(tag))
    cdef rc_buf clean
    memset(&clean, 0, sizeof(clean))
    try:
        if rc_put_clean(&clean, <const uint8_t *>PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw)) < 0:
            raise MemoryError
        return PyBytes_FromStringAndSize(<const char *>clean.data, clean.len)
    finally:
        rc_buf_free(&clean)


def decode_tags(tags, *, limits=Limits(), strict=False):
    """What the tags of one node say: version, metadata, endpoints (:class:`regcache.Record`).

    Args:
        tags: an iterable of str or bytes, in the registry's order.
        limits, strict: as for :class:`Decoder`.

    Raises:
        DecodeError: with ``strict``, the first broken tag; ``path`` is its place, such as ``[3]``.
        TypeError: a tag that is neither str nor bytes.
    """
    if isinstance(tags, (str, bytes)):
        raise TypeError("tags must be an iterable of tags, not one of them")
    cdef rc_decoder *d = _new_decoder(limits, False)
    cdef bytes raw
    cdef size_t n
    cdef int code
    cdef Node node
    cdef rc_problem *p
    try:
        rc_entry_begin(d, 0)
        for tag in tags:
            raw = _tag_bytes(tag)
            n = <size_t>PyBytes_GET_SIZE(raw)
            code = rc_entry_tag(d, <const uint8_t *>PyBytes_AS_STRING(raw), n, n > d.tag_bytes, 0)
            if code == RC_NO_MEMORY:
                raise MemoryError
            if code != RC_OK:
                raise reasons.error(code, 0, f"[{d.tag}]")
            if strict and d.first.code != RC_OK:
                raise reasons.error(d.first.code, 0, f"[{d.first.index}]")
            d.tag += 1
        rc_entry_tags_end(d)
        d.node.records = d.records.len // sizeof(rc_record *)
        node = _make_node(&d.node, <rc_record **>(<void *>d.records.data), d.arena.data, None)
        p = <rc_problem *>(<void *>d.problems.data)
        warnings = tuple([
            DecodeWarning(reasons.REASONS[p[i].code][0], 0, f"[{p[i].index}]", None)
            for i in range(d.problems.len // sizeof(rc_problem))
        ])
        return Record(node.version, bool(d.node.version_found), node.metadata, node.endpoints, node.tags, warnings)
    finally:
        rc_decoder_free(d)


def decode_mdns(record, *, limits=Limits()):
    """The TXT record of go-micro's mDNS registry: hex of zlib of JSON, in strings of at most 255 digits.

    Args:
        record: an iterable of str or bytes.
        limits: as for :class:`Decoder`; ``tag_bytes`` is for the whole record.

    Returns:
        The members Service, Version, Endpoints, Metadata as go-micro's JSON has them; None where the record says null.

    Raises:
        DecodeError: where go-micro returns an error.
    """
    if isinstance(record, (str, bytes)):
        raise TypeError("record must be an iterable of strings, not one of them")
    cdef bytes digits = b"".join([_tag_bytes(piece) for piece in record])
    cdef rc_decoder *d = _new_decoder(limits, False)
    cdef rc_workshop *w = &d.workshop
    cdef int code, too_large = 0
    cdef size_t allowed
    cdef _Reader reader
    try:
        if <size_t>PyBytes_GET_SIZE(digits) > d.tag_bytes:
            raise reasons.error(RC_LIMIT_TAG, 0, "")
        code = rc_unhex(&w.raw, <const uint8_t *>PyBytes_AS_STRING(digits), <size_t>PyBytes_GET_SIZE(digits))
        if code == RC_OK:
            allowed = rc_allowed(w.raw.len, w.record_bytes, w.ratio, &too_large)
            code = rc_inflate(&w.inflater, &w.data, w.raw.data, w.raw.len, allowed)
            if code == RC_LIMIT_RECORD:
                code = too_large
        if code == RC_OK:
            reader = _read(RC_DOC_MDNS, w.data.data, w.data.len, d.nesting, RC_MOST(w.record_bytes), &code)
        if code == RC_NO_MEMORY:
            raise MemoryError
        if code != RC_OK:
            raise reasons.error(code, 0, "")
        if reader.is_null:
            return None
        endpoints = reader.endpoints()
        return {
            "Service": reader.service,
            "Version": reader.version,
            "Endpoints": None if endpoints is None else [None if e is None else e.to_dict() for e in endpoints],
            "Metadata": reader.metadata,
        }
    finally:
        rc_decoder_free(d)
