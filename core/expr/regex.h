/* core/expr/regex.h - regular expressions in linear time: a C interface around RE2.
 *
 * Threads: a compiled pattern may be used by one thread at a time.   Errors: NULL with a reason.
 * Its memory is RE2's own, outside the engine's budget; a pattern is limited to 8 MiB.
 */
#ifndef MILL_REGEX_H
#define MILL_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
struct regex;
struct regex *regex_new(const char *pattern, size_t bytes, char *why, size_t why_bytes);
void regex_free(struct regex *regex);
uint32_t regex_groups(const struct regex *regex);
/* Searches from @from; begin and end of group @group (0: the whole match). 0: no match, 1: match, 2: the group took
 * no part in it. */
int regex_find(const struct regex *regex, const char *text, size_t bytes, size_t from,
               uint32_t group, size_t *begin, size_t *end);
bool regex_matches_all(const struct regex *regex, const char *text, size_t bytes);
#ifdef __cplusplus
}
#endif
#endif
