/* A health body, whole and in chunks: the answer has to be the same, and JSON is what a naive reader calls JSON.

   Eight bytes come first, the body follows:
     0    bits: 1 strict, 2 a service is wanted, 4 only some limits are small, 8 the first table is swept,
          16 each record gets an object, 32 the order of things taken is another
     1    which limits are small (with bit 4), 2 how small
     3-5  the sizes of the chunks, in turn; from 128 on times 16
     6    nodes that may wait; 0: as many as come; with bit 128 also how much may be decompressed at a time
     7    the allocation that fails in a third decode; 0: there is none */
#include "harness.h"

#define HEADER 8

typedef struct {
    rc_decoder *d;
    rc_buf text;    /* all that was said */
    rc_buf records; /* rc_record *[] of all nodes, each with a count of ours */
    rc_buf ids;     /* the service's name of each node: length, bytes */
} outcome;

static const uint8_t *in_arena(const rc_decoder *d, rc_span s)
{
    CHECK(s.len == 0 || (s.at <= d->arena.len && s.len <= d->arena.len - s.at));
    return s.len ? d->arena.data + s.at : (const uint8_t *)"";
}

static void say_span(outcome *o, const char *name, rc_span s)
{
    const uint8_t *p = in_arena(o->d, s);
    CHECK(naive_clean(p, s.len));
    say_bytes(&o->text, name, p, s.len);
}

/* A map is pairs of texts, each with its length before it. */
static void check_map(const rc_record *r)
{
    const uint8_t *p = rc_record_data(r);
    size_t at = 0, texts = 0;
    while (at < r->data_len) {
        uint32_t len;
        CHECK(r->data_len - at >= 4);
        memcpy(&len, p + at, 4);
        at += 4;
        CHECK(len <= r->data_len - at && naive_clean(p + at, len));
        at += len;
        texts++;
    }
    CHECK(texts % 2 == 0 && texts > 0);
}

static void take_record(outcome *o, rc_record *r, int with_object)
{
    CHECK(r->code == RC_OK);
    if (r->kind == RC_K_META) check_map(r);
    if (with_object && r->parsed == NULL) r->parsed = malloc(1);
    if (with_object && r->kind == RC_K_COMPACT && r->metadata == NULL) r->metadata = malloc(1);
    rc_record_hold(r);
    CHECK(rc_buf_put(&o->records, &r, sizeof(rc_record *)) == 0);
    say_record(&o->text, r);
}

/* As the Python side does at each pause. */
static void take(outcome *o, int with_object)
{
    rc_decoder *d = o->d;
    const rc_node *nodes = (const rc_node *)(const void *)d->nodes.data;
    rc_record **records = (rc_record **)(void *)d->records.data;
    CHECK(d->nodes.len == d->node_count * sizeof *nodes);
    for (size_t i = 0; i < d->node_count; i++) {
        const rc_node *n = &nodes[i];
        say(&o->text, "\nnode port %lld weights %lld %lld status %u critical %u version %u", (long long)n->port,
            (long long)n->passing, (long long)n->warning, n->status, n->critical, n->version_found);
        say_span(o, "id", n->id);
        say_span(o, "name", n->name);
        say_span(o, "address", n->address);
        say_span(o, "node", n->node_name);
        say_span(o, "node address", n->node_address);
        say_span(o, "datacenter", n->datacenter);
        CHECK(rc_buf_put(&o->ids, &n->name.len, sizeof n->name.len) == 0);
        CHECK(rc_buf_put(&o->ids, in_arena(d, n->name), n->name.len) == 0);
        static const int kinds[] = {RC_K_VERSION, RC_K_COMPACT, RC_K_META, RC_K_META};
        rc_record *own[] = {n->version, n->compact, n->meta, n->node_meta};
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) {
            if (own[j] == NULL) continue;
            CHECK(own[j]->kind == kinds[j]);
            take_record(o, own[j], with_object);
        }
        CHECK(n->version_found || (n->version == NULL && n->compact == NULL));
        CHECK(n->version == NULL || n->compact == NULL);
        CHECK(n->records_at <= d->records.len / sizeof *records &&
              n->records <= d->records.len / sizeof *records - n->records_at);
        for (size_t j = 0; j < n->records; j++) {
            rc_record *r = records[n->records_at + j];
            CHECK(r->kind == RC_K_FOREIGN || (n->compact == NULL && r->kind <= RC_K_METADATA));
            take_record(o, r, with_object);
        }
    }
    rc_decoder_taken(d);
    CHECK(d->node_count == 0 && d->nodes.len == 0 && d->arena_base == 0 && d->records_base == 0);
}

