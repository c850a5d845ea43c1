/* kernels/csv_avx512.c - CSV with AVX-512: 64 bytes a mask, fields through masked loads. */
#include "kernels/csv.h"

#include <immintrin.h>
#include <string.h>

static inline __m128i load_last(const char *bytes, const char *end, uint32_t n)
{
    (void)bytes;
    return _mm_maskz_loadu_epi8((__mmask16)(0xffff0000u >> n), end - 16);
}

static inline __m128i load_first(const char *bytes, const char *from, uint32_t n)
{
    (void)bytes;
    return _mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), from);
}

#include "kernels/csv_digits.h"

/* Positions of the bits, 16 lanes a store; up to 16 entries behind them are overwritten. */
static inline void put_marks(uint64_t bits, uint32_t at, uint32_t *marks)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    for (uint32_t i = 0; i < 64; i += 16) {
        const __m512i place = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)(at + i)));
        const __mmask16 some = (__mmask16)(bits >> i);

        _mm512_storeu_si512(marks, _mm512_maskz_compress_epi32(some, place));
        marks += __builtin_popcount(some);
    }
}

#include "kernels/csv_marks.h"

void mk_csv_marks_avx512(const char *bytes, size_t length, char delimiter, char quote,
                         uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    csv_marks(bytes, length, delimiter, quote, marks, lines, found);
}

/* ---- eight fields at a time ----
 *
 * Field by field the last 16 bytes are loaded, four fields to a register: rows 0, 2, 4, 6 of the eight in one, 1, 3, 5, 7 in
 * the other, so that packing both leaves the rows in order. Digits become numbers as in digits16(). What is not plain is
 * left to the functions for one field. */

struct eight {
    __m512i even, odd;           /* bytes */
    __m512i even_size, odd_size; /* in every byte of a field: its length, modulo 256 */
    __m512i sizes;               /* of rows 0 .. 7 */
};

/* Lengths of fields r .. r + 7, and those again byte by byte. */
static inline void eight_sizes(struct eight *e, const uint32_t *marks, size_t stride)
{
    const __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                          _mm256_set1_epi32((int)(stride * sizeof *marks)));
    const __m512i pairs = _mm512_i32gather_epi64(at, marks, 1); /* before, end */
    const __m512i size = _mm512_sub_epi32(_mm512_srli_epi64(pairs, 32), pairs);

    e->sizes = _mm512_maskz_sub_epi32(0x5555, size, _mm512_set1_epi32(1));
    e->even_size = _mm512_shuffle_epi8(e->sizes, _mm512_setzero_si512());
    e->odd_size = _mm512_shuffle_epi8(e->sizes, _mm512_set1_epi8(8));
}

static inline __m512i load_four(const char *a, const char *b, const char *c, const char *d)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)a));

    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)b), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)c), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)d), 3);
}

/* @marks + which: 0 for the bytes from the mark before each field on, 1 for those before its end; moved by @by. */
static inline void load_eight(struct eight *e, const char *bytes, const uint32_t *marks,
                              size_t stride, size_t which, int64_t by)
{
    const uint32_t *m = marks + which;

    e->even = load_four(bytes + m[0] + by, bytes + m[2 * stride] + by, bytes + m[4 * stride] + by,
                        bytes + m[6 * stride] + by);
    e->odd = load_four(bytes + m[stride] + by, bytes + m[3 * stride] + by,
                       bytes + m[5 * stride] + by, bytes + m[7 * stride] + by);
}

/* The digits of four fields, zero elsewhere. *minus: bytes that are a sign; *wrong: those that are nothing. */
static inline __m512i four_digits(__m512i v, __m512i size, __mmask64 *minus, __mmask64 *wrong)
{
    const __m512i from_end = _mm512_broadcast_i32x4(
        _mm_setr_epi8(16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1));
    const __mmask64 inside = _mm512_cmple_epu8_mask(from_end, size);
    const __m512i d = _mm512_maskz_sub_epi8(inside, v, _mm512_set1_epi8('0'));

    *wrong = _mm512_cmpgt_epu8_mask(d, _mm512_set1_epi8(9));
    *minus = 0;
    if (__builtin_expect(*wrong == 0, 1))
        return d;
    *minus = _mm512_mask_cmpeq_epi8_mask(_mm512_cmpeq_epi8_mask(from_end, size), v,
                                         _mm512_set1_epi8('-'));
    *wrong &= ~*minus;
    return _mm512_maskz_mov_epi8(~*minus, d);
}

