/* core/expr/fn_coding.c - text that stands for something else: UNHEX, IS_DECIMAL, ELT, PARSE_URL, ENCODE, DECODE. */
#include "core/expr/functions.h"
#include "kernels/utf8.h"

#include <stdio.h>
#include <strings.h>

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* An odd number of digits begins with a 0, as Hive and Flink have it. */
EVAL(unhex)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const uint32_t n = BYTES(0), odd = n % 2;
        char *bytes = eval_bytes(e, n / 2 + 1);
        bool good = true;

        if (bytes == NULL)
            return;
        for (uint32_t i = 0; i < n; i++) {
            const int digit = hex_digit(DATA(0)[i]);
            const uint32_t at = (i + odd) / 2;

            good = good && digit >= 0;
            bytes[at] = (char)((i + odd) % 2 == 0 ? digit * 16 : (i == 0 ? 0 : bytes[at]) | digit);
        }
        if (good)
            RESULT(struct mill_view, out)[row] = view_of(bytes, n / 2 + odd);
        else
            eval_null(e, out, row);
    }
}

static bool resolve_unhex(struct call *c)
{
    if (!resolve_text(c, 0))
        return false;
    c->result = type_make(MILL_VARBINARY);
    c->result.length = MILL_LENGTH_MAX;
    return true;
}

/* NULL and what is no number: FALSE. */
EVAL(is_decimal)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        double value;
        bool number = false;

        if (column_valid(&args[0], row) && BYTES(0) > 0)
            number = strchr("0123456789+-.", DATA(0)[0]) != NULL && DATA(0)[0] != '\0' &&
                     double_parse(DATA(0), BYTES(0), &value);
        RESULT(uint8_t, out)[row] = number;
    }
}

static bool resolve_is_decimal(struct call *c)
{
    if (!resolve_text(c, 0) || !returns(c, MILL_BOOLEAN))
        return false;
    c->result.not_null = true;
    return true;
}

EVAL(elt)
{
    FOR_ROWS(e, row)
    {
        const int32_t n = column_valid(&args[0], row) ? INT(0) : 0;

        if (n < 1 || (uint32_t)n >= count || !column_valid(&args[n], row))
            eval_null(e, out, row);
        else
            RESULT(struct mill_view, out)[row] = *TEXT(&args[n], row);
    }
}

static bool resolve_elt(struct call *c)
{
    if (!resolve_int(c, 0))
        return false;
    for (uint32_t i = 1; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_VARCHAR);
}

/* ---- URLs: protocol://[userinfo@]host[:port][path][?query][#ref] ---- */

struct part {
    const char *from, *to; /* NULL: there is none */
};

static const char *first_of(const char *from, const char *to, const char *marks)
{
    while (from < to && strchr(marks, *from) == NULL)
        from++;
    return from;
}

static struct part query_value(struct part query, const char *key, uint32_t key_bytes)
{
    for (const char *s = query.from; s != NULL && s <= query.to;) {
        const char *end = first_of(s, query.to, "&");
        const char *equals = first_of(s, end, "=");

        if (equals < end && (size_t)(equals - s) == key_bytes && memcmp(s, key, key_bytes) == 0)
            return (struct part){equals + 1, end};
        s = end + 1;
    }
    return (struct part){NULL, NULL};
}

static bool named(const struct mill_view *v, const char *name)
{
    return v->length == strlen(name) && memcmp(mill_view_data(v), name, v->length) == 0;
}

static struct part url_part(const struct mill_view *url, const struct mill_view *what)
{
    const char *s = mill_view_data(url), *end = s + url->length;
    const char *colon = first_of(s, end, ":/?#");
    const struct part none = {NULL, NULL};
    struct part authority = none, path, query = none, ref = none;

    if (colon == s || colon == end || *colon != ':')
        return none;
    path.from = colon + 1;
    if (end - path.from >= 2 && memcmp(path.from, "//", 2) == 0) {
        authority = (struct part){path.from + 2, first_of(path.from + 2, end, "/?#")};
        path.from = authority.to;
    }
    path.to = first_of(path.from, end, "?#");
    if (path.to < end && *path.to == '?')
        query = (struct part){path.to + 1, first_of(path.to + 1, end, "#")};
    const char *mark = query.from != NULL ? query.to : path.to;

    if (mark < end)
        ref = (struct part){mark + 1, end};
    const char *at = authority.from != NULL
                         ? memchr(authority.from, '@', (size_t)(authority.to - authority.from))
                         : NULL;

