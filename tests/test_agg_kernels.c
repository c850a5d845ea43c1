/* tests/test_agg_kernels.c - the aggregating kernels of every usable instruction set against naive recomputations, at every
 * length from 0 to 130 and from unaligned starts. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 20 ^ *state << 30;
}

static double real_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

/* Also infinities, zeros of both signs and NaNs of both signs. */
static double any_double(uint64_t *state)
{
    static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, 1.5, -1e300, 4.9e-324};
    const uint64_t r = next(state);

    if (r % 11 < 7)
        return odd[r % 11];
    if (r % 11 == 7)
        return real_bits(0xfff8000000000001ull + (r & 0xff));
    return (double)(int64_t)next(state) / 3;
}

/* ---- folding ---- */

enum { OP_NONE, OP_ONES, OP_ADD, OP_LOW, OP_HIGH, OP_REAL, OP_LEAST, OP_MOST, OP_STEP, OP_SEEN };

struct plan {
    struct mk_fold fold;
    int op[8], source[8];
};

static int64_t values[8][200];

/* Word 0: seen; a step and real sums in pairs, or none; the rest at random. @split: as most sets lie, one sum in words 3 and 4. */
static void random_plan(struct plan *p, uint64_t *state, bool split)
{
    unsigned w = 1;

    memset(p, 0, sizeof *p);
    p->op[0] = OP_SEEN;
    p->fold.seen = next(state) % 4;
    p->fold.source_count = 1 + (uint32_t)(next(state) % 4);
    if (split || next(state) % 2 == 0) {
        p->fold.roll = true;
        p->fold.step_word = w;
        p->fold.step = 7;
        p->op[w++] = OP_STEP;
    }
    if (split) {
        p->op[4] = OP_REAL;
        w = 5;
    }
    for (; w < 8; w++) {
        static const int of_split[7] = {OP_NONE, OP_ONES, OP_ADD, OP_ONES, OP_ADD, OP_LEAST, 6};
        const int any = (int)(next(state) % 7), op = split ? of_split[any] : any;

        p->source[w] = (int)(next(state) % p->fold.source_count);
        if (op == OP_REAL && p->fold.roll && w < 7) {
            p->source[w + 1] = p->source[w];
            p->op[++w] = OP_REAL;
        } else if (op == OP_LOW && w < 7) {
            p->op[w] = OP_LOW;
            p->op[w + 1] = OP_HIGH;
            p->source[w + 1] = p->source[w];
            w++;
        } else if (op != OP_REAL && op != OP_HIGH && op != OP_LOW) {
            p->op[w] = op == 6 ? OP_MOST : op == 5 ? OP_LEAST : op;
        }
    }
    for (w = 0; w < 8; w++) {
        const uint8_t bit = (uint8_t)(1u << w);
        uint8_t *const sets[] = {NULL,          &p->fold.ones, &p->fold.add,   &p->fold.low,
                                 &p->fold.high, &p->fold.real, &p->fold.least, &p->fold.most};

        if (p->op[w] == OP_NONE || p->op[w] >= OP_STEP)
            continue;
        *sets[p->op[w]] |= bit;
        if (p->op[w] != OP_ONES)
            p->fold.sources[p->source[w]].words |= bit;
    }
    for (unsigned s = 0; s < p->fold.source_count; s++)
        p->fold.sources[s].values = values[s];
}

static void naive_row(const struct plan *p, int64_t *words, size_t i)
{
    if (p->fold.roll && words[p->fold.step_word] != (int64_t)p->fold.step) {
        for (int w = 0; w < 8; w++)
            if (p->op[w] == OP_REAL) {
                double *sum = (double *)(words + w);

                sum[-1] += sum[0];
                sum[0] = -0.0;
            }
        words[p->fold.step_word] = (int64_t)p->fold.step;
    }
    words[0] |= (int64_t)p->fold.seen;
    for (int w = 0; w < 8; w++) {
        const int64_t x = p->fold.sources[p->source[w]].values[i];

        switch (p->op[w]) {
        case OP_ONES: words[w]++; break;
        case OP_ADD: words[w] = (int64_t)((uint64_t)words[w] + (uint64_t)x); break;
        case OP_LOW: {
            unsigned __int128 sum;

            memcpy(&sum, words + w, 16);
            sum += (unsigned __int128)(__int128)x;
            memcpy(words + w, &sum, 16);
            break;
        }
        case OP_REAL: *(double *)(words + w) += real_bits((uint64_t)x); break;
        case OP_LEAST: words[w] = x < words[w] ? x : words[w]; break;
        case OP_MOST: words[w] = x > words[w] ? x : words[w]; break;
        default: break;
        }
    }
}

