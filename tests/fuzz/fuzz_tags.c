/* The tags of one node, the documents in them, and the small parts that they are read with.

   Four bytes come first:
     0    what the rest is (enum), bits: 8 each record gets an object, 16 deflate really compresses, or the compact tag
          names the dictionary, 32 the compact tag is damaged
     1    which limits are small, 2 how small
     3    the allocation that fails in a third decode; 0: there is none
   Tags and documents are separated by the byte 0xff, which UTF-8 never has. */
#include "harness.h"

#include <zlib.h>

#include "unhex.h"

#define HEADER 4
#define SEPARATOR 0xff

enum { TAGS, DOCUMENTS, STREAMS, MDNS, PARTS, COMPACT, FRAME, DAMAGED = 32 };

/* ---- a document, told to a sink ---- */

typedef struct {
    int kind;
    int good;     /* the text has passed the check: nothing may be missing */
    int have_key;
    rc_buf open;  /* members whose brackets are open */
    size_t events, stop; /* the event that the sink refuses; 0: none */
} listener;

static int is_endpoint(const listener *l, int top)
{
    return top == RC_M_ENDPOINT || (top == RC_M_ROOT && l->kind == RC_DOC_ENDPOINT);
}

static int is_map(const listener *l, int top)
{
    return top == RC_M_METADATA || (top == RC_M_ROOT && l->kind == RC_DOC_METADATA);
}

/* May this member stand directly inside that one? */
static int belongs(const listener *l, int top, int member)
{
    switch (member) {
    case RC_M_ROOT: return top == -1;
    case RC_M_NAME: return is_endpoint(l, top) || top == RC_M_REQUEST || top == RC_M_RESPONSE || top == RC_M_VALUE;
    case RC_M_TYPE: case RC_M_VALUES: return top == RC_M_REQUEST || top == RC_M_RESPONSE || top == RC_M_VALUE;
    case RC_M_VALUE: return top == RC_M_VALUES;
    case RC_M_REQUEST: case RC_M_RESPONSE: return is_endpoint(l, top);
    case RC_M_PAIR: return is_map(l, top);
    case RC_M_METADATA: return is_endpoint(l, top) || (top == RC_M_ROOT && l->kind == RC_DOC_MDNS);
    case RC_M_SERVICE: case RC_M_VERSION: case RC_M_ENDPOINTS: return top == RC_M_ROOT && l->kind == RC_DOC_MDNS;
    case RC_M_ENDPOINT: return top == RC_M_ENDPOINTS;
    default: return 0;
    }
}

static int hear(void *ctx, int event, int member, const uint8_t *text, size_t n)
{
    listener *l = ctx;
    int top = l->open.len ? l->open.data[l->open.len - 1] : -1;
    l->events++;
    if (event == RC_E_STRING || event == RC_E_KEY) CHECK(text != NULL && naive_clean(text, n));
    else CHECK(n == 0);
    if (event == RC_E_END) {
        CHECK(top == member && !(l->good && l->have_key));
        l->open.len--;
    } else {
        CHECK(belongs(l, top, member));
        if (l->good) CHECK(l->have_key == (member == RC_M_PAIR && event != RC_E_KEY));
    }
    l->have_key = 0;
    switch (event) {
    case RC_E_BEGIN: {
        uint8_t opened = (uint8_t)member;
        CHECK(member != RC_M_NAME && member != RC_M_TYPE && member != RC_M_PAIR && member != RC_M_SERVICE &&
              member != RC_M_VERSION);
        CHECK(rc_buf_put(&l->open, &opened, 1) == 0);
        break;
    }
    case RC_E_STRING:
        CHECK(member == RC_M_NAME || member == RC_M_TYPE || member == RC_M_PAIR || member == RC_M_SERVICE ||
              member == RC_M_VERSION);
        break;
    case RC_E_KEY:
        CHECK(member == RC_M_PAIR);
        l->have_key = 1;
        break;
    default: CHECK(event == RC_E_NULL || event == RC_E_END);
    }
    return l->events == l->stop ? -1 : 0;
}

#define RC_DOC_COMPACT 100 /* of this file: a compact record, whose events are an mDNS document's */

