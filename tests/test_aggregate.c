/* tests/test_aggregate.c - aggregates by hand values, and merging and snapshots against adding directly. */
#include "tests/opkit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { C_TINY, C_INT, C_BIG, C_FLOAT, C_DOUBLE, C_DEC, C_WIDE, C_TEXT, C_FLAG, COLUMNS };

static struct mill_field fields[COLUMNS];
static const struct mill_schema schema = {COLUMNS, fields};

static void fill_fields(void)
{
    const struct mill_type types[] = {type_make(MILL_TINYINT), type_make(MILL_INT),
                                      type_make(MILL_BIGINT),  type_make(MILL_FLOAT),
                                      type_make(MILL_DOUBLE),  type_decimal(10, 2),
                                      type_decimal(38, 0),     type_string(),
                                      type_make(MILL_BOOLEAN)};

    for (uint32_t i = 0; i < COLUMNS; i++)
        fields[i] = (struct mill_field){"c", types[i]};
}

/* One row; null: all but flag are NULL. */
struct value {
    bool null, flag;
    int64_t number;
    double real;
    const char *text;
};

static struct batch *batch_of(struct opkit *kit, const struct value *v, uint32_t n, uint64_t step)
{
    struct batch *b = batch_new(&kit->heap, BATCH_ROWS_MAX, COLUMNS);

    batch_own_columns(b, &schema);
    for (uint32_t c = 0; c < COLUMNS; c++)
        column_own_validity(b, &b->columns[c]);
    for (uint32_t i = 0; i < n; i++) {
        ((int8_t *)b->columns[C_TINY].values)[i] = (int8_t)v[i].number;
        ((int32_t *)b->columns[C_INT].values)[i] = (int32_t)v[i].number;
        ((int64_t *)b->columns[C_BIG].values)[i] = v[i].number;
        ((float *)b->columns[C_FLOAT].values)[i] = (float)v[i].real;
        ((double *)b->columns[C_DOUBLE].values)[i] = v[i].real;
        ((int128 *)b->columns[C_DEC].values)[i] = v[i].number;
        ((int128 *)b->columns[C_WIDE].values)[i] = (int128)v[i].number * 10000000000000000000u;
        ((struct mill_view *)b->columns[C_TEXT].values)[i] =
            v[i].text != NULL ? batch_view(b, v[i].text, (uint32_t)strlen(v[i].text))
                              : view_of("", 0);
        ((uint8_t *)b->columns[C_FLAG].values)[i] = v[i].flag;
        for (uint32_t c = 0; v[i].null && c < C_FLAG; c++)
            column_set_null(&b->columns[c], i);
    }
    b->step = step;
    b->rows = b->live = n;
    return b;
}

static struct agg_spec spec_of(enum agg_kind kind, int32_t arg, bool distinct, int32_t filter)
{
    struct agg_spec s = {.kind = kind, .arg = arg, .distinct = distinct, .filter = filter};

    if (arg >= 0)
        s.arg_type = fields[arg].type;
    cr_assert(agg_result_type(kind, arg >= 0 ? &s.arg_type : NULL, &s.result_type));
    return s;
}

static void state_text(struct opkit *kit, struct agg_set *set, const struct agg_spec *specs,
                       uint32_t count, const void *state, char *to, size_t bytes)
{
    struct batch *out = batch_new(&kit->heap, 1, count);
    size_t used = 0;

    for (uint32_t i = 0; i < count; i++)
        cr_assert(column_own(out, &out->columns[i], &specs[i].result_type));
    cr_assert(agg_values(set, state, out, out->columns, 0));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            to[used++] = '|';
        opkit_value_text(to + used, bytes - used, &specs[i].result_type, &out->columns[i], 0);
        used += strlen(to + used);
    }
    batch_release(out);
}

/* ---- by hand ---- */

struct hand {
    const char *what;
    enum agg_kind kind;
    int32_t arg;
    bool distinct, filter;
    struct value rows[6];
    uint32_t count;
    const char *expected;
    uint64_t overflows;
};

#define N(n)                                                                                       \
    {                                                                                              \
        .number = (n), .real = (double)(n)                                                         \
    }
#define R(r)                                                                                       \
    {                                                                                              \
        .real = (r)                                                                                \
    }
#define NIL                                                                                        \
    {                                                                                              \
        .null = true                                                                               \
    }
#define T(t)                                                                                       \
    {                                                                                              \
        .text = (t)                                                                                \
    }

