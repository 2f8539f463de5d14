/* The scanner: one resumable pass over a health body. It accepts what JSON is (RFC 8259), whatever is skipped,
   and tells entry.c about the members that are wanted. Chunks may be cut anywhere: all that is known of a cut
   token is in the decoder. */
#include "decoder.h"
#include "text.h"

enum state {
    S_START,       /* before the list */
    S_VALUE,
    S_FIRST_VALUE, /* or ']' */
    S_FIRST_KEY,   /* or '}' */
    S_KEY,
    S_COLON,
    S_COMMA,       /* or the end of the bracket */
    S_STRING,
    S_ESCAPE,
    S_ESCAPE_HEX,
    S_UTF8,
    S_NUMBER,
    S_LITERAL,
    S_END          /* behind the list */
};

/* What an open bracket is; everything below a ROLE_SKIP is skipped. */
enum role {
    ROLE_SKIP, ROLE_LIST, ROLE_ENTRY, ROLE_NODE, ROLE_NODE_META, ROLE_SERVICE, ROLE_TAGS, ROLE_META, ROLE_WEIGHTS,
    ROLE_CHECKS, ROLE_CHECK
};

/* A value's member is its enum rc_place, or this. */
#define NOT_WANTED 255
#define PLACE_OF_ELEMENT RC_P_ENTRY

/* No member that is wanted has a longer name, however it is written. */
#define LONGEST_KEY 64

enum number_state { N_MINUS, N_ZERO, N_INT, N_POINT, N_FRACTION, N_E, N_SIGN, N_EXPONENT };

static const char *const words[] = {"true", "false", "null"};

static int role_of(const rc_decoder *d)
{
    return d->depth == d->wanted && d->wanted ? d->roles[d->wanted - 1] : ROLE_SKIP;
}

/* The place of the innermost wanted bracket. */
static int container_place(const rc_decoder *d)
{
    switch (d->wanted ? d->roles[d->wanted - 1] : ROLE_LIST) {
    case ROLE_ENTRY: return RC_P_ENTRY;
    case ROLE_NODE: return RC_P_NODE;
    case ROLE_NODE_META: return RC_P_NODE_META;
    case ROLE_SERVICE: return RC_P_SERVICE;
    case ROLE_TAGS: return RC_P_TAGS;
    case ROLE_META: return RC_P_META;
    case ROLE_WEIGHTS: return RC_P_WEIGHTS;
    case ROLE_CHECKS: return RC_P_CHECKS;
    case ROLE_CHECK: return RC_P_CHECK;
    default: return RC_P_TOP;
    }
}

/* The place to name in an error: the value's, while there is one that is wanted. */
static int place(const rc_decoder *d, int in_value)
{
    if (d->depth > d->wanted) return d->skipped != NOT_WANTED ? d->skipped : container_place(d);
    return in_value && d->member != NOT_WANTED ? d->member : container_place(d);
}

static int member_of(int role, const uint8_t *k, size_t n)
{
    switch (role) {
    case ROLE_ENTRY:
        if (RC_KEY(k, n, "Node")) return RC_P_NODE;
        if (RC_KEY(k, n, "Service")) return RC_P_SERVICE;
        if (RC_KEY(k, n, "Checks")) return RC_P_CHECKS;
        break;
    case ROLE_NODE:
        if (RC_KEY(k, n, "Node")) return RC_P_NODE_NODE;
        if (RC_KEY(k, n, "Address")) return RC_P_NODE_ADDRESS;
        if (RC_KEY(k, n, "Datacenter")) return RC_P_NODE_DATACENTER;
        if (RC_KEY(k, n, "Meta")) return RC_P_NODE_META;
        break;
    case ROLE_SERVICE:
        if (RC_KEY(k, n, "ID")) return RC_P_ID;
        if (RC_KEY(k, n, "Service")) return RC_P_NAME;
        if (RC_KEY(k, n, "Tags")) return RC_P_TAGS;
        if (RC_KEY(k, n, "Address")) return RC_P_ADDRESS;
        if (RC_KEY(k, n, "Port")) return RC_P_PORT;
        if (RC_KEY(k, n, "Meta")) return RC_P_META;
        if (RC_KEY(k, n, "Weights")) return RC_P_WEIGHTS;
        break;
    case ROLE_WEIGHTS:
        if (RC_KEY(k, n, "Passing")) return RC_P_PASSING;
        if (RC_KEY(k, n, "Warning")) return RC_P_WARNING;
        break;
    case ROLE_CHECK:
        if (RC_KEY(k, n, "CheckID")) return RC_P_CHECK_ID;
        if (RC_KEY(k, n, "Status")) return RC_P_CHECK_STATUS;
        break;
    case ROLE_META: return RC_P_META;
    case ROLE_NODE_META: return RC_P_NODE_META;
    default: break;
    }
    return NOT_WANTED;
}

