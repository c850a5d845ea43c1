/* core/ops/join_condition.c - when a pair of rows is true. */
#include "core/ops/join_condition.h"

#include "core/plan/physical.h"

#include <math.h>

static void mark_reads(const struct expr *e, bool *reads)
{
    if (e->kind == EXPR_COLUMN)
        reads[e->index] = true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        mark_reads(e->args[i], reads);
}

bool residual_open(struct residual *r, struct op *op, const struct phys_node *node)
{
    const struct mill_schema *left = &node->inputs[0]->schema, *right = &node->inputs[1]->schema;
    const uint32_t n = left->field_count + right->field_count;
    struct mill_field *fields = heap_alloc(op->heap, (n + 1) * sizeof *fields);
    struct expr *condition = node->join->residual;

    r->both = (struct mill_schema){n, fields};
    r->reads = heap_zalloc(op->heap, (n + 1) * sizeof *r->reads);
    if (fields == NULL || r->reads == NULL)
        return false;
    memcpy(fields, left->fields, left->field_count * sizeof *fields);
    memcpy(fields + left->field_count, right->fields, right->field_count * sizeof *fields);
    if (condition == NULL)
        return true;
    mark_reads(condition, r->reads);
    r->program =
        program_new(op->heap, op->context->kernels, &condition, 1, &r->both, op->context->error);
    return r->program != NULL;
}

void residual_close(struct residual *r, struct heap *heap)
{
    const uint32_t n = r->both.field_count + 1;

    program_free(r->program);
    heap_free(heap, (void *)r->both.fields, n * sizeof *r->both.fields);
    heap_free(heap, r->reads, n * sizeof *r->reads);
}

static bool is_nan(const struct column *c, enum phys phys, uint32_t row)
{
    const uint32_t r = c->constant ? 0 : row;

    if (phys == PHYS_F64)
        return isnan(((const double *)c->values)[r]);
    return phys == PHYS_F32 && isnan(((const float *)c->values)[r]);
}

bool join_equals_nothing(const struct phys_node *node, uint32_t side, const struct batch *batch,
                         uint32_t row)
{
    const struct mill_field *fields = node->inputs[side]->schema.fields;
    const struct join_node *join = node->join;

    for (uint32_t k = 0; k < join->key_count; k++) {
        const uint32_t column = join->keys[side][k];
        const struct column *c = &batch->columns[column];

        if (!join->null_safe[k] &&
            (!column_valid(c, row) || is_nan(c, type_phys(&fields[column].type), row)))
            return true;
    }
    return false;
}
