/* core/ops/ports.c - rows of a step port by port: queues. */
#include "core/ops/ports.h"

#include "core/plan/physical.h"

/* Takes @batch. Gives one that holds nothing of another shard; NULL without memory. */
static struct batch *own(struct ports *ports, uint32_t port, struct batch *batch)
{
    const struct mill_schema *schema = &ports->node->inputs[port]->schema;
    struct op_context *context = ports->op->context;
    struct batch *copy;
    uint16_t rows[BATCH_ROWS_MAX];

    if (batch->base == NULL)
        return batch;
    copy = context->take_batch(context, schema->field_count);
    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    if (copy == NULL || !batch_own_columns(copy, schema) ||
        batch_append(copy, batch, rows, batch->live, schema) != (int)batch->live) {
        batch_release(copy);
        batch_release(batch);
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for the inputs of %s",
                  ports->op->vtable->name);
        return NULL;
    }
    copy->step = batch->step;
    copy->class_ = batch->class_;
    copy->origin = batch->origin;
    copy->split = batch->split;
    batch_release(batch);
    return copy;
}

static enum op_progress keep(struct ports *ports, struct ports_queue *queue, uint32_t port,
                             struct batch *batch)
{
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    batch = own(ports, port, batch);
    if (batch == NULL)
        return OP_FAILED;
    batch->next = NULL;
    *queue->last = batch;
    queue->last = &batch->next;
    return OP_READY;
}

enum op_progress ports_push(struct ports *ports, uint32_t port, struct batch *batch,
                            const struct step_time *t)
{
    const bool rows = batch->class_ == CLASS_ROWS;

    if (rows ? port <= ports->silent
             : port == 0 && (ports->phase != PORTS_OPEN || ports->count == 1))
        return ports->take(ports->op, port, batch, t);
    return keep(ports, rows ? &ports->rows[port] : &ports->fired[port], port, batch);
}

static enum op_progress queue_drain(struct ports *ports, struct ports_queue *queue, uint32_t port,
                                    const struct step_time *t)
{
    while (queue->first != NULL) {
        struct batch *batch = queue->first;
        enum op_progress progress;

        queue->first = batch->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
        batch->next = NULL;
        progress = ports->take(ports->op, port, batch, t);
        if (progress != OP_READY)
            return progress;
    }
    return OP_READY;
}

static enum op_progress drain(struct ports *ports, const struct step_time *t)
{
    enum op_progress progress = OP_READY;

    for (uint32_t p = 0; p < ports->count && progress == OP_READY; p++)
        progress = queue_drain(ports, &ports->rows[p], p, t);
    for (uint32_t p = 0; p < (ports->phase == PORTS_ENDING ? ports->count : 1u); p++)
        if (progress == OP_READY)
            progress = queue_drain(ports, &ports->fired[p], p, t);
    return progress;
}

enum op_progress ports_rows_ended(struct ports *ports, const struct step_time *t)
{
    ports->phase = PORTS_ROWS_ENDED;
    return drain(ports, t);
}

enum op_progress ports_end(struct ports *ports, const struct step_time *t)
{
    ports->phase = PORTS_ENDING;
    return drain(ports, t);
}

enum op_progress ports_resume(struct ports *ports, const struct step_time *t)
{
    /* while the step has rows the queues wait; a drain that was held up goes on */
    return ports->phase != PORTS_OPEN ? drain(ports, t) : OP_READY;
}

void ports_begin(struct ports *ports, const struct step_time *t)
{
    ports->phase = PORTS_OPEN;
    ports->silent = 0;
    while (ports->silent + 1 < ports->count && t->source < 64 &&
           (ports->node->inputs[ports->silent]->sources >> t->source & 1) == 0)
        ports->silent++;
}

bool ports_empty(const struct ports *ports)
{
    for (uint32_t p = 0; p < ports->count; p++)
        if (ports->rows[p].first != NULL || ports->fired[p].first != NULL)
            return false;
    return true;
}

static void queues_free(struct ports *ports, struct ports_queue *queues)
{
    for (uint32_t p = 0; queues != NULL && p < ports->count; p++)
        while (queues[p].first != NULL) {
            struct batch *batch = queues[p].first;

            queues[p].first = batch->next;
            batch_release(batch);
        }
    heap_free(ports->op->heap, queues, ports->count * sizeof *queues);
}

static struct ports_queue *queues_new(struct heap *heap, uint32_t count)
{
    struct ports_queue *queues = heap_zalloc(heap, count * sizeof *queues);

    for (uint32_t p = 0; queues != NULL && p < count; p++)
        queues[p].last = &queues[p].first;
    return queues;
}

bool ports_open(struct ports *ports, struct op *op, const struct phys_node *node, ports_take take)
{
    *ports = (struct ports){.op = op, .node = node, .take = take, .count = node->input_count};
    ports->rows = queues_new(op->heap, ports->count);
    ports->fired = queues_new(op->heap, ports->count);
    return ports->rows != NULL && ports->fired != NULL;
}

void ports_close(struct ports *ports)
{
    if (ports->op == NULL)
        return;
    queues_free(ports, ports->rows);
    queues_free(ports, ports->fired);
    ports->rows = ports->fired = NULL;
}
