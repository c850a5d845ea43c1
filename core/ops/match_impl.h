/* core/ops/match_impl.h - the state of a MATCH_RECOGNIZE in memory; for op_match.c and match_*.c only.
 *
 * A partition looks for one match at a time: the *attempt* that begins at its row start. Its rows, from the first that
 * something may still read, are records in one piece of memory; the first record and the first thread lie behind the
 * partition itself, so keys with one row need nothing else.
 *
 *   record = struct match_row | null bits | one slot of 8 or 16 bytes per column kept
 *   thread = struct match_thread | registers | accumulators
 *   registers: per tracker the places (+ 1, from the attempt's first row) of its first and last rows
 *   threads of an attempt stand in the order of preference; two in the same place of the pattern with the same registers
 *   would do the same for ever, so only the first is kept
 *   how a thread came about is a list of steps, shared from its end backwards: steps count their references
 *
 * Threads: one shard.   Includes: match.h, emit.h, physical.h, order.h, table.h
 */
#ifndef MILL_MATCH_IMPL_H
#define MILL_MATCH_IMPL_H

#include "core/ops/emit.h"
#include "core/ops/match.h"
#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/state/order.h"
#include "core/state/table.h"

#define MATCH_CHUNK 1024u
#define MATCH_NO_ROW UINT32_MAX

struct match_row {
    int64_t time;
    uint64_t step;
    uint64_t truth; /* bit v: the condition of variable v that reads only this row */
    uint32_t place, key_bytes;
    char *
        key; /* where ORDER BY goes on, or rows of firings come in: how it stands among rows of its time; else NULL */
};

/* A value of a record: a column, or a field of a ROW whose leaf is @parent. */
struct match_leaf {
    uint32_t column, child;
    int32_t parent;
    enum phys phys;
    uint32_t slot, width; /* offset in the record; ROW: 0, 0 */
    uint32_t null_bit;
};

struct match_layout {
    struct match_leaf *leaves;
    uint32_t leaf_count;
    int32_t *leaf_of;              /* per input column: its (first) leaf, -1: not kept */
    uint32_t bytes;                /* of a record */
    const struct column **columns; /* per leaf, while rows are written */
    bool far;                      /* texts, or keys, may hang off records */
};

struct match_thread {
    uint32_t pc, step, length; /* rows taken */
    uint32_t registers[];
};

/* One row of a way: as which variable; parent: the row before. */
struct match_step {
    uint32_t parent, shares;
    uint8_t variable;
    bool excluded;
};

struct match_partition {
    char *rows, *threads; /* NULL: what follows this struct */
    uint64_t number;      /* of the row at head in its partition, from 0 */
    uint64_t matches, covered;
    uint32_t head, count, room;
    uint32_t start, next; /* of the attempt; the row to be looked at; from head */
    uint32_t thread_count, thread_room;
    uint32_t best, best_length;
    uint32_t group; /* in the table */
    bool active, has_best, timed;
};

struct match_slab {
    struct match_slab *next;
    uint64_t bytes;
    char entries[];
};

/* Places of the first and last rows of a mask that conditions read. */
struct match_tracker {
    uint64_t mask;
    uint32_t firsts, lasts, at; /* registers */
};

enum match_sum { SUM_COUNT, SUM_INTEGER, SUM_REAL, SUM_LEAST, SUM_GREATEST, SUM_AGAIN };

/* An aggregate of a condition: kept in the thread, or (AGAIN) made anew from the rows each time. */
struct match_total {
    enum match_sum how;
    uint32_t item, at; /* offset in the thread */
    bool real;
    struct agg_set *set;
};
struct match_sum_state {
    int64_t count;
    union {
        struct {
            uint64_t low;
            int64_t high;
        } integer;
        double real;
        int64_t extreme; /* in the order of values */
    };
};

/* What is reached from a place without a row: places that take one or wait for the end, in the order of preference, then, if so,
 * the end of the pattern. */
struct match_closure {
    uint32_t *places, count;
    bool accepts;
};

/* What tells threads at a place of the pattern apart: words behind struct match_thread that conditions still to come read. */
struct match_live {
    uint32_t *words, count;
    bool opaque; /* some condition reads the way itself: no two are the same */
};

/* A small expression over 64-bit values; see match_eval.c. */
struct match_scalar {
    int op;
    uint32_t a, b;
    int64_t value;
    bool null;
};
struct match_condition {
    struct match_scalar *nodes; /* NULL: @program */
    uint32_t node_count, node_room, root;
    struct program *program;
    uint32_t *items, item_count; /* that it reads */
};