/* One decode. `sizes` NULL: the body is one chunk. */
static outcome decode(const uint8_t *header, const uint8_t *body, size_t n, const uint8_t *sizes, size_t pause,
                      size_t inflate, const rc_buf *service, const rc_table *previous, unsigned fail)
{
    outcome o;
    memset(&o, 0, sizeof o);
    int with_object = header[0] & 16;
    o.d = new_decoder(header[0] & 4 ? header[1] : 0, header[2], header[0] & 1);
    o.d->previous = previous;
    if (service != NULL) {
        o.d->has_service = 1;
        CHECK(rc_buf_put(&o.d->service, service->data, service->len) == 0);
    }
    int code = RC_OK;
    fuzz_failed = 0;
    for (size_t at = 0, turn = 0; at < n && code == RC_OK; turn++) {
        size_t size = n - at;
        if (sizes != NULL) {
            size_t wanted = sizes[turn % 3] < 128 ? 1 + (size_t)sizes[turn % 3] : (sizes[turn % 3] - 127) * (size_t)16;
            if (wanted < size) size = wanted;
        }
        uint8_t *chunk = exactly(body + at, size);
        size_t read = 0;
        while (read < size && code == RC_OK) {
            size_t used;
            fuzz_fail = fail;
            code = rc_scan(o.d, chunk + read, size - read, pause, inflate, &used);
            fail = fuzz_fail;
            fuzz_fail = 0;
            CHECK(used <= size - read);
            CHECK(code != RC_OK || used == size - read || o.d->node_count >= pause || o.d->workshop.inflated > inflate);
            read += used;
            CHECK(o.d->consumed == at + read);
            take(&o, with_object);
        }
        free(chunk);
        at += size;
        if (header[0] & 32) take(&o, with_object); /* nothing waits: nothing changes */
    }
    if (code == RC_OK) code = rc_scan_end(o.d);
    CHECK(code == o.d->error.code);
    CHECK(code != RC_NO_MEMORY || fuzz_failed);

    const rc_problem *problems = (const rc_problem *)(const void *)o.d->problems.data;
    if (code != RC_OK) {
        say_problem(&o.text, o.d, &o.d->error);
        CHECK(rc_scan(o.d, body, n, pause, inflate, &(size_t){0}) == code && rc_scan_end(o.d) == code);
    } else {
        for (size_t i = 0; i < o.d->problems.len / sizeof *problems; i++) say_problem(&o.text, o.d, &problems[i]);
        CHECK(o.d->problems.len / sizeof *problems <= o.d->warnings_limit);
        say(&o.text, "\nread %llu entries %zu dropped %zu others %zu tags %zu nodes %zu warnings %zu",
            (unsigned long long)o.d->consumed, o.d->entries, o.d->dropped, o.d->others, o.d->tags, o.d->total_nodes,
            o.d->warning_count);
        CHECK(o.d->consumed == n && o.d->entries == o.d->dropped + o.d->others + o.d->total_nodes);
    }
    CHECK(rc_decoder_bytes(o.d) >= sizeof *o.d && rc_table_tags(&o.d->table) <= o.d->table.count);
    (void)rc_table_bytes(&o.d->table);
    return o;
}

static void release(outcome *o)
{
    rc_record **records = (rc_record **)(void *)o->records.data;
    for (size_t i = 0; i < o->records.len / sizeof *records; i++) rc_record_release(records[i]);
    rc_decoder_free(o->d);
    rc_buf_free(&o->text);
    rc_buf_free(&o->records);
    rc_buf_free(&o->ids);
}

