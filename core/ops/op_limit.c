/* core/ops/op_limit.c - OFFSET and LIMIT: the rows in their order, some first ones left out, then so many. All come to one shard.
 *
 *   in = consumed + filtered + dead: rows that were not handed on are filtered
 */
#include "core/ops/op.h"
#include "core/ops/sort.h"
#include "core/plan/physical.h"

struct limit_op {
    struct op op;
    const struct sort_node *node;
    uint64_t seen;
};

static enum op_progress limit_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct limit_op *l = (struct limit_op *)op;
    const uint64_t offset = l->node->offset, limit = l->node->limit;
    uint32_t n = 0;

    (void)port;
    op->counters.in += batch->live;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint64_t number = l->seen++;

        if (number >= offset && number - offset < limit)
            batch->selection_store[n++] = (uint16_t)batch_row(batch, i);
    }
    op->counters.filtered += batch->live - n;
    op->counters.consumed += n;
    if (n < batch->live) {
        batch->selection = batch->selection_store;
        batch->live = n;
    }
    if (n == 0) {
        batch_release(batch);
        return OP_READY;
    }
    return op_emit(op, batch, t);
}

static void limit_snapshot(struct op *op, struct snapshot_writer *to)
{
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, ((struct limit_op *)op)->seen);
}

static bool limit_restore(struct op *op, struct snapshot_reader *from)
{
    snapshot_get(from, &op->counters, sizeof op->counters);
    ((struct limit_op *)op)->seen = snapshot_get_u64(from);
    return !from->failed;
}

static void limit_close(struct op *op)
{
    heap_free(op->heap, op, sizeof(struct limit_op));
}

static const struct op_vtable limit_vtable = {.name = "limit",
                                              .push = limit_push,
                                              .snapshot = limit_snapshot,
                                              .restore = limit_restore,
                                              .close = limit_close};

struct op *op_limit_new(struct op_context *context, const struct phys_node *node)
{
    struct limit_op *l = heap_zalloc(context->heap, sizeof *l);

    if (l == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for LIMIT");
        return NULL;
    }
    l->op = (struct op){.vtable = &limit_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    l->node = node->sort;
    return &l->op;
}
