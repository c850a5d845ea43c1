/* core/ops/over_impl.h - what OVER keeps per key, for op_over.c and over_frames.c only.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: over.h, emit.h, rows.h, table.h
 */
#ifndef MILL_OVER_IMPL_H
#define MILL_OVER_IMPL_H

#include "core/ops/emit.h"
#include "core/ops/over.h"
#include "core/state/rows.h"
#include "core/state/table.h"

struct over_slide {        /* per key and frame */
    uint32_t start, count; /* bounded: its first row, and rows; the last is the current row */
    uint32_t front_next, front_count, front_room;
    char *front; /* states of MERGES */
};

struct over_key {
    struct row_chain rows;
    int64_t touched_us, last_time;
    int64_t number, rank, dense;
    /* then the slides and states of the frames */
};

struct run_frame {
    const struct over_frame *spec;
    struct agg_set *sets[OVER_WAYS];
    uint32_t at[OVER_WAYS]; /* of the states in a key's */
};

struct over_entry {
    struct order_ref ref; /* processing time: row of the input batch, block NULL */
    uint64_t number;      /* rows count on in the order in which they are taken */
    uint32_t group, id;
};

struct leaving { /* a row that will have left all frames */
    int64_t time;
    uint32_t group;
};

struct over_op {
    struct op op;
    const struct over_node *node;
    const struct mill_schema *input;
    struct run_frame *frames;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct over_key ... */
    struct order order;
    struct emitter emit;
    bool keeps;       /* some frame is bounded: rows are kept */
    bool only_ranges; /* and all of these by time */
    int64_t longest;  /* of them */
    struct row_store rows;
    struct batch stored; /* shows one kept row */
    uint32_t stored_place;
    struct batch view; /* shows rows with their numbers as places: for FIRST, LAST, LISTAGG */
    const struct batch *viewed;
    uint32_t places[BATCH_ROWS_MAX];
    uint64_t taken;
    char *scratch; /* a state */
    uint32_t scratch_bytes;
    uint32_t *ids; /* of a frame's rows */
    uint32_t ids_room;
    char *key; /* of a result */
    uint32_t key_room;
    /* the run; entries[next ..] have no result yet, those before group_end have come into the RANGE frames */
    struct over_entry *entries;
    uint32_t entry_count, entry_room, next, group_first, group_end;
    struct order_ref ahead; /* taken, of the next run; block NULL: none */
    struct batch *batch;    /* processing time: being taken */
    bool ending;
    /* results whose input columns have not been copied */
    const struct batch *given;
    uint16_t given_rows[BATCH_ROWS_MAX];
    uint32_t given_at, given_count;
    struct leaving *leaving;
    uint64_t leaving_first, leaving_end, leaving_room;
    uint16_t late[BATCH_ROWS_MAX];
};

static inline struct over_key *over_key_at(const struct over_op *o, uint32_t group)
{
    return table_state(&o->table, group);
}
static inline struct over_slide *over_slide_of(struct over_key *key, uint32_t frame)
{
    return (struct over_slide *)(key + 1) + frame;
}
static inline void *over_state(const struct over_op *o, struct over_key *key, uint32_t frame,
                               enum over_way way)
{
    return (char *)key + o->frames[frame].at[way];
}

/* over_frames.c */
void over_states_open(struct over_op *o, struct over_key *key);
void over_states_close(struct over_op *o, struct over_key *key);
/* @o->view shows @batch, row @row of it with its number. */
void over_show(struct over_op *o, const struct batch *batch, uint32_t row, uint64_t number);
/* The row comes into the frame; it must be shown. */
bool over_frame_add(struct over_op *o, struct over_key *key, uint32_t f,
                    const struct over_entry *e);
/* Rows that are before the frame of a row of @time leave it. */
bool over_frame_pass(struct over_op *o, struct over_key *key, uint32_t f, int64_t time);
/* Rows that no frame holds go. */
void over_trim(struct over_op *o, struct over_key *key);
/* Results of the frame's aggregates into row @row of the batch being filled. */
bool over_frame_values(struct over_op *o, struct over_key *key, uint32_t f, uint32_t row);
void over_count_row(struct over_key *key, int64_t time);
bool over_put_call(struct over_op *o, struct over_key *key, const struct over_call *call,
                   const struct batch *from, uint32_t from_row, uint32_t row);
void over_slide_snapshot(const struct over_op *o, struct over_key *key, uint32_t f,
                         struct snapshot_writer *to);
bool over_slide_restore(struct over_op *o, struct over_key *key, uint32_t f,
                        struct snapshot_reader *from);

#endif
