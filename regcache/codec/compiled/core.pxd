# Declarations of the C rooms, and nothing else.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "codes.h" nogil:
    enum:
        RC_OK
        RC_TRUNCATED
        RC_LIMIT_RECORD
        RC_LIMIT_TAG
        RC_NO_MEMORY

cdef extern from "memory.h" nogil:
    ctypedef struct rc_buf:
        uint8_t *data
        size_t len
        size_t cap
    void *rc_malloc(size_t n)
    void rc_free(void *p)
    int rc_buf_put(rc_buf *b, const void *p, size_t n)
    void rc_buf_free(rc_buf *b)

cdef extern from "text.h" nogil:
    const char *rc_text_use(const char *name)
    int rc_put_clean(rc_buf *out, const uint8_t *p, size_t n)

cdef extern from "unhex.h" nogil:
    int rc_unhex(rc_buf *out, const uint8_t *hex, size_t n)

cdef extern from "inflate.h" nogil:
    ctypedef struct rc_inflater:
        pass
    int rc_inflate(rc_inflater **inf, rc_buf *out, const uint8_t *data, size_t n, size_t allowed)

cdef extern from "unzstd.h" nogil:
    ctypedef struct rc_unzstd:
        pass
    rc_unzstd *rc_unzstd_new()
    void rc_unzstd_free(rc_unzstd *u)
    int rc_unzstd_step(rc_unzstd *u, const uint8_t *inp, size_t n, size_t *used, uint8_t *out, size_t cap, size_t *made)
    int rc_unzstd_complete(const rc_unzstd *u)

cdef extern from "document.h":
    enum:
        RC_DOC_ENDPOINT
        RC_DOC_METADATA
        RC_DOC_MDNS
    enum:
        RC_M_ROOT
        RC_M_NAME
        RC_M_TYPE
        RC_M_REQUEST
        RC_M_RESPONSE
        RC_M_METADATA
        RC_M_VALUES
        RC_M_VALUE
        RC_M_PAIR
        RC_M_SERVICE
        RC_M_VERSION
        RC_M_ENDPOINTS
        RC_M_ENDPOINT
    enum:
        RC_E_BEGIN
        RC_E_END
        RC_E_STRING
        RC_E_NULL
        RC_E_KEY
    ctypedef int (*rc_sink)(void *ctx, int event, int member, const uint8_t *text, size_t n) noexcept
    int rc_document(int kind, const uint8_t *text, size_t n, size_t nesting, size_t most, rc_buf *scratch,
                    rc_sink sink, void *ctx) noexcept
    size_t RC_MOST(size_t record_bytes)

cdef extern from "compact.h":
    int rc_compact_init(const uint8_t *dictionary, size_t n)
    int rc_compact_document(const uint8_t *data, size_t n, size_t nesting, size_t most, rc_buf *scratch, rc_sink sink,
                            void *ctx) noexcept
    int rc_compact_version(const uint8_t *data, size_t n, const uint8_t **text, size_t *len)

cdef extern from "records.h" nogil:
    enum:
        RC_K_FOREIGN
        RC_K_ENDPOINT
        RC_K_METADATA
        RC_K_VERSION
        RC_K_META
        RC_K_COMPACT
    ctypedef struct rc_record:
        uint8_t kind
        uint8_t code
        uint32_t key_len
        uint32_t data_len
        void *parsed
        void *metadata
    void (*rc_record_drop_parsed)(void *parsed)
    void rc_record_hold(rc_record *r)
    void rc_record_release(rc_record *r)
    const uint8_t *rc_record_data(const rc_record *r)
    ctypedef struct rc_table:
        size_t count
    void rc_table_free(rc_table *t)
    void rc_table_sweep(rc_table *t)
    size_t rc_table_bytes(const rc_table *t)
    size_t rc_table_tags(const rc_table *t)
    void rc_records_init(uint64_t seed_a, uint64_t seed_b)
    size_t rc_allowed(size_t compressed, size_t record_bytes, size_t ratio, int *code)
    ctypedef struct rc_workshop:
        rc_inflater *inflater
        rc_buf raw
        rc_buf data
        rc_buf scratch
        size_t record_bytes
        size_t ratio
        size_t nesting
        size_t decoded
        size_t total

cdef extern from "decoder.h" nogil:
    ctypedef struct rc_span:
        size_t at
        uint32_t len
    ctypedef struct rc_node:
        rc_span id
        rc_span name
        rc_span address
        rc_span node_name
        rc_span node_address
        rc_span datacenter
        int64_t port
        int64_t passing
        int64_t warning
        rc_record *version
        rc_record *meta
        rc_record *node_meta
        rc_record *compact
        size_t records_at
        size_t records
        uint8_t status
        uint8_t critical
        uint8_t version_found
    enum:
        RC_P_TOP
        RC_P_ENTRY
        RC_P_NODE
        RC_P_NODE_NODE
        RC_P_NODE_ADDRESS
        RC_P_NODE_DATACENTER
        RC_P_NODE_META
        RC_P_SERVICE
        RC_P_ID
        RC_P_NAME
        RC_P_TAGS
        RC_P_TAG
        RC_P_ADDRESS
        RC_P_PORT
        RC_P_META
        RC_P_WEIGHTS
        RC_P_PASSING
        RC_P_WARNING
        RC_P_CHECKS
        RC_P_CHECK
        RC_P_CHECK_ID
        RC_P_CHECK_STATUS
    ctypedef struct rc_problem:
        uint64_t offset
        size_t entry
        size_t index
        uint8_t code
        uint8_t place
        uint8_t has_node
        rc_span node
    ctypedef struct rc_decoder:
        uint64_t body_bytes
        uint64_t decompressed_bytes
        size_t nodes_limit
        size_t string_bytes
        size_t tags_limit
        size_t tag_bytes
        size_t nesting
        size_t warnings_limit
        int strict
        rc_buf service
        int has_service
        uint64_t consumed
        uint8_t *kinds
        rc_node node
        size_t tag
        rc_problem first
        rc_table table
        const rc_table *previous
        rc_workshop workshop
        rc_buf arena
        rc_buf nodes
        rc_buf records
        size_t node_count
        rc_buf problems
        rc_buf notes
        size_t entries
        size_t dropped
        size_t others
        size_t tags
        size_t warning_count
        int replaced
        rc_problem error
    rc_decoder *rc_decoder_new()
    void rc_decoder_free(rc_decoder *d)
    size_t rc_decoder_bytes(const rc_decoder *d)
    int rc_decoder_enter(rc_decoder *d)
    void rc_decoder_leave(rc_decoder *d)
    int rc_scan(rc_decoder *d, const uint8_t *data, size_t n, size_t pause, size_t inflate, size_t *used)
    int rc_scan_end(rc_decoder *d)
    void rc_decoder_taken(rc_decoder *d)
    void rc_entry_tags_end(rc_decoder *d)
    void rc_entry_begin(rc_decoder *d, uint64_t offset)
    int rc_entry_tag(rc_decoder *d, const uint8_t *tag, size_t n, int over, uint64_t offset)

cdef extern from "lazy.h":
    void *rc_lazy_get(void **slot) noexcept
    void *rc_lazy_set(void **slot, object made) noexcept
    void rc_lazy_clear(void **slot) noexcept
    void rc_drop_parsed(void *parsed) noexcept
