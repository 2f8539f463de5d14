# A node: made once, immutable; its metadata and endpoints are Python objects from the first use on.

cdef tuple _STATUS = ("passing", "warning", "critical", "maintenance")
cdef object _EMPTY = MappingProxyType({})


cdef dict _strings(object mapping, str what):
    cdef dict made = {}
    for key, value in dict(mapping).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"Node: {what} must map str to str")
        made[key] = value
    return made


@cython.final
@cython.no_gc  # holds strings, records, and mappings and tuples of strings: no cycle can be made of them
cdef class Node:
    """One instance of a service, as the registry has it. Immutable.

    Args:
        id: Consul's ``Service.ID``.
        address: host name or IP address.
        port: 0 to 65535; a registry may say anything.
        metadata: of go-micro's ``t`` tags.
        version: of go-micro's ``v`` tag; "" where there is none.
        endpoints: of go-micro's ``e`` tags; an element is None where the tag says null.
        status: "passing", "warning", "critical" or "maintenance" (Consul's aggregate of all checks).
        critical: one of the checks is critical; go-micro then leaves the node out of ``GetService``.
        name: the service's name.
        node_name, datacenter: of the Consul node.
        tags: the tags that are not go-micro's.
        meta, node_meta: Consul's ``Service.Meta`` and ``Node.Meta``.
        weights: Consul's ``Service.Weights``.

    Raises:
        TypeError: an argument of another type.
        ValueError: another status.
    """

    cdef readonly str id
    cdef readonly str address
    cdef readonly str name
    cdef readonly str node_name
    cdef readonly str datacenter
    cdef readonly str version
    cdef readonly int64_t port
    cdef readonly bint critical
    cdef uint8_t _status
    cdef int64_t _passing
    cdef int64_t _warning
    cdef rc_record **_records   # owned, with a count of each; NULL for a node made in Python
    cdef size_t _count
    cdef rc_record *_meta_record
    cdef rc_record *_node_meta_record
    cdef rc_record *_version_record
    cdef rc_record *_compact_record
    cdef bint _given            # made in Python: what it says is not in records
    # Made on first use and then never changed (lazy.h); each owns a count.
    cdef void *_metadata
    cdef void *_endpoints
    cdef void *_tags
    cdef void *_meta
    cdef void *_node_meta
    cdef object __weakref__

    def __init__(self, str id not None, str address not None="", port=0, *, metadata=None,
                 str version not None="", endpoints=(), str status not None="passing", bint critical=False,
                 str name not None="", str node_name not None="", str datacenter not None="", tags=(),
                 meta=None, node_meta=None, weights=Weights()):
        if self.id is not None:
            raise TypeError("a Node is immutable")
        if status not in _STATUS:
            raise ValueError(f"Node: status must be one of {', '.join(_STATUS)}, not {status!r}")
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"Node: port must be an int, not {type(port).__name__}")
        if isinstance(tags, str):
            raise TypeError("Node: tags must be an iterable of str, not str")
        endpoints, tags, weights = tuple(endpoints), tuple(tags), checked_weights(weights)
        for endpoint in endpoints:
            if endpoint is not None and not isinstance(endpoint, Endpoint):
                raise TypeError("Node: endpoints must be Endpoints")
        for tag in tags:
            if not isinstance(tag, str):
                raise TypeError("Node: tags must be str")
        metadata = MappingProxyType(_strings(metadata or {}, "metadata"))
        meta = MappingProxyType(_strings(meta or {}, "meta"))
        node_meta = MappingProxyType(_strings(node_meta or {}, "node_meta"))
        rc_lazy_set(&self._metadata, metadata)
        rc_lazy_set(&self._endpoints, endpoints)
        rc_lazy_set(&self._tags, tags)
        rc_lazy_set(&self._meta, meta)
        rc_lazy_set(&self._node_meta, node_meta)
        self.address = address
        self.name = name
        self.node_name = node_name
        self.datacenter = datacenter
        self.version = version
        self.port = port
        self.critical = critical
        self._status = <uint8_t>_STATUS.index(status)
        self._passing = weights.passing
        self._warning = weights.warning
        self._given = True
        self.id = id

    def __dealloc__(self):
        cdef size_t i
        for i in range(self._count):
            rc_record_release(self._records[i])
        rc_free(self._records)
        if self._meta_record != NULL:
            rc_record_release(self._meta_record)
        if self._node_meta_record != NULL:
            rc_record_release(self._node_meta_record)
        if self._version_record != NULL:
            rc_record_release(self._version_record)
        if self._compact_record != NULL:
            rc_record_release(self._compact_record)
        rc_lazy_clear(&self._metadata)
        rc_lazy_clear(&self._endpoints)
        rc_lazy_clear(&self._tags)
        rc_lazy_clear(&self._meta)
        rc_lazy_clear(&self._node_meta)

    @property
    def status(self):
        """"passing", "warning", "critical" or "maintenance": Consul's aggregate of all checks."""
        return <str>_STATUS[self._status]

    @property
    def weights(self):
        """Consul's Service.Weights, 1 and 1 where it says nothing."""
        return Weights(self._passing, self._warning)

    @property
    def metadata(self):
        """A read-only mapping of what the t tags say; of a key that comes twice the later tag counts."""
        cdef void *held = rc_lazy_get(&self._metadata)
        cdef dict made
        cdef object proxy
        cdef size_t i
        if held == NULL and self._compact_record != NULL:
            held = rc_lazy_set(&self._metadata, compact_metadata(self._compact_record))
        if held == NULL:
            made = {}
            for i in range(self._count):
                if self._records[i].kind == RC_K_METADATA:
                    made.update(parsed(self._records[i]))
            proxy = MappingProxyType(made)
            held = rc_lazy_set(&self._metadata, proxy)
        return <object>held

    cdef object _of_kind(self, void **slot, int kind):
        cdef void *held = rc_lazy_get(slot)
        cdef list made
        cdef tuple all
        cdef size_t i
        if held == NULL:
            made = []
            for i in range(self._count):
                if self._records[i].kind == kind:
                    made.append(parsed(self._records[i]))
            all = tuple(made)
            held = rc_lazy_set(slot, all)
        return <object>held

    cdef object _map(self, void **slot, rc_record *record):
        cdef void *held = rc_lazy_get(slot)
        if held == NULL:
            held = rc_lazy_set(slot, _EMPTY if record == NULL else parsed(record))
        return <object>held

    @property
    def endpoints(self):
        """What the e tags say, in order; an element is None where the tag says null."""
        cdef void *held = rc_lazy_get(&self._endpoints)
        if held == NULL and self._compact_record != NULL:
            held = rc_lazy_set(&self._endpoints, parsed(self._compact_record))
        return self._of_kind(&self._endpoints, RC_K_ENDPOINT) if held == NULL else <object>held

    @property
    def tags(self):
        """The tags that are not go-micro's, in order."""
        return self._of_kind(&self._tags, RC_K_FOREIGN)

    @property
    def meta(self):
        """Consul's Service.Meta, a read-only mapping."""
        return self._map(&self._meta, self._meta_record)

    @property
    def node_meta(self):
        """Consul's Node.Meta, a read-only mapping."""
        return self._map(&self._node_meta, self._node_meta_record)

    @property
    def target(self):
        """"address:port", as go-plugins joins them: IPv6 in brackets; port 0 and no IP address: the name alone."""
        return join_target(self.address, self.port)

    def to_dict(self):
        """go-micro's JSON members: id, address, port, metadata."""
        return {"id": self.id, "address": self.address, "port": self.port, "metadata": dict(self.metadata)}

    cdef tuple _state(self):
        return (self.id, self.address, self.port, dict(self.metadata), self.version, self.endpoints, self.status,
                self.critical, self.name, self.node_name, self.datacenter, self.tags, dict(self.meta),
                dict(self.node_meta), tuple(self.weights))

    def __eq__(self, other):
        cdef Node a, b
        if self is other:
            return True
        if not isinstance(other, Node):
            return NotImplemented
        a, b = self, <Node>other
        if (a.id != b.id or a.port != b.port or a.address != b.address or a.version != b.version
                or a._status != b._status or a.critical != b.critical or a.name != b.name
                or a.node_name != b.node_name or a.datacenter != b.datacenter or a._passing != b._passing
                or a._warning != b._warning):
            return False
        return (a.tags == b.tags and a.metadata == b.metadata and a.meta == b.meta and a.node_meta == b.node_meta
                and same_deep(a.endpoints, b.endpoints))

    def __hash__(self):
        return hash((self.node_name, self.id, self.address, self.port))

    def __repr__(self):
        return f"Node(id={self.id!r}, target={self.target!r}, version={self.version!r}, status={self.status!r})"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _node_again, self._state()


