/* tests/test_table.c - the key table: groups of every kind of key, order, growth, memory limit, snapshots. */
#include "tests/opkit.h"
#include "core/state/key.h"
#include "core/state/sorter.h"
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { C_BIG, C_DOUBLE, C_TEXT, C_DEC, C_TINY, COLUMNS };
static struct mill_field fields[COLUMNS];
static const struct mill_schema schema = {COLUMNS, fields};

static void fill_fields(void)
{
    fields[C_BIG] = (struct mill_field){"big", type_make(MILL_BIGINT)};
    fields[C_DOUBLE] = (struct mill_field){"double", type_make(MILL_DOUBLE)};
    fields[C_TEXT] = (struct mill_field){"text", type_string()};
    fields[C_DEC] = (struct mill_field){"dec", type_decimal(20, 2)};
    fields[C_TINY] = (struct mill_field){"tiny", type_make(MILL_TINYINT)};
}

static struct batch *random_batch(struct opkit *kit, uint32_t n, uint32_t range)
{
    static const double reals[] = {0.0, -0.0, 1.5, -2.5, INFINITY, -INFINITY, NAN, -NAN};
    /* of all texts: around as many bytes as a sort looks at */
    static const int common[] = {0, 0, 0, 7, 36, 38, 39, 40, 60};
    const int same = common[opkit_random(kit) % COUNT_OF(common)];
    struct batch *b = batch_new(&kit->heap, n, COLUMNS);

    batch_own_columns(b, &schema);
    for (uint32_t c = 0; c < COLUMNS; c++)
        column_own_validity(b, &b->columns[c]);
    for (uint32_t i = 0; i < n; i++) {
        char text[128];
        const int length =
            snprintf(text, sizeof text,
                     opkit_random(kit) % 2 ? "%.*s%d" : "%.*s%d is a long key here", same,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                     (int)(opkit_random(kit) % range));

        if (length > same + 2)
            text[same + 1] = opkit_random(kit) % 8 == 0 ? '\0' : text[same + 1];
        ((int64_t *)b->columns[C_BIG].values)[i] = (int64_t)(opkit_random(kit) % range) - range / 2;
        ((double *)b->columns[C_DOUBLE].values)[i] = reals[opkit_random(kit) % COUNT_OF(reals)];
        ((struct mill_view *)b->columns[C_TEXT].values)[i] = batch_view(b, text, (uint32_t)length);
        ((int128 *)b->columns[C_DEC].values)[i] = (int128)(int64_t)(opkit_random(kit) % range) - 3;
        ((int8_t *)b->columns[C_TINY].values)[i] = (int8_t)opkit_random(kit);
        for (uint32_t c = 0; c < COLUMNS; c++)
            if (opkit_random(kit) % 9 == 0)
                column_set_null(&b->columns[c], i);
    }
    b->rows = b->live = n;
    return b;
}

/* Compares two rows by the key columns as SQL orders them: NULL first, -0.0 = 0.0, NaN last. */
static int compare_part(const struct batch *x, uint32_t i, const struct batch *y, uint32_t j,
                        uint32_t c)
{
    const struct column *a = &x->columns[c], *b = &y->columns[c];
    const bool va = column_valid(a, i), vb = column_valid(b, j);

    if (!va || !vb)
        return va - vb;
    if (c == C_DOUBLE) {
        const double p = ((double *)a->values)[i], q = ((double *)b->values)[j];

        if (p != p || q != q)
            return (p != p) - (q != q);
        return (p > q) - (p < q);
    }
    if (c == C_TEXT)
        return view_compare((struct mill_view *)a->values + i, (struct mill_view *)b->values + j);
    if (c == C_DEC) {
        const int128 p = ((int128 *)a->values)[i], q = ((int128 *)b->values)[j];

        return (p > q) - (p < q);
    }
    if (c == C_TINY)
        return ((int8_t *)a->values)[i] - ((int8_t *)b->values)[j];
    const int64_t p = ((int64_t *)a->values)[i], q = ((int64_t *)b->values)[j];

    return (p > q) - (p < q);
}

