/* core/shard/memory_input.h - the pushing end of a memory table.
 *
 * A pushed batch is copied into a block and handed over through an SPSC ring; the shard that cut it gives it home when its step is done, and
 * the pusher fills it again: once the queue has been as deep as it gets, a push allocates nothing.
 *
 * Threads: one pusher, beside the engine's shards; with mill_input_pull() the pusher is whoever holds the cursor token.
 * Errors: MILL_E_MEMORY, MILL_E_STATE, MILL_E_ARGUMENT.   Includes: job.h
 */
#ifndef MILL_MEMORY_INPUT_H
#define MILL_MEMORY_INPUT_H

#include "core/shard/job.h"

#define BLOCK_SHIFT_MIN 6u /* the smallest block has room for 64 rows */
#define BLOCK_SHIFT_MAX 12u
#define BLOCK_KINDS (BLOCK_SHIFT_MAX - BLOCK_SHIFT_MIN + 1)
_Static_assert(1u << BLOCK_SHIFT_MAX == BATCH_ROWS_MAX, "the largest block is a whole batch");

/* One block of rows: a copied batch. */
struct block {
    struct block *next; /* of a piece's list, or of those at home */
    int64_t
        watermark; /* TIME_MIN, or a block without rows: none with an earlier time will follow */
    uint32_t rows, kind; /* room for 1 << (BLOCK_SHIFT_MIN + kind) rows */
    struct batch *owned; /* columns in table order */
};

struct mill_input {
    const struct env *env;
    struct heap *heap; /* shared */
    struct heap own_heap;
    const struct mill_schema *schema;
    bool timed;         /* the table has a WATERMARK */
    struct ring queue;  /* of struct block */
    at_u64 queued_rows; /* pushed and not yet cut */
    at_u32 ended;
    const struct mill_batch *lent;
    size_t lent_count;
    uint32_t lent_repeat;
    uint32_t
        advance_column; /* whose values are greater by advance each time the rows are read over */
    int64_t advance;
    at_u32 lending; /* what stands above is set */

    /* asked for rows when none are queued, under the cursor token; set before the query runs */
    void (*pull)(void *user, struct mill_input *input);
    void *pull_user;
    at_u32 read; /* a query has begun to read */

    struct block *spare[BLOCK_KINDS]; /* the pusher's */
    uint32_t spare_count[BLOCK_KINDS], made[BLOCK_KINDS];
    struct batch *view; /* shows pushed columns as a batch's */
    OWN_LINE at_u32 home_guard;
    struct block *home; /* released by any shard, not yet taken by the pusher */
};

/* Takes the list @block, from any shard. */
void memory_input_home(struct mill_input *input, struct block *block);

#endif
