/* kernels/values_avx512.c - comparison and arithmetic with AVX-512; selections by compressing row numbers. */
#include "kernels/values_loops.h"

#include <immintrin.h>

/* 16 rows from @at whose bits are set. @whole: there is room for 16. */
static inline uint32_t put_rows(__mmask16 hit, uint32_t at, bool whole, uint16_t *out)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i rows =
        _mm512_maskz_compress_epi32(hit, _mm512_add_epi32(lanes, _mm512_set1_epi32((int)at)));
    const uint32_t n = (uint32_t)__builtin_popcount(hit);

    if (whole)
        _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi32_epi16(rows));
    else
        _mm512_mask_cvtepi32_storeu_epi16(out, (__mmask16)((1u << n) - 1), rows);
    return n;
}

/* The predicate is an immediate: one loop each. */
#define HITS_I32(how)                                                                              \
    _mm512_mask_cmp_epi32_mask(some, _mm512_maskz_loadu_epi32(some, (const int32_t *)a + i),       \
                               _mm512_set1_epi32(*(const int32_t *)b), how)
#define HITS_I64(how)                                                                              \
    (__mmask16)(_mm512_mask_cmp_epi64_mask((__mmask8)some,                                         \
                                           _mm512_maskz_loadu_epi64((__mmask8)some,                \
                                                                    (const int64_t *)a + i),       \
                                           _mm512_set1_epi64(*(const int64_t *)b), how) |          \
                _mm512_mask_cmp_epi64_mask((__mmask8)(some >> 8),                                  \
                                           _mm512_maskz_loadu_epi64((__mmask8)(some >> 8),         \
                                                                    (const int64_t *)a + i + 8),   \
                                           _mm512_set1_epi64(*(const int64_t *)b), how)            \
                    << 8)
#define ROWS_LOOP(HITS, how)                                                                       \
    for (uint32_t i = 0; i < count; i += 16) {                                                     \
        const __mmask16 some = (__mmask16)(count - i >= 16 ? 0xffff : (1u << (count - i)) - 1);    \
                                                                                                   \
        n += put_rows(HITS(how), i, count - i >= 16, out + n);                                     \
    }                                                                                              \
    break
#define ROWS_ALL(HITS)                                                                             \
    switch (how) {                                                                                 \
    case MK_EQ: ROWS_LOOP(HITS, _MM_CMPINT_EQ);                                                    \
    case MK_NE: ROWS_LOOP(HITS, _MM_CMPINT_NE);                                                    \
    case MK_LT: ROWS_LOOP(HITS, _MM_CMPINT_LT);                                                    \
    case MK_LE: ROWS_LOOP(HITS, _MM_CMPINT_LE);                                                    \
    case MK_GT: ROWS_LOOP(HITS, _MM_CMPINT_NLE);                                                   \
    case MK_GE: ROWS_LOOP(HITS, _MM_CMPINT_NLT);                                                   \
    }

static uint32_t select_i32(enum mk_compare how, const void *a, const void *b, uint32_t count,
                           uint16_t *out)
{
    uint32_t n = 0;

    ROWS_ALL(HITS_I32)
    return n;
}

static uint32_t select_i64(enum mk_compare how, const void *a, const void *b, uint32_t count,
                           uint16_t *out)
{
    uint32_t n = 0;

    ROWS_ALL(HITS_I64)
    return n;
}

uint32_t mk_select_avx512(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                          bool a_constant, bool b_constant, const uint16_t *rows, uint32_t count,
                          uint16_t *out)
{
    if (rows == NULL && b_constant && !a_constant && kind == MK_I32)
        return select_i32(how, a, b, count, out);
    if (rows == NULL && b_constant && !a_constant && kind == MK_I64)
        return select_i64(how, a, b, count, out);
    return select_loops(kind, how, a, b, a_constant, b_constant, rows, count, out);
}

void mk_compare_avx512(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                       bool a_constant, bool b_constant, uint32_t count, uint8_t *out)
{
    compare_loops(kind, how, a, b, a_constant, b_constant, count, out);
}

void mk_arith_avx512(enum mk_kind kind, enum mk_arith how, const void *a, const void *b,
                     bool a_constant, bool b_constant, uint32_t count, void *out)
{
    arith_loops(kind, how, a, b, a_constant, b_constant, count, out);
}