static int element_of(int role)
{
    switch (role) {
    case ROLE_LIST: return PLACE_OF_ELEMENT;
    case ROLE_TAGS: return RC_P_TAG;
    case ROLE_CHECKS: return RC_P_CHECK;
    default: return NOT_WANTED;
    }
}

/* ---- values of the wrong type ---- */

static int wrong_type(rc_decoder *d, int role, int member, uint64_t at)
{
    int want;
    switch (member) {
    case NOT_WANTED: return RC_OK;
    case RC_P_ENTRY: want = RC_NOT_AN_OBJECT; break;
    case RC_P_META:
    case RC_P_NODE_META:
        if (role == ROLE_META || role == ROLE_NODE_META) { /* a value inside the map */
            if (d->map_code == RC_OK) {
                d->map_code = RC_WANT_STRING;
                d->map_offset = at;
            }
            return RC_OK;
        }
        return rc_entry_warn(d, RC_WANT_OBJECT, member, at);
    case RC_P_WEIGHTS: return rc_entry_warn(d, RC_WANT_OBJECT, member, at);
    case RC_P_PASSING:
    case RC_P_WARNING: return rc_entry_warn(d, RC_WANT_INTEGER, member, at);
    case RC_P_TAG:
        rc_entry_tag_wrong(d, at);
        return d->error.code;
    case RC_P_NODE:
    case RC_P_SERVICE:
    case RC_P_CHECK: want = RC_WANT_OBJECT; break;
    case RC_P_TAGS:
    case RC_P_CHECKS: want = RC_WANT_LIST; break;
    case RC_P_PORT: want = RC_WANT_INTEGER; break;
    default: want = RC_WANT_STRING;
    }
    rc_entry_fail(d, want, member, at);
    return RC_OK;
}

/* ---- a bracket opens ---- */

static int open_object(rc_decoder *d, int role, int member, uint64_t at)
{
    int next = ROLE_SKIP;
    switch (member) {
    case RC_P_ENTRY: next = ROLE_ENTRY; break;
    case RC_P_NODE:
        next = ROLE_NODE;
        d->have_node = 1;
        break;
    case RC_P_SERVICE:
        next = ROLE_SERVICE;
        d->have_service = 1;
        break;
    case RC_P_WEIGHTS: next = ROLE_WEIGHTS; break;
    case RC_P_CHECK:
        next = ROLE_CHECK;
        rc_entry_check_begin(d);
        break;
    case RC_P_META:
    case RC_P_NODE_META:
        if (role == ROLE_META || role == ROLE_NODE_META) {
            wrong_type(d, role, member, at);
            break;
        }
        next = member == RC_P_META ? ROLE_META : ROLE_NODE_META;
        d->map.len = 0;
        d->map_code = RC_OK;
        d->map_place = (uint8_t)member;
        d->map_offset = at;
        break;
    default: {
        int rc = wrong_type(d, role, member, at);
        if (rc != RC_OK) return rc;
    }
    }
    if (next != ROLE_SKIP) d->roles[d->wanted++] = (uint8_t)next;
    return RC_OK;
}

