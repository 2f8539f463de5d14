# Consistent hashing: pure/ring.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize


cdef extern from "ring.h" nogil:
    enum:
        RC_POINTS
    ctypedef struct rc_point:
        uint64_t point
        uint64_t name
        uint32_t owner
    ctypedef struct rc_ring:
        uint64_t *points
        uint32_t *owners
        size_t count
    uint64_t rc_hash(const char *data, size_t size)
    uint64_t rc_hash_int(int64_t value)
    int rc_point_order(const void *a, const void *b)
    size_t rc_ring_find(const rc_ring *ring, uint64_t hashed)

cdef extern from "stdlib.h" nogil:
    void qsort(void *items, size_t count, size_t size, int (*order)(const void *, const void *))

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1


cdef int hash_of(object key, uint64_t *hashed) except -1:
    cdef Py_ssize_t size = 0
    cdef const char *data
    cdef long long value
    cdef int overflow = 0
    if isinstance(key, str):
        try:
            data = PyUnicode_AsUTF8AndSize(key, &size)
        except UnicodeEncodeError:
            return hash_of((<str>key).encode("utf-8", "surrogatepass"), hashed)
        hashed[0] = rc_hash(data, size)
    elif isinstance(key, bytes):
        hashed[0] = rc_hash(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    elif isinstance(key, int):
        value = PyLong_AsLongLongAndOverflow(key, &overflow)
        if overflow:
            # int() of a subclass' own: what it overrides must not decide.
            return hash_of(int.to_bytes(key, int.bit_length(key) // 8 + 1, "little", signed=True), hashed)
        hashed[0] = rc_hash_int(value)
    elif key is None:
        raise TypeError("the strategy 'hash' needs a key: select(key=...) with a str, bytes or int")
    else:
        raise TypeError(f"a key is a str, bytes or int, not {type(key).__name__}")
    return 0


def hash_key(key):
    """64 bits of a str, bytes or int: see the twin."""
    cdef uint64_t hashed = 0
    hash_of(key, &hashed)
    return hashed


def hash_node(node):
    """64 bits of what names a node: node_name, id, address and port."""
    cdef bytes name = "\0".join((node.node_name, node.id, node.address, str(node.port))).encode(
        "utf-8", "surrogatepass")
    return rc_hash(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))


def counting(weights):
    """How many of its points count, of each node: see the twin."""
    cdef double most = max(weights), weight
    return [max(1, <int64_t>(RC_POINTS * weight / most + 0.5)) if weight > 0.0 else 0 for weight in weights]


@cython.final
@cython.no_gc
cdef class Ring:
    """The points of some nodes, sorted. Immutable; see the twin."""

    cdef rc_ring c

    def __cinit__(self, nodes):
        cdef size_t total = <size_t>len(nodes) * RC_POINTS, at = 0, i
        cdef uint64_t turn, name
        cdef rc_point *points
        points = <rc_point *>array(total, sizeof(rc_point))
        try:
            for node in nodes:
                name = hash_node(node)
                for turn in range(<uint64_t>RC_POINTS):
                    points[at].point = rc_mix(name + (turn + 1) * RC_STEP)
                    points[at].name = name
                    points[at].owner = <uint32_t>at
                    at += 1
            self.c.points = <uint64_t *>array(total, sizeof(uint64_t))
            self.c.owners = <uint32_t *>array(total, sizeof(uint32_t))
            self.c.count = total
            with nogil:
                qsort(points, total, sizeof(rc_point), rc_point_order)
                for i in range(total):
                    self.c.points[i] = points[i].point
                    self.c.owners[i] = points[i].owner
        finally:
            PyMem_RawFree(points)

    def __dealloc__(self):
        PyMem_RawFree(self.c.points)
        PyMem_RawFree(self.c.owners)

    def __len__(self):
        return self.c.count

    def owner(self, key, counts):
        """Whose a key is, however busy: a place in the list of nodes."""
        cdef uint64_t hashed = 0
        cdef size_t at
        hash_of(key, &hashed)
        at = rc_ring_find(&self.c, hashed) % self.c.count
        while self.c.owners[at] % RC_POINTS >= <uint32_t>counts[self.c.owners[at] // RC_POINTS]:
            at = (at + 1) % self.c.count
        return self.c.owners[at] // RC_POINTS
