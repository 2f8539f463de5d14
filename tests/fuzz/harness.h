/* What the fuzz targets share: a decoder as the Python side sets one up, everything that it says as one text to
   compare, and oracles that are too simple to be wrong. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compact.h"
#include "decoder.h"
#include "document.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(truth)                                                                   \
    do {                                                                               \
        if (!(truth)) {                                                                \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #truth); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

unsigned fuzz_fail = 0;
int fuzz_failed = 0;

/* What the Python side does once for the process. DICTIONARY is the path of the compact form's dictionary. */
static inline void begin(void)
{
    static int begun = 0;
    static uint8_t dictionary[1 << 20];
    if (begun) return;
    begun = 1;
    rc_text_use(NULL);
    FILE *f = fopen(DICTIONARY, "rb");
    CHECK(f != NULL);
    size_t n = fread(dictionary, 1, sizeof dictionary, f);
    fclose(f);
    CHECK(rc_compact_init(dictionary, n) == 0);
}

/* ---- the decoder ---- */

/* Bits say which limit is small, `size` how small. */
enum { SMALL_BODY = 1, SMALL_NODES = 2, SMALL_STRING = 4, SMALL_TAGS = 8, SMALL_TAG = 16, SMALL_NESTING = 32,
       SMALL_WARNINGS = 64, SMALL_RECORD = 128 };

/* Objects made of records are stood for by a byte each: freed once, or the leak checker says so. */
static inline void forget_parsed(void *parsed) { free(parsed); }

static inline rc_decoder *new_decoder(unsigned small, unsigned size, int strict)
{
    rc_decoder *d = rc_decoder_new();
    CHECK(d != NULL);
    rc_record_drop_parsed = forget_parsed;
    d->body_bytes = small & SMALL_BODY ? 1 + size * 16 : UINT64_C(1) << 28;
    d->nodes_limit = small & SMALL_NODES ? 1 + size % 4 : 100000;
    d->string_bytes = small & SMALL_STRING ? 1 + size % 40 : 16384;
    d->tags_limit = small & SMALL_TAGS ? 1 + size % 6 : 4096;
    d->tag_bytes = small & SMALL_TAG ? 1 + size : 262144;
    d->nesting = small & SMALL_NESTING ? 1 + size % 12 : 10000;
    d->warnings_limit = small & SMALL_WARNINGS ? 1 + size % 4 : 100;
    d->workshop.record_bytes = small & SMALL_RECORD ? 1 + size * 2 : 524288;
    d->workshop.ratio = small & SMALL_RECORD ? 1 + size % 8 : 200;
    d->decompressed_bytes = small & SMALL_RECORD ? 1 + size * 4 : 134217728;
    d->workshop.nesting = d->nesting;
    d->strict = strict;
    d->kinds = malloc(d->nesting / 8 + 1);
    CHECK(d->kinds != NULL);
    memset(d->kinds, 0, d->nesting / 8 + 1);
    return d;
}

/* A copy in a block of exactly its size: reading beyond it is seen. */
static inline uint8_t *exactly(const uint8_t *data, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    CHECK(p != NULL);
    if (n) memcpy(p, data, n);
    return p;
}

/* ---- text to compare ---- */

static inline void say(rc_buf *out, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < sizeof line && rc_buf_put(out, line, (size_t)n) == 0);
}

static inline void say_bytes(rc_buf *out, const char *name, const uint8_t *p, size_t n)
{
    say(out, " %s[%zu]=", name, n);
    CHECK(rc_buf_put(out, p, n) == 0);
}

static inline void same(const rc_buf *a, const rc_buf *b, const char *what)
{
    if (a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0)) return;
    fprintf(stderr, "not the same: %s\n---- first ----\n%.*s\n---- second ----\n%.*s\n", what, (int)a->len,
            (const char *)a->data, (int)b->len, (const char *)b->data);
    abort();
}

static inline void say_record(rc_buf *out, const rc_record *r)
{
    say(out, "\n  record %u code %u cost %u", r->kind, r->code, r->cost);
    say_bytes(out, "key", r->bytes, r->key_len);
    say_bytes(out, "data", rc_record_data(r), r->data_len);
}

