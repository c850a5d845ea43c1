/* kernels/search_avx512.c - search in texts with AVX-512: 64 places at a time, the last ones masked. */
#include "kernels/search.h"

#include <immintrin.h>

const char *mk_find_text_avx512(const char *text, size_t length, const char *word, size_t n)
{
    const size_t places = length - n + 1;
    const __m512i first = _mm512_set1_epi8(word[0]), last = _mm512_set1_epi8(word[n - 1]);

    if (n > length)
        return NULL;
    if (n > SEARCH_WORD_MAX)
        return memmem(text, length, word, n);
    for (size_t i = 0; i < places; i += 64) {
        const __mmask64 there = places - i >= 64 ? ~0ull : (1ull << (places - i)) - 1;
        const __m512i a = _mm512_maskz_loadu_epi8(there, text + i);
        const __m512i b = _mm512_maskz_loadu_epi8(there, text + i + n - 1);
        uint64_t hits =
            _mm512_mask_cmpeq_epi8_mask(_mm512_mask_cmpeq_epi8_mask(there, a, first), b, last);

        for (; hits != 0; hits &= hits - 1) {
            const char *at = text + i + __builtin_ctzll(hits);

            if (search_inside(at, word, n))
                return at;
        }
    }
    return NULL;
}

bool mk_split_part_avx512(const char *text, size_t length, char separator, uint32_t index,
                          size_t *begin, size_t *end)
{
    const __m512i wanted = _mm512_set1_epi8(separator);

    *begin = 0;
    *end = length;
    for (size_t i = 0; i < length; i += 64) {
        const __mmask64 there = length - i >= 64 ? ~0ull : (1ull << (length - i)) - 1;
        uint64_t hits =
            _mm512_mask_cmpeq_epi8_mask(there, _mm512_maskz_loadu_epi8(there, text + i), wanted);
        const uint32_t n = (uint32_t)__builtin_popcountll(hits);

        if (n < index) {
            index -= n;
            continue;
        }
        if (index > 0) {
            const uint64_t before = _pdep_u64(1ull << (index - 1), hits);

            *begin = i + (uint32_t)__builtin_ctzll(before) + 1;
            hits &= ~(before | (before - 1));
            index = 0;
        }
        if (hits != 0) {
            *end = i + (uint32_t)__builtin_ctzll(hits);
            return true;
        }
    }
    return index == 0;
}
