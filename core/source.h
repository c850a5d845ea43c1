/* core/source.h - what core knows of the world's bytes: connectors, sources, splits, sinks.
 *
 * A *source* has one or more *splits* (a file, a generator, a queue). Under the cursor token a split is
 * *cut*: the next piece of it is described, touching only bytes that are already in memory. The cutter
 * then *decodes* its piece into batches, outside the token, side by side with other shards.
 * A piece keeps its raw bytes until release(), which comes when every stage has finished its step.
 *
 * Threads: cut() and pump() of a split never run at the same time as themselves; decode() of different
 * pieces does. Errors: filled struct mill_error.   Includes: batch.h, env.h, error.h
 */
#ifndef MILL_SOURCE_H
#define MILL_SOURCE_H

#include "core/batch.h"
#include "core/env.h"
#include "core/error.h"

/* ---- options: the WITH clause ------------------------------------------------------------- */

struct option {
    const char *key, *value;
    uint32_t line, column; /* of the value in the SQL */
    bool *used;            /* set by option_get(); what stays false is unknown */
};
struct options {
    const struct option *items;
    uint32_t count;
    uint32_t line, column; /* of the table's name */
    const char *table;
};
/* NULL when the key is absent. Marks it used. */
const struct option *option_get(const struct options *options, const char *key);
const char *option_text(const struct options *options, const char *key, const char *fallback);
/* Code of enum mill_code; on a bad value the message names key, value and what is expected. */
int option_u64(const struct options *options, const char *key, uint64_t fallback, uint64_t min,
               uint64_t max, uint64_t *out, struct mill_error *error);
int option_bool(const struct options *options, const char *key, bool fallback, bool *out,
                struct mill_error *error);
/* '10 s', '500 ms', '1 min', '2 h', '1 d', '100 us', '5 ns' as in Flink; bare number: ms. */
int option_duration_ns(const struct options *options, const char *key, int64_t fallback_ns,
                       int64_t *out, struct mill_error *error);
/* After a connector has read what it knows: fails for the first unused key, with the nearest of @known. */
int options_check_used(const struct options *options, const char *const *known, size_t count,
                       struct mill_error *error);

/* ---- bad rows ------------------------------------------------------------------------------ */

struct bad_row {
    uint64_t step;
    uint32_t place;        /* row in step, UINT32_MAX: unknown */
    const char *source;    /* table name */
    const char *file;      /* or NULL */
    uint64_t offset, line; /* byte offset of the row; line from 1, 0: unknown */
    const char *column;    /* name, or NULL */
    const char *reason;
    const char *raw;
    size_t raw_bytes;
    bool ignorable;                /* the table's format says to go on: counted, never a failure */
    bool computed;                 /* decoded, but an expression failed on it: no file and offset */
    uint32_t sql_line, sql_column; /* of that expression */
};
/* Where undecodable rows go; given by the engine, one per shard. Copies what it keeps. Returns 0: go on
 * without the row (counted as dead), or a code: the job fails with @error filled. */
struct bad_rows {
    int (*report)(struct bad_rows *self, const struct bad_row *row, struct mill_error *error);
};

/* Dead letters as JSON lines in a file (io/deadletter.c), hidden while written. report() may be called by one thread at
 * a time. deadletter_close() renames it, or removes it when @keep is false; then the handle is gone. */
struct bad_rows *deadletter_open(const struct env *env, struct heap *heap, const char *path,
                                 struct mill_error *error);
int deadletter_close(struct bad_rows *letters, bool keep, struct mill_error *error);

/* ---- sources ------------------------------------------------------------------------------- */

struct source_config {
    const struct env *env;
    const struct mk_table *kernels;
    struct heap *heap; /* for open(), cut() and pump(): the source's own */
    const struct options *options;
    const struct mill_schema *schema; /* physical and metadata columns, in table order */
    const char *const *metadata; /* per schema column: metadata key, or NULL for physical ones */
    const bool *wanted;          /* per schema column: false = nobody reads it, leave it empty */
    /* Per schema column: the same of the fields below a ROW, in preorder (type_fields_below() of them); NULL: all are
     * wanted. A field that nobody reads may be left empty. */
    const bool *const *wanted_fields;
    struct bad_rows *bad;
    uint32_t step_bytes, step_rows, shard_count;
    const char *io; /* "uring", "posix"; NULL: what is faster for each file */
    uint64_t seed;
    bool inline_only; /* mill_turn(): spawn nothing */
    bool check_only;  /* validate options and schema, open nothing */
};

/* One cut. Plain data; copied into the step directory's side table, not on the data path. */
struct piece {
    uint64_t begin, end; /* position in the split: bytes or rows */
    uint64_t first_line; /* 0: unknown */
    const void *bytes;   /* begin's first byte, if it lies in memory */
    void *hold;          /* split's own: released by release() */
    uint64_t extra[4];   /* split's own, e.g. which section of a capture */
    int64_t
        watermark; /* at its end at least, whatever its rows say; TIME_MIN: none (set before cut()) */
    uint32_t split; /* global split number, set by the engine */
    uint64_t step;  /* set by the engine */
};

enum cut { CUT_DATA, CUT_WAIT, CUT_END, CUT_FAILED };

struct source;
struct decoder;

