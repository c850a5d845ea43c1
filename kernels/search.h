/* kernels/search.h - search in texts of each instruction set, for the tables only. Contracts: kernels.h.
 *
 * A word is found by its first and last byte, compared at all places of a vector at once; what lies between only where both
 * fit (W. Muła, SIMD-friendly algorithms for substring searching). Long words go to memmem(), which is linear. */
#ifndef MILL_KERNELS_SEARCH_H
#define MILL_KERNELS_SEARCH_H

#include "kernels/kernels.h"

#include <string.h>

#define SEARCH_WORD_MAX 32u

#define DECLARE_SEARCH_KERNELS(isa)                                                                \
    const char *mk_find_text_##isa(const char *text, size_t length, const char *word, size_t n);   \
    bool mk_split_part_##isa(const char *text, size_t length, char separator, uint32_t index,      \
                             size_t *begin, size_t *end)
DECLARE_SEARCH_KERNELS(scalar);
DECLARE_SEARCH_KERNELS(avx2);
DECLARE_SEARCH_KERNELS(avx512);

/* The first and last byte fit: does what lies between? */
static inline bool search_inside(const char *at, const char *word, size_t n)
{
    for (size_t i = 1; i + 1 < n; i++)
        if (at[i] != word[i])
            return false;
    return true;
}

/* From place @i on, byte by byte. */
static inline const char *search_rest(const char *text, size_t places, size_t i, const char *word,
                                      size_t n)
{
    for (; i < places; i++)
        if (text[i] == word[0] && text[i + n - 1] == word[n - 1] &&
            search_inside(text + i, word, n))
            return text + i;
    return NULL;
}

/* From byte @i on, with @index parts begun before it, the last at *begin. */
static inline bool split_rest(const char *text, size_t length, size_t i, char separator,
                              uint32_t index, size_t *begin, size_t *end)
{
    for (; i < length; i++) {
        if (text[i] != separator)
            continue;
        if (index == 0) {
            *end = i;
            return true;
        }
        if (--index == 0)
            *begin = i + 1;
    }
    *end = length;
    return index == 0;
}

#endif
