/* Draws places by their weights: one look whatever their number (the alias method: Walker 1977, Vose 1991). */
#ifndef RC_SELECT_LOTS_H
#define RC_SELECT_LOTS_H

#include "rng.h"

#define RC_DRAWS 4 /* until a second place is not the first */

typedef struct {
    uint32_t share; /* how much of 2**32 is the place's own */
    uint32_t other; /* whose the rest is */
} rc_lot;

typedef struct {
    rc_draws draws;
    rc_lot *table; /* owned; NULL: all places weigh the same */
    uint32_t count;
} rc_lots;

static inline uint32_t rc_lots_one(rc_lots *lots)
{
    uint64_t drawn = rc_draw(&lots->draws);
    uint32_t place = (uint32_t)(((drawn >> 32) * lots->count) >> 32);
    if (lots->table == NULL || (uint32_t)drawn < lots->table[place].share) return place;
    return lots->table[place].other;
}

/* Two of at least two; the first as likely as its weight says. Where weights leave little choice it may come twice. */
static inline void rc_lots_two(rc_lots *lots, uint32_t *first, uint32_t *second)
{
    if (lots->table == NULL) {
        uint64_t drawn = rc_draw(&lots->draws);
        uint32_t other = (uint32_t)(((drawn & 0xFFFFFFFFU) * (lots->count - 1)) >> 32);
        *first = (uint32_t)(((drawn >> 32) * lots->count) >> 32);
        *second = other + (other >= *first);
        return;
    }
    *first = rc_lots_one(lots);
    for (int i = 0; i < RC_DRAWS; i++) {
        *second = rc_lots_one(lots);
        if (*second != *first) return;
    }
    *second = *first;
}

#endif