/* Digits of rows 0, 2, 4, 6 and 1, 3, 5, 7 to the numbers of rows 0 .. 7. */
static inline __m512i eight_numbers(__m512i even, __m512i odd)
{
    const __m512i tens = _mm512_set1_epi16(10 + (1 << 8));
    const __m512i hundreds = _mm512_set1_epi32(100 + (1 << 16));
    const __m512i ten_thousands = _mm512_set1_epi32(10000 + (1 << 16));
    const __m512i a = _mm512_madd_epi16(_mm512_maddubs_epi16(even, tens), hundreds);
    const __m512i b = _mm512_madd_epi16(_mm512_maddubs_epi16(odd, tens), hundreds);
    const __m512i both = _mm512_madd_epi16(_mm512_packus_epi32(a, b), ten_thousands);

    return _mm512_add_epi64(_mm512_mul_epu32(both, _mm512_set1_epi64(100000000)),
                            _mm512_srli_epi64(both, 32));
}

/* Bit r: 16 bits of row r are not all 0; rows 0, 2, 4, 6 in @even, 1, 3, 5, 7 in @odd. */
static inline __mmask8 row_bits(__mmask64 even, __mmask64 odd)
{
    const __m128i rows =
        _mm_unpacklo_epi16(_mm_cvtsi64_si128((int64_t)even), _mm_cvtsi64_si128((int64_t)odd));

    return _mm_test_epi16_mask(rows, rows);
}

/* Rows r .. r + 7. Gives the rows that are not plain. */
static inline __mmask8 eight_i64(const char *bytes, const uint32_t *marks, size_t stride,
                                 int64_t *values)
{
    struct eight e;
    __mmask64 minus_even, minus_odd, wrong_even, wrong_odd;
    __mmask8 bad;

    eight_sizes(&e, marks, stride);
    load_eight(&e, bytes, marks, stride, 1, -16);
    bad = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(e.sizes, _mm512_set1_epi64(1)),
                                  _mm512_set1_epi64(16));
    const __m512i even = four_digits(e.even, e.even_size, &minus_even, &wrong_even);
    const __m512i odd = four_digits(e.odd, e.odd_size, &minus_odd, &wrong_odd);
    __m512i v = eight_numbers(even, odd);

    if (__builtin_expect((minus_even | minus_odd) != 0, 0)) {
        const __mmask8 minus = row_bits(minus_even, minus_odd);

        v = _mm512_mask_sub_epi64(v, minus, _mm512_setzero_si512(), v);
        bad |= minus & _mm512_cmpeq_epi64_mask(e.sizes, _mm512_set1_epi64(1)); /* no digit */
    }
    if (__builtin_expect((wrong_even | wrong_odd) != 0, 0))
        bad |= row_bits(wrong_even, wrong_odd);
    _mm512_storeu_si512(values, v);
    return bad;
}

void mk_parse_i64_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                         size_t count, int64_t *values, uint64_t *other)
{
    size_t r = 0;

    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    for (; r < count && marks[r * stride + 1] < 16; r++) /* 16 bytes before do not exist */
        parse_i64(bytes, marks, stride, r, r + 1, values, other);
    for (; r + 8 <= count; r += 8) {
        __mmask8 bad = eight_i64(bytes, marks + r * stride, stride, values + r);

        for (; bad != 0; bad &= (__mmask8)(bad - 1)) {
            const size_t one = r + (size_t)__builtin_ctz(bad);

            parse_i64(bytes, marks, stride, one, one + 1, values, other);
        }
    }
    parse_i64(bytes, marks, stride, r, count, values, other);
}

/* Of four fields' points: bytes at and before each; none: no byte. */
static inline __m128i up_to_points(__m128i points)
{
    const __m128i one = _mm_set1_epi16(1), none = _mm_cmpeq_epi16(points, _mm_setzero_si128());

    return _mm_andnot_si128(none, _mm_or_si128(points, _mm_sub_epi16(points, one)));
}

