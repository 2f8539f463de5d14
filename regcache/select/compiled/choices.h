/* Which of two is less busy. */
#ifndef RC_SELECT_CHOICES_H
#define RC_SELECT_CHOICES_H

#include "cells.h"
#include "lots.h"

#define RC_MANY 500 /* peers: what is read of more does not fit into the nearest cache */

typedef struct {
    rc_lots lots;
    rc_cell **cells;   /* owned: of each place */
    PyObject **nodes;
    double *weights;   /* owned; NULL: all the same */
} rc_choices;

/* For the picks ahead. */
RC_INLINE void rc_choices_fetch(rc_cell *const *cells, PyObject *const *nodes, rc_two next, rc_two later)
{
    rc_fetch(cells[next.first]);
    rc_fetch(cells[next.second]);
    rc_fetch(nodes[next.first]);
    rc_fetch(&cells[later.first]);
    rc_fetch(&cells[later.second]);
    rc_fetch(&nodes[later.first]);
}

static uint32_t rc_idler(rc_choices *choices)
{
    rc_lots *lots = &choices->lots;
    const double *weights = choices->weights;
    rc_two two = rc_lots_next_two(lots);
    int64_t busy, other;
    if (RC_AHEAD && lots->count > RC_MANY)
        rc_choices_fetch(choices->cells, choices->nodes, rc_two_read(&lots->next), rc_two_read(&lots->later));
    busy = rc_count_read(&choices->cells[two.first]->busy);
    other = rc_count_read(&choices->cells[two.second]->busy);
    /* A tie is the first's: which of them is first, is chance. */
    if (weights == NULL) return other < busy ? two.second : two.first;
    return (double)other * weights[two.first] < (double)busy * weights[two.second] ? two.second : two.first;
}

/* The node, with the GIL, of at least two that weigh the same, and if `rc_lots_ready`. many: as a constant. */
RC_INLINE PyObject *rc_idler_even(rc_choices *choices, int many)
{
    rc_lots *lots = &choices->lots;
    rc_cell *const *cells = choices->cells;
    PyObject *const *nodes = choices->nodes;
    rc_two two = rc_two_read(&lots->next), next, later;
    PyObject *node = nodes[two.first];
    /* To be guessed, and not waited for. */
    if (__builtin_expect(rc_count_read(&cells[two.second]->busy) < rc_count_read(&cells[two.first]->busy), 0)) {
        __asm__ volatile("");
        node = nodes[two.second];
    }
    next = rc_two_read(&lots->later);
    rc_two_set(&lots->next, next);
    later = rc_lots_two_even(lots);
    rc_two_set(&lots->later, later);
    if (many) rc_choices_fetch(cells, nodes, next, later);
    return node;
}

#endif
