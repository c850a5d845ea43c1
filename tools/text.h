/* tools/text.h - bytes that grow, and values as their text at the end of them.
 *
 * Threads: one.   Errors: none; without memory the command stops.   Includes: millstream.h
 */
#ifndef MILL_TEXT_H
#define MILL_TEXT_H

#include "core/millstream.h"

#include <stdlib.h>
#include <string.h>

/* bytes[0 .. length) of @room; starts as {0}; the holder frees bytes. */
struct text {
    char *bytes;
    size_t length, room;
};

/* Makes room for @more bytes behind the text. */
void text_grow(struct text *text, size_t more);

/* Where @more bytes may be written; text->length moves when they are. */
static inline char *text_end(struct text *text, size_t more)
{
    if (text->room - text->length < more)
        text_grow(text, more);
    return text->bytes + text->length;
}
static inline void text_add(struct text *text, const char *bytes, size_t n)
{
    if (n == 0)
        return; /* perhaps there is no memory yet */
    memcpy(text_end(text, n), bytes, n);
    text->length += n;
}
static inline void text_char(struct text *text, char c)
{
    *text_end(text, 1) = c;
    text->length++;
}

#define TEXT_SHORT 64u /* room that no number or time needs more of */

void text_integer(struct text *text, int64_t value);
void text_decimal(struct text *text, __int128 value, unsigned scale);
/* The shortest text that reads back the same, in the form of Java's Double.toString. */
void text_real(struct text *text, double value, bool narrow);
void text_date(struct text *text, int64_t days);
/* A TIME, TIMESTAMP or TIMESTAMP_LTZ in the unit of @type. */
void text_time(struct text *text, const struct mill_type *type, int64_t value);

#endif
