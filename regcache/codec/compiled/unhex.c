#include "unhex.h"

#include "text.h"

int rc_unhex(rc_buf *out, const uint8_t *hex, size_t n)
{
    if (n & 1) return RC_ODD_HEX;
    if (n == 0) return RC_OK; /* an empty buffer may have no address to add to */
    if (rc_buf_reserve(out, n / 2) < 0) return RC_NO_MEMORY;
    uint8_t *o = out->data + out->len;
    int bad = 0;
    for (size_t i = 0; i < n; i += 2) {
        int hi = rc_hex_value[hex[i]], lo = rc_hex_value[hex[i + 1]];
        bad |= hi | lo; /* -1 keeps its sign */
        *o++ = (uint8_t)((unsigned)hi << 4 | ((unsigned)lo & 15));
    }
    if (bad < 0) return RC_BAD_HEX;
    out->len += n / 2;
    return RC_OK;
}
