/* kernels/search_scalar.c - the definition of the search kernels. */
#include "kernels/search.h"

const char *mk_find_text_scalar(const char *text, size_t length, const char *word, size_t n)
{
    if (n > length)
        return NULL;
    if (n == 1)
        return memchr(text, word[0], length);
    return n > SEARCH_WORD_MAX ? memmem(text, length, word, n)
                               : search_rest(text, length - n + 1, 0, word, n);
}

bool mk_split_part_scalar(const char *text, size_t length, char separator, uint32_t index,
                          size_t *begin, size_t *end)
{
    *begin = 0;
    return split_rest(text, length, 0, separator, index, begin, end);
}