static const struct hand hands[] = {
    {"COUNT(*) counts NULL", AGG_COUNT_STAR, -1, false, false, {N(1), NIL, N(2)}, 3, "3", 0},
    {"COUNT(x) does not", AGG_COUNT, C_INT, false, false, {N(1), NIL, N(2)}, 3, "2", 0},
    {"COUNT of nothing", AGG_COUNT, C_INT, false, false, {NIL}, 0, "0", 0},
    {"COUNT DISTINCT", AGG_COUNT, C_INT, true, false, {N(1), N(1), NIL, N(2)}, 4, "2", 0},
    {"COUNT DISTINCT text",
     AGG_COUNT,
     C_TEXT,
     true,
     false,
     {T("a"), T("a long text, not in the view"), T("a long text, not in the view"), T("")},
     4,
     "3",
     0},
    {"COUNT DISTINCT zeros and NaN",
     AGG_COUNT,
     C_DOUBLE,
     true,
     false,
     {R(0.0), R(-0.0), R(NAN), R(-NAN)},
     4,
     "2",
     0},
    {"SUM of nothing", AGG_SUM, C_INT, false, false, {NIL, NIL}, 2, "NULL", 0},
    {"SUM(INT)", AGG_SUM, C_INT, false, false, {N(1), NIL, N(41)}, 3, "42", 0},
    {"SUM(TINYINT) wraps", AGG_SUM, C_TINY, false, false, {N(100), N(100)}, 2, "-56", 1},
    {"SUM(INT) wraps", AGG_SUM, C_INT, false, false, {N(2147483647), N(1)}, 2, "-2147483648", 1},
    {"SUM(BIGINT) wraps",
     AGG_SUM,
     C_BIG,
     false,
     false,
     {N(INT64_MAX), N(1)},
     2,
     "-9223372036854775808",
     1},
    {"SUM(BIGINT) comes back",
     AGG_SUM,
     C_BIG,
     false,
     false,
     {N(INT64_MAX), N(1), N(-2)},
     3,
     "9223372036854775806",
     0},
    {"SUM DISTINCT", AGG_SUM, C_INT, true, false, {N(5), N(5), N(2)}, 3, "7", 0},
    {"SUM FILTER",
     AGG_SUM,
     C_INT,
     false,
     true,
     {{.number = 1, .flag = true}, {.number = 2}},
     2,
     "1",
     0},
    {"SUM FILTER none", AGG_SUM, C_INT, false, true, {N(1), N(2)}, 2, "NULL", 0},
    {"SUM(DECIMAL(10,2))", AGG_SUM, C_DEC, false, false, {N(150), N(-275)}, 2, "-125", 0},
    {"SUM(DECIMAL(38,0)) beyond 38 digits",
     AGG_SUM,
     C_WIDE,
     false,
     false,
     {N(9000000000000000000), N(9000000000000000000)},
     2,
     "NULL",
     1},
    {"SUM(DECIMAL(38,0)) beyond 128 bits and back",
     AGG_SUM,
     C_WIDE,
     false,
     false,
     {N(9000000000000000000), N(9000000000000000000), N(-9000000000000000000)},
     3,
     "90000000000000000000000000000000000000",
     0},
    {"SUM(DOUBLE)", AGG_SUM, C_DOUBLE, false, false, {R(0.5), R(0.25)}, 2, "0x1.8p-1", 0},
    {"SUM(FLOAT)", AGG_SUM, C_FLOAT, false, false, {R(0.5), R(0.25)}, 2, "0x1.8p-1", 0},
    {"AVG(INT) truncates", AGG_AVG, C_INT, false, false, {N(1), N(2)}, 2, "1", 0},
    {"AVG(INT) truncates to zero", AGG_AVG, C_INT, false, false, {N(-1), N(-2)}, 2, "-1", 0},
    {"AVG(BIGINT) of extremes",
     AGG_AVG,
     C_BIG,
     false,
     false,
     {N(INT64_MAX), N(INT64_MAX)},
     2,
     "9223372036854775807",
     0},
    {"AVG(DECIMAL(10,2)) has 6 digits",
     AGG_AVG,
     C_DEC,
     false,
     false,
     {N(100), N(100), N(101)},
     3,
     "1003333",
     0},
    {"AVG(DECIMAL) rounds half up",
     AGG_AVG,
     C_DEC,
     false,
     false,
     {N(-100), N(-100), N(-103)},
     3,
     "-1010000",
     0},
    {"AVG(DOUBLE)", AGG_AVG, C_DOUBLE, false, false, {R(1), R(2), NIL}, 3, "0x1.8p+0", 0},
    {"AVG DISTINCT", AGG_AVG, C_INT, true, false, {N(2), N(2), N(6)}, 3, "4", 0},
    {"MIN", AGG_MIN, C_INT, false, false, {N(3), N(-7), NIL}, 3, "-7", 0},
    {"MAX(TINYINT)", AGG_MAX, C_TINY, false, false, {N(3), N(-7)}, 2, "3", 0},
    {"MIN(DECIMAL)", AGG_MIN, C_WIDE, false, false, {N(3), N(-7)}, 2, "-70000000000000000000", 0},
    {"MIN(DOUBLE): -0.0 < 0.0",
     AGG_MIN,
     C_DOUBLE,
     false,
     false,
     {R(0.0), R(-0.0)},
     2,
     "-0x0p+0",
     0},
    {"MAX(DOUBLE): NaN is greatest",
     AGG_MAX,
     C_DOUBLE,
     false,
     false,
     {R(NAN), R(INFINITY)},
     2,
     "nan",
     0},
    {"MIN(DOUBLE) beside NaN",
     AGG_MIN,
     C_DOUBLE,
     false,
     false,
     {R(NAN), R(-INFINITY)},
     2,
     "-inf",
     0},
    {"MIN(FLOAT)", AGG_MIN, C_FLOAT, false, false, {R(0.5), R(-0.25)}, 2, "-0x1p-2", 0},
    {"MIN(STRING)",
     AGG_MIN,
     C_TEXT,
     false,
     false,
     {T("b"), T("abcabcabcabcabc"), T("abd")},
     3,
     "abcabcabcabcabc",
     0},
    {"MAX(STRING) by bytes", AGG_MAX, C_TEXT, false, false, {T("Z"), T("a"), T("")}, 3, "a", 0},
    {"MAX(BOOLEAN)", AGG_MAX, C_FLAG, false, false, {{.flag = false}, {.flag = true}}, 2, "1", 0},
    {"FIRST_VALUE skips NULL", AGG_FIRST, C_INT, false, false, {NIL, N(4), N(5)}, 3, "4", 0},
    {"LAST_VALUE skips NULL",
     AGG_LAST,
     C_TEXT,
     false,
     false,
     {T("x"), T("the last of the long texts"), NIL},
     3,
     "the last of the long texts",
     0},
    {"LISTAGG", AGG_LISTAGG, C_TEXT, false, false, {T("a"), NIL, T(""), T("c")}, 4, "a,,c", 0},
    {"LISTAGG DISTINCT", AGG_LISTAGG, C_TEXT, true, false, {T("b"), T("a"), T("b")}, 3, "b,a", 0},
    {"LISTAGG of nothing", AGG_LISTAGG, C_TEXT, false, false, {NIL}, 1, "NULL", 0},
    {"VAR_POP of 2 4 4 6: 2",
     AGG_VAR_POP,
     C_INT,
     false,
     false,
     {N(2), N(4), N(4), N(6)},
     4,
     "0x1p+1",
     0},
    {"STDDEV_POP of 1 5: 2", AGG_STDDEV_POP, C_DOUBLE, false, false, {R(1), R(5)}, 2, "0x1p+1", 0},
    {"VAR_SAMP of 1 5: 8", AGG_VAR_SAMP, C_BIG, false, false, {N(1), N(5)}, 2, "0x1p+3", 0},
    {"VAR_SAMP of one", AGG_VAR_SAMP, C_INT, false, false, {N(1)}, 1, "NULL", 0},
    {"VAR_POP of one", AGG_VAR_POP, C_INT, false, false, {N(9)}, 1, "0x0p+0", 0},
    {"VAR_POP has no cancellation",
     AGG_VAR_POP,
     C_BIG,
     false,
     false,
     {N(1000000000000000001), N(1000000000000000003)},
     2,
     "0x1p+0",
     0},
    {"STDDEV_SAMP DISTINCT",
     AGG_STDDEV_SAMP,
     C_INT,
     true,
     false,
     {N(1), N(1), N(3), N(5)},
     4,
     "0x1p+1",
     0},
};