static int open_list(rc_decoder *d, int role, int member, uint64_t at)
{
    if (member == RC_P_TAGS) {
        rc_entry_reset_tags(d);
        d->roles[d->wanted++] = ROLE_TAGS;
    } else if (member == RC_P_CHECKS) {
        d->check = 0;
        d->roles[d->wanted++] = ROLE_CHECKS;
    } else {
        return wrong_type(d, role, member, at);
    }
    return RC_OK;
}

/* ---- a value is complete ---- */

static int keep(rc_decoder *d, rc_span *span, const uint8_t *text, size_t n, uint64_t at)
{
    rc_entry_drop_text(d, span); /* of a member that comes twice the later counts */
    if (d->over) {
        rc_entry_fail(d, RC_LIMIT_STRING, d->member, at);
        return RC_OK;
    }
    span->at = d->arena.len;
    span->len = (uint32_t)n;
    return rc_buf_put(&d->arena, text, n) < 0 ? rc_fatal(d, RC_NO_MEMORY, d->member, at) : RC_OK;
}

/* Appends one text to the map at hand: its length, then its bytes. */
static int map_put(rc_decoder *d, const uint8_t *text, size_t n, uint64_t at)
{
    if (d->map_code != RC_OK) return RC_OK;
    if (d->over || d->map.len + n + 4 > d->workshop.record_bytes) {
        d->map_code = d->over ? RC_LIMIT_STRING : RC_LIMIT_RECORD;
        d->map_offset = at;
        return RC_OK;
    }
    uint32_t len = (uint32_t)n;
    if (rc_buf_put(&d->map, &len, 4) < 0 || rc_buf_put(&d->map, text, n) < 0)
        return rc_fatal(d, RC_NO_MEMORY, d->map_place, at);
    return RC_OK;
}

#define IS(text, n, literal) ((n) == sizeof(literal) - 1 && memcmp((text), (literal), (n)) == 0)
#define MAINTENANCE "_service_maintenance:"

static int string_value(rc_decoder *d, int role, const uint8_t *t, size_t n)
{
    uint64_t at = d->value_offset;
    switch (d->member) {
    case NOT_WANTED: return RC_OK;
    case RC_P_TAG: return rc_entry_tag(d, t, n, d->over, at);
    case RC_P_ID: return keep(d, &d->node.id, t, n, at);
    case RC_P_NAME: return keep(d, &d->node.name, t, n, at);
    case RC_P_ADDRESS: return keep(d, &d->node.address, t, n, at);
    case RC_P_NODE_NODE: return keep(d, &d->node.node_name, t, n, at);
    case RC_P_NODE_ADDRESS: return keep(d, &d->node.node_address, t, n, at);
    case RC_P_NODE_DATACENTER: return keep(d, &d->node.datacenter, t, n, at);
    case RC_P_CHECK_ID:
        if (d->over) rc_entry_fail(d, RC_LIMIT_STRING, d->member, at);
        d->check_maintenance = IS(t, n, "_node_maintenance") || (n >= sizeof MAINTENANCE - 1 &&
                                                                 memcmp(t, MAINTENANCE, sizeof MAINTENANCE - 1) == 0);
        return RC_OK;
    case RC_P_CHECK_STATUS:
        if (d->over) rc_entry_fail(d, RC_LIMIT_STRING, d->member, at);
        d->check_status = IS(t, n, "critical") ? RC_CRITICAL : IS(t, n, "warning") ? RC_WARNING : RC_PASSING;
        return RC_OK;
    case RC_P_META:
    case RC_P_NODE_META:
        if (role == ROLE_META || role == ROLE_NODE_META) return map_put(d, t, n, at);
        /* fall through */
    default: return wrong_type(d, role, d->member, at);
    }
}

