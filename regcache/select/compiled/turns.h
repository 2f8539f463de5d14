/* Turns of a round, see pure/schedule.py. */
#ifndef RC_SELECT_TURNS_H
#define RC_SELECT_TURNS_H

#include <stdint.h>
#include <stdlib.h>

/* The peers of one weight, which take the group's turns one after the other. */
typedef struct {
    int64_t turns; /* in a round, of all of them together */
    int64_t peers;
    int64_t taken;    /* how many of the turns */
    int64_t deadline; /* of the next one */
    size_t after;     /* the next group that is released then; 0: none, otherwise one more than its place */
} rc_group;

/* Earlier deadlines first, then the order of the groups. */
static inline int rc_sooner(const rc_group *groups, size_t a, size_t b)
{
    return groups[a].deadline != groups[b].deadline ? groups[a].deadline < groups[b].deadline : a < b;
}

static inline void rc_heap_push(size_t *heap, size_t *count, const rc_group *groups, size_t made)
{
    size_t at = (*count)++;
    for (; at > 0 && rc_sooner(groups, made, heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = made;
}

static inline size_t rc_heap_pop(size_t *heap, size_t *count, const rc_group *groups)
{
    size_t first = heap[0], last = heap[--(*count)], at = 0, below;
    while ((below = 2 * at + 1) < *count) {
        if (below + 1 < *count && rc_sooner(groups, heap[below + 1], heap[below])) below++;
        if (!rc_sooner(groups, heap[below], last)) break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = last;
    return first;
}

/* The next turn of a group may be taken from `time` on, or from when its part of the round begins. */
static inline void rc_release(size_t *released, rc_group *groups, size_t group, int64_t time, int64_t total)
{
    rc_group *g = &groups[group];
    int64_t begins = g->taken * total / g->turns;
    if (g->taken == g->turns) return;
    if (begins < time) begins = time;
    g->deadline = ((g->taken + 1) * total + g->turns - 1) / g->turns;
    g->after = released[begins];
    released[begins] = group + 1;
}

/* Fills order[total] with groups. released[total] is all 0, heap[count] anything; `turns` of the groups sum up to total. */
static inline void rc_round(rc_group *groups, size_t count, size_t *released, size_t *heap, uint32_t *order, int64_t total)
{
    size_t ready = 0, last = count, group, other;
    for (group = 0; group < count; group++) rc_release(released, groups, group, 0, total);
    for (int64_t time = 0; time < total; time++) {
        for (group = released[time]; group; group = groups[group - 1].after)
            rc_heap_push(heap, &ready, groups, group - 1);
        group = rc_heap_pop(heap, &ready, groups);
        if (group == last && groups[group].peers == 1 && ready && groups[heap[0]].deadline == groups[group].deadline) {
            other = rc_heap_pop(heap, &ready, groups);
            rc_heap_push(heap, &ready, groups, group);
            group = other;
        }
        order[time] = (uint32_t)group;
        groups[group].taken++;
        rc_release(released, groups, group, time + 1, total);
        last = group;
    }
}

#endif
