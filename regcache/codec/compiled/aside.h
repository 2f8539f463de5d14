/* Letting other threads have the GIL. */
#ifndef RC_ASIDE_H
#define RC_ASIDE_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds that only grow. */
static inline int64_t rc_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Called without the GIL: away for about 0.06 ms (the slack of Linux's timers), in which a thread that waits for the
   GIL wakes up and takes it. Where there is no GIL nobody waits. */
static inline void rc_step_aside(void)
{
#if !defined(Py_GIL_DISABLED)
    struct timespec least = {0, 1};
    nanosleep(&least, NULL);
#endif
}

#endif
