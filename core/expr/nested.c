/* core/expr/nested.c - ARRAY, MAP and MULTISET as text, and casts of them. */
#include "core/expr/functions.h"

#define CAST_ROWS 256u /* items cast at a time */

/* ---- as text ---- */

struct texter {
    const struct zone *zone;
    char *to;
    size_t used, room; /* used + 64 < room while there is room for one more plain value */
};

static void put(struct texter *t, const char *text, size_t bytes)
{
    const size_t n = min_u64(bytes, t->room - t->used);

    memcpy(t->to + t->used, text, n);
    t->used += n;
}

static void put_cell(struct texter *t, const struct mill_type *type, const struct cell *cell)
{
    uint8_t value[16] __attribute__((aligned(16)));
    struct mill_view view;
    struct column c = {.values = value, .constant = true};
    const char *at = NULL;

    if (t->used + 64 >= t->room)
        return;
    if (cell->null) {
        put(t, "NULL", 4);
    } else if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++) {
            struct cell field;

            at = row_field(type, cell, i, at, &field);
            put(t, i == 0 ? "(" : ", ", i == 0 ? 1 : 2);
            put_cell(t, &type->fields[i].type, &field);
        }
        put(t, ")", 1);
    } else if (type_phys(type) == PHYS_VIEW) {
        view = view_of(cell->bytes, cell->length);
        c.values = &view;
        t->used += value_text_in(&c, type, 0, t->zone, t->to + t->used, t->room - t->used);
    } else {
        memcpy(value, cell->bytes, cell->length);
        t->used += value_text_in(&c, type, 0, t->zone, t->to + t->used, t->room - t->used);
    }
}

size_t nested_text(const struct mill_type *type, const struct mill_view *value,
                   const struct zone *zone, char *to, size_t room)
{
    const bool pairs = items_lists(type) == 2;
    const struct items first = items_of(type, value, 0), second = items_of(type, value, pairs);
    struct texter t = {zone, to, 0, room};

    put(&t, pairs ? "{" : "[", 1);
    for (uint32_t i = 0; i < first.count && t.used + 64 < room; i++) {
        struct cell cell = items_cell(&first, i);

        if (i > 0)
            put(&t, ", ", 2);
        put_cell(&t, first.type, &cell);
        if (!pairs)
            continue;
        put(&t, "=", 1);
        cell = items_cell(&second, i);
        put_cell(&t, second.type, &cell);
    }
    put(&t, pairs ? "}" : "]", 1);
    return t.used;
}

/* ---- casts ---- */

bool nested_cast_allowed(const struct mill_type *from, const struct mill_type *to)
{
    if (type_is_text(to))
        return true;
    if (from->kind != to->kind)
        return false;
    for (uint32_t i = 0; i < from->field_count; i++)
        if (!cast_allowed(&from->fields[i].type, &to->fields[i].type))
            return false;
    return true;
}

/* A value's items on their way from one type to another, CAST_ROWS at a time. */
struct item_cast {
    struct eval *e;
    struct eval inner;
    struct batch *batch; /* of the items at hand: columns from, to */
    struct arena bytes;  /* of one value's new items */
    bool try_cast;
};

static bool cast_some(struct item_cast *c, const struct items *it, uint32_t first, uint32_t count,
                      const struct mill_type *to, struct cell *out)
{
    struct column *columns = c->batch->columns;

    if (!column_own(c->batch, &columns[0], it->type) || !column_own(c->batch, &columns[1], to))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct cell cell = items_cell(it, first + i);

        if (!cell_put(c->batch, &columns[0], i, it->type, &cell, true))
            return false;
    }
    c->batch->rows = c->batch->live = count;
    c->inner.count = count;
    cast_column(&c->inner, &columns[0], it->type, &columns[1], to, c->try_cast);
    for (uint32_t i = 0; i < count && c->inner.code == MILL_OK; i++)
        if (c->inner.reason[0] != '\0') /* the value is none */
            out[i] = (struct cell){NULL, 0, true};
        else if (!cell_of(arena_supply(&c->batch->bytes), &columns[1], i, to, &out[i]))
            return false;
    return c->inner.code == MILL_OK;
}

/* The items of a list as @to; NULL: no memory. */
static struct cell *cast_list(struct item_cast *c, const struct items *it,
                              const struct mill_type *to)
{
    struct cell *out = arena_alloc(&c->bytes, ((size_t)it->count + 1) * sizeof *out);

    for (uint32_t i = 0; out != NULL && i < it->count; i += CAST_ROWS) {
        const uint32_t n = min_u32(CAST_ROWS, it->count - i);

        batch_reset(c->batch, 2);
        if (c->batch->columns == NULL || !cast_some(c, it, i, n, to, out + i))
            return NULL;
        for (uint32_t k = i; k < i + n; k++) { /* the next ones take their place */
            char *copy = out[k].null ? NULL : arena_alloc(&c->bytes, out[k].length + 1);

            if (out[k].null)
                continue;
            if (copy == NULL)
                return NULL;
            memcpy(copy, out[k].bytes, out[k].length);
            out[k].bytes = copy;
        }
    }
    return out;
}

static void cast_value(struct item_cast *c, const struct column *from,
                       const struct mill_type *from_type, struct column *out,
                       const struct mill_type *to, uint32_t row)
{
    const bool pairs = items_lists(to) == 2;
    const struct mill_view *value = TEXT(from, row);
    const struct items first = items_of(from_type, value, 0),
                       second = items_of(from_type, value, pairs);
    struct cell *keys, *values = NULL;
    uint32_t n = first.count;

    arena_reset(&c->bytes);
    c->inner.reason[0] = '\0';
    keys = cast_list(c, &first, items_type(to, 0));
    if (pairs && keys != NULL)
        values = cast_list(c, &second, items_type(to, 1));
    if (keys == NULL || (pairs && values == NULL)) {
        eval_no_memory(c->e);
        return;
    }
    if (c->inner.reason[0] != '\0') {
        eval_bad(c->e, row, c->inner.reason);
        eval_null(c->e, out, row);
        return;
    }
    for (uint32_t i = 0; pairs && i < n; i++)
        if (keys[i].null) { /* TRY_CAST: no key any more */
            eval_null(c->e, out, row);
            return;
        }
    if (pairs)
        n = items_unite(arena_supply(&c->bytes), to, keys, values, n);
    if (n != UINT32_MAX)
        RESULT(struct mill_view, out)
    [row] = items_make(arena_supply(&c->e->batch->bytes), to, keys, values, n);
    if (n == UINT32_MAX || RESULT(struct mill_view, out)[row].length == UINT32_MAX)
        eval_no_memory(c->e);
}

void cast_nested(struct eval *e, const struct column *from, const struct mill_type *from_type,
                 struct column *out, const struct mill_type *to, bool try_cast)
{
    struct item_cast c = {.e = e, .inner = *e, .try_cast = try_cast};

    c.batch = batch_new(e->heap, CAST_ROWS, 2);
    if (c.batch == NULL) {
        eval_no_memory(e);
        return;
    }
    arena_open(&c.bytes, e->heap);
    c.inner.batch = c.batch;
    c.inner.rows = NULL;
    c.inner.once = true; /* what fails is one value for us */
    FOR_ROWS(e, row)
    {
        if (e->code != MILL_OK)
            break;
        if (!column_valid(from, row))
            eval_null(e, out, row);
        else
            cast_value(&c, from, from_type, out, to, row);
    }
    arena_close(&c.bytes);
    batch_free(c.batch);
}
