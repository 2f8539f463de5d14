/* One decode: the scanner's place in the text, the entry that is being read, and what came out of it.
   Knows nothing of Python, time, threads or HTTP. */
#ifndef RC_DECODER_H
#define RC_DECODER_H

#include "records.h"

/* ---- what comes out ---- */

/* Text in the arena of the decoder. */
typedef struct {
    size_t at;
    uint32_t len;
} rc_span;

enum rc_status { RC_PASSING, RC_WARNING, RC_CRITICAL, RC_MAINTENANCE };

/* A finished node, or the one being read. Its records are the table's. */
typedef struct {
    rc_span id, name, address, node_name, node_address, datacenter;
    int64_t port, passing, warning;
    rc_record *version, *meta, *node_meta;
    rc_record *compact;                     /* the whole record in one tag; then there are no others but foreign ones */
    size_t records_at, records; /* in the decoder's list: endpoints, metadata and foreign tags in order */
    uint8_t status;             /* enum rc_status */
    uint8_t critical;           /* one of the checks is critical: go-micro leaves the node out */
    uint8_t version_found;
} rc_node;

enum rc_place {
    RC_P_TOP, RC_P_ENTRY, RC_P_NODE, RC_P_NODE_NODE, RC_P_NODE_ADDRESS, RC_P_NODE_DATACENTER, RC_P_NODE_META,
    RC_P_SERVICE, RC_P_ID, RC_P_NAME, RC_P_TAGS, RC_P_TAG, RC_P_ADDRESS, RC_P_PORT, RC_P_META, RC_P_WEIGHTS,
    RC_P_PASSING, RC_P_WARNING, RC_P_CHECKS, RC_P_CHECK, RC_P_CHECK_ID, RC_P_CHECK_STATUS
};

/* Where something is wrong. */
typedef struct {
    uint64_t offset;
    size_t entry, index; /* index: of the tag or the check */
    uint8_t code, place; /* enum rc_code, enum rc_place */
    uint8_t has_node;
    rc_span node; /* the service's ID, in `notes` */
} rc_problem;

/* ---- the decoder ---- */

#define RC_WANTED_DEPTH 6
#define RC_HINTS 64

typedef struct {
    /* limits and choices */
    uint64_t body_bytes, decompressed_bytes;
    size_t nodes_limit, string_bytes, tags_limit, tag_bytes, nesting, warnings_limit;
    int strict;
    rc_buf service; /* the name that is wanted; only if has_service */
    int has_service;

    /* the scanner */
    uint64_t consumed;             /* bytes of earlier chunks */
    uint8_t *kinds;                /* a bit for each open bracket: 1 = object; `nesting` bits */
    size_t depth;                  /* open brackets */
    size_t wanted;                 /* of these, from the outside, how many have a role */
    uint8_t roles[RC_WANTED_DEPTH];
    uint8_t state;
    uint8_t member;                /* the place of the value at hand, or NOT_WANTED; see scan.c */
    uint8_t skipped;               /* the place of the value that is being skipped, or NOT_WANTED */
    uint8_t is_key, collect, over, changed; /* the string at hand: a key? kept? too long? not just a slice? */
    uint8_t escape_digits, utf8_left, utf8_low, utf8_high;
    uint8_t number, negative, integer, overflow;
    uint8_t literal, literal_at;
    uint32_t escape, high;         /* digits so far; a high surrogate that waits for its low one */
    size_t text_limit;             /* of the string at hand */
    uint64_t number_value;
    uint64_t value_offset;         /* where the value at hand, or its string, begins */
    rc_buf text;                   /* a string that is cut or has escapes */

    /* the entry at hand */
    rc_node node;
    uint64_t entry_offset;
    size_t entry, tag, check;      /* indexes */
    size_t arena_base;             /* its text begins here */
    size_t records_base;           /* its records begin here, in units of rc_record * */
    size_t warnings_base, warned;  /* listed and counted before it */
    rc_problem first;              /* its first warning; code 0 = none */
    rc_problem failed;             /* why it is dropped; code 0 = it is not */
    uint8_t have_node, have_service, version_done, too_many_tags;
    uint8_t endpoint_format, metadata_format;
    uint8_t maintenance, critical, warning, any_critical;
    uint8_t check_maintenance, check_status;
    rc_buf map;                    /* a Meta object: length, key, length, value, ... */
    int map_code;
    uint64_t map_offset;
    uint8_t map_place;
    const uint8_t *tags_text;      /* Service.Tags as written, if all of it is in this chunk; see scan.c */
    size_t tags_text_len;

    /* results */
    rc_table table;
    const rc_table *previous;      /* borrowed; or NULL */
    rc_record *hints[RC_HINTS];    /* of the table: what the tag in this place was in the entry before */
    rc_workshop workshop;
    rc_buf arena, nodes, records;  /* text; rc_node[]; rc_record *[] */
    size_t node_count;             /* in `nodes` */
    rc_buf problems, notes;        /* rc_problem[]; the IDs that they name */
    size_t entries, dropped, others, tags, total_nodes, warning_count;
    int replaced;                  /* records of a member that came twice are in the table, and no node has them */
    rc_problem error;              /* code 0 = none; the decode is over */
    int done;                      /* the list has ended */

    uint32_t busy;                 /* atomic: a thread is inside */
} rc_decoder;

rc_decoder *rc_decoder_new(void);
void rc_decoder_free(rc_decoder *d);
size_t rc_decoder_bytes(const rc_decoder *d);

/* One thread at a time: 0, or -1 where another is inside. */
int rc_decoder_enter(rc_decoder *d);
void rc_decoder_leave(rc_decoder *d);

/* Reads a chunk up to its end, or until `pause` nodes wait to be taken, or more than `inflate` bytes were decompressed;
   `*used` bytes were read. RC_OK or the code in d->error. */
int rc_scan(rc_decoder *d, const uint8_t *data, size_t n, size_t pause, size_t inflate, size_t *used);
/* The end of the body. */
int rc_scan_end(rc_decoder *d);

/* The nodes were taken: their text and their list go, the entry at hand stays. */
void rc_decoder_taken(rc_decoder *d);

/* ---- what the scanner tells about the entry at hand (entry.c); RC_OK or a fatal code left in d->error ---- */

void rc_entry_begin(rc_decoder *d, uint64_t offset);
int rc_entry_end(rc_decoder *d);
/* Takes a text of the entry at hand out of the arena. */
void rc_entry_drop_text(rc_decoder *d, rc_span *span);
void rc_entry_reset_node(rc_decoder *d);
void rc_entry_reset_service(rc_decoder *d);
void rc_entry_reset_tags(rc_decoder *d);
int rc_entry_tag(rc_decoder *d, const uint8_t *tag, size_t n, int over, uint64_t offset);
void rc_entry_tag_wrong(rc_decoder *d, uint64_t offset);
/* All tags of the entry were read: with a good compact one, the others of go-micro do not count. */
void rc_entry_tags_end(rc_decoder *d);
void rc_entry_check_begin(rc_decoder *d);
void rc_entry_check_end(rc_decoder *d);
int rc_entry_map_end(rc_decoder *d);
/* The entry, or only this part of it, cannot be used. */
void rc_entry_fail(rc_decoder *d, int code, int place, uint64_t offset);
int rc_entry_warn(rc_decoder *d, int code, int place, uint64_t offset);
/* Ends the decode; returns the code. */
int rc_fatal(rc_decoder *d, int code, int place, uint64_t offset);

#endif
