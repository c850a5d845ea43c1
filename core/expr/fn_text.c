/* core/expr/fn_text.c - functions over strings. Lengths and positions count characters of UTF-8, from 1. */
#include "core/expr/functions.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- resolving ---- */

static bool text_to_text(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_VARCHAR);
}

static bool text_to_int(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_INT);
}

static bool text_to_boolean(struct call *c)
{
    return text_to_int(c) && returns(c, MILL_BOOLEAN);
}

static bool anything_to_text(struct call *c)
{
    const struct mill_type text = type_string();

    for (uint32_t i = 0; i < c->count; i++)
        if (!type_is_text(arg_type(c, i)) && !resolve_cast(c, i, &text))
            return false;
    return returns(c, MILL_VARCHAR);
}

static bool text_ints(struct call *c)
{
    if (!resolve_text(c, 0))
        return false;
    for (uint32_t i = 1; i < c->count; i++)
        if (!resolve_int(c, i))
            return false;
    return returns(c, MILL_VARCHAR);
}

static bool text_int_text(struct call *c)
{
    return resolve_text(c, 0) && resolve_int(c, 1) && resolve_text(c, 2) &&
           returns(c, MILL_VARCHAR);
}

static bool texts_int_to_int(struct call *c)
{
    return resolve_text(c, 0) && resolve_text(c, 1) && (c->count < 3 || resolve_int(c, 2)) &&
           returns(c, MILL_INT);
}

/* ---- characters ---- */

#define EACH_BYTE(n) (0x0101010101010101ull * (n))

static inline uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static uint32_t characters(const char *text, size_t bytes)
{
    uint32_t n = 0;
    size_t i = 0;

    for (; i + 8 <= bytes; i += 8) { /* bytes but 10...... */
        const uint64_t v = load8(text + i);

        n += (uint32_t)__builtin_popcountll((~v | v << 1) & EACH_BYTE(0x80));
    }
    for (; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Of a text in its view: what stands behind it is 0. */
static inline uint32_t short_characters(const struct mill_view *v)
{
    uint64_t first, rest;

    memcpy(&first, v, 8);
    memcpy(&rest, (const char *)v + 8, 8);
    first >>= 32;
    return (uint32_t)__builtin_popcountll((~first | first << 1) & EACH_BYTE(0x80)) +
           (uint32_t)__builtin_popcountll((~rest | rest << 1) & EACH_BYTE(0x80)) - (16 - v->length);
}

/* Byte offset of character @n (from 0), at most bytes. */
static size_t offset_of(const char *text, size_t bytes, int64_t n)
{
    size_t i = 0;

    for (; n >= 8 && i + 8 <= bytes && (load8(text + i) & EACH_BYTE(0x80)) == 0; i += 8)
        n -= 8;
    for (; i < bytes; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80 && n-- == 0)
            break;
    return i;
}

static const char *find(const char *text, size_t bytes, const char *what, size_t what_bytes)
{
    return what_bytes == 0 ? text : memmem(text, bytes, what, what_bytes);
}

EVAL(char_length)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct mill_view *v = TEXT(&args[0], row);

        RESULT(int32_t, out)
        [row] =
            (int32_t)(v->length <= 12 ? short_characters(v) : characters(v->far.data, v->length));
    }
}

/* Case of ASCII and of two-byte Latin and Greek and Cyrillic letters whose case pairs are one apart by a constant. */
static void change_case(char *text, size_t bytes, bool upper)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c < 0x80) {
            if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
                text[i] = (char)(c ^ 32);
        } else if (c == 0xc3 && i + 1 < bytes) {
            const unsigned char d = (unsigned char)text[i + 1];

            if (upper ? d >= 0xa0 && d != 0xb7 && d != 0xbf : d >= 0x80 && d < 0x9f && d != 0x97)
                text[i + 1] = (char)(d ^ 32);
            i++;
        }
    }
}

