/* kernels/text_avx2.c - the kernels with AVX2: 32 bytes at a time. Built with -march=x86-64-v3. */
#include "kernels/csv.h"
#include "kernels/search.h"
#include "kernels/slice.h"
#include "kernels/utf8.h"
#include "kernels/values.h"

#include <immintrin.h>
#include <string.h>

static uint32_t mask32(__m256i v, __m256i a, __m256i b, __m256i c)
{
    const __m256i hit =
        _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(v, a), _mm256_cmpeq_epi8(v, b)),
                        _mm256_cmpeq_epi8(v, c));

    return (uint32_t)_mm256_movemask_epi8(hit);
}

static uint32_t find_any3_avx2(const char *bytes, size_t length, char a, char b, char c,
                               uint32_t *positions)
{
    const __m256i va = _mm256_set1_epi8(a), vb = _mm256_set1_epi8(b), vc = _mm256_set1_epi8(c);
    uint32_t n = 0;
    size_t i = 0;

    for (; i + 64 <= length; i += 64) {
        const __m256i low = _mm256_loadu_si256((const __m256i *)(bytes + i));
        const __m256i high = _mm256_loadu_si256((const __m256i *)(bytes + i + 32));
        uint64_t mask = mask32(low, va, vb, vc) | (uint64_t)mask32(high, va, vb, vc) << 32;

        for (; mask != 0; mask &= mask - 1)
            positions[n++] = (uint32_t)i + (uint32_t)__builtin_ctzll(mask);
    }
    for (; i < length; i++) {
        positions[n] = (uint32_t)i;
        n += bytes[i] == a || bytes[i] == b || bytes[i] == c;
    }
    return n;
}

static size_t count_byte_avx2(const char *bytes, size_t length, char a)
{
    const __m256i va = _mm256_set1_epi8(a);
    size_t n = 0, i = 0;

    for (; i + 32 <= length; i += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(bytes + i));

        n += (size_t)__builtin_popcount((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, va)));
    }
    for (; i < length; i++)
        n += bytes[i] == a;
    return n;
}

struct json_masks {
    uint64_t stops, marks, high;
};

static struct json_masks json_masks32(__m256i v)
{
    const __m256i both =
        _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')),
                        _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v));
    const __m256i lower = _mm256_or_si256(v, _mm256_set1_epi8(0x20));
    const __m256i brackets = _mm256_or_si256(_mm256_cmpeq_epi8(lower, _mm256_set1_epi8('{')),
                                             _mm256_cmpeq_epi8(lower, _mm256_set1_epi8('}')));
    const __m256i back = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));

    return (struct json_masks){(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(both, back)),
                               (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(both, brackets)),
                               (uint32_t)_mm256_movemask_epi8(v)};
}

static struct json_masks json_masks64(const char *bytes)
{
    const struct json_masks low = json_masks32(_mm256_loadu_si256((const __m256i *)bytes));
    const struct json_masks high = json_masks32(_mm256_loadu_si256((const __m256i *)(bytes + 32)));

    return (struct json_masks){low.stops | high.stops << 32, low.marks | high.marks << 32,
                               low.high | high.high};
}

static bool json_marks_avx2(const char *bytes, size_t length, uint64_t *stops, uint64_t *marks)
{
    uint64_t high = 0;
    size_t w = 0;

    for (; (w + 1) * 64 <= length; w++) {
        const struct json_masks m = json_masks64(bytes + w * 64);

        stops[w] = m.stops;
        marks[w] = m.marks;
        high |= m.high;
    }
    if (w * 64 < length) {
        char rest[64];
        struct json_masks m;

        memset(rest, ' ', sizeof rest);
        memcpy(rest, bytes + w * 64, length - w * 64);
        m = json_masks64(rest);
        stops[w] = m.stops;
        marks[w] = m.marks;
        high |= m.high;
    }
    return high != 0;
}

static bool utf8_valid_avx2(const char *bytes, size_t length)
{
    size_t i = 0;

    while (i + 32 <= length) {
        if (_mm256_movemask_epi8(_mm256_loadu_si256((const __m256i *)(bytes + i))) == 0)
            i += 32;
        else if ((i = mk_utf8_run(bytes, i, i + 32, length)) == SIZE_MAX)
            return false;
    }
    return mk_utf8_valid_from(bytes, i, length) == length;
}

static void bounds_i64_avx2(const int64_t *values, size_t count, int64_t *least, int64_t *most)
{
    __m256i low = _mm256_set1_epi64x(values[0]), high = low;
    int64_t lows[4], highs[4];
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(values + i));

        mk_ahead(values + i);
        low = _mm256_blendv_epi8(low, v, _mm256_cmpgt_epi64(low, v));
        high = _mm256_blendv_epi8(high, v, _mm256_cmpgt_epi64(v, high));
    }
    _mm256_storeu_si256((__m256i *)lows, low);
    _mm256_storeu_si256((__m256i *)highs, high);
    *least = lows[0];
    *most = highs[0];
    for (int k = 1; k < 4; k++) {
        *least = lows[k] < *least ? lows[k] : *least;
        *most = highs[k] > *most ? highs[k] : *most;
    }
    for (; i < count; i++) {
        *least = values[i] < *least ? values[i] : *least;
        *most = values[i] > *most ? values[i] : *most;
    }
}

/* Only a kernel of AVX-512 is faster than the loop. */
static int64_t running_max_i64_avx2(const int64_t *values, size_t count, int64_t least,
                                    int64_t *before)
{
    for (size_t i = 0; i < count; i++) {
        before[i] = least;
        least = values[i] > least ? values[i] : least;
    }
    return least;
}

const struct mk_table mk_avx2 = {.isa = "avx2",
                                 .agg = &mk_agg_avx2,
                                 .find_any3 = find_any3_avx2,
                                 .count_byte = count_byte_avx2,
                                 .find_text = mk_find_text_avx2,
                                 .split_part = mk_split_part_avx2,
                                 .json_marks = json_marks_avx2,
                                 .utf8_valid = utf8_valid_avx2,
                                 .select = mk_select_avx2,
                                 .compare = mk_compare_avx2,
                                 .arith = mk_arith_avx2,
                                 .csv_marks = mk_csv_marks_avx2,
                                 .parse_i64 = mk_parse_i64_avx2,
                                 .parse_number = mk_parse_number_avx2,
                                 .parse_time = mk_parse_time_avx2,
                                 .scale_f64 = mk_scale_f64_avx2,
                                 .bounds_i64 = bounds_i64_avx2,
                                 .running_max_i64 = running_max_i64_avx2,
                                 .slice_starts = mk_slice_starts_avx2};
