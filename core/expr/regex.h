/* core/expr/regex.h - regular expressions: RE2, in linear time; PCRE2 for look-around and back-references, with limits.
 *
 * Threads: a compiled pattern may be used by one thread at a time.   Errors: NULL with a reason.
 * Its memory is the libraries' own, outside the engine's budget; a pattern of RE2 is limited to 8 MiB, a match of PCRE2
 * to 200,000 steps and 1 MiB.
 */
#ifndef MILL_REGEX_H
#define MILL_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGEX_TOO_HARD 3 /* PCRE2's limits were reached: no answer */

#ifdef __cplusplus
extern "C" {
#endif
struct regex;
struct regex *regex_new(const char *pattern, size_t bytes, char *why, size_t why_bytes);
void regex_free(struct regex *regex);
/* For regex_plain_find(), where the pattern is of that form; else NULL. */
struct regex_plain;
const struct regex_plain *regex_as_plain(const struct regex *regex);
uint32_t regex_groups(const struct regex *regex);
/* Searches from @from; begin and end of group @group (0: the whole match). 0: no match, 1: match, 2: the group took
 * no part in it, REGEX_TOO_HARD. */
int regex_find(const struct regex *regex, const char *text, size_t bytes, size_t from,
               uint32_t group, size_t *begin, size_t *end);
/* 0, 1 or REGEX_TOO_HARD. */
int regex_matches_all(const struct regex *regex, const char *text, size_t bytes);
#ifdef __cplusplus
}
#endif
#endif