def _node_again(id, address, port, metadata, version, endpoints, status, critical, name, node_name, datacenter, tags,
                meta, node_meta, weights):
    return Node(id, address, port, metadata=metadata, version=version, endpoints=endpoints, status=status,
                critical=critical, name=name, node_name=node_name, datacenter=datacenter, tags=tags, meta=meta,
                node_meta=node_meta, weights=weights)


cdef bint _same_text(str have, const uint8_t *p, size_t n) except -1:
    cdef Py_ssize_t size
    cdef const char *utf8 = PyUnicode_AsUTF8AndSize(have, &size)
    return <size_t>size == n and (n == 0 or memcmp(utf8, p, n) == 0)


cdef bint _same_fields(Node node, const rc_node *n, const uint8_t *arena) except -1:
    """Does the node say what the registry says now, apart from its tags?"""
    if (node.port != n.port or node._status != n.status or node.critical != n.critical
            or node._passing != n.passing or node._warning != n.warning):
        return False
    return (_same_text(node.id, arena + n.id.at, n.id.len)
            and _same_text(node.address, arena + n.address.at, n.address.len)
            and _same_text(node.node_name, arena + n.node_name.at, n.node_name.len)
            and _same_text(node.name, arena + n.name.at, n.name.len)
            and _same_text(node.datacenter, arena + n.datacenter.at, n.datacenter.len))


