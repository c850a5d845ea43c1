/* kernels/agg_scalar.c - the definition of the aggregating kernels, on any processor. */
#include "kernels/agg.h"

#include <string.h>

#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif

static inline double real_of(int64_t bits)
{
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

static inline int64_t *word_of(const struct mk_fold *f, char *state, unsigned w)
{
    return (int64_t *)(state + f->at) + w;
}

/* The step of each state, and the sums that belong to an earlier one. */
static void roll_steps(const struct mk_fold *f, char *const *states, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t *words = word_of(f, states[i], 0);

        if (words[f->step_word] == (int64_t)f->step)
            continue;
        for (unsigned w = 1; w < MK_FOLD_WORDS; w++)
            if ((f->real >> w & 1) != 0) {
                double *sum = (double *)(words + w);

                sum[-1] += sum[0];
                sum[0] = -0.0;
            }
        words[f->step_word] = (int64_t)f->step;
    }
}

static void fold_source(const struct mk_fold *f, char *const *states, size_t count, unsigned w,
                        const int64_t *x)
{
    const unsigned bit = 1u << w;

    if ((f->add & bit) != 0) {
        for (size_t i = 0; i < count; i++)
            *(uint64_t *)word_of(f, states[i], w) += (uint64_t)x[i];
    } else if ((f->low & bit) != 0) {
        for (size_t i = 0; i < count; i++) {
            uint64_t *sum = (uint64_t *)word_of(f, states[i], w);

            sum[0] += (uint64_t)x[i];
            sum[1] += (uint64_t)(x[i] >> 63) + (sum[0] < (uint64_t)x[i]);
        }
    } else if ((f->real & bit) != 0) {
        for (size_t i = 0; i < count; i++)
            *(double *)word_of(f, states[i], w) += real_of(x[i]);
    } else if ((f->least & bit) != 0) {
        for (size_t i = 0; i < count; i++) {
            int64_t *word = word_of(f, states[i], w);

            *word = x[i] < *word ? x[i] : *word;
        }
    } else if ((f->most & bit) != 0) {
        for (size_t i = 0; i < count; i++) {
            int64_t *word = word_of(f, states[i], w);

            *word = x[i] > *word ? x[i] : *word;
        }
    }
}

static void fold_scalar(const struct mk_fold *f, char *const *states, size_t count)
{
    if (f->roll)
        roll_steps(f, states, count);
    for (size_t i = 0; f->seen != 0 && i < count; i++)
        *word_of(f, states[i], 0) |= (int64_t)f->seen;
    for (unsigned w = 0; w < MK_FOLD_WORDS; w++) {
        if ((f->ones >> w & 1) != 0)
            for (size_t i = 0; i < count; i++)
                *word_of(f, states[i], w) += 1;
        for (uint32_t s = 0; s < f->source_count; s++)
            if ((f->sources[s].words >> w & 1) != 0)
                fold_source(f, states, count, w, f->sources[s].values);
    }
}

/* Bits of the slots of a bucket that hold @word; empty slots may show up behind the filled ones. */
static inline uint32_t bucket_match(const int64_t *words, int64_t word)
{
#if defined(__SSE4_1__)
    const __m128i wanted = _mm_set1_epi64x(word);
    const __m128i *w = (const __m128i *)words;
    const __m128i a = _mm_packs_epi32(_mm_cmpeq_epi64(_mm_load_si128(w), wanted),
                                      _mm_cmpeq_epi64(_mm_load_si128(w + 1), wanted));
    const __m128i b = _mm_packs_epi32(_mm_cmpeq_epi64(_mm_load_si128(w + 2), wanted),
                                      _mm_cmpeq_epi64(_mm_load_si128(w + 3), wanted));

    /* 4 bytes a slot in 2 registers, then 2 bytes in one, then 1 */
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(a, b), _mm_setzero_si128()));
#else
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 8; i++)
        bits |= (uint32_t)(words[i] == word) << i;
    return bits;
#endif
}

#define AHEAD 16

static size_t probe_i64_scalar(const struct mk_buckets *t, const int64_t *keys, size_t count,
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

static size_t index_i64_scalar(const struct mk_index *index, const int64_t *keys, size_t count,
                               uint32_t *ids)
{
    size_t missing = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)keys[i] - (uint64_t)index->base;

        mk_ahead(keys + i);
        ids[i] = at < index->room ? index->ids[at] : 0;
        missing += ids[i] == 0;
    }
    return missing;
}

static void states_of_scalar(const uint32_t *ids, size_t count, char *states, uint32_t bytes,
                             char **out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = states + (size_t)(ids[i] - 1) * bytes;
}

static void hash_i64_scalar(const int64_t *values, size_t count, uint64_t seed, uint64_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = mk_mix((uint64_t)values[i] ^ seed);
}

static void hash_join_scalar(const uint64_t *hashes, size_t count, uint64_t *inout)
{
    for (size_t i = 0; i < count; i++)
        inout[i] = mk_mix(inout[i] * 31 + hashes[i]);
}

static void order_f64_scalar(const double *values, size_t count, int64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int64_t bits;

        memcpy(&bits, values + i, 8);
        out[i] = values[i] != values[i] ? 0x7ff8000000000000
                                        : bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
    }
}

static void sum_lanes_f64_scalar(const double *values, size_t count, size_t first, double lanes[8])
{
    for (size_t i = 0; i < count; i++)
        lanes[(first + i) % 8] += values[i];
}

static void sum_bounds_f64_scalar(const double *values, size_t count, size_t first, double lanes[8],
                                  int64_t bounds[2])
{
    bounds[0] = INT64_MAX;
    bounds[1] = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t key;

        order_f64_scalar(values + i, 1, &key);
        lanes[(first + i) % 8] += values[i];
        bounds[0] = key < bounds[0] ? key : bounds[0];
        bounds[1] = key > bounds[1] ? key : bounds[1];
    }
}

static void sum_i64_scalar(const int64_t *values, size_t count, int64_t halves[2])
{
    halves[0] = halves[1] = 0;
    for (size_t i = 0; i < count; i++) {
        halves[0] += values[i] & 0xffffffff;
        halves[1] += values[i] >> 32;
    }
}

static void partition_scalar(const uint64_t *hashes, size_t count, uint32_t parts, uint32_t *begin,
                             uint16_t *rows)
{
    uint32_t next[257] = {0};

    for (size_t i = 0; i < count; i++)
        next[((hashes[i] >> 54) * parts >> 10) + 1]++;
    for (uint32_t p = 0; p < parts; p++) {
        next[p + 1] += next[p];
        begin[p] = next[p];
    }
    begin[parts] = next[parts];
    for (size_t i = 0; i < count; i++)
        rows[next[(hashes[i] >> 54) * parts >> 10]++] = (uint16_t)i;
}

const struct mk_agg mk_agg_scalar = {.fold = fold_scalar,
                                     .probe_i64 = probe_i64_scalar,
                                     .hash_i64 = hash_i64_scalar,
                                     .index_i64 = index_i64_scalar,
                                     .states_of = states_of_scalar,
                                     .hash_join = hash_join_scalar,
                                     .order_f64 = order_f64_scalar,
                                     .sum_lanes_f64 = sum_lanes_f64_scalar,
                                     .sum_bounds_f64 = sum_bounds_f64_scalar,
                                     .sum_i64 = sum_i64_scalar,
                                     .partition = partition_scalar};
