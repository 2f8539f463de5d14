/* One zlib stream to bytes, never more of them than allowed. */
#ifndef RC_INFLATE_H
#define RC_INFLATE_H

#include <zlib.h>

#include "codes.h"
#include "memory.h"

typedef struct {
    z_stream z;
    int ready;
    size_t held; /* bytes that zlib allocated */
} rc_inflater;

/* Replaces the content of `out`. Data after the end of the stream is allowed, as Go allows it.
   RC_OK, RC_ZLIB_CORRUPT, RC_ZLIB_TRUNCATED, RC_LIMIT_RECORD (more than `allowed` bytes) or RC_NO_MEMORY. */
int rc_inflate(rc_inflater *inf, rc_buf *out, const uint8_t *data, size_t n, size_t allowed);
void rc_inflate_free(rc_inflater *inf);

#endif
