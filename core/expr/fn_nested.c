/* core/expr/fn_nested.c - making and reading ARRAY, MAP and MULTISET, as Flink's manual has it ("Collection Functions").
 *
 * Items of a row's arguments become cells, a result is made of cells, which may lie in the arguments (work.h).
 */
#include "core/expr/work.h"

/* ---- types ---- */

/* Arguments from, from + step ... to one type; false: they have none in common, or no type at all. */
static bool same_items(struct call *c, uint32_t from, uint32_t step, struct mill_type *out)
{
    bool not_null = true;

    *out = type_make(MILL_NULL);
    for (uint32_t i = from; i < c->count; i += step) {
        struct mill_type next;

        not_null = not_null && arg_type(c, i)->not_null;
        if (!type_common(out, arg_type(c, i), &next))
            return false;
        *out = nested_item_type(&next);
    }
    if (out->kind == MILL_NULL)
        return false;
    out->not_null = false;
    for (uint32_t i = from; i < c->count; i += step)
        if (!resolve_cast(c, i, out))
            return false;
    out->not_null = not_null;
    return true;
}

static bool resolve_array(struct call *c)
{
    struct mill_type item;

    if (!same_items(c, 0, 1, &item))
        return false;
    c->result = nested_type(c, MILL_ARRAY, &item, NULL);
    c->result.not_null = true;
    return true;
}

static bool resolve_map(struct call *c)
{
    struct mill_type key, value;

    if (c->count % 2 != 0 || !same_items(c, 0, 2, &key) || !same_items(c, 1, 2, &value))
        return false;
    c->result = nested_type(c, MILL_MAP, &key, &value);
    c->result.not_null = true;
    return true;
}

static bool resolve_cardinality(struct call *c)
{
    return type_is_nested(arg_type(c, 0)) && returns(c, MILL_INT);
}

/* a[i]: an item of an array, or a map's value of a key. */
static bool resolve_item(struct call *c)
{
    const struct mill_type *type = arg_type(c, 0);
    bool taken = false;

    if (type->kind == MILL_ARRAY)
        taken = resolve_int(c, 1);
    else if (type->kind == MILL_MAP)
        taken = resolve_cast(c, 1, items_type(type, 0));
    if (!taken)
        return false;
    c->result = *items_type(type, type->kind == MILL_MAP);
    c->result.not_null = false;
    return true;
}

static bool resolve_map_list(struct call *c)
{
    const bool values = c->function->name[4] == 'V';

    if (arg_type(c, 0)->kind != MILL_MAP)
        return false;
    c->result = nested_type(c, MILL_ARRAY, items_type(arg_type(c, 0), values), NULL);
    return true;
}

static bool resolve_map_entries(struct call *c)
{
    const struct mill_type *map = arg_type(c, 0);
    struct mill_type row = type_make(MILL_ROW);

    if (map->kind != MILL_MAP)
        return false;
    row.field_count = 2;
    row.fields = map->fields;
    row.not_null = true;
    c->result = nested_type(c, MILL_ARRAY, &row, NULL);
    return true;
}

static bool resolve_map_from(struct call *c)
{
    if (!is_array(c, 0) || !is_array(c, 1))
        return false;
    c->result =
        nested_type(c, MILL_MAP, items_type(arg_type(c, 0), 0), items_type(arg_type(c, 1), 0));
    return true;
}

static bool resolve_map_union(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (arg_type(c, i)->kind != MILL_MAP || !resolve_cast(c, i, arg_type(c, 0)))
            return false;
    c->result = *arg_type(c, 0);
    return true;
}

static bool resolve_split(struct call *c)
{
    const struct mill_type text = {.kind = MILL_VARCHAR,
                                   .length = MILL_LENGTH_MAX,
                                   .not_null = true};

    if (!resolve_text(c, 0) || !resolve_text(c, 1))
        return false;
    c->result = nested_type(c, MILL_ARRAY, &text, NULL);
    return true;
}

static bool resolve_str_to_map(struct call *c)
{
    const struct mill_type text = type_string();

    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    c->result = nested_type(c, MILL_MAP, &text, &text);
    return true;
}

/* ---- making ---- */

EVAL(make_array)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        w.lists[0].count = 0;
        for (uint32_t a = 0; a < count && e->code == MILL_OK; a++) {
            struct cell cell;

            if (work_cell(&w, args, a, row, &cell))
                work_add(&w, 0, &cell);
        }
        work_give(&w, out, row, w.lists[0].cells, NULL, w.lists[0].count);
    }
    work_close(&w);
}

