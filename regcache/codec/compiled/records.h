/* Distinct tags: each decoded once, found again by content, owned by count. */
#ifndef RC_RECORDS_H
#define RC_RECORDS_H

#include "compact.h"
#include "inflate.h"

enum rc_kind { RC_K_FOREIGN, RC_K_ENDPOINT, RC_K_METADATA, RC_K_VERSION, RC_K_META, RC_K_COMPACT };

/* A tag as written (the key), and what it decompresses to (the data). Immutable but for `parsed`. */
typedef struct rc_record {
    uint32_t refs;     /* atomic: one for each table and each node that holds it */
    uint8_t kind;
    uint8_t code;      /* RC_OK, or why the tag is broken (then there is no data) */
    uint32_t key_len;
    uint32_t data_len;
    uint32_t data_at;  /* where the data begins in bytes[]: behind the key, or inside it for plain tags */
    uint32_t cost;     /* of a broken tag: bytes that it decompressed to before that was known */
    uint64_t hash;
    void *parsed;      /* atomic: the Python object made of the data, once for each record; owned */
    void *metadata;    /* the same for the metadata alone of a compact record */
    uint8_t bytes[];   /* the key, then the data */
} rc_record;

/* Gives up an object that was made of a record, when the record is freed; set by the Python side, which owns `parsed`
   and `metadata`. */
extern void (*rc_record_drop_parsed)(void *parsed);

void rc_record_hold(rc_record *r);
void rc_record_release(rc_record *r);
static inline const uint8_t *rc_record_data(const rc_record *r) { return r->bytes + r->data_at; }

/* A hash table of records (open addressing); it owns one count of each. */
typedef struct {
    rc_record **slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
} rc_table;

void rc_table_free(rc_table *t);
/* Gives up the records that nobody but the table holds. */
void rc_table_sweep(rc_table *t);
size_t rc_table_bytes(const rc_table *t);
/* How many of the records are go-micro's tags. */
size_t rc_table_tags(const rc_table *t);

/* The seed of the hash; once for the process, before any decoding. */
void rc_records_init(uint64_t seed_a, uint64_t seed_b);

/* Working memory of one decoder. */
typedef struct {
    rc_inflater *inflater;
    rc_unpacker unpacker;
    rc_buf raw;      /* unhexed */
    rc_buf data;     /* inflated */
    rc_buf scratch;  /* strings of a document */
    size_t record_bytes, ratio, nesting;
    size_t decoded;      /* tags decoded */
    size_t inflated;     /* bytes decompressed, of broken tags as well, since rc_scan was called */
    size_t cost;         /* what the tag decoded last decompressed to; of a corrupt stream whole steps only */
    size_t total;        /* data bytes of the distinct records in the table, and the cost of the broken ones */
} rc_workshop;
/* The most bytes that a record of so many compressed ones may have; `*code` is the limit that this is. */
size_t rc_allowed(size_t compressed, size_t record_bytes, size_t ratio, int *code);
void rc_workshop_free(rc_workshop *w);
size_t rc_workshop_bytes(const rc_workshop *w);

/* The record of a tag of this kind: from `table`, else from `previous` (or NULL), else decoded; it is then in
   `table`, which owns it. NULL: out of memory. */
rc_record *rc_records_find(rc_table *table, const rc_table *previous, rc_workshop *w, int kind, const uint8_t *tag,
                           size_t n);

#endif
