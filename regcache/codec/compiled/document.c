#include "document.h"

#include "text.h"

/* What is open. Even numbers are objects. */
enum frame {
    F_SKIP_OBJECT = 0,
    F_SKIP_LIST = 1,
    F_ENDPOINT = 2,
    F_VALUES = 3,
    F_VALUE = 4,
    F_ENDPOINTS = 5,
    F_MAP = 6,
    F_MDNS = 8
};
#define IS_LIST(frame) ((frame) & 1)

typedef struct {
    const uint8_t *p, *end;
    rc_buf *scratch;
    const uint8_t *text; /* the last string, if it was wanted */
    size_t text_len;
} doc;

static void skip_space(doc *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t')) d->p++;
}

static int hex4(doc *d, uint32_t *out)
{
    if (d->end - d->p < 4) return -1;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int h = rc_hex_value[d->p[i]];
        if (h < 0) return -1;
        v = v << 4 | (uint32_t)h;
    }
    d->p += 4;
    *out = v;
    return 0;
}

/* p is behind the opening quote. Where the text is wanted it is left in d->text, clean UTF-8. */
static int string(doc *d, int want)
{
    const uint8_t *from = d->p;
    int changed = 0;
    d->scratch->len = 0;
    for (;;) {
        d->p = rc_plain_run(d->p, d->end);
        if (d->p == d->end) return RC_RECORD_NOT_JSON;
        uint8_t c = *d->p;
        if (c == '"') break;
        if (c < 0x20) return RC_RECORD_NOT_JSON;
        if (c >= 0x80) {
            size_t len = rc_utf8_len(d->p, d->end);
            if (len) {
                d->p += len;
                continue;
            }
            if (want && (rc_buf_put(d->scratch, from, (size_t)(d->p - from)) < 0 ||
                         rc_buf_put(d->scratch, "\xef\xbf\xbd", 3) < 0))
                return RC_NO_MEMORY;
            from = ++d->p;
            changed = 1;
            continue;
        }
        /* an escape */
        if (want && rc_buf_put(d->scratch, from, (size_t)(d->p - from)) < 0) return RC_NO_MEMORY;
        changed = 1;
        d->p++;
        if (d->p == d->end) return RC_RECORD_NOT_JSON;
        uint32_t rune;
        switch (*d->p++) {
        case '"': rune = '"'; break;
        case '\\': rune = '\\'; break;
        case '/': rune = '/'; break;
        case 'b': rune = '\b'; break;
        case 'f': rune = '\f'; break;
        case 'n': rune = '\n'; break;
        case 'r': rune = '\r'; break;
        case 't': rune = '\t'; break;
        case 'u':
            if (hex4(d, &rune) < 0) return RC_RECORD_NOT_JSON;
            if (rune >= 0xd800 && rune < 0xdc00 && d->end - d->p >= 6 && d->p[0] == '\\' && d->p[1] == 'u') {
                const uint8_t *back = d->p;
                uint32_t low;
                d->p += 2;
                if (hex4(d, &low) < 0) return RC_RECORD_NOT_JSON;
                if (low >= 0xdc00 && low < 0xe000) rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
                else d->p = back;
            }
            break;
        default: return RC_RECORD_NOT_JSON;
        }
        if (want && rc_put_rune(d->scratch, rune) < 0) return RC_NO_MEMORY;
        from = d->p;
    }
    if (want) {
        if (!changed) {
            d->text = from;
            d->text_len = (size_t)(d->p - from);
        } else {
            if (rc_buf_put(d->scratch, from, (size_t)(d->p - from)) < 0) return RC_NO_MEMORY;
            d->text = d->scratch->data;
            d->text_len = d->scratch->len;
        }
        if (d->text == NULL) d->text = (const uint8_t *)"";
    }
    d->p++;
    return RC_OK;
}

