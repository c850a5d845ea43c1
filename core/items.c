/* core/items.c - see items.h. */
#include "core/items.h"

#include <stdlib.h>

static void *arena_give(void *context, size_t bytes)
{
    return arena_alloc(context, bytes);
}

struct supply arena_supply(struct arena *arena)
{
    return (struct supply){arena_give, arena};
}

static void *make(struct supply supply, size_t bytes)
{
    return supply.alloc(supply.context, bytes);
}

static uint32_t get_u32(const char *at)
{
    uint32_t v;

    memcpy(&v, at, 4);
    return v;
}

static char *put_u32(char *to, uint32_t v)
{
    memcpy(to, &v, 4);
    return to + 4;
}

/* 0: of their own length. */
static uint32_t cell_width(const struct mill_type *type)
{
    return type_phys(type) == PHYS_VIEW ? 0 : type_width(type);
}

const struct mill_type *items_type(const struct mill_type *type, uint32_t list)
{
    static const struct mill_type number = {.kind = MILL_INT, .not_null = true};

    return list < type->field_count ? &type->fields[list].type : &number;
}

/* ---- reading ---- */

static uint32_t list_head(const struct items *it)
{
    return (it->count + 7) / 8 + (it->width == 0 ? it->count * 4 : 0);
}

struct items items_of(const struct mill_type *type, const struct mill_view *value, uint32_t list)
{
    const char *at = mill_view_data(value);
    struct items out = {.type = items_type(type, list), .count = get_u32(at)};

    at += 4;
    if (items_lists(type) == 2)
        at += 4 + (list == 1 ? get_u32(at) : 0);
    out.width = cell_width(out.type);
    out.valid = at;
    out.ends = at + (out.count + 7) / 8;
    out.cells = at + list_head(&out);
    return out;
}

struct cell items_cell(const struct items *it, uint32_t i)
{
    uint32_t begin = i * it->width, end = begin + it->width;

    if (((unsigned char)it->valid[i / 8] >> i % 8 & 1) == 0)
        return (struct cell){NULL, 0, true};
    if (it->width == 0) {
        begin = i > 0 ? get_u32(it->ends + (i - 1) * 4) : 0;
        end = get_u32(it->ends + i * 4);
    }
    return (struct cell){it->cells + begin, end - begin, false};
}

const char *row_field(const struct mill_type *type, const struct cell *row, uint32_t i,
                      const char *at, struct cell *out)
{
    uint32_t length = cell_width(&type->fields[i].type);

    if (at == NULL)
        at = row->bytes + (type->field_count + 7) / 8;
    *out = (struct cell){NULL, 0, true};
    if (((unsigned char)row->bytes[i / 8] >> i % 8 & 1) == 0)
        return at;
    if (length == 0) {
        length = get_u32(at);
        at += 4;
    }
    *out = (struct cell){at, length, false};
    return at + length;
}

/* ---- checking ---- */

static bool cell_valid(const struct mill_type *type, const char *bytes, size_t length);

static bool row_valid(const struct mill_type *type, const char *bytes, size_t length)
{
    size_t at = (type->field_count + 7) / 8;

    if (length < at)
        return false;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct mill_type *field = &type->fields[i].type;
        size_t width = cell_width(field);

        if (((unsigned char)bytes[i / 8] >> i % 8 & 1) == 0)
            continue;
        if (width == 0) {
            if (length - at < 4)
                return false;
            width = get_u32(bytes + at);
            at += 4;
        }
        if (length - at < width || !cell_valid(field, bytes + at, width))
            return false;
        at += width;
    }
    return at == length;
}

static bool cell_valid(const struct mill_type *type, const char *bytes, size_t length)
{
    if (type->kind == MILL_ROW)
        return row_valid(type, bytes, length);
    if (type->kind == MILL_BOOLEAN)
        return (unsigned char)bytes[0] <= 1;
    return !type_is_nested(type) || items_valid(type, bytes, length);
}

