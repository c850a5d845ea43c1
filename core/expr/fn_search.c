/* core/expr/fn_search.c - what searches a text: LIKE, SPLIT_INDEX, COUNT_CHAR. */
#include "core/expr/functions.h"

/* ---- LIKE ---- */

/* How many bytes from @p on stand for themselves. */
static uint32_t plain_run(const char *p, const char *p_end, int escape)
{
    const char *from = p;

    while (p < p_end && *p != '%' && *p != '_' && (unsigned char)*p != escape)
        p++;
    return (uint32_t)(p - from);
}

/* % any characters, _ one character; @escape makes the next one plain. Behind a % the rest of the pattern is tried where its
 * plain beginning stands, as early as it can be. */
static bool like(const struct mk_table *kernels, const char *s, const char *s_end, const char *p,
                 const char *p_end, int escape)
{
    const char *back_p = NULL, *back_s = NULL;
    uint32_t run = 0;

    for (;;) {
        bool plain = false;

        if (p < p_end && *p == '%' && escape != '%') {
            back_p = ++p;
            back_s = s;
            run = plain_run(p, p_end, escape);
            if (run > 0 && (s == s_end || *s != *p))
                goto again;
            continue;
        }
        if (s == s_end && p == p_end)
            return true;
        if (p < p_end && (unsigned char)*p == escape && p + 1 < p_end) {
            p++;
            plain = true;
        }
        if (s < s_end && p < p_end && !plain && *p == '_') {
            do
                s++;
            while (s < s_end && ((unsigned char)*s & 0xc0) == 0x80);
            p++;
            continue;
        }
        if (s < s_end && p < p_end && *s == *p) {
            s++;
            p++;
            continue;
        }
    again:
        if (back_p == NULL || back_s >= s_end)
            return false;
        back_s++;
        if (run > 0)
            back_s = kernels->find_text(back_s, (size_t)(s_end - back_s), back_p, run);
        if (back_s == NULL)
            return false;
        s = back_s;
        p = back_p;
    }
}

/* A pattern of words between %, without _ and escapes: the first stands at the beginning, the last at the end, the others
 * between them, each as early as it can. */
struct words {
    const char *text[16];
    uint32_t bytes[16];
    uint32_t count; /* of words, empty ones at the ends too; 1: the whole text */
    uint32_t all;   /* bytes of all */
};

static bool split_words(const char *pattern, uint32_t bytes, struct words *w)
{
    uint32_t from = 0;

    w->count = 0;
    w->all = 0;
    for (uint32_t i = 0; i <= bytes; i++) {
        if (i < bytes && pattern[i] == '_')
            return false;
        if (i < bytes && pattern[i] != '%')
            continue;
        if (w->count == COUNT_OF(w->text))
            return false;
        w->text[w->count] = pattern + from;
        w->bytes[w->count++] = i - from;
        w->all += i - from;
        from = i + 1;
    }
    return true;
}

static inline bool same_bytes(const char *a, const char *b, uint32_t n)
{
    return n == 0 || (a[0] == b[0] && memcmp(a, b, n) == 0);
}

static bool has_words(const struct mk_table *kernels, const struct words *w, const char *s,
                      uint32_t bytes)
{
    const uint32_t last = w->count - 1;
    const char *end = s + bytes;

    if (bytes < w->all || !same_bytes(s, w->text[0], w->bytes[0]))
        return false;
    if (last == 0)
        return bytes == w->all;
    s += w->bytes[0];
    end -= w->bytes[last];
    if (!same_bytes(end, w->text[last], w->bytes[last]))
        return false;
    for (uint32_t i = 1; i < last; i++) {
        if (w->bytes[i] == 0)
            continue;
        s = kernels->find_text(s, (size_t)(end - s), w->text[i], w->bytes[i]);
        if (s == NULL)
            return false;
        s += w->bytes[i];
    }
    return true;
}

