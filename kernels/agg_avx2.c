/* kernels/agg_avx2.c - aggregating kernels with AVX2. Built with its own flags. */
#include "kernels/agg.h"

#include <immintrin.h>
#include <string.h>

/* Two halves of a state in two registers lose to the plain loops (66 against 300 M rows/s of four aggregates, 10 k states):
 * what ends the step of a sum stores words, which a wider load then waits for. */
static void fold_avx2(const struct mk_fold *f, char *const *states, size_t count)
{
    mk_agg_scalar.fold(f, states, count);
}

#define AHEAD 16

static inline uint32_t bucket_match(const int64_t *words, int64_t key)
{
    const __m256i wanted = _mm256_set1_epi64x(key);
    const __m256i a = _mm256_cmpeq_epi64(_mm256_load_si256((const __m256i *)words), wanted);
    const __m256i b = _mm256_cmpeq_epi64(_mm256_load_si256((const __m256i *)words + 1), wanted);

    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(a)) |
           (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(b)) << 4;
}

static size_t probe_i64_avx2(const struct mk_buckets *t, const int64_t *keys, size_t count,
                             uint32_t *ids)
{
    size_t missing = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t b = mk_hash_word(keys[i], t->seed) >> t->shift;
        const uint32_t match = bucket_match(t->words + b * 8, keys[i]);

        if (t->far && i + AHEAD < count) {
            const uint64_t next = mk_hash_word(keys[i + AHEAD], t->seed) >> t->shift;

            __builtin_prefetch(t->words + next * 8);
            __builtin_prefetch(t->ids + next * 8);
        }
        ids[i] = match != 0 ? t->ids[b * 8 + (uint32_t)__builtin_ctz(match)] : 0;
        missing += ids[i] == 0;
    }
    return missing;
}

/* 64-bit products by 32-bit ones. */
static inline __m256i multiply(__m256i a, uint64_t by)
{
    const __m256i b = _mm256_set1_epi64x((int64_t)by);
    const __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b),
                                           _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32)));

    return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(cross, 32));
}

static inline __m256i mix(__m256i x)
{
    x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 33));
    x = multiply(x, 0xff51afd7ed558ccdull);
    x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 33));
    x = multiply(x, 0xc4ceb9fe1a85ec53ull);
    return _mm256_xor_si256(x, _mm256_srli_epi64(x, 33));
}

/* Gathering four ids at once gains nothing over loading them. */
static size_t index_i64_avx2(const struct mk_index *index, const int64_t *keys, size_t count,
                             uint32_t *ids)
{
    return mk_agg_scalar.index_i64(index, keys, count, ids);
}

static void states_of_avx2(const uint32_t *ids, size_t count, char *states, uint32_t bytes,
                           char **out)
{
    const __m256i base = _mm256_set1_epi64x((int64_t)(uintptr_t)states);
    const __m256i width = _mm256_set1_epi64x(bytes), one = _mm256_set1_epi64x(1);
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i id = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(ids + i)));

        _mm256_storeu_si256((__m256i *)(out + i),
                            _mm256_add_epi64(base,
                                             _mm256_mul_epu32(_mm256_sub_epi64(id, one), width)));
    }
    mk_agg_scalar.states_of(ids + i, count - i, states, bytes, out + i);
}

static void hash_i64_avx2(const int64_t *values, size_t count, uint64_t seed, uint64_t *out)
{
    const __m256i s = _mm256_set1_epi64x((int64_t)seed);
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(values + i));

        mk_ahead(values + i);
        _mm256_storeu_si256((__m256i *)(out + i), mix(_mm256_xor_si256(v, s)));
    }
    for (; i < count; i++)
        out[i] = mk_mix((uint64_t)values[i] ^ seed);
}

static void hash_join_avx2(const uint64_t *hashes, size_t count, uint64_t *inout)
{
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i old = _mm256_loadu_si256((const __m256i *)(inout + i));
        const __m256i by31 = _mm256_sub_epi64(_mm256_slli_epi64(old, 5), old);
        const __m256i h = _mm256_loadu_si256((const __m256i *)(hashes + i));

        _mm256_storeu_si256((__m256i *)(inout + i), mix(_mm256_add_epi64(by31, h)));
    }
    for (; i < count; i++)
        inout[i] = mk_mix(inout[i] * 31 + hashes[i]);
}

static inline __m256i order_of(__m256d v)
{
    const __m256i bits = _mm256_castpd_si256(v);
    const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), bits);
    const __m256i key = _mm256_xor_si256(bits, _mm256_srli_epi64(sign, 1));

    return _mm256_blendv_epi8(key, _mm256_set1_epi64x(0x7ff8000000000000),
                              _mm256_castpd_si256(_mm256_cmp_pd(v, v, _CMP_UNORD_Q)));
}

static void order_f64_avx2(const double *values, size_t count, int64_t *out)
{
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        mk_ahead(values + i);
        _mm256_storeu_si256((__m256i *)(out + i), order_of(_mm256_loadu_pd(values + i)));
    }
    mk_agg_scalar.order_f64(values + i, count - i, out + i);
}

