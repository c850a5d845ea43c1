/* kernels/text_avx512.c - the kernels with AVX-512 BW: 64 bytes at a time. Built with its own flags. */
#include "kernels/csv.h"
#include "kernels/search.h"
#include "kernels/slice.h"
#include "kernels/utf8.h"
#include "kernels/values.h"

#include <immintrin.h>

static uint64_t mask64(__m512i v, __m512i a, __m512i b, __m512i c)
{
    return _mm512_cmpeq_epi8_mask(v, a) | _mm512_cmpeq_epi8_mask(v, b) |
           _mm512_cmpeq_epi8_mask(v, c);
}

static uint32_t put_positions(uint64_t mask, size_t at, uint32_t *positions)
{
    uint32_t n = 0;

    for (; mask != 0; mask &= mask - 1)
        positions[n++] = (uint32_t)at + (uint32_t)__builtin_ctzll(mask);
    return n;
}

static uint32_t find_any3_avx512(const char *bytes, size_t length, char a, char b, char c,
                                 uint32_t *positions)
{
    const __m512i va = _mm512_set1_epi8(a), vb = _mm512_set1_epi8(b), vc = _mm512_set1_epi8(c);
    uint32_t n = 0;
    size_t i = 0;

    for (; i + 64 <= length; i += 64)
        n += put_positions(mask64(_mm512_loadu_si512(bytes + i), va, vb, vc), i, positions + n);
    if (i < length) {
        const __mmask64 tail = (1ull << (length - i)) - 1;

        n += put_positions(mask64(_mm512_maskz_loadu_epi8(tail, bytes + i), va, vb, vc) & tail, i,
                           positions + n);
    }
    return n;
}

static size_t count_byte_avx512(const char *bytes, size_t length, char a)
{
    const __m512i va = _mm512_set1_epi8(a);
    size_t n = 0, i = 0;

    for (; i + 64 <= length; i += 64)
        n +=
            (size_t)__builtin_popcountll(_mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes + i), va));
    if (i < length) {
        const __mmask64 tail = (1ull << (length - i)) - 1;

        n += (size_t)__builtin_popcountll(
            _mm512_cmpeq_epi8_mask(_mm512_maskz_loadu_epi8(tail, bytes + i), va) & tail);
    }
    return n;
}

static bool json_marks_avx512(const char *bytes, size_t length, uint64_t *stops, uint64_t *marks)
{
    const __m512i quote = _mm512_set1_epi8('"'), back = _mm512_set1_epi8('\\');
    const __m512i open = _mm512_set1_epi8('{'), close = _mm512_set1_epi8('}');
    const __m512i space = _mm512_set1_epi8(' ');
    __mmask64 high = 0;

    for (size_t w = 0; w * 64 < length; w++) {
        const size_t left = length - w * 64;
        const __mmask64 there = left >= 64 ? ~0ull : (1ull << left) - 1;
        const __m512i v = _mm512_mask_loadu_epi8(space, there, bytes + w * 64);
        const __m512i lower = _mm512_or_si512(v, space);
        const __mmask64 both = _mm512_cmpeq_epi8_mask(v, quote) | _mm512_cmplt_epu8_mask(v, space);

        stops[w] = both | _mm512_cmpeq_epi8_mask(v, back);
        marks[w] =
            both | _mm512_cmpeq_epi8_mask(lower, open) | _mm512_cmpeq_epi8_mask(lower, close);
        high |= _mm512_movepi8_mask(v);
    }
    return high != 0;
}

static bool utf8_valid_avx512(const char *bytes, size_t length)
{
    size_t i = 0;

    while (i + 64 <= length) {
        if (_mm512_movepi8_mask(_mm512_loadu_si512(bytes + i)) == 0)
            i += 64;
        else if ((i = mk_utf8_run(bytes, i, i + 64, length)) == SIZE_MAX)
            return false;
    }
    return mk_utf8_valid_from(bytes, i, length) == length;
}

static void bounds_i64_avx512(const int64_t *values, size_t count, int64_t *least, int64_t *most)
{
    __m512i low = _mm512_set1_epi64(values[0]), high = low;
    size_t i = 0;

    for (; i + 8 <= count; i += 8) {
        const __m512i v = _mm512_loadu_si512(values + i);

        mk_ahead(values + i);
        low = _mm512_min_epi64(low, v);
        high = _mm512_max_epi64(high, v);
    }
    if (i < count) {
        const __mmask8 tail = (__mmask8)((1u << (count - i)) - 1);
        const __m512i v = _mm512_maskz_loadu_epi64(tail, values + i);

        low = _mm512_mask_min_epi64(low, tail, low, v);
        high = _mm512_mask_max_epi64(high, tail, high, v);
    }
    *least = _mm512_reduce_min_epi64(low);
    *most = _mm512_reduce_max_epi64(high);
}

/* Within eight values by three steps of doubled distance; what came before is one broadcast value. */
static int64_t running_max_i64_avx512(const int64_t *values, size_t count, int64_t least,
                                      int64_t *before)
{
    const __m512i lowest = _mm512_set1_epi64(INT64_MIN);
    __m512i so_far = _mm512_set1_epi64(least);
    size_t i = 0;

    for (; i + 8 <= count; i += 8) {
        __m512i v = _mm512_loadu_si512(values + i);

        mk_ahead(values + i);
        v = _mm512_max_epi64(v, _mm512_alignr_epi64(v, lowest, 7));
        v = _mm512_max_epi64(v, _mm512_alignr_epi64(v, lowest, 6));
        v = _mm512_max_epi64(v, _mm512_alignr_epi64(v, lowest, 4));
        _mm512_storeu_si512(before + i,
                            _mm512_max_epi64(so_far, _mm512_alignr_epi64(v, lowest, 7)));
        so_far = _mm512_max_epi64(so_far, _mm512_permutexvar_epi64(_mm512_set1_epi64(7), v));
    }
    least = _mm_cvtsi128_si64(_mm512_castsi512_si128(so_far));
    for (; i < count; i++) {
        before[i] = least;
        least = values[i] > least ? values[i] : least;
    }
    return least;
}

#define TABLE(name, marks)                                                                         \
    {                                                                                              \
        .isa = name, .agg = &mk_agg_avx512, .find_any3 = find_any3_avx512,                         \
        .count_byte = count_byte_avx512, .json_marks = json_marks_avx512,                          \
        .find_text = mk_find_text_avx512, .split_part = mk_split_part_avx512,                      \
        .utf8_valid = utf8_valid_avx512, .select = mk_select_avx512, .compare = mk_compare_avx512, \
        .arith = mk_arith_avx512, .csv_marks = marks, .parse_i64 = mk_parse_i64_avx512,            \
        .parse_number = mk_parse_number_avx512, .parse_time = mk_parse_time_avx512,                \
        .scale_f64 = mk_scale_f64_avx512, .bounds_i64 = bounds_i64_avx512,                         \
        .running_max_i64 = running_max_i64_avx512, .slice_starts = mk_slice_starts_avx512          \
    }
const struct mk_table mk_avx512 = TABLE("avx512", mk_csv_marks_avx512);
const struct mk_table mk_avx512vbmi2 = TABLE("avx512vbmi2", mk_csv_marks_avx512vbmi2);
