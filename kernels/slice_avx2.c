/* kernels/slice_avx2.c - the slice of each time with AVX2: quotients by a reciprocal. */
#include "kernels/slice.h"

#include <immintrin.h>

/* Adding it to a double below 2^51 leaves the rounded integer in the low bits, and the other way round. */
#define SHIFTER 6755399441055744.0

/* Low 64 bits of the products; b = b_high * 2^32 + the low half of b. */
static inline __m256i multiply(__m256i a, __m256i b, __m256i b_high)
{
    const __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b),
                                           _mm256_mul_epu32(a, b_high));

    return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(cross, 32));
}

void mk_slice_starts_avx2(const struct mk_grid *grid, const int64_t *times, size_t count,
                          int64_t *starts)
{
    const uint64_t first = slice_first(grid);
    const struct slice_range r = slice_range_around(count > 0 ? times[0] : 0, first, grid->width);
    const __m256i base = _mm256_set1_epi64x(r.base), width = _mm256_set1_epi64x(grid->width);
    const __m256i least = _mm256_set1_epi64x(r.least), most = _mm256_set1_epi64x(r.most);
    const __m256d reciprocal = _mm256_set1_pd(r.reciprocal), shifter = _mm256_set1_pd(SHIFTER);
    const __m256i shift_bits = _mm256_castpd_si256(shifter);
    const __m256i width_high = _mm256_srli_epi64(width, 32);
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const __m256i t = _mm256_loadu_si256((const __m256i *)(times + i));
        const __m256i outside =
            _mm256_or_si256(_mm256_cmpgt_epi64(least, t), _mm256_cmpgt_epi64(t, most));
        const __m256i d = _mm256_sub_epi64(t, base);
        const __m256d real =
            _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(d, shift_bits)), shifter);
        const __m256i q =
            _mm256_sub_epi64(_mm256_castpd_si256(
                                 _mm256_add_pd(_mm256_mul_pd(real, reciprocal), shifter)),
                             shift_bits);
        const __m256i over = _mm256_sub_epi64(d, multiply(q, width, width_high));
        const __m256i below = _mm256_cmpgt_epi64(_mm256_setzero_si256(), over);
        const __m256i rest = _mm256_add_epi64(over, _mm256_and_si256(below, width));

        if (!_mm256_testz_si256(outside, outside))
            for (size_t k = i; k < i + 4; k++)
                starts[k] = slice_start(times[k], first, (uint64_t)grid->width);
        else
            _mm256_storeu_si256((__m256i *)(starts + i), _mm256_sub_epi64(t, rest));
    }
    for (; i < count; i++)
        starts[i] = slice_start(times[i], first, (uint64_t)grid->width);
}