static int number_value(rc_decoder *d, int role)
{
    int64_t v;
    if (d->member == NOT_WANTED) return RC_OK;
    if (d->member != RC_P_PORT && d->member != RC_P_PASSING && d->member != RC_P_WARNING)
        return wrong_type(d, role, d->member, d->value_offset);
    if (!d->integer || d->overflow || d->number_value > (uint64_t)INT64_MAX + d->negative)
        return wrong_type(d, role, d->member, d->value_offset);
    v = d->negative ? (int64_t)(0 - d->number_value) : (int64_t)d->number_value;
    *(d->member == RC_P_PORT ? &d->node.port : d->member == RC_P_PASSING ? &d->node.passing : &d->node.warning) = v;
    return RC_OK;
}

/* null is the zero value of whatever is wanted, as in Go. */
static int null_value(rc_decoder *d, int role)
{
    switch (d->member) {
    case RC_P_SERVICE: rc_entry_reset_service(d); break;
    case RC_P_NODE: rc_entry_reset_node(d); break;
    case RC_P_TAGS: rc_entry_reset_tags(d); break;
    case RC_P_CHECKS: d->maintenance = d->critical = d->warning = d->any_critical = 0; break;
    case RC_P_ID: rc_entry_drop_text(d, &d->node.id); break;
    case RC_P_NAME: rc_entry_drop_text(d, &d->node.name); break;
    case RC_P_ADDRESS: rc_entry_drop_text(d, &d->node.address); break;
    case RC_P_PORT: d->node.port = 0; break;
    case RC_P_NODE_NODE: rc_entry_drop_text(d, &d->node.node_name); break;
    case RC_P_NODE_ADDRESS: rc_entry_drop_text(d, &d->node.node_address); break;
    case RC_P_NODE_DATACENTER: rc_entry_drop_text(d, &d->node.datacenter); break;
    case RC_P_WEIGHTS: d->node.passing = d->node.warning = 1; break;
    case RC_P_PASSING: d->node.passing = 1; break;
    case RC_P_WARNING: d->node.warning = 1; break;
    case RC_P_CHECK_ID: d->check_maintenance = 0; break;
    case RC_P_CHECK_STATUS: d->check_status = 0; break;
    case RC_P_META:
    case RC_P_NODE_META:
        if (role == ROLE_META || role == ROLE_NODE_META) {
            d->over = 0;
            return map_put(d, NULL, 0, d->value_offset);
        }
        {
            rc_record **slot = d->member == RC_P_META ? &d->node.meta : &d->node.node_meta;
            if (*slot != NULL) d->replaced = 1;
            *slot = NULL;
        }
        break;
    default: break; /* a null entry has no Service; null tags and checks say nothing */
    }
    return RC_OK;
}

/* A wanted bracket closes. */
static int close_wanted(rc_decoder *d)
{
    switch (d->roles[--d->wanted]) {
    case ROLE_CHECK: rc_entry_check_end(d); break;
    case ROLE_META:
    case ROLE_NODE_META: return rc_entry_map_end(d);
    default: break;
    }
    return RC_OK;
}

/* ---- the pass ---- */

#define AT(q) (base + (uint64_t)((q) - data))
#define FAIL(code, q, in_value)                                  \
    do {                                                         \
        rc_fatal(d, (code), place(d, (in_value)), AT(q));        \
        goto failed;                                             \
    } while (0)
#define CALL(expression)                        \
    do {                                        \
        if ((expression) != RC_OK) goto failed; \
    } while (0)
#define SPACE(c) ((c) == ' ' || (c) == '\n' || (c) == '\r' || (c) == '\t')
#define SKIP_SPACE()                          \
    while (p < end && *p <= ' ' && SPACE(*p)) \
    p++

/* Keeps the plain bytes of a string that cannot be a slice of the chunk. */
static int collect(rc_decoder *d, const uint8_t *from, size_t n)
{
    if (n == 0 || !d->collect) return 0;
    if (d->high) {
        d->high = 0;
        if (rc_buf_put(&d->text, "\xef\xbf\xbd", 3) < 0) return -1;
    }
    if (d->text.len + n > d->text_limit) {
        d->over = 1;
        d->collect = 0;
        d->text.len = 0;
        return 0;
    }
    return rc_buf_put(&d->text, from, n);
}

