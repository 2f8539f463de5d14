/* Included before everything else: the core's allocations can be made to fail, one of them in a run. */
#ifndef FAILING_H
#define FAILING_H

#include <stdlib.h>

/* The allocation that fails, counted down to 0; 0 from the start: none does. */
extern unsigned fuzz_fail;
extern int fuzz_failed;

static inline int fuzz_refuses(void)
{
    if (fuzz_fail == 0 || --fuzz_fail != 0) return 0;
    fuzz_failed = 1;
    return 1;
}
static inline void *fuzz_malloc(size_t n) { return fuzz_refuses() ? NULL : malloc(n); }
static inline void *fuzz_realloc(void *p, size_t n) { return fuzz_refuses() ? NULL : realloc(p, n); }

#define malloc(n) fuzz_malloc(n)
#define realloc(p, n) fuzz_realloc((p), (n))

#endif