EVAL(eval_like)
{
    const struct mk_table *kernels = eval_kernels(e);
    struct words words;

    if (e->count > 0 && args[1].constant && count == 2 &&
        split_words(mill_view_data(TEXT(&args[1], 0)), TEXT(&args[1], 0)->length, &words)) {
        FOR_ROWS(e, row)
        RESULT(uint8_t, out)[row] = has_words(kernels, &words, DATA(0), BYTES(0));
        return;
    }
    FOR_ROWS(e, row)
    {
        const int escape = count > 2 && BYTES(2) > 0 ? (unsigned char)DATA(2)[0] : -1;

        RESULT(uint8_t, out)
        [row] = like(kernels, DATA(0), DATA(0) + BYTES(0), DATA(1), DATA(1) + BYTES(1), escape);
    }
}

/* ---- parts ---- */

/* As split_part(), of a separator of several bytes. */
static bool part_between(const struct mk_table *kernels, const struct mill_view *text,
                         const struct mill_view *separator, uint32_t n, size_t *begin, size_t *end)
{
    const char *all = mill_view_data(text), *s = all, *stop;

    for (;; s = stop + separator->length) {
        stop = kernels->find_text(s, text->length - (size_t)(s - all), mill_view_data(separator),
                                  separator->length);
        if (n-- == 0)
            break;
        if (stop == NULL)
            return false;
    }
    *begin = (size_t)(s - all);
    *end = stop != NULL ? (size_t)(stop - all) : text->length;
    return true;
}

/* SPLIT_INDEX(s, separator, n): from 0; empty parts count; outside: NULL. */
EVAL(split_index)
{
    const struct mk_table *kernels = eval_kernels(e);

    (void)count;
    FOR_ROWS(e, row)
    {
        const struct mill_view *text = TEXT(&args[0], row), *separator = TEXT(&args[1], row);
        const int32_t n = INT(2);
        size_t begin, end;

        if (n < 0 || separator->length == 0 ||
            !(separator->length == 1
                  ? kernels->split_part(mill_view_data(text), text->length, separator->inlined[0],
                                        (uint32_t)n, &begin, &end)
                  : part_between(kernels, text, separator, (uint32_t)n, &begin, &end)))
            eval_null(e, out, row);
        else
            eval_slice(out, row, mill_view_data(text) + begin, end - begin);
    }
}

/* How many characters of s are c (NEXMark q14). */
EVAL(count_char)
{
    const struct mk_table *kernels = eval_kernels(e);

    (void)count;
    FOR_ROWS(e, row)
    {
        const char *text = DATA(0), *end = text + BYTES(0), *at;
        int64_t n = 0;

        if (BYTES(1) == 1)
            n = (int64_t)kernels->count_byte(text, BYTES(0), DATA(1)[0]);
        while (BYTES(1) > 1 &&
               (at = kernels->find_text(text, (size_t)(end - text), DATA(1), BYTES(1))) != NULL) {
            n++;
            text = at + BYTES(1);
        }
        RESULT(int64_t, out)[row] = n;
    }
}

static bool resolve_split_index(struct call *c)
{
    return resolve_text(c, 0) && resolve_text(c, 1) && resolve_int(c, 2) &&
           returns(c, MILL_VARCHAR);
}

static bool resolve_like(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_BOOLEAN);
}

static bool resolve_count_char(struct call *c)
{
    return resolve_text(c, 0) && resolve_text(c, 1) && returns(c, MILL_BIGINT);
}

#define S "string"
const struct function functions_search[] = {{"LIKE", "s LIKE pattern [ESCAPE c]",
                                             "% stands for any characters, _ for one", S, 2, 3, 0,
                                             resolve_like, eval_like},
                                            {"SPLIT_INDEX", "SPLIT_INDEX(s, separator, n)",
                                             "part n of s, from 0; outside: NULL", S, 3, 3,
                                             FN_MAY_NULL, resolve_split_index, split_index},
                                            {"COUNT_CHAR", "COUNT_CHAR(s, c)",
                                             "how often c stands in s", S, 2, 2, 0,
                                             resolve_count_char, count_char},
                                            {0}};