static inline void say_problem(rc_buf *out, const rc_decoder *d, const rc_problem *p)
{
    say(out, "\nproblem %u at %llu place %u", p->code, (unsigned long long)p->offset, p->place);
    if (p->place != RC_P_TOP) say(out, " entry %zu", p->entry);
    if (p->place == RC_P_TAG || p->place == RC_P_CHECK || p->place == RC_P_CHECK_ID || p->place == RC_P_CHECK_STATUS)
        say(out, " index %zu", p->index);
    if (p->has_node) {
        CHECK(p->node.at <= d->notes.len && p->node.len <= d->notes.len - p->node.at);
        say_bytes(out, "node", d->notes.data + p->node.at, p->node.len);
    }
}

/* ---- UTF-8 and JSON, naively ---- */

/* Length of the sequence that p begins with, or 0. */
static inline size_t naive_utf8(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (len == 0 || len > n) return 0;
    uint32_t rune = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) return 0;
        rune = rune << 6 | (p[i] & 0x3f);
    }
    return rune < least[len] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000) ? 0 : len;
}

static inline int naive_clean(const uint8_t *p, size_t n)
{
    for (size_t i = 0, len; i < n; i += len)
        if ((len = naive_utf8(p + i, n - i)) == 0) return 0;
    return 1;
}

static inline int naive_hex(uint8_t c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at == NULL ? -1 : (int)((at - digits) & 15);
}

static inline size_t naive_digits(const uint8_t *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9') i++;
    return i;
}

/* Length of the string, number or word at the beginning, or 0. */
static inline size_t naive_scalar(const uint8_t *s, size_t n, int utf8)
{
    size_t i = 0, digits;
    if (n >= 4 && (memcmp(s, "true", 4) == 0 || memcmp(s, "null", 4) == 0)) return 4;
    if (n >= 5 && memcmp(s, "false", 5) == 0) return 5;
    if (s[0] == '"') {
        for (i = 1; i < n && s[i] != '"';) {
            if (s[i] < 0x20) return 0;
            if (s[i] == '\\') {
                if (n - i < 2 || s[i + 1] == 0 || strchr("\"\\/bfnrtu", s[i + 1]) == NULL) return 0;
                if (s[i + 1] == 'u') {
                    if (n - i < 6) return 0;
                    for (size_t j = 2; j < 6; j++)
                        if (naive_hex(s[i + j]) < 0) return 0;
                    i += 4;
                }
                i += 2;
            } else {
                size_t len = utf8 ? naive_utf8(s + i, n - i) : 1;
                if (len == 0) return 0;
                i += len;
            }
        }
        return i < n ? i + 1 : 0;
    }
    if (s[0] == '-') i++;
    if ((digits = naive_digits(s + i, n - i)) == 0) return 0;
    i += s[i] == '0' ? 1 : digits;
    if (i < n && s[i] == '.') {
        if ((digits = naive_digits(s + i + 1, n - i - 1)) == 0) return 0;
        i += 1 + digits;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < n && (s[i] == '+' || s[i] == '-')) i++;
        if ((digits = naive_digits(s + i, n - i)) == 0) return 0;
        i += digits;
    }
    return i;
}

/* Is the text one JSON value? `utf8`: strings have to be UTF-8. `*deepest`: the most brackets open at once so far. */
static inline int naive_json(const uint8_t *s, size_t n, int utf8, size_t *deepest)
{
    enum { VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, BEHIND } next = VALUE;
    uint8_t *open = malloc(n + 1);
    size_t depth = 0, len = 1;
    int valid = 0;
    CHECK(open != NULL);
    *deepest = 0;
    for (size_t i = 0; i < n; i += len) {
        uint8_t c = s[i];
        len = 1;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
        if ((c == ']' && depth && open[depth - 1] == '[' && (next == FIRST_VALUE || next == BEHIND)) ||
            (c == '}' && depth && open[depth - 1] == '{' && (next == FIRST_KEY || next == BEHIND))) {
            depth--;
            next = BEHIND;
        } else if (next == BEHIND) {
            if (c != ',' || depth == 0) goto out;
            next = open[depth - 1] == '{' ? KEY : VALUE;
        } else if (next == COLON) {
            if (c != ':') goto out;
            next = VALUE;
        } else if (next == KEY || next == FIRST_KEY) {
            if (c != '"' || (len = naive_scalar(s + i, n - i, utf8)) == 0) goto out;
            next = COLON;
        } else if (c == '[' || c == '{') {
            open[depth++] = c;
            if (depth > *deepest) *deepest = depth;
            next = c == '[' ? FIRST_VALUE : FIRST_KEY;
        } else {
            if ((len = naive_scalar(s + i, n - i, utf8)) == 0) goto out;
            next = BEHIND;
        }
    }
    valid = next == BEHIND && depth == 0;
out:
    free(open);
    return valid;
}

#endif
