/* Random numbers without a lock, see pure/rng.py: a counter goes on by an odd step, and a mixer makes a number of it. */
#ifndef RC_SELECT_RNG_H
#define RC_SELECT_RNG_H

#include "count.h"

#define RC_STEP 0x9E3779B97F4A7C15ULL /* 2**64 divided by the golden ratio, made odd */

/* 0, and another number in each child of a fork; written there while it has one thread. */
static uint64_t rc_salt = 0;

static inline uint64_t rc_salt_get(void) { return rc_salt; }
static inline void rc_salt_set(uint64_t salt) { rc_salt = salt; }

/* The finaliser of splitmix64. */
static inline uint64_t rc_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

typedef struct {
    int64_t state;  /* the seed, and a step for each number drawn */
    uint64_t born;  /* the salt when it was made */
    uint64_t ready; /* with the GIL: what `state` gives without salt */
} rc_draws;

static inline void rc_draws_init(rc_draws *draws, uint64_t seed)
{
    draws->state = (int64_t)(seed + RC_STEP);
    draws->born = rc_salt;
    draws->ready = rc_mix(seed + RC_STEP);
}

static inline uint64_t rc_draw(rc_draws *draws)
{
    uint64_t salt = rc_salt - draws->born;
#ifndef Py_GIL_DISABLED
    if (salt == 0) {
        /* The next one is made now, and not waited for. */
        uint64_t drawn = draws->ready;
        draws->state = (int64_t)((uint64_t)draws->state + RC_STEP);
        draws->ready = rc_mix((uint64_t)draws->state);
        return drawn;
    }
#endif
    return rc_mix((uint64_t)rc_count_add(&draws->state, (int64_t)RC_STEP) + salt);
}

#endif