/* The bytes of @v that are letters of the other case, as 0x20 each; @v is ASCII. */
static inline uint64_t other_case(uint64_t v, bool upper)
{
    const uint64_t from = upper ? EACH_BYTE(0x80 - 'a') : EACH_BYTE(0x80 - 'A');
    const uint64_t behind = upper ? EACH_BYTE(0x7f - 'z') : EACH_BYTE(0x7f - 'Z');

    return ((v + from) & ~(v + behind) & EACH_BYTE(0x80)) >> 2;
}

static void copy_cased(char *to, const char *from, size_t bytes, bool upper)
{
    size_t i = 0;

    for (; i + 8 <= bytes; i += 8) {
        uint64_t v = load8(from + i);

        if ((v & EACH_BYTE(0x80)) != 0)
            break;
        v ^= other_case(v, upper);
        memcpy(to + i, &v, 8);
    }
    memcpy(to + i, from + i, bytes - i);
    change_case(to + i, bytes - i, upper);
}

/* A short ASCII text in its view, two words: what stands behind it is 0. */
static inline bool view_cased(struct mill_view *v, bool upper)
{
    uint64_t first, rest;

    memcpy(&first, v, 8);
    memcpy(&rest, (const char *)v + 8, 8);
    if (((first >> 32 | rest) & EACH_BYTE(0x80)) != 0)
        return false;
    first ^= other_case(first >> 32, upper) << 32;
    rest ^= other_case(rest, upper);
    memcpy(v, &first, 8);
    memcpy((char *)v + 8, &rest, 8);
    return true;
}

static void cased(struct eval *e, const struct column *args, struct column *out, bool upper)
{
    FOR_ROWS(e, row)
    {
        struct mill_view v = *TEXT(&args[0], row);
        char *copy;

        if (v.length > 12 || !view_cased(&v, upper)) {
            copy = eval_bytes(e, v.length);
            if (copy == NULL)
                return;
            copy_cased(copy, mill_view_data(&v), v.length, upper);
            v = view_of(copy, v.length);
        }
        RESULT(struct mill_view, out)[row] = v;
    }
}

EVAL(upper)
{
    (void)count;
    cased(e, args, out, true);
}
EVAL(lower)
{
    (void)count;
    cased(e, args, out, false);
}

EVAL(initcap)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *copy = eval_bytes(e, BYTES(0));
        bool inside = false;

        if (copy == NULL)
            return;
        for (uint32_t i = 0; i < BYTES(0); i++) {
            const char c = DATA(0)[i];
            const bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
            const bool word = letter || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;

            copy[i] = !letter ? c : inside ? (char)(c | 32) : (char)(c & ~32);
            inside = word;
        }
        RESULT(struct mill_view, out)[row] = view_of(copy, BYTES(0));
    }
}

static inline char *put_text(char *to, const struct mill_view *v)
{
    const char *from = mill_view_data(v);

    if (v->length <= 12) /* room for 12 */
        memcpy(to, from, 12);
    else
        memcpy(to, from, v->length);
    return to + v->length;
}

