/* Draws places by their weights: one look whatever their number (the alias method: Walker 1977, Vose 1991). */
#ifndef RC_SELECT_LOTS_H
#define RC_SELECT_LOTS_H

#include "rng.h"

#define RC_DRAWS 4 /* until a second place is not the first */

#define RC_INLINE static inline __attribute__((always_inline))
#define RC_RARE static __attribute__((noinline, cold, unused))

typedef struct {
    uint32_t share; /* how much of 2**32 is the place's own */
    uint32_t other; /* whose the rest is */
} rc_lot;

typedef struct {
    uint32_t first, second;
} rc_two;

typedef struct {
    rc_draws draws;
    uint64_t count;
    rc_lot *table;      /* owned; NULL: all places weigh the same */
    int places;         /* of a pick: 1 or 2 */
    rc_two next, later; /* ahead, see below; of who wants one only `next.first` */
} rc_lots;

RC_INLINE uint32_t rc_lots_one(rc_lots *lots)
{
    uint64_t rest; /* of the random number, as good as another one */
    uint32_t place = (uint32_t)rc_times(rc_draw(&lots->draws), lots->count, &rest);
    if (lots->table == NULL || (uint32_t)(rest >> 32) < lots->table[place].share) return place;
    return lots->table[place].other;
}

/* Two of at least two, where all weigh the same. */
RC_INLINE rc_two rc_lots_two_even(rc_lots *lots)
{
    uint64_t rest;
    uint32_t first = (uint32_t)rc_times(rc_draw(&lots->draws), lots->count, &rest);
    uint32_t second = (uint32_t)rc_times(rest, lots->count - 1, &rest);
    return (rc_two){first, second + (second >= first)};
}

/* The same, where weights differ: the first as likely as its weight says. Where they leave little choice it may come
   twice. Of one place it does. */
static inline rc_two rc_lots_two(rc_lots *lots)
{
    rc_two two;
    if (lots->table == NULL && lots->count > 1) return rc_lots_two_even(lots);
    two.first = rc_lots_one(lots);
    for (int i = 0; i < RC_DRAWS; i++) {
        two.second = rc_lots_one(lots);
        if (two.second != two.first) break;
    }
    return two;
}

/* With the GIL the draws of two picks are made ahead: what they lead to is then on its way into the nearest cache when
   it is needed, however many places there are. Without the GIL nobody could keep them for himself. */
#ifdef Py_GIL_DISABLED
#define RC_AHEAD 0
#else
#define RC_AHEAD 1
#endif

/* At first, and in the child of a fork. */
RC_RARE void rc_lots_anew(rc_lots *lots)
{
    rc_draws_salt(&lots->draws);
    if (lots->places == 1) {
        lots->next.first = rc_lots_one(lots);
        return;
    }
    lots->next = rc_lots_two(lots);
    lots->later = rc_lots_two(lots);
}

static inline void rc_lots_init(rc_lots *lots, uint64_t seed, int places, uint32_t count, rc_lot *table)
{
    rc_draws_init(&lots->draws, seed);
    lots->places = places;
    lots->count = count;
    lots->table = table;
#if RC_AHEAD
    rc_lots_anew(lots);
#endif
}

/* Nothing stands in the way of what is ahead. */
RC_INLINE int rc_lots_ready(const rc_lots *lots) { return __builtin_expect(lots->draws.salt == rc_salt_get(), 1); }

/* Each number by itself: compilers make one load of two, which has to wait where two stores wrote them. */
RC_INLINE rc_two rc_two_read(const rc_two *two)
{
    return (rc_two){__atomic_load_n(&two->first, __ATOMIC_RELAXED), __atomic_load_n(&two->second, __ATOMIC_RELAXED)};
}

RC_INLINE void rc_two_set(rc_two *two, rc_two value)
{
    __atomic_store_n(&two->first, value.first, __ATOMIC_RELAXED);
    __atomic_store_n(&two->second, value.second, __ATOMIC_RELAXED);
}

/* Those that were ahead the longest. */
RC_INLINE uint32_t rc_lots_next_one(rc_lots *lots)
{
#if RC_AHEAD
    uint32_t place;
    if (!rc_lots_ready(lots)) rc_lots_anew(lots);
    place = lots->next.first;
    lots->next.first = rc_lots_one(lots);
    return place;
#else
    return rc_lots_one(lots);
#endif
}

static inline rc_two rc_lots_next_two(rc_lots *lots)
{
#if RC_AHEAD
    rc_two two;
    if (!rc_lots_ready(lots)) rc_lots_anew(lots);
    two = rc_two_read(&lots->next);
    rc_two_set(&lots->next, rc_two_read(&lots->later));
    rc_two_set(&lots->later, rc_lots_two(lots));
    return two;
#else
    return rc_lots_two(lots);
#endif
}

/* Into the nearest cache. */
static inline void rc_fetch(const void *there) { __builtin_prefetch(there, 1); }

#endif