static void fill_values(const struct plan *p, uint64_t *state)
{
    for (int s = 0; s < 8; s++) {
        bool is_real = false;

        for (int w = 0; w < 8; w++)
            is_real |= p->op[w] == OP_REAL && p->source[w] == s;
        for (int i = 0; i < 200; i++) {
            const double v = (double)(int64_t)next(state) / 1024;

            if (is_real)
                memcpy(&values[s][i], &v, 8);
            else
                values[s][i] = (int64_t)next(state) >> next(state) % 60;
        }
    }
}

Test(agg_kernels, fold_equals_row_by_row)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    static _Alignas(64) int64_t begin[40 * 8], expected[40 * 8], got[40 * 8];

    for (uint64_t seed = 1; seed <= 600; seed++) {
        uint64_t state = seed * 77;
        const size_t count = seed <= 131 ? seed - 1 : next(&state) % 190;
        const size_t groups = 1 + next(&state) % 39;
        char *expected_at[200], *got_at[200];
        struct plan p;

        random_plan(&p, &state, seed > 400);
        fill_values(&p, &state);
        for (size_t i = 0; i < groups * 8; i++) {
            const double v = (double)(int64_t)next(&state) / 512;

            begin[i] = (int64_t)next(&state);
            if (p.op[i % 8] == OP_REAL || (i % 8 < 7 && p.op[i % 8 + 1] == OP_REAL))
                memcpy(begin + i, &v, 8);
            if (p.op[i % 8] == OP_STEP)
                begin[i] = (int64_t)(5 + next(&state) % 3);
        }
        for (size_t i = 0; i < count; i++) {
            const size_t g = next(&state) % groups;

            expected_at[i] = (char *)(expected + g * 8);
            got_at[i] = (char *)(got + g * 8);
        }
        memcpy(expected, begin, sizeof begin);
        for (size_t i = 0; i < count; i++)
            naive_row(&p, (int64_t *)expected_at[i], i);
        for (size_t t = 0; tables[t] != NULL; t++) {
            memcpy(got, begin, sizeof begin);
            tables[t]->agg->fold(&p.fold, got_at, count);
            for (size_t i = 0; i < groups * 8; i++)
                cr_assert_eq(got[i], expected[i], "%s: seed %llu, group %zu, word %zu, op %d",
                             tables[t]->isa, (unsigned long long)seed, i / 8, i % 8, p.op[i % 8]);
        }
    }
}

/* ---- probing ---- */

Test(agg_kernels, probe_finds_what_stands_in_its_bucket)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    static _Alignas(64) int64_t words[64 * 8];
    static uint32_t ids[64 * 8], got[900];
    static int64_t keys[901];
    struct mk_buckets b = {.words = words, .ids = ids, .seed = 99, .shift = 58};
    uint64_t state = 5;

    for (int i = 0; i < 200; i++) {
        const int64_t key = i == 0 ? 0 : (int64_t)next(&state);
        uint32_t at = (uint32_t)(mk_hash_word(key, 99) >> 58) * 8, s = 0;

        while (s < 8 && ids[at + s] != 0)
            s++;
        keys[i] = key;
        if (s < 8 && i % 3 != 0) {
            words[at + s] = key;
            ids[at + s] = (uint32_t)i + 1;
        }
    }
    for (int i = 200; i < 901; i++)
        keys[i] = next(&state) % 2 == 0 ? keys[next(&state) % 200] : (int64_t)next(&state);
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t far = 0; far < 2; far++)
            for (size_t count = 0; count <= 900; count += count < 131 ? 1 : 769) {
                const size_t start = count % 2;
                size_t missing = 0, said;

                b.far = far != 0;
                said = tables[t]->agg->probe_i64(&b, keys + start, count, got);
                for (size_t i = 0; i < count; i++) {
                    const size_t at = (mk_hash_word(keys[start + i], 99) >> 58) * 8;
                    uint32_t id = 0;

                    for (size_t s = 0; s < 8 && ids[at + s] != 0; s++)
                        if (words[at + s] == keys[start + i])
                            id = ids[at + s];
                    missing += id == 0;
                    cr_assert_eq(got[i], id, "%s: %zu of %zu", tables[t]->isa, i, count);
                }
                cr_assert_eq(said, missing, "%s: %zu missing of %zu", tables[t]->isa, missing,
                             count);
            }
}

