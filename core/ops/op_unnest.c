/* core/ops/op_unnest.c - UNNEST: the elements of a row in order, behind each other. */
#include "core/items.h"
#include "core/ops/emit.h"
#include "core/ops/unnest.h"
#include "core/plan/physical.h"

struct unnest_op {
    struct op op;
    const struct phys_node *node;
    const struct mill_type *type; /* of the nested column */
    struct emitter emit;
    struct batch *batch; /* being taken: live row @next */
    uint32_t next;
    struct items first, second; /* of that row, if it is open */
    bool open;
    uint32_t item;   /* the next one */
    uint32_t copies; /* MULTISET: of it that have been given */
    uint32_t number; /* elements given of the row */
    uint32_t begun;  /* rows of emit.out whose own columns are filled */
    uint16_t rows[BATCH_ROWS_MAX];
};

/* Own columns of the results from @begun on, in one go each. */
static bool fill(struct unnest_op *x)
{
    const struct mill_schema *schema = &x->node->schema;
    struct batch *out = x->emit.out;

    for (uint32_t c = 0; c < x->node->unnest->own; c++)
        if (!column_gather(out, &out->columns[c], x->begun, &x->batch->columns[c], x->rows,
                           out->rows - x->begun, &schema->fields[c].type))
            return false;
    return true;
}

static enum op_progress hand_on(struct unnest_op *x, const struct step_time *t)
{
    if (x->emit.out == NULL)
        return OP_READY;
    if (!fill(x))
        return op_no_memory(&x->op, NULL);
    x->begun = 0;
    return emit_flush(&x->emit, t);
}

/* The columns of one element in row @r; NULL: of none. */
static bool put_element(struct unnest_op *x, uint32_t r, const struct cell *first,
                        const struct cell *second)
{
    const struct unnest_node *u = x->node->unnest;
    const struct mill_schema *schema = &x->node->schema;
    const struct mill_type *element = items_type(x->type, 0);
    const struct cell none = {NULL, 0, true};
    struct batch *out = x->emit.out;
    uint32_t c = u->own;
    const char *at = NULL;

    if (element->kind == MILL_ROW && x->type->kind != MILL_MAP) {
        for (uint32_t i = 0; i < element->field_count; i++, c++) {
            struct cell field = none;

            if (first != NULL && !first->null)
                at = row_field(element, first, i, at, &field);
            if (!cell_put(out, &out->columns[c], r, &schema->fields[c].type, &field, false))
                return false;
        }
    } else {
        if (!cell_put(out, &out->columns[c], r, element, first != NULL ? first : &none, false))
            return false;
        c++;
    }
    if (x->type->kind == MILL_MAP) {
        if (!cell_put(out, &out->columns[c], r, items_type(x->type, 1),
                      second != NULL ? second : &none, false))
            return false;
        c++;
    }
    if (!u->numbered)
        return true;
    if (first == NULL)
        return column_put_null(out, &out->columns[c], r);
    ((int32_t *)out->columns[c].values)[r] = (int32_t)x->number;
    return true;
}

/* Begins with the live row @next. */
static void open_row(struct unnest_op *x)
{
    const struct column *c = &x->batch->columns[x->node->unnest->column];
    const uint32_t row = batch_row(x->batch, x->next);
    const struct mill_view *value = (const struct mill_view *)c->values + (c->constant ? 0 : row);

    x->first = x->second = (struct items){0};
    if (column_valid(c, row) && c->values != NULL) {
        x->first = items_of(x->type, value, 0);
        x->second = items_of(x->type, value, items_lists(x->type) - 1);
    }
    x->open = true;
    x->item = x->copies = x->number = 0;
}

/* Whether item @item stands once more. */
static bool stands_again(struct unnest_op *x)
{
    int32_t times = 1;

    if (x->type->kind == MILL_MULTISET)
        memcpy(&times, items_cell(&x->second, x->item).bytes, 4);
    return (int32_t)++x->copies < times;
}

/* One result of the open row; false: no memory. */
static bool give(struct unnest_op *x, const struct cell *first, const struct cell *second)
{
    const uint32_t row = batch_row(x->batch, x->next);
    const int32_t r = emit_row(&x->emit, row, batch_kind(x->batch, row));

    if (r < 0)
        return false;
    x->number++;
    x->rows[(uint32_t)r - x->begun] = (uint16_t)row;
    if (put_element(x, (uint32_t)r, first, second))
        return true;
    op_no_memory(&x->op, NULL);
    return false;
}

static enum op_progress take_rows(struct unnest_op *x, const struct step_time *t)
{
    while (x->next < x->batch->live) {
        if (!x->open)
            open_row(x);
        if (emit_full(&x->emit)) {
            const enum op_progress p = hand_on(x, t);

            if (p != OP_READY)
                return p;
        }
        if (x->item < x->first.count) {
            const struct cell first = items_cell(&x->first, x->item);
            const struct cell second = items_cell(&x->second, x->item);

            if (!give(x, &first, &second))
                return OP_FAILED;
            if (!stands_again(x)) {
                x->item++;
                x->copies = 0;
            }
            if (x->item < x->first.count)
                continue;
        } else if (x->node->unnest->outer && !give(x, NULL, NULL)) {
            return OP_FAILED;
        }
        x->open = false;
        x->next++;
    }
    return OP_READY;
}

static enum op_progress take(struct unnest_op *x, const struct step_time *t)
{
    enum op_progress p;

    if (x->batch == NULL)
        return OP_READY;
    p = take_rows(x, t);
    if (p != OP_READY)
        return p;
    p = hand_on(x, t);
    x->op.counters.consumed += x->batch->live;
    batch_release(x->batch);
    x->batch = NULL;
    return p;
}

static enum op_progress unnest_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct unnest_op *x = (struct unnest_op *)op;
    enum op_progress p;

    op->counters.in += batch->live;
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    p = emit_cause(&x->emit, batch, port, t);
    x->batch = batch;
    x->next = 0;
    x->open = false;
    return p == OP_READY ? take(x, t) : p;
}

static enum op_progress unnest_resume(struct op *op, const struct step_time *t)
{
    return take((struct unnest_op *)op, t);
}

static void unnest_close(struct op *op)
{
    struct unnest_op *x = (struct unnest_op *)op;

    batch_release(x->batch);
    emit_close(&x->emit);
    heap_free(op->heap, x, sizeof *x);
}

static const struct op_vtable unnest_vtable = {.name = "unnest",
                                               .push = unnest_push,
                                               .resume = unnest_resume,
                                               .close = unnest_close};

struct op *op_unnest_new(struct op_context *context, const struct phys_node *node)
{
    struct unnest_op *x = heap_zalloc(context->heap, sizeof *x);

    if (x == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for UNNEST");
        return NULL;
    }
    x->op = (struct op){.vtable = &unnest_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    x->node = node;
    x->type = &node->inputs[0]->schema.fields[node->unnest->column].type;
    emit_open(&x->emit, &x->op, node);
    return &x->op;
}
