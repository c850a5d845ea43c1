/* kernels/utf8.h - one character of UTF-8 after the other: the definition of utf8_valid, and the way of its vector forms
 * through text that is not ASCII. Includes: libc
 */
#ifndef MILL_UTF8_H
#define MILL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at @s, @left > 0 bytes of text from there; 0: it is malformed or cut off. */
static inline size_t mk_utf8_character(const unsigned char *s, size_t left)
{
    const unsigned char c = *s;
    unsigned char least = 0x80, most = 0xbf;
    size_t n = 1;

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    if (c >= 0xe0)
        n = c >= 0xf0 ? 3 : 2;
    if (n >= left)
        return 0;
    if (c == 0xe0)
        least = 0xa0;
    else if (c == 0xed)
        most = 0x9f;
    else if (c == 0xf0)
        least = 0x90;
    else if (c == 0xf4)
        most = 0x8f;
    if (s[1] < least || s[1] > most)
        return 0;
    for (size_t i = 2; i <= n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n + 1;
}

/* From @i, between two characters, to the first character behind @until or the first malformed one. */
static inline size_t mk_utf8_run(const char *bytes, size_t i, size_t until, size_t length)
{
    while (i < until) {
        const size_t n = mk_utf8_character((const unsigned char *)bytes + i, length - i);

        if (n == 0)
            return SIZE_MAX;
        i += n;
    }
    return i;
}

static inline size_t mk_utf8_valid_from(const char *bytes, size_t i, size_t length)
{
    return mk_utf8_run(bytes, i, length, length);
}

#endif
