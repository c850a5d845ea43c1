/* core/ops/op.h - an operator: const vtable + state, and how it is driven.
 *
 * A *stage* is what runs between two exchanges. A shard drives each stage step by step, in the one order:
 *
 *     begin_step(t)                       once
 *     push(port, batch) ...               rows of the step, in place order (CLASS_ROWS, then CLASS_FIRED)
 *     rows_ended(t)                       once, on all operators; hands on rows kept back, before anything fires
 *     end_step(t)                         once; fires what the watermark after the step closes
 *
 * push() always *takes* its batch, whole. What it returns speaks of the way ahead: OP_BUSY = "taken, but do not
 * push again": something downstream has no room, or this operator has more to emit. The shard then calls
 * resume() on the stage until it says OP_READY. Only end_step() and operators that emit more than they get ever
 * have something of their own to resume; firing runs in bounded turns (about 4 batches per call, op_context.work).
 *
 * Threads: one shard.   Errors: OP_FAILED with out->error filled.   Includes: batch.h, snapshot.h, shape.h, error.h
 */
#ifndef MILL_OP_H
#define MILL_OP_H

#include "core/batch.h"
#include "core/error.h"
#include "core/expr/expr.h"
#include "core/state/shape.h"
#include "core/state/snapshot.h"

#define TURN_WORK 16384 /* groups: about a millisecond */
/* Behind an exchange results of firings are numbered from here on, as their consumer gets them; rows have lower places. */
#define FIRED_PLACES 0x80000000u

enum op_progress { OP_READY, OP_BUSY, OP_FAILED };

/* The time of one step as one operator sees it: watermarks are in the unit of the operator's time column
 * (micro- or nanoseconds), over the sources upstream of it.
 *   W(row) = max(w_before, min(max(g_split, behind[row] - hold), g_others)) */
struct step_time {
    uint64_t step;
    uint32_t split, source; /* whose rows these are; UINT32_MAX: nobody's */
    int64_t g_split;        /* greatest watermark value of the split before the step */
    int64_t g_others;       /* least over the other live, not idle splits; TIME_MAX: none */
    int64_t hold; /* what the watermark of the step's source is held back by: g of a row too */
    int64_t w_before, w_after; /* watermark before and after the whole step */
    int64_t clock_us;          /* the step's clock: processing time */
    uint64_t ended;            /* bit s: source s has given all its rows in earlier steps */
    bool last; /* the last step of the run: everything flushes (w_after = TIME_MAX) */
};

static inline int64_t row_watermark(const struct step_time *t, const struct batch *b, uint32_t row)
{
    const int64_t g =
        b->behind != NULL ? max_i64(t->g_split, time_add(b->behind[row], -t->hold)) : t->g_split;

    /* Results of a firing were released before the watermark moved on: never late. W never goes back. */
    return b->class_ == CLASS_FIRED ? t->w_before : max_i64(t->w_before, min_i64(g, t->g_others));
}

/* 'table.exec.state.ttl': whether what was written last at @written_us is gone. At its last moment it is, as in Flink. */
static inline bool ttl_is_over(int64_t written_us, int64_t ttl_us, int64_t clock_us)
{
    return ttl_us > 0 && time_add(written_us, ttl_us) <= clock_us;
}
/* Whether it is time to look for keys that are gone and that nobody asks for. */
static inline bool ttl_sweeps(int64_t *swept_us, int64_t ttl_us, int64_t clock_us)
{
    if (ttl_us == 0 || clock_us - *swept_us < ttl_us / 2)
        return false;
    *swept_us = clock_us;
    return true;
}

/* Row conservation, per operator and shard:   in == out_of_in + filtered + late + dead + held
 * where out_of_in are input rows passed on or absorbed in results that left. */
