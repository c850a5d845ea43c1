/* tests/test_rows.c - the row store against plain arrays: values of every kind, chains, freeing, memory, snapshots. */
#include "core/state/rows.h"
#include "tests/opkit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { C_BIG, C_TEXT, C_DEC, C_TINY, C_ROW, COLUMNS };
enum { ROWS_MOST = 6000, KEYS = 37 };

static struct mill_field inner[2], fields[COLUMNS];
static const struct mill_schema schema = {COLUMNS, fields};

static void fill_fields(void)
{
    inner[0] = (struct mill_field){"a", type_make(MILL_INT)};
    inner[1] = (struct mill_field){"b", type_string()};
    fields[C_BIG] = (struct mill_field){"big", type_make(MILL_BIGINT)};
    fields[C_TEXT] = (struct mill_field){"text", type_string()};
    fields[C_DEC] = (struct mill_field){"dec", type_decimal(20, 2)};
    fields[C_TINY] = (struct mill_field){"tiny", type_make(MILL_TINYINT)};
    fields[C_ROW] = (struct mill_field){"row", type_make(MILL_ROW)};
    fields[C_ROW].type.fields = inner;
    fields[C_ROW].type.field_count = 2;
}

/* What a row holds follows from its number alone. */
static bool null_of(uint64_t number, uint32_t column)
{
    return (number * 2654435761u >> (8 + column)) % 5 == 0;
}

static int text_of(uint64_t number, char *to, size_t room)
{
    return snprintf(to, room, number % 3 == 0 ? "%llu" : "the text of row number %llu",
                    (unsigned long long)number);
}

static void put_row(struct batch *b, uint32_t r, uint64_t number)
{
    struct column *row = &b->columns[C_ROW];
    char text[60];
    const int n = text_of(number, text, sizeof text);

    ((int64_t *)b->columns[C_BIG].values)[r] = (int64_t)number;
    ((struct mill_view *)b->columns[C_TEXT].values)[r] = batch_view(b, text, (uint32_t)n);
    ((int128 *)b->columns[C_DEC].values)[r] = (int128)number << 70;
    ((int8_t *)b->columns[C_TINY].values)[r] = (int8_t)number;
    ((int32_t *)row->children[0].values)[r] = (int32_t)number * 3;
    ((struct mill_view *)row->children[1].values)[r] = batch_view(b, text, (uint32_t)n);
    for (uint32_t c = 0; c < COLUMNS; c++)
        if (null_of(number, c))
            column_put_null(b, &b->columns[c], r);
}

static struct batch *rows_of(struct opkit *kit, const uint64_t *numbers, uint32_t count)
{
    struct batch *b = batch_new(&kit->heap, BATCH_ROWS_MAX, COLUMNS);

    cr_assert(batch_own_columns(b, &schema));
    for (uint32_t i = 0; i < count; i++)
        put_row(b, i, numbers[i]);
    b->rows = b->live = count;
    b->step = count;
    b->place_base = 77;
    return b;
}

static void value_text(char *to, size_t room, const struct mill_type *type, const struct column *c,
                       uint32_t row)
{
    char a[100], b[100];

    if (type->kind != MILL_ROW || !column_valid(c, row)) {
        opkit_value_text(to, room, type, c, row);
        return;
    }
    opkit_value_text(a, sizeof a, &type->fields[0].type, &c->children[0], row);
    opkit_value_text(b, sizeof b, &type->fields[1].type, &c->children[1], row);
    snprintf(to, room, "(%s,%s)", a, b);
}

static bool same_row(const struct row_store *store, const uint32_t *columns, uint64_t a, uint64_t b)
{
    for (uint32_t k = 0; k < store->column_count; k++) {
        const uint32_t c = columns != NULL ? columns[k] : k;

        if (null_of(a, c) != null_of(b, c) || (!null_of(a, c) && a != b))
            return false;
    }
    return true;
}