/* The pairs of lists 0 and 1 as a MAP. */
static void give_map(struct work *w, struct column *out, uint32_t row)
{
    struct eval *e = w->e;
    uint32_t n = w->lists[0].count;

    for (uint32_t i = 0; i < n; i++)
        if (w->lists[0].cells[i].null) {
            eval_bad(e, row, "a key of a MAP is NULL");
            eval_null(e, out, row);
            return;
        }
    if (e->code == MILL_OK)
        n = items_unite(arena_supply(&w->bytes), &e->where->type, w->lists[0].cells,
                        w->lists[1].cells, n);
    if (n == UINT32_MAX)
        eval_no_memory(e);
    work_give(w, out, row, w->lists[0].cells, w->lists[1].cells, n);
}

EVAL(make_map)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        w.lists[0].count = w.lists[1].count = 0;
        for (uint32_t a = 0; a < count && e->code == MILL_OK; a++) {
            struct cell cell;

            if (work_cell(&w, args, a, row, &cell))
                work_add(&w, a % 2, &cell);
        }
        give_map(&w, out, row);
    }
    work_close(&w);
}

EVAL(map_from_arrays)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        if (!work_load(&w, 0, args, 0, row, 0) || !work_load(&w, 1, args, 1, row, 0))
            break;
        if (w.lists[0].count != w.lists[1].count) {
            eval_bad(e, row, "MAP_FROM_ARRAYS: the arrays differ in length");
            eval_null(e, out, row);
            continue;
        }
        give_map(&w, out, row);
    }
    work_close(&w);
}

EVAL(map_union)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        w.lists[0].count = w.lists[1].count = 0;
        for (uint32_t a = 0; a < count; a++)
            for (uint32_t k = 0; k < 2; k++) {
                const struct items it = items_of(&e->where->args[a]->type, TEXT(&args[a], row), k);

                work_add_items(&w, k, &it);
            }
        give_map(&w, out, row);
    }
    work_close(&w);
}

/* ---- looking ---- */

EVAL(cardinality)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct mill_type *type = &e->where->args[0]->type;
        const struct mill_view *value = TEXT(&args[0], row);
        int32_t n = (int32_t)items_count(value);

        if (type->kind == MILL_MULTISET) {
            const struct items numbers = items_of(type, value, 1);

            n = 0;
            for (uint32_t i = 0; i < numbers.count; i++) {
                int32_t one;

                memcpy(&one, items_cell(&numbers, i).bytes, 4);
                n += one;
            }
        }
        RESULT(int32_t, out)[row] = n;
    }
}

/* Where the key stands; -1: nowhere. */
static int64_t find_key(const struct items *keys, const struct cell *key)
{
    uint32_t low = 0, high = keys->count;

    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        const struct cell at = items_cell(keys, mid);
        const int c = cell_compare(keys->type, &at, key);

        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

EVAL(item)
{
    const struct mill_type *type = &e->where->args[0]->type;
    const struct cell none = {NULL, 0, true};
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        struct items it;
        struct cell cell = none, key;
        int64_t at = -1;

        if (!column_valid(&args[0], row) || !column_valid(&args[1], row)) {
            work_give_cell(e, out, row, &none);
            continue;
        }
        it = items_of(type, TEXT(&args[0], row), 0);
        if (type->kind == MILL_ARRAY)
            at = (int64_t)INT(1) - 1;
        else if (work_cell(&w, args, 1, row, &key))
            at = find_key(&it, &key);
        if (type->kind == MILL_MAP)
            it = items_of(type, TEXT(&args[0], row), 1);
        if (at >= 0 && at < it.count)
            cell = items_cell(&it, (uint32_t)at);
        work_give_cell(e, out, row, &cell);
        arena_reset(&w.bytes);
    }
    work_close(&w);
}

EVAL(element)
{
    const struct cell none = {NULL, 0, true};

    (void)count;
    FOR_ROWS(e, row)
    {
        struct cell cell = none;
        bool many = false;

        if (column_valid(&args[0], row)) {
            const struct items it = work_items(e, args, 0, row);

            many = it.count > 1;
            if (it.count == 1)
                cell = items_cell(&it, 0);
        }
        if (many)
            eval_bad(e, row, "ELEMENT: the array has more than one element");
        work_give_cell(e, out, row, &cell);
    }
}

/* ---- to and from texts and maps ---- */

static void map_list(struct eval *e, const struct column *args, struct column *out, uint32_t list)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        if (!work_load(&w, 0, args, 0, row, list))
            break;
        work_give(&w, out, row, w.lists[0].cells, NULL, w.lists[0].count);
    }
    work_close(&w);
}

EVAL(map_keys)
{
    (void)count;
    map_list(e, args, out, 0);
}

