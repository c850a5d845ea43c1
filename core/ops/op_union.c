/* core/ops/op_union.c - UNION ALL: the inputs' rows of one step, one input after the other.
 *
 * Several inputs may bring rows of the same step (two branches over one source), batch by batch. So that the order does
 * not depend on the batch size, port 0 passes at once and the others wait in a queue until the step ends. Firings
 * keep the order of their operators.
 */
#include "core/ops/op.h"
#include "core/plan/physical.h"

struct port_queue {
    struct batch *first, **last;
};

struct union_op {
    struct op op;
    uint32_t port_count;
    bool draining; /* the step has ended */
    struct port_queue *queues;
};

static enum op_progress union_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct union_op *u = (struct union_op *)op;

    op->counters.in += batch->live;
    if (batch->class_ == CLASS_ROWS)
        batch->origin = port;
    if (port == 0)
        return op_emit(op, batch, t);
    batch->next = NULL;
    *u->queues[port].last = batch;
    u->queues[port].last = &batch->next;
    return OP_READY;
}

static enum op_progress union_drain(struct op *op, const struct step_time *t)
{
    struct union_op *u = (struct union_op *)op;

    for (uint32_t p = 1; p < u->port_count; p++)
        while (u->queues[p].first != NULL) {
            struct port_queue *q = &u->queues[p];
            struct batch *batch = q->first;
            enum op_progress progress;

            q->first = batch->next;
            if (q->first == NULL)
                q->last = &q->first;
            batch->next = NULL;
            progress = op_emit(op, batch, t);
            if (progress != OP_READY)
                return progress;
        }
    return OP_READY;
}

static enum op_progress union_end(struct op *op, const struct step_time *t)
{
    ((struct union_op *)op)->draining = true;
    return union_drain(op, t);
}

/* Before the step's end the queues wait; a drain that was held up goes on. */
static enum op_progress union_resume(struct op *op, const struct step_time *t)
{
    return ((struct union_op *)op)->draining ? union_drain(op, t) : OP_READY;
}

static enum op_progress union_begin(struct op *op, const struct step_time *t)
{
    (void)t;
    ((struct union_op *)op)->draining = false;
    return OP_READY;
}

static void union_close(struct op *op)
{
    struct union_op *u = (struct union_op *)op;

    for (uint32_t p = 0; p < u->port_count; p++)
        while (u->queues[p].first != NULL) {
            struct batch *batch = u->queues[p].first;

            u->queues[p].first = batch->next;
            batch_release(batch);
        }
    heap_free(op->heap, u->queues, u->port_count * sizeof *u->queues);
    heap_free(op->heap, u, sizeof *u);
}

static const struct op_vtable union_vtable = {.name = "union",
                                              .begin_step = union_begin,
                                              .push = union_push,
                                              .end_step = union_end,
                                              .resume = union_resume,
                                              .close = union_close};

struct op *op_union_new(struct op_context *context, const struct phys_node *node)
{
    struct union_op *u = heap_zalloc(context->heap, sizeof *u);

    if (u == NULL)
        goto fail;
    u->op = (struct op){.vtable = &union_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    u->queues = heap_zalloc(context->heap, node->input_count * sizeof *u->queues);
    if (u->queues == NULL) {
        heap_free(context->heap, u, sizeof *u);
        goto fail;
    }
    u->port_count = node->input_count;
    for (uint32_t p = 0; p < u->port_count; p++)
        u->queues[p].last = &u->queues[p].first;
    return &u->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for UNION ALL");
    return NULL;
}
