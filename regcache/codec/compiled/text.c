#include "text.h"

#ifdef RC_SSE2
#include <immintrin.h>
#endif

const uint8_t *rc_plain_portable(const uint8_t *p, const uint8_t *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    while (end - p >= 8) {
        uint64_t x, q, b;
        memcpy(&x, p, 8);
        q = x ^ (ones * '"');
        b = x ^ (ones * '\\');
        /* a zero byte borrows into its top bit; bytes with the top bit set are special anyway */
        uint64_t hit = (x - ones * 0x20) | (q - ones) | (b - ones) | x;
        if (hit & high) break;
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') p++;
    return p;
}

#ifdef RC_SSE2
static const uint8_t *plain_sse2(const uint8_t *p, const uint8_t *end)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), low = _mm_set1_epi8(0x20);
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i m = _mm_or_si128(_mm_cmplt_epi8(x, low),
                                 _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash)));
        unsigned bits = (unsigned)_mm_movemask_epi8(m);
        if (bits) return p + __builtin_ctz(bits);
        p += 16;
    }
    return rc_plain_portable(p, end);
}

__attribute__((target("avx2"))) static inline __m256i special_avx2(__m256i x)
{
    return _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), x),
                           _mm256_or_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8('"')),
                                           _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\\'))));
}

__attribute__((target("avx2"))) static const uint8_t *plain_avx2(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 128) {
        __m256i a = special_avx2(_mm256_loadu_si256((const __m256i *)(const void *)p));
        __m256i b = special_avx2(_mm256_loadu_si256((const __m256i *)(const void *)(p + 32)));
        __m256i c = special_avx2(_mm256_loadu_si256((const __m256i *)(const void *)(p + 64)));
        __m256i d = special_avx2(_mm256_loadu_si256((const __m256i *)(const void *)(p + 96)));
        __m256i any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
        if (!_mm256_testz_si256(any, any)) {
            unsigned bits = (unsigned)_mm256_movemask_epi8(a);
            if (bits) return p + __builtin_ctz(bits);
            bits = (unsigned)_mm256_movemask_epi8(b);
            if (bits) return p + 32 + __builtin_ctz(bits);
            bits = (unsigned)_mm256_movemask_epi8(c);
            if (bits) return p + 64 + __builtin_ctz(bits);
            return p + 96 + __builtin_ctz((unsigned)_mm256_movemask_epi8(d));
        }
        p += 128;
    }
    while (end - p >= 32) {
        unsigned bits =
            (unsigned)_mm256_movemask_epi8(special_avx2(_mm256_loadu_si256((const __m256i *)(const void *)p)));
        if (bits) return p + __builtin_ctz(bits);
        p += 32;
    }
    return plain_sse2(p, end);
}
#endif

#ifdef RC_NEON
static const uint8_t *plain_neon(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 16) {
        uint8x16_t x = vld1q_u8(p);
        uint8x16_t m = vorrq_u8(vorrq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vcgeq_u8(x, vdupq_n_u8(0x80))),
                                vorrq_u8(vceqq_u8(x, vdupq_n_u8('"')), vceqq_u8(x, vdupq_n_u8('\\'))));
        if (vmaxvq_u8(m)) {
            /* four bits for each byte */
            uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(m), 4)), 0);
            return p + (__builtin_ctzll(bits) >> 2);
        }
        p += 16;
    }
    return rc_plain_portable(p, end);
}
#endif

const uint8_t *(*rc_plain_far)(const uint8_t *, const uint8_t *) = rc_plain_portable;

