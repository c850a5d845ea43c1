/* tests/test_items.c - ARRAY, MAP and MULTISET through the public interface: values made, pushed, computed with, read. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Memory that a test frees as a whole. */
struct block {
    struct block *next;
    _Alignas(16) char bytes[];
};
struct blocks {
    struct block *first;
    long left; /* allocations that still succeed; <0: all */
};

static void *take(void *context, size_t bytes)
{
    struct blocks *all = context;
    struct block *block;

    if (all->left == 0)
        return NULL;
    all->left -= all->left > 0;
    block = malloc(sizeof *block + bytes);
    cr_assert_not_null(block);
    block->next = all->first;
    all->first = block;
    return block->bytes;
}

static void drop(struct blocks *all)
{
    for (struct block *b = all->first, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    all->first = NULL;
}

static struct mill_view text(const char *s)
{
    struct mill_view v = {.length = (uint32_t)strlen(s)};

    if (v.length <= 12) {
        memcpy(v.inlined, s, v.length);
    } else {
        memcpy(v.far.prefix, s, 4);
        v.far.data = s;
    }
    return v;
}

static int same(const struct mill_view *v, const char *s)
{
    return v->length == strlen(s) && memcmp(mill_view_data(v), s, v->length) == 0;
}

static const struct mill_field row_fields[] = {{"a", {.kind = MILL_INT}},
                                               {"b",
                                                {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}}};
static const struct mill_field row_element[] = {
    {"element", {.kind = MILL_ROW, .field_count = 2, .fields = row_fields}}};
static const struct mill_field map_fields[] = {{"key",
                                                {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
                                               {"value", {.kind = MILL_DOUBLE}}};
static const struct mill_type rows_type = {.kind = MILL_ARRAY,
                                           .field_count = 1,
                                           .fields = row_element};
static const struct mill_type map_type = {.kind = MILL_MAP, .field_count = 2, .fields = map_fields};

/* [(7, "long ..."), NULL, (NULL, "b")] */
static struct mill_view make_rows(struct blocks *all)
{
    static const int32_t a[] = {7, 0, 0};
    static const uint64_t valid[] = {5}, a_valid[] = {1}, b_valid[] = {5};
    struct mill_view b[3] = {text("a text longer than twelve"), {0}, text("b")}, out;
    const struct mill_column children[] = {{.values = a, .validity = a_valid},
                                           {.values = b, .validity = b_valid}};
    const struct mill_items items = {3, {.validity = valid, .children = children}, {0}};

    cr_assert_eq(mill_items_value(&rows_type, &items, take, all, &out), MILL_OK);
    return out;
}

static struct mill_view make_map(struct blocks *all)
{
    const struct mill_view keys[] = {text("b"), text("a"), text("b")};
    static const double values[] = {1.5, 2.5, 3.5};
    const struct mill_items items = {3, {.values = keys}, {.values = values}};
    struct mill_view out;

    cr_assert_eq(mill_items_value(&map_type, &items, take, all, &out), MILL_OK);
    return out;
}

Test(items, rows_come_back)
{
    struct blocks all = {.left = -1};
    const struct mill_view value = make_rows(&all);
    struct mill_items out;
    const struct mill_column *a, *b;

    cr_assert_eq(mill_items(&rows_type, &value, take, &all, &out), MILL_OK);
    a = &out.first.children[0];
    b = &out.first.children[1];
    cr_assert(out.count == 3 && out.first.validity[0] == 5);
    cr_assert(a->validity[0] == 1 && ((const int32_t *)a->values)[0] == 7);
    cr_assert(b->validity[0] == 5);
    cr_assert(same(&((const struct mill_view *)b->values)[0], "a text longer than twelve"));
    cr_assert(same(&((const struct mill_view *)b->values)[2], "b"));
    drop(&all);
}

Test(items, keys_in_order_the_last_of_equal_ones)
{
    struct blocks all = {.left = -1};
    const struct mill_view value = make_map(&all);
    struct mill_items out;

    cr_assert_eq(mill_items(&map_type, &value, take, &all, &out), MILL_OK);
    cr_assert_eq(out.count, 2);
    cr_assert(same(&((const struct mill_view *)out.first.values)[0], "a"));
    cr_assert(same(&((const struct mill_view *)out.first.values)[1], "b"));
    cr_assert_eq(((const double *)out.second.values)[0], 2.5);
    cr_assert_eq(((const double *)out.second.values)[1], 3.5);
    drop(&all);
}

Test(items, what_is_wrong_is_said)
{
    const struct mill_type integer = {.kind = MILL_INT};
    static const uint64_t none[] = {0};
    const struct mill_view key[] = {text("a")};
    static const double value[] = {1};
    const struct mill_items items = {1, {.values = key, .validity = none}, {.values = value}};
    struct blocks all = {.left = -1};
    struct mill_items out;
    struct mill_view made = make_rows(&all);

    cr_assert_eq(mill_items(&integer, &made, take, &all, &out), MILL_E_ARGUMENT);
    cr_assert_eq(mill_items(&rows_type, NULL, take, &all, &out), MILL_E_ARGUMENT);
    cr_assert_eq(mill_items_value(&map_type, &items, take, &all, &made), MILL_E_DATA);
    for (long left = 0; left < 100; left++) { /* without memory, wherever it ends */
        all.left = left;
        if (mill_items(&rows_type, &made, take, &all, &out) == MILL_OK)
            break;
        cr_assert_lt(left, 99);
    }
    drop(&all);
}

#define TABLE                                                                                      \
    "CREATE TABLE t (r ARRAY<ROW<a INT, b STRING>>, m MAP<STRING, DOUBLE>) WITH ('connector' = "   \
    "'memory');"

static mill_input *table_open(mill_engine *engine)
{
    struct mill_error error = {0};
    mill_input *input;

    cr_assert_eq(mill_execute(engine, TABLE, NULL, &error), MILL_OK, "%s", error.message);
    input = mill_input_open(engine, "t", &error);
    cr_assert_not_null(input, "%s", error.message);
    return input;
}

static mill_engine *engine_new(void)
{
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;

    mill_config_init(&config);
    config.shard_count = 2;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    return engine;
}

static int push(mill_input *input, const struct mill_view *r, const struct mill_view *m)
{
    const struct mill_column columns[] = {{.values = r}, {.values = m}};
    const struct mill_batch batch = {.rows = 1, .column_count = 2, .columns = columns};
    struct mill_error error = {0};

    return mill_push(input, &batch, &error);
}

Test(items, pushed_and_polled)
{
    mill_engine *engine = engine_new();
    mill_input *input = table_open(engine);
    struct mill_error error = {0};
    struct blocks all = {.left = -1};
    const struct mill_view r = make_rows(&all), m = make_map(&all);
    const struct mill_batch *batch;
    mill_query *query =
        mill_prepare(engine,
                     "SELECT m['b'], r[1].b, ARRAY_AGG(x.a) FROM t, UNNEST(r) AS x GROUP BY m, r",
                     NULL, &error);
    struct mill_items out;

    cr_assert_not_null(query, "%s", error.message);
    cr_assert_eq(push(input, &r, &m), MILL_OK);
    mill_input_end(input);
    cr_assert_eq(mill_run(query, &error), MILL_OK, "%s", error.message);
    batch = mill_poll(query);
    cr_assert(batch != NULL && batch->rows == 1);
    cr_assert_eq(((const double *)batch->columns[0].values)[0], 3.5);
    cr_assert(same(batch->columns[1].values, "a text longer than twelve"));
    cr_assert_eq(mill_items(&mill_query_schema(query)->fields[2].type, batch->columns[2].values,
                            take, &all, &out),
                 MILL_OK);
    cr_assert(out.count == 3 && out.first.validity[0] == 1);
    cr_assert_eq(((const int32_t *)out.first.values)[0], 7);
    mill_query_close(query);
    mill_engine_close(engine);
    drop(&all);
}

/* Bytes that are no value are refused; what is taken can be read whole. */
Test(items, damaged_bytes)
{
    mill_engine *engine = engine_new();
    mill_input *input = table_open(engine);
    struct blocks all = {.left = -1};
    const struct mill_view r = make_rows(&all), m = make_map(&all);
    unsigned refused = 0;
    uint64_t seed = 42;

    for (int i = 0; i < 20000; i++) {
        char *copy = malloc(r.length);
        struct mill_view damaged = r;
        struct mill_items out;
        struct blocks some = {.left = -1};

        cr_assert_not_null(copy);
        memcpy(copy, mill_view_data(&r), r.length);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        copy[(seed >> 33) % r.length] = (char)(seed >> 56);
        damaged.far.data = copy;
        memcpy(damaged.far.prefix, copy, 4);
        if ((seed >> 20) % 4 == 0)
            damaged.length = 13 + (uint32_t)(seed >> 40) % (r.length - 13);
        if (push(input, &damaged, &m) == MILL_OK)
            cr_assert_eq(mill_items(&rows_type, &damaged, take, &some, &out), MILL_OK);
        else
            refused++;
        drop(&some);
        free(copy);
    }
    cr_assert_gt(refused, 1000);
    cr_assert_lt(refused, 20000);
    mill_engine_close(engine);
    drop(&all);
}