static void sum_lanes_f64_avx2(const double *values, size_t count, size_t first, double lanes[8])
{
    __m256d a, b;
    size_t i = 0;

    for (; i < count && (first + i) % 8 != 0; i++)
        lanes[(first + i) % 8] += values[i];
    a = _mm256_loadu_pd(lanes);
    b = _mm256_loadu_pd(lanes + 4);
    for (; i + 8 <= count; i += 8) {
        a = _mm256_add_pd(a, _mm256_loadu_pd(values + i));
        b = _mm256_add_pd(b, _mm256_loadu_pd(values + i + 4));
    }
    _mm256_storeu_pd(lanes, a);
    _mm256_storeu_pd(lanes + 4, b);
    for (; i < count; i++)
        lanes[(first + i) % 8] += values[i];
}

static inline __m256i lesser(__m256i a, __m256i b)
{
    return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b));
}

static inline __m256i greater(__m256i a, __m256i b)
{
    return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(b, a));
}

static void sum_bounds_f64_avx2(const double *values, size_t count, size_t first, double lanes[8],
                                int64_t bounds[2])
{
    const size_t whole = count / 4 * 4;
    __m256i low = _mm256_set1_epi64x(INT64_MAX), high = _mm256_set1_epi64x(INT64_MIN);
    int64_t lows[4], highs[4];
    double nothing[8] = {0};

    sum_lanes_f64_avx2(values, count, first, lanes);
    for (size_t i = 0; i < whole; i += 4) {
        const __m256i key = order_of(_mm256_loadu_pd(values + i));

        low = lesser(low, key);
        high = greater(high, key);
    }
    _mm256_storeu_si256((__m256i *)lows, low);
    _mm256_storeu_si256((__m256i *)highs, high);
    mk_agg_scalar.sum_bounds_f64(values + whole, count - whole, 0, nothing, bounds);
    for (int i = 0; i < 4; i++) {
        bounds[0] = lows[i] < bounds[0] ? lows[i] : bounds[0];
        bounds[1] = highs[i] > bounds[1] ? highs[i] : bounds[1];
    }
}

static void sum_i64_avx2(const int64_t *values, size_t count, int64_t halves[2])
{
    const __m256i below = _mm256_set1_epi64x(0xffffffff);
    __m256i low = _mm256_setzero_si256(), high = low;
    int64_t l[4], h[4], rest[2];
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(values + i));
        const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), v);

        low = _mm256_add_epi64(low, _mm256_and_si256(v, below));
        high = _mm256_add_epi64(high, _mm256_or_si256(_mm256_srli_epi64(v, 32),
                                                      _mm256_slli_epi64(sign, 32)));
    }
    _mm256_storeu_si256((__m256i *)l, low);
    _mm256_storeu_si256((__m256i *)h, high);
    mk_agg_scalar.sum_i64(values + i, count - i, rest);
    halves[0] = l[0] + l[1] + l[2] + l[3] + rest[0];
    halves[1] = h[0] + h[1] + h[2] + h[3] + rest[1];
}

/* Positions of the set bits of a mask, 16 bits each. */
static const uint64_t places[16] = {0x0000000000000000, 0x0000000000000000, 0x0000000000000001,
                                    0x0000000000010000, 0x0000000000000002, 0x0000000000020000,
                                    0x0000000000020001, 0x0000000200010000, 0x0000000000000003,
                                    0x0000000000030000, 0x0000000000030001, 0x0000000300010000,
                                    0x0000000000030002, 0x0000000300020000, 0x0000000300020001,
                                    0x0003000200010000};

static uint32_t compress_part(const uint64_t *hashes, size_t count, uint32_t parts, uint32_t part,
                              uint16_t *rows)
{
    const __m256i factor = _mm256_set1_epi64x((int64_t)parts);
    const __m256i wanted = _mm256_set1_epi64x((int64_t)part);
    uint64_t at = 0;
    uint32_t n = 0;
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i h = _mm256_loadu_si256((const __m256i *)(hashes + i));
        const __m256i own =
            _mm256_srli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(h, 54), factor), 10);
        const uint32_t mine =
            (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(own, wanted)));
        const uint64_t four = places[mine] + at;

        memcpy(rows + n, &four, 8);
        n += (uint32_t)__builtin_popcount(mine);
        at += 0x0004000400040004;
    }
    for (; i < count; i++) {
        rows[n] = (uint16_t)i;
        n += ((hashes[i] >> 54) * parts >> 10) == part;
    }
    return n;
}

/* One pass for each part: 2.2 G rows/s with 2 parts and 1.2 G with 4, against 0.5 and 0.65 G of the plain loops; with 8 no gain. */
static void partition_avx2(const uint64_t *hashes, size_t count, uint32_t parts, uint32_t *begin,
                           uint16_t *rows)
{
    uint32_t n = 0;

    if (parts > 4) {
        mk_agg_scalar.partition(hashes, count, parts, begin, rows);
        return;
    }
    for (uint32_t p = 0; p < parts; p++) {
        begin[p] = n;
        n += compress_part(hashes, count, parts, p, rows + n);
    }
    begin[parts] = n;
}

const struct mk_agg mk_agg_avx2 = {.fold = fold_avx2,
                                   .probe_i64 = probe_i64_avx2,
                                   .hash_i64 = hash_i64_avx2,
                                   .hash_join = hash_join_avx2,
                                   .order_f64 = order_f64_avx2,
                                   .sum_lanes_f64 = sum_lanes_f64_avx2,
                                   .sum_bounds_f64 = sum_bounds_f64_avx2,
                                   .index_i64 = index_i64_avx2,
                                   .states_of = states_of_avx2,
                                   .sum_i64 = sum_i64_avx2,
                                   .partition = partition_avx2};
