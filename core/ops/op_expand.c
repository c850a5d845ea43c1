/* core/ops/op_expand.c - a row for each grouping set, sets in order behind each other for every row. */
#include "core/ops/emit.h"
#include "core/ops/expand.h"
#include "core/plan/physical.h"

struct expand_op {
    struct op op;
    const struct phys_node *node;
    struct emitter emit;
    struct batch *batch; /* being taken: live row @next, set @set */
    uint32_t next, set;
    uint32_t begun; /* rows of emit.out whose columns are filled */
    uint16_t rows[BATCH_ROWS_MAX], sets[BATCH_ROWS_MAX];
};

/* Columns of the results from @begun on, in one go each. */
static bool fill(struct expand_op *x)
{
    const struct expand_node *e = x->node->expand;
    const struct mill_schema *schema = &x->node->schema;
    const uint32_t own = schema->field_count - e->key_count - 1;
    struct batch *out = x->emit.out;
    const uint32_t count = out->rows - x->begun;
    int64_t *number = (int64_t *)out->columns[schema->field_count - 1].values + x->begun;

    for (uint32_t c = 0; c < own; c++)
        if (!column_gather(out, &out->columns[c], x->begun, &x->batch->columns[c], x->rows, count,
                           &schema->fields[c].type))
            return false;
    for (uint32_t k = 0; k < e->key_count; k++) {
        struct column *column = &out->columns[own + k];

        if (!column_gather(out, column, x->begun, &x->batch->columns[e->keys[k]], x->rows, count,
                           &schema->fields[own + k].type))
            return false;
        for (uint32_t i = 0; i < count; i++)
            if ((e->sets[x->sets[i]] >> k & 1) == 0 && !column_put_null(out, column, x->begun + i))
                return false;
    }
    for (uint32_t i = 0; i < count; i++)
        number[i] = x->sets[i];
    return true;
}

static enum op_progress hand_on(struct expand_op *x, const struct step_time *t)
{
    if (x->emit.out == NULL)
        return OP_READY;
    if (!fill(x))
        return op_no_memory(&x->op, NULL);
    x->begun = 0;
    return emit_flush(&x->emit, t);
}

static enum op_progress take(struct expand_op *x, const struct step_time *t)
{
    const struct expand_node *e = x->node->expand;

    while (x->batch != NULL && x->next < x->batch->live) {
        const uint32_t row = batch_row(x->batch, x->next);

        if (emit_full(&x->emit)) {
            const enum op_progress p = hand_on(x, t);

            if (p != OP_READY)
                return p;
        }
        const int32_t r = emit_row(&x->emit, row, batch_kind(x->batch, row));

        if (r < 0)
            return OP_FAILED;
        x->rows[(uint32_t)r - x->begun] = (uint16_t)row;
        x->sets[(uint32_t)r - x->begun] = (uint16_t)x->set;
        if (++x->set == e->set_count) {
            x->set = 0;
            x->next++;
        }
    }
    if (x->batch != NULL) {
        const enum op_progress p = hand_on(x, t);

        x->op.counters.consumed += x->batch->live;
        batch_release(x->batch);
        x->batch = NULL;
        return p;
    }
    return OP_READY;
}

static enum op_progress expand_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct expand_op *x = (struct expand_op *)op;
    enum op_progress p;

    op->counters.in += batch->live;
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    p = emit_cause(&x->emit, batch, port, t);
    x->batch = batch;
    x->next = x->set = 0;
    return p == OP_READY ? take(x, t) : p;
}

static enum op_progress expand_resume(struct op *op, const struct step_time *t)
{
    return take((struct expand_op *)op, t);
}

static void expand_close(struct op *op)
{
    struct expand_op *x = (struct expand_op *)op;

    batch_release(x->batch);
    emit_close(&x->emit);
    heap_free(op->heap, x, sizeof *x);
}

static const struct op_vtable expand_vtable = {.name = "expand",
                                               .push = expand_push,
                                               .resume = expand_resume,
                                               .close = expand_close};

struct op *op_expand_new(struct op_context *context, const struct phys_node *node)
{
    struct expand_op *x = heap_zalloc(context->heap, sizeof *x);

    if (x == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for GROUPING SETS");
        return NULL;
    }
    x->op = (struct op){.vtable = &expand_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    x->node = node;
    emit_open(&x->emit, &x->op, node);
    return &x->op;
}