EVAL(map_values)
{
    (void)count;
    map_list(e, args, out, 1);
}

/* Pairs as ROWs: through columns, which know how a ROW is written. */
EVAL(map_entries)
{
    const struct mill_type *row_type = items_type(&e->where->type, 0);
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        struct batch *pair = batch_new(e->heap, 1, 1);
        struct cell *to;

        if (!work_load(&w, 0, args, 0, row, 0) || !work_load(&w, 1, args, 0, row, 1) ||
            pair == NULL)
            eval_no_memory(e);
        w.lists[2].count = 0;
        to = e->code == MILL_OK ? work_room(&w, 2, w.lists[0].count) : NULL;
        for (uint32_t i = 0; to != NULL && i < w.lists[0].count; i++) {
            batch_reset(pair, 1);
            if (pair->columns == NULL || !column_own(pair, &pair->columns[0], row_type) ||
                !cell_put(pair, &pair->columns[0].children[0], 0, &row_type->fields[0].type,
                          &w.lists[0].cells[i], true) ||
                !cell_put(pair, &pair->columns[0].children[1], 0, &row_type->fields[1].type,
                          &w.lists[1].cells[i], true) ||
                !cell_of(arena_supply(&w.bytes), &pair->columns[0], 0, row_type, &to[i]))
                eval_no_memory(e);
        }
        work_give(&w, out, row, to, NULL, to != NULL ? w.lists[0].count : 0);
        batch_free(pair);
    }
    work_close(&w);
}

/* Where @delimiter stands next, or the end. */
static const char *next_part(const char *from, const char *end, const char *delimiter, uint32_t n)
{
    const char *at = n > 0 ? memmem(from, (size_t)(end - from), delimiter, n) : NULL;

    return at != NULL ? at : end;
}

/* Parts between delimiters, empty ones too; an empty delimiter: characters. */
EVAL(split)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        const char *from = DATA(0), *const end = from + BYTES(0);
        const uint32_t n = BYTES(1);

        w.lists[0].count = 0;
        while (e->code == MILL_OK && (n > 0 || from < end)) {
            const char *to = next_part(from, end, DATA(1), n);
            struct cell cell;

            for (to = n > 0 ? to : from + 1; n == 0 && to < end && (*to & 0xc0) == 0x80; to++)
                ;
            cell = (struct cell){from, (uint32_t)(to - from), false};
            work_add(&w, 0, &cell);
            if (n > 0 && to == end)
                break;
            from = to + n;
        }
        work_give(&w, out, row, w.lists[0].cells, NULL, w.lists[0].count);
    }
    work_close(&w);
}

/* STR_TO_MAP(text[, between pairs[, between key and value]]): ',' and '='. The last of equal keys stays. */
EVAL(str_to_map)
{
    struct work w;

    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        const char *from = DATA(0), *const end = from + BYTES(0);
        const char *pairs = count > 1 ? DATA(1) : ",", *sides = count > 2 ? DATA(2) : "=";
        const uint32_t pairs_n = count > 1 ? BYTES(1) : 1, sides_n = count > 2 ? BYTES(2) : 1;

        w.lists[0].count = w.lists[1].count = 0;
        while (e->code == MILL_OK && from < end) {
            const char *to = next_part(from, end, pairs, pairs_n);
            const char *mid = next_part(from, to, sides, sides_n);
            struct cell key = {from, (uint32_t)(mid - from), false}, value = {NULL, 0, true};

            if (mid < to)
                value = (struct cell){mid + sides_n, (uint32_t)(to - mid - sides_n), false};
            if (work_add(&w, 0, &key))
                work_add(&w, 1, &value);
            from = to + (to < end ? pairs_n : 0);
        }
        give_map(&w, out, row);
    }
    work_close(&w);
}

/* ---- what ARRAY_AGG and COLLECT collect ---- */

static bool resolve_pack(struct call *c)
{
    c->result = type_make(MILL_VARBINARY);
    return arg_type(c, 0)->kind != MILL_NULL;
}

EVAL(pack)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        struct cell cell;
        char *to;

        if (!work_cell(&w, args, 0, row, &cell))
            break;
        to = eval_bytes(e, cell_packed_bytes(&cell));
        if (to == NULL)
            break;
        cell_pack(to, &e->where->args[0]->type, &cell);
        eval_slice(out, row, to, cell_packed_bytes(&cell));
        arena_reset(&w.bytes);
    }
    work_close(&w);
}

/* The second argument, a literal NULL, says the type of the elements. */
static bool resolve_unpack(struct call *c)
{
    const bool array = c->function->name[1] == 'A';
    struct mill_type item = nested_item_type(arg_type(c, 1));

    item.not_null = false;
    c->result = nested_type(c, array ? MILL_ARRAY : MILL_MULTISET, &item, NULL);
    c->result.not_null = !array;
    return true;
}

