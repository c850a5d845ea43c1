/* io/json_nested.c - ARRAY, MAP and MULTISET columns in JSON: [a, b], {"key": value}, {"element": 2}.
 *
 * Each of their items is read as a member of an object is, into a column of one row, and kept as a cell until the value is whole.
 */
#include "io/json_quick.h"

#define CELLS_MIN 64u

/* The items of the member's type: members of their own, named after it, all wanted. False: no memory. */
bool json_items_new(struct arena *arena, struct json_member *m)
{
    struct json_object none = {0};

    if (!type_is_nested(m->type))
        return true;
    m->items = arena_array(arena, struct json_member, 2);
    for (uint32_t k = 0; m->items != NULL && k < items_lists(m->type); k++) {
        struct json_member *item = &m->items[k];

        item->name = item->path =
            arena_format(arena, k == 0 && m->type->kind != MILL_ARRAY ? "%s's key" : "%s[]",
                         m->path);
        item->type = items_type(m->type, k);
        if (item->path == NULL || !json_items_new(arena, item))
            return false;
        if (item->type->kind == MILL_ROW) {
            item->object =
                json_object_new(arena, item->type->fields, item->type->field_count, item->path);
            if (item->object == NULL)
                return false;
            json_want_all(item->object);
        }
        json_want_member(&none, item, true);
    }
    return m->items != NULL;
}

/* Columns of one row for the items of @m, of the batch at hand. */
bool json_own_items(struct json_reader *r, struct json_member *m)
{
    struct arena *arena = &r->out->bytes;

    for (uint32_t k = 0; m->items != NULL && k < items_lists(m->type); k++) {
        struct json_member *item = &m->items[k];

        item->column = arena_new(arena, struct column);
        if (item->column == NULL || !json_own_items(r, item))
            return false;
        if (item->object != NULL) {
            item->column->child_count = item->type->field_count;
            item->column->children = arena_array(arena, struct column, item->type->field_count);
            if (item->column->children == NULL ||
                !json_own_columns(r, item->object, item->column->children, true))
                return false;
            continue;
        }
        item->values = item->column->values = arena_zalloc(arena, 64);
        if (item->values == NULL)
            return false;
    }
    return true;
}

/* ---- reading ---- */

/* Cells that wait for the value to be whole: those of values around it lie before them. */
static struct cell *add_cell(struct json_reader *r)
{
    if (r->cell_count == r->cell_room) {
        const uint32_t room = max_u32(CELLS_MIN, r->cell_room * 2);
        struct cell *cells = heap_grow(r->heap, r->cells, r->cell_room * sizeof *cells,
                                       (size_t)room * sizeof *cells);

        if (cells == NULL) {
            r->no_memory = true;
            return NULL;
        }
        r->cells = cells;
        r->cell_room = room;
    }
    return &r->cells[r->cell_count++];
}

/* The item at @p behind the other cells. Returns behind it; NULL: the line is broken, or no memory. */
static const char *read_item(struct json_reader *r, struct json_member *item, const char *p)
{
    struct cell cell, *to;
    const char *end;
    char *copy;

    if (item->column->validity != NULL)
        item->column->validity[0] |= 1;
    if (item->object != NULL)
        json_forget_row(item->object, 0);
    end = quick_value(r, item, p, 0);
    if (end == NULL)
        end = item->way == WAY_ROW ? json_row(r, item, p, 0) : json_value(r, item, p, 0);
    if (end == NULL)
        return NULL;
    if (r->conflict != NULL) /* what stands in the column is no value */
        return end;
    to = cell_of(arena_supply(&r->item_bytes), item->column, 0, item->type, &cell) ? add_cell(r)
                                                                                   : NULL;
    if (to == NULL) {
        r->no_memory = true;
        return NULL;
    }
    if (!cell.null && item->type->kind != MILL_ROW) { /* the next one takes its place */
        copy = arena_alloc(&r->item_bytes, cell.length + 1);
        if (copy == NULL) {
            r->no_memory = true;
            return NULL;
        }
        memcpy(copy, cell.bytes, cell.length);
        cell.bytes = copy;
    }
    *to = cell;
    return end;
}

/* A key and its value, or an element. */
static const char *read_entry(struct json_reader *r, struct json_member *m, const char *p)
{
    if (m->type->kind == MILL_ARRAY)
        return read_item(r, &m->items[0], p);
    if (*p != '"')
        return json_broken(r, p, "a member's name in quotes is missing");
    p = read_item(r, &m->items[0], p);
    if (p == NULL)
        return NULL;
    p = json_space(p);
    if (*p != ':')
        return json_broken(r, p, "a colon is missing behind a member's name");
    return read_item(r, &m->items[1], json_space(p + 1));
}

