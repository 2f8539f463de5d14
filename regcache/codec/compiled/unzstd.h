/* zstd frames to bytes, one piece at a time, with a bounded window. */
#ifndef RC_UNZSTD_H
#define RC_UNZSTD_H

#include "memory.h"

typedef struct rc_unzstd rc_unzstd;

rc_unzstd *rc_unzstd_new(void);
void rc_unzstd_free(rc_unzstd *u);
/* Fills `out` with up to `cap` bytes; `*used` of the input were read, `*made` written. 0, or -1: corrupt, or a
   window larger than 8 MiB. Call it again while it fills `out` or leaves input. */
int rc_unzstd_step(rc_unzstd *u, const uint8_t *in, size_t n, size_t *used, uint8_t *out, size_t cap, size_t *made);
/* Did the input so far end where a frame ends? */
int rc_unzstd_complete(const rc_unzstd *u);

#endif
