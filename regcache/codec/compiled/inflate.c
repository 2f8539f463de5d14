#include "inflate.h"

#include <limits.h>
#include <zlib.h>

struct rc_inflater {
    z_stream z;
    size_t held; /* bytes that zlib allocated */
};

/* One inflater waits for the next decoder: making one costs as much as inflating a small tag. Atomic. */
static rc_inflater *spare;

static void end(rc_inflater *inf)
{
    if (inf == NULL) return;
    inflateEnd(&inf->z);
    rc_free(inf);
}

/* zlib's memory is counted and bounded by zlib itself: 7 KB of state, 32 KB of window. */
static void *zalloc(void *opaque, unsigned items, unsigned size)
{
    rc_inflater *inf = opaque;
    size_t n = (size_t)items * size;
    if (size && n / size != items) return NULL;
    void *p = rc_malloc(n ? n : 1);
    if (p != NULL) inf->held += n;
    return p;
}

static void zfree(void *opaque, void *p)
{
    (void)opaque;
    rc_free(p);
}

static rc_inflater *begin(void)
{
    rc_inflater *inf = __atomic_exchange_n(&spare, NULL, __ATOMIC_ACQUIRE);
    if (inf != NULL) return inf;
    inf = rc_malloc(sizeof *inf);
    if (inf == NULL) return NULL;
    memset(inf, 0, sizeof *inf);
    inf->z.zalloc = zalloc;
    inf->z.zfree = zfree;
    inf->z.opaque = inf;
    if (inflateInit(&inf->z) == Z_OK) return inf;
    rc_free(inf);
    return NULL;
}

int rc_inflate(rc_inflater **inf, rc_buf *out, const uint8_t *data, size_t n, size_t allowed)
{
    out->len = 0;
    if (n > UINT_MAX || allowed > UINT_MAX - 1) return RC_LIMIT_RECORD;
    if (*inf == NULL && (*inf = begin()) == NULL) return RC_NO_MEMORY;
    z_stream *z = &(*inf)->z;
    if (inflateReset(z) != Z_OK) return RC_NO_MEMORY;
    z->next_in = (Bytef *)(uintptr_t)data;
    z->avail_in = (uInt)n;
    for (;;) {
        uint8_t beyond; /* one byte more than allowed shows that there is more; the buffer does not grow for it */
        size_t room = allowed - out->len, step = 1;
        if (room == 0) {
            z->next_out = &beyond;
        } else {
            if (out->cap == out->len) {
                size_t more = out->len ? out->len : 4096;
                if (rc_buf_reserve(out, more < room ? more : room) < 0) return RC_NO_MEMORY;
            }
            step = out->cap - out->len;
            if (step > room) step = room;
            z->next_out = out->data + out->len;
        }
        z->avail_out = (uInt)step;
        int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_NEED_DICT && z->adler == 1) { /* the empty dictionary, which Go has */
            rc = inflateSetDictionary(z, (const Bytef *)"", 0);
            if (rc == Z_OK) rc = inflate(z, Z_NO_FLUSH);
        }
        if (room == 0 && z->avail_out == 0) return RC_LIMIT_RECORD;
        if (room != 0) out->len += step - z->avail_out;
        if (rc == Z_STREAM_END) return RC_OK;
        if (rc == Z_MEM_ERROR) return RC_NO_MEMORY;
        if (rc != Z_OK && rc != Z_BUF_ERROR) return RC_ZLIB_CORRUPT; /* Z_NEED_DICT as well: Go has no other */
        if (z->avail_out != 0 && z->avail_in == 0) return RC_ZLIB_TRUNCATED;
    }
}

void rc_inflate_free(rc_inflater **inf)
{
    /* it becomes the spare one, and what was spare goes; release: its state is written before it can be found */
    if (*inf != NULL) end(__atomic_exchange_n(&spare, *inf, __ATOMIC_ACQ_REL));
    *inf = NULL;
}

size_t rc_inflate_bytes(const rc_inflater *inf) { return inf == NULL ? 0 : sizeof *inf + inf->held; }
