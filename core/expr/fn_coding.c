/* core/expr/fn_coding.c - text that stands for something else: UNHEX, IS_DECIMAL, ELT, PARSE_URL. */
#include "core/expr/functions.h"

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
     {0}};