/* The error says what a naive reader says. */
static void check_json(const rc_decoder *d, const uint8_t *body, size_t n)
{
    size_t deepest, first = 0;
    int valid = naive_json(body, n, 1, &deepest);
    while (first < n && (body[first] == ' ' || body[first] == '\t' || body[first] == '\n' || body[first] == '\r')) first++;
    uint8_t begins = first < n ? body[first] : 0;
    CHECK(d->error.offset <= n);
    switch (d->error.code) {
    case RC_OK: CHECK(valid && (begins == '[' || begins == 'n') && deepest <= d->nesting); break;
    case RC_NOT_A_LIST: CHECK(begins != '[' && d->error.offset == first); break;
    case RC_TRUNCATED: CHECK(!valid && d->error.offset == n); break;
    case RC_BAD_VALUE: case RC_BAD_KEY: case RC_BAD_COLON: case RC_BAD_COMMA: case RC_BAD_CONTROL: case RC_BAD_ESCAPE:
    case RC_BAD_UTF8: case RC_BAD_NUMBER: case RC_BAD_LITERAL: case RC_TRAILING:
        CHECK(!valid && d->error.offset < n);
        break;
    case RC_LIMIT_BODY: CHECK(n > d->body_bytes && d->error.offset == d->body_bytes); break;
    case RC_LIMIT_NESTING: CHECK(deepest > d->nesting); break;
    default: break;
    }
}

/* The service of one of the nodes, so that some are wanted and others are not. */
static rc_buf choose(const outcome *o, unsigned which)
{
    rc_buf found = {NULL, 0, 0};
    size_t at = 0, turn = 0;
    while (at < o->ids.len) {
        uint32_t len;
        memcpy(&len, o->ids.data + at, sizeof len);
        at += sizeof len;
        if (turn++ == which % (o->d->total_nodes ? o->d->total_nodes : 1)) {
            CHECK(rc_buf_put(&found, o->ids.data + at, len) == 0);
            break;
        }
        at += len;
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    begin();
    if (n < HEADER) return 0;
    const uint8_t *header = data, *body = data + HEADER;
    size_t pause = header[6] & 127 ? header[6] & 127 : SIZE_MAX;
    size_t inflate = header[6] & 128 ? header[6] * (size_t)8 - 1024 : SIZE_MAX;
    n -= HEADER;

    rc_buf service = {NULL, 0, 0}, *wanted = NULL;
    if (header[0] & 2) {
        outcome all = decode(header, body, n, NULL, SIZE_MAX, SIZE_MAX, NULL, NULL, 0);
        service = choose(&all, header[2]);
        wanted = &service;
        release(&all);
    }
    outcome whole = decode(header, body, n, NULL, header[0] & 32 ? 1 : 256, SIZE_MAX, wanted, NULL, 0);
    check_json(whole.d, body, n);
    int complete = whole.d->error.code == RC_OK, swept = header[0] & 8;
    if (swept) rc_table_sweep(&whole.d->table);
    outcome cut = decode(header, body, n, header + 3, pause, inflate, wanted, &whole.d->table, 0);
    same(&whole.text, &cut.text, "the body whole and in chunks");
    if (complete) {
        /* each record is the one from before, and nothing is decoded twice */
        same(&whole.records, &cut.records, "the records of both");
        if (!swept) CHECK(cut.d->workshop.decoded == 0);
    }
    if (header[7]) {
        outcome poor = decode(header, body, n, header + 3, pause, inflate, wanted, header[7] & 1 ? &whole.d->table : NULL, header[7]);
        if (poor.d->error.code != RC_NO_MEMORY) same(&whole.text, &poor.text, "the body with little memory");
        release(&poor);
    }
    /* the older snapshot goes first, as it does in a process that follows a service */
    release(&whole);
    if (swept) {
        fuzz_fail = header[7] & 1; /* without memory for a smaller table there is none: the nodes have their records */
        rc_table_sweep(&cut.d->table);
        fuzz_fail = 0;
        rc_record **records = (rc_record **)(void *)cut.records.data;
        for (size_t i = 0; i < cut.records.len / sizeof *records; i++) CHECK(records[i]->refs > 0);
    }
    release(&cut);
    rc_buf_free(&service);
    return 0;
}