Test(aggregate, hand_values)
{
    fill_fields();
    for (size_t h = 0; h < COUNT_OF(hands); h++)
        for (int keyless = 0; keyless < 2; keyless++) {
            const struct hand *c = &hands[h];
            const struct agg_spec spec =
                spec_of(c->kind, c->arg, c->distinct, c->filter ? C_FLAG : -1);
            struct opkit kit;
            struct agg_set *set;
            struct batch *b;
            char text[200];
            void *state;

            opkit_open(&kit, h, 4096);
            set = agg_set_new(&kit.heap, NULL, &spec, 1, keyless);
            state = heap_alloc(&kit.heap, agg_state_bytes(set));
            b = batch_of(&kit, c->rows, c->count, 3);
            agg_init(set, state);
            cr_assert(agg_add_one(set, state, b, NULL, c->count));
            state_text(&kit, set, &spec, 1, state, text, sizeof text);
            cr_expect_str_eq(text, c->expected, "%s: got %s, want %s", c->what, text, c->expected);
            cr_expect_eq(agg_overflows(set), c->overflows, "%s", c->what);
            agg_close(set, state);
            heap_free(&kit.heap, state, agg_state_bytes(set));
            agg_set_free(set);
            batch_release(b);
            opkit_close(&kit);
        }
}