/* The entries from behind the bracket at @p on; behind the closing one. */
static const char *read_entries(struct json_reader *r, struct json_member *m, const char *p,
                                char close)
{
    p = json_space(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        p = read_entry(r, m, p);
        if (p == NULL)
            return NULL;
        p = json_space(p);
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return json_broken(r, p,
                               close == ']' ? "a comma or ] is missing behind an element"
                                            : "a comma or } is missing behind a value");
        p = json_space(p + 1);
    }
}

/* Cells from @first on as a value in the member's column. */
static void make_value(struct json_reader *r, struct json_member *m, uint32_t first, uint32_t row)
{
    const bool pairs = items_lists(m->type) == 2;
    uint32_t n = (r->cell_count - first) / (pairs ? 2 : 1);
    struct cell *keys = n > 0 ? r->cells + first : NULL, *values = NULL;
    struct mill_view *to = (struct mill_view *)m->column->values + row;

    if (pairs) {
        keys = arena_alloc(&r->item_bytes, 2 * ((size_t)n + 1) * sizeof *keys);
        values = keys != NULL ? keys + n : NULL;
        for (uint32_t i = 0; keys != NULL && i < n; i++) {
            keys[i] = r->cells[first + 2 * i];
            values[i] = r->cells[first + 2 * i + 1];
        }
        n = keys != NULL ? items_unite(arena_supply(&r->item_bytes), m->type, keys, values, n)
                         : UINT32_MAX;
    }
    *to = (struct mill_view){.length = UINT32_MAX};
    if (n != UINT32_MAX)
        *to = items_make(arena_supply(&r->out->bytes), m->type, keys, values, n);
    r->no_memory = r->no_memory || to->length == UINT32_MAX;
}

const char *json_nested(struct json_reader *r, struct json_member *m, const char *p, uint32_t row)
{
    const char open = m->type->kind == MILL_ARRAY ? '[' : '{';
    const uint32_t first = r->cell_count;
    const char *end;

    if (*p != open) {
        end = json_skip(r, p);
        if (end != NULL)
            json_conflict(r, m, p, (uint32_t)(end - p), NULL, row);
        return end;
    }
    if (r->depth == JSON_DEPTH_MAX)
        return json_broken(r, p, "objects and arrays are nested deeper than 64");
    r->depth++;
    end = read_entries(r, m, p, (char)(open + 2));
    r->depth--;
    if (end != NULL && r->conflict == NULL)
        make_value(r, m, first, row);
    else
        ((struct mill_view *)m->column->values)[row] = (struct mill_view){0};
    r->cell_count = first;
    if (first == 0)
        arena_reset(&r->item_bytes);
    return r->no_memory ? NULL : end;
}

/* ---- writing ---- */

/* The items of one list as a column of one row, one after the other. */
struct list_writer {
    struct items items;
    struct column column;
};

static bool list_begin(struct list_writer *w, struct batch *room, const struct mill_type *type,
                       const struct mill_view *value, uint32_t list)
{
    w->items = items_of(type, value, list);
    return column_own(room, &w->column, w->items.type);
}

static void forget_nulls(struct column *c)
{
    if (c->validity != NULL)
        c->validity[0] |= 1;
    for (uint32_t i = 0; i < c->child_count; i++)
        forget_nulls(&c->children[i]);
}

static bool list_item(struct list_writer *w, struct batch *room, uint32_t i)
{
    const struct cell cell = items_cell(&w->items, i);

    forget_nulls(&w->column);
    return cell_put(room, &w->column, 0, w->items.type, &cell, true);
}

void json_put_nested(struct text_buffer *to, const struct mill_type *type,
                     const struct mill_view *value, const struct json_options *o)
{
    const bool pairs = items_lists(type) == 2;
    struct list_writer first, second;
    bool ok = list_begin(&first, o->room, type, value, 0) &&
              (!pairs || list_begin(&second, o->room, type, value, 1));

    text_put(to, pairs ? "{" : "[", 1);
    for (uint32_t i = 0; ok && i < first.items.count; i++) {
        text_put(to, ",", i > 0);
        ok = list_item(&first, o->room, i) && (!pairs || list_item(&second, o->room, i));
        if (!ok)
            break;
        json_put_value(to, &first.column, first.items.type, 0, o);
        if (!pairs)
            continue;
        text_put(to, ":", 1);
        json_put_value(to, &second.column, second.items.type, 0, o);
    }
    text_put(to, pairs ? "}" : "]", 1);
    to->failed = to->failed || !ok;
}
