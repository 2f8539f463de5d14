/* The exact time, for how long calls take: clock.h has the cheap one, which is behind by up to 10 ms. */
#ifndef RC_SELECT_EXACT_H
#define RC_SELECT_EXACT_H

#include "clock.h"

#ifdef __APPLE__
#define RC_EXACT CLOCK_UPTIME_RAW
#else
#define RC_EXACT CLOCK_MONOTONIC
#endif

static inline int64_t rc_exact_now(void)
{
    struct timespec now;
    clock_gettime(RC_EXACT, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
