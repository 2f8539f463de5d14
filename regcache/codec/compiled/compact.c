#include "compact.h"

#include <zstd.h>

#include "records.h"
#include "text.h"

/* ---- the text: base64url, strictly ---- */

static uint8_t sextet[256]; /* 0xff: not in the alphabet */
static ZSTD_DDict *dictionary_1;

int rc_compact_init(const uint8_t *dictionary, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    memset(sextet, 0xff, sizeof sextet);
    for (int i = 0; i < 64; i++) sextet[(uint8_t)alphabet[i]] = (uint8_t)i;
    if (dictionary_1 == NULL) dictionary_1 = ZSTD_createDDict(dictionary, n);
    return dictionary_1 != NULL && ZSTD_getDictID_fromDDict(dictionary_1) != 0 ? 0 : -1;
}

static int unbase64(rc_buf *out, const uint8_t *p, size_t n)
{
    size_t tail = n % 4;
    if (tail == 1) return RC_BAD_BASE64;
    if (rc_buf_reserve(out, n / 4 * 3 + 3) < 0) return RC_NO_MEMORY;
    uint8_t *o = out->data + out->len, bad = 0;
    for (size_t i = 0; i + 4 <= n; i += 4, p += 4) {
        uint8_t a = sextet[p[0]], b = sextet[p[1]], c = sextet[p[2]], d = sextet[p[3]];
        bad |= a | b | c | d;
        *o++ = (uint8_t)(a << 2 | b >> 4);
        *o++ = (uint8_t)(b << 4 | c >> 2);
        *o++ = (uint8_t)(c << 6 | d);
    }
    if (tail) {
        uint8_t a = sextet[p[0]], b = sextet[p[1]], c = tail == 3 ? sextet[p[2]] : 0;
        bad |= a | b | c;
        if (tail == 2 ? b & 15 : c & 3) bad = 0xff; /* bits that say nothing are zero */
        *o++ = (uint8_t)(a << 2 | b >> 4);
        if (tail == 3) *o++ = (uint8_t)(b << 4 | c >> 2);
    }
    if (bad & 0xc0) return RC_BAD_BASE64;
    out->len = (size_t)(o - out->data);
    return RC_OK;
}

/* ---- the frame ---- */

int rc_compact_unpack(rc_unpacker *u, rc_buf *raw, rc_buf *out, const uint8_t *tag, size_t n, size_t record_bytes,
                      size_t ratio)
{
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    int code;
    out->len = 0;
    if (n < 4 || tag[2] != '1') return RC_COMPACT_FORM;
    if (tag[3] != '0' && tag[3] != '1') return RC_COMPACT_DICTIONARY;
    raw->len = 0;
    if (rc_buf_put(raw, magic, sizeof magic) < 0) return RC_NO_MEMORY;
    if ((code = unbase64(raw, tag + 4, n - 4)) != RC_OK) return code;
    unsigned long long size = ZSTD_getFrameContentSize(raw->data, raw->len);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return RC_ZSTD_CORRUPT;
    if (ZSTD_findFrameCompressedSize(raw->data, raw->len) != raw->len) return RC_ZSTD_CORRUPT;
    int too_large;
    size_t allowed = rc_allowed(raw->len - sizeof magic, record_bytes, ratio, &too_large);
    if (size > allowed) return too_large;
    if (u->context == NULL && (u->context = ZSTD_createDCtx()) == NULL) return RC_NO_MEMORY;
    if (rc_buf_reserve(out, (size_t)size + 1) < 0) return RC_NO_MEMORY;
    size_t made = tag[3] == '1'
                      ? ZSTD_decompress_usingDDict(u->context, out->data, (size_t)size, raw->data, raw->len, dictionary_1)
                      : ZSTD_decompressDCtx(u->context, out->data, (size_t)size, raw->data, raw->len);
    out->len = (size_t)size; /* what was done, also for a frame that turns out to be broken */
    return ZSTD_isError(made) || made != size ? RC_ZSTD_CORRUPT : RC_OK;
}

void rc_unpacker_free(rc_unpacker *u)
{
    ZSTD_freeDCtx(u->context);
    u->context = NULL;
}

size_t rc_unpacker_bytes(const rc_unpacker *u) { return u->context == NULL ? 0 : ZSTD_sizeof_DCtx(u->context); }

/* ---- the record: msgpack without recursion ---- */

/* What is open: a container, the member that it is the value of, and what is left of it. */
enum shape { SKIPPED, RECORD, MAP, ENDPOINTS, ENDPOINT, VALUE, VALUES };

