/* core/ops/op_union.c - UNION ALL: the inputs' rows of one step, one input after the other, then what fires.
 *
 * Several inputs may bring rows of the same step (two branches over one source), batch by batch. So that the order does
 * not depend on the batch size, rows of port 0 pass at once and those of the others wait in queues until the step has no
 * more rows. Results of firings come behind all rows, port by port: those of port 0 pass once the rows have, the
 * others wait until the step ends. What waits is a copy: a batch of an exchange kept here could be the one that its
 * sender needs to get to the end of the step.
 */
#include "core/ops/op.h"
#include "core/plan/physical.h"

struct queue {
    struct batch *first, **last;
};

enum union_phase { UNION_OPEN, UNION_ROWS_ENDED, UNION_ENDING };

struct union_op {
    struct op op;
    const struct mill_schema *schema;
    uint32_t port_count;
    enum union_phase phase;
    struct queue *rows, *fired; /* by port */
};

/* Takes @batch. Gives one that holds nothing of another shard; NULL without memory. */
static struct batch *own(struct union_op *u, struct batch *batch)
{
    struct op_context *context = u->op.context;
    struct batch *copy;
    uint16_t rows[BATCH_ROWS_MAX];

    if (batch->base == NULL)
        return batch;
    copy = context->take_batch(context, u->schema->field_count);
    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    if (copy == NULL || !batch_own_columns(copy, u->schema) ||
        batch_append(copy, batch, rows, batch->live, u->schema) != (int)batch->live) {
        batch_release(copy);
        batch_release(batch);
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for UNION ALL");
        return NULL;
    }
    copy->step = batch->step;
    copy->class_ = batch->class_;
    copy->origin = batch->origin;
    copy->split = batch->split;
    batch_release(batch);
    return copy;
}

static enum op_progress keep(struct union_op *u, struct queue *queue, struct batch *batch)
{
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    batch = own(u, batch);
    if (batch == NULL)
        return OP_FAILED;
    batch->next = NULL;
    *queue->last = batch;
    queue->last = &batch->next;
    return OP_READY;
}

static enum op_progress union_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct union_op *u = (struct union_op *)op;
    const bool rows = batch->class_ == CLASS_ROWS;

    op->counters.in += batch->live;
    if (rows)
        batch->origin = port;
    if (port == 0 && (rows || u->phase != UNION_OPEN || u->port_count == 1))
        return op_emit(op, batch, t);
    return keep(u, rows ? &u->rows[port] : &u->fired[port], batch);
}

static enum op_progress queue_drain(struct union_op *u, struct queue *queue,
                                    const struct step_time *t)
{
    while (queue->first != NULL) {
        struct batch *batch = queue->first;
        enum op_progress progress;

        queue->first = batch->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
        batch->next = NULL;
        progress = op_emit(&u->op, batch, t);
        if (progress != OP_READY)
            return progress;
    }
    return OP_READY;
}

static enum op_progress union_drain(struct union_op *u, const struct step_time *t)
{
    enum op_progress progress = OP_READY;

    for (uint32_t p = 0; p < u->port_count && progress == OP_READY; p++)
        progress = queue_drain(u, &u->rows[p], t);
    for (uint32_t p = 0; p < (u->phase == UNION_ENDING ? u->port_count : 1u); p++)
        if (progress == OP_READY)
            progress = queue_drain(u, &u->fired[p], t);
    return progress;
}

static enum op_progress union_rows_ended(struct op *op, const struct step_time *t)
{
    ((struct union_op *)op)->phase = UNION_ROWS_ENDED;
    return union_drain((struct union_op *)op, t);
}

static enum op_progress union_end(struct op *op, const struct step_time *t)
{
    ((struct union_op *)op)->phase = UNION_ENDING;
    return union_drain((struct union_op *)op, t);
}

/* While the step has rows the queues wait; a drain that was held up goes on. */
static enum op_progress union_resume(struct op *op, const struct step_time *t)
{
    struct union_op *u = (struct union_op *)op;

    return u->phase != UNION_OPEN ? union_drain(u, t) : OP_READY;
}

static enum op_progress union_begin(struct op *op, const struct step_time *t)
{
    (void)t;
    ((struct union_op *)op)->phase = UNION_OPEN;
    return OP_READY;
}

static void queues_free(struct union_op *u, struct queue *queues)
{
    for (uint32_t p = 0; queues != NULL && p < u->port_count; p++)
        while (queues[p].first != NULL) {
            struct batch *batch = queues[p].first;

            queues[p].first = batch->next;
            batch_release(batch);
        }
    heap_free(u->op.heap, queues, u->port_count * sizeof *queues);
}

static struct queue *queues_new(struct heap *heap, uint32_t count)
{
    struct queue *queues = heap_zalloc(heap, count * sizeof *queues);

    for (uint32_t p = 0; queues != NULL && p < count; p++)
        queues[p].last = &queues[p].first;
    return queues;
}

static void union_close(struct op *op)
{
    struct union_op *u = (struct union_op *)op;

    queues_free(u, u->rows);
    queues_free(u, u->fired);
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
        u->schema = &node->schema;
        u->port_count = node->input_count;
        u->rows = queues_new(context->heap, u->port_count);
        u->fired = queues_new(context->heap, u->port_count);
        if (u->rows != NULL && u->fired != NULL)
            return &u->op;
        union_close(&u->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for UNION ALL");
    return NULL;
}
