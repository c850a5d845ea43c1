/* core/expr/user.c - functions of libraries: values (eval.c gathers the arguments), and rows of table functions as arrays. */
#include "core/expr/user.h"

#include "core/expr/work.h"

/* ---- calls ---- */

struct expr *expr_user_array(struct expr_session *s, struct expr *call)
{
    struct mill_field *element = arena_new(s->arena, struct mill_field);

    *element = (struct mill_field){"element", call->user->result_type};
    if (element->type.kind == MILL_ROW)
        element->type.not_null = true;
    call->type = (struct mill_type){.kind = MILL_ARRAY,
                                    .not_null = true,
                                    .field_count = 1,
                                    .fields = element};
    return call;
}

/* ---- rows of a table function ---- */

struct emission {
    struct work work;
    const struct expr *call;
    struct column *out;
    uint32_t count, row; /* rows asked for; the one at hand, of them */
    bool failed;         /* a row that was not asked for, or out of turn */
};

static uint32_t row_at(const struct eval *e, uint32_t i)
{
    return e->rows != NULL ? e->rows[i] : i;
}

/* The array of the row at hand, and of those up to @row, for which there is nothing. */
static void finish_until(struct emission *m, uint32_t row)
{
    for (; m->row < row; m->row++) {
        struct list *l = &m->work.lists[0];
        struct eval *e = m->work.e;

        RESULT(struct mill_view, m->out)
        [row_at(e, m->row)] =
            items_make(arena_supply(&e->batch->bytes), &m->call->type, l->cells, NULL, l->count);
        if (RESULT(struct mill_view, m->out)[row_at(e, m->row)].length == UINT32_MAX)
            eval_no_memory(e);
        l->count = 0;
        arena_reset(&m->work.bytes);
    }
}

/* The values as an item of the result's type, with bytes of its own. */
static bool item_of(struct emission *m, const void *const *values, struct cell *out)
{
    static uint64_t nothing = 0;
    const struct mill_type *type = &m->call->user->result_type;
    const uint32_t n = type->kind == MILL_ROW ? type->field_count : 1;
    struct column *columns = arena_array(&m->work.bytes, struct column, n);
    struct column row = {.children = columns, .child_count = n};
    char *copy;

    for (uint32_t i = 0; columns != NULL && i < n; i++)
        columns[i] = (struct column){.values = (void *)(uintptr_t)values[i],
                                     .validity = values[i] == NULL ? &nothing : NULL};
    if (columns == NULL || !cell_of(arena_supply(&m->work.bytes),
                                    type->kind == MILL_ROW ? &row : columns, 0, type, out))
        return false;
    if (out->null || type->kind == MILL_ROW)
        return true;
    copy = arena_alloc(&m->work.bytes, out->length + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, out->bytes, out->length);
    out->bytes = copy;
    return true;
}

static int emit_row(void *context, uint32_t row, const void *const *values)
{
    struct emission *m = context;
    struct cell cell;

    if (row >= m->count || row < m->row || values == NULL) {
        m->failed = true;
        return MILL_E_ARGUMENT;
    }
    finish_until(m, row);
    if (m->work.e->code == MILL_OK && !item_of(m, values, &cell))
        eval_no_memory(m->work.e);
    return m->work.e->code == MILL_OK && work_add(&m->work, 0, &cell) ? MILL_OK : MILL_E_MEMORY;
}

void eval_table_function(struct eval *e, const struct expr *x, const struct mill_column *args,
                         struct column *out)
{
    struct emission m = {.call = x, .out = out, .count = e->count};
    const struct mill_emit emit = {&m, emit_row};
    int code;

    work_open(&m.work, e);
    code = x->user->rows(args, e->count, &emit);
    if (e->code == MILL_OK && m.failed)
        e->code = mill_fail(e->error, MILL_E_DATA, x->line, x->column,
                            "the table function %s gave a row for none of its rows, or out of "
                            "their order",
                            x->user->name);
    else if (e->code == MILL_OK && code != 0)
        e->code = mill_fail(e->error, MILL_E_DATA, x->line, x->column,
                            "the table function %s reported a failure", x->user->name);
    if (e->code == MILL_OK)
        finish_until(&m, e->count);
    work_close(&m.work);
}
