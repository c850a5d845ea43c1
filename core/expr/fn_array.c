/* core/expr/fn_array.c - functions of ARRAY, as Flink's manual has them ("Collection Functions").
 *
 * What makes one array of another loads its elements as cells (work.h), changes their list, and gives that.
 */
#include "core/expr/work.h"

#include <stdlib.h>

static bool cell_same(const struct mill_type *type, const struct cell *a, const struct cell *b)
{
    return cell_compare(type, a, b) == 0;
}

/* ---- types ---- */

/* An array, and a value of its elements' type. */
static bool array_and_item(struct call *c)
{
    struct mill_type item;

    if (!is_array(c, 0))
        return false;
    item = *items_type(arg_type(c, 0), 0);
    item.not_null = false;
    return resolve_cast(c, 1, &item);
}

static bool resolve_contains(struct call *c)
{
    return array_and_item(c) && returns(c, MILL_BOOLEAN);
}

static bool resolve_position(struct call *c)
{
    return array_and_item(c) && returns(c, MILL_INT);
}

/* The result is of the array's type, its elements may be NULL. */
static bool resolve_change(struct call *c)
{
    struct mill_type item;

    if (!array_and_item(c))
        return false;
    item = *items_type(arg_type(c, 0), 0);
    item.not_null = item.not_null && arg_type(c, 1)->not_null;
    c->result = nested_type(c, MILL_ARRAY, &item, NULL);
    return true;
}

/* Arrays of one type. */
static bool resolve_arrays(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (!is_array(c, i))
            return false;
        if (i > 0 && !resolve_cast(c, i, arg_type(c, 0)))
            return false;
    }
    c->result = *arg_type(c, 0);
    return true;
}

static bool resolve_slice(struct call *c)
{
    if (!is_array(c, 0) || !resolve_int(c, 1) || (c->count > 2 && !resolve_int(c, 2)))
        return false;
    c->result = *arg_type(c, 0);
    return true;
}

static bool resolve_array_sort(struct call *c)
{
    const struct mill_type flag = type_make(MILL_BOOLEAN);

    if (!is_array(c, 0) || type_is_nested(items_type(arg_type(c, 0), 0)))
        return false;
    for (uint32_t i = 1; i < c->count; i++)
        if ((arg_type(c, i)->kind != MILL_BOOLEAN && !arg_is_null(c, i)) ||
            !resolve_cast(c, i, &flag))
            return false;
    c->result = *arg_type(c, 0);
    return items_type(arg_type(c, 0), 0)->kind != MILL_ROW;
}

static bool resolve_extreme(struct call *c)
{
    return array_element(c) && type_orders(&c->result) && c->result.kind != MILL_BOOLEAN;
}

static bool resolve_join(struct call *c)
{
    if (!is_array(c, 0) || !type_is_text(items_type(arg_type(c, 0), 0)))
        return false;
    for (uint32_t i = 1; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    c->result = type_string();
    return true;
}

/* ---- looking ---- */

/* From 1; 0: nowhere. The array is not NULL. */
static uint32_t position(struct work *w, const struct column *args, uint32_t row)
{
    const struct items it = work_items(w->e, args, 0, row);
    struct cell needle;

    if (!work_cell(w, args, 1, row, &needle))
        return 0;
    for (uint32_t i = 0; i < it.count; i++) {
        const struct cell cell = items_cell(&it, i);

        if (cell_same(it.type, &cell, &needle))
            return i + 1;
    }
    return 0;
}

/* A NULL needle is looked for as any value. */
EVAL(contains)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        if (!column_valid(&args[0], row))
            eval_null(e, out, row);
        else
            RESULT(uint8_t, out)[row] = position(&w, args, row) > 0;
        arena_reset(&w.bytes);
    }
    work_close(&w);
}

EVAL(array_position)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        RESULT(int32_t, out)[row] = (int32_t)position(&w, args, row);
        arena_reset(&w.bytes);
    }
    work_close(&w);
}

static void extreme(struct eval *e, const struct column *args, struct column *out, int sign)
{
    FOR_ROWS(e, row)
    {
        const struct items it = work_items(e, args, 0, row);
        struct cell best = {NULL, 0, true};

        for (uint32_t i = 0; i < it.count; i++) {
            const struct cell cell = items_cell(&it, i);

            if (!cell.null && (best.null || sign * cell_compare(it.type, &cell, &best) > 0))
                best = cell;
        }
        work_give_cell(e, out, row, &best);
    }
}

