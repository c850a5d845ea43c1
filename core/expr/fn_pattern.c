/* core/expr/fn_pattern.c - regular expressions: SIMILAR TO, REGEXP and its relatives. */
#include "core/expr/functions.h"
#include "core/expr/regex_plain.h"

#include <stdio.h>

#define TEXT_MAX ((size_t)16 << 20)

/* Searches; a pattern with look-around or back-references may need too many steps: a bad row. */
static int search(struct eval *e, const struct regex *r, const struct mill_view *text, size_t from,
                  uint32_t group, size_t *begin, size_t *end, uint32_t row)
{
    const struct regex_plain *plain = from == 0 ? regex_as_plain(r) : NULL;
    int found = PLAIN_UNKNOWN;

    if (plain != NULL)
        found = regex_plain_find(plain, eval_kernels(e), mill_view_data(text), text->length, group,
                                 begin, end);
    if (found == PLAIN_UNKNOWN)
        found = regex_find(r, mill_view_data(text), text->length, from, group, begin, end);
    if (found == REGEX_TOO_HARD)
        eval_bad(e, row,
                 "the regular expression needs too many steps or too much memory on this text");
    return found;
}

static struct regex *pattern(struct eval *e, const struct mill_view *source, uint32_t row)
{
    return eval_regex(e, mill_view_data(source), source->length, row);
}

static bool text_text_int(struct call *c)
{
    if (!resolve_text(c, 0) || !resolve_text(c, 1))
        return false;
    return (c->count < 3 || resolve_int(c, 2)) && returns(c, MILL_VARCHAR);
}

static bool texts(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_text(c, i))
            return false;
    return returns(c, MILL_VARCHAR);
}

static bool texts_to_boolean(struct call *c)
{
    return texts(c) && returns(c, MILL_BOOLEAN);
}

static bool texts_to_int(struct call *c)
{
    return texts(c) && returns(c, MILL_INT);
}

EVAL(regexp)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct regex *r = pattern(e, TEXT(&args[1], row), row);
        size_t begin, end;

        if (r != NULL)
            RESULT(uint8_t, out)
        [row] = search(e, r, TEXT(&args[0], row), 0, 0, &begin, &end, row) == 1;
    }
}

/* SQL's pattern as a regular one: % is .*, _ is . */
EVAL(similar)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        char *text = eval_bytes(e, (size_t)BYTES(1) * 2 + 8);
        struct regex *r;
        size_t n = 0;

        if (text == NULL)
            return;
        memcpy(text, "(?s)", 4);
        n = 4;
        for (uint32_t i = 0; i < BYTES(1); i++) {
            const char c = DATA(1)[i];

            if (c == '%')
                text[n++] = '.', text[n++] = '*';
            else if (c == '_')
                text[n++] = '.';
            else if (strchr(".^$\\", c) != NULL && c != '\0')
                text[n++] = '\\', text[n++] = c;
            else
                text[n++] = c;
        }
        r = eval_regex(e, text, n, row);
        if (r == NULL)
            continue;
        const int found = regex_matches_all(r, DATA(0), BYTES(0));

        if (found == REGEX_TOO_HARD)
            eval_bad(e, row, "the pattern of SIMILAR TO needs too many steps on this text");
        RESULT(uint8_t, out)[row] = found == 1;
    }
}

EVAL(regexp_extract)
{
    FOR_ROWS(e, row)
    {
        const struct regex *r = pattern(e, TEXT(&args[1], row), row);
        const int32_t group = count > 2 ? INT(2) : 0;
        size_t begin, end;

        if (r == NULL)
            continue;
        if (group < 0 || (uint32_t)group > regex_groups(r) ||
            search(e, r, TEXT(&args[0], row), 0, (uint32_t)group, &begin, &end, row) != 1)
            eval_null(e, out, row);
        else
            eval_slice(out, row, DATA(0) + begin, end - begin);
    }
}