struct keyset {
    uint32_t columns[3], count;
};
static const struct keyset keysets[] =
    {{{C_BIG}, 1},  {{C_DOUBLE}, 1},      {{C_TEXT}, 1},           {{C_DEC}, 1},
     {{C_TINY}, 1}, {{C_BIG, C_TEXT}, 2}, {{C_TEXT, C_DOUBLE}, 2}, {{C_TINY, C_TEXT, C_DEC}, 3}};

static int compare_rows(const struct keyset *k, const struct batch *x, uint32_t i,
                        const struct batch *y, uint32_t j)
{
    int c = 0;

    for (uint32_t p = 0; p < k->count && c == 0; p++)
        c = compare_part(x, i, y, j, k->columns[p]);
    return c;
}

/* In turns of any length; none does more than it may, give or take a run of the merge sort. */
static void sort_in_turns(struct opkit *kit, const struct table *table, uint32_t *order)
{
    const int64_t most = 1 + (int64_t)(opkit_random(kit) % 200);
    struct sorter sorter = {0};
    int64_t budget;

    cr_assert(sorter_open(&sorter, table));
    do {
        budget = most;
    } while (!sorter_turn(&sorter, &budget) && budget > -16 && budget <= 0);
    cr_assert(sorter.phase == SORTER_DONE, "a turn ended with %lld of %lld left", (long long)budget,
              (long long)most);
    memcpy(order, sorter.order, table->groups * sizeof *order);
    sorter_close(&sorter);
}

/* Each state holds the number of the first row of its group: row -> group must be what comparing gives. */
static void check_groups(struct opkit *kit, const struct keyset *k, struct table *table,
                         const struct batch *b, const struct key_batch *keys)
{
    void *states[BATCH_ROWS_MAX];
    uint32_t *order = malloc((table->groups + b->live) * sizeof *order), before = table->groups;
    struct batch *out;

    cr_assert(table_lookup(table, keys, NULL, b->live, states));
    cr_assert_eq(before, 0);
    for (uint32_t i = 0; i < table->groups; i++)
        *(int64_t *)table_state(table, i) = -1;
    for (uint32_t i = 0; i < b->live; i++) {
        if (*(int64_t *)states[i] == -1)
            *(int64_t *)states[i] = i;
        cr_assert_eq(compare_rows(k, b, i, b, (uint32_t) * (int64_t *)states[i]), 0);
        for (uint32_t j = 0; j < i; j++)
            cr_assert_eq(states[i] == states[j], compare_rows(k, b, i, b, j) == 0);
    }
    cr_assert(table_valid(table));
    sort_in_turns(kit, table, order);
    out = batch_new(&kit->heap, BATCH_ROWS_MAX, COLUMNS);
    batch_own_columns(out, &schema);
    for (uint32_t i = 0; i < table->groups; i++)
        for (uint32_t p = 0; p < k->count; p++)
            cr_assert(table_key_value(table, order[i], p, out, &out->columns[k->columns[p]], i));
    for (uint32_t i = 0; i < table->groups; i++) {
        char one[4096], two[4096];
        const uint32_t n = table_key_put(table, order[i], one);

        cr_assert_eq(compare_rows(k, out, i, b,
                                  (uint32_t) * (int64_t *)table_state(table, order[i])),
                     0);
        if (i == 0)
            continue;
        cr_assert_lt(compare_rows(k, out, i - 1, out, i), 0);
        const uint32_t m = table_key_put(table, order[i - 1], two);

        cr_assert_lt(memcmp(two, one, min_u32(n, m)), 0);
    }
    batch_release(out);
    free(order);
}

