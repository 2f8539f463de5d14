/* Memory that has an owner and a limit. Inside Python it is PyMem_Raw memory, so that tracemalloc sees it;
   the fuzzers build the same C without Python. */
#ifndef RC_MEMORY_H
#define RC_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef RC_NO_PYTHON
#include <stdlib.h>
#define rc_malloc(n) malloc(n)
#define rc_realloc(p, n) realloc((p), (n))
#define rc_free(p) free(p)
#else
#include <Python.h>
#define rc_malloc(n) PyMem_RawMalloc(n)
#define rc_realloc(p, n) PyMem_RawRealloc((p), (n))
#define rc_free(p) PyMem_RawFree(p)
#endif

/* A growing buffer; whoever has the struct owns `data`. */
typedef struct {
    uint8_t *data;
    size_t len;
    size_t cap;
} rc_buf;

/* Room for `more` bytes after `len`; 0, or -1 where memory is out (nothing has changed then). */
static inline int rc_buf_reserve(rc_buf *b, size_t more)
{
    if (more <= b->cap - b->len) return 0;
    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) return -1;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->len + more) cap *= 2;
    uint8_t *data = rc_realloc(b->data, cap);
    if (data == NULL) return -1;
    b->data = data;
    b->cap = cap;
    return 0;
}

static inline int rc_buf_put(rc_buf *b, const void *p, size_t n)
{
    if (n == 0) return 0;
    if (rc_buf_reserve(b, n) < 0) return -1;
    memcpy(b->data + b->len, p, n);
    b->len += n;
    return 0;
}

static inline void rc_buf_free(rc_buf *b)
{
    rc_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

/* Gives a large buffer back after one large input; the content is not kept. */
static inline void rc_buf_shrink(rc_buf *b, size_t keep)
{
    b->len = 0;
    if (b->cap > keep) rc_buf_free(b);
}

#endif
