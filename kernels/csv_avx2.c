/* kernels/csv_avx2.c - CSV with AVX2: 64 bytes a mask in two loads, fields through 16-byte loads inside the bytes. */
#include "kernels/csv.h"

#include <immintrin.h>
#include <string.h>

/* Near the beginning the bytes before do not exist: copied. */
static inline __m128i load_last(const char *bytes, const char *end, uint32_t n)
{
    char copy[32];

    if (__builtin_expect(end - bytes >= 16, 1))
        return _mm_loadu_si128((const __m128i *)(end - 16));
    memset(copy, 0, 16);
    for (uint32_t i = 0; i < n; i++)
        copy[16 - n + i] = end[(int32_t)i - (int32_t)n];
    return _mm_loadu_si128((const __m128i *)copy);
}

/* The bytes of [from, from + n) lie in a load that ends there, where 16 bytes come before; else copied. */
static inline __m128i load_first(const char *bytes, const char *from, uint32_t n)
{
    static const int8_t slide[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                     11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1,
                                     -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    char copy[16];

    if (__builtin_expect(from + n - bytes >= 16, 1))
        return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(from + n - 16)),
                                _mm_loadu_si128((const __m128i *)(slide + 16 - n)));
    memset(copy, 0, sizeof copy);
    for (uint32_t i = 0; i < n; i++)
        copy[i] = from[i];
    return _mm_loadu_si128((const __m128i *)copy);
}

#include "kernels/csv_digits.h"

static inline uint64_t prefix_xor(uint64_t bits)
{
    for (int shift = 1; shift < 64; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

static inline uint64_t equal64(__m256i low, __m256i high, __m256i to)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, to)) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, to)) << 32;
}

void mk_csv_marks_avx2(const char *bytes, size_t length, char delimiter, char quote,
                       uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    const __m256i d = _mm256_set1_epi8(delimiter), n = _mm256_set1_epi8('\n');
    const __m256i q = _mm256_set1_epi8(quote), zero = _mm256_setzero_si256();
    const __m256i c = _mm256_set1_epi8('\r');
    __m256i returns = zero;
    uint64_t inside = 0, odd = 0;
    uint32_t m = 0, l = 0, quotes = 0;

    for (size_t i = 0; i < length; i += 64) {
        uint64_t there = ~0ull, quoted, ends, all;
        char copy[64] = {0};
        const char *at = bytes + i;

        if (length - i < 64) {
            memcpy(copy, at, length - i);
            at = copy;
            there = (1ull << (length - i)) - 1;
        }
        const __m256i low = _mm256_loadu_si256((const __m256i *)at);
        const __m256i high = _mm256_loadu_si256((const __m256i *)(at + 32));

        quoted = quote != '\0' ? equal64(low, high, q) & there : 0;
        ends = equal64(low, high, n) & there & ~quoted;
        all = (equal64(low, high, d) & there) | ends;
        odd |= (equal64(low, high, zero) & there) |
               (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(low, high));
        returns = _mm256_or_si256(returns, _mm256_or_si256(_mm256_cmpeq_epi8(low, c),
                                                           _mm256_cmpeq_epi8(high, c)));
        if ((quoted | inside) != 0) {
            const uint64_t in = prefix_xor(quoted) ^ inside;

            all = (all & ~in) | quoted;
            ends &= ~in;
            inside = (uint64_t)((int64_t)in >> 63);
            quotes += (uint32_t)__builtin_popcountll(quoted);
        }
        for (; ends != 0; ends &= ends - 1)
            lines[l++] = m + (uint32_t)__builtin_popcountll(all & ((ends & -ends) - 1));
        for (; all != 0; all &= all - 1)
            marks[m++] = (uint32_t)i + (uint32_t)__builtin_ctzll(all);
    }
    *found =
        (struct mk_csv_marks){m, l, quotes, odd == 0, _mm256_testz_si256(returns, returns) == 0};
}

void mk_parse_i64_avx2(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                       size_t count, int64_t *values, uint64_t *other)
{
    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    parse_i64(bytes, marks, stride, 0, count, values, other);
}

void mk_parse_number_avx2(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                          size_t count, int64_t *values, uint8_t *places, uint64_t *other)
{
    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    parse_number(bytes, marks, stride, 0, count, values, places, other);
}

void mk_parse_time_avx2(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                        size_t count, int64_t *seconds, uint32_t *nanos, uint64_t *other)
{
    struct csv_day day = {0, 0, 0};

    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    parse_time(bytes, marks, stride, 0, count, seconds, nanos, other, &day);
}

void mk_scale_f64_avx2(const int64_t *values, const uint8_t *places, size_t count, double *out,
                       uint64_t *other)
{
    csv_scale(values, places, 0, count, out, other);
}
