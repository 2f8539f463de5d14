#include "records.h"

#include "document.h"
#include "text.h"
#include "unhex.h"

void (*rc_record_drop_parsed)(void *parsed) = NULL;

void rc_record_hold(rc_record *r)
{
    /* relaxed is enough to take a count more of something already held */
    __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
}

void rc_record_release(rc_record *r)
{
    /* acquire-release: what others did with the record happens before it is freed */
    if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        if (r->parsed != NULL && rc_record_drop_parsed != NULL) rc_record_drop_parsed(r->parsed);
        if (r->metadata != NULL && rc_record_drop_parsed != NULL) rc_record_drop_parsed(r->metadata);
        rc_free(r);
    }
}

/* ---- the hash: 16 bytes a step, multiplied to 128 bits and folded; seeded, so that nobody can choose collisions.
   A hit compares the bytes all the same. ---- */

static uint64_t seed_a = UINT64_C(0x9e3779b97f4a7c15), seed_b = UINT64_C(0xd1b54a32d192ed03);

void rc_records_init(uint64_t a, uint64_t b)
{
    seed_a = a | 1;
    seed_b = b | 1;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide m = (wide)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash_bytes(const uint8_t *p, size_t n, int kind)
{
    uint64_t h = seed_a ^ (uint64_t)n * UINT64_C(0xa0761d6478bd642f) ^ (uint64_t)kind, g = seed_b, f = seed_a ^ seed_b;
    while (n >= 48) { /* three chains, so that the multiplications overlap */
        h = fold(load64(p) ^ seed_b, load64(p + 8) ^ h);
        g = fold(load64(p + 16) ^ seed_a, load64(p + 24) ^ g);
        f = fold(load64(p + 32) ^ seed_b, load64(p + 40) ^ f);
        p += 48;
        n -= 48;
    }
    h ^= g ^ f;
    while (n >= 16) {
        h = fold(load64(p) ^ seed_b, load64(p + 8) ^ h);
        p += 16;
        n -= 16;
    }
    if (n) {
        uint8_t tail[16] = {0};
        memcpy(tail, p, n);
        h = fold(load64(tail) ^ seed_b, load64(tail + 8) ^ h);
    }
    return fold(h ^ seed_a, seed_b);
}

/* ---- the table ---- */

static rc_record *lookup(const rc_table *t, uint64_t hash, int kind, const uint8_t *key, size_t n)
{
    if (t == NULL || t->size == 0) return NULL;
    size_t mask = t->size - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        rc_record *r = t->slots[i];
        if (r == NULL) return NULL;
        if (r->hash == hash && r->key_len == n && r->kind == kind && memcmp(r->bytes, key, n) == 0) return r;
    }
}

static void place(rc_record **slots, size_t size, rc_record *r)
{
    size_t i = (size_t)r->hash & (size - 1);
    while (slots[i] != NULL) i = (i + 1) & (size - 1);
    slots[i] = r;
}

static int resize(rc_table *t, size_t size)
{
    rc_record **slots = rc_malloc(size * sizeof *slots);
    if (slots == NULL) return -1;
    memset(slots, 0, size * sizeof *slots);
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i] != NULL) place(slots, size, t->slots[i]);
    rc_free(t->slots);
    t->slots = slots;
    t->size = size;
    return 0;
}

/* Takes over one count of r. */
static int insert(rc_table *t, rc_record *r)
{
    if ((t->count + 1) * 4 > t->size * 3 && resize(t, t->size ? t->size * 2 : 64) < 0) return -1;
    place(t->slots, t->size, r);
    t->count++;
    return 0;
}

void rc_table_free(rc_table *t)
{
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i] != NULL) rc_record_release(t->slots[i]);
    rc_free(t->slots);
    t->slots = NULL;
    t->size = t->count = 0;
}

void rc_table_sweep(rc_table *t)
{
    size_t left = 0;
    for (size_t i = 0; i < t->size; i++) {
        rc_record *r = t->slots[i];
        if (r == NULL) continue;
        if (__atomic_load_n(&r->refs, __ATOMIC_ACQUIRE) == 1) {
            rc_record_release(r);
            t->slots[i] = NULL;
        } else {
            left++;
        }
    }
    if (left == t->count) return;
    t->count = left;
    /* Gaps would end probes early: lay the table anew. Without memory for that, an empty one is still right. */
    size_t size = 64;
    while (left * 4 > size * 3) size *= 2;
    if (resize(t, size) < 0) rc_table_free(t);
}

size_t rc_table_bytes(const rc_table *t)
{
    size_t sum = t->size * sizeof *t->slots;
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i] != NULL) {
            const rc_record *r = t->slots[i];
            sum += sizeof *r + r->key_len + (r->data_at >= r->key_len ? r->data_len : 0);
        }
    return sum;
}

size_t rc_table_tags(const rc_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i] != NULL && t->slots[i]->kind != RC_K_FOREIGN && t->slots[i]->kind != RC_K_META) n++;
    return n;
}

/* ---- one tag ---- */