/* One piece of memory for the texts of all rows. */
EVAL(concat)
{
    size_t bytes = 16;
    char *next;

    for (uint32_t a = 0; a < count; a++)
        FOR_ROWS(e, row)
    bytes += BYTES(a);
    next = eval_bytes(e, bytes);
    if (next == NULL)
        return;
    FOR_ROWS(e, row)
    {
        char *text = next;

        for (uint32_t a = 0; a < count; a++)
            next = put_text(next, TEXT(&args[a], row));
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

EVAL(concat_ws)
{
    FOR_ROWS(e, row)
    {
        size_t bytes = 0, at = 0;
        bool first = true;
        char *text;

        if (!column_valid(&args[0], row)) {
            eval_null(e, out, row);
            continue;
        }
        for (uint32_t a = 1; a < count; a++)
            if (column_valid(&args[a], row))
                bytes += BYTES(a) + BYTES(0);
        text = eval_bytes(e, bytes);
        if (text == NULL)
            return;
        for (uint32_t a = 1; a < count; a++) {
            if (!column_valid(&args[a], row))
                continue;
            if (!first) {
                memcpy(text + at, DATA(0), BYTES(0));
                at += BYTES(0);
            }
            memcpy(text + at, DATA(a), BYTES(a));
            at += BYTES(a);
            first = false;
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)at);
    }
}

/* SUBSTRING(s, from[, length]): from 1; negative counts from the end. */
EVAL(substring)
{
    FOR_ROWS(e, row)
    {
        const char *text = DATA(0);
        const int64_t all = characters(text, BYTES(0));
        int64_t from = INT(1), length = count > 2 ? INT(2) : INT32_MAX;
        size_t begin, end;

        if (length < 0) {
            eval_null(e, out, row);
            continue;
        }
        from = from > 0 ? from - 1 : from < 0 ? all + from : 0;
        if (from < 0) {
            length = 0; /* Flink: before the first character there is nothing */
            from = 0;
        }
        begin = offset_of(text, BYTES(0), min_i64(from, all));
        end = begin + offset_of(text + begin, BYTES(0) - begin, length);
        eval_slice(out, row, text + begin, end - begin);
    }
}

EVAL(left)
{
    (void)count;
    FOR_ROWS(e, row)
    eval_slice(out, row, DATA(0), INT(1) > 0 ? offset_of(DATA(0), BYTES(0), INT(1)) : 0);
}

EVAL(right)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const int64_t all = characters(DATA(0), BYTES(0));
        const int64_t n = max_i64(0, min_i64(all, INT(1)));
        const size_t begin = offset_of(DATA(0), BYTES(0), all - n);

        eval_slice(out, row, DATA(0) + begin, BYTES(0) - begin);
    }
}

/* TRIM('BOTH' | 'LEADING' | 'TRAILING', characters, s) */
static void trim_row(struct column *out, uint32_t row, const struct mill_view *s, const char *set,
                     size_t set_bytes, bool leading, bool trailing)
{
    const char *text = mill_view_data(s), *end = text + s->length;

    while (leading && text < end && memchr(set, *text, set_bytes) != NULL)
        text++;
    while (trailing && text < end && memchr(set, end[-1], set_bytes) != NULL)
        end--;
    eval_slice(out, row, text, (size_t)(end - text));
}

EVAL(trim)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const char how = DATA(0)[0];

        trim_row(out, row, TEXT(&args[2], row), DATA(1), BYTES(1), how != 'T', how != 'L');
    }
}

EVAL(btrim)
{
    FOR_ROWS(e, row)
    trim_row(out, row, TEXT(&args[0], row), count > 1 ? DATA(1) : " ", count > 1 ? BYTES(1) : 1,
             true, true);
}

EVAL(ltrim)
{
    FOR_ROWS(e, row)
    trim_row(out, row, TEXT(&args[0], row), count > 1 ? DATA(1) : " ", count > 1 ? BYTES(1) : 1,
             true, false);
}

EVAL(rtrim)
{
    FOR_ROWS(e, row)
    trim_row(out, row, TEXT(&args[0], row), count > 1 ? DATA(1) : " ", count > 1 ? BYTES(1) : 1,
             false, true);
}

static int32_t position_of(const struct mill_view *what, const struct mill_view *text, int64_t from)
{
    const char *data = mill_view_data(text);
    const size_t begin = offset_of(data, text->length, max_i64(from, 1) - 1);
    const char *at = find(data + begin, text->length - begin, mill_view_data(what), what->length);

    return at == NULL ? 0 : (int32_t)characters(data, (size_t)(at - data)) + 1;
}

EVAL(position) /* POSITION(what IN text), LOCATE(what, text[, from]) */
{
    FOR_ROWS(e, row)
    RESULT(int32_t, out)
    [row] = position_of(TEXT(&args[0], row), TEXT(&args[1], row), count > 2 ? INT(2) : 1);
}

EVAL(instr)
{
    (void)count;
    FOR_ROWS(e, row)
    RESULT(int32_t, out)[row] = position_of(TEXT(&args[1], row), TEXT(&args[0], row), 1);
}

EVAL(starts_with)
{
    (void)count;
    FOR_ROWS(e, row)
    RESULT(uint8_t, out)[row] = BYTES(0) >= BYTES(1) && memcmp(DATA(0), DATA(1), BYTES(1)) == 0;
}

