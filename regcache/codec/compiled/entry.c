/* What the scanner reads becomes a node, or a warning. */
#include "decoder.h"
#include "text.h"

rc_decoder *rc_decoder_new(void)
{
    rc_decoder *d = rc_malloc(sizeof *d);
    if (d != NULL) memset(d, 0, sizeof *d);
    return d;
}

void rc_decoder_free(rc_decoder *d)
{
    if (d == NULL) return;
    rc_table_free(&d->table);
    rc_workshop_free(&d->workshop);
    rc_buf *all[] = {&d->service, &d->text, &d->map, &d->arena, &d->nodes, &d->records, &d->problems, &d->notes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rc_buf_free(all[i]);
    rc_free(d->kinds);
    rc_free(d);
}

size_t rc_decoder_bytes(const rc_decoder *d)
{
    return sizeof *d + d->nesting / 8 + 1 + d->service.cap + d->text.cap + d->map.cap + d->arena.cap + d->nodes.cap +
           d->records.cap + d->problems.cap + d->notes.cap + rc_workshop_bytes(&d->workshop);
}

int rc_decoder_enter(rc_decoder *d)
{
    /* acquire: what the thread before did is visible */
    return __atomic_exchange_n(&d->busy, 1, __ATOMIC_ACQUIRE) ? -1 : 0;
}

void rc_decoder_leave(rc_decoder *d) { __atomic_store_n(&d->busy, 0, __ATOMIC_RELEASE); }

/* Takes n bytes out of the arena; the texts of the entry at hand that stand behind them move up. */
static void cut(rc_decoder *d, size_t at, size_t n)
{
    memmove(d->arena.data + at, d->arena.data + at + n, d->arena.len - at - n);
    d->arena.len -= n;
    rc_span *spans[] = {&d->node.id,           &d->node.name,      &d->node.address, &d->node.node_name,
                        &d->node.node_address, &d->node.datacenter};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        if (spans[i]->len && spans[i]->at > at) spans[i]->at -= n;
}

void rc_entry_drop_text(rc_decoder *d, rc_span *span)
{
    size_t n = span->len;
    if (n == 0) return;
    span->len = 0;
    cut(d, span->at, n);
}

void rc_decoder_taken(rc_decoder *d)
{
    /* what the entry at hand has so far moves to the front */
    if (d->arena_base) cut(d, 0, d->arena_base);
    d->arena_base = 0;
    if (d->records_base) {
        size_t done = d->records_base * sizeof(rc_record *);
        memmove(d->records.data, d->records.data + done, d->records.len - done);
        d->records.len -= done;
        d->records_base = 0;
    }
    d->nodes.len = 0;
    d->node_count = 0;
}

/* ---- problems ---- */

static rc_problem problem(const rc_decoder *d, int code, int place, uint64_t offset)
{
    rc_problem p;
    memset(&p, 0, sizeof p);
    p.code = (uint8_t)code;
    p.place = (uint8_t)place;
    p.offset = offset;
    p.entry = d->entry;
    p.index = place == RC_P_TAG ? d->tag : d->check;
    return p;
}

int rc_fatal(rc_decoder *d, int code, int place, uint64_t offset)
{
    if (d->error.code == RC_OK) d->error = problem(d, code, place, offset);
    return code;
}

void rc_entry_fail(rc_decoder *d, int code, int place, uint64_t offset)
{
    if (d->failed.code == RC_OK) d->failed = problem(d, code, place, offset);
}

static int list_problem(rc_decoder *d, const rc_problem *p)
{
    d->warning_count++;
    if (d->problems.len / sizeof *p >= d->warnings_limit) return RC_OK;
    return rc_buf_put(&d->problems, p, sizeof *p) < 0 ? rc_fatal(d, RC_NO_MEMORY, p->place, p->offset) : RC_OK;
}

int rc_entry_warn(rc_decoder *d, int code, int place, uint64_t offset)
{
    rc_problem p = problem(d, code, place, offset);
    if (d->first.code == RC_OK) d->first = p;
    return list_problem(d, &p);
}

/* ---- the entry ---- */

void rc_entry_reset_tags(rc_decoder *d)
{
    if (d->records.len > d->records_base * sizeof(rc_record *) || d->node.version != NULL || d->node.compact != NULL)
        d->replaced = 1;
    d->records.len = d->records_base * sizeof(rc_record *);
    d->node.version = d->node.compact = NULL;
    d->node.version_found = 0;
    d->version_done = d->too_many_tags = 0;
    d->endpoint_format = d->metadata_format = 0;
    d->tag = 0;
}

void rc_entry_reset_service(rc_decoder *d)
{
    rc_entry_reset_tags(d);
    if (d->node.meta != NULL) d->replaced = 1;
    d->node.meta = NULL;
    rc_entry_drop_text(d, &d->node.id);
    rc_entry_drop_text(d, &d->node.name);
    rc_entry_drop_text(d, &d->node.address);
    d->node.port = 0;
    d->node.passing = d->node.warning = 1;
    d->have_service = 0;
}

void rc_entry_reset_node(rc_decoder *d)
{
    if (d->node.node_meta != NULL) d->replaced = 1;
    d->node.node_meta = NULL;
    rc_entry_drop_text(d, &d->node.node_name);
    rc_entry_drop_text(d, &d->node.node_address);
    rc_entry_drop_text(d, &d->node.datacenter);
    d->have_node = 0;
}

void rc_entry_begin(rc_decoder *d, uint64_t offset)
{
    d->entry_offset = offset;
    d->arena_base = d->arena.len;
    d->records_base = d->records.len / sizeof(rc_record *);
    d->warnings_base = d->problems.len / sizeof(rc_problem);
    d->warned = d->warning_count;
    d->first.code = d->failed.code = RC_OK;
    d->check = 0;
    d->maintenance = d->critical = d->warning = d->any_critical = 0;
    memset(&d->node, 0, sizeof d->node); /* an entry that was dropped may have left something */
    rc_entry_reset_service(d);
    rc_entry_reset_node(d);
}

void rc_entry_check_begin(rc_decoder *d) { d->check_maintenance = d->check_status = 0; }

void rc_entry_check_end(rc_decoder *d)
{
    /* Consul's HealthChecks.AggregatedStatus: a maintenance check counts as such whatever its status */
    if (d->check_maintenance) d->maintenance = 1;
    else if (d->check_status == RC_CRITICAL) d->critical = 1;
    else if (d->check_status == RC_WARNING) d->warning = 1;
    if (d->check_status == RC_CRITICAL) d->any_critical = 1;
}

/* Lists of the entry are undone. */
static void forget(rc_decoder *d)
{
    d->records.len = d->records_base * sizeof(rc_record *);
    d->arena.len = d->arena_base;
    d->problems.len = d->warnings_base * sizeof(rc_problem);
    d->warning_count = d->warned;
}

static int name_problem(rc_decoder *d, rc_problem *p)
{
    if (d->node.id.len == 0) return RC_OK;
    p->node.at = d->notes.len;
    p->node.len = d->node.id.len;
    p->has_node = 1;
    return rc_buf_put(&d->notes, d->arena.data + d->node.id.at, d->node.id.len) < 0 ? RC_NO_MEMORY : RC_OK;
}

/* With strict the first warning of an entry ends the decode. */
static int refuse(rc_decoder *d, rc_problem p)
{
    if (name_problem(d, &p) != RC_OK) return rc_fatal(d, RC_NO_MEMORY, p.place, p.offset);
    d->error = p;
    return p.code;
}

/* A broken entry counts as one of ours until it says that it is not. */
static int of_another_service(const rc_decoder *d)
{
    if (!d->has_service || (d->failed.code != RC_OK && d->node.name.len == 0)) return 0;
    return d->node.name.len != d->service.len ||
           (d->service.len && memcmp(d->arena.data + d->node.name.at, d->service.data, d->service.len) != 0);
}

int rc_entry_end(rc_decoder *d)
{
    d->entries++;
    if (d->failed.code == RC_OK && !d->have_service) rc_entry_fail(d, RC_NO_SERVICE, RC_P_ENTRY, d->entry_offset);
    if (of_another_service(d)) {
        d->others++;
        forget(d);
        return RC_OK;
    }
    if (d->failed.code == RC_OK && d->node.address.len == 0 && !d->have_node)
        rc_entry_fail(d, RC_NO_ADDRESS, RC_P_ENTRY, d->entry_offset);
    if (d->failed.code != RC_OK) {
        rc_problem p = d->failed;
        d->dropped++;
        if (d->strict) return refuse(d, p);
        rc_span id = d->node.id; /* forget() only moves the arena's end: the text is still there */
        forget(d);
        d->node.id = id;
        if (d->problems.len / sizeof p < d->warnings_limit && name_problem(d, &p) != RC_OK)
            return rc_fatal(d, RC_NO_MEMORY, p.place, p.offset);
        return list_problem(d, &p);
    }
    if (d->first.code != RC_OK) {
        if (d->strict) return refuse(d, d->first);
        rc_problem *all = (rc_problem *)(void *)d->problems.data;
        size_t n = d->problems.len / sizeof *all;
        rc_problem named;
        memset(&named, 0, sizeof named);
        if (n > d->warnings_base && name_problem(d, &named) != RC_OK)
            return rc_fatal(d, RC_NO_MEMORY, RC_P_ENTRY, d->entry_offset);
        for (size_t i = d->warnings_base; i < n; i++) {
            all[i].node = named.node;
            all[i].has_node = named.has_node;
        }
    }
    rc_entry_tags_end(d);
    if (++d->total_nodes > d->nodes_limit) return rc_fatal(d, RC_LIMIT_NODES, RC_P_ENTRY, d->entry_offset);
    d->node.records_at = d->records_base;
    d->node.records = d->records.len / sizeof(rc_record *) - d->records_base;
    d->node.status = d->maintenance ? RC_MAINTENANCE : d->critical ? RC_CRITICAL : d->warning ? RC_WARNING : RC_PASSING;
    d->node.critical = d->any_critical;
    if (d->node.address.len == 0) d->node.address = d->node.node_address;
    if (rc_buf_put(&d->nodes, &d->node, sizeof d->node) < 0)
        return rc_fatal(d, RC_NO_MEMORY, RC_P_ENTRY, d->entry_offset);
    d->node_count++;
    /* between entries nothing is at hand */
    memset(&d->node, 0, sizeof d->node);
    d->arena_base = d->arena.len;
    d->records_base = d->records.len / sizeof(rc_record *);
    return RC_OK;
}

/* ---- tags ---- */

void rc_entry_tag_wrong(rc_decoder *d, uint64_t offset)
{
    if (d->tag < d->tags_limit) (void)rc_entry_warn(d, RC_WANT_STRING, RC_P_TAG, offset);
}

int rc_entry_tag(rc_decoder *d, const uint8_t *tag, size_t n, int over, uint64_t offset)
{
    if (d->failed.code != RC_OK) return RC_OK;
    if (d->tag >= d->tags_limit) {
        if (d->too_many_tags) return RC_OK;
        d->too_many_tags = 1;
        return rc_entry_warn(d, RC_LIMIT_TAGS, RC_P_TAG, offset);
    }
    d->tags++;
    if (over) return rc_entry_warn(d, RC_LIMIT_TAG, RC_P_TAG, offset);
    if (n == 0) return RC_OK;
    int kind = RC_K_FOREIGN;
    if (n >= 2 && tag[0] == 'm' && tag[1] == '~') {
        if (d->node.compact != NULL) return RC_OK;
        kind = RC_K_COMPACT;
    } else if (n >= 2 && (tag[1] == '-' || tag[1] == '=')) {
        /* The first format seen of a kind is the one that counts, as in go-micro; foreign tags have no say. */
        uint8_t *format = NULL;
        if (tag[0] == 'e') {
            kind = RC_K_ENDPOINT;
            format = &d->endpoint_format;
        } else if (tag[0] == 't') {
            kind = RC_K_METADATA;
            format = &d->metadata_format;
        } else if (tag[0] == 'v') {
            kind = RC_K_VERSION;
            if (d->version_done) return RC_OK;
            d->version_done = 1;
        }
        if (kind != RC_K_FOREIGN && d->node.compact != NULL) return RC_OK;
        if (format != NULL) {
            if (*format && *format != tag[1]) return RC_OK;
            *format = tag[1];
        }
    }
    /* Most nodes have the tags of the node before them, the long ones in the same places: compare before hashing. */
    rc_record **hint = d->tag < RC_HINTS ? &d->hints[d->tag] : NULL;
    rc_record *r = hint != NULL ? *hint : NULL;
    if (r == NULL || r->kind != kind || r->key_len != n || memcmp(r->bytes, tag, n) != 0) {
        r = rc_records_find(&d->table, d->previous, &d->workshop, kind, tag, n);
        if (r == NULL) return rc_fatal(d, RC_NO_MEMORY, RC_P_TAG, offset);
        if (hint != NULL) *hint = r;
    }
    if (d->workshop.total > d->decompressed_bytes) return rc_fatal(d, RC_LIMIT_DECOMPRESSED, RC_P_TAG, offset);
    if (kind == RC_K_VERSION) d->node.version_found = 1;
    if (r->code != RC_OK) return rc_entry_warn(d, r->code, RC_P_TAG, offset);
    if (kind == RC_K_VERSION) {
        d->node.version = r;
        return RC_OK;
    }
    if (kind == RC_K_COMPACT) {
        d->node.compact = r;
        return RC_OK;
    }
    return rc_buf_put(&d->records, &r, sizeof(rc_record *)) < 0 ? rc_fatal(d, RC_NO_MEMORY, RC_P_TAG, offset) : RC_OK;
}

void rc_entry_tags_end(rc_decoder *d)
{
    if (d->node.compact == NULL) return;
    rc_record **all = (rc_record **)(void *)d->records.data;
    size_t n = d->records.len / sizeof *all, kept = d->records_base;
    for (size_t i = d->records_base; i < n; i++)
        if (all[i]->kind == RC_K_FOREIGN) all[kept++] = all[i];
    d->records.len = kept * sizeof *all;
    d->node.version = NULL;
    d->node.version_found = 1;
}

int rc_entry_map_end(rc_decoder *d)
{
    rc_record **slot = d->map_place == RC_P_META ? &d->node.meta : &d->node.node_meta;
    if (*slot != NULL) d->replaced = 1;
    *slot = NULL;
    if (d->map_code != RC_OK) return rc_entry_warn(d, d->map_code, d->map_place, d->map_offset);
    if (d->map.len == 0) return RC_OK;
    rc_record *r = rc_records_find(&d->table, d->previous, &d->workshop, RC_K_META, d->map.data, d->map.len);
    if (r == NULL) return rc_fatal(d, RC_NO_MEMORY, d->map_place, d->map_offset);
    *slot = r;
    return RC_OK;
}
