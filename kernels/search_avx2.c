/* kernels/search_avx2.c - search in texts with AVX2: 32 places at a time, the last ones of a short text by 16 or one. */
#include "kernels/search.h"

#include <immintrin.h>

static uint32_t hits32(const char *text, __m256i first, const char *behind, __m256i last)
{
    const __m256i a = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)text), first);
    const __m256i b = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)behind), last);

    return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(a, b));
}

static uint32_t hits16(const char *text, __m128i first, const char *behind, __m128i last)
{
    const __m128i a = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)text), first);
    const __m128i b = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)behind), last);

    return (uint32_t)_mm_movemask_epi8(_mm_and_si128(a, b));
}

static const char *first_of(const char *text, uint32_t hits, const char *word, size_t n)
{
    for (; hits != 0; hits &= hits - 1) {
        const char *at = text + __builtin_ctz(hits);

        if (search_inside(at, word, n))
            return at;
    }
    return NULL;
}

const char *mk_find_text_avx2(const char *text, size_t length, const char *word, size_t n)
{
    const size_t places = length - n + 1;
    const __m256i first = _mm256_set1_epi8(word[0]), last = _mm256_set1_epi8(word[n - 1]);
    const __m128i first16 = _mm256_castsi256_si128(first), last16 = _mm256_castsi256_si128(last);
    const char *at = NULL;
    size_t i = 0;

    if (n > length)
        return NULL;
    if (n > SEARCH_WORD_MAX)
        return memmem(text, length, word, n);
    for (; at == NULL && i + 32 <= places; i += 32)
        at = first_of(text + i, hits32(text + i, first, text + i + n - 1, last), word, n);
    for (; at == NULL && i + 16 <= places; i += 16)
        at = first_of(text + i, hits16(text + i, first16, text + i + n - 1, last16), word, n);
    if (at != NULL || i == places)
        return at;
    if (places < 16)
        return search_rest(text, places, i, word, n);
    i = places - 16; /* some places again */
    return first_of(text + i, hits16(text + i, first16, text + i + n - 1, last16), word, n);
}

bool mk_split_part_avx2(const char *text, size_t length, char separator, uint32_t index,
                        size_t *begin, size_t *end)
{
    const __m256i wanted = _mm256_set1_epi8(separator);
    size_t i = 0;

    *begin = 0;
    for (; i + 32 <= length; i += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(text + i));
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, wanted));

        for (; hits != 0; hits &= hits - 1) {
            if (index == 0) {
                *end = i + (uint32_t)__builtin_ctz(hits);
                return true;
            }
            if (--index == 0)
                *begin = i + (uint32_t)__builtin_ctz(hits) + 1;
        }
    }
    return split_rest(text, length, i, separator, index, begin, end);
}
