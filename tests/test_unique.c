/* tests/test_unique.c - the index of distinct keys against a search through all of them. */
#include "core/state/unique.h"
#include "tests/opkit.h"

#include <criterion/criterion.h>

enum { MOST = 3000, LOOKUPS = 1000 };

static bool search(const int64_t *keys, uint32_t count, int64_t key, uint64_t *value)
{
    for (uint32_t i = 0; i < count; i++)
        if (keys[i] == key) {
            *value = i * 7ull;
            return true;
        }
    return false;
}

Test(unique, finds_what_is_there)
{
    static int64_t keys[MOST];
    static uint64_t own[MOST];

    for (uint64_t seed = 1; seed <= 40; seed++) {
        int64_t asked[LOOKUPS];
        uint64_t values[LOOKUPS];
        bool found[LOOKUPS];
        struct unique u;
        struct opkit kit;
        uint32_t count = 0, wanted;

        opkit_open(&kit, seed, 64);
        wanted = (uint32_t)(opkit_random(&kit) % (seed % 3 == 0 ? MOST : 9));
        for (uint64_t value = opkit_random(&kit); count < wanted; count++) {
            value += 1 + opkit_random(&kit) % 3;
            keys[count] = (int64_t)(seed % 2 == 0 ? value : value << 54 | value);
            own[count] = count * 7ull;
        }
        cr_assert(unique_open(&u, &kit.heap, count, seed, -77));
        cr_assert(unique_add(&u, keys, own, count / 2));
        cr_assert(unique_add(&u, keys + count / 2, own + count / 2, count - count / 2));
        unique_seal(&u);
        for (uint32_t i = 0; i < LOOKUPS; i++)
            asked[i] = count > 0 && opkit_random(&kit) % 2 == 0
                           ? keys[opkit_random(&kit) % count]
                           : (int64_t)opkit_random(&kit) - (int64_t)(i % 3);
        cr_assert(unique_find(&u, asked, LOOKUPS, values, found));
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            uint64_t value = 0;

            cr_assert_eq(found[i], search(keys, count, asked[i], &value));
            if (found[i])
                cr_assert_eq(values[i], value);
        }
        asked[500] = -77;
        cr_assert_not(unique_find(&u, asked, LOOKUPS, values, found));
        unique_close(&u);
        opkit_close(&kit);
    }
}
