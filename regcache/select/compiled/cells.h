/* What picks read of the peers of a pool lies side by side, two peers to a line of the cache: of 10,000 peers all fit into
   the second nearest, which the peers themselves do not. A cell belongs to one Pulse, from when it is made until it is
   freed; the blocks belong to the pool's Tally, which every Pulse keeps alive. */
#ifndef RC_SELECT_CELLS_H
#define RC_SELECT_CELLS_H

#include "count.h"

#define RC_LINE 64
#define RC_BLOCK 256 /* cells of a block: 8 KiB */

typedef struct rc_cell {
    int64_t busy;         /* calls in flight */
    int64_t latency;      /* seconds as a float, below 0: none yet */
    int64_t sampled;      /* when that was; nanoseconds */
    union {
        int64_t picked;       /* when a call was last given to it; nanoseconds; kept by peak_ewma */
        struct rc_cell *next; /* of those that nobody has */
    };
} rc_cell;

typedef struct rc_block {
    struct rc_block *next;
    char room[RC_BLOCK * sizeof(rc_cell) + RC_LINE - 1]; /* cells, from the first line on that begins in here */
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
        rc_cell *first;
        if (block == NULL) return NULL;
        block->next = cells->blocks;
        cells->blocks = block;
        first = (rc_cell *)(((uintptr_t)block->room + RC_LINE - 1) & ~(uintptr_t)(RC_LINE - 1));
        for (int i = RC_BLOCK; i-- > 0; cells->spare = &first[i]) first[i].next = cells->spare;
    }
    taken = cells->spare;
    cells->spare = taken->next;
    taken->busy = 0;
    taken->picked = INT64_MIN;
    rc_real_set(&taken->latency, -1.0);
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