struct match_key {
    char *bytes;
    uint32_t length;
};
struct match_same {
    struct order_ref ref;
    struct match_key key;
};

/* An attempt that gets too old. */
struct match_timer {
    struct match_row first; /* its first row: time, step, place, a copy of the key */
    uint64_t number;        /* of that row in its partition */
    uint32_t group;
};

struct match_rest {
    const struct match_row *first;
    struct match_partition *partition;
};

/* An aggregate of the measures. */
struct match_measure_total {
    uint32_t item;
    struct agg_set *set;
    char *state;
};

enum match_phase { MATCH_ROWS, MATCH_REST };

struct match_op {
    struct op op;
    const struct match_node *node;
    struct mill_schema input, output;
    struct match_layout layout;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* of pointers to partitions, which lie in slabs that never move */
    struct match_slab *slabs;
    uint32_t slab_used;
    struct order order;
    uint32_t row_at, thread_at, entry_bytes; /* a partition, its first record, its first thread */
    /* rows taken from the order, all of one block */
    struct order_ref chunk[MATCH_CHUNK];
    void *found[MATCH_CHUNK];
    char *records;
    uint32_t chunk_count, chunk_next;
    struct order_ref ahead; /* taken, of the next block */
    /* ORDER BY goes on: rows of one time, sorted; keys of the chunk's rows */
    struct match_same *same;
    uint32_t same_count, same_next, same_room;
    struct order_ref beyond; /* taken, of a later time */
    struct arena same_bytes, chunk_bytes;
    /* the pattern */
    struct match_tracker *trackers;
    uint32_t tracker_count;
    uint32_t *item_tracker; /* per define item */
    struct match_total *totals;
    uint32_t total_count;
    uint32_t *item_total;
    struct match_condition *conditions; /* per variable */
    uint32_t register_count, thread_bytes;
    struct match_live *live; /* per place of the pattern */
    /* steps */
    struct match_step *steps;
    uint32_t step_count, step_room, step_free;
    /* the row at hand */
    char *list; /* threads being made */
    uint32_t list_count, list_room;
    char *scratch_thread;
    struct match_closure *closures,
        at_first; /* per place behind a row, and from 0; before the first row */
    bool *at_end; /* per $: the pattern ends there */
    uint32_t *begun, turn, *first_at,
        *next_at;       /* threads of the list by place, if begun in this turn: + 1 */
    bool waits_for_end; /* the pattern has a $ */
    bool cut, failed;   /* failed: the context's error, or no memory */
    /* what is at work: a partition, brought about by a row, a timer or the end */
    bool ending;
    enum match_phase phase;
    struct match_partition *now; /* NULL: none */
    bool ended;                  /* no row will come for it */
    char *cause;                 /* the key of what that brings about; room for 4 bytes more */
    uint32_t cause_length, cause_room, sequence;
    /* a match being emitted */
    struct emitter emitter;
    bool emitting, unmatched; /* unmatched: a row that is in no match */
    uint8_t *labels;          /* the variable of each of its rows */
    bool *excluded;
    uint32_t label_room, length, emit_next, emit_end, skip;
    uint64_t *masks; /* that items read, and the places of their rows: label_room for each */
    uint32_t mask_count, *item_mask;
    uint32_t *positions, *position_counts, *counts, *before; /* counts: up to the row at hand */
    struct match_measure_total *measure_totals;
    uint32_t measure_total_count, *item_measure;
    /* aggregates and conditions by program: values of rows as a batch */
    struct batch *gathered, *single, *items;
    struct match_timer *timers;
    uint64_t timer_count, timer_room;
    struct match_rest *rest; /* partitions with rows, at the end */
    uint32_t rest_count, rest_next, rest_room;
    uint64_t partials_most;
};

static inline struct match_partition *match_partition(const struct match_op *m, uint32_t group)
{
    return *(struct match_partition **)table_state(&m->table, group);
}
static inline char *match_rows(const struct match_op *m, const struct match_partition *p)
{
    return p->rows != NULL ? p->rows : (char *)p + m->row_at;
}
/* The @i-th row kept. */
static inline struct match_row *match_row(const struct match_op *m, const struct match_partition *p,
                                          uint32_t i)
{
    return (struct match_row *)(match_rows(m, p) + (size_t)(p->head + i) * m->layout.bytes);
}
static inline char *match_threads(const struct match_op *m, const struct match_partition *p)
{
    return p->threads != NULL ? p->threads : (char *)p + m->thread_at;
}
static inline struct match_thread *match_thread_at(const struct match_op *m, char *threads,
                                                   uint32_t i)
{
    return (struct match_thread *)(threads + (size_t)i * m->thread_bytes);
}
static inline bool match_row_null(const struct match_row *row, const struct match_leaf *leaf)
{
    const uint64_t *nulls = (const uint64_t *)(row + 1);

    return (nulls[leaf->null_bit >> 6] >> (leaf->null_bit & 63) & 1) != 0;
}

