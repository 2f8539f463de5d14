/* Words that many threads count with. Nothing else is concluded from them (but from those that are swapped), so they
   need no order among each other. With the GIL, which whoever counts holds, a plain addition is one step already, and
   costs less than an atomic one. */
#ifndef RC_SELECT_COUNT_H
#define RC_SELECT_COUNT_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

static inline int64_t rc_count_read(int64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline void rc_count_set(int64_t *word, int64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/* What was there before. The sum may go round: it is taken without a sign. */
static inline int64_t rc_count_add(int64_t *word, int64_t more)
{
#ifdef Py_GIL_DISABLED
    return __atomic_fetch_add(word, more, __ATOMIC_RELAXED);
#else
    int64_t before = rc_count_read(word);
    rc_count_set(word, (int64_t)((uint64_t)before + (uint64_t)more));
    return before;
#endif
}

/* The word becomes `value` if it is still *seen: 1. Otherwise 0, and *seen is what it is. */
static inline int rc_count_swap(int64_t *word, int64_t *seen, int64_t value)
{
#ifdef Py_GIL_DISABLED
    return __atomic_compare_exchange_n(word, seen, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
#else
    int64_t there = rc_count_read(word);
    if (there != *seen) {
        *seen = there;
        return 0;
    }
    rc_count_set(word, value);
    return 1;
#endif
}

/* The next of so many turns, which begin again after the last. A division is what costs most of a round robin: with the
   GIL none is needed, and the word is always below `turns`. */
static inline uint64_t rc_count_turn(int64_t *word, uint64_t turns)
{
#ifdef Py_GIL_DISABLED
    return (uint64_t)rc_count_add(word, 1) % turns;
#else
    uint64_t turn = (uint64_t)rc_count_read(word);
    rc_count_set(word, turn + 1 < turns ? (int64_t)(turn + 1) : 0);
    return turn;
#endif
}

/* A float in a word. */
static inline double rc_real_read(int64_t *word)
{
    int64_t bits = rc_count_read(word);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void rc_real_set(int64_t *word, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    rc_count_set(word, bits);
}

#endif
