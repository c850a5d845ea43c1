/* tools/scenario_file.c - reading scenario files. */
#include "tools/scenario.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

static bool wrong(const char *path, size_t line, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "millstream: %s:%zu: ", path, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct text text = {0};
    char part[4096];
    size_t n;

    if (f == NULL) {
        fprintf(stderr, "millstream: cannot read %s: %s\n", path, strerror(errno));
        return NULL;
    }
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        text_add(&text, part, n);
    text_char(&text, '\0');
    fclose(f);
    return text.bytes;
}

static void cut_lines(struct scenario *s)
{
    size_t count = 1;

    for (const char *c = s->text; *c != '\0'; c++)
        count += *c == '\n';
    s->lines = calloc(count, sizeof *s->lines);
    s->steps = calloc(count, sizeof *s->steps);
    if (s->lines == NULL || s->steps == NULL)
        abort();
    for (char *c = s->text; c != NULL;) {
        char *end = strchr(c, '\n');

        if (end != NULL)
            *end = '\0';
        c[strcspn(c, "\r")] = '\0';
        s->lines[s->line_count++] = c;
        c = end != NULL ? end + 1 : NULL;
    }
}

static bool is_nothing(const char *line)
{
    line += strspn(line, " \t");
    return *line == '\0' || *line == '#';
}

/* The next word of *@at, which moves behind it; "" at the end. */
static char *word(char **at)
{
    char *begin = *at + strspn(*at, " \t");
    const size_t n = strcspn(begin, " \t");

    *at = begin + n;
    if (**at != '\0')
        *(*at)++ = '\0';
    return begin;
}

static char *rest(char *at)
{
    size_t n;

    at += strspn(at, " \t");
    for (n = strlen(at); n > 0 && isspace((unsigned char)at[n - 1]); n--)
        ;
    at[n] = '\0';
    return at;
}

static bool read_shards(struct scenario *s, size_t line, char *at)
{
    for (s->shard_count = 0; *at != '\0' && s->shard_count < 16;) {
        char *end;
        const unsigned long n = strtoul(at, &end, 10);

        if (end == at || n < 1 || n > 256 || (*end != '\0' && *end != ','))
            break;
        s->shards[s->shard_count++] = (unsigned)n;
        at = *end == ',' ? end + 1 : end;
    }
    return *at == '\0' && s->shard_count > 0
               ? true
               : wrong(s->path, line, "@shards wants numbers from 1 to 256, as in @shards 1,3");
}

static bool read_expect(struct scenario *s, struct scenario_step *step, char *at)
{
    char *behind;

    at = rest(at);
    behind = strstr(at, "in any order");
    if (behind != NULL && behind[strlen("in any order")] == '\0') {
        step->any_order = true;
        *behind = '\0';
        at = rest(at);
    }
    if (strpbrk(at, " \t") != NULL)
        return wrong(s->path, step->line, "@expect [TABLE] [in any order], not '%s'", at);
    step->table = *at != '\0' ? at : NULL;
    return true;
}