EVAL(ends_with)
{
    (void)count;
    FOR_ROWS(e, row)
    RESULT(uint8_t, out)
    [row] = BYTES(0) >= BYTES(1) && memcmp(DATA(0) + BYTES(0) - BYTES(1), DATA(1), BYTES(1)) == 0;
}

#define TEXT_MAX (16u << 20)

EVAL(repeat)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const int64_t n = max_i64(0, INT(1));
        char *text;

        if ((int64_t)BYTES(0) * n > TEXT_MAX) {
            eval_bad(e, row, "REPEAT makes a string of more than 16 MiB");
            continue;
        }
        text = eval_bytes(e, (size_t)(BYTES(0) * n));
        if (text == NULL)
            return;
        for (int64_t i = 0; i < n; i++)
            memcpy(text + i * BYTES(0), DATA(0), BYTES(0));
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(BYTES(0) * n));
    }
}

EVAL(reverse)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const uint32_t bytes = BYTES(0);
        const char *from = DATA(0);
        char *text = eval_bytes(e, bytes);
        uint32_t at = bytes;

        if (text == NULL)
            return;
        for (uint32_t i = 0; i < bytes;) {
            uint32_t n = 1;

            while (i + n < bytes && ((unsigned char)from[i + n] & 0xc0) == 0x80)
                n++;
            at -= n;
            memcpy(text + at, from + i, n);
            i += n;
        }
        RESULT(struct mill_view, out)[row] = view_of(text, bytes);
    }
}

EVAL(replace)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const char *from = DATA(0), *end = from + BYTES(0), *at;
        const size_t room =
            BYTES(1) == 0 ? BYTES(0) : BYTES(0) + BYTES(0) / BYTES(1) * (size_t)BYTES(2);
        char *text, *next;

        if (room > TEXT_MAX) {
            eval_bad(e, row, "REPLACE makes a string of more than 16 MiB");
            continue;
        }
        next = text = eval_bytes(e, room);
        if (text == NULL)
            return;
        while (BYTES(1) > 0 && (at = find(from, (size_t)(end - from), DATA(1), BYTES(1))) != NULL) {
            memcpy(next, from, (size_t)(at - from));
            next += at - from;
            memcpy(next, DATA(2), BYTES(2));
            next += BYTES(2);
            from = at + BYTES(1);
        }
        memcpy(next, from, (size_t)(end - from));
        next += end - from;
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

static void pad(struct eval *e, const struct column *args, struct column *out, bool at_left)
{
    FOR_ROWS(e, row)
    {
        const int64_t all = characters(DATA(0), BYTES(0)), wanted = INT(1);
        const uint32_t fill = characters(DATA(2), BYTES(2));
        char *text, *next;
        size_t kept;

        if (wanted < 0 || (fill == 0 && wanted > all) || wanted > (int64_t)TEXT_MAX / 4) {
            eval_null(e, out, row);
            continue;
        }
        kept = offset_of(DATA(0), BYTES(0), min_i64(wanted, all));
        next = text = eval_bytes(e, kept + (size_t)max_i64(0, wanted - all) * 4);
        if (text == NULL)
            return;
        if (!at_left) {
            memcpy(next, DATA(0), kept);
            next += kept;
        }
        for (int64_t i = 0; i < wanted - all; i++) {
            const size_t from = offset_of(DATA(2), BYTES(2), i % fill);
            const size_t n = from + offset_of(DATA(2) + from, BYTES(2) - from, 1) - from;

            memcpy(next, DATA(2) + from, n);
            next += n;
        }
        if (at_left) {
            memcpy(next, DATA(0), kept);
            next += kept;
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

EVAL(lpad)
{
    (void)count;
    pad(e, args, out, true);
}
EVAL(rpad)
{
    (void)count;
    pad(e, args, out, false);
}

EVAL(ascii)
{
    (void)count;
    FOR_ROWS(e, row)
    RESULT(int32_t, out)[row] = BYTES(0) > 0 ? (unsigned char)DATA(0)[0] : 0;
}

static bool resolve_chr(struct call *c)
{
    return resolve_int(c, 0) && returns(c, MILL_VARCHAR);
}

EVAL(chr)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const uint32_t code = (uint32_t)INT(0) & 255;
        const char text[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 63))};
        const char plain = (char)code;

        eval_text(e, out, row, code < 128 ? &plain : text, code < 128 ? 1 : 2);
    }
}