/* The same rows, as the store's columns give them (@columns of the schema). */
static void check_gather(struct opkit *kit, const struct row_store *store, const uint32_t *columns,
                         const uint32_t *ids, const uint64_t *numbers, uint32_t count)
{
    struct batch *expected = rows_of(kit, numbers, count);
    struct batch *b = batch_new(&kit->heap, BATCH_ROWS_MAX, COLUMNS);

    cr_assert(batch_own_columns(b, &schema));
    for (uint32_t k = 0; k < store->column_count; k++) {
        const uint32_t c = columns != NULL ? columns[k] : k;

        cr_assert(rows_gather(store, ids, count / 2, k, b, &b->columns[c], 0));
        cr_assert(rows_gather(store, ids + count / 2, count - count / 2, k, b, &b->columns[c],
                              count / 2));
        for (uint32_t i = 0; i < count; i++) {
            char one[220], two[220];

            value_text(one, sizeof one, &fields[c].type, &b->columns[c], i);
            value_text(two, sizeof two, &fields[c].type, &expected->columns[c], i);
            if (ids[i] == ROW_NONE)
                cr_assert_not(column_valid(&b->columns[c], i));
            else
                cr_assert_str_eq(one, two, "column %u of row %llu", c,
                                 (unsigned long long)numbers[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] != ROW_NONE) {
            cr_assert(rows_equal(store, ids[i], expected, i));
            cr_assert_eq(rows_equal(store, ids[i], expected, (i + 1) % count),
                         same_row(store, columns, numbers[i], numbers[(i + 1) % count]));
        }
    batch_release(b);
    batch_release(expected);
}

/* A chain and what should be in it. */
struct keyed {
    struct row_chain chain;
    uint64_t numbers[ROWS_MOST];
    uint32_t count;
};

static void check_chains(struct opkit *kit, const struct row_store *store, const uint32_t *columns,
                         struct keyed *keyed)
{
    uint64_t rows = 0;

    cr_assert(rows_valid(store));
    for (uint32_t k = 0; k < KEYS; k++) {
        uint32_t ids[ROWS_MOST], n = 0;

        cr_assert(chain_valid(store, &keyed[k].chain));
        cr_assert_eq(keyed[k].chain.count, keyed[k].count);
        for (uint32_t id = keyed[k].chain.head; id != ROW_NONE; id = *rows_next(store, id))
            ids[n++] = id;
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(*rows_time(store, ids[i]), (int64_t)keyed[k].numbers[i]);
            cr_assert_eq(*rows_mark(store, ids[i]), (uint32_t)keyed[k].numbers[i] + 1);
        }
        if (n > 0)
            check_gather(kit, store, columns, ids, keyed[k].numbers, min_u32(n, BATCH_ROWS_MAX));
        rows += n;
    }
    cr_assert_eq(rows, store->rows);
}

static void add_rows(struct opkit *kit, struct row_store *store, struct keyed *keyed,
                     uint64_t first, uint32_t count)
{
    struct row_chain *chains[BATCH_ROWS_MAX];
    uint64_t numbers[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX], n = 0;
    uint16_t which[BATCH_ROWS_MAX];
    struct batch *b;

    for (uint32_t i = 0; i < count; i++)
        numbers[i] = first + i;
    b = rows_of(kit, numbers, count);
    for (uint32_t i = 0; i < count; i++) /* not all of the batch */
        if (first % 2 == 0 || i % 3 != 0)
            which[n++] = (uint16_t)i;
    cr_assert(rows_append(store, b, n == count ? NULL : which, n, ids));
    for (uint32_t i = 0; i < n; i++) {
        struct keyed *k = &keyed[opkit_random(kit) % KEYS];

        chains[i] = &k->chain;
        k->numbers[k->count++] = first + which[i];
        *rows_time(store, ids[i]) = (int64_t)(first + which[i]);
        cr_assert_eq(*rows_mark(store, ids[i]), 0);
        *rows_mark(store, ids[i]) = (uint32_t)(first + which[i]) + 1;
        cr_assert_eq(*rows_step(store, ids[i]), count);
        cr_assert_eq(*rows_place(store, ids[i]), 77u + which[i]);
    }
    chain_push_all(store, chains, ids, n);
    batch_release(b);
}

/* Every row of the chains goes with probability @percent, the chain's order stays. */
static void drop_rows(struct opkit *kit, struct row_store *store, struct keyed *keyed,
                      uint32_t percent)
{
    for (uint32_t k = 0; k < KEYS; k++) {
        uint32_t before = ROW_NONE, kept = 0, n = keyed[k].count;

        for (uint32_t i = 0; i < n; i++) {
            if (opkit_random(kit) % 100 < percent) {
                const uint32_t id = chain_take(store, &keyed[k].chain, before);

                rows_free(store, &id, 1);
                continue;
            }
            before = before == ROW_NONE ? keyed[k].chain.head : *rows_next(store, before);
            keyed[k].numbers[kept++] = keyed[k].numbers[i];
        }
        keyed[k].count = kept;
    }
}

static void reload(struct opkit *kit, struct row_store *store, const uint32_t *columns,
                   struct keyed *keyed)
{
    const uint32_t extra = store->extra, count = store->column_count;
    struct snapshot_writer w = {.heap = &kit->heap};
    struct snapshot_reader r;

    for (uint32_t k = 0; k < KEYS; k++)
        chain_save(store, &keyed[k].chain, &w);
    rows_close(store);
    cr_assert(rows_open(store, &kit->heap, &schema, columns, count, extra));
    r = (struct snapshot_reader){w.bytes, w.bytes + w.length, false};
    for (uint32_t k = 0; k < KEYS; k++)
        cr_assert(chain_restore(store, &keyed[k].chain, &r));
    cr_assert(r.next == r.end && !r.failed);
    r = (struct snapshot_reader){w.bytes, w.bytes + w.length / 2, false};
    for (uint32_t k = 0; k < KEYS && store->rows > 0; k++) { /* a damaged image is told */
        struct row_chain chain;
        const bool ok = chain_restore(store, &chain, &r);

        chain_free(store, &chain);
        if (!ok)
            break;
        cr_assert_lt(k, KEYS - 1);
    }
    snapshot_writer_close(&w);
}

static void stream(uint64_t seed)
{
    static const uint32_t some[] = {C_TEXT, C_ROW, C_BIG};
    const uint32_t *columns = seed % 2 == 0 ? some : NULL;
    struct keyed *keyed = calloc(KEYS, sizeof *keyed);
    struct opkit kit;
    struct row_store store;
    uint64_t next = 0;

    opkit_open(&kit, seed, 64);
    for (uint32_t k = 0; k < KEYS; k++)
        chain_open(&keyed[k].chain);
    cr_assert(
        rows_open(&store, &kit.heap, &schema, columns, 3, ROWS_TIME | ROWS_PLACE | ROWS_MARK));
    while (next < ROWS_MOST) {
        const uint32_t n =
            min_u32(1 + (uint32_t)(opkit_random(&kit) % 1500), ROWS_MOST - (uint32_t)next);

        add_rows(&kit, &store, keyed, next, n);
        next += n;
        if (opkit_random(&kit) % 2 == 0)
            drop_rows(&kit, &store, keyed, (uint32_t)(opkit_random(&kit) % 4) * 33);
        check_chains(&kit, &store, columns, keyed);
        if (opkit_random(&kit) % 4 == 0) {
            reload(&kit, &store, columns, keyed);
            check_chains(&kit, &store, columns, keyed);
        }
    }
    drop_rows(&kit, &store, keyed, 100);
    cr_assert_eq(store.rows, 0);
    cr_assert_eq(store.blocks_held, 0);
    add_rows(&kit, &store, keyed, 0, 10);
    check_chains(&kit, &store, columns, keyed);
    rows_reset(&store);
    cr_assert(rows_valid(&store) && store.rows == 0);
    rows_close(&store);
    free(keyed);
    opkit_close(&kit);
}

Test(rows, keep_values_chains_and_order)
{
    fill_fields();
    for (uint64_t seed = 1; seed <= 16; seed++)
        stream(seed);
}

Test(rows, no_row_is_null)
{
    const uint64_t numbers[] = {1, 2, 3, 4, 5};
    struct row_store store;
    struct opkit kit;
    struct batch *b;
    uint32_t ids[5];

    fill_fields();
    opkit_open(&kit, 1, 64);
    cr_assert(rows_open(&store, &kit.heap, &schema, NULL, 0, 0));
    b = rows_of(&kit, numbers, 5);
    cr_assert(rows_append(&store, b, NULL, 5, ids));
    ids[1] = ids[4] = ROW_NONE;
    check_gather(&kit, &store, NULL, ids, numbers, 5);
    batch_release(b);
    rows_close(&store);
    opkit_close(&kit);
}

/* A window of rows moves on, by the oldest or by chance: memory stays about what the rows need. */
Test(rows, memory_comes_back)
{
    enum { WINDOW = 8 * ROWS_BLOCK, BATCHES = 200 };
    fill_fields();
    for (uint32_t by_chance = 0; by_chance < 2; by_chance++) {
        uint32_t *held = malloc((WINDOW + ROWS_BLOCK) * sizeof *held), count = 0;
        uint64_t numbers[ROWS_BLOCK], most = 0, filled = 0;
        struct row_store store;
        struct opkit kit;

        opkit_open(&kit, 3, 64);
        cr_assert(rows_open(&store, &kit.heap, &schema, NULL, 0, 0));
        for (uint32_t i = 0; i < BATCHES; i++) {
            struct batch *b;

            for (uint32_t k = 0; k < ROWS_BLOCK; k++)
                numbers[k] = i * ROWS_BLOCK + k;
            b = rows_of(&kit, numbers, ROWS_BLOCK);
            cr_assert(rows_append(&store, b, NULL, ROWS_BLOCK, held + count));
            batch_release(b);
            count += ROWS_BLOCK;
            if (i == 7)
                filled = rows_bytes(&store);
            while (count > WINDOW) {
                const uint32_t gone = by_chance ? (uint32_t)(opkit_random(&kit) % count) : 0;
                const uint32_t n = by_chance ? 1 : ROWS_BLOCK;

                rows_free(&store, held + gone, n);
                memmove(held + gone, held + gone + n, (count - gone - n) * sizeof *held);
                count -= n;
            }
            cr_assert(rows_valid(&store));
            most = max_u64(most, rows_bytes(&store));
        }
        cr_assert_leq(most, filled * (by_chance ? 3 : 2), "%llu bytes, once full %llu",
                      (unsigned long long)most, (unsigned long long)filled);
        rows_free(&store, held, count);
        cr_assert_eq(store.blocks_held, 0);
        rows_close(&store);
        free(held);
        opkit_close(&kit);
    }
}

/* Out of memory: nothing of the batch stays, what was there does. */
Test(rows, without_memory_nothing_is_lost)
{
    uint64_t numbers[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];
    struct row_store store;
    struct opkit kit;
    struct batch *b;

    fill_fields();
    opkit_open(&kit, 3, 64);
    cr_assert(rows_open(&store, &kit.heap, &schema, NULL, 0, 0));
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++)
        numbers[i] = i;
    b = rows_of(&kit, numbers, 10);
    cr_assert(rows_append(&store, b, NULL, 10, ids));
    batch_release(b);
    b = rows_of(&kit, numbers, BATCH_ROWS_MAX);
    for (uint64_t room = 0; room < 1000000; room += 50000) {
        uint32_t more[BATCH_ROWS_MAX];

        kit.budget.limit = at_load_relaxed(&kit.budget.used) + room;
        if (rows_append(&store, b, NULL, BATCH_ROWS_MAX, more))
            rows_free(&store, more, BATCH_ROWS_MAX);
        cr_assert(rows_valid(&store));
        cr_assert_eq(store.rows, 10);
    }
    kit.budget.limit = UINT64_MAX;
    check_gather(&kit, &store, NULL, ids, numbers, 10);
    batch_release(b);
    rows_close(&store);
    opkit_close(&kit);
}