cdef bint _same_records(Node node, const rc_node *n, rc_record **records) noexcept:
    """Has it the same tags? Equal ones of two snapshots are one record."""
    cdef size_t i
    if (node._count != n.records or node._version_record != n.version or node._meta_record != n.meta
            or node._node_meta_record != n.node_meta or node._compact_record != n.compact or node._given):
        return False
    for i in range(n.records):
        if node._records[i] != records[n.records_at + i]:
            return False
    return True


cdef str _shared(str last, const uint8_t *p, size_t n):
    """`last` where it says the same: services, datacenters and node names repeat."""
    if last is not None and _same_text(last, p, n):
        return last
    return text(p, n)


cdef str _compact_version(rc_record *r, str last):
    """The version alone: the rest of the record waits until somebody asks."""
    cdef const uint8_t *p = NULL
    cdef size_t n = 0
    rc_compact_version(rc_record_data(r), r.data_len, &p, &n)
    return clean_text(p, n) if last is None or not _same_text(last, p, n) else last


cdef Node _make_node(const rc_node *n, rc_record **records, const uint8_t *arena, Node last):
    """A node of what the decoder has. The node takes counts of its own."""
    cdef Node node = <Node>Node.__new__(Node)
    cdef size_t i
    node.id = text(arena + n.id.at, n.id.len)
    node.address = text(arena + n.address.at, n.address.len)
    if last is None:
        node.name = text(arena + n.name.at, n.name.len)
        node.node_name = text(arena + n.node_name.at, n.node_name.len)
        node.datacenter = text(arena + n.datacenter.at, n.datacenter.len)
    else:
        node.name = _shared(last.name, arena + n.name.at, n.name.len)
        node.node_name = _shared(last.node_name, arena + n.node_name.at, n.node_name.len)
        node.datacenter = _shared(last.datacenter, arena + n.datacenter.at, n.datacenter.len)
    if n.compact != NULL:
        node.version = _compact_version(n.compact, None if last is None else last.version)
    else:
        node.version = "" if n.version == NULL else parsed(n.version)
    node.port = n.port
    node.critical = n.critical
    node._status = n.status
    node._passing = n.passing
    node._warning = n.warning
    if n.records:
        node._records = <rc_record **>rc_malloc(n.records * sizeof(rc_record *))
        if node._records == NULL:
            raise MemoryError
        for i in range(n.records):
            rc_record_hold(records[n.records_at + i])
            node._records[i] = records[n.records_at + i]
        node._count = n.records
    if n.version != NULL:
        rc_record_hold(n.version)
        node._version_record = n.version
    if n.compact != NULL:
        rc_record_hold(n.compact)
        node._compact_record = n.compact
    if n.meta != NULL:
        rc_record_hold(n.meta)
        node._meta_record = n.meta
    if n.node_meta != NULL:
        rc_record_hold(n.node_meta)
        node._node_meta_record = n.node_meta
    return node
