/* kernels/csv_marks.h - where fields and rows end, 64 bytes a mask, for the files with AVX-512, which give put_marks():
 * positions of the bits of 64 bytes at @at; up to 64 entries from @marks on may be overwritten. */
#ifndef MILL_KERNELS_CSV_MARKS_H
#define MILL_KERNELS_CSV_MARKS_H

#include "kernels/csv.h"

#include <immintrin.h>

/* Bit i: an odd number of bits up to and with i. */
static inline uint64_t prefix_xor(uint64_t bits)
{
    const __m128i all = _mm_set1_epi8(-1);

    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)bits), all, 0));
}

/* @ends of the marks @all, which are @m and on, as indices of marks. Most blocks have few marks: no branch
 * depends on how many lines there are. */
static inline void put_lines(uint64_t ends, uint64_t all, uint32_t m, uint32_t *lines)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint64_t which = _pext_u64(ends, all);

    do {
        const __m512i mark = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)m));

        _mm512_storeu_si512(lines, _mm512_maskz_compress_epi32((__mmask16)which, mark));
        lines += __builtin_popcount((uint16_t)which);
        m += 16;
        which >>= 16;
    } while (__builtin_expect(which != 0, 0));
}

struct csv_scan {
    __m512i delimiter, quote;
    uint64_t quoting; /* all or none */
    uint64_t inside, odd, returns;
    uint32_t m, l, quotes;
};

/* The 64 bytes @v at @at, of which @there are any. */
static inline void scan_block(struct csv_scan *s, __m512i v, uint64_t there, uint32_t at,
                              uint32_t *marks, uint32_t *lines)
{
    const uint64_t quoted = _mm512_cmpeq_epi8_mask(v, s->quote) & s->quoting & there;
    uint64_t ends = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')) & there & ~quoted;
    uint64_t all = (_mm512_cmpeq_epi8_mask(v, s->delimiter) & there) | ends;

    s->odd |= _mm512_cmple_epi8_mask(v, _mm512_setzero_si512()) & there;
    s->returns |= _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r'));
    if (__builtin_expect((quoted | s->inside) != 0, 0)) {
        const uint64_t in = prefix_xor(quoted) ^ s->inside;

        all = (all & ~in) | quoted;
        ends &= ~in;
        s->inside = (uint64_t)((int64_t)in >> 63);
        s->quotes += (uint32_t)__builtin_popcountll(quoted);
    }
    put_lines(ends, all, s->m, lines + s->l);
    put_marks(all, at, marks + s->m);
    s->l += (uint32_t)__builtin_popcountll(ends);
    s->m += (uint32_t)__builtin_popcountll(all);
}

static inline void csv_marks(const char *bytes, size_t length, char delimiter, char quote,
                             uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    struct csv_scan s = {.delimiter = _mm512_set1_epi8(delimiter),
                         .quote = _mm512_set1_epi8(quote),
                         .quoting = quote != '\0' ? ~0ull : 0};
    size_t i = 0;

    for (; length - i >= 64; i += 64) {
        mk_ahead(bytes + i);
        scan_block(&s, _mm512_loadu_si512(bytes + i), ~0ull, (uint32_t)i, marks, lines);
    }
    if (i < length) {
        const uint64_t there = (1ull << (length - i)) - 1;

        scan_block(&s, _mm512_maskz_loadu_epi8(there, bytes + i), there, (uint32_t)i, marks, lines);
    }
    *found = (struct mk_csv_marks){s.m, s.l, s.quotes, s.odd == 0, s.returns != 0};
}

#endif