const char *rc_text_use(const char *name)
{
    static const struct {
        const char *name;
        const uint8_t *(*far)(const uint8_t *, const uint8_t *);
    } all[] = { /* the widest first */
#ifdef RC_SSE2
        {"avx2", plain_avx2},
        {"sse2", plain_sse2},
#endif
#ifdef RC_NEON
        {"neon", plain_neon},
#endif
        {"portable", rc_plain_portable},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (name != NULL && strcmp(name, all[i].name) != 0) continue;
#ifdef RC_SSE2
        __builtin_cpu_init();
        if (all[i].far == plain_avx2 && !__builtin_cpu_supports("avx2")) continue;
#endif
        rc_plain_far = all[i].far;
        return all[i].name;
    }
    return NULL;
}

size_t rc_utf8_len(const uint8_t *p, const uint8_t *end)
{
    uint8_t c = p[0], lo = 0x80, hi = 0xbf;
    size_t n;
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    if (c < 0xe0) n = 2;
    else if (c < 0xf0) {
        n = 3;
        if (c == 0xe0) lo = 0xa0;
        else if (c == 0xed) hi = 0x9f;
    } else {
        n = 4;
        if (c == 0xf0) lo = 0x90;
        else if (c == 0xf4) hi = 0x8f;
    }
    if ((size_t)(end - p) < n || p[1] < lo || p[1] > hi) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

int rc_put_clean(rc_buf *out, const uint8_t *p, size_t n)
{
    if (n == 0) return 0; /* no text may have no address */
    const uint8_t *end = p + n, *from = p;
    while (p < end) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        size_t len = rc_utf8_len(p, end);
        if (len) {
            p += len;
            continue;
        }
        if (rc_buf_put(out, from, (size_t)(p - from)) < 0 || rc_buf_put(out, "\xef\xbf\xbd", 3) < 0) return -1;
        from = ++p;
    }
    return rc_buf_put(out, from, (size_t)(p - from));
}

int rc_put_rune(rc_buf *out, uint32_t r)
{
    uint8_t b[4];
    size_t n;
    if (r >= 0xd800 && r < 0xe000) r = 0xfffd;
    if (r < 0x80) {
        b[0] = (uint8_t)r;
        n = 1;
    } else if (r < 0x800) {
        b[0] = (uint8_t)(0xc0 | r >> 6);
        b[1] = (uint8_t)(0x80 | (r & 0x3f));
        n = 2;
    } else if (r < 0x10000) {
        b[0] = (uint8_t)(0xe0 | r >> 12);
        b[1] = (uint8_t)(0x80 | (r >> 6 & 0x3f));
        b[2] = (uint8_t)(0x80 | (r & 0x3f));
        n = 3;
    } else {
        b[0] = (uint8_t)(0xf0 | r >> 18);
        b[1] = (uint8_t)(0x80 | (r >> 12 & 0x3f));
        b[2] = (uint8_t)(0x80 | (r >> 6 & 0x3f));
        b[3] = (uint8_t)(0x80 | (r & 0x3f));
        n = 4;
    }
    return rc_buf_put(out, b, n);
}

#define X -1
const int8_t rc_hex_value[256] = {
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, X, X, X, X, X, X,
    X, 10, 11, 12, 13, 14, 15, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, 10, 11, 12, 13, 14, 15, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
};
#undef X

int rc_key_folds(const uint8_t *key, size_t n, const char *name, size_t name_len)
{
    size_t i = 0, j = 0;
    while (i < n && j < name_len) {
        uint8_t c = key[i], want = (uint8_t)name[j];
        if (want >= 'A' && want <= 'Z') want = (uint8_t)(want + 32);
        if (c >= 'A' && c <= 'Z') c = (uint8_t)(c + 32);
        if (c == want) {
            i++;
        } else if (want == 's' && n - i >= 2 && key[i] == 0xc5 && key[i + 1] == 0xbf) {
            i += 2; /* U+017F, long s */
        } else if (want == 'k' && n - i >= 3 && key[i] == 0xe2 && key[i + 1] == 0x84 && key[i + 2] == 0xaa) {
            i += 3; /* U+212A, Kelvin */
        } else {
            return 0;
        }
        j++;
    }
    return i == n && j == name_len;
}