/* The first byte behind a match: behind an empty one, a character further. */
static size_t behind(const char *text, size_t bytes, size_t begin, size_t end)
{
    if (end > begin)
        return end;
    for (end++; end < bytes && ((unsigned char)text[end] & 0xc0) == 0x80;)
        end++;
    return end;
}

EVAL(regexp_replace)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct regex *r = pattern(e, TEXT(&args[1], row), row);
        const char *s = DATA(0);
        size_t from = 0, at = 0, begin, end, room = BYTES(0) + ((size_t)BYTES(0) + 1) * BYTES(2);
        char *text;

        if (r == NULL)
            continue;
        if (room > TEXT_MAX) {
            eval_bad(e, row, "REGEXP_REPLACE could make a string of more than 16 MiB");
            continue;
        }
        text = eval_bytes(e, room);
        if (text == NULL)
            break;
        while (from <= BYTES(0) &&
               search(e, r, TEXT(&args[0], row), from, 0, &begin, &end, row) == 1) {
            const size_t next = behind(s, BYTES(0), begin, end);

            memcpy(text + at, s + from, begin - from);
            at += begin - from;
            memcpy(text + at, DATA(2), BYTES(2));
            at += BYTES(2);
            for (; end < next && end < BYTES(0); end++)
                text[at++] = s[end];
            from = next;
        }
        if (from < BYTES(0)) {
            memcpy(text + at, s + from, BYTES(0) - from);
            at += BYTES(0) - from;
        }
        RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)at);
    }
}

EVAL(regexp_count)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct regex *r = pattern(e, TEXT(&args[1], row), row);
        size_t from = 0, begin, end;
        int32_t n = 0;

        for (; r != NULL && from <= BYTES(0) &&
               search(e, r, TEXT(&args[0], row), from, 0, &begin, &end, row) == 1;
             n++)
            from = behind(DATA(0), BYTES(0), begin, end);
        RESULT(int32_t, out)[row] = n;
    }
}

EVAL(regexp_instr)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const struct regex *r = pattern(e, TEXT(&args[1], row), row);
        size_t begin = 0, end;
        int32_t n = 0;

        if (r != NULL && search(e, r, TEXT(&args[0], row), 0, 0, &begin, &end, row) == 1) {
            n = 1;
            for (size_t i = 0; i < begin; i++)
                n += ((unsigned char)DATA(0)[i] & 0xc0) != 0x80;
        }
        RESULT(int32_t, out)[row] = n;
    }
}

#define S "string"
const struct function functions_pattern[] =
    {{"SIMILAR TO", "s SIMILAR TO pattern", "SQL's regular expression matches all of s", S, 2, 2, 0,
      texts_to_boolean, similar},
     {"REGEXP", "REGEXP(s, pattern)", "TRUE if the regular expression is found in s", S, 2, 2, 0,
      texts_to_boolean, regexp},
     {"REGEXP_EXTRACT", "REGEXP_EXTRACT(s, pattern[, group])",
      "what the group matched; no match: NULL", S, 2, 3, FN_MAY_NULL, text_text_int,
      regexp_extract},
     {"REGEXP_SUBSTR", "REGEXP_SUBSTR(s, pattern)", "the first match; no match: NULL", S, 2, 2,
      FN_MAY_NULL, texts, regexp_extract},
     {"REGEXP_REPLACE", "REGEXP_REPLACE(s, pattern, by)", "every match replaced", S, 3, 3, 0, texts,
      regexp_replace},
     {"REGEXP_COUNT", "REGEXP_COUNT(s, pattern)", "how often the pattern matches", S, 2, 2, 0,
      texts_to_int, regexp_count},
     {"REGEXP_INSTR", "REGEXP_INSTR(s, pattern)",
      "where the first match begins, from 1; 0: nowhere", S, 2, 2, 0, texts_to_int, regexp_instr},
     {0}};
