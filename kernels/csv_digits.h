/* kernels/csv_digits.h - fields to values, 16 bytes at a time; for the vector files, which give load_last() and
 * load_first(): the last (first) @n of 16 bytes, zeroes in the other lanes, nothing outside @n bytes touched. */
#ifndef MILL_KERNELS_CSV_DIGITS_H
#define MILL_KERNELS_CSV_DIGITS_H

#include "kernels/csv.h"

#include <immintrin.h>
#include <string.h>

/* Lanes that hold the last @n of 16 bytes. */
static const uint8_t csv_last[32] = {[16 ... 31] = 0xff};
static const uint8_t csv_first[32] = {[0 ... 15] = 0xff};

/* The number in the @n <= 16 digits that end at @end. False: one is no digit. */
static inline bool digits16(const char *bytes, const char *end, uint32_t n, uint64_t *value)
{
    const __m128i lanes = _mm_loadu_si128((const __m128i *)(csv_last + n));
    const __m128i d =
        _mm_and_si128(_mm_sub_epi8(load_last(bytes, end, n), _mm_set1_epi8('0')), lanes);
    const __m128i high = _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(9)), d);
    const __m128i tens = _mm_set1_epi16(10 + (1 << 8)), hundreds = _mm_set1_epi32(100 + (1 << 16));
    const __m128i ten_thousands = _mm_set1_epi32(10000 + (1 << 16));
    __m128i v = _mm_madd_epi16(_mm_maddubs_epi16(d, tens), hundreds);
    uint64_t both;

    v = _mm_madd_epi16(_mm_packus_epi32(v, v), ten_thousands);
    both = (uint64_t)_mm_cvtsi128_si64(v);
    *value = (both & 0xffffffffu) * 100000000u + (both >> 32);
    return _mm_movemask_epi8(high) == 0xffff;
}

/* [-] and 1 to 19 digits that fit. */
static inline bool integer(const char *bytes, uint32_t from, uint32_t to, int64_t *value)
{
    const bool negative = from < to && bytes[from] == '-';
    const uint32_t n = to - from - negative;
    uint64_t v = 0, lead = 0;

    if (n - 1 >= 19)
        return false;
    if (n <= 16) {
        if (!digits16(bytes, bytes + to, n, &v))
            return false;
    } else {
        if (!digits16(bytes, bytes + to, 16, &v) ||
            !digits16(bytes, bytes + to - 16, n - 16, &lead))
            return false;
        v += lead * 10000000000000000u;
        if (v > (uint64_t)INT64_MAX + negative)
            return false;
    }
    *value = (int64_t)(negative ? 0 - v : v);
    return true;
}

/* Rows first .. last one by one; their bits in @other are 0. */
static inline void parse_i64(const char *bytes, const uint32_t *marks, size_t stride, size_t first,
                             size_t last, int64_t *values, uint64_t *other)
{
    for (size_t r = first; r < last; r++) {
        const uint32_t *m = marks + r * stride;

        if (integer(bytes, m[0] + 1, m[1], &values[r]))
            continue;
        values[r] = 0;
        other[r / 64] |= 1ull << r % 64;
    }
}

/* [-]digits[.digits] of 1 to 18 digits. */
static inline bool number(const char *bytes, uint32_t from, uint32_t to, int64_t *value,
                          uint8_t *places)
{
    static const uint64_t powers[] = {1,
                                      10,
                                      100,
                                      1000,
                                      10000,
                                      100000,
                                      1000000,
                                      10000000,
                                      100000000,
                                      1000000000,
                                      10000000000,
                                      100000000000,
                                      1000000000000,
                                      10000000000000,
                                      100000000000000,
                                      1000000000000000,
                                      10000000000000000};
    const bool negative = from < to && bytes[from] == '-';
    const uint32_t begin = from + negative, n = to - begin;
    uint64_t whole = 0, behind = 0;
    uint32_t point, first, last;

    if (to - from > 20 || n == 0 || n > 19)
        return false;
    first = n < 16 ? n : 16;
    point = (uint32_t)_mm_movemask_epi8(
        _mm_cmpeq_epi8(load_first(bytes, bytes + begin, first), _mm_set1_epi8('.')));
    if (point == 0) { /* rare: none, or it stands behind 16 digits */
        const char *p = memchr(bytes + begin, '.', n);

        point = p != NULL ? (uint32_t)(p - (bytes + begin)) : n;
    } else {
        point = (uint32_t)__builtin_ctz(point);
    }
    last = point < n ? n - point - 1 : 0;
    if (point + last == 0 || point + last > 18)
        return false;
    if (point > 16) { /* the leading ones apart */
        uint64_t lead = 0;

        if (!digits16(bytes, bytes + begin + (point - 16), point - 16, &lead) ||
            !digits16(bytes, bytes + begin + point, 16, &whole))
            return false;
        whole += lead * powers[16];
    } else if (point > 0 && !digits16(bytes, bytes + begin + point, point, &whole)) {
        return false;
    }
    if (last > 16) {
        uint64_t lead = 0;

        if (!digits16(bytes, bytes + to - 16, last - 16, &lead) ||
            !digits16(bytes, bytes + to, 16, &behind))
            return false;
        behind += lead * powers[16];
    } else if (last > 0) {
        if (!digits16(bytes, bytes + to, last, &behind))
            return false;
        whole *= powers[last];
    }
    if (last > 16)
        whole *= powers[16] * powers[last - 16];
    *value = negative ? -(int64_t)(whole + behind) : (int64_t)(whole + behind);
    *places = (uint8_t)last;
    return true;
}

