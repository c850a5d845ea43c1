/* core/nested_values.c - ARRAY, MAP and MULTISET of the public interface: to columns and back. */
#include "core/error.h"
#include "core/items.h"

typedef void *(*allocate)(void *context, size_t bytes);

static bool put_cells(const struct mill_type *type, const struct cell *cells, uint32_t count,
                      struct supply supply, struct mill_column *out);

static bool put_fields(const struct mill_type *type, const struct cell *rows, uint32_t count,
                       struct supply supply, struct mill_column *out)
{
    struct mill_column *children =
        supply.alloc(supply.context, (type->field_count + 1) * sizeof *children);
    struct cell *cells = supply.alloc(supply.context, ((size_t)count + 1) * sizeof *cells);
    const char **at = supply.alloc(supply.context, ((size_t)count + 1) * sizeof *at);

    if (children == NULL || cells == NULL || at == NULL)
        return false;
    memset(at, 0, count * sizeof *at);
    for (uint32_t f = 0; f < type->field_count; f++) {
        for (uint32_t i = 0; i < count; i++) {
            cells[i] = (struct cell){NULL, 0, true};
            if (!rows[i].null)
                at[i] = row_field(type, &rows[i], f, at[i], &cells[i]);
        }
        if (!put_cells(&type->fields[f].type, cells, count, supply, &children[f]))
            return false;
    }
    out->children = children;
    return true;
}

static bool put_cells(const struct mill_type *type, const struct cell *cells, uint32_t count,
                      struct supply supply, struct mill_column *out)
{
    const size_t words = ((size_t)count + 63) / 64;
    const uint32_t width = type_width(type);
    uint64_t *validity = supply.alloc(supply.context, (words + 1) * 8);
    char *values;

    *out = (struct mill_column){.validity = validity};
    if (validity == NULL)
        return false;
    memset(validity, 0, words * 8);
    for (uint32_t i = 0; i < count; i++)
        if (!cells[i].null)
            validity[i / 64] |= 1ull << i % 64;
    if (type->kind == MILL_ROW)
        return put_fields(type, cells, count, supply, out);
    out->values = values = supply.alloc(supply.context, ((size_t)count + 1) * width);
    if (values == NULL)
        return false;
    memset(values, 0, (size_t)count * width);
    for (uint32_t i = 0; i < count; i++) {
        struct mill_view view = {0};

        if (!cells[i].null && type_phys(type) == PHYS_VIEW)
            view = view_of(cells[i].bytes, cells[i].length);
        if (type_phys(type) == PHYS_VIEW)
            memcpy(values + (size_t)i * width, &view, width);
        else if (!cells[i].null)
            memcpy(values + (size_t)i * width, cells[i].bytes, width);
    }
    return true;
}

static int to_columns(const struct mill_type *type, const struct mill_view *value,
                      struct supply supply, struct mill_items *out)
{
    *out = (struct mill_items){.count = items_count(value)};
    for (uint32_t k = 0; k < items_lists(type); k++) {
        const struct items it = items_of(type, value, k);
        struct cell *cells = supply.alloc(supply.context, ((size_t)it.count + 1) * sizeof *cells);

        for (uint32_t i = 0; cells != NULL && i < it.count; i++)
            cells[i] = items_cell(&it, i);
        if (cells == NULL ||
            !put_cells(it.type, cells, it.count, supply, k == 0 ? &out->first : &out->second))
            return MILL_E_MEMORY;
    }
    return MILL_OK;
}

/* A public column as one of ours. */
static bool column_from(const struct mill_column *c, const struct mill_type *type,
                        struct supply supply, struct column *out)
{
    *out = (struct column){.values = (void *)(uintptr_t)c->values,
                           .validity = (uint64_t *)(uintptr_t)c->validity};
    if (type->kind != MILL_ROW)
        return true;
    out->child_count = type->field_count;
    out->children = supply.alloc(supply.context, (type->field_count + 1) * sizeof *out->children);
    for (uint32_t i = 0; out->children != NULL && i < type->field_count; i++)
        if (!column_from(&c->children[i], &type->fields[i].type, supply, &out->children[i]))
            return false;
    return out->children != NULL;
}

static struct cell *cells_from(const struct mill_column *c, uint32_t count,
                               const struct mill_type *type, struct supply supply)
{
    struct cell *cells = supply.alloc(supply.context, ((size_t)count + 1) * sizeof *cells);
    struct column column;

    if (cells == NULL || !column_from(c, type, supply, &column))
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!cell_of(supply, &column, i, type, &cells[i]))
            return NULL;
    return cells;
}

static int from_columns(const struct mill_type *type, const struct mill_items *items,
                        struct supply supply, struct mill_view *out)
{
    const bool pairs = items_lists(type) == 2;
    struct cell *first = cells_from(&items->first, items->count, items_type(type, 0), supply);
    struct cell *second =
        pairs ? cells_from(&items->second, items->count, items_type(type, 1), supply) : NULL;
    uint32_t n = items->count;

    if (first == NULL || (pairs && second == NULL))
        return MILL_E_MEMORY;
    for (uint32_t i = 0; pairs && i < n; i++)
        if (first[i].null || (type->kind == MILL_MULTISET && second[i].null))
            return MILL_E_DATA;
    if (pairs)
        n = items_unite(supply, type, first, second, n);
    if (n == UINT32_MAX)
        return MILL_E_MEMORY;
    *out = items_make(supply, type, first, second, n);
    return out->length == UINT32_MAX ? MILL_E_MEMORY : MILL_OK;
}

int mill_items(const struct mill_type *type, const struct mill_view *value, allocate alloc,
               void *context, struct mill_items *out)
{
    if (type == NULL || value == NULL || alloc == NULL || out == NULL || !type_is_nested(type))
        return MILL_E_ARGUMENT;
    return to_columns(type, value, (struct supply){alloc, context}, out);
}

int mill_items_value(const struct mill_type *type, const struct mill_items *items, allocate alloc,
                     void *context, struct mill_view *out)
{
    if (type == NULL || items == NULL || alloc == NULL || out == NULL || !type_is_nested(type))
        return MILL_E_ARGUMENT;
    return from_columns(type, items, (struct supply){alloc, context}, out);
}
