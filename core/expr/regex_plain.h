/* core/expr/regex_plain.h - regular expressions that one search for a word answers, as most that pick a part of a URL or a log line.
 *
 *   [^ | (c|^|...)]  word  [class* | class+ | (class*) | (class+)]
 * A word of plain characters; before it nothing, the beginning of the text, or one character of a choice; behind it as many
 * characters of a class as there are. Groups may be capturing or not. Only ASCII; all else goes to the library.
 * Threads: immutable.   Errors: none.   Includes: kernels.h
 */
#ifndef MILL_REGEX_PLAIN_H
#define MILL_REGEX_PLAIN_H

#include "kernels/kernels.h"

#define PLAIN_WORD_MAX 64u
#define PLAIN_UNKNOWN (-1)

struct regex_plain {
    char word[PLAIN_WORD_MAX];
    uint32_t word_bytes;
    bool before;         /* something must stand before the word: */
    bool before_is[256]; /* one of these characters */
    bool at_begin;       /* or the beginning */
    bool behind[256];    /* the class, of ASCII */
    bool negated;        /* the class has all that is not ASCII */
    uint32_t least;      /* of the class: 0, 1 */
    bool has_behind;
    uint32_t before_group, behind_group, groups; /* numbers of groups; 0: none */
};

#ifdef __cplusplus
extern "C" {
#endif
/* False: the pattern is of another form. */
bool regex_plain_parse(const char *pattern, size_t bytes, struct regex_plain *out);
/* As regex_find() from the beginning; or PLAIN_UNKNOWN: a match would hold what is not ASCII. */
int regex_plain_find(const struct regex_plain *r, const struct mk_table *kernels, const char *text,
                     size_t bytes, uint32_t group, size_t *begin, size_t *end);
#ifdef __cplusplus
}
#endif

#endif
