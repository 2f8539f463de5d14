/* Random numbers without a lock, see pure/rng.py: a counter goes on by an odd step, and a mixer makes a number of it. */
#ifndef RC_SELECT_RNG_H
#define RC_SELECT_RNG_H

#include "count.h"

#define RC_STEP 0x9E3779B97F4A7C15ULL /* 2**64 divided by the golden ratio, made odd */
#define RC_FLIP 0xE7037ED1A0B428DBULL /* wyrand's */

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

/* The high half of the product, and *low. */
static inline uint64_t rc_times(uint64_t a, uint64_t b, uint64_t *low)
{
#if defined(__SIZEOF_INT128__) && !defined(RC_NO_INT128)
    unsigned __int128 product = (unsigned __int128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#else
    uint64_t middle = (a >> 32) * (uint32_t)b, other = (uint64_t)(uint32_t)a * (b >> 32);
    uint64_t carried = ((uint64_t)(uint32_t)a * (uint32_t)b >> 32) + (uint32_t)middle + (uint32_t)other;
    *low = a * b;
    return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32) + (carried >> 32);
#endif
}

typedef struct {
    int64_t state; /* the mixed seed, and a step for each number drawn; with the GIL the salt as well */
    uint64_t salt; /* without the GIL: when it was made; with it: what is in the state */
} rc_draws;

static inline void rc_draws_init(rc_draws *draws, uint64_t seed)
{
    draws->state = (int64_t)(rc_mix(seed) + RC_STEP);
    draws->salt = rc_salt;
}

/* With the GIL: this is another process since; its numbers are to be others. */
static inline void rc_draws_salt(rc_draws *draws)
{
    draws->state = (int64_t)((uint64_t)draws->state + rc_salt - draws->salt);
    draws->salt = rc_salt;
}

static inline uint64_t rc_draw(rc_draws *draws)
{
    uint64_t state = (uint64_t)rc_count_add(&draws->state, (int64_t)RC_STEP), low, high;
#ifdef Py_GIL_DISABLED
    state += rc_salt - draws->salt;
#endif
    high = rc_times(state, state ^ RC_FLIP, &low);
    return high ^ low;
}

#endif