/* A line that begins with @. */
static bool read_directive(struct scenario *s, size_t line, struct scenario_step **open)
{
    static const char *const names[] = {"@job",       "@define", "@shards", "@rows", "@clock",
                                        "@watermark", "@expect", "@end",    "@stats"};
    char *at = s->lines[line - 1] + strspn(s->lines[line - 1], " \t"), *name = word(&at);
    struct scenario_step *step = &s->steps[s->step_count];

    *open = NULL;
    *step = (struct scenario_step){.line = (unsigned)line};
    if (strcmp(name, "@job") == 0) {
        s->job = rest(at);
        return true;
    }
    if (strcmp(name, "@define") == 0) {
        if (strchr(at, '=') == NULL || s->define_count == 64)
            return wrong(s->path, line, "@define wants NAME=VALUE, 64 times at most");
        s->defines[s->define_count++] = rest(at);
        return true;
    }
    if (strcmp(name, "@shards") == 0)
        return read_shards(s, line, rest(at));
    if (strcmp(name, "@rows") == 0) {
        step->what = SAYS_ROWS;
        step->table = word(&at);
        if (*step->table == '\0' || *rest(at) != '\0')
            return wrong(s->path, line, "@rows wants the name of a table");
    } else if (strcmp(name, "@clock") == 0) {
        step->what = SAYS_CLOCK;
        step->argument = rest(at);
    } else if (strcmp(name, "@watermark") == 0) {
        step->what = SAYS_WATERMARK;
        step->table = word(&at);
        step->argument = rest(at);
    } else if (strcmp(name, "@expect") == 0) {
        step->what = SAYS_EXPECT;
        if (!read_expect(s, step, at))
            return false;
    } else if (strcmp(name, "@end") == 0) {
        step->what = SAYS_END;
        step->table = word(&at);
        if (*rest(at) != '\0')
            return wrong(s->path, line, "@end [TABLE], not '%s'", at);
        step->table = *step->table != '\0' ? step->table : NULL;
    } else if (strcmp(name, "@stats") == 0) {
        step->what = SAYS_STATS;
        step->argument = rest(at);
    } else {
        const char *near = mill_nearest_name(name, names, sizeof names / sizeof *names);

        return wrong(s->path, line, "there is no %s%s%s%s", name,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
    }
    *open = step;
    step->first = line;
    s->step_count++;
    return true;
}

/* The path of @job is beside the scenario. */
static bool read_job(struct scenario *s, bool own)
{
    const char *slash = strrchr(s->path, '/');
    struct text path = {0};
    char *sql;

    if (s->job == NULL)
        return true;
    if (own)
        return wrong(s->path, 1, "a scenario has @job FILE or SQL of its own, not both");
    if (*s->job != '/' && slash != NULL)
        text_add(&path, s->path, (size_t)(slash + 1 - s->path));
    text_add(&path, s->job, strlen(s->job) + 1);
    sql = read_file(path.bytes);
    free(path.bytes);
    if (sql == NULL)
        return false;
    s->sql.length = 0;
    text_add(&s->sql, sql, strlen(sql));
    free(sql);
    return true;
}

/* Without @end the inputs end before the @expects and @stats that close the file. */
static void add_end(struct scenario *s)
{
    size_t at = s->step_count;

    for (size_t i = 0; i < s->step_count; i++)
        if (s->steps[i].what == SAYS_END && s->steps[i].table == NULL)
            return;
    while (at > 0 && (s->steps[at - 1].what == SAYS_EXPECT || s->steps[at - 1].what == SAYS_STATS))
        at--;
    memmove(s->steps + at + 1, s->steps + at, (s->step_count - at) * sizeof *s->steps);
    s->steps[at] = (struct scenario_step){.what = SAYS_END};
    s->step_count++;
}

bool scenario_read(const char *path, struct scenario *s)
{
    struct scenario_step *open = NULL;
    bool sql = true, own = false;

    *s = (struct scenario){.path = path, .shards = {1, 2}, .shard_count = 2};
    s->text = read_file(path);
    if (s->text == NULL)
        return false;
    cut_lines(s);
    for (size_t line = 1; line <= s->line_count; line++) {
        char *l = s->lines[line - 1];

        if (l[strspn(l, " \t")] == '@') {
            sql = strncmp(l + strspn(l, " \t"), "@job", 4) == 0 ||
                  strncmp(l + strspn(l, " \t"), "@define", 7) == 0 ||
                  strncmp(l + strspn(l, " \t"), "@shards", 7) == 0;
            if (!read_directive(s, line, &open))
                return false;
        } else if (sql) {
            own = own || !is_nothing(l);
            if (!is_nothing(l))
                text_add(&s->sql, l, strlen(l));
        } else if (is_nothing(l)) {
            s->lines[line - 1] = NULL;
        } else if (open == NULL || (open->what != SAYS_ROWS && open->what != SAYS_EXPECT)) {
            return wrong(path, line, "rows stand behind @rows TABLE or @expect");
        }
        if (sql) /* its lines keep their numbers */
            text_char(&s->sql, '\n');
        if (open != NULL)
            open->count = line - open->first;
    }
    if (!read_job(s, own))
        return false;
    if (!own && s->job == NULL)
        return wrong(path, 1, "there is nothing to test: @job FILE, or SQL in the first lines");
    text_char(&s->sql, '\0');
    add_end(s);
    return true;
}

void scenario_free(struct scenario *s)
{
    free(s->text);
    free(s->lines);
    free(s->steps);
    free(s->sql.bytes);
}

bool scenario_names(const struct scenario *s, const char *table)
{
    for (size_t i = 0; i < s->step_count; i++)
        if (s->steps[i].table != NULL && strcasecmp(s->steps[i].table, table) == 0)
            return true;
    return false;
}

const char *scenario_field(char **at)
{
    char *s = *at + strspn(*at, " \t"), *begin = s, *to = s;

    if (*s != '"') {
        char *end = s + strcspn(s, ",");

        *at = *end == ',' ? end + 1 : NULL;
        while (end > begin && isspace((unsigned char)end[-1]))
            end--;
        *end = '\0';
        return *begin != '\0' ? begin : NULL;
    }
    for (s++; *s != '\0' && (*s != '"' || s[1] == '"'); s++) {
        s += *s == '"';
        *to++ = *s;
    }
    s += *s == '"';
    s += strspn(s, " \t");
    *at = *s == ',' ? s + 1 : NULL;
    *to = '\0';
    return begin;
}
