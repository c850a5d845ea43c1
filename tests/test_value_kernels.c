/* tests/test_value_kernels.c - comparison, selection and arithmetic of every usable instruction set against a naive
 * recomputation in wider types, for every length from 0 to 130, unaligned starts, constants and edge values. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EACH_TABLE(t)                                                                              \
    const struct mk_table *room[MK_TABLES + 1];                                                    \
    for (const struct mk_table *const *t = mk_usable(room); *t != NULL; t++)

static const size_t widths[] = {1, 2, 4, 8, 4, 8};

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 16 ^ *state << 40;
}

/* Few values, so that equal ones meet, and the edges. */
static void fill(enum mk_kind kind, void *to, size_t count, uint64_t *seed)
{
    static const int64_t edges[] = {0,         1,         -1,        2,   INT64_MIN,
                                    INT64_MAX, INT32_MIN, INT32_MAX, 127, -128};
    static const double reals[] = {0, -0.0, 1, -1.5, NAN, INFINITY, -INFINITY, 1e300, 1e-300, 3.25};

    for (size_t i = 0; i < count; i++) {
        const int64_t v = next(seed) % 4 == 0 ? (int64_t)next(seed) : edges[next(seed) % 10];
        const double d = next(seed) % 4 == 0 ? (double)(int64_t)next(seed) : reals[next(seed) % 10];

        switch (kind) {
        case MK_I8: ((int8_t *)to)[i] = (int8_t)v; break;
        case MK_I16: ((int16_t *)to)[i] = (int16_t)v; break;
        case MK_I32: ((int32_t *)to)[i] = (int32_t)v; break;
        case MK_I64: ((int64_t *)to)[i] = v; break;
        case MK_F32: ((float *)to)[i] = (float)d; break;
        case MK_F64: ((double *)to)[i] = d; break;
        }
    }
}

static int64_t integer(enum mk_kind kind, const void *p, size_t i)
{
    switch (kind) {
    case MK_I8: return ((const int8_t *)p)[i];
    case MK_I16: return ((const int16_t *)p)[i];
    case MK_I32: return ((const int32_t *)p)[i];
    default: return ((const int64_t *)p)[i];
    }
}

static double real(enum mk_kind kind, const void *p, size_t i)
{
    return kind == MK_F32 ? ((const float *)p)[i] : ((const double *)p)[i];
}

/* -1, 0, 1; 2: not comparable. */
static int order(enum mk_kind kind, const void *a, size_t i, const void *b, size_t k)
{
    if (kind >= MK_F32) {
        const double x = real(kind, a, i), y = real(kind, b, k);

        return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
    }
    const __int128 difference = (__int128)integer(kind, a, i) - integer(kind, b, k);

    return (difference > 0) - (difference < 0);
}

static bool holds(enum mk_compare how, int o)
{
    switch (how) {
    case MK_EQ: return o == 0;
    case MK_NE: return o != 0;
    case MK_LT: return o == -1;
    case MK_LE: return o == -1 || o == 0;
    case MK_GT: return o == 1;
    default: return o == 1 || o == 0;
    }
}

/* Room for 130 values of @kind that ends where the allocation ends. */
struct side {
    char *memory;
    const void *values;
};

static struct side side_make(enum mk_kind kind, size_t start, size_t count, uint64_t *seed)
{
    struct side s = {malloc((start + count) * widths[kind] + 1), NULL};

    fill(kind, s.memory, start + count, seed);
    s.values = s.memory + start * widths[kind];
    return s;
}