struct op_counters {
    uint64_t in, out, filtered, late, dead, held;
    uint64_t late_views; /* more rows late, of further queries that share a window operator */
    uint64_t consumed;   /* stateful: input rows whose last window has fired or that went into
                                        * a final result: in == consumed + filtered + late + dead + held */
    uint64_t null_time, sum_overflow, decimal_overflow, state_rows;
    uint64_t fired; /* windows that had results */
    int64_t
        waits_for; /* least watermark that closes something held, in the operator's unit; 0 and !waits: none */
    bool waits;
    uint64_t far_future; /* live rows too far ahead of the clock to move the watermark */
};

struct op;

/* What an operator sees of the world: set by the shard, the same for all operators of a stage. */
struct op_context {
    struct heap *heap; /* of the operator that is being made */
    const struct mk_table *kernels;
    uint32_t shard, shard_count;
    uint32_t batch_rows;
    uint64_t seed;
    const struct zone *zone; /* the session's */
    at_u32 *stop;            /* 2: the run is being stopped; NULL: nobody can */
    struct eval_context eval;
    struct mill_error *error; /* of the shard */
    const char *advice;       /* of op_no_memory() */
    /* Groups that firings have merged, sorted, written or dropped: OP_BUSY with more of it is work, not waiting. */
    uint64_t work;
    int64_t
        turn_work; /* of one turn of a firing, and up to a batch more; set to TURN_WORK but in tests */
    /* An empty batch of the shard's own with @columns columns, or NULL: no memory (error is filled). */
    struct batch *(*take_batch)(struct op_context *context, uint32_t columns);
};

/* Downstream ports of an operator. */
struct op_link {
    struct op *to;
    uint32_t port;
};

/* What a stateful operator keeps, for EXPLAIN ANALYZE. */
struct op_state {
    struct table_shape tables; /* over all of them */
    uint64_t table_count;
};

struct op_vtable {
    const char *name;
    enum op_progress (*begin_step)(struct op *op, const struct step_time *t); /* may be NULL */
    enum op_progress (*push)(struct op *op, uint32_t port, struct batch *batch,
                             const struct step_time *t);
    enum op_progress (*rows_ended)(struct op *op, const struct step_time *t); /* may be NULL */
    enum op_progress (*end_step)(struct op *op, const struct step_time *t);   /* may be NULL */
    enum op_progress (*resume)(struct op *op, const struct step_time *t);     /* may be NULL */
    /* While it fires, and gives results to one link after another: a key, put into 8 bytes of @key, that no result still to come
     * on @link lies before. False: not known. NULL: all links get the same. */
    bool (*to_come)(const struct op *op, uint32_t link, char *key);
    void (*snapshot)(struct op *op, struct snapshot_writer *to); /* NULL: stateless */
    bool (*restore)(struct op *op,
                    struct snapshot_reader *from); /* on a fresh op; false: damaged or no memory */
    bool (*valid)(const struct op *op);            /* walker, may be NULL */
    /* Adds its tables to @state, with the probes of about @sample groups of each (0: of none). NULL: stateless */
    void (*inspect)(const struct op *op, uint32_t sample, struct op_state *state);
    void (*close)(struct op *op);
};

struct op {
    const struct op_vtable *vtable;
    struct op_context *context;
    struct heap *heap;     /* counts what this operator holds */
    uint32_t id;           /* node id in the plan; origin of fired batches */
    struct op_link *links; /* results go to all of them */
    uint32_t link_count;
    struct op_link *late_links; /* LATE DATA INTO */
    uint32_t late_link_count;
    struct op_counters counters;
};

/* Gives @batch to all links (shells that borrow from it where there are several). OP_BUSY as said above. */
enum op_progress op_emit(struct op *op, struct batch *batch, const struct step_time *t);
/* To link @link alone. */
enum op_progress op_emit_to(struct op *op, uint32_t link, struct batch *batch,
                            const struct step_time *t);