/* Whether a list fills [bytes, bytes + length). @keys: none is NULL, they ascend. */
static bool list_valid(const struct mill_type *type, uint32_t count, const char *bytes,
                       size_t length, bool keys)
{
    struct items it = {.type = type, .count = count, .width = cell_width(type), .valid = bytes};
    struct cell before = {0};
    size_t head = (count + 7ull) / 8, rest;
    uint32_t end = 0;

    if (length < head || (length - head) / (it.width == 0 ? 4 : it.width) < count)
        return false;
    it.ends = bytes + head;
    head += it.width == 0 ? 4ull * count : 0;
    it.cells = bytes + head;
    rest = length - head;
    for (uint32_t i = 0; it.width == 0 && i < count; i++) {
        const uint32_t next = get_u32(it.ends + 4ull * i);

        if (next < end || next > rest)
            return false;
        end = next;
    }
    if (rest != (it.width == 0 ? end : (size_t)count * it.width))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct cell cell = items_cell(&it, i);

        if (cell.null ? keys : !cell_valid(type, cell.bytes, cell.length))
            return false;
        if (keys && i > 0 && cell_compare(type, &before, &cell) >= 0)
            return false;
        before = cell;
    }
    return true;
}

bool items_valid(const struct mill_type *type, const char *bytes, size_t length)
{
    const uint32_t lists = items_lists(type);
    uint32_t count, first;

    if (length < 4 * lists || length > ITEMS_BYTES_MAX)
        return false;
    count = get_u32(bytes);
    if (lists == 1)
        return list_valid(items_type(type, 0), count, bytes + 4, length - 4, false);
    first = get_u32(bytes + 4);
    return first <= length - 8 && list_valid(items_type(type, 0), count, bytes + 8, first, true) &&
           list_valid(items_type(type, 1), count, bytes + 8 + first, length - 8 - first, false);
}

/* ---- order ---- */

static int compare_reals(double a, double b)
{
    int64_t x, y;

    if (a != a || b != b)
        return (a != a) - (b != b);
    memcpy(&x, &a, 8);
    memcpy(&y, &b, 8);
    x ^= (int64_t)((uint64_t)(x >> 63) >> 1); /* as integers that order like them */
    y ^= (int64_t)((uint64_t)(y >> 63) >> 1);
    return (x > y) - (x < y);
}

#define COMPARE(c_type)                                                                            \
    {                                                                                              \
        c_type x, y;                                                                               \
                                                                                                   \
        memcpy(&x, a->bytes, sizeof x);                                                            \
        memcpy(&y, b->bytes, sizeof y);                                                            \
        return (x > y) - (x < y);                                                                  \
    }
int cell_compare(const struct mill_type *type, const struct cell *a, const struct cell *b)
{
    uint32_t n;
    int c;

    if (a->null || b->null)
        return (int)b->null - (int)a->null;
    switch (type_phys(type)) {
    case PHYS_BOOL:
    case PHYS_I8: COMPARE(int8_t)
    case PHYS_I16: COMPARE(int16_t)
    case PHYS_I32: COMPARE(int32_t)
    case PHYS_I64: COMPARE(int64_t)
    case PHYS_I128: COMPARE(int128)
    case PHYS_F32: {
        float x, y;

        memcpy(&x, a->bytes, 4);
        memcpy(&y, b->bytes, 4);
        return compare_reals((double)x, (double)y);
    }
    case PHYS_F64: {
        double x, y;

        memcpy(&x, a->bytes, 8);
        memcpy(&y, b->bytes, 8);
        return compare_reals(x, y);
    }
    default: break;
    }
    n = min_u32(a->length, b->length);
    c = n > 0 ? memcmp(a->bytes, b->bytes, n) : 0;
    return c != 0 ? c : (a->length > b->length) - (a->length < b->length);
}

/* ---- writing ---- */

/* One form for NaN. */
static void write_cell(char *to, const struct mill_type *type, const struct cell *cell)
{
    memcpy(to, cell->bytes, cell->length);
    if (type->kind == MILL_FLOAT) {
        float v;

        memcpy(&v, to, 4);
        if (v != v)
            put_u32(to, 0x7fc00000);
    } else if (type->kind == MILL_DOUBLE) {
        const uint64_t nan = 0x7ff8000000000000;
        double v;

        memcpy(&v, to, 8);
        if (v != v)
            memcpy(to, &nan, 8);
    }
}

