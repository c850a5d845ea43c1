/* kernels/agg.h - the contracts of the kernels that aggregate and look up keys; a part of struct mk_table.
 *
 * Threads: pure.   Errors: none.   Includes: libc
 */
#ifndef MILL_KERNELS_AGG_H
#define MILL_KERNELS_AGG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MK_FOLD_WORDS 8

/* For columns read from front to back: the machine's own prefetching begins anew in every page of 4 KiB, so the lines half a
 * page ahead are asked for, also behind the end. */
static inline void mk_ahead(const void *at)
{
    __builtin_prefetch((const void *)((uintptr_t)at + 2048));
}

/* What one row does to eight neighbouring words of its group's state: one load, a few operations, one store. Bit w of a
 * set is word w; a word is in at most one of ones, add, low, high, real, least, most.
 *   x[w] = sources[s].values[row] where bit w is in sources[s].words; 1 where it is in ones
 *   low, high: a 128-bit sum, high = low << 1; both in the same source
 *   real: a double that is added to in order; with @roll, where word step_word differs from @step, first
 *         word[w - 1] += word[w], word[w] = -0.0, and then word[step_word] = step
 * Word 0 |= seen. */
struct mk_fold {
    uint32_t at; /* bytes from the start of the state */
    uint32_t source_count;
    uint64_t seen, step;
    uint32_t step_word;
    bool roll;
    uint8_t ones, add, low, high, real, least, most;
    struct {
        const int64_t *values;
        uint8_t words;
    } sources[MK_FOLD_WORDS];
};

/* Buckets of 8 words and 8 ids; an id is a group + 1, 0: empty; they fill from the left. */
struct mk_buckets {
    const int64_t *words; /* 64-byte aligned */
    const uint32_t *ids;
    uint64_t seed;
    uint32_t shift; /* bucket = mk_hash_word() >> shift */
    bool far;       /* larger than the caches: prefetch */
};

/* An array by key: ids[key - base] of keys from base to base + room - 1; 0: no such group. */
struct mk_index {
    const uint32_t *ids;
    int64_t base;
    uint32_t room;
};

static inline uint64_t mk_hash_word(int64_t word, uint64_t seed)
{
    uint64_t h = ((uint64_t)word ^ seed) * 0x9e3779b97f4a7c15u;

    return (h ^ h >> 32) * 0xd6e8feb86659fd93u;
}

/* The 64-bit finaliser of MurmurHash3 (A. Appleby) over the value and a constant: hashes of key columns. */
static inline uint64_t mk_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

struct mk_agg {
    /* Folds @count rows, in order, into the states that states[] points to (equal pointers are allowed). */
    void (*fold)(const struct mk_fold *fold, char *const *states, size_t count);
    /* ids[i] = the id of keys[i] if it stands in its first bucket, else 0. Returns how many are 0. */
    size_t (*probe_i64)(const struct mk_buckets *buckets, const int64_t *keys, size_t count,
                        uint32_t *ids);
    /* ids[i] = the id of keys[i], 0 where it has none. Returns how many are 0. */
    size_t (*index_i64)(const struct mk_index *index, const int64_t *keys, size_t count,
                        uint32_t *ids);
    /* out[i] = states + (ids[i] - 1) * bytes; no id is 0. */
    void (*states_of)(const uint32_t *ids, size_t count, char *states, uint32_t bytes, char **out);
    /* out[i] = mk_mix(values[i] ^ seed). */
    void (*hash_i64)(const int64_t *values, size_t count, uint64_t seed, uint64_t *out);
    /* inout[i] = mk_mix(inout[i] * 31 + hashes[i]): one more column of a key. */
    void (*hash_join)(const uint64_t *hashes, size_t count, uint64_t *inout);
    /* Integers that order like the doubles: every NaN the same and last, -0.0 before 0.0. */
    void (*order_f64)(const double *values, size_t count, int64_t *out);
    /* Adds value i to lanes[(first + i) % 8], in order. */
    void (*sum_lanes_f64)(const double *values, size_t count, size_t first, double lanes[8]);
    /* The same, and bounds[0] and [1] = least and greatest of what order_f64() gives; count > 0. */
    void (*sum_bounds_f64)(const double *values, size_t count, size_t first, double lanes[8],
                           int64_t bounds[2]);
    /* halves[0] = sum of the low 32 bits as unsigned, halves[1] = sum of the high 32 bits as signed. */
    void (*sum_i64)(const int64_t *values, size_t count, int64_t halves[2]);
    /* Positions 0 .. count-1 grouped by part, ascending in each: begin[p] .. begin[p + 1] of @rows for the part p =
     * (hash >> 54) * parts / 1024. parts <= 256; @rows has room for count + 64. */
    void (*partition)(const uint64_t *hashes, size_t count, uint32_t parts, uint32_t *begin,
                      uint16_t *rows);
};

extern const struct mk_agg mk_agg_scalar, mk_agg_avx2, mk_agg_avx512;

#endif
