/* io/format.h - bytes <-> columns: what csv, json and columnar give to the connectors of files.
 *
 * A format reads pieces, which begin and end between rows: cut() finds where, a decoder per shard turns them into
 * batches. A writer turns batches into bytes of one file. The table of formats is in io/formats.c.
 * Threads: cut() by one per file, a decoder or a writer by one, different decoders side by side.
 * Errors: filled struct mill_error.   Includes: source.h
 */
#ifndef MILL_FORMAT_H
#define MILL_FORMAT_H

#include "core/source.h"

/* Bytes that grow in @heap. After a failure nothing is added any more. */
struct text_buffer {
    struct heap *heap;
    char *bytes;
    size_t length, capacity;
    bool failed;
};
void text_put(struct text_buffer *to, const char *bytes, size_t length);

/* A piece to decode; its bytes must outlive the batches made of it. */
struct format_piece {
    const char *bytes;
    size_t length;
    const char *file; /* its name, for bad rows */
    uint64_t offset;  /* of bytes in the file, uncompressed */
    uint64_t step;
    uint64_t first_line;    /* number of the first line, from 1; 0: not counted */
    const char *file_bytes; /* the file's byte 0 where the whole file is mapped; else NULL */
    uint64_t context[3];    /* from the format's cutter */
    const void *state;      /* of the file's format_position */
};

/* What a cutter looks at: @length bytes at @offset of a file; @ended: no more follow. */
struct format_bytes {
    uint64_t offset;
    const char *bytes;
    size_t length, want;
    bool ended;
};

/* Where the cutting of one file stands, for formats of sections. */
struct format_position {
    const char *file;
    uint64_t offset; /* of the next byte to cut, uncompressed */
    bool mapped;     /* what lies at the bytes is fetched when it is touched */
    void *state; /* the format's own; what decoders read of it stays as it is after the first cut */
};

struct format {
    const struct format_vtable *vtable;
};
struct format_cutter {
    const struct format_vtable *vtable;
};
struct format_decoder {
    const struct format_vtable *vtable;
    struct early_filter *filter; /* as decoder.filter */
};
struct format_writer {
    const struct format_vtable *vtable;
};

struct format_vtable {
    const char *name, *extension;     /* "csv"; of files in a sink's folder */
    const char *const *read_options;  /* keys that open() reads, NULL at the end */
    const char *const *write_options; /* keys that writer_open() reads, NULL at the end */

    /* Reads options, refuses columns it cannot hold. Keeps @config's pointers. */
    int (*open)(const struct source_config *config, struct format **out, struct mill_error *error);
    void (*close)(struct format *format);
    /* How many of @length bytes, which begin at @offset of a file between rows, are a step of about @want bytes: up to
     * the last end of a row at or before @want, else the first behind it. 0: no row ends in them. */
    size_t (*cut)(const struct format *format, uint64_t offset, const char *bytes, size_t length,
                  size_t want);
    /* Instead of cut(), where the meaning of a row hangs on what stood before it: a cutter per file, whose calls walk the
     * file from its begin. cutter_cut() also fills @context for the decoder of the piece, which cutter_release() lets go. 0: more bytes
     * are needed, or @error: the rest is damaged or, with ended, cut off. */
    struct format_cutter *(*cutter_new)(const struct format *format, const char *file);
    void (*cutter_free)(struct format_cutter *cutter);
    size_t (*cutter_cut)(struct format_cutter *cutter, const struct format_bytes *bytes,
                         uint64_t context[3], struct mill_error *error);
    void (*cutter_release)(const struct format *format, uint64_t context[3]);
    /* Instead of both, for formats of sections (blocks, frames) that tell their lengths: @n of @length bytes at @at are a
     * step: sections up to @want bytes, one at least. @last: no bytes follow. CUT_WAIT: more bytes are needed (never when
     * @last); CUT_END: the file is whole and at its end; CUT_FAILED: what begins here is damaged or cut off. The cut depends
     * on the bytes and @want alone, not on how many are there. */
    enum cut (*cut_section)(const struct format *format, struct format_position *at,
                            const char *bytes, size_t length, bool last, size_t want, size_t *n,
                            struct mill_error *error);
    void (*position_close)(const struct format *format, struct format_position *at); /* or NULL */
    struct format_decoder *(*decoder_new)(const struct format *format, struct heap *heap);
    void (*decoder_free)(struct format_decoder *decoder);
    void (*begin)(struct format_decoder *decoder, const struct format_piece *piece);
    /* As source_vtable.decode. */
    int (*decode)(struct format_decoder *decoder, struct batch *out, struct mill_error *error);
    /* As source_vtable.asks_filter; NULL: never. */
    bool (*asks_filter)(const struct options *options, const struct mill_type *type, bool exact);

    /* NULL: cannot be written. */
    int (*writer_open)(const struct sink_config *config, struct format_writer **out,
                       struct mill_error *error);
    void (*writer_close)(struct format_writer *writer);
    /* Appends what stands before the first row of a file; or NULL. */
    void (*write_begin)(struct format_writer *writer, struct text_buffer *to);
    /* Appends the live rows in order. A failure shows in @to->failed. */
    void (*write)(struct format_writer *writer, const struct batch *batch, struct text_buffer *to);
    void (*finish)(struct format_writer *writer, struct text_buffer *to); /* or NULL */
};

extern const struct format_vtable format_pcap, format_csv, format_json, format_debezium,
    format_canal, format_columnar;

/* The format of the table's option 'format', or @fallback's (NULL: the option is needed). NULL: @error says why. */
const struct format_vtable *format_find(const struct options *options, const char *fallback,
                                        struct mill_error *error);
/* options_check_used() with the connector's keys @own and the format's. */
int format_check_options(const struct options *options, const char *const *own,
                         const char *const *format_keys, struct mill_error *error);
/* The next rows from *from on that pass: *from .. *to. False: no more. */
bool format_next_run(const uint64_t *pass, uint32_t count, uint32_t *from, uint32_t *to);
/* The line of @at, which lies in @piece; 0: unknown. @seen_at and @seen_line: kept by the decoder between calls for one
 * piece (0 at first), so that many calls in ascending order count each byte once. */
uint64_t format_line(const struct format_piece *piece, const char *at, const char **seen_at,
                     uint64_t *seen_line);

#endif