typedef struct {
    uint64_t left;    /* items; of a map, keys and values both count */
    uint32_t seen;    /* items before, for the places of an array */
    uint8_t shape, member, is_map;
} level;

enum type { T_NIL, T_TEXT, T_LIST, T_MAP, T_OTHER };

typedef struct {
    int type;
    const uint8_t *text; /* of a text */
    uint64_t n;          /* bytes of a text, items of a list, pairs of a map */
} item;

/* Reads one item's head (of a text or a scalar all of it); the place behind it, or NULL. */
static const uint8_t *head(const uint8_t *p, const uint8_t *end, item *it)
{
    if (p == end) return NULL;
    uint8_t c = *p++;
    uint64_t n = 0;
    size_t width = 0, body = 0;
    int type = T_OTHER, sized = 0;
    if (c < 0x80 || c >= 0xe0) body = 0;                        /* fixint */
    else if (c < 0x90) { type = T_MAP; n = c & 15; }
    else if (c < 0xa0) { type = T_LIST; n = c & 15; }
    else if (c < 0xc0) { type = T_TEXT; n = c & 31; }
    else switch (c) {
    case 0xc0: type = T_NIL; break;
    case 0xc1: return NULL;                                      /* never used */
    case 0xc2: case 0xc3: break;                                 /* bool */
    case 0xc4: case 0xd9: width = 1; break;                      /* bin8, str8 */
    case 0xc5: case 0xda: case 0xdc: case 0xde: width = 2; break;
    case 0xc6: case 0xdb: case 0xdd: case 0xdf: width = 4; break;
    case 0xc7: width = 1; body = 1; break;                       /* ext: a type byte beside the size */
    case 0xc8: width = 2; body = 1; break;
    case 0xc9: width = 4; body = 1; break;
    case 0xca: case 0xce: case 0xd2: body = 4; break;            /* float32, uint32, int32 */
    case 0xcb: case 0xcf: case 0xd3: body = 8; break;
    case 0xcc: case 0xd0: body = 1; break;
    case 0xcd: case 0xd1: body = 2; break;
    case 0xd4: body = 2; break;                                  /* fixext: a type byte and 1 to 16 */
    case 0xd5: body = 3; break;
    case 0xd6: body = 5; break;
    case 0xd7: body = 9; break;
    case 0xd8: body = 17; break;
    default: return NULL;
    }
    if (width) {
        if ((size_t)(end - p) < width) return NULL;
        for (size_t i = 0; i < width; i++) n = n << 8 | *p++;
        if (c >= 0xd9 && c <= 0xdb) type = T_TEXT;
        else if (c == 0xdc || c == 0xdd) type = T_LIST;
        else if (c == 0xde || c == 0xdf) type = T_MAP;
        else sized = 1; /* bin and ext: n bytes follow */
    }
    if (sized) body += (size_t)n;
    if (type == T_TEXT) {
        if (n > (uint64_t)(end - p)) return NULL;
        it->text = p;
        p += n;
    } else if (type == T_OTHER) {
        if (body > (size_t)(end - p)) return NULL;
        p += body;
    }
    it->type = type;
    it->n = n;
    return p;
}

/* The member in this place of an array, or RC_M_SKIP. */
static int member_at(int shape, uint32_t place)
{
    static const uint8_t record[] = {RC_M_VERSION, RC_M_METADATA, RC_M_ENDPOINTS};
    static const uint8_t endpoint[] = {RC_M_NAME, RC_M_REQUEST, RC_M_RESPONSE, RC_M_METADATA};
    static const uint8_t value[] = {RC_M_NAME, RC_M_TYPE, RC_M_VALUES};
    switch (shape) {
    case RECORD: return place < sizeof record ? record[place] : RC_M_SKIP;
    case ENDPOINT: return place < sizeof endpoint ? endpoint[place] : RC_M_SKIP;
    case VALUE: return place < sizeof value ? value[place] : RC_M_SKIP;
    case ENDPOINTS: return RC_M_ENDPOINT;
    case VALUES: return RC_M_VALUE;
    case MAP: return RC_M_PAIR;
    default: return RC_M_SKIP;
    }
}

/* What a list opens as the value of this member, or SKIPPED where it has no place. */
static int list_for(int member)
{
    switch (member) {
    case RC_M_ROOT: return RECORD;
    case RC_M_REQUEST: case RC_M_RESPONSE: case RC_M_VALUE: return VALUE;
    case RC_M_VALUES: return VALUES;
    case RC_M_ENDPOINTS: return ENDPOINTS;
    case RC_M_ENDPOINT: return ENDPOINT;
    default: return SKIPPED;
    }
}