void rc_workshop_free(rc_workshop *w)
{
    rc_inflate_free(&w->inflater);
    rc_unpacker_free(&w->unpacker);
    rc_buf_free(&w->raw);
    rc_buf_free(&w->data);
    rc_buf_free(&w->scratch);
}

size_t rc_workshop_bytes(const rc_workshop *w)
{
    return rc_inflate_bytes(w->inflater) + rc_unpacker_bytes(&w->unpacker) + w->raw.cap + w->data.cap + w->scratch.cap;
}

/* More than this is given back after each tag. */
#define KEEP (64 * 1024)
/* regcache.limits.RATIO_FLOOR */
#define RATIO_FLOOR (128 * 1024)
/* A corrupt stream counts in steps of so many bytes: zlib does not tell the pure twin how far the last one came. */
#define STEP 256

size_t rc_allowed(size_t compressed, size_t record_bytes, size_t ratio, int *code)
{
    size_t by_ratio = ratio > SIZE_MAX / (compressed + 1) ? SIZE_MAX : ratio * compressed;
    if (by_ratio < RATIO_FLOOR) by_ratio = RATIO_FLOOR;
    *code = record_bytes <= by_ratio ? RC_LIMIT_RECORD : RC_LIMIT_RATIO;
    return record_bytes <= by_ratio ? record_bytes : by_ratio;
}

/* Sets where the data is; returns RC_OK or why there is none. */
static int decode(rc_workshop *w, int kind, const uint8_t *tag, size_t n, const uint8_t **data, size_t *len)
{
    int code;
    *data = tag;
    *len = n;
    w->cost = 0;
    if (kind == RC_K_FOREIGN || kind == RC_K_META) return RC_OK;
    w->decoded++;
    if (kind == RC_K_COMPACT) {
        code = rc_compact_unpack(&w->unpacker, &w->raw, &w->data, tag, n, w->record_bytes, w->ratio);
        w->inflated += w->cost = w->data.len;
        if (code != RC_OK) return code;
        *data = w->data.data;
        *len = w->data.len;
        return rc_compact_document(*data, *len, w->nesting, RC_MOST(w->record_bytes), &w->scratch, NULL, NULL);
    }
    if (tag[1] == '=') {
        *data = tag + 2;
        *len = n - 2;
        if (*len > w->record_bytes) return RC_LIMIT_RECORD;
    } else {
        w->raw.len = 0;
        if ((code = rc_unhex(&w->raw, tag + 2, n - 2)) != RC_OK) return code;
        int too_large;
        size_t allowed = rc_allowed(w->raw.len, w->record_bytes, w->ratio, &too_large);
        code = rc_inflate(&w->inflater, &w->data, w->raw.data, w->raw.len, allowed);
        w->inflated += w->cost = w->data.len;
        if (code == RC_ZLIB_CORRUPT && w->cost) w->cost = (w->cost - 1) / STEP * STEP;
        if (code != RC_OK) return code == RC_LIMIT_RECORD ? too_large : code;
        *data = w->data.data;
        *len = w->data.len;
    }
    if (kind == RC_K_VERSION) return RC_OK;
    return rc_document(kind == RC_K_ENDPOINT ? RC_DOC_ENDPOINT : RC_DOC_METADATA, *data, *len, w->nesting,
                       RC_MOST(w->record_bytes), &w->scratch, NULL, NULL);
}

rc_record *rc_records_find(rc_table *table, const rc_table *previous, rc_workshop *w, int kind, const uint8_t *tag,
                           size_t n)
{
    uint64_t hash = hash_bytes(tag, n, kind);
    rc_record *r = lookup(table, hash, kind, tag, n);
    if (r != NULL) return r;
    r = lookup(previous, hash, kind, tag, n);
    if (r != NULL) {
        rc_record_hold(r);
    } else {
        const uint8_t *data;
        size_t len;
        int code = decode(w, kind, tag, n, &data, &len);
        if (code == RC_NO_MEMORY || n > UINT32_MAX / 2) return NULL;
        int inside = code != RC_OK || data != w->data.data; /* foreign and plain tags are their own data */
        if (code != RC_OK) {
            data = tag;
            len = 0;
        }
        r = rc_malloc(sizeof *r + n + (inside ? 0 : len));
        if (r == NULL) return NULL;
        r->refs = 1;
        r->kind = (uint8_t)kind;
        r->code = (uint8_t)code;
        r->key_len = (uint32_t)n;
        r->data_len = (uint32_t)len;
        r->data_at = (uint32_t)(inside ? (size_t)(data - tag) : n);
        r->cost = code != RC_OK ? (uint32_t)w->cost : 0;
        r->hash = hash;
        r->parsed = r->metadata = NULL;
        memcpy(r->bytes, tag, n);
        if (!inside) memcpy(r->bytes + n, data, len);
        rc_buf_shrink(&w->raw, KEEP);
        rc_buf_shrink(&w->data, KEEP);
        rc_buf_shrink(&w->scratch, KEEP);
    }
    if (insert(table, r) < 0) {
        rc_record_release(r);
        return NULL;
    }
    if (kind != RC_K_FOREIGN && kind != RC_K_META) w->total += r->data_len + r->cost;
    return r;
}
