/* Text: the run of plain bytes in a JSON string, UTF-8 by Go's rule, keys as Go folds them. */
#ifndef RC_TEXT_H
#define RC_TEXT_H

#include "memory.h"

#if !defined(RC_PORTABLE) && defined(__SSE2__)
#define RC_SSE2 1
#include <emmintrin.h>
#elif !defined(RC_PORTABLE) && defined(__aarch64__)
#define RC_NEON 1
#include <arm_neon.h>
#endif

/* The first byte in [p, end) that is '"', '\\', below 0x20 or above 0x7f; `end` where there is none. */
extern const uint8_t *(*rc_plain_far)(const uint8_t *p, const uint8_t *end);

/* Chooses rc_plain_far: the one of this name, or the widest that this processor has for NULL; before any decoding, or
   while nothing is decoded. Returns its name, or NULL where the processor does not have it. */
const char *rc_text_use(const char *name);
const uint8_t *rc_plain_portable(const uint8_t *p, const uint8_t *end);

static inline const uint8_t *rc_plain_run(const uint8_t *p, const uint8_t *end)
{
#ifdef RC_SSE2
    /* Most strings of a body are shorter than 16 bytes; the rest of the bytes are in long ones. */
    if (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* signed: below 0x20 holds for the control characters and for 0x80 to 0xff */
        __m128i m = _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(0x20)),
                                 _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                              _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))));
        unsigned bits = (unsigned)_mm_movemask_epi8(m);
        if (bits) return p + __builtin_ctz(bits);
        p += 16;
    }
#endif
    return rc_plain_far(p, end);
}

/* Length of the well-formed UTF-8 sequence at p (1 to 4), or 0. */
size_t rc_utf8_len(const uint8_t *p, const uint8_t *end);

/* Appends text with each byte that is not part of valid UTF-8 replaced by U+FFFD, as Go does. -1: no memory. */
int rc_put_clean(rc_buf *out, const uint8_t *p, size_t n);

/* Appends one code point (a lone surrogate becomes U+FFFD). -1: no memory. */
int rc_put_rune(rc_buf *out, uint32_t rune);

/* Value of a hex digit, or -1. */
extern const int8_t rc_hex_value[256];

/* Is the key this name, by Go's rule: ASCII letters in any case, U+017F for s, U+212A for k? `name` is ASCII. */
int rc_key_folds(const uint8_t *key, size_t n, const char *name, size_t name_len);

/* Nearly every key is the name itself, or begins otherwise; only the rest is folded. Folding makes no key shorter. */
static inline int rc_key_is(const uint8_t *key, size_t n, const char *name, size_t name_len)
{
    if (n == name_len && memcmp(key, name, name_len) == 0) return 1;
    if (n < name_len || (((key[0] ^ (uint8_t)name[0]) & 0xdf) != 0 && key[0] < 0x80)) return 0;
    return rc_key_folds(key, n, name, name_len);
}
#define RC_KEY(key, n, literal) rc_key_is((key), (n), (literal), sizeof(literal) - 1)

#endif