#define TELL(event, member, text, n)                                                      \
    do {                                                                                  \
        if (sink != NULL && (rc = sink(ctx, (event), (member), (text), (n))) != 0) goto done; \
    } while (0)

int rc_compact_document(const uint8_t *data, size_t n, size_t nesting, size_t most, rc_buf *scratch, rc_sink sink,
                        void *ctx)
{
    const uint8_t *p = data, *end = data + n;
    level few[16];
    rc_buf more = {NULL, 0, 0};
    level *levels = few;
    size_t room = sizeof few / sizeof *few, depth = 0;
    int rc = RC_OK, misshaped = 0, member = RC_M_ROOT, is_key = 0;
    item it = {T_NIL, NULL, 0};

    for (;;) {
        if ((p = head(p, end, &it)) == NULL) {
            rc = RC_RECORD_NOT_MSGPACK;
            goto done;
        }
        int container = it.type == T_LIST || it.type == T_MAP;
        if (container && depth >= nesting) {
            rc = RC_RECORD_NESTING;
            goto done;
        }
        if ((container || is_key) && most-- == 0) {
            rc = RC_LIMIT_RECORD;
            goto done;
        }
        if (container) {
            int shape = SKIPPED;
            if (member != RC_M_SKIP && !is_key) {
                if (it.type == T_LIST) shape = list_for(member);
                else if (member == RC_M_METADATA) shape = MAP;
            }
            /* version, metadata and endpoints are always there; what an endpoint or a value leaves out is nil */
            if ((shape == SKIPPED && member != RC_M_SKIP) || (shape == RECORD && it.n < 3)) misshaped = 1;
            if (depth == room) {
                rc_buf wider = {NULL, 0, 0};
                if (rc_buf_reserve(&wider, room * 2 * sizeof(level)) < 0) {
                    rc = RC_NO_MEMORY;
                    goto done;
                }
                memcpy(wider.data, levels, depth * sizeof(level));
                rc_buf_free(&more);
                more = wider;
                levels = (level *)(void *)more.data;
                room = more.cap / sizeof(level);
            }
            levels[depth].left = it.type == T_MAP ? it.n * 2 : it.n;
            levels[depth].seen = 0;
            levels[depth].shape = (uint8_t)shape;
            levels[depth].member = (uint8_t)member;
            levels[depth].is_map = it.type == T_MAP;
            depth++;
            if (shape != SKIPPED) TELL(RC_E_BEGIN, member, NULL, 0);
        } else if (member != RC_M_SKIP) {
            int text_member = member == RC_M_NAME || member == RC_M_TYPE || member == RC_M_VERSION ||
                              member == RC_M_PAIR;
            if (it.type == T_TEXT && text_member) {
                if (sink != NULL) {
                    scratch->len = 0;
                    if (rc_put_clean(scratch, it.text, (size_t)it.n) < 0) {
                        rc = RC_NO_MEMORY;
                        goto done;
                    }
                    const uint8_t *text = scratch->len ? scratch->data : (const uint8_t *)"";
                    TELL(is_key ? RC_E_KEY : RC_E_STRING, member, text, scratch->len);
                }
            } else if (it.type == T_NIL && !is_key && member != RC_M_ROOT) {
                TELL(RC_E_NULL, member, NULL, 0);
            } else {
                misshaped = 1;
            }
        }
        /* what is full closes */
        while (depth && levels[depth - 1].left == 0) {
            depth--;
            if (levels[depth].shape != SKIPPED) TELL(RC_E_END, levels[depth].member, NULL, 0);
        }
        if (depth == 0) break;
        level *top = &levels[depth - 1];
        top->left--;
        is_key = top->is_map && (top->left & 1);
        member = member_at(top->shape, top->seen);
        if (top->seen < UINT32_MAX) top->seen++;
    }
    rc = p != end ? RC_RECORD_NOT_MSGPACK : misshaped ? RC_RECORD_SHAPE : RC_OK;
done:
    rc_buf_free(&more);
    return rc;
}

int rc_compact_version(const uint8_t *data, size_t n, const uint8_t **text, size_t *len)
{
    const uint8_t *p = data, *end = data + n;
    item it = {T_NIL, NULL, 0};
    *len = 0;
    if ((p = head(p, end, &it)) == NULL || it.type != T_LIST || (p = head(p, end, &it)) == NULL) return -1;
    if (it.type != T_TEXT) return 0;
    *text = it.text;
    *len = (size_t)it.n;
    return 0;
}
