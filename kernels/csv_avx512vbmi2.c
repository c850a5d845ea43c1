/* kernels/csv_avx512vbmi2.c - CSV marks where bytes can be compressed: one instruction for the positions of 64 bytes. */
#include "kernels/csv.h"

#include <immintrin.h>

/* Most blocks have 16 marks or less. */
static inline void put_marks(uint64_t bits, uint32_t at, uint32_t *marks)
{
    static const uint8_t places[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                       13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
                                       26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
                                       39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
                                       52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i base = _mm512_set1_epi32((int)at);
    const __m512i found = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(places));

#define SIXTEEN(i)                                                                                 \
    _mm512_storeu_si512(marks + 16 * (i),                                                          \
                        _mm512_add_epi32(base, _mm512_cvtepu8_epi32(                               \
                                                   _mm512_extracti32x4_epi32(found, i))))
    SIXTEEN(0);
    if (__builtin_expect(__builtin_popcountll(bits) > 16, 0)) {
        SIXTEEN(1);
        SIXTEEN(2);
        SIXTEEN(3);
    }
#undef SIXTEEN
}

#include "kernels/csv_marks.h"

void mk_csv_marks_avx512vbmi2(const char *bytes, size_t length, char delimiter, char quote,
                              uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    csv_marks(bytes, length, delimiter, quote, marks, lines, found);
}