static void check_restore(struct opkit *kit, const struct table *table)
{
    struct snapshot_writer w = {.heap = &kit->heap};
    struct snapshot_reader r;
    struct table again;

    for (uint32_t i = 0; i < table->groups; i++)
        table_key_snapshot(table, i, &w);
    r = (struct snapshot_reader){w.bytes, w.bytes + w.length, false};
    table_open(&again, &kit->heap, table->layout, 8, 99);
    for (uint32_t i = 0; i < table->groups; i++)
        cr_assert_eq(table_key_restore(&again, &r), i);
    cr_assert(table_valid(&again) && r.next == r.end);
    for (uint32_t i = 0; i < table->groups; i++)
        cr_assert_eq(table_adopt(&again, table, i), i);
    cr_assert_eq(again.groups, table->groups);
    table_close(&again);
    snapshot_writer_close(&w);
}

/* Of a table with the keys of every other row, and of an empty one: what has a group is found, what has none is not added. */
static void check_find(struct opkit *kit, const struct keyset *k, const struct key_layout *layout,
                       const struct batch *b, const struct key_batch *keys)
{
    uint16_t even[BATCH_ROWS_MAX], all[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX], groups, n = 0;
    void *states[BATCH_ROWS_MAX];
    struct table table;

    table_open(&table, &kit->heap, layout, 8, 5);
    table_find(&table, keys, NULL, b->live, ids);
    for (uint32_t i = 0; i < b->live; i++)
        cr_assert_eq(ids[i], TABLE_NO_GROUP);
    for (uint32_t i = 0; i < b->live; i += 2)
        even[n++] = (uint16_t)i;
    for (uint32_t i = 0; i < b->live; i++)
        all[i] = (uint16_t)(b->live - 1 - i);
    cr_assert(table_lookup(&table, keys, even, n, states));
    groups = table.groups;
    for (uint32_t pass = 0; pass < 2; pass++) {
        table_find(&table, keys, pass == 1 ? all : NULL, b->live, ids);
        cr_assert_eq(table.groups, groups);
        for (uint32_t i = 0; i < b->live; i++) {
            const uint32_t row = pass == 1 ? all[i] : i;
            uint32_t group = TABLE_NO_GROUP;

            for (uint32_t j = 0; j < n && group == TABLE_NO_GROUP; j++)
                if (compare_rows(k, b, row, b, even[j]) == 0)
                    group = (uint32_t)(((char *)states[j] - table.states) / 8);
            cr_assert_eq(ids[i], group);
        }
    }
    table_close(&table);
}

Test(table, groups_every_kind_of_key)
{
    fill_fields();
    for (uint64_t seed = 1; seed <= 40; seed++)
        for (size_t i = 0; i < COUNT_OF(keysets); i++) {
            const struct keyset *k = &keysets[i];
            struct opkit kit;
            struct key_layout layout;
            struct key_batch keys;
            struct table table;
            struct batch *b;

            opkit_open(&kit, seed, 4096);
            b = random_batch(&kit, 1 + (uint32_t)(seed * 11 % 400),
                             1 + (uint32_t)(seed * 17 % 500));
            cr_assert(key_layout_open(&layout, &kit.heap, &schema, k->columns, k->count));
            cr_assert(key_batch_open(&keys, &kit.heap));
            cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
            table_open(&table, &kit.heap, &layout, 8, seed);
            check_groups(&kit, k, &table, b, &keys);
            check_restore(&kit, &table);
            table_close(&table);
            check_find(&kit, k, &layout, b, &keys);
            key_batch_close(&keys);
            key_layout_close(&layout);
            batch_release(b);
            opkit_close(&kit);
        }
}

static bool fill_table(struct opkit *kit, struct table *table, const struct key_layout *layout,
                       uint32_t batches)
{
    struct key_batch keys;
    bool ok = true;

    cr_assert(key_batch_open(&keys, &kit->heap));
    for (uint32_t j = 0; j < batches && ok; j++) {
        struct batch *b = batch_new(&kit->heap, BATCH_ROWS_MAX, COLUMNS);
        void *states[BATCH_ROWS_MAX];

        batch_own_columns(b, &schema);
        for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++)
            ((int64_t *)b->columns[C_BIG].values)[i] = (int64_t)(j * BATCH_ROWS_MAX + i) << 20;
        b->rows = b->live = BATCH_ROWS_MAX;
        cr_assert(keys_prepare(layout, b, NULL, b->live, &keys));
        ok = table_lookup(table, &keys, NULL, b->live, states);
        batch_release(b);
    }
    key_batch_close(&keys);
    return ok;
}