static int number(doc *d)
{
    const uint8_t *p = d->p, *end = d->end;
    if (p < end && *p == '-') p++;
    if (p == end || *p < '0' || *p > '9') return RC_RECORD_NOT_JSON;
    if (*p == '0') p++;
    else while (p < end && *p >= '0' && *p <= '9') p++;
    if (p < end && *p == '.') {
        p++;
        if (p == end || *p < '0' || *p > '9') return RC_RECORD_NOT_JSON;
        while (p < end && *p >= '0' && *p <= '9') p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (p == end || *p < '0' || *p > '9') return RC_RECORD_NOT_JSON;
        while (p < end && *p >= '0' && *p <= '9') p++;
    }
    d->p = p;
    return RC_OK;
}

static int literal(doc *d, const char *word, size_t n)
{
    if ((size_t)(d->end - d->p) < n || memcmp(d->p, word, n) != 0) return RC_RECORD_NOT_JSON;
    d->p += n;
    return RC_OK;
}

/* The member that a key names in an object of this kind. */
static int member_of(int frame, const uint8_t *k, size_t n)
{
    switch (frame) {
    case F_ENDPOINT:
        if (RC_KEY(k, n, "name")) return RC_M_NAME;
        if (RC_KEY(k, n, "request")) return RC_M_REQUEST;
        if (RC_KEY(k, n, "response")) return RC_M_RESPONSE;
        if (RC_KEY(k, n, "metadata")) return RC_M_METADATA;
        return RC_M_SKIP;
    case F_VALUE:
        if (RC_KEY(k, n, "name")) return RC_M_NAME;
        if (RC_KEY(k, n, "type")) return RC_M_TYPE;
        if (RC_KEY(k, n, "values")) return RC_M_VALUES;
        return RC_M_SKIP;
    case F_MDNS:
        if (RC_KEY(k, n, "Service")) return RC_M_SERVICE;
        if (RC_KEY(k, n, "Version")) return RC_M_VERSION;
        if (RC_KEY(k, n, "Endpoints")) return RC_M_ENDPOINTS;
        if (RC_KEY(k, n, "Metadata")) return RC_M_METADATA;
        return RC_M_SKIP;
    case F_MAP: return RC_M_PAIR;
    default: return RC_M_SKIP;
    }
}

static int element_of(int frame)
{
    return frame == F_VALUES ? RC_M_VALUE : frame == F_ENDPOINTS ? RC_M_ENDPOINT : RC_M_SKIP;
}

/* The frame that '{' opens for this member, or -1 where an object has no place. */
static int object_for(int member, int kind)
{
    switch (member) {
    case RC_M_ROOT: return kind == RC_DOC_ENDPOINT ? F_ENDPOINT : kind == RC_DOC_METADATA ? F_MAP : F_MDNS;
    case RC_M_REQUEST: case RC_M_RESPONSE: case RC_M_VALUE: return F_VALUE;
    case RC_M_METADATA: return F_MAP;
    case RC_M_ENDPOINT: return F_ENDPOINT;
    case RC_M_SKIP: return F_SKIP_OBJECT;
    default: return -1;
    }
}

static int is_string_member(int m)
{
    return m == RC_M_NAME || m == RC_M_TYPE || m == RC_M_PAIR || m == RC_M_SERVICE || m == RC_M_VERSION;
}

#define TELL(event, member, text, n)                                        \
    do {                                                                    \
        if (sink != NULL && (rc = sink(ctx, (event), (member), (text), (n))) != 0) goto done; \
    } while (0)

