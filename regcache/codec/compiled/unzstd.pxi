# zstd for files: in pieces, with a bounded window.

@cython.final
cdef class Unzstd:
    """Decompresses zstd frames that come in chunks; the window is at most 8 MiB.

    Args:
        max_output: the most bytes that may come out in all; None for no bound.
    """

    cdef rc_unzstd *u
    cdef object max_output
    cdef size_t made
    cdef size_t read
    cdef object error

    def __cinit__(self, *, max_output=None):
        if max_output is not None and (isinstance(max_output, bool) or not isinstance(max_output, int)):
            raise TypeError(f"max_output must be an int or None, not {type(max_output).__name__}")
        self.u = rc_unzstd_new()
        if self.u == NULL:
            raise MemoryError
        self.max_output = max_output

    def __dealloc__(self):
        rc_unzstd_free(self.u)

    def feed(self, chunk):
        """What comes out of a chunk (any bytes-like object), as bytes; may be empty.

        Raises:
            DecodeError: not zstd, corrupt, or a window larger than 8 MiB; every later call raises it again.
            LimitExceeded: more than ``max_output`` bytes; likewise.
        """
        with cython.critical_section(self):
            return self._feed(chunk)

    cdef bytes _feed(self, chunk):
        cdef Py_buffer view
        cdef uint8_t out[65536]
        cdef size_t used, made, at = 0
        cdef int rc
        cdef list pieces = []
        if self.error is not None:
            raise self.error
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        try:
            if view.len == 0:
                return b""  # zstd calls it an error to be called again and again with nothing
            while True:
                rc = rc_unzstd_step(self.u, <const uint8_t *>view.buf + at, <size_t>view.len - at, &used, out,
                                    sizeof(out), &made)
                at += used
                if rc < 0:
                    self.error = DecodeError("the zstd stream is corrupt", self.read + at)
                    raise self.error
                if made:
                    self.made += made
                    if self.max_output is not None and self.made > self.max_output:
                        self.error = LimitExceeded("decompresses to more bytes than allowed", self.read + at,
                                                   limit="max_output")
                        raise self.error
                    pieces.append(PyBytes_FromStringAndSize(<const char *>out, made))
                if made < sizeof(out) and at == <size_t>view.len:
                    break
            self.read += at
        finally:
            PyBuffer_Release(&view)
        return b"".join(pieces)

    def finish(self):
        """The end of the input.

        Raises:
            DecodeError: it is in the middle of a frame, there was none, or an error came before.
        """
        if self.error is None and not rc_unzstd_complete(self.u):
            self.error = DecodeError("the zstd stream is cut short", self.read)
        if self.error is not None:
            raise self.error