/* 1, the bytes with 0 as 0, 255, and 0, 0. */
static uint32_t encode(const char *text, uint32_t length, char *to)
{
    uint32_t n = 0;

    to[n++] = 1;
    for (uint32_t i = 0; i < length; i++) {
        to[n++] = text[i];
        if (text[i] == 0)
            to[n++] = (char)0xff;
    }
    to[n++] = 0;
    to[n++] = 0;
    return n;
}

/* Texts of 0 to 79 bytes in one batch without NULLs, each with its zero at @zero, if it reaches so far. */
Test(table, encodes_texts_of_every_length)
{
    enum { LENGTHS = 80 };
    const uint32_t column = C_TEXT;
    char text[LENGTHS], expected[2 * LENGTHS + 3], found[2 * LENGTHS + 3];
    void *states[LENGTHS];
    struct table table;
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;

    fill_fields();
    opkit_open(&kit, 1, LENGTHS);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    for (uint32_t zero = 0; zero <= LENGTHS; zero++) {
        struct batch *b = batch_new(&kit.heap, LENGTHS, COLUMNS);

        batch_own_columns(b, &schema);
        for (uint32_t i = 0; i < LENGTHS; i++)
            text[i] = i == zero ? 0 : (char)(i * 37 % 255 + 1);
        for (uint32_t i = 0; i < LENGTHS; i++)
            ((struct mill_view *)b->columns[C_TEXT].values)[i] = batch_view(b, text, i);
        b->rows = b->live = LENGTHS;
        table_open(&table, &kit.heap, &layout, 16, 5);
        cr_assert(keys_prepare(&layout, b, NULL, LENGTHS, &keys));
        cr_assert(table_lookup(&table, &keys, NULL, LENGTHS, states));
        cr_assert_eq(table.groups, LENGTHS);
        for (uint32_t i = 0; i < LENGTHS; i++) {
            const uint32_t length = encode(text, i, expected);

            cr_assert_eq(table_key_put(&table, i, found), length, "length %u, zero at %u", i, zero);
            cr_assert_arr_eq(found, expected, length, "length %u, zero at %u", i, zero);
        }
        table_close(&table);
        batch_release(b);
    }
    key_batch_close(&keys);
    key_layout_close(&layout);
    opkit_close(&kit);
}

Test(table, grows_to_a_million_groups)
{
    const uint32_t column = C_BIG;
    struct opkit kit;
    struct key_layout layout;
    struct table table;

    fill_fields();
    opkit_open(&kit, 1, 4096);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    table_open(&table, &kit.heap, &layout, 16, 5);
    cr_assert(fill_table(&kit, &table, &layout, 256));
    cr_assert_eq(table.groups, 1u << 20);
    cr_assert(fill_table(&kit, &table, &layout, 256));
    cr_assert_eq(table.groups, 1u << 20);
    cr_assert(table_valid(&table));
    table_close(&table);
    key_layout_close(&layout);
    opkit_close(&kit);
}