static uint64_t list_bytes(const struct mill_type *type, const struct cell *cells, uint32_t count)
{
    const uint32_t width = cell_width(type);
    uint64_t bytes = (count + 7ull) / 8 + (uint64_t)count * (width > 0 ? width : 4);

    for (uint32_t i = 0; width == 0 && i < count; i++)
        bytes += cells[i].null ? 0 : cells[i].length;
    return bytes;
}

static char *write_list(char *to, const struct mill_type *type, const struct cell *cells,
                        uint32_t count)
{
    const uint32_t width = cell_width(type);
    char *valid = to, *ends = to + (count + 7) / 8;
    char *next = ends + (width == 0 ? 4 * (size_t)count : 0);
    const char *begin = next;

    memset(valid, 0, (count + 7) / 8);
    for (uint32_t i = 0; i < count; i++) {
        if (!cells[i].null) {
            valid[i / 8] = (char)(valid[i / 8] | 1 << i % 8);
            write_cell(next, type, &cells[i]);
            next += cells[i].length;
        } else if (width > 0) {
            memset(next, 0, width);
            next += width;
        }
        if (width == 0)
            ends = put_u32(ends, (uint32_t)(next - begin));
    }
    return next;
}

struct mill_view items_make(struct supply supply, const struct mill_type *type,
                            const struct cell *first, const struct cell *second, uint32_t count)
{
    const bool pairs = items_lists(type) == 2;
    const uint64_t keys = list_bytes(items_type(type, 0), first, count);
    const uint64_t bytes =
        4 + keys + (pairs ? 4 + list_bytes(items_type(type, 1), second, count) : 0);
    char short_one[12], *value = short_one, *to;

    if (bytes > sizeof short_one)
        value = bytes <= ITEMS_BYTES_MAX ? make(supply, bytes) : NULL;
    if (value == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    to = put_u32(value, count);
    if (pairs)
        to = put_u32(to, (uint32_t)keys);
    to = write_list(to, items_type(type, 0), first, count);
    if (pairs)
        write_list(to, items_type(type, 1), second, count);
    return view_of(value, (uint32_t)bytes);
}

/* ---- keys in order ---- */

struct keyed {
    const struct mill_type *type;
    const struct cell *keys;
};

static int compare_keys(const void *a, const void *b, void *context)
{
    const struct keyed *k = context;
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const int c = cell_compare(k->type, &k->keys[x], &k->keys[y]);

    return c != 0 ? c : (x > y) - (x < y);
}

/* The numbers of two equal elements become one. */
static bool add_numbers(struct supply supply, const struct cell *into, struct cell *more)
{
    char *sum = make(supply, 4);

    if (sum == NULL)
        return false;
    put_u32(sum, get_u32(into->bytes) + get_u32(more->bytes));
    more->bytes = sum;
    return true;
}

uint32_t items_unite(struct supply supply, const struct mill_type *type, struct cell *keys,
                     struct cell *values, uint32_t count)
{
    struct keyed by = {items_type(type, 0), keys};
    uint32_t *order = make(supply, ((size_t)count + 1) * sizeof *order), n = 0;
    struct cell *copy = make(supply, 2 * ((size_t)count + 1) * sizeof *copy);

    if (order == NULL || copy == NULL)
        return UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, compare_keys, &by);
    for (uint32_t i = 0; i < count; i++) {
        struct cell *key = &copy[2 * n], value = values[order[i]];

        if (n > 0 && cell_compare(by.type, key - 2, &keys[order[i]]) == 0) {
            if (type->kind == MILL_MULTISET && !add_numbers(supply, key - 1, &value))
                return UINT32_MAX;
            key[-1] = value;
            continue;
        }
        key[0] = keys[order[i]];
        key[1] = value;
        n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = copy[2 * i];
        values[i] = copy[2 * i + 1];
    }
    return n;
}

