/* Turns of a round, see pure/schedule.py. */
#ifndef RC_SELECT_TURNS_H
#define RC_SELECT_TURNS_H

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    double at;
    int64_t part; /* of two at one time the one of greater weight comes first */
    uint32_t place;
} rc_turn;

static inline int rc_turn_order(const void *a, const void *b)
{
    const rc_turn *p = a, *q = b;
    if (p->at != q->at) return p->at < q->at ? -1 : 1;
    if (p->part != q->part) return p->part > q->part ? -1 : 1;
    return p->place < q->place ? -1 : p->place > q->place;
}

#endif