static int collect_rune(rc_decoder *d, uint32_t rune)
{
    if (!d->collect) return 0;
    if (d->high && rune >= 0xdc00 && rune < 0xe000) {
        rune = 0x10000 + ((d->high - 0xd800) << 10) + (rune - 0xdc00);
        d->high = 0;
    } else if (d->high) {
        d->high = 0;
        if (rc_buf_put(&d->text, "\xef\xbf\xbd", 3) < 0) return -1;
    }
    if (rune >= 0xd800 && rune < 0xdc00) d->high = rune; /* its low half may follow */
    else if (rc_put_rune(&d->text, rune) < 0) return -1;
    if (d->text.len > d->text_limit) {
        d->over = 1;
        d->collect = 0;
        d->text.len = 0;
        d->high = 0;
    }
    return 0;
}

static int collect_end(rc_decoder *d)
{
    if (!d->high) return 0;
    d->high = 0;
    if (d->collect && rc_buf_put(&d->text, "\xef\xbf\xbd", 3) < 0) return -1;
    if (d->text.len > d->text_limit) d->over = 1;
    return 0;
}

int rc_scan(rc_decoder *d, const uint8_t *data, size_t n, size_t pause, size_t inflate, size_t *used)
{
    const uint8_t *p = data, *end = data + n, *from = data, *q;
    const uint64_t base = d->consumed;
    const uint8_t *tags_begin = NULL;
    int role, over_limit = 0;
    *used = 0;
    d->workshop.inflated = 0;
    d->tags_text = NULL; /* it points into the chunk before */
    if (d->error.code != RC_OK) return d->error.code;
    if (n > d->body_bytes - base) { /* what fits is still read: an error in it comes first */
        end = data + (size_t)(d->body_bytes - base);
        over_limit = 1;
    }
    role = role_of(d);
    switch (d->state) {
    case S_START: goto start;
    case S_VALUE: goto value;
    case S_FIRST_VALUE: goto first_value;
    case S_FIRST_KEY: goto first_key;
    case S_KEY: goto key;
    case S_COLON: goto colon;
    case S_COMMA: goto comma;
    case S_STRING: goto string;
    case S_ESCAPE: goto escape;
    case S_ESCAPE_HEX: goto escape_hex;
    case S_UTF8: goto utf8;
    case S_NUMBER: goto number;
    case S_LITERAL: goto literal;
    default: goto behind;
    }

start:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_START;
        goto out;
    }
    if (*p == '[') {
        d->kinds[0] = 0;
        d->depth = d->wanted = 1;
        d->roles[0] = ROLE_LIST;
        role = ROLE_LIST;
        p++;
        goto first_value;
    }
    if (*p == 'n') { /* null is Go's nil list: empty */
        d->member = NOT_WANTED;
        d->literal = 2;
        d->literal_at = 0;
        goto literal;
    }
    if (*p == '{' || *p == '"' || *p == '-' || *p == 't' || *p == 'f' || (*p >= '0' && *p <= '9'))
        FAIL(RC_NOT_A_LIST, p, 0);
    FAIL(RC_BAD_VALUE, p, 0);

first_value:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_FIRST_VALUE;
        goto out;
    }
    if (*p == ']') goto close;
    d->member = (uint8_t)element_of(role);

value:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_VALUE;
        goto out;
    }
    if (d->member == PLACE_OF_ELEMENT) rc_entry_begin(d, AT(p));
    switch (*p) {
    case '"':
        d->is_key = 0;
        d->collect = d->member != NOT_WANTED;
        d->text_limit = d->member == RC_P_TAG ? d->tag_bytes : d->string_bytes;
        goto string_begins;
    case '{':
    case '[': {
        int list = *p == '[';
        size_t wanted = d->wanted;
        if (d->depth >= d->nesting) FAIL(RC_LIMIT_NESTING, p, 1);
        if (d->member == RC_P_TAGS) {
            tags_begin = p;
        } else if (role == ROLE_TAGS) {
            tags_begin = NULL; /* only a list without brackets inside is as valid at any depth */
        } else if (role == ROLE_CHECK && d->member == NOT_WANTED && list && d->tags_text != NULL &&
                   (size_t)(end - p) >= d->tags_text_len && memcmp(p, d->tags_text, d->tags_text_len) == 0) {
            /* Checks[].ServiceTags repeats Service.Tags to the letter, which was found valid a moment ago. */
            p += d->tags_text_len;
            goto value_ends;
        }
        if (list) d->kinds[d->depth >> 3] &= (uint8_t) ~(1u << (d->depth & 7));
        else d->kinds[d->depth >> 3] |= (uint8_t)(1u << (d->depth & 7));
        if (d->member != NOT_WANTED) CALL(list ? open_list(d, role, d->member, AT(p)) : open_object(d, role, d->member, AT(p)));
        if (d->depth == wanted && d->wanted == wanted) d->skipped = d->member; /* skipped from here on */
        d->depth++;
        role = role_of(d);
        p++;
        if (list) goto first_value;
        goto first_key;
    }
    case 't':
    case 'f':
    case 'n':
        d->value_offset = AT(p);
        d->literal = *p == 't' ? 0 : *p == 'f' ? 1 : 2;
        d->literal_at = 0;
        goto literal;
    case '-':
        d->value_offset = AT(p);
        d->number = N_MINUS;
        d->negative = 1;
        d->number_value = 0;
        d->integer = 1;
        d->overflow = 0;
        p++;
        goto number;
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        d->value_offset = AT(p);
        d->number = *p == '0' ? N_ZERO : N_INT;
        d->negative = 0;
        d->number_value = (uint64_t)(*p - '0');
        d->integer = 1;
        d->overflow = 0;
        p++;
        goto number;
    default: FAIL(RC_BAD_VALUE, p, 1);
    }

first_key:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_FIRST_KEY;
        goto out;
    }
    if (*p == '}') goto close;

key:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_KEY;
        goto out;
    }
    if (*p != '"') FAIL(RC_BAD_KEY, p, 0);
    d->is_key = 1;
    d->collect = role != ROLE_SKIP;
    d->text_limit = role == ROLE_META || role == ROLE_NODE_META ? d->string_bytes : LONGEST_KEY;

string_begins:
    d->value_offset = AT(p);
    d->over = d->changed = 0;
    d->high = 0;
    d->text.len = 0;
    p++;
    from = p;

