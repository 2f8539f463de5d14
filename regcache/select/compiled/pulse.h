/* What is counted of a peer. Every member that changes is a word of its own, or several numbers packed into one word, so
   that no lock is needed; a sample of a latency that is lost between two threads is no loss. See pure/peer.py. */
#ifndef RC_SELECT_PULSE_H
#define RC_SELECT_PULSE_H

#include <math.h>

#include "cells.h"

#define RC_DECAY 10.0             /* seconds in which a latency falls to 1/e */
#define RC_HALF 5000000000LL      /* nanoseconds of each half of the window */
#define RC_MOST ((1LL << 20) - 1) /* a half counts no further */

enum { RC_UP = 0, RC_PROBING = 1, RC_EJECTED = 2 };
enum { RC_IN_A_ROW = 1, RC_FAILING = 2, RC_PROBE_PASSED = 4, RC_PROBE_FAILED = 8 };

typedef struct {
    rc_cell *cell;
    int64_t row;     /* failures in a row */
    int64_t state;
    int64_t halves[2]; /* of each half of the window: number of the half (24 bits), calls (20), failures (20) */
    int64_t *tally;    /* calls in flight of the whole pool; its owner is kept alive beside this */
    /* Limits, which never change. */
    int64_t limit;
    int64_t calls;
    double rate;
} rc_pulse;

static inline void rc_pulse_begin(rc_pulse *pulse)
{
    rc_count_add(&pulse->cell->busy, 1);
    rc_count_add(pulse->tally, 1);
}

/* Never below 0. */
static inline void rc_pulse_end(rc_pulse *pulse)
{
    int64_t seen = rc_count_read(&pulse->cell->busy);
    do {
        if (seen <= 0) return;
    } while (!rc_count_swap(&pulse->cell->busy, &seen, seen - 1));
    rc_count_add(pulse->tally, -1);
}

/* The latency now: it falls while no answer comes. */
static inline double rc_cell_decay(rc_cell *cell, int64_t now)
{
    int64_t idle = now - rc_count_read(&cell->sampled);
    return idle > 0 ? exp(-(double)idle * 1e-9 / RC_DECAY) : 1.0;
}

static inline void rc_cell_sample(rc_cell *cell, int ok, double elapsed, int64_t now)
{
    double held = rc_real_read(&cell->latency);
    if (elapsed < held || held < 0.0) {
        if (!ok) return;
        if (held >= 0.0) {
            double weight = rc_cell_decay(cell, now);
            elapsed = held * weight + elapsed * (1.0 - weight);
        }
    }
    rc_real_set(&cell->latency, elapsed);
    rc_count_set(&cell->sampled, now);
}

static inline int64_t rc_half_of(int64_t now) { return (now < 0 ? now - (RC_HALF - 1) : now) / RC_HALF; }
static inline int64_t rc_half_number(int64_t half) { return half >> 40 & 0xFFFFFF; }
static inline int64_t rc_half_calls(int64_t half) { return half >> 20 & RC_MOST; }
static inline int64_t rc_half_failures(int64_t half) { return half & RC_MOST; }

/* The outcome of a call. elapsed: seconds, below 0: not known. Returns 0, or why somebody must look. */
static inline int rc_pulse_record(rc_pulse *pulse, int ok, double elapsed, int64_t now)
{
    int64_t number = rc_half_of(now), next, row, state;
    int64_t *word = &pulse->halves[number & 1];
    int64_t seen = rc_count_read(word);
    if (elapsed >= 0.0) rc_cell_sample(pulse->cell, ok, elapsed, now);
    do {
        next = rc_half_number(seen) == (number & 0xFFFFFF) ? seen : (int64_t)((uint64_t)(number & 0xFFFFFF) << 40);
        if (rc_half_calls(next) < RC_MOST) next += (1LL << 20) + !ok;
    } while (!rc_count_swap(word, &seen, next));

    state = rc_count_read(&pulse->state);
    if (ok) {
        /* Read first: a word that all threads write would go from core to core. */
        if (rc_count_read(&pulse->row)) rc_count_set(&pulse->row, 0);
        return state == RC_PROBING ? RC_PROBE_PASSED : 0;
    }
    row = rc_count_add(&pulse->row, 1) + 1;
    if (state != RC_UP) return state == RC_PROBING ? RC_PROBE_FAILED : 0;
    {
        int verdict = pulse->limit > 0 && row >= pulse->limit ? RC_IN_A_ROW : 0;
        int64_t other = rc_count_read(&pulse->halves[~number & 1]);
        int64_t calls = rc_half_calls(next), failures = rc_half_failures(next);
        if (rc_half_number(other) == ((number - 1) & 0xFFFFFF)) {
            calls += rc_half_calls(other);
            failures += rc_half_failures(other);
        }
        if (pulse->calls > 0 && calls >= pulse->calls && (double)failures >= pulse->rate * (double)calls)
            verdict |= RC_FAILING;
        return verdict;
    }
}

static inline void rc_pulse_set_state(rc_pulse *pulse, int64_t state)
{
    rc_count_set(&pulse->state, state);
    rc_count_set(&pulse->row, 0);
    rc_count_set(&pulse->halves[0], 0);
    rc_count_set(&pulse->halves[1], 0);
}

#endif
