/* tools/scenario_sql.c - a script's statements, and its tables turned into memory tables. */
#include "tools/scenario.h"

#include <ctype.h>
#include <strings.h>

/* Behind a comment, a quoted text or name that begins at @s; @s itself if none does. */
static const char *pass(const char *s)
{
    if (s[0] == '-' && s[1] == '-') {
        while (*s != '\0' && *s != '\n')
            s++;
    } else if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");

        return end != NULL ? end + 2 : s + strlen(s);
    } else if (*s == '\'' || *s == '"' || *s == '`') {
        const char quote = *s++;

        while (*s != '\0' && (*s != quote || s[1] == quote))
            s += *s == quote ? 2 : 1;
        return *s != '\0' ? s + 1 : s;
    }
    return s;
}

static const char *pass_blank(const char *s)
{
    for (;;) {
        const char *next = s;

        if (isspace((unsigned char)*s))
            next = s + 1;
        else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*'))
            next = pass(s);
        if (next == s)
            return s;
        s = next;
    }
}

static bool is_word(const char *s, const char *word)
{
    const size_t n = strlen(word);

    return strncasecmp(s, word, n) == 0 && !isalnum((unsigned char)s[n]) && s[n] != '_';
}

static enum statement kind_of(const char *s)
{
    if (is_word(s, "SELECT") || is_word(s, "WITH") || is_word(s, "VALUES") || *s == '(')
        return STATEMENT_IS_QUERY;
    if (is_word(s, "INSERT") || is_word(s, "EXECUTE"))
        return STATEMENT_IS_INSERT;
    return STATEMENT_IS_DDL;
}

enum statement script_next(const char **at, const char **begin, size_t *bytes)
{
    const char *s = pass_blank(*at);
    const bool set = is_word(s, "EXECUTE");
    unsigned open = 0, cases = 0;

    while (*s == ';')
        s = pass_blank(s + 1);
    *begin = s;
    if (*s == '\0')
        return STATEMENT_NONE;
    for (char before = ' '; *s != '\0'; before = *s, s++) {
        const char *behind = pass(s);
        const bool at_word = !isalnum((unsigned char)before) && before != '_';

        while (behind != s) {
            s = behind;
            behind = pass(s);
        }
        if (*s == '\0' || (*s == ';' && open == 0))
            break;
        if (set && at_word && is_word(s, "BEGIN"))
            open = 1;
        cases += at_word && is_word(s, "CASE");
        if (at_word && is_word(s, "END")) {
            open = cases > 0 ? open : 0;
            cases -= cases > 0;
        }
    }
    *bytes = (size_t)(s - *begin);
    *at = *s == ';' ? s + 1 : s;
    return kind_of(*begin);
}

/* The name behind CREATE [TEMPORARY] TABLE [IF NOT EXISTS]; false: another statement. */
static bool created_table(const char *s, char *name, size_t room)
{
    const char *words[] = {"CREATE", "TEMPORARY", "TABLE", "IF", "NOT", "EXISTS"};
    size_t n = 0;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (is_word(s, words[i]))
            s = pass_blank(s + strlen(words[i]));
        else if (i == 0 || i == 2)
            return false;
    }
    for (const bool quoted = *s == '`'; *s != '\0' && n + 1 < room; s++) {
        if (quoted ? *s == '`' && n > 0 : !isalnum((unsigned char)*s) && *s != '_')
            break;
        if (*s != '`')
            name[n++] = *s;
    }
    name[n] = '\0';
    return n > 0;
}

void script_redirect(const struct scenario *scenario, const char *statement, size_t bytes,
                     struct text *out)
{
    static const char memory[] = " WITH ('connector' = 'memory')";
    const char *with = NULL, *end = statement + bytes;
    unsigned depth = 0;
    char name[256], before = ' ';

    if (!created_table(statement, name, sizeof name) || !scenario_names(scenario, name)) {
        text_add(out, statement, bytes);
        return;
    }
    for (const char *s = statement; s < end;) { /* the last WITH outside all brackets */
        const char *behind = pass(s);

        if (behind != s) {
            s = behind;
            before = ' ';
            continue;
        }
        depth += *s == '(';
        depth -= *s == ')' && depth > 0;
        if (depth == 0 && !isalnum((unsigned char)before) && before != '_' && is_word(s, "WITH"))
            with = s;
        before = *s++;
    }
    text_add(out, statement, with != NULL ? (size_t)(with - statement) : bytes);
    text_add(out, memory, sizeof memory - 1);
}
