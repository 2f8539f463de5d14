/* A ring of points for consistent hashing, see pure/ring.py. */
#ifndef RC_SELECT_RING_H
#define RC_SELECT_RING_H

#include <stdlib.h>

#include "rng.h"

#define RC_POINTS 64 /* of a peer; of one of full weight all count */

typedef struct {
    uint64_t point;
    uint64_t name; /* the hash of the peer's name */
    uint32_t owner; /* see rc_ring */
} rc_point;

typedef struct {
    uint64_t *points; /* owned, sorted */
    uint32_t *owners; /* owned; whose each point is, times RC_POINTS, and which of his points */
    size_t count;
} rc_ring;

/* FNV-1a of 64 bits, mixed. */
static inline uint64_t rc_hash(const char *data, size_t size)
{
    uint64_t state = 0xCBF29CE484222325ULL;
    for (size_t i = 0; i < size; i++) state = (state ^ (unsigned char)data[i]) * 0x100000001B3ULL;
    return rc_mix(state);
}

/* Of an int of 64 bits: of its bytes, the lowest first, on every machine. */
static inline uint64_t rc_hash_int(int64_t value)
{
    char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)value >> (8 * i));
    return rc_hash(bytes, 8);
}

static inline int rc_point_order(const void *a, const void *b)
{
    const rc_point *p = a, *q = b;
    if (p->point != q->point) return p->point < q->point ? -1 : 1;
    if (p->name != q->name) return p->name < q->name ? -1 : 1;
    return p->owner < q->owner ? -1 : p->owner > q->owner;
}

/* The first point at or after `hashed`; `count` where there is none. */
static inline size_t rc_ring_find(const rc_ring *ring, uint64_t hashed)
{
    const uint64_t *base = ring->points;
    size_t left = ring->count;
    /* Halving without a branch that depends on what is found: which way it goes is chance. */
    while (left > 1) {
        size_t half = left / 2;
        base += base[half - 1] < hashed ? half : 0;
        left -= half;
    }
    return (size_t)(base - ring->points) + (left == 1 && *base < hashed);
}

#endif