EVAL(overlay) /* OVERLAY(s PLACING t FROM n [FOR m]) */
{
    FOR_ROWS(e, row)
    {
        const int64_t all = characters(DATA(0), BYTES(0)), from = INT(2);
        const int64_t length = count > 3 ? INT(3) : (int64_t)characters(DATA(1), BYTES(1));
        size_t begin, end;
        char *text;

        if (from < 1 || from > all + 1 || length < 0) {
            eval_text(e, out, row, DATA(0), BYTES(0));
            continue;
        }
        begin = offset_of(DATA(0), BYTES(0), from - 1);
        end = begin + offset_of(DATA(0) + begin, BYTES(0) - begin, length);
        text = eval_bytes(e, BYTES(0) + (size_t)BYTES(1));
        if (text == NULL)
            return;
        memcpy(text, DATA(0), begin);
        memcpy(text + begin, DATA(1), BYTES(1));
        memcpy(text + begin + BYTES(1), DATA(0) + end, BYTES(0) - end);
        RESULT(struct mill_view, out)
        [row] = view_of(text, (uint32_t)(BYTES(0) - (end - begin) + BYTES(1)));
    }
}

static bool resolve_overlay(struct call *c)
{
    return resolve_text(c, 0) && resolve_text(c, 1) && resolve_int(c, 2) &&
           (c->count < 4 || resolve_int(c, 3)) && returns(c, MILL_VARCHAR);
}

