/* The time that every call reads, in nanoseconds: the clock of time.monotonic, but a cheaper reading of it where the
   system has one. It is that of the last tick, so it may be behind, never ahead: by at most 10 ms on Linux (a tick is
   1 to 10 ms), a few elsewhere. That is harmless, because what it is compared with are times after which somebody has
   to look again, all of them seconds away and most of them jittered: he then looks some milliseconds later. And because
   it is never ahead, whoever is sent to look finds by the exact clock that it is time. */
#ifndef RC_CACHE_CLOCK_H
#define RC_CACHE_CLOCK_H

#include <stdint.h>
#include <time.h>

#if defined(CLOCK_MONOTONIC_COARSE) /* Linux; 5 ns in place of 17 */
#define RC_CLOCK CLOCK_MONOTONIC_COARSE
#elif defined(__APPLE__) /* of mach_absolute_time, as time.monotonic; CLOCK_MONOTONIC goes on while the machine sleeps */
#define RC_CLOCK CLOCK_UPTIME_RAW_APPROX
#elif defined(CLOCK_MONOTONIC_FAST) /* FreeBSD */
#define RC_CLOCK CLOCK_MONOTONIC_FAST
#else
#define RC_CLOCK CLOCK_MONOTONIC
#endif

static inline int64_t rc_coarse_now(void)
{
    struct timespec now;
    clock_gettime(RC_CLOCK, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Seconds of any clock. Infinity is never; what is no number is always over. */
static inline int64_t rc_nanoseconds(double seconds)
{
    if (seconds >= 9.2e9) return INT64_MAX;
    return seconds > -9.2e9 ? (int64_t)(seconds * 1e9) : INT64_MIN;
}

#endif
