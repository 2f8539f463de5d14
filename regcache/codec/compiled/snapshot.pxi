# A snapshot: all nodes of one service at one moment. Immutable; its reference count is its reclamation.

@cython.final
cdef class Memo:
    """The distinct records of a snapshot, for the next decode. Read-only once the snapshot is out."""

    cdef rc_table table
    cdef object limits  # that its records were found within

    def __dealloc__(self):
        rc_table_free(&self.table)


@cython.final
cdef class Snapshot:
    """What a registry said about one service. Immutable; ``len()``, iteration and ``[i]`` go over its nodes.

    Attributes:
        service: the service's name.
        nodes: a tuple of :class:`Node` in the registry's order, critical ones too.
        index: the registry's index (Consul: X-Consul-Index); 0 where there is none.
        taken: when, in seconds of ``time.monotonic()``; None where nobody said.
        warnings: the first parts that could not be used (:class:`regcache.DecodeWarning`).
        warning_count: how many there were.
        added, changed, removed: tuples of nodes against the previous snapshot (new ones, new ones, old ones).
        stats: what the decode did (:class:`regcache.Stats`).
    """

    cdef readonly str service
    cdef readonly tuple nodes
    cdef readonly object index
    cdef readonly object taken
    cdef readonly tuple warnings
    cdef readonly Py_ssize_t warning_count
    cdef readonly tuple added
    cdef readonly tuple changed
    cdef readonly tuple removed
    cdef readonly object stats
    cdef Memo memo
    # A weak reference to whoever serves it. Set at most once and then never changed (lazy.h); owns a count.
    cdef void *_keeper
    cdef object __weakref__

    def __dealloc__(self):
        rc_lazy_clear(&self._keeper)

    def __init__(self, str service not None, nodes=(), *, index=0, taken=None, warnings=(), warning_count=None,
                 added=None, changed=(), removed=(), stats=Stats()):
        if self.nodes is not None:
            raise TypeError("a Snapshot is immutable")
        nodes = tuple(nodes)
        for node in nodes:
            if not isinstance(node, Node):
                raise TypeError(f"Snapshot: nodes must be Nodes, not {type(node).__name__}")
        self.service = service
        self.index = index
        self.taken = taken
        self.warnings = tuple(warnings)
        self.warning_count = len(self.warnings) if warning_count is None else warning_count
        self.added = nodes if added is None else tuple(added)
        self.changed = tuple(changed)
        self.removed = tuple(removed)
        self.stats = stats
        self.nodes = nodes

    @property
    def age(self):
        """Seconds since it was taken, or None where nobody said when."""
        return None if self.taken is None else time.monotonic() - self.taken

    def _attach(self, keeper):
        """Whoever serves it says so, before others see it: a weak reference to an object with ``is_stale``, ``is_held``
        and ``explain``, which are called with the snapshot. The first one stays."""
        rc_lazy_set(&self._keeper, keeper)

    cdef object keeper(self):
        # None: there never was one. False: it is gone.
        cdef void *keeper = rc_lazy_get(&self._keeper)
        if keeper == NULL:
            return None
        found = (<object>keeper)()
        return False if found is None else found

    @property
    def stale(self):
        """Is it no longer what its cache serves, or older than it should be? False where it never was in a cache."""
        keeper = self.keeper()
        return keeper is False if not keeper else keeper.is_stale(self)

    @property
    def held(self):
        """Is it served though the registry's last answer was another, which is held back (:class:`regcache.Guard`)?"""
        keeper = self.keeper()
        return False if not keeper else keeper.is_held(self)

    def explain(self):
        """Where it comes from, and why it is served, or is no longer, in words."""
        keeper = self.keeper()
        if keeper:
            return keeper.explain(self)
        age = self.age
        taken = "" if age is None else f", taken {age:.1f} s ago"
        served = "no cache serves" if keeper is None else "no cache serves any more"
        nodes = "node" if len(self.nodes) == 1 else "nodes"
        return f"{self.service}: a snapshot with {len(self.nodes)} {nodes} (index {self.index}{taken}) that {served}"

    def services(self):
        """The nodes by version, as go-micro's GetService groups them: a list of :class:`regcache.Service`.

        Versions come in the order in which they are first seen. A version has the endpoints of its first node,
        even of a critical one; nodes with a critical check are left out.
        """
        cdef dict versions = {}
        cdef Node node, first
        cdef list made = []
        for node in self.nodes:
            found = versions.get(node.version)
            if found is None:
                versions[node.version] = found = (node, [])
            if not node.critical:
                (<list>(<tuple>found)[1]).append(node)
        for version, (first, nodes) in versions.items():
            made.append(Service(self.service, version, None, first.endpoints, tuple(nodes)))
        return made

    def to_dict(self):
        """service, index, services, warnings (reason, offset, path, node) and warning_count, ready for JSON."""
        return {
            "service": self.service,
            "index": self.index,
            "services": [service.to_dict() for service in self.services()],
            "warnings": [warning._asdict() for warning in self.warnings],
            "warning_count": self.warning_count,
        }

    def __len__(self):
        return len(self.nodes)

    def __iter__(self):
        return iter(self.nodes)

    def __getitem__(self, item):
        return self.nodes[item]

    def __eq__(self, other):
        cdef Snapshot b
        if self is other:
            return True
        if not isinstance(other, Snapshot):
            return NotImplemented
        b = <Snapshot>other
        return self.service == b.service and self.index == b.index and self.nodes == b.nodes

    def __hash__(self):
        return hash((self.service, self.index, self.nodes))

    def __repr__(self):
        return (f"Snapshot(service={self.service!r}, nodes={len(self.nodes)}, index={self.index}, "
                f"warnings={self.warning_count})")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _snapshot_again, (self.service, self.nodes, self.index, self.taken, self.warnings, self.warning_count,
                                 self.added, self.changed, self.removed, self.stats)


def _snapshot_again(service, nodes, index, taken, warnings, warning_count, added, changed, removed, stats):
    return Snapshot(service, nodes, index=index, taken=taken, warnings=warnings, warning_count=warning_count,
                    added=added, changed=changed, removed=removed, stats=stats)
