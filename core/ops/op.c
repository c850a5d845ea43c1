/* core/ops/op.c - handing batches to what comes next. */
#include "core/ops/op.h"

#include "kernels/kernels.h"

static enum op_progress emit_to(struct op *op, struct op_link *links, uint32_t count,
                                struct batch *batch, const struct step_time *t)
{
    enum op_progress all = OP_READY;

    if (count == 0 || batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    for (uint32_t i = 0; i + 1 < count; i++) {
        struct batch *shell = op->context->take_batch(op->context, batch->column_count);
        enum op_progress p;

        if (shell == NULL || !batch_borrow(shell, batch)) {
            batch_release(shell);
            batch_release(batch);
            mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory to share a batch");
            return OP_FAILED;
        }
        p = links[i].to->vtable->push(links[i].to, links[i].port, shell, t);
        if (p == OP_FAILED) {
            batch_release(batch);
            return p;
        }
        if (p == OP_BUSY)
            all = OP_BUSY;
    }
    switch (
        links[count - 1].to->vtable->push(links[count - 1].to, links[count - 1].port, batch, t)) {
    case OP_FAILED: return OP_FAILED;
    case OP_BUSY: return OP_BUSY;
    default: return all;
    }
}

enum op_progress op_emit(struct op *op, struct batch *batch, const struct step_time *t)
{
    op->counters.out += batch->live;
    return emit_to(op, op->links, op->link_count, batch, t);
}

enum op_progress op_emit_to(struct op *op, uint32_t link, struct batch *batch,
                            const struct step_time *t)
{
    op->counters.out += batch->live;
    return emit_to(op, &op->links[link], 1, batch, t);
}

enum op_progress op_emit_late(struct op *op, struct batch *batch, const struct step_time *t)
{
    return emit_to(op, op->late_links, op->late_link_count, batch, t);
}

enum op_progress op_no_memory(struct op *op, const char *advice)
{
    op->context->advice = advice;
    mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory in %s", op->vtable->name);
    return OP_FAILED;
}

enum op_progress op_late_rows(struct op *op, const struct batch *batch, const uint16_t *rows,
                              uint32_t count, const struct mill_schema *schema,
                              const struct mill_type *time, const char *reason,
                              const struct step_time *t)
{
    const uint32_t fields = schema->field_count;
    const struct mill_type text = type_string();
    struct batch *out = op->context->take_batch(op->context, fields + 2);

    if (out == NULL || !batch_own_columns(out, schema) ||
        batch_append(out, batch, rows, count, schema) != (int)count ||
        !column_own(out, &out->columns[fields], time) ||
        !column_own(out, &out->columns[fields + 1], &text)) {
        batch_release(out);
        mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory for %u late rows", count);
        return OP_FAILED;
    }
    for (uint32_t i = 0; i < count; i++) {
        ((int64_t *)out->columns[fields].values)[i] = row_watermark(t, batch, rows[i]);
        ((struct mill_view *)out->columns[fields + 1].values)[i] =
            view_of(reason, (uint32_t)strlen(reason));
    }
    out->step = batch->step;
    out->split = batch->split;
    out->class_ = batch->class_;
    out->origin = batch->origin;
    return op_emit_late(op, out, t);
}

int64_t op_behind(const struct op *op, const struct batch *batch)
{
    int64_t least, greatest = TIME_MIN;

    if (batch->behind == NULL || batch->live == 0)
        return TIME_MIN;
    if (batch->selection == NULL)
        op->context->kernels->bounds_i64(batch->behind, batch->rows, &least, &greatest);
    for (uint32_t i = 0; batch->selection != NULL && i < batch->live; i++)
        greatest = max_i64(greatest, batch->behind[batch->selection[i]]);
    return greatest;
}

void op_bounds(const struct op *op, const struct batch *batch, const struct column *column,
               int64_t *least, int64_t *greatest)
{
    if (batch->bounded == column->values) {
        *least = batch->least;
        *greatest = batch->greatest;
    } else {
        op->context->kernels->bounds_i64(column->values, batch->rows, least, greatest);
    }
}
