/* Atomic words of the cache, each with the order that its use needs. */
#ifndef RC_CACHE_ATOMIC_H
#define RC_CACHE_ATOMIC_H

#include <stdint.h>

/* Acquire: what was written before the word was set is seen by who reads it. */
static inline int64_t rc_word_read(int64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

/* Release: what was written before is seen by who reads the word. */
static inline void rc_word_set(int64_t *word, int64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

/* 0 becomes 1, or it is 1 already. Only who comes first writes: a word that all threads write would go from core to core.
   No order is needed, since nothing else is concluded from it. */
static inline void rc_word_mark(int64_t *word)
{
    if (!__atomic_load_n(word, __ATOMIC_RELAXED)) __atomic_store_n(word, 1, __ATOMIC_RELAXED);
}

/* Raises the word to `value` if it is lower. 1: done by this call; 0: it was not lower. */
static inline int rc_word_raise(int64_t *word, int64_t value)
{
    int64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (seen < value)
        if (__atomic_compare_exchange_n(word, &seen, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return 1;
    return 0;
}

/* 0 becomes 1 in one step. 1: this call did it; 0: it was 1 already. */
static inline int rc_word_claim(int64_t *word)
{
    int64_t free_ = 0;
    return __atomic_compare_exchange_n(word, &free_, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

#endif
