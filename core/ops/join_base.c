/* core/ops/join_base.c - what interval, window and lookup joins have in common. */
#include "core/ops/join_base.h"

#include "core/plan/physical.h"

void join_base_init(struct join_base *b, const struct op_vtable *vtable, struct op_context *context,
                    const struct phys_node *node, const char *advice)
{
    b->op =
        (struct op){.vtable = vtable, .context = context, .heap = context->heap, .id = node->id};
    b->join = node->join;
    b->advice = advice;
}

bool join_base_open(struct join_base *b, const struct phys_node *node, ports_take take,
                    const uint32_t *const columns[2], uint32_t column_count)
{
    struct heap *heap = b->op.heap;

    for (uint32_t s = 0; s < 2; s++) {
        if (!key_layout_open(&b->keys[s], heap, &node->inputs[s]->schema, columns[s], column_count))
            return false;
        b->keys[s].kernels = b->op.context->kernels;
    }
    return key_batch_open(&b->batch_keys, heap) && ports_open(&b->ports, &b->op, node, take);
}

void join_base_close(struct join_base *b)
{
    ports_close(&b->ports);
    pairs_close(&b->pairs);
    table_close(&b->table);
    key_layout_close(&b->keys[0]);
    key_layout_close(&b->keys[1]);
    key_batch_close(&b->batch_keys);
    heap_free(b->op.heap, b->key, b->key_room);
}

enum op_progress join_base_no_memory(struct join_base *b)
{
    return b->op.context->error->code != MILL_OK ? OP_FAILED : op_no_memory(&b->op, b->advice);
}

char *join_key_scratch(struct join_base *b, size_t bytes)
{
    if (bytes > b->key_room) {
        heap_free(b->op.heap, b->key, b->key_room);
        b->key_room = ALIGN_UP(bytes, 256u);
        b->key = heap_alloc(b->op.heap, b->key_room);
        if (b->key == NULL)
            b->key_room = 0;
    }
    return b->key;
}

/* Makes rows of the emitter of up to @n pairs, until it is full. Returns of how many. <0: failed; error is filled. */
static int32_t make_rows(struct join_base *b, uint32_t n, join_position position,
                         const struct step_time *t)
{
    struct emitter *e = &b->pairs.emit;
    const uint32_t *cause = b->refs[b->pairs.cause_side];

    for (uint32_t i = 0; i < n; i++) {
        if (position == NULL) {
            if (emit_row(e, cause[b->handed + i], ROW_INSERT) < 0)
                return -1;
        } else {
            const struct mill_view key = position(b, b->handed + i);

            if (key.length == UINT32_MAX)
                join_base_no_memory(b);
            if (key.length == UINT32_MAX || emit_fired(e, t, &key, ROW_INSERT) < 0)
                return -1;
        }
        if (emit_full(e))
            n = i + 1;
    }
    return (int32_t)n;
}

enum op_progress join_hand_on(struct join_base *b, join_position position,
                              const struct step_time *t)
{
    struct emitter *e = &b->pairs.emit;

    while (b->handed < b->found) {
        uint32_t first;
        int32_t n;

        if (emit_full(e)) {
            const enum op_progress p = emit_flush(e, t);

            if (p != OP_READY)
                return p;
        }
        first = e->out != NULL ? e->out->rows : 0;
        n = make_rows(b, b->found - b->handed, position, t);
        if (n < 0)
            return OP_FAILED;
        if (!pairs_fill(&b->pairs, b->refs[0] + b->handed, b->refs[1] + b->handed, (uint32_t)n,
                        first))
            return join_base_no_memory(b);
        b->handed += (uint32_t)n;
    }
    return OP_READY;
}

enum op_progress join_base_begin_step(struct op *op, const struct step_time *t)
{
    ports_begin(&((struct join_base *)op)->ports, t);
    return OP_READY;
}

enum op_progress join_base_push(struct op *op, uint32_t port, struct batch *batch,
                                const struct step_time *t)
{
    op->counters.in += batch->live;
    return ports_push(&((struct join_base *)op)->ports, port, batch, t);
}

enum op_progress join_base_rows_ended(struct op *op, const struct step_time *t)
{
    return ports_rows_ended(&((struct join_base *)op)->ports, t);
}

void join_base_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct join_base *)op)->table, sample, &state->tables);
    state->table_count++;
}
