/* Hex digits to bytes. */
#ifndef RC_UNHEX_H
#define RC_UNHEX_H

#include "codes.h"
#include "memory.h"

/* Appends n/2 bytes to `out`. RC_OK, RC_ODD_HEX, RC_BAD_HEX or RC_NO_MEMORY. */
int rc_unhex(rc_buf *out, const uint8_t *hex, size_t n);

#endif
