/* tests/test_kernels.c - every kernel of every usable instruction set against a naive recomputation, at every length
 * from 0 to 130 and from unaligned starts. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static unsigned next(unsigned *state)
{
    return (*state = *state * 1664525u + 1013904223u) >> 8;
}

static void fill(char *bytes, size_t length, unsigned seed)
{
    static const char alphabet[] = ",\n\"ab0\0\xff";

    for (size_t i = 0; i < length; i++)
        bytes[i] = alphabet[next(&seed) % 8];
}

Test(kernels, find_any3_equals_a_loop)
{
    const struct mk_table *room[4];
    const struct mk_table *const *tables = mk_usable(room);
    char bytes[200];
    uint32_t positions[264];

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 0; length <= 130; length++) {
                uint32_t n = 0, found;

                fill(bytes, sizeof bytes, (unsigned)(length * 31 + start));
                found = tables[t]->find_any3(bytes + start, length, ',', '\n', '"', positions);
                for (size_t i = 0; i < length; i++)
                    if (strchr(",\n\"", bytes[start + i]) != NULL && bytes[start + i] != '\0') {
                        cr_assert_lt(n, found, "%s: length %zu misses a position", tables[t]->isa,
                                     length);
                        cr_assert_eq(positions[n], i, "%s: length %zu start %zu", tables[t]->isa,
                                     length, start);
                        n++;
                    }
                cr_assert_eq(n, found, "%s: length %zu finds too many", tables[t]->isa, length);
            }
}

Test(kernels, count_byte_equals_a_loop)
{
    const struct mk_table *room[4];
    const struct mk_table *const *tables = mk_usable(room);
    char bytes[200];

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 0; length <= 130; length++) {
                size_t n = 0;

                fill(bytes, sizeof bytes, (unsigned)(length * 17 + start));
                for (size_t i = 0; i < length; i++)
                    n += bytes[start + i] == '"';
                cr_assert_eq(tables[t]->count_byte(bytes + start, length, '"'), n, "%s: length %zu",
                             tables[t]->isa, length);
            }
}

Test(kernels, bounds_equal_a_loop)
{
    const struct mk_table *room[4];
    const struct mk_table *const *tables = mk_usable(room);
    int64_t values[140];
    unsigned seed = 7;

    for (size_t i = 0; i < 140; i++)
        values[i] = (int64_t)(((uint64_t)next(&seed) << 40) - (1ull << 62));
    values[5] = INT64_MIN;
    values[77] = INT64_MAX;
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 1; length <= 130; length++) {
                int64_t low = values[start], high = low, least, most;

                for (size_t i = 0; i < length; i++) {
                    low = values[start + i] < low ? values[start + i] : low;
                    high = values[start + i] > high ? values[start + i] : high;
                }
                tables[t]->bounds_i64(values + start, length, &least, &most);
                cr_assert_eq(least, low, "%s: length %zu", tables[t]->isa, length);
                cr_assert_eq(most, high, "%s: length %zu", tables[t]->isa, length);
            }
}

Test(kernels, an_unknown_instruction_set_is_refused)
{
    char why[100] = "";

    cr_assert_null(mk_select("sse9", why, sizeof why));
    cr_assert_not_null(strstr(why, "sse9"));
    cr_assert_str_eq(mk_select("scalar", why, sizeof why)->isa, "scalar");
}