    if (named(what, "PROTOCOL"))
        return (struct part){s, colon};
    if (named(what, "AUTHORITY"))
        return authority;
    if (named(what, "PATH"))
        return path;
    if (named(what, "QUERY"))
        return query;
    if (named(what, "REF"))
        return ref;
    if (named(what, "FILE"))
        return (struct part){path.from, query.from != NULL ? query.to : path.to};
    if (named(what, "USERINFO"))
        return at != NULL ? (struct part){authority.from, at} : none;
    if (named(what, "HOST") && authority.from != NULL) {
        const char *host = at != NULL ? at + 1 : authority.from;

        return (struct part){host, *host == '[' ? first_of(host, authority.to, "]") + 1
                                                : first_of(host, authority.to, ":")};
    }
    return none;
}

EVAL(parse_url)
{
    FOR_ROWS(e, row)
    {
        struct part part = url_part(TEXT(&args[0], row), TEXT(&args[1], row));

        if (count > 2)
            part = named(TEXT(&args[1], row), "QUERY") ? query_value(part, DATA(2), BYTES(2))
                                                       : (struct part){NULL, NULL};
        if (part.from == NULL)
            eval_null(e, out, row);
        else
            eval_text(e, out, row, part.from, (size_t)(part.to - part.from));
    }
}

static bool resolve_parse_url(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_VARCHAR);
}

/* ---- ENCODE and DECODE: Java's character sets ---- */

enum charset { ASCII, LATIN1, UTF8, UTF16, UTF16BE, UTF16LE, NO_CHARSET };

static enum charset charset_find(const char *name, size_t bytes)
{
    static const char *const names[] = {"US-ASCII", "ISO-8859-1", "UTF-8",
                                        "UTF-16",   "UTF-16BE",   "UTF-16LE"};

    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        if (strlen(names[i]) == bytes && strncasecmp(names[i], name, bytes) == 0)
            return (enum charset)i;
    return NO_CHARSET;
}

static enum charset charset_of(struct eval *e, const struct column *c, uint32_t row)
{
    const struct mill_view *name = TEXT(c, row);
    const enum charset set = charset_find(mill_view_data(name), name->length);
    char reason[160];

    if (set == NO_CHARSET) {
        snprintf(reason, sizeof reason,
                 "'%.*s' is none of the character sets US-ASCII, ISO-8859-1, UTF-8, UTF-16, "
                 "UTF-16BE, UTF-16LE",
                 (int)min_u32(name->length, 40), mill_view_data(name));
        eval_bad(e, row, reason);
    }
    return set;
}

/* The code point at *at of valid UTF-8. */
static uint32_t utf8_next(const char *s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s + *at;
    const uint32_t more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
    uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);

    for (uint32_t i = 1; i <= more; i++)
        c = c << 6 | (p[i] & 0x3fu);
    *at += more + 1;
    return c;
}

static char *utf8_put(char *to, uint32_t c)
{
    const uint32_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    *to++ = (char)(more == 0 ? c : (0xff00u >> (more + 1) & 0xffu) | c >> (6 * more));
    for (uint32_t i = more; i-- > 0;)
        *to++ = (char)(0x80 | (c >> (6 * i) & 0x3f));
    return to;
}

static char *utf16_put(char *to, uint32_t unit, bool little)
{
    to[little] = (char)(unit >> 8);
    to[!little] = (char)unit;
    return to + 2;
}

/* What a character set does not have becomes a question mark. */
static size_t encode_text(enum charset set, const char *s, size_t bytes, char *to)
{
    const bool little = set == UTF16LE;
    char *next = to;

    if (set == UTF8) {
        memcpy(to, s, bytes);
        return bytes;
    }
    if (set == UTF16)
        next = utf16_put(next, 0xfeff, false);
    for (size_t at = 0; at < bytes;) {
        const uint32_t c = utf8_next(s, &at);

        if (set <= LATIN1) {
            *next++ = (char)(c < (set == ASCII ? 0x80u : 0x100u) ? c : '?');
        } else if (c < 0x10000) {
            next = utf16_put(next, c, little);
        } else {
            next = utf16_put(next, 0xd800 + ((c - 0x10000) >> 10), little);
            next = utf16_put(next, 0xdc00 + ((c - 0x10000) & 0x3ff), little);
        }
    }
    return (size_t)(next - to);
}