/* ---- types ---- */

Test(aggregate, result_types)
{
    static const struct {
        const char *name;
        int32_t arg;
        const char *expected; /* NULL: refused */
    } cases[] = {{"count", C_TEXT, "BIGINT NOT NULL"},
                 {"SUM", C_TINY, "TINYINT"},
                 {"SUM", C_DEC, "DECIMAL(38, 2)"},
                 {"AVG", C_DEC, "DECIMAL(38, 6)"},
                 {"AVG", C_INT, "INT"},
                 {"AVG", C_FLOAT, "FLOAT"},
                 {"SUM", C_TEXT, NULL},
                 {"AVG", C_FLAG, NULL},
                 {"MIN", C_TEXT, "STRING"},
                 {"MAX", C_FLAG, "BOOLEAN"},
                 {"STDDEV_POP", C_INT, "DOUBLE"},
                 {"VAR_SAMP", C_TEXT, NULL},
                 {"LISTAGG", C_TEXT, "STRING"},
                 {"LISTAGG", C_INT, NULL},
                 {"FIRST_VALUE", C_DEC, "DECIMAL(10, 2)"}};
    enum agg_kind kind;

    fill_fields();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct mill_type out;
        char text[80];

        cr_assert(agg_find(cases[i].name, &kind));
        cr_assert_eq(agg_result_type(kind, &fields[cases[i].arg].type, &out),
                     cases[i].expected != NULL, "%s of column %d", cases[i].name, cases[i].arg);
        if (cases[i].expected != NULL)
            cr_assert_str_eq(type_name(&out, text, sizeof text), cases[i].expected);
    }
    cr_assert(!agg_find("MEDIAN", &kind));
}

/* ---- random: direct, merged, snapshotted ---- */

static uint32_t all_specs(struct agg_spec *specs, bool inexact)
{
    static const enum agg_kind numeric[] = {AGG_SUM,         AGG_AVG,   AGG_MIN,
                                            AGG_MAX,         AGG_COUNT, AGG_VAR_POP,
                                            AGG_STDDEV_SAMP, AGG_FIRST, AGG_LAST};
    uint32_t n = 0;

    for (int32_t c = C_TINY; c <= C_WIDE; c++)
        for (size_t k = 0; k < COUNT_OF(numeric); k++)
            if (inexact || (c != C_FLOAT && c != C_DOUBLE)) {
                specs[n] = spec_of(numeric[k], c, (n * 7) % 3 == 0, n % 5 == 0 ? C_FLAG : -1);
                n++;
            }
    specs[n++] = spec_of(AGG_MIN, C_TEXT, false, -1);
    specs[n++] = spec_of(AGG_MAX, C_TEXT, false, C_FLAG);
    specs[n++] = spec_of(AGG_COUNT, C_TEXT, true, -1);
    specs[n++] = spec_of(AGG_LISTAGG, C_TEXT, false, -1);
    specs[n++] = spec_of(AGG_LISTAGG, C_TEXT, true, -1);
    specs[n++] = spec_of(AGG_FIRST, C_TEXT, false, -1);
    specs[n++] = spec_of(AGG_COUNT_STAR, -1, false, C_FLAG);
    return n;
}

static void random_values(struct opkit *kit, struct value *v, uint32_t n)
{
    static const char *const texts[] = {"", "a", "bb", "a text that is longer than twelve bytes",
                                        "a text that is longer than twelve bytea"};

    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct value){.null = opkit_random(kit) % 5 == 0,
                              .flag = opkit_random(kit) % 2 == 0,
                              .number = (int64_t)(opkit_random(kit) % 50) - 25,
                              .real = (double)opkit_random(kit) / 1e7,
                              .text = texts[opkit_random(kit) % COUNT_OF(texts)]};
}