int rc_document(int kind, const uint8_t *text, size_t n, size_t nesting, size_t most, rc_buf *scratch, rc_sink sink,
                void *ctx)
{
    doc d = {text, text + n, scratch, NULL, 0};
    /* frames[i] is an open bracket, opened[i] the member that it is the value of */
    uint8_t few[128];
    rc_buf more = {NULL, 0, 0};
    uint8_t *frames = few;
    size_t room = sizeof few / 2, depth = 0;
    int member = RC_M_ROOT, rc = RC_OK, misshaped = 0;

value:
    skip_space(&d);
    if (d.p == d.end) goto not_json;
    switch (*d.p) {
    case '{':
    case '[': {
        int list = *d.p == '[', frame;
        if (depth >= nesting) {
            rc = RC_RECORD_NESTING;
            goto done;
        }
        if (most-- == 0) {
            rc = RC_LIMIT_RECORD;
            goto done;
        }
        if (list)
            frame = member == RC_M_VALUES ? F_VALUES
                  : member == RC_M_ENDPOINTS ? F_ENDPOINTS
                  : member == RC_M_SKIP ? F_SKIP_LIST : -1;
        else
            frame = object_for(member, kind);
        if (frame < 0) {
            misshaped = 1;
            frame = list ? F_SKIP_LIST : F_SKIP_OBJECT;
            member = RC_M_SKIP;
        }
        if (depth == room) {
            rc_buf wider = {NULL, 0, 0};
            if (rc_buf_reserve(&wider, room * 4) < 0) goto no_memory;
            memcpy(wider.data, frames, depth * 2);
            rc_buf_free(&more);
            more = wider;
            frames = more.data;
            room = more.cap / 2;
        }
        frames[depth * 2] = (uint8_t)frame;
        frames[depth * 2 + 1] = (uint8_t)member;
        depth++;
        d.p++;
        if (frame > F_SKIP_LIST) TELL(RC_E_BEGIN, member, NULL, 0);
        skip_space(&d);
        if (d.p < d.end && *d.p == (list ? ']' : '}')) goto close;
        if (!list) goto key;
        member = element_of(frame);
        goto value;
    }
    case '"': {
        int want = sink != NULL && is_string_member(member);
        d.p++;
        if ((rc = string(&d, want)) != RC_OK) goto done;
        if (is_string_member(member)) {
            if (want) TELL(RC_E_STRING, member, d.text, d.text_len);
        } else if (member != RC_M_SKIP) {
            misshaped = 1;
        }
        goto after;
    }
    case 'n':
        if ((rc = literal(&d, "null", 4)) != RC_OK) goto done;
        if (member != RC_M_SKIP) TELL(RC_E_NULL, member, NULL, 0);
        goto after;
    case 't':
        rc = literal(&d, "true", 4);
        break;
    case 'f':
        rc = literal(&d, "false", 5);
        break;
    default:
        rc = number(&d);
    }
    if (rc != RC_OK) goto done;
    if (member != RC_M_SKIP) misshaped = 1;

after:
    skip_space(&d);
    if (depth == 0) {
        if (d.p != d.end) goto not_json;
        rc = misshaped ? RC_RECORD_SHAPE : RC_OK;
        goto done;
    }
    if (d.p == d.end) goto not_json;
    {
        int frame = frames[depth * 2 - 2];
        if (*d.p == ',') {
            d.p++;
            if (IS_LIST(frame)) {
                member = element_of(frame);
                goto value;
            }
            skip_space(&d);
            goto key;
        }
        if (*d.p != (IS_LIST(frame) ? ']' : '}')) goto not_json;
    }

close:
    d.p++;
    depth--;
    if (frames[depth * 2] > F_SKIP_LIST) TELL(RC_E_END, frames[depth * 2 + 1], NULL, 0);
    goto after;

key:
    if (d.p == d.end || *d.p != '"') goto not_json;
    d.p++;
    {
        int frame = frames[depth * 2 - 2];
        if ((rc = string(&d, frame > F_SKIP_LIST)) != RC_OK) goto done;
        member = frame > F_SKIP_LIST ? member_of(frame, d.text, d.text_len) : RC_M_SKIP;
        if (member == RC_M_PAIR) TELL(RC_E_KEY, member, d.text, d.text_len);
    }
    skip_space(&d);
    if (d.p == d.end || *d.p != ':') goto not_json;
    d.p++;
    goto value;

no_memory:
    rc = RC_NO_MEMORY;
    goto done;
not_json:
    rc = RC_RECORD_NOT_JSON;
done:
    rc_buf_free(&more);
    return rc;
}