EVAL(array_max)
{
    (void)count;
    extreme(e, args, out, 1);
}

EVAL(array_min)
{
    (void)count;
    extreme(e, args, out, -1);
}

/* ---- changing ---- */

/* One of these for each row that has an array: list 0 holds its elements, and what it leaves there is the result. */
typedef void (*change)(struct work *w, const struct column *args, uint32_t count, uint32_t row);

static void change_rows(struct eval *e, const struct column *args, uint32_t count,
                        struct column *out, change how)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        if (e->code != MILL_OK)
            break;
        if (!column_valid(&args[0], row)) {
            eval_null(e, out, row);
            continue;
        }
        if (!work_load(&w, 0, args, 0, row, 0))
            break;
        how(&w, args, count, row);
        work_give(&w, out, row, w.lists[0].cells, NULL, w.lists[0].count);
    }
    work_close(&w);
}
#define CHANGE(name, how)                                                                          \
    EVAL(name)                                                                                     \
    {                                                                                              \
        change_rows(e, args, count, out, how);                                                     \
    }

static void do_append(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    struct cell cell;

    (void)count;
    if (work_cell(w, args, 1, row, &cell))
        work_add(w, 0, &cell);
}

static void do_prepend(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    struct cell cell;
    struct list *l = &w->lists[0];

    do_append(w, args, count, row);
    if (w->e->code != MILL_OK)
        return;
    cell = l->cells[l->count - 1];
    memmove(l->cells + 1, l->cells, (l->count - 1) * sizeof cell);
    l->cells[0] = cell;
}

static void do_remove(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    const struct mill_type *type = items_type(&w->e->where->args[0]->type, 0);
    struct list *l = &w->lists[0];
    struct cell needle;
    uint32_t n = 0;

    (void)count;
    if (!work_cell(w, args, 1, row, &needle))
        return;
    for (uint32_t i = 0; i < l->count; i++)
        if (!cell_same(type, &l->cells[i], &needle))
            l->cells[n++] = l->cells[i];
    l->count = n;
}

struct sorting {
    const struct mill_type *type;
    int sign;
    bool nulls_first;
};

static int compare_cells(const struct sorting *s, const struct cell *a, const struct cell *b)
{
    if (a->null || b->null)
        return ((int)b->null - (int)a->null) * (s->nulls_first ? 1 : -1);
    return s->sign * cell_compare(s->type, a, b);
}

/* Stable; bottom up. */
static void sort_cells(struct work *w, const struct sorting *s)
{
    struct list *l = &w->lists[0];
    struct cell *from = l->cells, *to;
    const uint32_t n = l->count;

    w->lists[2].count = 0;
    to = work_room(w, 2, n);
    for (uint32_t width = 1; to != NULL && width < n; width *= 2) {
        struct cell *swap = from;

        for (uint32_t begin = 0; begin < n; begin += 2 * width) {
            const uint32_t mid = min_u32(begin + width, n), end = min_u32(begin + 2 * width, n);
            uint32_t a = begin, b = mid;

            for (uint32_t i = begin; i < end; i++)
                to[i] = a < mid && (b == end || compare_cells(s, &from[a], &from[b]) <= 0)
                            ? from[a++]
                            : from[b++];
        }
        from = to;
        to = swap;
    }
    if (from != l->cells && n > 0)
        memcpy(l->cells, from, n * sizeof *from);
}

struct numbered {
    const struct mill_type *type;
    const struct cell *cells;
};

static int compare_numbered(const void *a, const void *b, void *context)
{
    const struct numbered *n = context;
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const int c = cell_compare(n->type, &n->cells[x], &n->cells[y]);

    return c != 0 ? c : (x > y) - (x < y);
}

/* The numbers of a list's cells in their order, of equal ones in turn. NULL: no memory. */
static uint32_t *in_order(struct work *w, const struct mill_type *type, const struct list *l)
{
    struct numbered by = {type, l->cells};
    uint32_t *order = arena_alloc(&w->bytes, ((size_t)l->count + 1) * sizeof *order);

    for (uint32_t i = 0; order != NULL && i < l->count; i++)
        order[i] = i;
    if (order == NULL)
        eval_no_memory(w->e);
    else
        qsort_r(order, l->count, sizeof *order, compare_numbered, &by);
    return order;
}