/* Shapes of narrow keys: spread, in a row, in a row with the extremes among them, in clusters far apart, a row below zero. */
static int64_t shaped_key(struct opkit *kit, uint32_t shape, uint32_t i)
{
    const uint64_t random = (uint64_t)opkit_random(kit) << 32 ^ opkit_random(kit);

    switch (shape) {
    case 0: return (int64_t)random;
    case 1: return 1000 + (int64_t)(i * 7919u % 60000);
    case 2: return i == 77 ? INT64_MAX : i == 99 ? INT64_MIN : (int64_t)(i * 7919u % 60000);
    case 3: return (int64_t)(random % 5 << 61) + (int64_t)(random >> 8 & 0x3fff);
    default: return -(int64_t)(random % 40000);
    }
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The groups of so many rows, one of them NULL, in the order of their keys. */
static void check_sorted(uint32_t shape, uint32_t rows)
{
    const uint32_t column = C_BIG;
    int64_t *expected = malloc(rows * sizeof *expected);
    uint32_t n = 0, *order = malloc(rows * sizeof *order);
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table;
    struct sorter sorter = {0};
    int64_t budget = 1ll << 40;

    opkit_open(&kit, 1, BATCH_ROWS_MAX);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 8, 5);
    for (uint32_t first = 0; first < rows; first += BATCH_ROWS_MAX) {
        struct batch *b = batch_new(&kit.heap, BATCH_ROWS_MAX, COLUMNS);
        void *states[BATCH_ROWS_MAX];

        batch_own_columns(b, &schema);
        b->rows = b->live = min_u32(BATCH_ROWS_MAX, rows - first);
        for (uint32_t i = 0; i < b->rows; i++)
            expected[first + i] = ((int64_t *)b->columns[C_BIG].values)[i] =
                shaped_key(&kit, shape, first + i);
        if (first == 0) {
            cr_assert(column_own_validity(b, &b->columns[C_BIG]));
            column_set_null(&b->columns[C_BIG], 0);
            expected[0] = expected[1];
        }
        cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
        cr_assert(table_lookup(&table, &keys, NULL, b->live, states));
        batch_release(b);
    }
    cr_assert(table_valid(&table));
    qsort(expected, rows, sizeof *expected, ascending);
    for (uint32_t i = 0; i < rows; i++)
        if (i == 0 || expected[i] != expected[n - 1])
            expected[n++] = expected[i];
    cr_assert_eq(table.groups, n + 1, "shape %u, %u rows", shape, rows);
    sort_in_turns(&kit, &table, order);
    cr_assert(sorter_open(&sorter, &table) && sorter_turn(&sorter, &budget));
    cr_assert_eq(order[0], table.null_group);
    for (uint32_t i = 0; i < n; i++) {
        cr_assert_eq(table.group_words[order[1 + i]], expected[i], "shape %u, %u rows: %u", shape,
                     rows, i);
        cr_assert_eq(sorter.order[1 + i], order[1 + i]);
        cr_assert(sorter_has_words(&sorter) && sorter_word(&sorter, 1 + i) == expected[i]);
    }
    sorter_close(&sorter);
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    opkit_close(&kit);
    free(order);
    free(expected);
}

Test(table, sorts_narrow_keys_of_any_shape)
{
    fill_fields();
    for (uint32_t shape = 0; shape < 5; shape++)
        for (uint32_t rows = 2; rows < 200000; rows *= 7)
            check_sorted(shape, rows);
}

/* Every limit between nothing and enough: false where it does not suffice, nothing lost. */
Test(table, says_no_at_any_memory_limit)
{
    const uint32_t column = C_BIG;
    bool enough = false;

    fill_fields();
    for (uint64_t limit = 1 << 20; !enough; limit += 200000) {
        struct opkit kit;
        struct key_layout layout;
        struct table table;

        opkit_open(&kit, 1, 4096);
        cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
        table_open(&table, &kit.heap, &layout, 40, 5);
        kit.budget.limit = limit;
        enough = fill_table(&kit, &table, &layout, 12);
        table_close(&table);
        key_layout_close(&layout);
        opkit_close(&kit);
        cr_assert_lt(limit, 1ull << 27);
    }
}

static uint32_t allocations_left;
static void *(*really_alloc)(void *self, void *heap, size_t bytes);

static void *failing_alloc(void *self, void *heap, size_t bytes)
{
    return allocations_left > 0 && --allocations_left > 0 ? really_alloc(self, heap, bytes) : NULL;
}