static bool load_packed(struct work *w, const struct column *args, uint32_t row)
{
    const char *at = DATA(0), *const end = at + BYTES(0);

    w->lists[0].count = 0;
    while (at < end) {
        struct cell cell;

        at = cell_unpack(at, &cell);
        if (!work_add(w, 0, &cell))
            return false;
    }
    return true;
}

EVAL(unpack_array)
{
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        if (!column_valid(&args[0], row)) {
            eval_null(e, out, row);
            continue;
        }
        if (!load_packed(&w, args, row))
            break;
        work_give(&w, out, row, w.lists[0].cells, NULL, w.lists[0].count);
    }
    work_close(&w);
}

EVAL(unpack_multiset)
{
    static const int32_t one = 1;
    struct work w;

    (void)count;
    work_open(&w, e);
    FOR_ROWS(e, row)
    {
        const struct cell number = {(const char *)&one, 4, false};
        uint32_t n = 0;

        w.lists[0].count = w.lists[1].count = 0;
        if (column_valid(&args[0], row) && !load_packed(&w, args, row))
            break;
        for (uint32_t i = 0; i < w.lists[0].count; i++)
            work_add(&w, 1, &number);
        if (e->code == MILL_OK)
            n = items_unite(arena_supply(&w.bytes), &e->where->type, w.lists[0].cells,
                            w.lists[1].cells, w.lists[0].count);
        if (n == UINT32_MAX)
            eval_no_memory(e);
        work_give(&w, out, row, w.lists[0].cells, w.lists[1].cells, n);
    }
    work_close(&w);
}

#define COLLECTION "collection"
#define MANY UINT32_MAX

const struct function functions_nested[] =
    {{"ARRAY", "ARRAY[a, ...]", "the array of these elements", COLLECTION, 1, MANY, FN_NULLS,
      resolve_array, make_array},
     {"MAP", "MAP[key, value, ...]", "the map of these pairs; of equal keys the last", COLLECTION,
      2, MANY, FN_NULLS, resolve_map, make_map},
     {"[]", "array[i], map[key]", "element i, from 1, or the key's value; none: NULL", COLLECTION,
      2, 2, FN_NULLS, resolve_item, item},
     {"CARDINALITY", "CARDINALITY(a)", "number of elements of an array, map or multiset",
      COLLECTION, 1, 1, 0, resolve_cardinality, cardinality},
     {"ELEMENT", "ELEMENT(array)", "its only element; NULL if it is empty; more: a bad row",
      COLLECTION, 1, 1, FN_NULLS, array_element, element},
     {"MAP_ENTRIES", "MAP_ENTRIES(map)", "its pairs as an array of rows (key, value)", COLLECTION,
      1, 1, 0, resolve_map_entries, map_entries},
     {"MAP_FROM_ARRAYS", "MAP_FROM_ARRAYS(keys, values)", "the map of two arrays of one length",
      COLLECTION, 2, 2, 0, resolve_map_from, map_from_arrays},
     {"MAP_KEYS", "MAP_KEYS(map)", "its keys, ascending", COLLECTION, 1, 1, 0, resolve_map_list,
      map_keys},
     {"MAP_UNION", "MAP_UNION(map, ...)", "the pairs of all; of equal keys the last", COLLECTION, 1,
      MANY, 0, resolve_map_union, map_union},
     {"MAP_VALUES", "MAP_VALUES(map)", "its values, in the order of its keys", COLLECTION, 1, 1, 0,
      resolve_map_list, map_values},
     {"SPLIT", "SPLIT(s, delimiter)", "the parts of a text as an array", COLLECTION, 2, 2, 0,
      resolve_split, split},
     {"STR_TO_MAP", "STR_TO_MAP(s[, pairs[, sides]])", "the map that a text such as a=1,b=2 writes",
      COLLECTION, 1, 3, 0, resolve_str_to_map, str_to_map},
     {"$PACK", "$PACK(a)", NULL, NULL, 1, 1, FN_NULLS, resolve_pack, pack},
     {"$PACK_VALUE", "$PACK_VALUE(a)", NULL, NULL, 1, 1, 0, resolve_pack, pack},
     {"$ARRAY", "$ARRAY(packed, type)", NULL, NULL, 2, 2, FN_NULLS, resolve_unpack, unpack_array},
     {"$MULTISET", "$MULTISET(packed, type)", NULL, NULL, 2, 2, FN_NULLS, resolve_unpack,
      unpack_multiset},
     {0}};