static bool is_in(const struct mill_type *type, const struct list *l, const uint32_t *order,
                  const struct cell *cell)
{
    uint32_t low = 0, high = l->count;

    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        const int c = cell_compare(type, &l->cells[order[mid]], cell);

        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* Keeps the first of those that are the same. */
static void do_distinct(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    const struct mill_type *type = items_type(&w->e->where->type, 0);
    struct list *l = &w->lists[0];
    const uint32_t *order = in_order(w, type, l);
    bool *again = order != NULL ? arena_zalloc(&w->bytes, l->count + 1) : NULL;
    uint32_t n = 0;

    (void)args, (void)count, (void)row;
    if (again == NULL) {
        eval_no_memory(w->e);
        return;
    }
    for (uint32_t i = 1; i < l->count; i++)
        again[order[i]] = cell_same(type, &l->cells[order[i - 1]], &l->cells[order[i]]);
    for (uint32_t i = 0; i < l->count; i++)
        if (!again[i])
            l->cells[n++] = l->cells[i];
    l->count = n;
}

static void do_reverse(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    struct list *l = &w->lists[0];

    (void)args, (void)count, (void)row;
    for (uint32_t i = 0; i < l->count / 2; i++) {
        const struct cell cell = l->cells[i];

        l->cells[i] = l->cells[l->count - 1 - i];
        l->cells[l->count - 1 - i] = cell;
    }
}

static void do_concat(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    for (uint32_t a = 1; a < count; a++) {
        const struct items it = work_items(w->e, args, a, row);

        work_add_items(w, 0, &it);
    }
}

static void do_union(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    do_concat(w, args, count, row);
    do_distinct(w, args, count, row);
}

/* The different elements of the first array that are (@wanted) or are not in the second. */
static void pick(struct work *w, const struct column *args, uint32_t row, bool wanted)
{
    const struct mill_type *type = items_type(&w->e->where->type, 0);
    struct list *l = &w->lists[0];
    const uint32_t *order;
    uint32_t n = 0;

    if (!work_load(w, 1, args, 1, row, 0))
        return;
    order = in_order(w, type, &w->lists[1]);
    for (uint32_t i = 0; order != NULL && i < l->count; i++)
        if (is_in(type, &w->lists[1], order, &l->cells[i]) == wanted)
            l->cells[n++] = l->cells[i];
    l->count = n;
    do_distinct(w, args, 2, row);
}

static void do_intersect(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    (void)count;
    pick(w, args, row, true);
}

static void do_except(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    (void)count;
    pick(w, args, row, false);
}

/* From 1; negative: from the end; both bounds are in it. */
static void do_slice(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    struct list *l = &w->lists[0];
    const int64_t n = l->count;
    int64_t from = INT(1), to = count > 2 ? INT(2) : n;

    from = from < 0 ? max_i64(from + n + 1, 1) : max_i64(from, 1);
    to = min_i64(to < 0 ? to + n + 1 : to == 0 ? 1 : to, n);
    l->count = 0;
    if (from > n || to < from)
        return;
    memmove(l->cells, l->cells + (from - 1), (size_t)(to - from + 1) * sizeof *l->cells);
    l->count = (uint32_t)(to - from + 1);
}

/* ARRAY_SORT(array[, ascending[, null_first]]): NULLs first where it ascends. */
static void do_sort(struct work *w, const struct column *args, uint32_t count, uint32_t row)
{
    const bool up = count < 2 || VALUE(uint8_t, &args[1], row) != 0;
    const struct sorting s = {items_type(&w->e->where->type, 0), up ? 1 : -1,
                              count < 3 ? up : VALUE(uint8_t, &args[2], row) != 0};

    sort_cells(w, &s);
}

CHANGE(array_append, do_append)
CHANGE(array_prepend, do_prepend)
CHANGE(array_remove, do_remove)
CHANGE(array_distinct, do_distinct)
CHANGE(array_reverse, do_reverse)
CHANGE(array_concat, do_concat)
CHANGE(array_union, do_union)
CHANGE(array_intersect, do_intersect)
CHANGE(array_except, do_except)
CHANGE(array_slice, do_slice)
CHANGE(array_sort, do_sort)

/* ---- text ---- */

EVAL(array_join)
{
    FOR_ROWS(e, row)
    {
        const struct items it = work_items(e, args, 0, row);
        size_t bytes = 0, used = 0;
        uint32_t n = 0;
        char *to;

        for (uint32_t i = 0; i < it.count; i++) {
            const struct cell cell = items_cell(&it, i);

            bytes += (size_t)BYTES(1) + (cell.null ? count > 2 ? BYTES(2) : 0 : cell.length);
        }
        to = bytes <= ITEMS_BYTES_MAX ? eval_bytes(e, bytes) : NULL;
        if (to == NULL) {
            eval_no_memory(e);
            return;
        }
        for (uint32_t i = 0; i < it.count; i++) {
            const struct cell cell = items_cell(&it, i);

            if (cell.null && count < 3)
                continue;
            if (n++ > 0) {
                memcpy(to + used, DATA(1), BYTES(1));
                used += BYTES(1);
            }
            if (cell.null)
                memcpy(to + used, DATA(2), BYTES(2));
            else
                memcpy(to + used, cell.bytes, cell.length);
            used += cell.null ? BYTES(2) : cell.length;
        }
        eval_slice(out, row, to, used);
    }
}

#define COLLECTION "collection"
#define MANY UINT32_MAX

const struct function functions_arrays[] =
    {{"ARRAY_APPEND", "ARRAY_APPEND(array, a)", "a behind the others", COLLECTION, 2, 2, FN_NULLS,
      resolve_change, array_append},
     {"ARRAY_CONCAT", "ARRAY_CONCAT(array, ...)", "the elements of all", COLLECTION, 1, MANY, 0,
      resolve_arrays, array_concat},
     {"ARRAY_CONTAINS", "ARRAY_CONTAINS(array, a)", "TRUE if a is in it, NULL too", COLLECTION, 2,
      2, FN_NULLS, resolve_contains, contains},
     {"ARRAY_DISTINCT", "ARRAY_DISTINCT(array)", "without those that came before", COLLECTION, 1, 1,
      0, resolve_arrays, array_distinct},
     {"ARRAY_EXCEPT", "ARRAY_EXCEPT(a, b)", "the different elements of a that b has not",
      COLLECTION, 2, 2, 0, resolve_arrays, array_except},
     {"ARRAY_INTERSECT", "ARRAY_INTERSECT(a, b)", "the different elements that both have",
      COLLECTION, 2, 2, 0, resolve_arrays, array_intersect},
     {"ARRAY_JOIN", "ARRAY_JOIN(array, delimiter[, null])",
      "the texts with a delimiter between; NULLs left out or replaced", COLLECTION, 2, 3, 0,
      resolve_join, array_join},
     {"ARRAY_MAX", "ARRAY_MAX(array)", "the greatest element", COLLECTION, 1, 1, FN_MAY_NULL,
      resolve_extreme, array_max},
     {"ARRAY_MIN", "ARRAY_MIN(array)", "the least element", COLLECTION, 1, 1, FN_MAY_NULL,
      resolve_extreme, array_min},
     {"ARRAY_POSITION", "ARRAY_POSITION(array, a)", "where a stands first, from 1; 0: nowhere",
      COLLECTION, 2, 2, 0, resolve_position, array_position},
     {"ARRAY_PREPEND", "ARRAY_PREPEND(array, a)", "a before the others", COLLECTION, 2, 2, FN_NULLS,
      resolve_change, array_prepend},
     {"ARRAY_REMOVE", "ARRAY_REMOVE(array, a)", "without the elements that are a, NULL too",
      COLLECTION, 2, 2, FN_NULLS, resolve_change, array_remove},
     {"ARRAY_REVERSE", "ARRAY_REVERSE(array)", "from the last to the first", COLLECTION, 1, 1, 0,
      resolve_arrays, array_reverse},
     {"ARRAY_SLICE", "ARRAY_SLICE(array, from[, to])",
      "elements from to to, from 1; negative: from the end", COLLECTION, 2, 3, 0, resolve_slice,
      array_slice},
     {"ARRAY_SORT", "ARRAY_SORT(array[, ascending[, null_first]])",
      "in order; NULLs first where it ascends", COLLECTION, 1, 3, 0, resolve_array_sort,
      array_sort},
     {"ARRAY_UNION", "ARRAY_UNION(a, b)", "the different elements of both", COLLECTION, 2, 2, 0,
      resolve_arrays, array_union},
     {0}};