/* Adds groups until an allocation fails; what is there stays whole, for its owner to close. */
static void check_failing_growth(uint32_t column, uint32_t allocations)
{
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table;
    bool enough = true;

    opkit_open(&kit, 1, 4096);
    really_alloc = kit.env.alloc.alloc;
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 40, 5);
    while (enough) {
        const uint32_t before = table.groups;
        struct batch *b = random_batch(&kit, 500, 1 << 20);
        void *states[BATCH_ROWS_MAX];

        cr_assert(keys_prepare(&layout, b, NULL, b->rows, &keys));
        if (before < 2000)
            allocations_left = UINT32_MAX;
        else
            allocations_left = min_u32(allocations_left, allocations);
        kit.env.alloc.alloc = failing_alloc;
        enough = table_lookup(&table, &keys, NULL, b->rows, states);
        kit.env.alloc.alloc = really_alloc;
        cr_assert_geq(table.groups, before, "%u groups, then %u", before, table.groups);
        for (uint32_t i = 0; i < before; i++)
            cr_assert_eq(*(uint32_t *)table_state(&table, i), i);
        for (uint32_t i = before; i < table.groups; i++)
            *(uint32_t *)table_state(&table, i) = i;
        batch_release(b);
    }
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    opkit_close(&kit);
}

Test(table, keeps_its_groups_when_memory_runs_out)
{
    fill_fields();
    for (uint32_t allocations = 1; allocations < 8; allocations++) {
        check_failing_growth(C_BIG, allocations);
        check_failing_growth(C_TEXT, allocations);
    }
}

/* ---- keys made to meet ---- */

#define FLOOD 3000u

static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;

    for (int i = 0; i < 6; i++)
        x *= 2 - odd * x;
    return x;
}

/* Numbers whose hashes are 0, 1, 2 ...: all in the first bucket. */
static int64_t meeting_number(uint32_t i, uint64_t seed)
{
    uint64_t h = i * inverse(0xd6e8feb86659fd93u);

    h ^= h >> 32;
    h *= inverse(0x9e3779b97f4a7c15u);
    return (int64_t)(h ^ seed);
}

#define MEETING 16 /* bytes */

/* Without zero bytes. What the first word makes of the hash the second takes back. */
static void meeting_text(struct opkit *kit, char text[MEETING])
{
    for (;;) {
        uint64_t word = 0, h = MEETING * 0x9e3779b97f4a7c15u;

        for (int i = 0; i < 8; i++)
            word |= (uint64_t)(1 + opkit_random(kit) % 255) << 8 * i;
        memcpy(text, &word, 8);
        h = (h ^ word) * 0xd6e8feb86659fd93u;
        word = (h ^ h >> 32) ^ 0x1122334455667788u;
        memcpy(text + 8, &word, 8);
        if (memchr(text, 0, MEETING) == NULL)
            return;
    }
}

static void flood(uint32_t column)
{
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table, copy;
    struct batch *b;
    static void *states[FLOOD], *again[FLOOD];

    fill_fields();
    opkit_open(&kit, 9, 4096);
    b = batch_new(&kit.heap, FLOOD, COLUMNS);
    batch_own_columns(b, &schema);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 16, 5);
    for (uint32_t i = 0; i < FLOOD; i++) {
        char text[MEETING];

        meeting_text(&kit, text);
        ((int64_t *)b->columns[C_BIG].values)[i] = meeting_number(i, table.seed);
        ((struct mill_view *)b->columns[C_TEXT].values)[i] = batch_view(b, text, MEETING);
    }
    b->rows = b->live = FLOOD;
    cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
    for (uint32_t i = 0; i < FLOOD; i++) {
        if (column == C_TEXT)
            cr_assert_eq(keys.words[i], keys.words[0], "the texts do not meet");
        else
            cr_assert_lt(mk_hash_word(keys.words[i], table.seed), FLOOD, "numbers do not meet");
    }
    cr_assert(table_lookup(&table, &keys, NULL, FLOOD, states));
    cr_assert_eq(table.groups, FLOOD);
    cr_assert(table_valid(&table));
    cr_assert_lt(table.buckets, FLOOD * 16, "%llu buckets", (unsigned long long)table.buckets);
    cr_assert(table_lookup(&table, &keys, NULL, FLOOD, again));
    cr_assert_eq(table.groups, FLOOD);
    for (uint32_t i = 0; i < FLOOD; i++)
        cr_assert_eq(again[i], table_state(&table, i), "key %u", i);
    table_open(&copy, &kit.heap, &layout, 16, 5);
    for (uint32_t i = 0; i < FLOOD; i++)
        cr_assert_eq(table_adopt(&copy, &table, i), i);
    cr_assert(table_valid(&copy));
    table_close(&copy);
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    batch_free(b);
    opkit_close(&kit);
}