string:
    for (;;) {
        q = rc_plain_run(p, end);
        if (q == end) {
            if (collect(d, from, (size_t)(end - from)) < 0) FAIL(RC_NO_MEMORY, q, !d->is_key);
            if (d->text.len) d->changed = 1;
            p = end;
            d->state = S_STRING;
            goto out;
        }
        if (*q == '"') break;
        if (*q == '\\') {
            if (collect(d, from, (size_t)(q - from)) < 0) FAIL(RC_NO_MEMORY, q, !d->is_key);
            d->changed = 1;
            p = q + 1;
            goto escape;
        }
        if (*q < 0x20) FAIL(RC_BAD_CONTROL, q, !d->is_key);
        /* the first byte of a sequence says how many follow, and what the second may be */
        d->utf8_low = 0x80;
        d->utf8_high = 0xbf;
        if (*q >= 0xc2 && *q < 0xe0) d->utf8_left = 1;
        else if (*q >= 0xe0 && *q < 0xf0) {
            d->utf8_left = 2;
            if (*q == 0xe0) d->utf8_low = 0xa0;
            if (*q == 0xed) d->utf8_high = 0x9f;
        } else if (*q >= 0xf0 && *q < 0xf5) {
            d->utf8_left = 3;
            if (*q == 0xf0) d->utf8_low = 0x90;
            if (*q == 0xf4) d->utf8_high = 0x8f;
        } else FAIL(RC_BAD_UTF8, q, !d->is_key);
        p = q + 1;
    utf8:
        while (d->utf8_left) {
            if (p == end) {
                if (collect(d, from, (size_t)(end - from)) < 0) FAIL(RC_NO_MEMORY, p, !d->is_key);
                if (d->text.len) d->changed = 1;
                d->state = S_UTF8;
                goto out;
            }
            if (*p < d->utf8_low || *p > d->utf8_high) FAIL(RC_BAD_UTF8, p, !d->is_key);
            d->utf8_low = 0x80;
            d->utf8_high = 0xbf;
            d->utf8_left--;
            p++;
        }
    }
    /* the closing quote is at q */
    p = q + 1;
    {
        const uint8_t *text = from;
        size_t len = (size_t)(q - from);
        if (d->changed) {
            if (collect(d, from, len) < 0 || collect_end(d) < 0) FAIL(RC_NO_MEMORY, q, !d->is_key);
            text = d->text.data;
            len = d->text.len;
        } else if (len > d->text_limit) {
            d->over = 1;
        }
        if (d->over) len = 0;
        if (d->is_key) {
            if (role != ROLE_SKIP) {
                d->member = (uint8_t)(d->over && role != ROLE_META && role != ROLE_NODE_META
                                          ? NOT_WANTED
                                          : member_of(role, text, len));
                if (role == ROLE_META || role == ROLE_NODE_META) CALL(map_put(d, text, len, d->value_offset));
            } else {
                d->member = NOT_WANTED;
            }
            goto colon;
        }
        if (d->member != NOT_WANTED) CALL(string_value(d, role, text, len));
        if (d->text.cap > 64 * 1024) rc_buf_shrink(&d->text, 64 * 1024);
    }
    goto value_ends;

escape:
    if (p == end) {
        d->state = S_ESCAPE;
        goto out;
    }
    {
        uint32_t rune;
        switch (*p) {
        case '"': rune = '"'; break;
        case '\\': rune = '\\'; break;
        case '/': rune = '/'; break;
        case 'b': rune = '\b'; break;
        case 'f': rune = '\f'; break;
        case 'n': rune = '\n'; break;
        case 'r': rune = '\r'; break;
        case 't': rune = '\t'; break;
        case 'u':
            p++;
            d->escape = 0;
            d->escape_digits = 0;
            goto escape_hex;
        default: FAIL(RC_BAD_ESCAPE, p, !d->is_key);
        }
        if (collect_rune(d, rune) < 0) FAIL(RC_NO_MEMORY, p, !d->is_key);
        from = ++p;
        goto string;
    }

escape_hex:
    while (d->escape_digits < 4) {
        if (p == end) {
            d->state = S_ESCAPE_HEX;
            goto out;
        }
        int h = rc_hex_value[*p];
        if (h < 0) FAIL(RC_BAD_ESCAPE, p, !d->is_key);
        d->escape = d->escape << 4 | (uint32_t)h;
        d->escape_digits++;
        p++;
    }
    if (collect_rune(d, d->escape) < 0) FAIL(RC_NO_MEMORY, p, !d->is_key);
    from = p;
    goto string;

colon:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_COLON;
        goto out;
    }
    if (*p != ':') FAIL(RC_BAD_COLON, p, 0);
    p++;
    goto value;

