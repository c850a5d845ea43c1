/* core/ops/op_union.c - UNION ALL: the inputs' rows of one step, one input after the other, then what fires. */
#include "core/ops/op.h"
#include "core/ops/ports.h"
#include "core/plan/physical.h"

struct union_op {
    struct op op;
    const struct phys_node *node;
    struct ports ports;
};

/* Rows of one place that come by two ports are told apart behind what puts rows in order of time. */
static bool key_rows(struct union_op *u, struct batch *batch)
{
    const uint32_t origin = __builtin_bswap32(batch->origin);
    struct mill_view *keys = arena_alloc(&batch->bytes, batch->capacity * sizeof *keys);
    char *key = NULL;

    (void)u;
    for (uint32_t i = 0; keys != NULL && i < batch->rows; i++) {
        const struct mill_view *of = batch->order_keys != NULL ? &batch->order_keys[i] : NULL;
        const uint32_t length = of != NULL ? of->length : 0;

        key = arena_alloc(&batch->bytes, length + 4u);
        if (key == NULL)
            return false;
        memcpy(key, &origin, 4);
        if (length > 0)
            memcpy(key + 4, mill_view_data(of), length);
        keys[i] = view_of(key, length + 4);
    }
    batch->order_keys = keys;
    return keys != NULL;
}

static enum op_progress union_take(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct union_op *u = (struct union_op *)op;

    if (batch->class_ == CLASS_ROWS && u->node->port_origins != NULL) {
        batch->origin += u->node->port_origins[port];
        if (u->node->keys_rows && op->context->shard_count > 1 && !key_rows(u, batch)) {
            batch_release(batch);
            return op_no_memory(op, NULL);
        }
    }
    return op_emit(op, batch, t);
}

static enum op_progress union_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    op->counters.in += batch->live;
    return ports_push(&((struct union_op *)op)->ports, port, batch, t);
}

static enum op_progress union_rows_ended(struct op *op, const struct step_time *t)
{
    return ports_rows_ended(&((struct union_op *)op)->ports, t);
}

static enum op_progress union_end(struct op *op, const struct step_time *t)
{
    return ports_end(&((struct union_op *)op)->ports, t);
}

static enum op_progress union_resume(struct op *op, const struct step_time *t)
{
    return ports_resume(&((struct union_op *)op)->ports, t);
}

static enum op_progress union_begin(struct op *op, const struct step_time *t)
{
    ports_begin(&((struct union_op *)op)->ports, t);
    return OP_READY;
}

static void union_close(struct op *op)
{
    struct union_op *u = (struct union_op *)op;

    ports_close(&u->ports);
    heap_free(op->heap, u, sizeof *u);
}

static const struct op_vtable union_vtable = {.name = "union",
                                              .begin_step = union_begin,
                                              .push = union_push,
                                              .rows_ended = union_rows_ended,
                                              .end_step = union_end,
                                              .resume = union_resume,
                                              .close = union_close};

struct op *op_union_new(struct op_context *context, const struct phys_node *node)
{
    struct union_op *u = heap_zalloc(context->heap, sizeof *u);

    if (u != NULL) {
        u->op = (struct op){.vtable = &union_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        u->node = node;
        if (ports_open(&u->ports, &u->op, node, union_take))
            return &u->op;
        union_close(&u->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for UNION ALL");
    return NULL;
}