/* As eight_i64(), a point in between. Digits before it move to where it stood. */
static inline __mmask8 eight_numbers_with_points(const char *bytes, const uint32_t *marks,
                                                 size_t stride, int64_t *values, uint8_t *places)
{
    const __m512i point = _mm512_set1_epi8('.' - '0');
    struct eight e;
    __mmask64 minus_even, minus_odd, wrong_even, wrong_odd;
    __mmask8 bad;

    eight_sizes(&e, marks, stride);
    load_eight(&e, bytes, marks, stride, 1, -16);
    bad = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(e.sizes, _mm512_set1_epi64(1)),
                                  _mm512_set1_epi64(16));
    __m512i even = four_digits(e.even, e.even_size, &minus_even, &wrong_even);
    __m512i odd = four_digits(e.odd, e.odd_size, &minus_odd, &wrong_odd);
    const __mmask64 point_even = _mm512_mask_cmpeq_epi8_mask(wrong_even, even, point);
    const __mmask64 point_odd = _mm512_mask_cmpeq_epi8_mask(wrong_odd, odd, point);
    const __m128i points = _mm_set_epi64x((int64_t)point_odd, (int64_t)point_even);
    const __m128i before = up_to_points(points);
    const __m128i rows = _mm_unpacklo_epi16(points, _mm_unpackhi_epi64(points, points));
    const __m256i zeroes = _mm256_lzcnt_epi32(_mm256_cvtepu16_epi32(rows));
    const __m256i behind = _mm256_sub_epi32(zeroes, _mm256_set1_epi32(16)); /* 16: no point */
    const __mmask8 pointed = _mm256_cmpneq_epi32_mask(behind, _mm256_set1_epi32(16));

    even = _mm512_mask_mov_epi8(even, (__mmask64)_mm_cvtsi128_si64(before),
                                _mm512_bslli_epi128(even, 1));
    odd = _mm512_mask_mov_epi8(odd, (__mmask64)_mm_extract_epi64(before, 1),
                               _mm512_bslli_epi128(odd, 1));
    __m512i v = eight_numbers(even, odd);
    const __mmask8 minus = row_bits(minus_even, minus_odd);

    v = _mm512_mask_sub_epi64(v, minus, _mm512_setzero_si512(), v);
    _mm_storel_epi64((__m128i *)places,
                     _mm256_cvtepi32_epi8(_mm256_maskz_mov_epi32(pointed, behind)));
    _mm512_storeu_si512(values, v);
    /* no digit: a sign, a point or both alone */
    bad |= _mm512_mask_cmplt_epu64_mask(minus | pointed, e.sizes, _mm512_set1_epi64(2));
    bad |= _mm512_mask_cmplt_epu64_mask(minus & pointed, e.sizes, _mm512_set1_epi64(3));
    bad |= row_bits(wrong_even & ~point_even, wrong_odd & ~point_odd);
    const __m128i second = _mm_and_si128(rows, _mm_sub_epi16(rows, _mm_set1_epi16(1)));

    return bad | _mm_test_epi16_mask(second, second);
}

void mk_parse_number_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                            size_t count, int64_t *values, uint8_t *places, uint64_t *other)
{
    size_t r = 0;

    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    for (; r < count && marks[r * stride + 1] < 16; r++)
        parse_number(bytes, marks, stride, r, r + 1, values, places, other);
    for (; r + 8 <= count; r += 8) {
        __mmask8 bad =
            eight_numbers_with_points(bytes, marks + r * stride, stride, values + r, places + r);

        for (; bad != 0; bad &= (__mmask8)(bad - 1)) {
            const size_t one = r + (size_t)__builtin_ctz(bad);

            parse_number(bytes, marks, stride, one, one + 1, values, places, other);
        }
    }
    parse_number(bytes, marks, stride, r, count, values, places, other);
}

/* ---- times ---- */

/* hh:mm:ss[.d{1,7}] of four rows as seconds of the day and nanoseconds in each pair of 64 bits. @size: of the whole
 * field. *wrong: bytes that do not fit, or of a value too great. */