/* One state by way of: 0 all rows at once; 1 in pieces through agg_add; 2 a state per step, merged;
 * 3 as 2, every state through a snapshot. */
static void by_way(struct opkit *kit, const struct agg_spec *specs, uint32_t count,
                   const struct value *v, uint32_t n, uint32_t per_step, int way, bool keyless,
                   char *text, size_t bytes)
{
    struct agg_set *set = agg_set_new(&kit->heap, NULL, specs, count, keyless);
    void *state = heap_alloc(&kit->heap, agg_state_bytes(set));
    void *part = heap_alloc(&kit->heap, agg_state_bytes(set));

    agg_init(set, state);
    for (uint32_t first = 0; first < n; first += per_step) {
        const uint32_t rows = min_u32(per_step, n - first);
        struct batch *b = batch_of(kit, v + first, rows, first / per_step);

        if (way == 0) {
            cr_assert(agg_add_one(set, state, b, NULL, rows));
        } else if (way == 1) {
            for (uint32_t i = 0; i < rows; i++) {
                const uint16_t row = (uint16_t)i;

                cr_assert(agg_add(set, &state, b, &row, 1));
            }
        } else {
            struct snapshot_writer w = {.heap = &kit->heap};

            agg_init(set, part);
            cr_assert(agg_add_one(set, part, b, NULL, rows));
            if (way == 3) {
                agg_snapshot(set, part, &w);
                agg_close(set, part);
                agg_init(set, part);
                struct snapshot_reader r = {w.bytes, w.bytes + w.length, false};

                cr_assert(agg_restore(set, part, &r));
                cr_assert(r.next == r.end);
            }
            cr_assert(agg_merge(set, state, part));
            agg_close(set, part);
            snapshot_writer_close(&w);
        }
        batch_release(b);
    }
    state_text(kit, set, specs, count, state, text, bytes);
    agg_close(set, state);
    heap_free(&kit->heap, state, agg_state_bytes(set));
    heap_free(&kit->heap, part, agg_state_bytes(set));
    agg_set_free(set);
}

Test(aggregate, the_same_bytes_by_every_way)
{
    fill_fields();
    for (uint64_t seed = 1; seed <= 300; seed++) {
        static char texts[4][1 << 16];
        struct agg_spec specs[100];
        struct value values[200];
        struct opkit kit;
        const uint32_t count = all_specs(specs, true), n = (uint32_t)(seed % 200);
        const uint32_t per_step = 1 + (uint32_t)(seed * 13 % 70);

        opkit_open(&kit, seed, 4096);
        random_values(&kit, values, n);
        for (int way = 0; way < 4; way++) {
            by_way(&kit, specs, count, values, n, per_step, way, seed % 2, texts[way],
                   sizeof texts[way]);
            cr_assert_str_eq(texts[way], texts[0], "seed %llu way %d", (unsigned long long)seed,
                             way);
        }
        opkit_close(&kit);
    }
}

/* Damaged images are refused or read as something, never past their end (run under a sanitizer). */
Test(aggregate, short_images_are_refused)
{
    struct agg_spec specs[100];
    struct value values[20];
    struct opkit kit;
    struct agg_set *set;
    struct snapshot_writer w;
    struct batch *b;
    uint32_t count;
    void *state;

    fill_fields();
    count = all_specs(specs, true);
    opkit_open(&kit, 1, 4096);
    random_values(&kit, values, 20);
    set = agg_set_new(&kit.heap, NULL, specs, count, false);
    state = heap_alloc(&kit.heap, agg_state_bytes(set));
    b = batch_of(&kit, values, 20, 0);
    agg_init(set, state);
    cr_assert(agg_add_one(set, state, b, NULL, 20));
    w = (struct snapshot_writer){.heap = &kit.heap};
    agg_snapshot(set, state, &w);
    agg_close(set, state);
    for (size_t length = 0; length < w.length; length++) {
        struct snapshot_reader r = {w.bytes, w.bytes + length, false};

        agg_init(set, state);
        cr_assert(!agg_restore(set, state, &r), "length %zu", length);
        agg_close(set, state);
    }
    snapshot_writer_close(&w);
    batch_release(b);
    heap_free(&kit.heap, state, agg_state_bytes(set));
    agg_set_free(set);
    opkit_close(&kit);
}
