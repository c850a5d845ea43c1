/* core/shown.c - text of unknown origin inside a message, and what is wrong with it. */
#include "core/error.h"

#include <stdio.h>

/* Length of the character at @at, 1 to 4; 0: it is none (RFC 3629: no surrogates, nothing overlong). */
static size_t character(const unsigned char *at, size_t bytes)
{
    const unsigned char c = at[0];
    const size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || n > bytes)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

const char *text_shown(const char *text, size_t bytes, char *to, size_t room)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, i = 0;

    while (i < bytes && used + 8 < room) {
        const size_t n = character(at + i, bytes - i);

        if (n == 0 || at[i] < 0x20 || at[i] == 0x7f) {
            used += (size_t)snprintf(to + used, room - used, "\\x%02X", at[i++]);
            continue;
        }
        memcpy(to + used, at + i, n);
        used += n;
        i += n;
    }
    snprintf(to + used, room - used, "%s", i < bytes ? "..." : "");
    return to;
}

bool text_fault(const char *text, size_t bytes, const char *of, char *to, size_t room)
{
    const unsigned char *at = (const unsigned char *)text;

    for (size_t i = 0, n; i < bytes; i += n) {
        n = character(at + i, bytes - i);
        if (n != 0 && at[i] != 0)
            continue;
        if (n == 0)
            snprintf(to, room, "byte %zu%s is 0x%02X, which is no UTF-8 there", i + 1, of, at[i]);
        else
            snprintf(to, room, "byte %zu%s is NUL", i + 1, of);
        if (bytes > 1 && i < 2 &&
            ((at[0] == 0xff && at[1] == 0xfe) || (at[0] == 0xfe && at[1] == 0xff) || at[i] == 0))
            snprintf(to + strlen(to), room - strlen(to), " (is the file UTF-16?)");
        return true;
    }
    return false;
}