/* What a decoder may ask before it fills all columns of a row. Rows that do not pass are dropped by every reader of the table, and
 * no reader looks at their late columns: these may hold anything. One per decoder. */
struct early_filter {
    const bool *late; /* per schema column: of rows that pass only */
    bool exact;       /* bad values in late columns must be found all the same */
    /* Of the rows first .. first + count of @out, whose wanted columns but the late ones are filled, those that pass, as
     * bits from 0; how many. <0: -code */
    int (*run)(struct early_filter *self, const struct batch *out, uint32_t first, uint32_t count,
               uint64_t *pass, struct mill_error *error);
};

struct source_vtable {
    const char *name;
    int (*open)(const struct source_config *config, struct source **out, struct mill_error *error);
    /* Splits known now; may grow for a monitored folder (asked again by pump()). */
    uint32_t (*split_count)(struct source *source);
    const char *(*split_name)(struct source *source, uint32_t split);
    /* Under the token. CUT_WAIT: nothing in memory now. Never blocks, never touches the disk. */
    enum cut (*cut)(struct source *source, uint32_t split, struct piece *piece,
                    struct mill_error *error);
    /* Off the token, by whichever shard is free (the engine keeps it to one at a time per source):
     * reads ahead, decompresses one block, lists a folder. Returns work done. May block on the disk
     * only when @may_wait. */
    uint32_t (*pump)(struct source *source, bool may_wait, struct mill_error *error);
    /* Under the token, when all splits have ended and every step of them is done: cut() gives them anew from their start, as they
     * are then. NULL: cannot. */
    void (*again)(struct source *source);
    /* A decoder per shard. */
    struct decoder *(*decoder_new)(struct source *source, struct heap *heap);
    void (*decoder_free)(struct decoder *decoder);
    void (*begin)(struct decoder *decoder, const struct piece *piece);
    /* Whether a decoder asks decoder.filter before it fills columns of this type; NULL: never. */
    bool (*asks_filter)(const struct options *options, const struct mill_type *type, bool exact);
    /* Fills @out (reset by the caller, column_count = schema's) with up to capacity rows, and its
     * place_base. 1: more to come; 0: the piece is at its end (out may hold rows); <0: -code. */
    int (*decode)(struct decoder *decoder, struct batch *out, struct mill_error *error);
    void (*release)(struct source *source, struct piece *piece);
    uint64_t (*bytes_in)(struct source *source);
    void (*close)(struct source *source);
    bool live; /* never ends by itself; steps are what a poll brought */
};

struct source {
    const struct source_vtable *vtable;
    bool live;         /* as vtable->live, of this one: a pipe */
    bool grows;        /* new splits may come: the run does not end by itself */
    at_u64 ring_reads; /* reads that went through env's queue */
};
struct decoder {
    const struct source_vtable *vtable;
    struct early_filter *filter; /* set before begin(), or NULL; outlives the decoder */
};

/* ---- sinks --------------------------------------------------------------------------------- */

struct sink_config {
    const struct env *env;
    struct heap *heap;
    const struct options *options;
    const struct mill_schema *schema;
    const uint32_t *partition_by; /* columns of PARTITIONED BY */
    uint32_t partition_count;
    bool updating;           /* rows have kinds */
    const struct zone *zone; /* the session's; NULL: UTC */
    bool check_only;
};

struct sink;
struct sink_vtable {
    const char *name;
    int (*open)(const struct sink_config *config, struct sink **out, struct mill_error *error);
    /* Live rows of @batch in order. Borrows. */
    int (*write)(struct sink *sink, const struct batch *batch, struct mill_error *error);
    /* Called after step @step is written whole; files may roll here. */
    int (*commit)(struct sink *sink, uint64_t step, struct mill_error *error);
    /* As commit(), where it is given, with the step's clock and the watermark after it (microseconds). */
    int (*commit_at)(struct sink *sink, uint64_t step, int64_t clock_us, int64_t watermark_us,
                     struct mill_error *error);
    int (*finish)(struct sink *sink, struct mill_error *error); /* flush, fsync, rename */
    void (*abort)(struct sink *sink);                           /* leave nothing half visible */
    void (*close)(struct sink *sink);
    bool takes_updates;
};
struct sink {
    const struct sink_vtable *vtable;
};

/* ---- connectors and formats: the tables are in io/connectors.c -------------------------------- */

/* What METADATA columns of a connector may be; a column is declared with exactly this type. */
struct metadata_key {
    const char *key; /* NULL: the end of the list */
    struct mill_type type;
};
struct connector {
    const char *name;
    const struct source_vtable *source; /* NULL: cannot be read */
    const struct sink_vtable *sink;     /* NULL: cannot be written */
    const char *const *options; /* known keys, NULL at the end; "fields.#.min" patterns allowed */
    const struct metadata_key *metadata; /* NULL: it has none */
};
extern const struct connector *const mill_connectors[]; /* NULL at the end */

/* Schema and format of a file for FROM 'file' and for mill_describe_file(): fills @schema (arena) and the
 * options a table over it needs. @info: text lines, may be NULL. */
int infer_file(const struct env *env, const char *path, struct arena *arena,
               struct mill_schema *schema, struct options *options, char *info, size_t info_bytes,
               struct mill_error *error);

#endif
