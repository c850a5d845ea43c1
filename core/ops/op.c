/* core/ops/op.c - handing batches to what comes next. */
#include "core/ops/op.h"

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

enum op_progress op_emit_late(struct op *op, struct batch *batch, const struct step_time *t)
{
    return emit_to(op, op->late_links, op->late_link_count, batch, t);
}
