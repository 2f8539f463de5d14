/* The counts of calls in flight of all peers of a pool lie side by side: two choices look at two of them, and of 10,000
   peers all fit into the nearest caches, which the peers themselves do not. A cell belongs to one Pulse, from when it is
   made until it is freed; the blocks belong to the pool's Tally, which every Pulse keeps alive. */
#ifndef RC_SELECT_CELLS_H
#define RC_SELECT_CELLS_H

#include "count.h"

#define RC_BLOCK 512 /* cells of a block: 4 KiB */

typedef union rc_cell {
    int64_t count;
    union rc_cell *next; /* of those that nobody has */
} rc_cell;

typedef struct rc_block {
    struct rc_block *next;
    rc_cell cells[RC_BLOCK];
} rc_block;

typedef struct {
    rc_block *blocks; /* owned */
    rc_cell *spare;   /* for whoever makes Pulses: one thread at a time */
    rc_cell *back;    /* given back by any thread; taken all at once, so that no cell can come twice */
} rc_cells;

/* NULL: no memory. */
static inline rc_cell *rc_cell_take(rc_cells *cells)
{
    rc_cell *taken;
    if (cells->spare == NULL) cells->spare = __atomic_exchange_n(&cells->back, NULL, __ATOMIC_ACQUIRE);
    if (cells->spare == NULL) {
        rc_block *block = PyMem_RawCalloc(1, sizeof *block);
        if (block == NULL) return NULL;
        block->next = cells->blocks;
        cells->blocks = block;
        for (int i = RC_BLOCK; i-- > 0; cells->spare = &block->cells[i]) block->cells[i].next = cells->spare;
    }
    taken = cells->spare;
    cells->spare = taken->next;
    taken->count = 0;
    return taken;
}

static inline void rc_cell_give(rc_cells *cells, rc_cell *cell)
{
    rc_cell *first = __atomic_load_n(&cells->back, __ATOMIC_RELAXED);
    do {
        cell->next = first;
    } while (!__atomic_compare_exchange_n(&cells->back, &first, cell, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static inline void rc_cells_free(rc_cells *cells)
{
    while (cells->blocks != NULL) {
        rc_block *block = cells->blocks;
        cells->blocks = block->next;
        PyMem_RawFree(block);
    }
}

#endif