enum op_progress op_emit_late(struct op *op, struct batch *batch, const struct step_time *t);
/* LATE DATA INTO: rows[0 .. count) of @batch with the watermark that they missed (of @time) and the reason, a literal. */
enum op_progress op_late_rows(struct op *op, const struct batch *batch, const uint16_t *rows,
                              uint32_t count, const struct mill_schema *schema,
                              const struct mill_type *time, const char *reason,
                              const struct step_time *t);

/* OP_FAILED for want of memory; @advice, a literal, goes on with "raise the limit". */
enum op_progress op_no_memory(struct op *op, const char *advice);

/* Constructors, one per kind of plan node (core/plan/physical.h holds the configs). NULL: no memory or
 * context->error. */
struct phys_node;
struct op *op_calc_new(struct op_context *context, const struct phys_node *node);
struct op *op_window_new(struct op_context *context,
                         const struct phys_node *node); /* tumble hop cumulate */
struct op *op_session_new(struct op_context *context, const struct phys_node *node);
struct op *op_count_window_new(struct op_context *context, const struct phys_node *node);
struct op *op_group_new(struct op_context *context,
                        const struct phys_node *node); /* bounded, final rows */
struct op *op_changes_new(struct op_context *context,
                          const struct phys_node *node); /* GROUP BY as a changelog */
struct op *op_window_changes_new(
    struct op_context *context,
    const struct phys_node *node); /* windows whose results are revised, or over updates */
struct op *op_match_new(struct op_context *context, const struct phys_node *node);
struct op *op_preagg_new(struct op_context *context,
                         const struct phys_node *node); /* front partials */
struct op *op_join_new(struct op_context *context, const struct phys_node *node); /* regular */
struct op *op_rank_new(struct op_context *context, const struct phys_node *node);
struct op *op_first_new(struct op_context *context,
                        const struct phys_node *node); /* RANK that keeps first rows */
struct op *op_over_new(struct op_context *context, const struct phys_node *node);
struct op *op_set_operation_new(struct op_context *context,
                                const struct phys_node *node); /* INTERSECT, EXCEPT */
struct op *op_over_view_new(struct op_context *context, const struct phys_node *node);
struct op *op_sort_new(struct op_context *context, const struct phys_node *node);
struct op *op_limit_new(struct op_context *context, const struct phys_node *node);
struct op *op_expand_new(struct op_context *context,
                         const struct phys_node *node); /* grouping sets */
struct op *op_unnest_new(struct op_context *context, const struct phys_node *node);
struct op *op_union_new(struct op_context *context, const struct phys_node *node);
struct op *op_lookup_join_new(struct op_context *context, const struct phys_node *node);
struct op *op_temporal_join_new(struct op_context *context,
                                const struct phys_node *node); /* also ASOF JOIN */
/* Rows that a PREAGG node gives: keys..., slice BIGINT, class BIGINT, rows BIGINT, state BYTES (and window_start as the last
 * key where windows are attached). They leave by op->links, for port 1 of the window; raw rows, while it passes them
 * through, by op->late_links, for port 0: plan a PREAGG with an EXCHANGE for each, the raw one in late_to.
 * False without memory. */
bool preagg_schema(struct arena *arena, const struct phys_node *node, struct mill_schema *out);
struct op *op_assign_new(struct op_context *context,
                         const struct phys_node *node); /* window TVF without GROUP BY */

struct op *op_interval_join_new(struct op_context *context, const struct phys_node *node);
struct op *op_window_join_new(struct op_context *context, const struct phys_node *node);

/* Greatest g that a live row carries; TIME_MIN: none. */
int64_t op_behind(const struct op *op, const struct batch *batch);
/* The run is being stopped: what would still be fired is not wanted any more. */
static inline bool op_stopping(const struct op *op)
{
    return op->context->stop != NULL && at_load_relaxed(op->context->stop) == 2;
}
/* Bounds of all values of an int64 column without NULLs, live or not. */
void op_bounds(const struct op *op, const struct batch *batch, const struct column *column,
               int64_t *least, int64_t *greatest);

#endif
