/* core/ops/op_calc.c - filter, then project: one batch in, the same batch out with other columns.
 *
 * Computed columns lie in the batch's own bytes, column references borrow. Rows whose expression cannot be
 * computed leave the selection and are counted as dead (the context's bad_row decides what else happens).
 */
#include "core/ops/op.h"
#include "core/plan/physical.h"

struct calc {
    struct op op;
    struct program *filter, *project;
    uint32_t out_count;
};

static enum op_progress calc_project(struct calc *c, struct batch *batch)
{
    struct op_context *context = c->op.context;
    const uint32_t before = batch->live;
    struct column *out = arena_array(&batch->bytes, struct column, c->out_count);

    if (out == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory to project a batch");
        return OP_FAILED;
    }
    if (program_run(c->project, batch, out, &context->eval, context->error) != MILL_OK)
        return OP_FAILED;
    c->op.counters.dead += before - batch->live;
    batch->columns = out;
    batch->column_count = (uint16_t)c->out_count;
    batch->hashes = NULL;
    return OP_READY;
}

static enum op_progress calc_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct calc *c = (struct calc *)op;
    struct op_context *context = op->context;
    uint64_t filtered = 0;

    (void)port;
    op->counters.in += batch->live;
    if (c->filter != NULL) {
        const uint32_t before = batch->live;

        if (program_filter(c->filter, batch, &context->eval, &filtered, context->error) !=
            MILL_OK) {
            batch_release(batch);
            return OP_FAILED;
        }
        op->counters.filtered += filtered;
        op->counters.dead += before - batch->live - filtered;
    }
    if (batch->live > 0 && c->project != NULL && calc_project(c, batch) != OP_READY) {
        batch_release(batch);
        return OP_FAILED;
    }
    return op_emit(op, batch, t);
}

static void calc_close(struct op *op)
{
    struct calc *c = (struct calc *)op;

    program_free(c->filter);
    program_free(c->project);
    heap_free(op->heap, c, sizeof *c);
}

static const struct op_vtable calc_vtable = {.name = "calc",
                                             .push = calc_push,
                                             .close = calc_close};

struct op *op_calc_new(struct op_context *context, const struct phys_node *node)
{
    const struct calc_node *config = &node->calc;
    const struct mill_schema *input = &node->inputs[0]->schema;
    struct calc *c = heap_zalloc(context->heap, sizeof *c);

    if (c == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a projection");
        return NULL;
    }
    c->op = (struct op){.vtable = &calc_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    c->out_count = config->project_count;
    if (config->filter != NULL) {
        c->filter =
            program_new(context->heap, context->kernels, &config->filter, 1, input, context->error);
        if (c->filter == NULL)
            goto fail;
    }
    if (config->project != NULL) {
        c->project = program_new(context->heap, context->kernels, config->project,
                                 config->project_count, input, context->error);
        if (c->project == NULL)
            goto fail;
    }
    return &c->op;
fail:
    calc_close(&c->op);
    return NULL;
}