static int read_document(int kind, const uint8_t *data, size_t n, size_t nesting, rc_buf *scratch, listener *l)
{
    rc_sink sink = l == NULL ? NULL : hear;
    if (kind == RC_DOC_COMPACT) return rc_compact_document(data, n, nesting, SIZE_MAX, scratch, sink, l);
    return rc_document(kind, data, n, nesting, SIZE_MAX, scratch, sink, l);
}

/* One msgpack item of any kind: the place behind it, or NULL. */
static const uint8_t *naive_msgpack(const uint8_t *p, const uint8_t *end, size_t depth, size_t *deepest)
{
    if (depth > *deepest) *deepest = depth;
    if (p == end || *p == 0xc1) return NULL;
    uint8_t c = *p++;
    uint64_t children = 0, bytes = 0, size = 0;
    static const uint8_t widths[32] = {[0x04] = 1, [0x05] = 2, [0x06] = 4, [0x07] = 1, [0x08] = 2, [0x09] = 4,
                                       [0x19] = 1, [0x1a] = 2, [0x1b] = 4, [0x1c] = 2, [0x1d] = 4, [0x1e] = 2,
                                       [0x1f] = 4};
    static const uint8_t fixed[32] = {[0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4,  [0x0f] = 8,
                                      [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8, [0x14] = 2, [0x15] = 3,
                                      [0x16] = 5, [0x17] = 9, [0x18] = 17};
    if (c >= 0x80 && c < 0x90) children = 2 * (c & 15);
    else if (c >= 0x90 && c < 0xa0) children = c & 15;
    else if (c >= 0xa0 && c < 0xc0) bytes = c & 31;
    else if (c >= 0xc0 && c < 0xe0) {
        if (widths[c & 31] > end - p) return NULL;
        for (size_t i = 0; i < widths[c & 31]; i++) size = size * 256 + *p++;
        if (c == 0xdc || c == 0xdd) children = size;
        else if (c == 0xde || c == 0xdf) children = 2 * size;
        else bytes = fixed[c & 31] + size + (c >= 0xc7 && c <= 0xc9);
    }
    if (bytes > (uint64_t)(end - p)) return NULL;
    p += bytes;
    if (children || (c & 0xe0) == 0x80 || c >= 0xdc) { /* a container, or a number below 0 */
        int container = c < 0xe0;
        if (container && depth + 1 > *deepest) *deepest = depth + 1;
        for (; children && p != NULL; children--) p = naive_msgpack(p, end, depth + 1, deepest);
    }
    return p;
}

/* What is said of a document's text, checked in every way. */
static int check_document(int kind, const uint8_t *text, size_t n, size_t nesting)
{
    rc_buf scratch = {NULL, 0, 0};
    uint8_t *copy = exactly(text, n);
    size_t deepest = 0;
    int code = read_document(kind, copy, n, nesting, &scratch, NULL);
    int valid = kind == RC_DOC_COMPACT ? naive_msgpack(copy, copy + n, 0, &deepest) == copy + n
                                       : naive_json(copy, n, 0, &deepest);
    switch (code) {
    case RC_OK: case RC_RECORD_SHAPE: CHECK(valid && deepest <= nesting); break;
    case RC_RECORD_NOT_JSON: CHECK(!valid && kind != RC_DOC_COMPACT); break;
    case RC_RECORD_NOT_MSGPACK: CHECK(!valid && kind == RC_DOC_COMPACT); break;
    default: CHECK(code == RC_RECORD_NESTING && deepest > nesting);
    }
    listener l;
    memset(&l, 0, sizeof l);
    l.kind = kind == RC_DOC_COMPACT ? RC_DOC_MDNS : kind;
    l.good = code == RC_OK;
    CHECK(read_document(kind, copy, n, nesting, &scratch, &l) == code);
    if (code == RC_OK) CHECK(l.open.len == 0 && l.events > 0);
    if (l.events) { /* a sink may stop it anywhere */
        l.stop = 1 + n % l.events;
        l.events = l.open.len = 0;
        l.have_key = 0;
        CHECK(read_document(kind, copy, n, nesting, &scratch, &l) == -1);
    }
    if (code == RC_OK && kind == RC_DOC_COMPACT) {
        const uint8_t *version = NULL;
        size_t len;
        CHECK(rc_compact_version(copy, n, &version, &len) == 0);
        CHECK(len == 0 || (version > copy && len <= (size_t)(copy + n - version)));
        scratch.len = 0;
        CHECK(rc_put_clean(&scratch, version, len) == 0 && naive_clean(scratch.data, scratch.len));
    }
    rc_buf_free(&l.open);
    rc_buf_free(&scratch);
    free(copy);
    return code;
}

/* ---- the tags of a node ---- */

/* A zlib stream that only stores, which takes no time, or a compressed one. */
static void deflated(rc_buf *out, const uint8_t *p, size_t n, int really)
{
    out->len = 0;
    CHECK(rc_buf_reserve(out, compressBound((uLong)n) + 16) == 0);
    if (really) {
        uLongf len = (uLongf)out->cap;
        CHECK(compress2(out->data, &len, p, (uLong)n, 1) == Z_OK);
        out->len = len;
        return;
    }
    CHECK(n < 65536);
    uLong sum = adler32(adler32(0, NULL, 0), p, (uInt)n);
    uint8_t before[] = {0x78, 1, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
    uint8_t after[] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum};
    CHECK(rc_buf_put(out, before, sizeof before) == 0 && rc_buf_put(out, p, n) == 0 &&
          rc_buf_put(out, after, sizeof after) == 0);
}

static void put_hex(rc_buf *out, const uint8_t *p, size_t n)
{
    CHECK(rc_buf_reserve(out, n * 2) == 0);
    for (size_t i = 0; i < n; i++) {
        out->data[out->len++] = (uint8_t)"0123456789abcdef"[p[i] >> 4];
        out->data[out->len++] = (uint8_t)"0123456789aBCdEF"[p[i] & 15];
    }
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_base64(rc_buf *out, const uint8_t *p, size_t n)
{
    CHECK(rc_buf_reserve(out, n * 2 + 4) == 0);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        for (int j = 0; j < (n - i < 3 ? (int)(n - i) + 1 : 4); j++)
            out->data[out->len++] = (uint8_t)alphabet[bits >> (18 - 6 * j) & 63];
    }
}

/* A zstd frame behind its magic number that only stores; a damaged one has a checksum that is not its content's. */
static void framed(rc_buf *out, const uint8_t *p, size_t n, int damaged)
{
    uint32_t block = (uint32_t)n << 3 | 1;
    uint8_t head[] = {damaged ? 0xa4 : 0xa0, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 0,
                      (uint8_t)block, (uint8_t)(block >> 8), (uint8_t)(block >> 16)};
    out->len = 0;
    CHECK(n < 65536 && rc_buf_put(out, head, sizeof head) == 0 && rc_buf_put(out, p, n) == 0);
    if (damaged) CHECK(rc_buf_put(out, "\0\0\0", 4) == 0);
}

typedef struct {
    rc_decoder *d;
    rc_buf text;
} outcome;

static void copy_bytes(rc_buf *out, const uint8_t *p, size_t n)
{
    out->len = 0;
    CHECK(rc_buf_put(out, p, n) == 0);
}

/* What the input says in this mode, as a tag. */
static void make_tag(rc_buf *tag, rc_buf *stream, const uint8_t *header, const uint8_t *p, size_t n)
{
    int mode = header[0] & 7;
    tag->len = 0;
    if (mode == TAGS || n == 0) {
        CHECK(rc_put_clean(tag, p, n) == 0);
        CHECK(naive_clean(tag->data, tag->len) && (tag->len == n) == naive_clean(p, n));
    } else if (mode == COMPACT || mode == FRAME) {
        if (mode == COMPACT) framed(stream, p, n, header[0] & DAMAGED);
        else copy_bytes(stream, p, n);
        CHECK(rc_buf_put(tag, header[0] & 16 ? "m~11" : "m~10", 4) == 0);
        put_base64(tag, stream->data, stream->len);
    } else {
        CHECK(rc_buf_put(tag, p, 1) == 0 && rc_buf_put(tag, "-", 1) == 0);
        if (p[0] >= 0x80) tag->data[0] = 'e';
        if (mode == DOCUMENTS) deflated(stream, p + 1, n - 1, header[0] & 16);
        else copy_bytes(stream, p + 1, n - 1);
        put_hex(tag, stream->data, stream->len);
    }
}

static outcome decode(const uint8_t *header, const uint8_t *data, size_t n, const rc_table *previous, unsigned fail)
{
    outcome o;
    rc_buf tag = {NULL, 0, 0}, stream = {NULL, 0, 0};
    int mode = header[0] & 7, code = RC_OK;
    memset(&o, 0, sizeof o);
    rc_decoder *d = o.d = new_decoder(header[1], header[2], 0);
    d->previous = previous;
    rc_entry_begin(d, 0);
    fuzz_failed = 0;
    for (size_t at = 0; at < n && code == RC_OK;) {
        const uint8_t *from = data + at;
        const uint8_t *until = mode == TAGS || mode == DOCUMENTS ? memchr(from, SEPARATOR, n - at) : NULL;
        size_t len = until == NULL ? n - at : (size_t)(until - from);
        at += len + 1;
        make_tag(&tag, &stream, header, from, len);
        uint8_t *copy = exactly(tag.data, tag.len);
        size_t before = d->records.len;
        fuzz_fail = fail;
        code = rc_entry_tag(d, copy, tag.len, tag.len > d->tag_bytes, at);
        fail = fuzz_fail;
        fuzz_fail = 0;
        /* a record more is this tag's */
        if (code == RC_OK && d->records.len > before) {
            const rc_record *r;
            CHECK(d->records.len == before + sizeof(rc_record *));
            memcpy(&r, d->records.data + before, sizeof(rc_record *));
            CHECK(r->code == RC_OK && r->key_len == tag.len && memcmp(r->bytes, copy, tag.len) == 0);
            if (mode == DOCUMENTS && r->kind != RC_K_FOREIGN)
                CHECK(r->data_len == len - 1 && memcmp(rc_record_data(r), from + 1, len - 1) == 0);
        }
        if (mode == COMPACT && (header[0] & DAMAGED)) {
            /* the work is counted all the same */
            CHECK(d->node.compact == NULL);
            if (previous == NULL && d->first.code == RC_ZSTD_CORRUPT) CHECK(d->workshop.inflated == len);
        }
        if (code == RC_OK && mode == COMPACT && d->node.compact != NULL)
            CHECK(d->node.compact->data_len == len && memcmp(rc_record_data(d->node.compact), from, len) == 0);
        free(copy);
        d->tag++;
    }
    CHECK(code == d->error.code);
    CHECK(code == RC_OK || code == RC_LIMIT_DECOMPRESSED || (code == RC_NO_MEMORY && fuzz_failed));

    if (code == RC_OK) rc_entry_tags_end(d);
    rc_record **records = (rc_record **)(void *)d->records.data;
    size_t count = d->records.len / sizeof *records;
    int compact = code == RC_OK && d->node.compact != NULL;
    CHECK(!compact || d->node.version == NULL);
    for (size_t i = 0; i < count + 2; i++) {
        rc_record *r = i < count ? records[i] : i == count ? d->node.version : d->node.compact;
        if (r == NULL) continue;
        CHECK(r->code == RC_OK);
        if (i < count) CHECK(r->kind == RC_K_FOREIGN || (!compact && r->kind <= RC_K_METADATA));
        else CHECK(r->kind == (i == count ? RC_K_VERSION : RC_K_COMPACT));
        say_record(&o.text, r);
        if (r->kind == RC_K_FOREIGN) CHECK(naive_clean(rc_record_data(r), r->data_len));
        else CHECK(r->data_len <= d->workshop.record_bytes);
        if (r->kind == RC_K_ENDPOINT || r->kind == RC_K_METADATA)
            CHECK(check_document(r->kind == RC_K_ENDPOINT ? RC_DOC_ENDPOINT : RC_DOC_METADATA, rc_record_data(r),
                                 r->data_len, d->nesting) == RC_OK);
        if (r->kind == RC_K_COMPACT)
            CHECK(check_document(RC_DOC_COMPACT, rc_record_data(r), r->data_len, d->nesting) == RC_OK);
        if ((header[0] & 8) && r->parsed == NULL) r->parsed = malloc(1);
        if ((header[0] & 8) && r->kind == RC_K_COMPACT && r->metadata == NULL) r->metadata = malloc(1);
    }
    const rc_problem *problems = (const rc_problem *)(const void *)d->problems.data;
    for (size_t i = 0; i < d->problems.len / sizeof *problems; i++) say_problem(&o.text, d, &problems[i]);
    if (code != RC_OK) say_problem(&o.text, d, &d->error);
    say(&o.text, "\ntags %zu warnings %zu version %u", d->tags, d->warning_count, d->node.version_found);
    rc_buf_free(&tag);
    rc_buf_free(&stream);
    return o;
}

static void release(outcome *o)
{
    rc_decoder_free(o->d);
    rc_buf_free(&o->text);
}

static void tags(const uint8_t *header, const uint8_t *data, size_t n)
{
    outcome first = decode(header, data, n, NULL, 0);
    outcome second = decode(header, data, n, &first.d->table, 0);
    same(&first.text, &second.text, "the tags twice");
    CHECK(second.d->workshop.decoded == 0);
    if (header[3]) {
        outcome poor = decode(header, data, n, header[3] & 1 ? &first.d->table : NULL, header[3]);
        if (poor.d->error.code != RC_NO_MEMORY) same(&first.text, &poor.text, "the tags with little memory");
        release(&poor);
    }
    release(&first);
    /* nobody but the table holds them now */
    rc_table_sweep(&second.d->table);
    CHECK(second.d->table.count == 0);
    release(&second);
}

/* ---- the small parts ---- */

static const char *const names[] = {"Node",    "Service", "Checks",  "Address", "Datacenter", "Meta",     "ID",
                                    "Tags",    "Port",    "Weights", "Passing", "Warning",    "CheckID",  "Status",
                                    "name",    "type",    "values",  "request", "response",   "metadata", "Version",
                                    "Endpoints", "Metadata"};

/* Folds both, then compares. */
static int naive_folds(const uint8_t *key, size_t n, const char *name)
{
    size_t len = strlen(name), made = 0;
    uint8_t *folded = malloc(n + 1);
    CHECK(folded != NULL);
    for (size_t i = 0; i < n;) {
        if (n - i >= 2 && memcmp(key + i, "\xc5\xbf", 2) == 0) {
            folded[made++] = 's';
            i += 2;
        } else if (n - i >= 3 && memcmp(key + i, "\xe2\x84\xaa", 3) == 0) {
            folded[made++] = 'k';
            i += 3;
        } else {
            folded[made++] = (uint8_t)(key[i] >= 'A' && key[i] <= 'Z' ? key[i] + 32 : key[i]);
            i++;
        }
    }
    int is = made == len;
    for (size_t i = 0; is && i < len; i++) is = folded[i] == (uint8_t)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    free(folded);
    return is;
}

/* From each place in the first 160, so that every alignment and every step is met. */
static void plain_bytes(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n && i < 160; i++) {
        size_t plain = i;
        while (plain < n && p[plain] >= 0x20 && p[plain] < 0x80 && p[plain] != '"' && p[plain] != '\\') plain++;
        const uint8_t *end = p + n, *stops = p + plain;
        CHECK(rc_plain_run(p + i, end) == stops && rc_plain_far(p + i, end) == stops);
        CHECK(rc_plain_portable(p + i, end) == stops);
        /* nothing behind the end matters */
        end = p + i + (plain - i) / 2;
        CHECK(rc_plain_run(p + i, end) == end && rc_plain_far(p + i, end) == end);
        CHECK(rc_plain_portable(p + i, end) == end);
    }
}

/* The text of a compact tag: strictly base64url without padding. */
static void check_base64(const uint8_t *text, size_t n)
{
    rc_unpacker unpacker = {NULL};
    rc_buf tag = {NULL, 0, 0}, raw = {NULL, 0, 0}, out = {NULL, 0, 0}, bytes = {NULL, 0, 0};
    uint32_t bits = 0;
    int good = n % 4 != 1, held = 0;
    CHECK(rc_buf_put(&bytes, "\x28\xb5\x2f\xfd", 4) == 0);
    for (size_t i = 0; i < n; i++) {
        const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (at == NULL) {
            good = 0;
            break;
        }
        bits = bits << 6 | (uint32_t)(at - alphabet);
        held += 6;
        if (held >= 8) {
            uint8_t byte = (uint8_t)(bits >> (held -= 8));
            CHECK(rc_buf_put(&bytes, &byte, 1) == 0);
            bits &= (1u << held) - 1;
        }
    }
    if (bits) good = 0; /* the bits left over are zero */
    CHECK(rc_buf_put(&tag, "m~10", 4) == 0 && rc_buf_put(&tag, text, n) == 0);
    int code = rc_compact_unpack(&unpacker, &raw, &out, tag.data, tag.len, 100000, 200);
    CHECK((code == RC_BAD_BASE64) == !good);
    if (good) same(&bytes, &raw, "the bytes of base64url");
    rc_unpacker_free(&unpacker);
    rc_buf_free(&tag);
    rc_buf_free(&raw);
    rc_buf_free(&out);
    rc_buf_free(&bytes);
}

static void parts(const uint8_t *data, size_t n)
{
    uint8_t *copy = exactly(data, n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int folds = naive_folds(copy, n, names[i]);
        CHECK(rc_key_folds(copy, n, names[i], strlen(names[i])) == folds);
        CHECK(rc_key_is(copy, n, names[i], strlen(names[i])) == folds);
    }

    /* Hex: appended to what is there, or nothing is. */
    int bad = 0;
    for (size_t i = 0; i < n; i++) bad |= naive_hex(copy[i]) < 0;
    rc_buf out = {NULL, 0, 0};
    CHECK(rc_buf_put(&out, "x", 1) == 0);
    int code = rc_unhex(&out, copy, n);
    CHECK(code == (n % 2 ? RC_ODD_HEX : bad ? RC_BAD_HEX : RC_OK));
    CHECK(out.len == (code == RC_OK ? 1 + n / 2 : 1) && out.data[0] == 'x');
    for (size_t i = 1; i < out.len; i++)
        CHECK(out.data[i] == naive_hex(copy[i * 2 - 2]) * 16 + naive_hex(copy[i * 2 - 1]));

    /* UTF-8: as it is where it is clean, else longer by two for each bad byte. */
    size_t broken = 0;
    for (size_t i = 0, len; i < n; i += len ? len : 1) {
        len = naive_utf8(copy + i, n - i);
        CHECK(rc_utf8_len(copy + i, copy + n) == len);
        broken += len == 0;
    }
    out.len = 0;
    CHECK(rc_put_clean(&out, copy, n) == 0 && out.len == n + 2 * broken && naive_clean(out.data, out.len));
    if (!broken) CHECK(n == 0 || memcmp(out.data, copy, n) == 0);
    rc_buf_free(&out);

    check_base64(copy, n);
    static const char *const widths[] = {"portable", "sse2", "avx2", "neon", NULL}; /* NULL: the widest, as before */
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        if (rc_text_use(widths[w]) != NULL) plain_bytes(copy, n);
    }
    free(copy);
}