/* ---- to and from columns ---- */

static bool row_cell(struct supply supply, const struct column *c, uint32_t row,
                     const struct mill_type *type, struct cell *out)
{
    struct cell *fields = make(supply, (type->field_count + 1) * sizeof *fields);
    const uint32_t head = (type->field_count + 7) / 8;
    uint64_t bytes = head;
    char *to;

    for (uint32_t i = 0; fields != NULL && i < type->field_count; i++) {
        const struct mill_type *field = &type->fields[i].type;

        fields[i] = (struct cell){NULL, 0, true}; /* also what nobody reads: it is not there */
        if (i < c->child_count && !cell_of(supply, &c->children[i], row, field, &fields[i]))
            return false;
        if (!fields[i].null)
            bytes += fields[i].length + (cell_width(field) == 0 ? 4u : 0);
    }
    to = fields != NULL && bytes <= ITEMS_BYTES_MAX ? make(supply, bytes) : NULL;
    if (to == NULL)
        return false;
    *out = (struct cell){to, (uint32_t)bytes, false};
    memset(to, 0, head);
    to += head;
    for (uint32_t i = 0; i < type->field_count; i++) {
        char *valid = (char *)(uintptr_t)out->bytes + i / 8;

        if (fields[i].null)
            continue;
        *valid = (char)(*valid | 1 << i % 8);
        if (cell_width(&type->fields[i].type) == 0)
            to = put_u32(to, fields[i].length);
        write_cell(to, &type->fields[i].type, &fields[i]);
        to += fields[i].length;
    }
    return true;
}

bool cell_of(struct supply supply, const struct column *c, uint32_t row,
             const struct mill_type *type, struct cell *out)
{
    const uint32_t r = c->constant ? 0 : row, width = cell_width(type);
    const struct mill_view *view;

    *out = (struct cell){NULL, 0, true};
    if (!column_valid(c, row) || (type->kind != MILL_ROW && c->values == NULL))
        return true;
    if (type->kind == MILL_ROW)
        return row_cell(supply, c, row, type, out);
    if (width > 0) {
        *out = (struct cell){(const char *)c->values + (size_t)r * width, width, false};
        return true;
    }
    view = (const struct mill_view *)c->values + r;
    *out = (struct cell){mill_view_data(view), view->length, false};
    return true;
}

static bool row_put(struct batch *to, struct column *into, uint32_t row,
                    const struct mill_type *type, const struct cell *cell, bool lasts)
{
    const char *at = NULL;

    for (uint32_t i = 0; i < type->field_count; i++) {
        struct cell field;

        at = row_field(type, cell, i, at, &field);
        if (i < into->child_count &&
            !cell_put(to, &into->children[i], row, &type->fields[i].type, &field, lasts))
            return false;
    }
    return true;
}

bool cell_put(struct batch *to, struct column *into, uint32_t row, const struct mill_type *type,
              const struct cell *cell, bool lasts)
{
    const uint32_t width = cell_width(type);

    if (cell->null)
        return column_put_null(to, into, row);
    if (type->kind == MILL_ROW)
        return row_put(to, into, row, type, cell, lasts);
    if (width > 0) {
        memcpy((char *)into->values + (size_t)row * width, cell->bytes, width);
        return true;
    }
    const struct mill_view view =
        lasts ? view_of(cell->bytes, cell->length) : batch_view(to, cell->bytes, cell->length);

    ((struct mill_view *)into->values)[row] = view;
    return view.length != UINT32_MAX;
}

/* ---- cells behind each other ---- */

char *cell_pack(char *to, const struct mill_type *type, const struct cell *cell)
{
    to = put_u32(to, cell->null ? UINT32_MAX : cell->length);
    if (cell->null)
        return to;
    write_cell(to, type, cell);
    return to + cell->length;
}

const char *cell_unpack(const char *from, struct cell *out)
{
    const uint32_t length = get_u32(from);

    *out = (struct cell){NULL, 0, true};
    if (length == UINT32_MAX)
        return from + 4;
    *out = (struct cell){from + 4, length, false};
    return from + 4 + length;
}
