/* tests/test_expiry.c - ids in order of time against a stable sort: nearly sorted, random, reversed, equal and far apart times. */
#include "core/state/expiry.h"
#include "tests/opkit.h"

#include <criterion/criterion.h>

#define IDS 3000u

struct naive {
    int64_t time;
    bool gone;
};

static int64_t time_of(struct opkit *kit, uint32_t kind, int64_t i)
{
    switch (kind) {
    case 0: return i;
    case 1: return i - (int64_t)(opkit_random(kit) % 40);
    case 2: return (int64_t)(opkit_random(kit) % 5000) - 2500;
    case 3: return 10000 - i;
    case 4: return (i * 7919) % 13;
    default: return (int64_t)(opkit_random(kit) >> 2) - (1ll << 61);
    }
}

/* The least by (time, arrival) with time <= @limit; IDS: none. */
static uint32_t least(const struct naive *ids, uint32_t count, int64_t limit)
{
    uint32_t found = IDS;

    for (uint32_t i = 0; i < count; i++)
        if (!ids[i].gone && ids[i].time <= limit && (found == IDS || ids[i].time < ids[found].time))
            found = i;
    return found;
}

static void count_up(void *user, const struct expiry_entry *entry)
{
    (void)entry;
    ++*(uint32_t *)user;
}

static void play(struct opkit *kit, uint32_t kind, int64_t width)
{
    static struct naive ids[IDS];
    struct expiry e;
    struct expiry_entry entry;
    uint32_t count = 0, waiting = 0;

    expiry_open(&e, &kit->heap, width);
    while (count < IDS) {
        const uint32_t more = (uint32_t)(opkit_random(kit) % 200) + 1;
        int64_t limit;
        uint32_t want, each = 0;

        for (uint32_t i = 0; i < more && count < IDS; i++, count++, waiting++) {
            ids[count] = (struct naive){time_of(kit, kind, count), false};
            cr_assert(expiry_add(&e, ids[count].time, count));
        }
        limit = count == IDS ? TIME_MAX : ids[opkit_random(kit) % count].time - 5;
        cr_assert(expiry_valid(&e), "kind %u, width %lld", kind, (long long)width);
        while ((want = least(ids, count, limit)) != IDS) {
            cr_assert_leq(expiry_least(&e), ids[want].time);
            cr_assert_gt(expiry_first_end(&e), expiry_least(&e));
            cr_assert(expiry_take(&e, limit, &entry));
            cr_assert_eq(entry.id, want, "kind %u, width %lld: id %u for %u", kind,
                         (long long)width, entry.id, want);
            ids[want].gone = true;
            waiting--;
        }
        cr_assert_not(expiry_take(&e, limit, &entry));
        expiry_each(&e, count_up, &each);
        cr_assert_eq(each, waiting);
    }
    cr_assert_eq(e.ids, 0u);
    expiry_close(&e);
}

Test(expiry, as_a_stable_sort)
{
    static const int64_t widths[] = {1, 7, 1000, 1000000};
    struct opkit kit;

    opkit_open(&kit, 42, 64);
    for (uint32_t kind = 0; kind < 6; kind++)
        for (size_t w = 0; w < COUNT_OF(widths); w++)
            play(&kit, kind, widths[w]);
    opkit_close(&kit);
}