/* A TXT record: hex of a stream of a document, and the document as it is. */
static void mdns(const uint8_t *header, const uint8_t *data, size_t n)
{
    rc_decoder *d = new_decoder(header[1], header[2], 0);
    rc_workshop *w = &d->workshop;
    rc_buf stream = {NULL, 0, 0}, digits = {NULL, 0, 0};
    check_document(RC_DOC_MDNS, data, n, d->nesting);
    check_document(RC_DOC_ENDPOINT, data, n, d->nesting);
    check_document(RC_DOC_METADATA, data, n, d->nesting);
    if (n < 65536) {
        deflated(&stream, data, n, header[0] & 16);
        put_hex(&digits, stream.data, stream.len);
        CHECK(rc_unhex(&w->raw, digits.data, digits.len) == RC_OK && w->raw.len == stream.len);
        CHECK(rc_inflate(&w->inflater, &w->data, w->raw.data, w->raw.len, n) == RC_OK);
        CHECK(w->data.len == n && (n == 0 || memcmp(w->data.data, data, n) == 0));
        /* a byte less is not enough, and the same state is used again */
        if (n) CHECK(rc_inflate(&w->inflater, &w->data, w->raw.data, w->raw.len, n - 1) == RC_LIMIT_RECORD);
        CHECK(rc_inflate(&w->inflater, &w->data, w->raw.data, w->raw.len - 1, n) == RC_ZLIB_TRUNCATED);
    }
    rc_buf_free(&stream);
    rc_buf_free(&digits);
    rc_decoder_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    begin();
    if (n < HEADER || n > 65536) return 0;
    const uint8_t *header = data;
    data += HEADER;
    n -= HEADER;
    switch (header[0] & 7) {
    case TAGS: case DOCUMENTS: case STREAMS: case FRAME: tags(header, data, n); break;
    case COMPACT:
        check_document(RC_DOC_COMPACT, data, n, 10000);
        check_document(RC_DOC_COMPACT, data, n, 1 + header[2] % 8);
        tags(header, data, n);
        break;
    case MDNS: mdns(header, data, n); break;
    case PARTS: parts(data, n); break;
    default: return 0;
    }
    return 0;
}