static size_t decode_utf16(enum charset set, const unsigned char *s, size_t bytes, char *to)
{
    bool little = set == UTF16LE;
    char *next = to;
    size_t at = 0;

    if (set == UTF16 && bytes >= 2 &&
        ((s[0] == 0xfe && s[1] == 0xff) || (s[0] == 0xff && s[1] == 0xfe))) {
        little = s[0] == 0xff;
        at = 2;
    }
    for (; at + 1 < bytes; at += 2) {
        uint32_t c = (uint32_t)s[at + !little] | (uint32_t)s[at + little] << 8;

        if (c >= 0xd800 && c < 0xdc00 && at + 3 < bytes && (s[at + 2 + little] & 0xfc) == 0xdc) {
            at += 2;
            c = 0x10000 + ((c - 0xd800) << 10) +
                (((uint32_t)s[at + little] << 8 | s[at + !little]) - 0xdc00);
        } else if (c >= 0xd800 && c < 0xe000) {
            c = 0xfffd;
        }
        next = utf8_put(next, c);
    }
    return (size_t)((at < bytes ? utf8_put(next, 0xfffd) : next) - to);
}

/* Bytes that are no character become U+FFFD. */
static size_t decode_bytes(enum charset set, const unsigned char *s, size_t bytes, char *to)
{
    char *next = to;

    if (set >= UTF16)
        return decode_utf16(set, s, bytes, to);
    for (size_t at = 0; at < bytes;) {
        const size_t n = set == UTF8 ? mk_utf8_character(s + at, bytes - at) : 1;

        if (set == UTF8 && n > 0)
            memcpy(next, s + at, n), next += n;
        else
            next = utf8_put(next, set == UTF8 || (set == ASCII && s[at] >= 0x80) ? 0xfffd : s[at]);
        at += n > 0 ? n : 1;
    }
    return (size_t)(next - to);
}

EVAL(recode)
{
    const bool encode = e->where->function->name[0] == 'E';

    (void)count;
    FOR_ROWS(e, row)
    {
        const enum charset set = charset_of(e, &args[1], row);
        char *to = set == NO_CHARSET ? NULL : eval_bytes(e, 3 * (size_t)BYTES(0) + 4);
        size_t n;

        if (e->code != MILL_OK)
            return;
        if (set == NO_CHARSET)
            continue;
        n = encode ? encode_text(set, DATA(0), BYTES(0), to)
                   : decode_bytes(set, (const unsigned char *)DATA(0), BYTES(0), to);
        RESULT(struct mill_view, out)[row] = view_of(to, (uint32_t)n);
    }
}

static bool resolve_recode(struct call *c)
{
    const bool encode = c->function->name[0] == 'E';
    const char *name;

    if (!resolve_text(c, 1) || (encode ? !resolve_text(c, 0) : !type_is_binary(arg_type(c, 0))))
        return false;
    name = resolve_literal_text(c, 1);
    if (name != NULL && charset_find(name, strlen(name)) == NO_CHARSET) {
        mill_fail(c->error, MILL_E_TYPE, c->args[1]->line, c->args[1]->column,
                  "'%s' is none of the character sets US-ASCII, ISO-8859-1, UTF-8, UTF-16, "
                  "UTF-16BE, UTF-16LE",
                  name);
        return false;
    }
    c->result = type_make(encode ? MILL_VARBINARY : MILL_VARCHAR);
    c->result.length = MILL_LENGTH_MAX;
    return true;
}

#define S "string"
const struct function functions_coding[] =
    {{"UNHEX", "UNHEX(s)", "the bytes of hexadecimal digits; not such: NULL", S, 1, 1, FN_MAY_NULL,
      resolve_unhex, unhex},
     {"IS_DECIMAL", "IS_DECIMAL(s)", "TRUE if s is a number", S, 1, 1, FN_NULLS, resolve_is_decimal,
      is_decimal},
     {"ELT", "ELT(n, s, ...)", "the n-th string, from 1; outside: NULL", S, 2, 255, FN_NULLS,
      resolve_elt, elt},
     {"PARSE_URL", "PARSE_URL(url, part[, key])",
      "PROTOCOL, AUTHORITY, USERINFO, HOST, PATH, FILE, QUERY or REF of a URL; with key: that "
      "value of the QUERY; not there: NULL",
      S, 2, 3, FN_MAY_NULL, resolve_parse_url, parse_url},
     {"ENCODE", "ENCODE(s, charset)", "the bytes of s in a character set", S, 2, 2, 0,
      resolve_recode, recode},
     {"DECODE", "DECODE(bytes, charset)", "the text that bytes are in a character set", S, 2, 2, 0,
      resolve_recode, recode},
     {0}};