/* ---- hashes, orders, sums, parts ---- */

Test(agg_kernels, hashes_equal_the_definition)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint64_t state = 3, in[140], out[140], joined[140];

    for (int i = 0; i < 140; i++)
        in[i] = next(&state);
    /* the finaliser's published value for 1 */
    cr_assert_eq(mk_mix(1), 0xb456bcfc34c2cb2cull);
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t count = 0; count <= 130; count++) {
                tables[t]->agg->hash_i64((const int64_t *)in + start, count, 12345, out);
                memcpy(joined, out, sizeof out);
                tables[t]->agg->hash_join(in + start, count, joined);
                for (size_t i = 0; i < count; i++) {
                    cr_assert_eq(out[i], mk_mix(in[start + i] ^ 12345), "%s", tables[t]->isa);
                    cr_assert_eq(joined[i], mk_mix(out[i] * 31 + in[start + i]), "%s",
                                 tables[t]->isa);
                }
            }
}

Test(agg_kernels, doubles_order_like_their_keys)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint64_t state = 8;
    double in[140];
    int64_t out[140];

    for (int i = 0; i < 140; i++)
        in[i] = any_double(&state);
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t count = 0; count <= 130; count++) {
                tables[t]->agg->order_f64(in + start, count, out);
                for (size_t i = 0; i < count; i++)
                    for (size_t k = 0; k < count; k += 7) {
                        const double a = in[start + i], b = in[start + k];
                        const bool less = isnan(b)   ? !isnan(a)
                                          : isnan(a) ? false
                                          : a == b   ? signbit(a) && !signbit(b)
                                                     : a < b;

                        cr_assert_eq(out[i] < out[k], less, "%s: %a and %a", tables[t]->isa, a, b);
                    }
            }
}

/* Sums as sum_lanes_f64(), bounds by comparing the doubles themselves: NaN is greatest, -0.0 before 0.0. */
static void check_sum_bounds(const struct mk_table *t, const double *reals, size_t count,
                             size_t first, const double naive[8])
{
    double lanes[8] = {1, -2, 3, -0.0, 5, 6, 7, 1e18};
    const double *least = reals, *most = reals;
    int64_t bounds[2], keys[2];

    if (count == 0)
        return;
    for (const double *v = reals; v < reals + count; v++) {
        const bool zeros = *v == 0 && *least == 0, also = *v == 0 && *most == 0;

        if (zeros ? signbit(*v) > signbit(*least) : *v < *least || (isnan(*least) && !isnan(*v)))
            least = v;
        if (also ? signbit(*v) < signbit(*most) : *v > *most || (isnan(*v) && !isnan(*most)))
            most = v;
    }
    mk_scalar.agg->order_f64(least, 1, &keys[0]);
    mk_scalar.agg->order_f64(most, 1, &keys[1]);
    t->agg->sum_bounds_f64(reals, count, first, lanes, bounds);
    cr_assert_eq(memcmp(lanes, naive, sizeof lanes), 0, "%s: lanes, %zu", t->isa, count);
    cr_assert_eq(bounds[0], keys[0], "%s: least of %zu", t->isa, count);
    cr_assert_eq(bounds[1], keys[1], "%s: most of %zu", t->isa, count);
}

