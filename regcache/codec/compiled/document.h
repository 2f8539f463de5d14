/* The JSON of one record, by the rules of Go's encoding/json: checked when it is decoded, told to a sink when
   somebody asks for it. One pass, no recursion. */
#ifndef RC_DOCUMENT_H
#define RC_DOCUMENT_H

#include "codes.h"
#include "memory.h"

enum rc_document { RC_DOC_ENDPOINT, RC_DOC_METADATA, RC_DOC_MDNS };

/* What an event is about. */
enum rc_member {
    RC_M_SKIP,      /* nobody wants it */
    RC_M_ROOT,
    RC_M_NAME,
    RC_M_TYPE,
    RC_M_REQUEST,
    RC_M_RESPONSE,
    RC_M_METADATA,
    RC_M_VALUES,
    RC_M_VALUE,     /* an element of values */
    RC_M_PAIR,      /* a value of a map of strings; its key came before */
    RC_M_SERVICE,
    RC_M_VERSION,
    RC_M_ENDPOINTS,
    RC_M_ENDPOINT   /* an element of Endpoints */
};

enum rc_event { RC_E_BEGIN, RC_E_END, RC_E_STRING, RC_E_NULL, RC_E_KEY };

/* Told in the order of the text; strings are valid UTF-8. Not 0 stops the pass, which returns it. */
typedef int (*rc_sink)(void *ctx, int event, int member, const uint8_t *text, size_t n);

/* RC_OK, RC_RECORD_NOT_JSON, RC_RECORD_SHAPE, RC_RECORD_NESTING, RC_LIMIT_RECORD (more than `most` objects and lists),
   RC_NO_MEMORY, or what the sink returned.
   With sink NULL the text is only checked. `scratch` holds strings with escapes meanwhile. */
int rc_document(int kind, const uint8_t *text, size_t n, size_t nesting, size_t most, rc_buf *scratch, rc_sink sink,
                void *ctx);

/* As many objects, lists and pairs as a record may have that may have so many bytes: regcache.limits.containers. */
#define RC_MOST(record_bytes) (16 + (record_bytes) / 16)

#endif