number:
    for (;; p++) {
        if (p == end) {
            d->state = S_NUMBER;
            goto out;
        }
        uint8_t c = *p;
        int digit = c >= '0' && c <= '9';
        switch (d->number) {
        case N_MINUS:
            if (!digit) FAIL(RC_BAD_NUMBER, p, 1);
            d->number = c == '0' ? N_ZERO : N_INT;
            d->number_value = (uint64_t)(c - '0');
            continue;
        case N_ZERO:
            if (digit) FAIL(RC_BAD_NUMBER, p, 1);
            break;
        case N_INT:
            if (digit) {
                if (d->number_value > (UINT64_MAX - 9) / 10) d->overflow = 1;
                else d->number_value = d->number_value * 10 + (uint64_t)(c - '0');
                continue;
            }
            break;
        case N_POINT:
            if (!digit) FAIL(RC_BAD_NUMBER, p, 1);
            d->number = N_FRACTION;
            continue;
        case N_FRACTION:
            if (digit) continue;
            break;
        case N_E:
            if (c == '+' || c == '-') {
                d->number = N_SIGN;
                continue;
            }
            /* fall through */
        case N_SIGN:
            if (!digit) FAIL(RC_BAD_NUMBER, p, 1);
            d->number = N_EXPONENT;
            continue;
        default:
            if (digit) continue;
        }
        if (c == '.' && (d->number == N_ZERO || d->number == N_INT)) {
            d->number = N_POINT;
            d->integer = 0;
            continue;
        }
        if ((c == 'e' || c == 'E') && d->number != N_EXPONENT) {
            d->number = N_E;
            d->integer = 0;
            continue;
        }
        break;
    }
    CALL(number_value(d, role));
    goto value_ends;

literal:
    while (words[d->literal][d->literal_at] != '\0') {
        if (p == end) {
            d->state = S_LITERAL;
            goto out;
        }
        if (*p != (uint8_t)words[d->literal][d->literal_at]) FAIL(RC_BAD_LITERAL, p, d->depth != 0);
        d->literal_at++;
        p++;
    }
    if (d->depth == 0) goto behind;
    if (d->literal == 2) CALL(null_value(d, role));
    else if (d->member != NOT_WANTED) CALL(wrong_type(d, role, d->member, d->value_offset));

value_ends:
    /* a value at the level of the list, tags or checks moves their index on */
    if (role == ROLE_TAGS) {
        d->tag++;
        if (d->workshop.inflated > inflate) {
            d->state = S_COMMA;
            goto out;
        }
    } else if (role == ROLE_CHECKS) d->check++;
    else if (role == ROLE_LIST) {
        CALL(rc_entry_end(d));
        d->entry++;
        if (d->node_count >= pause) {
            d->state = S_COMMA;
            goto out;
        }
    }

comma:
    SKIP_SPACE();
    if (p == end) {
        d->state = S_COMMA;
        goto out;
    }
    if (*p == ',') {
        p++;
        if (d->kinds[(d->depth - 1) >> 3] >> ((d->depth - 1) & 7) & 1) goto key;
        d->member = (uint8_t)element_of(role);
        goto value;
    }
    if (*p != (d->kinds[(d->depth - 1) >> 3] >> ((d->depth - 1) & 7) & 1 ? '}' : ']')) FAIL(RC_BAD_COMMA, p, 0);

close:
    p++;
    if (role == ROLE_TAGS && tags_begin != NULL) {
        d->tags_text = tags_begin;
        d->tags_text_len = (size_t)(p - tags_begin);
    }
    if (d->depth == d->wanted) CALL(close_wanted(d));
    d->depth--;
    role = role_of(d);
    if (d->depth == 0) goto behind;
    goto value_ends;

behind:
    d->done = 1;
    d->state = S_END;
    SKIP_SPACE();
    if (p != end) FAIL(RC_TRAILING, p, 0);

out:
    *used = (size_t)(p - data);
    d->consumed = base + *used;
    if (over_limit && p == end) return rc_fatal(d, RC_LIMIT_BODY, RC_P_TOP, d->body_bytes);
    return RC_OK;

failed:
    *used = (size_t)(p - data);
    d->consumed = base + *used;
    return d->error.code;
}

int rc_scan_end(rc_decoder *d)
{
    int in_value = d->state == S_NUMBER || d->state == S_LITERAL ||
                   ((d->state == S_STRING || d->state == S_ESCAPE || d->state == S_ESCAPE_HEX || d->state == S_UTF8) &&
                    !d->is_key);
    if (d->error.code != RC_OK) return d->error.code;
    if (!d->done) return rc_fatal(d, RC_TRUNCATED, d->depth ? place(d, in_value) : RC_P_TOP, d->consumed);
    return RC_OK;
}
