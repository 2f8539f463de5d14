/* The compact form: one tag "m~" that holds a whole record. Its text is base64url of a zstd frame of msgpack; the
   record's events are those of an mDNS document. */
#ifndef RC_COMPACT_H
#define RC_COMPACT_H

#include "document.h"

typedef struct rc_unpacker {
    void *context; /* ZSTD_DCtx, made when the first compact tag comes */
} rc_unpacker;

/* The dictionary that ships with the package; once, before any decoding. 0, or -1: not a dictionary. */
int rc_compact_init(const uint8_t *dictionary, size_t n);

/* Replaces the content of `out` by what the tag decompresses to; `raw` is working memory. RC_OK, RC_COMPACT_FORM,
   RC_COMPACT_DICTIONARY, RC_BAD_BASE64, RC_ZSTD_CORRUPT, RC_LIMIT_RECORD, RC_LIMIT_RATIO or RC_NO_MEMORY. */
int rc_compact_unpack(rc_unpacker *u, rc_buf *raw, rc_buf *out, const uint8_t *tag, size_t n, size_t record_bytes,
                      size_t ratio);
void rc_unpacker_free(rc_unpacker *u);
size_t rc_unpacker_bytes(const rc_unpacker *u);

/* As rc_document: RC_OK, RC_RECORD_NOT_MSGPACK, RC_RECORD_SHAPE, RC_RECORD_NESTING, RC_LIMIT_RECORD (more than `most`
   lists, maps and keys), RC_NO_MEMORY, or what the sink returned. */
int rc_compact_document(const uint8_t *data, size_t n, size_t nesting, size_t most, rc_buf *scratch, rc_sink sink,
                        void *ctx);

/* The version of a record that was checked: a slice of the data, not always UTF-8. 0, or -1: it was not checked. */
int rc_compact_version(const uint8_t *data, size_t n, const uint8_t **text, size_t *len);

#endif