Test(table, numbers_made_to_meet)
{
    flood(C_BIG);
}

Test(table, texts_made_to_meet)
{
    flood(C_TEXT);
}

/* ---- groups that leave ---- */

static bool is_odd(const void *state)
{
    return *(const uint64_t *)state % 2 == 1;
}

/* States are numbers in order of appearance: those of even ones stay with their keys, wherever memory runs out. */
static void leave(uint32_t column)
{
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table;
    struct batch *b;
    void *states[4096];
    uint64_t numbers[4096];
    uint32_t ids[4096], groups, refused = 0;
    bool done = false;

    fill_fields();
    opkit_open(&kit, 11, 4096);
    b = random_batch(&kit, 4096, 3000);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 8, 5);
    cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
    cr_assert(table_lookup(&table, &keys, NULL, b->live, states));
    groups = table.groups;
    for (uint64_t id = 0; id < groups; id++)
        *(uint64_t *)table_state(&table, (uint32_t)id) = id;
    for (uint32_t i = 0; i < b->live; i++)
        numbers[i] = *(uint64_t *)states[i];
    really_alloc = kit.env.alloc.alloc;
    for (uint32_t allocations = 1; !done; allocations++) {
        allocations_left = allocations;
        kit.env.alloc.alloc = failing_alloc;
        done = table_compact(&table, groups / 2, is_odd);
        kit.env.alloc.alloc = really_alloc;
        refused += !done;
        cr_assert(table_valid(&table));
        cr_assert_eq(table.groups, done ? (groups + 1) / 2 : groups);
        cr_assert_lt(allocations, 100);
    }
    cr_assert_gt(refused, 0);
    table_find(&table, &keys, NULL, b->live, ids);
    for (uint32_t i = 0; i < b->live; i++)
        if (numbers[i] % 2 == 1)
            cr_assert_eq(ids[i], TABLE_NO_GROUP);
        else
            cr_assert_eq(*(uint64_t *)table_state(&table, ids[i]), numbers[i]);
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    batch_free(b);
    opkit_close(&kit);
}

Test(table, groups_that_leave)
{
    leave(C_BIG);
    leave(C_TEXT);
}

/* ---- texts as they lie in the batch, and encoded ones ---- */

/* Lengths 0 to 39. A NULL or a zero byte in row 0 makes the whole batch be encoded. */
static struct batch *texts_batch(struct opkit *kit, bool null, bool zero)
{
    struct batch *b = batch_new(&kit->heap, 4096, COLUMNS);
    struct mill_view *views;

    batch_own_columns(b, &schema);
    views = b->columns[C_TEXT].values;
    for (uint32_t i = 0; i < 40; i++) {
        char text[40];

        memset(text, 'a' + (char)(i % 26), sizeof text);
        views[i + 1] = batch_view(b, text, i);
    }
    views[0] = batch_view(b, zero ? "a\0b" : "b", zero ? 3 : 1); /* "b": the second text, too */
    if (null) {
        column_own_validity(b, &b->columns[C_TEXT]);
        column_set_null(&b->columns[C_TEXT], 0);
    }
    b->rows = b->live = 41;
    return b;
}

