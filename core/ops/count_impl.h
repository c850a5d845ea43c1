/* core/ops/count_impl.h - inside of windows by number: op_count_window.c takes rows and fires, count_results.c makes
 * the rows of firings, count_snapshot.c saves it all.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: op.h, order.h, table.h
 */
#ifndef MILL_COUNT_IMPL_H
#define MILL_COUNT_IMPL_H

#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/state/order.h"
#include "core/state/table.h"

#define COUNT_CHUNK_ROWS 1024u

/* Rows instead of aggregates: what a pane or a firing holds. */
struct held_rows {
    struct order_ref *refs;
    uint32_t count, capacity;
};

struct pane {
    uint64_t rows;
    int64_t first, last;
    /* the content follows: states of the aggregates, or struct held_rows */
};

struct counted { /* per key */
    char *panes;
    uint32_t count, capacity;
    uint64_t rows;    /* in panes */
    uint64_t waiting; /* rows since the last firing */
    int64_t id;       /* of the next window to fire */
};

struct timer {
    int64_t end, id;
    uint32_t group;
};

struct fired {
    int64_t start, end, id;
    uint32_t group;
    void *content;
    struct mill_view order;
};

struct count_op {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema input, output;
    struct agg_set *set; /* NULL: rows */
    uint64_t grain, slide, size;
    int64_t limit, unit; /* limit 0: by rows only */
    size_t content_bytes;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct counted */
    struct order order;
    struct timer *timers;
    uint64_t timer_first, timer_end, timer_room;
    /* references taken from the order, all of one block, and what the table found for them */
    struct order_ref chunk[COUNT_CHUNK_ROWS];
    void *found[COUNT_CHUNK_ROWS];
    uint32_t chunk_count, chunk_next;
    struct order_ref ahead; /* taken, of the next block; block NULL: none */
    struct batch
        view; /* the chunk's block with its rows' places in time order: for FIRST, LAST, LISTAGG */
    uint32_t places[COUNT_CHUNK_ROWS];
    uint64_t taken; /* rows ever taken: (step, place) of the view */
    /* rows of the chunk not yet added to their panes */
    uint16_t rows[COUNT_CHUNK_ROWS];
    void *states[COUNT_CHUNK_ROWS];
    uint32_t adding;
    /* firing */
    bool ending, gathered, sorted;
    struct fired *fired;
    uint32_t fired_count, fired_room, next, next_row;
    void *spare; /* contents of fired windows, to be used again */
    uint32_t spare_count;
    struct arena order_bytes;
    uint16_t late[BATCH_ROWS_MAX];
    uint32_t late_count;
};

static inline struct counted *count_key_at(const struct count_op *c, uint32_t group)
{
    return table_state(&c->table, group);
}

static inline size_t count_pane_bytes(const struct count_op *c)
{
    return ALIGN_UP(sizeof(struct pane) + c->content_bytes, (size_t)16);
}

static inline struct pane *count_pane_at(const struct count_op *c, const struct counted *k,
                                         uint32_t i)
{
    return (struct pane *)(k->panes + (size_t)i * count_pane_bytes(c));
}

static inline void *count_pane_content(struct pane *pane)
{
    return pane + 1;
}

/* ---- op_count_window.c ---- */

enum op_progress count_no_memory(struct count_op *c);
/* The pane that the key's next row goes to; a new one begins at @time. NULL without memory. */
struct pane *count_open_pane(struct count_op *c, struct counted *k, int64_t time);
void count_content_close(struct count_op *c, void *content);
/* The memory of a closed content, to be used again. */
void count_content_return(struct count_op *c, void *content);
/* Takes a share of the row. */
bool count_hold_row(struct count_op *c, struct held_rows *h, const struct order_ref *ref);
bool count_timer_add(struct count_op *c, const struct timer *timer);

/* ---- count_results.c ---- */

/* One batch of fired[next ..]. */
enum op_progress count_emit_some(struct count_op *c, const struct step_time *t);
/* All that has fired has been given, or is not wanted. */
void count_firing_end(struct count_op *c);

/* ---- count_snapshot.c ---- */

void count_snapshot(struct op *op, struct snapshot_writer *to);
bool count_restore(struct op *op, struct snapshot_reader *from);

#endif
