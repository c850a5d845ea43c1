/* core/expr/work.c - see work.h. */
#include "core/expr/work.h"

void work_open(struct work *w, struct eval *e)
{
    *w = (struct work){.e = e};
    arena_open(&w->bytes, e->heap);
}

void work_close(struct work *w)
{
    for (uint32_t i = 0; i < COUNT_OF(w->lists); i++)
        heap_free(w->e->heap, w->lists[i].cells, w->lists[i].room * sizeof(struct cell));
    arena_close(&w->bytes);
}

struct cell *work_room(struct work *w, uint32_t k, uint32_t more)
{
    struct list *l = &w->lists[k];

    if (l->cells == NULL || l->room - l->count < more) {
        const uint32_t room = max_u32(l->count + more, max_u32(64, l->room * 2));
        struct cell *cells =
            heap_grow(w->e->heap, l->cells, l->room * sizeof *cells, (size_t)room * sizeof *cells);

        if (cells == NULL) {
            eval_no_memory(w->e);
            return NULL;
        }
        l->cells = cells;
        l->room = room;
    }
    return l->cells + l->count;
}

bool work_add(struct work *w, uint32_t k, const struct cell *cell)
{
    struct cell *to = work_room(w, k, 1);

    if (to == NULL)
        return false;
    *to = *cell;
    w->lists[k].count++;
    return true;
}

bool work_add_items(struct work *w, uint32_t k, const struct items *it)
{
    struct cell *to = work_room(w, k, it->count);

    for (uint32_t i = 0; to != NULL && i < it->count; i++)
        to[i] = items_cell(it, i);
    w->lists[k].count += to != NULL ? it->count : 0;
    return to != NULL;
}

bool work_load(struct work *w, uint32_t k, const struct column *args, uint32_t a, uint32_t row,
               uint32_t list)
{
    const struct items it = items_of(&w->e->where->args[a]->type, TEXT(&args[a], row), list);

    w->lists[k].count = 0;
    return work_add_items(w, k, &it);
}

struct items work_items(const struct eval *e, const struct column *args, uint32_t a, uint32_t row)
{
    return items_of(&e->where->args[a]->type, TEXT(&args[a], row), 0);
}

bool work_cell(struct work *w, const struct column *args, uint32_t a, uint32_t row,
               struct cell *out)
{
    if (cell_of(arena_supply(&w->bytes), &args[a], row, &w->e->where->args[a]->type, out))
        return true;
    eval_no_memory(w->e);
    return false;
}

void work_give(struct work *w, struct column *out, uint32_t row, const struct cell *first,
               const struct cell *second, uint32_t count)
{
    struct eval *e = w->e;
    struct mill_view value = {.length = UINT32_MAX};

    if (e->code == MILL_OK)
        value = items_make(arena_supply(&e->batch->bytes), &e->where->type, first, second, count);
    if (value.length == UINT32_MAX) {
        eval_no_memory(e);
        eval_null(e, out, row);
        return;
    }
    RESULT(struct mill_view, out)[row] = value;
    arena_reset(&w->bytes);
}

void work_give_cell(struct eval *e, struct column *out, uint32_t row, const struct cell *cell)
{
    if (!cell_put(e->batch, out, row, &e->where->type, cell, true))
        eval_no_memory(e);
}

/* ---- for resolve ---- */

struct mill_type nested_type(struct call *c, enum mill_kind kind, const struct mill_type *a,
                             const struct mill_type *b)
{
    const uint32_t n = b != NULL ? 2 : 1;
    struct mill_field *fields = arena_array(c->session->arena, struct mill_field, n);

    fields[0] = (struct mill_field){n == 2 ? "key" : "element", *a};
    if (b != NULL)
        fields[1] = (struct mill_field){"value", *b};
    return (struct mill_type){.kind = (uint8_t)kind, .field_count = n, .fields = fields};
}

struct mill_type nested_item_type(const struct mill_type *type)
{
    struct mill_type out = type->kind == MILL_CHAR ? type_string() : *type;

    out.not_null = type->not_null;
    return out;
}

bool array_element(struct call *c)
{
    if (!is_array(c, 0))
        return false;
    c->result = *items_type(arg_type(c, 0), 0);
    c->result.not_null = false;
    return true;
}
