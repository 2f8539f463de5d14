/* One zlib stream to bytes, never more of them than allowed. */
#ifndef RC_INFLATE_H
#define RC_INFLATE_H

#include "codes.h"
#include "memory.h"

typedef struct rc_inflater rc_inflater;

/* Replaces the content of `out`. Data after the end of the stream is allowed, as Go allows it. `*inf` is NULL before
   the first use. RC_OK, RC_ZLIB_CORRUPT, RC_ZLIB_TRUNCATED, RC_LIMIT_RECORD (more than `allowed` bytes; `out` then has
   that many) or RC_NO_MEMORY. */
int rc_inflate(rc_inflater **inf, rc_buf *out, const uint8_t *data, size_t n, size_t allowed);
void rc_inflate_free(rc_inflater **inf);
size_t rc_inflate_bytes(const rc_inflater *inf);

#endif
