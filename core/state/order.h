/* core/state/order.h - event-time order up to the watermark: rows wait until it has passed them.
 *
 * Rows are copied into blocks; what is sorted are references. A reference goes to the end of the *run* whose last time
 * is the greatest not above its own, so streams that are nearly in order make few runs (Impatience sort); rows leave
 * by merging the runs' heads. Equal times leave in the order in which they came, which is place order.
 *   runs: times ascend within one; last times strictly descend from run to run; at most ORDER_RUNS
 *   shares of a block = its waiting references + those given out and not dropped + 1 while it is being filled
 * For OVER, MATCH_RECOGNIZE, event-time sort and count windows; who keeps rows longer keeps the reference.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: batch.h, snapshot.h
 */
#ifndef MILL_ORDER_H
#define MILL_ORDER_H

#include "core/batch.h"
#include "core/state/snapshot.h"

#define ORDER_RUNS 128u

struct order_block {
    struct batch *rows; /* owned columns; place of each row */
    uint64_t shares;
    struct order_block *next; /* of the spare ones */
};

struct order_ref {
    int64_t time;
    uint64_t arrival, step;
    struct order_block *block;
    uint32_t row;
};

struct order_run {
    struct order_ref *refs;
    uint32_t first, end, capacity; /* refs[first .. end) wait */
};

struct order {
    struct heap *heap;
    const struct mill_schema *schema;
    uint32_t block_rows;
    struct order_block *open; /* being filled, or NULL */
    struct order_run runs[ORDER_RUNS];
    uint32_t run_count;
    uint32_t heads[ORDER_RUNS]; /* a heap of runs by their first reference, while merging */
    uint32_t head_count;
    bool merging;
    uint64_t rows, arrivals;          /* waiting; ever */
    struct order_block *spare_blocks; /* to be filled again, */
    uint32_t spare_count;
    struct order_run spare_run; /* and references without a run */
};

void order_open(struct order *order, struct heap *heap, const struct mill_schema *schema,
                uint32_t block_rows);
void order_close(struct order *order);

/* Copies rows[0 .. count) of @batch with their times: they wait. */
bool order_push(struct order *order, const struct batch *batch, const uint16_t *rows,
                const int64_t *times, uint32_t count);
/* The first waiting row with time <= @w, in (time, arrival) order, and its share of the block. False: none. */
bool order_next(struct order *order, int64_t w, struct order_ref *out);
/* Gives a share back. */
void order_drop(struct order *order, struct order_block *block);
/* Least waiting time; TIME_MAX: none. */
int64_t order_least(struct order *order);

void order_snapshot(const struct order *order, struct snapshot_writer *to);
bool order_restore(struct order *order, struct snapshot_reader *from);
/* One row that the caller holds: its values, time and place. Restoring gives it a share again. */
void order_row_snapshot(const struct order *order, const struct order_ref *ref,
                        struct snapshot_writer *to);
bool order_row_restore(struct order *order, struct snapshot_reader *from, struct order_ref *out);
bool order_valid(const struct order *order);

#endif
