/* tests/test_order.c - event-time order against a stable sort: nearly sorted, random, reversed and equal times. */
#include "core/state/order.h"
#include "tests/opkit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct naive {
    int64_t time, value;
    uint32_t arrival;
    bool gone;
};

static const struct mill_field fields[] = {{"v", {.kind = MILL_BIGINT}},
                                           {"s", {.kind = MILL_VARCHAR, .length = 100}}};
static const struct mill_schema schema = {2, (struct mill_field *)fields};

static int64_t time_of(struct opkit *kit, uint32_t kind, int64_t i)
{
    switch (kind) {
    case 0: return i;
    case 1: return i - (int64_t)(opkit_random(kit) % 40);
    case 2: return (int64_t)(opkit_random(kit) % 5000);
    case 3: return 10000 - i;
    default: return (i * 7919) % 13;
    }
}

static bool push(struct opkit *kit, struct order *order, struct naive *rows, uint32_t first,
                 uint32_t count)
{
    struct batch *b = batch_new(&kit->heap, 64, 2);
    uint16_t which[64];
    int64_t times[64];
    bool ok;

    batch_own_columns(b, &schema);
    column_own_validity(b, &b->columns[0]);
    for (uint32_t i = 0; i < count; i++) {
        char text[40];
        const int n =
            snprintf(text, sizeof text, "row number %lld", (long long)rows[first + i].value);

        ((int64_t *)b->columns[0].values)[i] = rows[first + i].value;
        ((struct mill_view *)b->columns[1].values)[i] = batch_view(b, text, (uint32_t)n);
        if (rows[first + i].value % 5 == 0)
            column_set_null(&b->columns[0], i);
        which[i] = (uint16_t)i;
        times[i] = rows[first + i].time;
    }
    b->rows = b->live = count;
    b->step = first;
    ok = order_push(order, b, which, times, count);
    batch_release(b);
    return ok;
}

static struct naive *least(struct naive *rows, uint32_t count, int64_t w)
{
    struct naive *found = NULL;

    for (uint32_t i = 0; i < count; i++)
        if (!rows[i].gone && rows[i].time <= w && (found == NULL || rows[i].time < found->time))
            found = &rows[i];
    return found;
}

static void check_release(struct order *order, struct naive *rows, uint32_t count, int64_t w)
{
    struct order_ref ref;
    struct naive *expected;

    while (order_next(order, w, &ref)) {
        char text[40];
        const struct mill_view *s =
            (struct mill_view *)ref.block->rows->columns[1].values + ref.row;

        expected = least(rows, count, w);
        cr_assert_not_null(expected);
        cr_assert_eq(ref.time, expected->time);
        cr_assert_eq(ref.arrival, expected->arrival);
        snprintf(text, sizeof text, "row number %lld", (long long)expected->value);
        cr_assert(strlen(text) == s->length && memcmp(text, mill_view_data(s), s->length) == 0);
        cr_assert_eq(column_valid(&ref.block->rows->columns[0], ref.row), expected->value % 5 != 0);
        expected->gone = true;
        order_drop(order, ref.block);
    }
    cr_assert_null(least(rows, count, w));
}

static void reload(struct opkit *kit, struct order *order, uint32_t block_rows)
{
    struct snapshot_writer w = {.heap = &kit->heap};
    struct snapshot_reader r;

    order_snapshot(order, &w);
    order_close(order);
    order_open(order, &kit->heap, &schema, block_rows);
    r = (struct snapshot_reader){w.bytes, w.bytes + w.length, false};
    cr_assert(order_restore(order, &r));
    cr_assert(r.next == r.end);
    snapshot_writer_close(&w);
}

static void stream(uint32_t kind, uint64_t seed, bool reloads)
{
    struct naive rows[3000];
    struct opkit kit;
    struct order order;
    uint32_t count = 0;
    int64_t w = TIME_MIN;
    const uint32_t block_rows = seed % 2 == 0 ? 7 : 1024;

    opkit_open(&kit, seed, 64);
    order_open(&order, &kit.heap, &schema, block_rows);
    while (count < 3000) {
        const uint32_t first = count,
                       n = min_u32(1 + (uint32_t)(opkit_random(&kit) % 60), 3000 - count);

        for (uint32_t i = 0; i < n; i++, count++)
            rows[count] =
                (struct naive){max_i64(time_of(&kit, kind, count), w == TIME_MIN ? w : w + 1),
                               (int64_t)(opkit_random(&kit) % 1000), count, false};
        cr_assert(push(&kit, &order, rows, first, n));
        cr_assert(order_valid(&order));
        if (opkit_random(&kit) % 4 == 0) {
            w = max_i64(w, rows[opkit_random(&kit) % count].time - 20);
            check_release(&order, rows, count, w);
            cr_assert(order_valid(&order));
        }
        if (reloads && opkit_random(&kit) % 8 == 0)
            reload(&kit, &order, block_rows);
    }
    if (seed % 3 != 0)
        check_release(&order, rows, count, TIME_MAX);
    order_close(&order);
    opkit_close(&kit);
}

Test(order, is_a_stable_sort_by_time)
{
    for (uint32_t kind = 0; kind < 5; kind++)
        for (uint64_t seed = 1; seed < 5; seed++)
            stream(kind, seed, false);
}

Test(order, survives_snapshots)
{
    for (uint32_t kind = 0; kind < 5; kind++)
        for (uint64_t seed = 5; seed < 8; seed++)
            stream(kind, seed, true);
}