/* ---- match_rows.c ---- */
bool match_layout_open(struct match_layout *layout, struct heap *heap,
                       const struct match_node *node, const struct mill_schema *input);
void match_layout_close(struct match_layout *layout, struct heap *heap,
                        const struct mill_schema *input);
/* Writes rows[0 .. count) of @batch into records; texts still lie in the batch. */
void match_rows_put(const struct match_op *m, const struct batch *batch, const uint16_t *rows,
                    uint32_t count, char *records);
/* Column of a record into row @to of an owned column; record NULL: NULL. False without memory. */
bool match_row_get(const struct match_op *m, const struct match_row *row, uint32_t column,
                   struct batch *batch, struct column *into, uint32_t to);
/* Copies @record (of match_rows_put()) behind the partition's rows. */
bool match_partition_new(struct match_op *m, uint32_t group);
bool match_partition_add(struct match_op *m, struct match_partition *p, const char *record);
/* Forgets the first @count rows. */
void match_partition_drop(struct match_op *m, struct match_partition *p, uint32_t count);
void match_partition_close(struct match_op *m, struct match_partition *p);
void match_row_snapshot(const struct match_op *m, const struct match_row *row,
                        struct snapshot_writer *to);
bool match_row_restore(struct match_op *m, struct match_partition *p, struct snapshot_reader *from);

/* ---- match_take.c ---- */
enum op_progress match_push(struct op *op, uint32_t port, struct batch *batch,
                            const struct step_time *t);
/* Rows up to @w, up to a chunk of one block: m->chunk, their records and partitions. */
bool match_take_chunk(struct match_op *m, int64_t w);
void match_drop_chunk(struct match_op *m);

/* ---- match_eval.c ---- */
bool match_eval_open(struct match_op *m);
void match_eval_close(struct match_op *m);
/* Does the row @row of @p, as variable @v behind thread @t, meet its condition? Failing: m->op.context->error is set. */
bool match_meets(struct match_op *m, struct match_partition *p, const struct match_thread *t,
                 uint32_t v, uint32_t row);
/* Notes in the thread that the row is taken as @v. */
void match_take(const struct match_op *m, struct match_partition *p, struct match_thread *t,
                uint32_t v, uint32_t row);

/* ---- match_closure.c ---- */
bool match_closures_open(struct match_op *m);
void match_closures_close(struct match_op *m);

/* ---- match_threads.c ---- */
bool match_threads_open(struct match_op *m);  /* before match_eval_open() */
bool match_threads_ready(struct match_op *m); /* behind it */
void match_threads_close(struct match_op *m);
void match_step_drop(struct match_op *m, uint32_t step);
uint32_t match_step_new(struct match_op *m, uint32_t parent, uint8_t variable, bool excluded);
/* Begins the attempt at row p->start. */
bool match_begin(struct match_op *m, struct match_partition *p);
/* Takes row p->next into the threads; none are left when the attempt is decided. */
bool match_feed(struct match_op *m, struct match_partition *p);
/* No further row: what waits for the end goes on, the rest goes. */
bool match_end(struct match_op *m, struct match_partition *p);
/* The attempt is too old for another row: only what waits for the end of the partition stays, if none has come. */
void match_expire(struct match_op *m, struct match_partition *p, bool row_came);
void match_kill(struct match_op *m, struct match_partition *p);

/* ---- match_emit.c ---- */
bool match_emit_open(struct match_op *m);
void match_emit_close(struct match_op *m);
/* Lays out the match p->best for emitting; a row without a match: @unmatched. */
bool match_emit_begin(struct match_op *m, struct match_partition *p, bool unmatched);
/* Goes on writing it. OP_READY: done; OP_BUSY: no room ahead. */
enum op_progress match_emit_rows(struct match_op *m, struct match_partition *p,
                                 const struct step_time *t);
enum op_progress match_no_memory(struct match_op *m);

#endif
