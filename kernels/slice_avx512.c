/* kernels/slice_avx512.c - the slice of each time with AVX-512: quotients by a reciprocal. */
#include "kernels/slice.h"

#include <immintrin.h>

void mk_slice_starts_avx512(const struct mk_grid *grid, const int64_t *times, size_t count,
                            int64_t *starts)
{
    const uint64_t first = slice_first(grid);
    const struct slice_range r = slice_range_around(count > 0 ? times[0] : 0, first, grid->width);
    const __m512i base = _mm512_set1_epi64(r.base), width = _mm512_set1_epi64(grid->width);
    const __m512i least = _mm512_set1_epi64(r.least), most = _mm512_set1_epi64(r.most);
    const __m512d reciprocal = _mm512_set1_pd(r.reciprocal);

    for (size_t i = 0; i < count; i += 8) {
        const __mmask8 some = count - i >= 8 ? 0xff : (__mmask8)((1u << (count - i)) - 1);
        const __m512i t = _mm512_maskz_loadu_epi64(some, times + i);
        const __m512i d = _mm512_sub_epi64(t, base);
        const __m512i q = _mm512_cvtpd_epi64(_mm512_mul_pd(_mm512_cvtepi64_pd(d), reciprocal));
        const __m512i over = _mm512_sub_epi64(d, _mm512_mullo_epi64(q, width));
        const __m512i rest = _mm512_mask_add_epi64(over, _mm512_movepi64_mask(over), over, width);
        __mmask8 outside = _mm512_mask_cmplt_epi64_mask(some, t, least) |
                           _mm512_mask_cmpgt_epi64_mask(some, t, most);

        _mm512_mask_storeu_epi64(starts + i, (__mmask8)(some & ~outside),
                                 _mm512_sub_epi64(t, rest));
        for (; outside != 0; outside &= (__mmask8)(outside - 1)) {
            const size_t k = i + (size_t)__builtin_ctz(outside);

            starts[k] = slice_start(times[k], first, (uint64_t)grid->width);
        }
    }
}
