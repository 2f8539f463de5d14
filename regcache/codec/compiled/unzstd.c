#include "unzstd.h"

#include <zstd.h>

struct rc_unzstd {
    ZSTD_DCtx *context;
    int complete;
};

/* 8 MiB: what every zstd decoder has to support (RFC 8878, 3.1.1.1.2). */
#define WINDOW_LOG_MAX 23

rc_unzstd *rc_unzstd_new(void)
{
    rc_unzstd *u = rc_malloc(sizeof *u);
    if (u == NULL) return NULL;
    u->complete = 0; /* nothing is no frame */
    u->context = ZSTD_createDCtx();
    if (u->context == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(u->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        rc_unzstd_free(u);
        return NULL;
    }
    return u;
}

void rc_unzstd_free(rc_unzstd *u)
{
    if (u == NULL) return;
    ZSTD_freeDCtx(u->context);
    rc_free(u);
}

int rc_unzstd_step(rc_unzstd *u, const uint8_t *in, size_t n, size_t *used, uint8_t *out, size_t cap, size_t *made)
{
    ZSTD_inBuffer input = {in, n, 0};
    ZSTD_outBuffer output = {out, cap, 0};
    size_t rc = ZSTD_decompressStream(u->context, &output, &input);
    *used = input.pos;
    *made = output.pos;
    if (ZSTD_isError(rc)) return -1;
    /* 0: a frame has ended and is flushed. Nothing read and nothing written changes nothing. */
    if (input.pos || output.pos) u->complete = rc == 0;
    return 0;
}

int rc_unzstd_complete(const rc_unzstd *u) { return u->complete; }