static inline __m512i four_clocks(__m512i v, __m512i size, __mmask64 *wrong)
{
    const __m128i form = _mm_setr_epi8('0', '0', ':', '0', '0', ':', '0', '0', '.', '0', '0', '0',
                                       '0', '0', '0', '0');
    const __m128i most = _mm_setr_epi8(9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9);
    const __m128i at =
        _mm_setr_epi8(12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
    const __m128i pairs = _mm_setr_epi8(0, 1, 3, 4, 6, 7, -1, -1, 9, 10, 11, 12, 13, 14, 15, -1);
    const __m128i limits = _mm_setr_epi16(23, 59, 59, 99, 99, 99, 99, 99);
    const __m128i joined = _mm_setr_epi16(3600, 60, 1, 0, 100, 1, 100, 1);
    const __m128i units = _mm_setr_epi32(1, 1, 100000, 10);
    const __mmask64 inside = _mm512_cmple_epu8_mask(_mm512_broadcast_i32x4(at), size);
    const __m512i d = _mm512_maskz_sub_epi8(inside, v, _mm512_broadcast_i32x4(form));
    const __m512i two = _mm512_maddubs_epi16(_mm512_shuffle_epi8(d, _mm512_broadcast_i32x4(pairs)),
                                             _mm512_set1_epi16(10 + (1 << 8)));
    const __mmask32 great = _mm512_cmpgt_epu16_mask(two, _mm512_broadcast_i32x4(limits));
    const __m512i parts = _mm512_mullo_epi32(_mm512_madd_epi16(two, _mm512_broadcast_i32x4(joined)),
                                             _mm512_broadcast_i32x4(units));

    *wrong = _mm512_cmpgt_epu8_mask(d, _mm512_broadcast_i32x4(most));
    if (__builtin_expect(great != 0, 0))
        *wrong |= _pdep_u64(great, 0x5555555555555555u);
    return _mm512_add_epi64(_mm512_and_si512(parts, _mm512_set1_epi64(0xffffffff)),
                            _mm512_srli_epi64(parts, 32));
}

/* Rows r .. r + 7, which have @day's date as @date has it with a blank or T behind; gives those that have not, or are not
 * plain. */
static inline __mmask8 eight_times(const char *bytes, const uint32_t *marks, size_t stride,
                                   __m512i date, int64_t midnight, int64_t *seconds,
                                   uint32_t *nanos)
{
    const uint64_t eleven = 0x07ff07ff07ff07ffu;
    struct eight days, e;
    __mmask64 wrong_even, wrong_odd;
    __mmask8 bad;

    eight_sizes(&e, marks, stride);
    load_eight(&days, bytes, marks, stride, 0, 1);
    load_eight(&e, bytes, marks, stride, 0, 12);
    bad = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(e.sizes, _mm512_set1_epi64(19)),
                                  _mm512_set1_epi64(9)) |
          _mm512_cmpeq_epi64_mask(e.sizes, _mm512_set1_epi64(20));
    const __m512i even = four_clocks(e.even, e.even_size, &wrong_even);
    const __m512i odd = four_clocks(e.odd, e.odd_size, &wrong_odd);

    wrong_even |= _mm512_cmpneq_epi8_mask(days.even, date) & eleven;
    wrong_odd |= _mm512_cmpneq_epi8_mask(days.odd, date) & eleven;
    if (__builtin_expect((wrong_even | wrong_odd) != 0, 0))
        bad |= row_bits(wrong_even, wrong_odd);
    _mm512_storeu_si512(seconds, _mm512_add_epi64(_mm512_unpacklo_epi64(even, odd),
                                                  _mm512_set1_epi64(midnight)));
    _mm256_storeu_si256((__m256i *)nanos, _mm512_cvtepi64_epi32(_mm512_unpackhi_epi64(even, odd)));
    return bad;
}

void mk_parse_time_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                          size_t count, int64_t *seconds, uint32_t *nanos, uint64_t *other)
{
    struct csv_day day = {0, 0, 0};
    char date[16] = {0};
    size_t r = 0;

    memset(other, 0, (count + 63) / 64 * 8);
    for (; r + 8 <= count && length >= 28 && marks[(r + 7) * stride] + 1u <= length - 28; r += 8) {
        __mmask8 bad = 0xff;

        if (day.text != 0 && marks[r * stride] != UINT32_MAX)
            bad = eight_times(bytes, marks + r * stride, stride,
                              _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)date)),
                              day.days * 86400, seconds + r, nanos + r);
        for (; bad != 0; bad &= (__mmask8)(bad - 1)) {
            const size_t one = r + (size_t)__builtin_ctz(bad);

            parse_time(bytes, marks, stride, one, one + 1, seconds, nanos, other, &day);
            if (day.text != 0 && (other[one / 64] >> one % 64 & 1) == 0)
                memcpy(date, bytes + (marks[one * stride] + 1u), 11);
        }
    }
    parse_time(bytes, marks, stride, r, count, seconds, nanos, other, &day);
}

void mk_scale_f64_avx512(const int64_t *values, const uint8_t *places, size_t count, double *out,
                         uint64_t *other)
{
    static const double powers[16] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const __m512d low = _mm512_loadu_pd(powers), high = _mm512_loadu_pd(powers + 8);
    const __m512i most = _mm512_set1_epi64(1ll << 53);
    size_t r = 0;

    for (; r + 8 <= count; r += 8) {
        const __m512i v = _mm512_loadu_si512(values + r);
        const __m512i p = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(places + r)));
        const __m512d power = _mm512_permutex2var_pd(low, p, high);
        const __mmask8 exact =
            _mm512_test_epi64_mask(v, v) & _mm512_cmple_epu64_mask(_mm512_abs_epi64(v), most);

        if (__builtin_expect(_mm512_cmpgt_epu64_mask(p, _mm512_set1_epi64(15)) != 0, 0)) {
            csv_scale(values, places, r, r + 8, out, other);
            continue;
        }
        _mm512_storeu_pd(out + r,
                         _mm512_maskz_mov_pd(exact, _mm512_div_pd(_mm512_cvtepi64_pd(v), power)));
        other[r / 64] |= (uint64_t)(uint8_t)~exact << r % 64;
    }
    csv_scale(values, places, r, count, out, other);
}