Test(value_kernels, comparisons)
{
    uint64_t seed = 11;

    for (enum mk_kind kind = MK_I8; kind <= MK_F64; kind++)
        for (size_t count = 0; count <= 130; count++) {
            const size_t start = count % 9;
            struct side a = side_make(kind, start, count + 1, &seed);
            struct side b = side_make(kind, start / 2, count + 1, &seed);

            for (uint32_t mode = 0; mode < 6 * 4 * 2; mode++) {
                const enum mk_compare how = (enum mk_compare)(mode / 8);
                const bool ac = mode & 1, bc = mode & 2, some = mode & 4;
                uint16_t rows[131], want[131], got[131];
                uint8_t flags[131] = {0};
                uint32_t n = 0, live = 0;

                for (uint32_t i = 0; i < count; i++)
                    if (!some || next(&seed) % 3 != 0)
                        rows[live++] = (uint16_t)i;
                for (uint32_t i = 0; i < live; i++)
                    if (holds(how,
                              order(kind, a.values, ac ? 0 : rows[i], b.values, bc ? 0 : rows[i])))
                        want[n++] = rows[i];
                EACH_TABLE(t)
                {
                    uint32_t found = (*t)->select(kind, how, a.values, b.values, ac, bc,
                                                  some ? rows : NULL, live, got);

                    cr_assert(found == n && memcmp(want, got, n * 2) == 0,
                              "%s: select, kind %d, how %d, %zu rows, mode %u", (*t)->isa, kind,
                              how, count, mode);
                    if (some) { /* in place */
                        memcpy(got, rows, sizeof got);
                        found = (*t)->select(kind, how, a.values, b.values, ac, bc, got, live, got);
                        cr_assert(found == n && memcmp(want, got, n * 2) == 0, "%s: in place",
                                  (*t)->isa);
                        continue;
                    }
                    (*t)->compare(kind, how, a.values, b.values, ac, bc, (uint32_t)count, flags);
                    for (uint32_t i = 0; i < (ac && bc && count > 1 ? 1 : count); i++)
                        cr_assert_eq(flags[i],
                                     holds(how,
                                           order(kind, a.values, ac ? 0 : i, b.values, bc ? 0 : i)),
                                     "%s: compare, kind %d, how %d, row %u of %zu", (*t)->isa, kind,
                                     how, i, count);
                }
            }
            free(a.memory);
            free(b.memory);
        }
}

Test(value_kernels, arithmetic)
{
    uint64_t seed = 12;

    for (enum mk_kind kind = MK_I8; kind <= MK_F64; kind++)
        for (size_t count = 0; count <= 130; count++) {
            struct side a = side_make(kind, count % 7, count + 1, &seed);
            struct side b = side_make(kind, count % 5, count + 1, &seed);

            for (uint32_t mode = 0; mode < 3 * 4; mode++) {
                const enum mk_arith how = (enum mk_arith)(mode / 4);
                const bool ac = mode & 1, bc = mode & 2;

                EACH_TABLE(t)
                {
                    uint64_t out[131];

                    (*t)->arith(kind, how, a.values, b.values, ac, bc, (uint32_t)count, out);
                    for (uint32_t i = 0; i < (ac && bc && count > 1 ? 1 : count); i++) {
                        const size_t x = ac ? 0 : i, y = bc ? 0 : i;
                        bool same;

                        if (kind >= MK_F32) {
                            const double p = real(kind, a.values, x), q = real(kind, b.values, y);
                            double want = how == MK_ADD ? p + q : how == MK_SUB ? p - q : p * q;

                            if (kind == MK_F32) /* of two floats a double holds each result */
                                want = (float)want;
                            same = isnan(want) ? isnan(real(kind, out, i))
                                               : want == real(kind, out, i) &&
                                                     signbit(want) == signbit(real(kind, out, i));
                        } else {
                            const __int128 p = integer(kind, a.values, x),
                                           q = integer(kind, b.values, y);
                            const __int128 exact = how == MK_ADD   ? p + q
                                                   : how == MK_SUB ? p - q
                                                                   : p * q;
                            const int bits = (int)widths[kind] * 8;

                            same = (uint64_t)exact << (64 - bits) == (uint64_t)integer(kind, out, i)
                                                                         << (64 - bits);
                        }
                        cr_assert(same, "%s: kind %d how %d mode %u, row %u of %zu", (*t)->isa,
                                  kind, how, mode, i, count);
                    }
                }
            }
            free(a.memory);
            free(b.memory);
        }
}
