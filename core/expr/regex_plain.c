/* core/expr/regex_plain.c - one word, what stands before and what follows; see regex_plain.h. */
#include "core/expr/regex_plain.h"

#include <string.h>

/* ---- parsing ---- */

struct parser {
    const char *p, *end;
    struct regex_plain *r;
};

static bool is_meta(char c)
{
    return c != '\0' && strchr(".^$*+?()[]{}|\\", c) != NULL;
}

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool take(struct parser *s, const char *what)
{
    const size_t n = strlen(what);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, what, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A character that stands for itself, escaped or not. */
static bool take_plain(struct parser *s, char *c)
{
    if (s->p == s->end || *s->p <= 0 || *s->p == '\n')
        return false;
    if (!is_meta(*s->p)) {
        *c = *s->p++;
        return true;
    }
    if (*s->p != '\\' || s->p + 1 == s->end || s->p[1] <= ' ' || is_letter_or_digit(s->p[1]))
        return false;
    *c = s->p[1];
    s->p += 2;
    return true;
}

static void add_range(bool *set, int from, int to)
{
    for (int c = from; c <= to; c++)
        set[c] = true;
}

/* \d, \w */
static bool take_named(struct parser *s, bool *set)
{
    const bool word = take(s, "\\w");

    if (!word && !take(s, "\\d"))
        return false;
    add_range(set, '0', '9');
    if (word) {
        add_range(set, 'a', 'z');
        add_range(set, 'A', 'Z');
        set['_'] = true;
    }
    return true;
}

/* In brackets only these are not plain. */
static bool take_member(struct parser *s, char *c)
{
    if (s->p<s->end && * s->p> 0 && *s->p != '[' && *s->p != ']' && *s->p != '-' && *s->p != '\\') {
        *c = *s->p++;
        return true;
    }
    return s->p < s->end && *s->p == '\\' && take_plain(s, c);
}

/* What stands between brackets. */
static bool take_set(struct parser *s)
{
    bool *set = s->r->behind;

    s->r->negated = take(s, "^");
    do {
        char from, to;

        if (take_named(s, set))
            continue;
        if (!take_member(s, &from))
            return false;
        to = from;
        if (take(s, "-") && (!take_member(s, &to) || to < from))
            return false;
        add_range(set, from, to);
    } while (!take(s, "]"));
    for (int c = 0; s->r->negated && c < 128; c++)
        set[c] = !set[c];
    return true;
}

static bool take_class(struct parser *s)
{
    if (take(s, ".")) {
        add_range(s->r->behind, 0, 127);
        s->r->behind['\n'] = false;
        s->r->negated = true;
        return true;
    }
    return take_named(s, s->r->behind) || (take(s, "[") && take_set(s));
}

static bool take_behind(struct parser *s)
{
    const bool opened = take(s, "("), silent = opened && take(s, "?:");

    if (!take_class(s))
        return false;
    s->r->has_behind = true;
    s->r->least = take(s, "+");
    if (s->r->least == 0 && !take(s, "*"))
        return false;
    if (opened && !silent)
        s->r->behind_group = ++s->r->groups;
    return !opened || take(s, ")");
}

/* (c|^|...) */
static bool take_before(struct parser *s)
{
    const bool silent = take(s, "?:");

    do {
        char c;

        if (take(s, "^"))
            s->r->at_begin = true;
        else if (take_plain(s, &c))
            s->r->before_is[(unsigned char)c] = true;
        else
            return false;
    } while (take(s, "|"));
    if (!silent)
        s->r->before_group = ++s->r->groups;
    s->r->before = true;
    return take(s, ")");
}

bool regex_plain_parse(const char *pattern, size_t bytes, struct regex_plain *out)
{
    struct parser s = {pattern, pattern + bytes, out};
    char c;

    *out = (struct regex_plain){0};
    if (take(&s, "^"))
        out->before = out->at_begin = true;
    else if (take(&s, "(") && !take_before(&s))
        return false;
    while (take_plain(&s, &c)) {
        if (out->word_bytes == PLAIN_WORD_MAX)
            return false;
        out->word[out->word_bytes++] = c;
    }
    /* with that, two matches could begin at one place */
    if (out->word_bytes == 0 || out->before_is[(unsigned char)out->word[0]])
        return false;
    return s.p == s.end || (take_behind(&s) && s.p == s.end);
}

/* ---- searching ---- */

/* Whether the word at @at is a match, and how long it is. */
static int match_at(const struct regex_plain *r, const char *text, const char *end, const char *at,
                    const char **match_end)
{
    const char *p = at + r->word_bytes;

    if (r->before && !(r->at_begin && at == text) &&
        !(at > text && r->before_is[(unsigned char)at[-1]]))
        return 0;
    while (r->has_behind && p < end && r->behind[(unsigned char)*p])
        p++;
    if (r->has_behind && r->negated && p < end && (unsigned char)*p >= 0x80)
        return PLAIN_UNKNOWN;
    *match_end = p;
    return p >= at + r->word_bytes + r->least;
}

int regex_plain_find(const struct regex_plain *r, const struct mk_table *kernels, const char *text,
                     size_t bytes, uint32_t group, size_t *begin, size_t *end)
{
    const char *const text_end = text + bytes, *from = text, *at, *match_end = NULL;
    int found = 0;

    while ((at = kernels->find_text(from, (size_t)(text_end - from), r->word, r->word_bytes)) !=
           NULL) {
        found = match_at(r, text, text_end, at, &match_end);
        if (found != 0)
            break;
        from = at + 1;
    }
    if (found != 1)
        return found;
    const size_t word = (size_t)(at - text), behind = word + r->word_bytes;
    const size_t before = word - (r->before && !(r->at_begin && at == text));

    *begin = group == 0 ? before : group == r->before_group ? before : behind;
    *end = group != 0 && group == r->before_group ? word : (size_t)(match_end - text);
    return 1;
}
