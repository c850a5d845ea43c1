/* core/ops/join_plain.h - joins in which a row has one partner at most: results show the batch's columns without a copy.
 *
 * The other side is complete, and every key of the table has exactly one row of it, whose id is the group's: the looked up numbers are
 * what its columns are gathered by, each to the place of its row. Many number keys get an index of one cache line a
 * look-up, with the value itself in it if that is the only column.
 *
 * Threads: one shard.   Errors: OP_FAILED without memory.   Includes: op.h, rows.h, table.h, unique.h
 */
#ifndef MILL_JOIN_PLAIN_H
#define MILL_JOIN_PLAIN_H

#include "core/ops/join.h"
#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/state/rows.h"
#include "core/state/table.h"
#include "core/state/unique.h"

struct join_plain {
    struct op *op;
    const struct phys_node *plan;
    const struct join_node *join;
    const struct table *table;
    const char *advice; /* when memory runs out: see op_no_memory() */
    /* of the other side, once more rows have been looked up than it has: its ids, or the values of its only column */
    struct unique index;
    bool tried, values;
    uint64_t probed;
    uint32_t ids[BATCH_ROWS_MAX]; /* scratch */
};

/* What a batch of one port is joined with. */
struct plain_sides {
    uint32_t port;                /* the batch's */
    struct key_layout *layout;    /* of its keys */
    struct key_batch *keys;       /* scratch */
    const struct row_store *rows; /* the other side's */
    const int32_t
        *kept; /* per own column of the other side: its number in rows; -1: nobody reads it */
};

void join_plain_open(struct join_plain *p, struct op *op, const struct phys_node *plan,
                     const struct table *table, const char *advice);
/* The table has other rows. */
void join_plain_reset(struct join_plain *p);
void join_plain_close(struct join_plain *p); /* zeroed, or opened */
/* Takes @batch and answers as op_emit(). False: it is not of this kind, or too large; nothing is done. */
bool join_plain_push(struct join_plain *p, const struct plain_sides *sides, struct batch *batch,
                     const struct step_time *t, enum op_progress *progress);

#endif
