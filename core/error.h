/* core/error.h - making a struct mill_error (declared in millstream.h).
 *
 * One line per failing path:  return mill_fail(error, MILL_E_TYPE, line, column, "...", ...);
 * A message says what is wrong, with the value, and the likely remedy. No trailing period or newline.
 * Threads: pure.   Includes: base.h, millstream.h
 */
#ifndef MILL_ERROR_H
#define MILL_ERROR_H

#include "core/base.h"
#include "core/millstream.h"

/* Fills @error (may be NULL) and returns @code. The first error wins: an @error that already has a
 * code is left alone. line and column from 1; 0: no place in the SQL. */
int mill_fail(struct mill_error *error, int code, uint32_t line, uint32_t column,
              const char *format, ...) PRINTF_LIKE(5, 6);

/* As mill_fail(), with an errno whose text is appended as ": No such file or directory". */
int mill_fail_os(struct mill_error *error, int code, int os_errno, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The nearest of @names to @wanted by edit distance, or NULL if none is near enough (distance at
 * most a third of the length, compared without case). Borrows everything. */
const char *nearest_name(const char *wanted, const char *const *names, size_t count);

/* @text as a message can hold it: one line, valid UTF-8, other bytes as \xNN, "..." where it is cut. Gives @to. */
const char *text_shown(const char *text, size_t bytes, char *to, size_t room);
/* The first byte of @text that no text may have, with @of " of the field": "byte 5 of the field is 0xFF, which is no UTF-8 there".
 * False: there is none. */
bool text_fault(const char *text, size_t bytes, const char *of, char *to, size_t room);

#endif