EVAL(translate)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *text = eval_bytes(e, (size_t)BYTES(0) * 4), *next = text;
        const char *s = DATA(0);

        if (text == NULL)
            return;
        for (size_t i = 0; i < BYTES(0);) {
            const size_t n = offset_of(s + i, BYTES(0) - i, 1);
            const char *at = find(DATA(1), BYTES(1), s + i, n);

            if (at == NULL) {
                memcpy(next, s + i, n);
                next += n;
            } else {
                const size_t from =
                    offset_of(DATA(2), BYTES(2), characters(DATA(1), (size_t)(at - DATA(1))));
                const size_t m = offset_of(DATA(2) + from, BYTES(2) - from, 1);

                memcpy(next, DATA(2) + from, m);
                next += m;
            }
            i += n;
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

/* ---- bytes as text ---- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

EVAL(to_base64)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const unsigned char *s = (const unsigned char *)DATA(0);
        const uint32_t n = BYTES(0);
        char *text = eval_bytes(e, (n + 2) / 3 * 4), *next = text;

        if (text == NULL)
            return;
        for (uint32_t i = 0; i < n; i += 3) {
            const uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) |
                               (i + 2 < n ? s[i + 2] : 0);

            *next++ = base64[v >> 18];
            *next++ = base64[v >> 12 & 63];
            *next++ = i + 1 < n ? base64[v >> 6 & 63] : '=';
            *next++ = i + 2 < n ? base64[v & 63] : '=';
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

EVAL(from_base64)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *text = eval_bytes(e, BYTES(0)), *next = text;
        uint32_t bits = 0, have = 0;
        bool good = true;

        if (text == NULL)
            return;
        for (uint32_t i = 0; i < BYTES(0) && DATA(0)[i] != '='; i++) {
            const char *at = DATA(0)[i] != '\0' ? strchr(base64, DATA(0)[i]) : NULL;

            good = good && at != NULL;
            bits = bits << 6 | (at != NULL ? (uint32_t)(at - base64) : 0);
            have += 6;
            if (have >= 8) {
                have -= 8;
                *next++ = (char)(bits >> have);
            }
        }
        if (!good)
            eval_null(e, out, row);
        else
            RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

EVAL(url_encode)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *text = eval_bytes(e, (size_t)BYTES(0) * 3 + 1), *next = text;

        if (text == NULL)
            return;
        for (uint32_t i = 0; i < BYTES(0); i++) {
            const unsigned char c = (unsigned char)DATA(0)[i];

            if (((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') ||
                (c != '\0' && strchr(".-*_", c) != NULL))
                *next++ = (char)c;
            else if (c == ' ')
                *next++ = '+';
            else
                next += sprintf(next, "%%%02X", c);
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

EVAL(url_decode)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *text = eval_bytes(e, BYTES(0)), *next = text;
        const char *s = DATA(0);
        bool good = true;

        if (text == NULL)
            return;
        for (uint32_t i = 0; i < BYTES(0) && good; i++) {
            if (s[i] != '%') {
                *next++ = s[i] == '+' ? ' ' : s[i];
                continue;
            }
            good = i + 2 < BYTES(0) && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0;
            if (good)
                *next++ = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        }
        if (!good)
            eval_null(e, out, row);
        else
            RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)(next - text));
    }
}

EVAL(all_of) /* IS_ALPHA, IS_DIGIT */
{
    const bool alpha = e->where->function->name[3] == 'A';

    (void)count;
    FOR_ROWS(e, row)
    {
        bool all = BYTES(0) > 0;

        for (uint32_t i = 0; i < BYTES(0); i++) {
            const char c = DATA(0)[i];

            all = all && (alpha ? ((c | 32) >= 'a' && (c | 32) <= 'z') || (unsigned char)c >= 0x80
                                : c >= '0' && c <= '9');
        }
        RESULT(uint8_t, out)[row] = all;
    }
}

static bool resolve_hex(struct call *c)
{
    return (type_is_binary(arg_type(c, 0)) || resolve_bigint(c, 0) || resolve_text(c, 0)) &&
           returns(c, MILL_VARCHAR);
}

EVAL(hex)
{
    const bool number = type_phys(&e->where->args[0]->type) == PHYS_I64;

    (void)count;
    FOR_ROWS(e, row)
    {
        char text[24];
        char *bytes, *next;

        if (number) {
            eval_text(e, out, row, text,
                      (size_t)snprintf(text, sizeof text, "%llX",
                                       (unsigned long long)VALUE(int64_t, &args[0], row)));
            continue;
        }
        next = bytes = eval_bytes(e, (size_t)BYTES(0) * 2 + 1);
        if (bytes == NULL)
            return;
        for (uint32_t i = 0; i < BYTES(0); i++)
            next += sprintf(next, "%02X", (unsigned char)DATA(0)[i]);
        RESULT(struct mill_view, out)[row] = view_of(bytes, (uint32_t)(next - bytes));
    }
}

#define S "string"
const struct function functions_text[] =
    {{"||", "a || b", "concatenation", S, 2, 2, 0, anything_to_text, concat},
     {"CONCAT", "CONCAT(a, ...)", "concatenation; NULL if one is NULL", S, 1, 255, 0,
      anything_to_text, concat},
     {"CONCAT_WS", "CONCAT_WS(separator, a, ...)",
      "concatenation of those not NULL, with a separator between", S, 1, 255, FN_NULLS,
      anything_to_text, concat_ws},
     {"CHAR_LENGTH", "CHAR_LENGTH(s)", "number of characters", S, 1, 1, 0, text_to_int,
      char_length},
     {"CHARACTER_LENGTH", "CHARACTER_LENGTH(s)", "number of characters", S, 1, 1, 0, text_to_int,
      char_length},
     {"UPPER", "UPPER(s)", "in capital letters", S, 1, 1, 0, text_to_text, upper},
     {"LOWER", "LOWER(s)", "in small letters", S, 1, 1, 0, text_to_text, lower},
     {"INITCAP", "INITCAP(s)", "every word with a capital letter", S, 1, 1, 0, text_to_text,
      initcap},
     {"SUBSTRING", "SUBSTRING(s, from[, length])",
      "part of s from a position (from 1; negative: from the end)", S, 2, 3, FN_MAY_NULL, text_ints,
      substring},
     {"SUBSTR", "SUBSTR(s, from[, length])", "as SUBSTRING", S, 2, 3, FN_MAY_NULL, text_ints,
      substring},
     {"LEFT", "LEFT(s, n)", "the first n characters", S, 2, 2, 0, text_ints, left},
     {"RIGHT", "RIGHT(s, n)", "the last n characters", S, 2, 2, 0, text_ints, right},
     {"TRIM", "TRIM([LEADING | TRAILING | BOTH] characters FROM s)",
      "s without the characters at its ends", S, 3, 3, 0, text_to_text, trim},
     {"BTRIM", "BTRIM(s[, characters])", "s without the characters at both ends", S, 1, 2, 0,
      text_to_text, btrim},
     {"LTRIM", "LTRIM(s[, characters])", "s without the characters at its beginning", S, 1, 2, 0,
      text_to_text, ltrim},
     {"RTRIM", "RTRIM(s[, characters])", "s without the characters at its end", S, 1, 2, 0,
      text_to_text, rtrim},
     {"POSITION", "POSITION(what IN s)", "where what begins in s, from 1; 0: nowhere", S, 2, 2, 0,
      text_to_int, position},
     {"LOCATE", "LOCATE(what, s[, from])", "where what begins in s, from 1; 0: nowhere", S, 2, 3, 0,
      texts_int_to_int, position},
     {"INSTR", "INSTR(s, what)", "where what begins in s, from 1; 0: nowhere", S, 2, 2, 0,
      text_to_int, instr},
     {"STARTSWITH", "STARTSWITH(s, start)", "TRUE if s begins with start", S, 2, 2, 0,
      text_to_boolean, starts_with},
     {"ENDSWITH", "ENDSWITH(s, end)", "TRUE if s ends with end", S, 2, 2, 0, text_to_boolean,
      ends_with},
     {"REPEAT", "REPEAT(s, n)", "s n times", S, 2, 2, 0, text_ints, repeat},
     {"REVERSE", "REVERSE(s)", "the characters from the last to the first", S, 1, 1, 0,
      text_to_text, reverse},
     {"REPLACE", "REPLACE(s, what, by)", "every what in s replaced", S, 3, 3, 0, text_to_text,
      replace},
     {"LPAD", "LPAD(s, n, fill)", "s filled or cut to n characters at its left", S, 3, 3,
      FN_MAY_NULL, text_int_text, lpad},
     {"RPAD", "RPAD(s, n, fill)", "s filled or cut to n characters at its right", S, 3, 3,
      FN_MAY_NULL, text_int_text, rpad},
     {"ASCII", "ASCII(s)", "code of the first character", S, 1, 1, 0, text_to_int, ascii},
     {"CHR", "CHR(n)", "character of a code", S, 1, 1, 0, resolve_chr, chr},
     {"OVERLAY", "OVERLAY(s PLACING t FROM n [FOR m])", "m characters of s from n replaced by t", S,
      3, 4, 0, resolve_overlay, overlay},
     {"TRANSLATE", "TRANSLATE(s, from, to)", "each character of from replaced by its partner in to",
      S, 3, 3, 0, text_to_text, translate},
     {"TO_BASE64", "TO_BASE64(s)", "s in base 64", S, 1, 1, 0, text_to_text, to_base64},
     {"FROM_BASE64", "FROM_BASE64(s)", "the text of a base 64 form; not base 64: NULL", S, 1, 1,
      FN_MAY_NULL, text_to_text, from_base64},
     {"URL_ENCODE", "URL_ENCODE(s)", "s as application/x-www-form-urlencoded", S, 1, 1, 0,
      text_to_text, url_encode},
     {"URL_DECODE", "URL_DECODE(s)", "the text of an encoded URL part; not valid: NULL", S, 1, 1,
      FN_MAY_NULL, text_to_text, url_decode},
     {"IS_ALPHA", "IS_ALPHA(s)", "TRUE if all characters are letters", S, 1, 1, 0, text_to_boolean,
      all_of},
     {"IS_DIGIT", "IS_DIGIT(s)", "TRUE if all characters are digits", S, 1, 1, 0, text_to_boolean,
      all_of},
     {"HEX", "HEX(n or s)", "hexadecimal digits of an integer or of bytes or of those of a string",
      S, 1, 1, 0, resolve_hex, hex},
     {0}};
