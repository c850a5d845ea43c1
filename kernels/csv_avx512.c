/* kernels/csv_avx512.c - CSV with AVX-512: 64 bytes a mask, fields through masked loads. */
#include "kernels/csv.h"

#include <immintrin.h>

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

/* Bit i: an odd number of bits up to and with i. */
static inline uint64_t prefix_xor(uint64_t bits)
{
    const __m128i all = _mm_set1_epi8(-1);

    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)bits), all, 0));
}

/* Positions of the bits, 16 lanes a store; up to 16 entries behind them are overwritten. */
static inline void put_marks(uint64_t bits, uint32_t at, uint32_t *marks)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    for (uint32_t i = 0; i < 64; i += 16) {
        const __mmask16 some = (__mmask16)(bits >> i);

        _mm512_storeu_si512(marks,
                            _mm512_maskz_compress_epi32(some, _mm512_add_epi32(lanes,
                                                                               _mm512_set1_epi32((
                                                                                   int)(at + i)))));
        marks += __builtin_popcount(some);
    }
}

void mk_csv_marks_avx512(const char *bytes, size_t length, char delimiter, char quote,
                         uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    const __m512i d = _mm512_set1_epi8(delimiter), n = _mm512_set1_epi8('\n');
    const __m512i q = _mm512_set1_epi8(quote);
    const uint64_t quoting = quote != '\0' ? ~0ull : 0;
    uint64_t inside = 0, odd = 0;
    uint32_t m = 0, l = 0, quotes = 0;

    for (size_t i = 0; i < length; i += 64) {
        const uint64_t there = length - i >= 64 ? ~0ull : (1ull << (length - i)) - 1;
        const __m512i v = _mm512_maskz_loadu_epi8(there, bytes + i);
        const uint64_t quoted = _mm512_cmpeq_epi8_mask(v, q) & quoting & there;
        uint64_t ends = _mm512_cmpeq_epi8_mask(v, n) & there & ~quoted;
        uint64_t all = (_mm512_cmpeq_epi8_mask(v, d) & there) | ends;

        odd |= _mm512_cmple_epi8_mask(v, _mm512_setzero_si512()) & there;
        if ((quoted | inside) != 0) {
            const uint64_t in = prefix_xor(quoted) ^ inside;

            all = (all & ~in) | quoted;
            ends &= ~in;
            inside = (uint64_t)((int64_t)in >> 63);
            quotes += (uint32_t)__builtin_popcountll(quoted);
        }
        for (; ends != 0; ends &= ends - 1)
            lines[l++] = m + (uint32_t)__builtin_popcountll(all & ((ends & -ends) - 1));
        put_marks(all, (uint32_t)i, marks + m);
        m += (uint32_t)__builtin_popcountll(all);
    }
    *found = (struct mk_csv_marks){m, l, quotes, odd == 0};
}

void mk_parse_i64_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                         size_t count, int64_t *values, uint64_t *other)
{
    (void)length;
    parse_i64(bytes, marks, stride, count, values, other);
}

void mk_parse_number_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                            size_t count, int64_t *values, uint8_t *places, uint64_t *other)
{
    (void)length;
    parse_number(bytes, marks, stride, count, values, places, other);
}

void mk_parse_time_avx512(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                          size_t count, int64_t *seconds, uint32_t *nanos, uint64_t *other)
{
    (void)length;
    parse_time(bytes, marks, stride, count, seconds, nanos, other);
}