Test(agg_kernels, sums_equal_a_loop)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint64_t state = 21;
    double reals[140];
    int64_t integers[140];

    for (int i = 0; i < 140; i++) {
        reals[i] = (double)(int64_t)next(&state) / 77;
        integers[i] = i % 5 == 0 ? INT64_MIN : i % 5 == 1 ? INT64_MAX : (int64_t)next(&state);
    }
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t count = 0; count <= 130; count++) {
                double lanes[8] = {1, -2, 3, -0.0, 5, 6, 7, 1e18}, naive[8];
                int64_t halves[2];
                __int128 sum = 0;

                memcpy(naive, lanes, sizeof lanes);
                for (size_t i = 0; i < count; i++) {
                    naive[(start * 3 + i) % 8] += reals[start + i];
                    sum += integers[start + i];
                }
                tables[t]->agg->sum_lanes_f64(reals + start, count, start * 3, lanes);
                cr_assert_eq(memcmp(lanes, naive, sizeof lanes), 0, "%s: %zu from %zu",
                             tables[t]->isa, count, start);
                check_sum_bounds(tables[t], reals + start, count, start * 3, naive);
                tables[t]->agg->sum_i64(integers + start, count, halves);
                cr_assert((__int128)halves[1] * ((int64_t)1 << 32) + halves[0] == sum,
                          "%s: %zu from %zu", tables[t]->isa, count, start);
            }
}

Test(agg_kernels, index_finds_what_it_holds)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint32_t by_key[50], got[141];
    int64_t keys[141];
    char *states[141], memory[1];
    uint64_t state = 9;

    for (uint32_t k = 0; k < 50; k++)
        by_key[k] = k % 7 == 3 ? 0 : 1000 + k;
    for (int round = 0; round < 2; round++) {
        const struct mk_index index = {by_key, round == 0 ? -20 : INT64_MIN, 50};

        for (size_t t = 0; tables[t] != NULL; t++)
            for (size_t count = 0; count <= 140; count++) {
                size_t missing = 0;

                for (size_t i = 0; i < count; i++) /* below, in and above the range, and far away */
                    keys[i] = i % 13 == 12 ? INT64_MAX - (int64_t)i
                                           : (int64_t)((uint64_t)index.base + next(&state) % 60 -
                                                       (round == 0 ? 5 : 0));
                got[count] = 77;
                const size_t said = tables[t]->agg->index_i64(&index, keys, count, got);

                for (size_t i = 0; i < count; i++) {
                    uint32_t id = 0;

                    for (uint32_t k = 0; k < 50; k++)
                        if (keys[i] == (int64_t)((uint64_t)index.base + k))
                            id = by_key[k];
                    missing += id == 0;
                    cr_assert_eq(got[i], id, "%s: key %lld", tables[t]->isa, (long long)keys[i]);
                    got[i] = id != 0 ? id : 4000000000u;
                }
                cr_assert_eq(said, missing, "%s: %zu keys", tables[t]->isa, count);
                cr_assert_eq(got[count], 77, "%s: behind the end", tables[t]->isa);
                states[count] = memory;
                tables[t]->agg->states_of(got, count, memory, 4096, states);
                for (size_t i = 0; i < count; i++)
                    cr_assert_eq((uint64_t)(uintptr_t)states[i],
                                 (uint64_t)(uintptr_t)memory + (got[i] - 1ull) * 4096);
                cr_assert_eq(states[count], memory, "%s: behind the end", tables[t]->isa);
            }
    }
}

Test(agg_kernels, partition_keeps_the_order_of_each_part)
{
    static const uint32_t parts[] = {1, 2, 3, 4, 7, 8, 9, 16, 100, 256};
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint64_t state = 4, hashes[140];
    uint32_t begin[257];
    uint16_t rows[140 + 64];

    for (int i = 0; i < 140; i++)
        hashes[i] = next(&state) << 30 ^ next(&state);
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            for (size_t count = 0; count <= 130; count++) {
                uint32_t n = 0;

                tables[t]->agg->partition(hashes + count % 8, count, parts[p], begin, rows);
                for (uint32_t part = 0; part < parts[p]; part++) {
                    cr_assert_eq(begin[part], n, "%s: %u parts", tables[t]->isa, parts[p]);
                    for (size_t i = 0; i < count; i++)
                        if ((hashes[count % 8 + i] >> 54) * parts[p] / 1024 == part)
                            cr_assert_eq(rows[n++], i, "%s: %u parts, %zu rows", tables[t]->isa,
                                         parts[p], count);
                }
                cr_assert_eq(begin[parts[p]], count, "%s", tables[t]->isa);
            }
}
