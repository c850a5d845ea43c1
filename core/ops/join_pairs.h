/* core/ops/join_pairs.h - pairs of rows: kept sides, the condition that is no key, result columns. For joins on time.
 *
 * A pair is a reference to a row of each side. A side's reference is the id of a kept row, or, of the side of which a batch
 * is being joined, the number of a row of that batch; ROW_NONE: no row, its columns are NULL.
 * Kept are the columns that results or the condition read and, where rows leave in order of time between several shards,
 * what tells them from others at their place.
 *
 *     pairs_open()    pairs_keep(): a side's rows into its store
 *     pairs_filter(): which of a list of pairs are true    pairs_fill(): result columns of pairs
 *
 * Threads: one shard.   Errors: false without memory, or with context->error filled.   Includes: emit.h, join_condition.h, rows.h
 */
#ifndef MILL_JOIN_PAIRS_H
#define MILL_JOIN_PAIRS_H

#include "core/ops/emit.h"
#include "core/ops/join_condition.h"
#include "core/state/rows.h"

struct join_side {
    struct row_store store;
    const struct mill_schema *input;
    struct mill_schema with_key; /* and the order key behind it */
    struct column *columns;      /* one more than the input has: scratch */
    uint32_t *kept;              /* columns of with_key */
    int32_t *kept_at;            /* per column of with_key: its place in kept, or -1 */
    uint32_t kept_count;
    bool keeps_key;
    uint32_t out_at, out_count; /* its columns in the result */
};

struct pairs {
    struct op *op;
    const struct phys_node *node;
    const struct join_node *join;
    struct emitter emit;
    struct join_side side[2];
    struct residual residual;
    struct batch *tested; /* pairs as rows of both inputs; NULL: no residual condition */
    struct batch *cause;  /* whose rows side @cause_side refers to; NULL: both sides are kept */
    uint32_t cause_side;
    uint16_t rows[BATCH_ROWS_MAX]; /* scratch */
    uint32_t refs[BATCH_ROWS_MAX];
};

/* @keys: rows of the side leave in order of time. @extra: enum rows_extra of the stores. The caller closes also after false. */
bool pairs_open(struct pairs *p, struct op *op, const struct phys_node *node, const bool keys[2],
                uint32_t extra);
void pairs_close(struct pairs *p);
bool pairs_keep(struct pairs *p, uint32_t side, const struct batch *batch, const uint16_t *rows,
                uint32_t count, uint32_t *ids);
/* The row's key equals no other; and whether rows of @batch may be such. */
static inline bool pairs_equals_nothing(const struct pairs *p, uint32_t side,
                                        const struct batch *batch, uint32_t row)
{
    return join_equals_nothing(p->node, side, batch, row);
}
bool pairs_may_equal_nothing(const struct pairs *p, uint32_t side, const struct batch *batch);
/* What tells a kept row from others at its time, step and place; empty with one shard. */
struct mill_view pairs_order_key(const struct pairs *p, uint32_t side, uint32_t id);
/* is_true[i]: pair (refs[0][i], refs[1][i]) meets the condition. A pair without a row on one side does. */
bool pairs_filter(struct pairs *p, uint32_t *const refs[2], uint32_t count, bool *is_true);
/* Columns of pairs[0 .. count) into rows at .. of emit.out. */
bool pairs_fill(struct pairs *p, const uint32_t *left, const uint32_t *right, uint32_t count,
                uint32_t at);

#endif