static void plain_and_encoded(uint64_t view_seed)
{
    const uint32_t column = C_TEXT;
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table;
    void *states[3][41];

    fill_fields();
    opkit_open(&kit, 9, 4096);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 16, 5);
    cr_assert(table_reserve(&table, 64)); /* states do not move */
    table.view_seed = view_seed;
    for (int pass = 0; pass < 3; pass++) {
        struct batch *b = texts_batch(&kit, pass == 1, pass == 2);

        cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
        cr_assert_eq(keys.raw, pass == 0);
        cr_assert(table_lookup(&table, &keys, NULL, b->live, states[pass]));
        batch_free(b);
    }
    cr_assert_eq(table.groups, 40 + 2, "%u groups", table.groups); /* NULL and "a\0b" */
    cr_assert(table_valid(&table));
    cr_assert_eq(states[0][0], states[0][2]);
    cr_assert_neq(states[1][0], states[2][0]);
    for (int i = 1; i < 41; i++) {
        cr_assert_eq(states[1][i], states[0][i], "text %d beside a NULL", i);
        cr_assert_eq(states[2][i], states[0][i], "text %d beside a zero byte", i);
        for (int k = 1; k < i; k++)
            cr_assert_neq(states[0][i], states[0][k], "texts %d and %d", i, k);
    }
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    opkit_close(&kit);
}

Test(table, texts_are_the_same_key_plain_and_encoded)
{
    plain_and_encoded(0);
    plain_and_encoded(77);
}

/* ---- sorting many numbers ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Random keys differ in their first bytes; the second kind agrees in all but one of those, so that later bytes decide. */
static int64_t key_of_kind(struct opkit *kit, int kind)
{
    const uint64_t r = opkit_random(kit) << 32 ^ opkit_random(kit);

    switch (kind) {
    case 0: return (int64_t)r;
    case 1: return (int64_t)((r & 3) << 62 | (r >> 8 & 0xffffff));
    case 2: return (int64_t)(r % 100000);
    default: return (int64_t)((r & 0xff) << 56); /* few */
    }
}

static void sort_many(int kind, uint32_t count)
{
    const uint32_t column = C_BIG;
    struct opkit kit;
    struct key_layout layout;
    struct key_batch keys;
    struct table table;
    static void *states[BATCH_ROWS_MAX];
    uint32_t *order = malloc((count + 1) * sizeof *order);
    int64_t *sorted = malloc((count + 1) * sizeof *sorted);

    fill_fields();
    opkit_open(&kit, 11 + (uint64_t)kind, BATCH_ROWS_MAX);
    cr_assert(key_layout_open(&layout, &kit.heap, &schema, &column, 1));
    cr_assert(key_batch_open(&keys, &kit.heap));
    table_open(&table, &kit.heap, &layout, 8, 5);
    for (uint32_t done = 0; done < count; done += BATCH_ROWS_MAX) {
        struct batch *b = batch_new(&kit.heap, BATCH_ROWS_MAX, COLUMNS);

        batch_own_columns(b, &schema);
        b->rows = b->live = min_u32(count - done, BATCH_ROWS_MAX);
        for (uint32_t i = 0; i < b->rows; i++)
            ((int64_t *)b->columns[C_BIG].values)[i] = key_of_kind(&kit, kind);
        cr_assert(keys_prepare(&layout, b, NULL, b->live, &keys));
        cr_assert(table_lookup(&table, &keys, NULL, b->live, states));
        batch_free(b);
    }
    sort_in_turns(&kit, &table, order);
    if (table.groups > 0)
        memcpy(sorted, table.group_words, table.groups * sizeof *sorted);
    qsort(sorted, table.groups, sizeof *sorted, by_value);
    for (uint32_t i = 0; i < table.groups; i++)
        cr_assert_eq(table.group_words[order[i]], sorted[i], "kind %d, place %u of %u", kind, i,
                     table.groups);
    free(order);
    free(sorted);
    table_close(&table);
    key_batch_close(&keys);
    key_layout_close(&layout);
    opkit_close(&kit);
}

Test(table, many_numbers_are_sorted)
{
    for (int kind = 0; kind < 4; kind++) {
        sort_many(kind, 0);
        sort_many(kind, 1);
        sort_many(kind, 1000);
        sort_many(kind, 100000);
    }
}