static inline void parse_number(const char *bytes, const uint32_t *marks, size_t stride,
                                size_t first, size_t last, int64_t *values, uint8_t *places,
                                uint64_t *other)
{
    for (size_t r = first; r < last; r++) {
        const uint32_t *m = marks + r * stride;

        values[r] = places[r] = 0;
        if (!number(bytes, m[0] + 1, m[1], &values[r], &places[r]))
            other[r / 64] |= 1ull << r % 64;
    }
}

/* The date of the row before, for most rows have it too. */
struct csv_day {
    uint64_t text;
    uint32_t more; /* of the ten bytes */
    int64_t days;
};

/* dddd-dd-dd dd:dd:dd[.d{1,9}] of 19 or 21 to 29 bytes. */
static inline bool time_of_day(const char *bytes, const char *s, uint32_t length, int64_t *seconds,
                               uint32_t *nanos, struct csv_day *day)
{
    const __m128i marks_a = _mm_setr_epi8(0, 0, 0, 0, '-', 0, 0, '-', 0, 0, 0, 0, 0, ':', 0, 0);
    const __m128i is_mark_a = _mm_setr_epi8(0, 0, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0);
    const __m128i marks_b = _mm_setr_epi8(':', 0, 0, '.', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i is_mark_b = _mm_setr_epi8(-1, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i pairs_a = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, -1, -1, -1, -1);
    const __m128i pairs_b = _mm_setr_epi8(1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, -1, -1, -1, -1);
    const __m128i nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0');
    const __m128i tens = _mm_set1_epi16(10 + (1 << 8));

    if (length < 19 || length == 20 || length > 29)
        return false;
    const __m128i a = load_first(bytes, s, 16), b = load_first(bytes, s + 16, length - 16);
    const __m128i lanes = _mm_loadu_si128((const __m128i *)(csv_first + 16 - (length - 16)));
    const __m128i da = _mm_andnot_si128(is_mark_a, _mm_sub_epi8(a, zero));
    const __m128i db = _mm_and_si128(lanes, _mm_andnot_si128(is_mark_b, _mm_sub_epi8(b, zero)));
    const __m128i wrong_a =
        _mm_andnot_si128(_mm_cmpeq_epi8(_mm_min_epu8(da, nine), da), _mm_set1_epi8(-1));
    const __m128i wrong_b =
        _mm_andnot_si128(_mm_cmpeq_epi8(_mm_min_epu8(db, nine), db), _mm_set1_epi8(-1));
    const __m128i off_a = _mm_andnot_si128(_mm_cmpeq_epi8(a, marks_a), is_mark_a);
    const __m128i off_b =
        _mm_and_si128(lanes, _mm_andnot_si128(_mm_cmpeq_epi8(b, marks_b), is_mark_b));
    const int wrong = _mm_movemask_epi8(_mm_or_si128(wrong_a, off_a)) & ~(1 << 10);

    if ((wrong | _mm_movemask_epi8(_mm_or_si128(wrong_b, off_b))) != 0 ||
        (s[10] != ' ' && s[10] != 'T'))
        return false;
    const __m128i va = _mm_maddubs_epi16(_mm_shuffle_epi8(da, pairs_a), tens);
    const __m128i vb = _mm_maddubs_epi16(_mm_shuffle_epi8(db, pairs_b), tens);
    const uint32_t hour = (uint32_t)_mm_extract_epi16(va, 4);
    const uint32_t minute = (uint32_t)_mm_extract_epi16(va, 5);
    const uint32_t second = (uint32_t)_mm_extract_epi16(vb, 0);
    uint64_t text;
    uint16_t more;

    if (hour > 23 || minute > 59 || second > 59)
        return false;
    memcpy(&text, s, 8);
    memcpy(&more, s + 8, 2);
    if (text != day->text || more != day->more) {
        if (!csv_date((uint32_t)_mm_extract_epi16(va, 0) * 100 + (uint32_t)_mm_extract_epi16(va, 1),
                      (uint32_t)_mm_extract_epi16(va, 2), (uint32_t)_mm_extract_epi16(va, 3),
                      &day->days))
            return false;
        day->text = text;
        day->more = more;
    }
    *seconds = day->days * 86400 + hour * 3600 + minute * 60 + second;
    *nanos = (uint32_t)_mm_extract_epi16(vb, 1) * 10000000u +
             (uint32_t)_mm_extract_epi16(vb, 2) * 100000u +
             (uint32_t)_mm_extract_epi16(vb, 3) * 1000u + (uint32_t)_mm_extract_epi16(vb, 4) * 10u +
             (uint32_t)_mm_extract_epi16(vb, 5) / 10u;
    return true;
}

static inline void parse_time(const char *bytes, const uint32_t *marks, size_t stride, size_t first,
                              size_t last, int64_t *seconds, uint32_t *nanos, uint64_t *other,
                              struct csv_day *day)
{
    for (size_t r = first; r < last; r++) {
        const uint32_t *m = marks + r * stride, from = m[0] + 1;

        seconds[r] = nanos[r] = 0;
        if (!time_of_day(bytes, bytes + from, m[1] - from, &seconds[r], &nanos[r], day))
            other[r / 64] |= 1ull << r % 64;
    }
}

#endif
