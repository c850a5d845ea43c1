/* core/results.h - result rows of a SELECT on their way to the caller.
 *
 * Rows are copied out of the engine's batches into batches of plain columns (no selection, no constants); those come back and are filled
 * again, so a steady stream of results allocates nothing.
 * Threads: results_poll() on one thread, the rest on the shard that has the sink; what they share is guarded.
 * Errors: NULL without memory.   Includes: millstream.h, batch.h
 */
#ifndef MILL_RESULTS_H
#define MILL_RESULTS_H

#include "core/atomic.h"
#include "core/batch.h"
#include "core/millstream.h"

struct results {
    struct heap *heap; /* shared */
    struct mill_batch view;
    struct arena view_arena;
    struct batch *polled; /* shown by the last results_poll() */
    at_u32 guard;
    struct batch *first, **last; /* for results_poll(), in order */
    struct batch *spare;         /* to be filled again */
    uint32_t spare_count;
};

void results_open(struct results *results, struct heap *heap);
void results_close(struct results *results);
/* The live rows of @batch; give it to results_put() or results_return(). */
struct batch *results_copy(struct results *results, const struct batch *batch,
                           const struct mill_schema *schema);
/* As the public structure; until the next call of this or results_poll(). */
const struct mill_batch *results_show(struct results *results, const struct batch *copy);
/* Takes @copy: it waits for results_poll(). */
void results_put(struct results *results, struct batch *copy);
/* Takes @copy (may be NULL), to be filled again. */
void results_return(struct results *results, struct batch *copy);
/* The next batch that waits, or NULL. */
const struct mill_batch *results_poll(struct results *results);

#endif
