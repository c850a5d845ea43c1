/* tools/scenario.c - millstream test: runs scenario files against the engine, row by row on this thread. */
#include "tools/scenario.h"

#include "tools/print.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define INPUTS_MAX 64u
#define OUTPUTS_MAX 64u

/* What a table, or the SELECT (name ""), has given and no @expect has looked at yet: CSV lines. */
struct output {
    char name[256];
    char *text; /* of open_memstream() */
    size_t bytes;
    FILE *to;
};

struct input {
    char name[256];
    mill_input *handle;
};

struct run {
    const struct scenario *scenario;
    unsigned shards;
    mill_engine *engine;
    mill_query *query;
    struct mill_callbacks callbacks;
    struct input inputs[INPUTS_MAX];
    unsigned input_count;
    struct output outputs[OUTPUTS_MAX];
    unsigned output_count;
    int64_t clock_ns;
    bool ended;
};

static bool failed(const struct run *run, unsigned line, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%u: with %u shard%s: ", run->scenario->path, line, run->shards,
            run->shards == 1 ? "" : "s");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static bool failed_with(const struct run *run, unsigned line, const struct mill_error *error)
{
    if (error->line > 0)
        fprintf(stderr, "%s:%u:%u: %s\n",
                run->scenario->job != NULL ? run->scenario->job : run->scenario->path, error->line,
                error->column, error->message);
    else
        failed(run, line, "%s", error->message);
    if (error->excerpt[0] != '\0')
        fprintf(stderr, "%s\n", error->excerpt);
    return false;
}

/* ---- results ---- */

static struct output *output_of(struct run *run, const char *name)
{
    struct output *o = run->outputs;

    for (unsigned i = 0; i < run->output_count; i++, o++)
        if (strcasecmp(o->name, name) == 0)
            return o;
    if (run->output_count == OUTPUTS_MAX)
        return NULL;
    snprintf(o->name, sizeof o->name, "%s", name);
    o->to = open_memstream(&o->text, &o->bytes);
    if (o->to == NULL)
        abort();
    run->output_count++;
    return o;
}

static int take_rows(struct run *run, mill_query *query, const char *table,
                     const struct mill_schema *schema, const struct mill_batch *batch)
{
    struct output *o = output_of(run, table);
    struct printer printer = {.format = PRINT_CSV};

    if (o == NULL)
        return 1;
    printer.to = o->to;
    printer_begin(&printer, query, schema);
    printer.changes = batch->row_kinds != NULL || (*table == '\0' && mill_query_changes(query));
    printer_rows(&printer, batch);
    printer_end(&printer);
    return 0;
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    return take_rows(user, query, "", mill_query_schema(query), batch);
}

static int on_insert(void *user, mill_query *query, const char *table,
                     const struct mill_schema *schema, const struct mill_batch *batch)
{
    return take_rows(user, query, table, schema, batch);
}

static int64_t clock_now(void *user)
{
    return ((const struct run *)user)->clock_ns;
}

/* ---- comparing ---- */

/* '2024-05-01 10:00' and '2024-05-01 10:00:00.000' are one time. */
static bool is_time(const char *s)
{
    return strlen(s) >= 16 && isdigit((unsigned char)s[0]) && s[4] == '-' && s[7] == '-' &&
           (s[10] == ' ' || s[10] == 'T') && s[13] == ':';
}

static void whole_time(const char *s, char *to, size_t room)
{
    size_t n = (size_t)snprintf(to, room, "%s%s", s, strlen(s) == 16 ? ":00" : "");

    to[10] = ' ';
    if (strchr(to, '.') == NULL)
        return;
    while (to[n - 1] == '0')
        n--;
    to[n - (to[n - 1] == '.')] = '\0';
}

static bool field_same(const char *a, const char *b)
{
    char x[64], y[64];

    if (a == NULL || b == NULL)
        return a == b;
    if (strcmp(a, b) == 0)
        return true;
    if (!is_time(a) || !is_time(b) || strlen(a) > 40 || strlen(b) > 40)
        return false;
    whole_time(a, x, sizeof x);
    whole_time(b, y, sizeof y);
    return strcmp(x, y) == 0;
}

static bool line_same(const char *expected, const char *got)
{
    char *x = strdup(expected), *y = strdup(got), *a = x, *b = y;
    bool same = true;

    while (same && a != NULL && b != NULL)
        same = field_same(scenario_field(&a), scenario_field(&b));
    same = same && a == NULL && b == NULL;
    free(x);
    free(y);
    return same;
}

/* Lines of @text, cut in place. */
static size_t cut(char *text, const char **lines, size_t room)
{
    size_t n = 0;

    while (text != NULL && *text != '\0' && n < room) {
        char *end = strchr(text, '\n');

        if (end != NULL)
            *end = '\0';
        lines[n++] = text;
        text = end != NULL ? end + 1 : NULL;
    }
    return n;
}

static void tell_lines(const char *mark, const char *const *lines, const bool *matched, size_t n)
{
    for (size_t i = 0, told = 0; i < n && told < 20; i++)
        if (!matched[i]) {
            fprintf(stderr, "  %s %s\n", mark, lines[i]);
            told++;
        }
}

/* Pairs equal lines: in order, or each with any. */
static size_t pair(const char *const *expected, size_t wanted, const char *const *got, size_t given,
                   bool any_order, bool *found, bool *used)
{
    size_t pairs = 0, from = 0;

    for (size_t i = 0; i < wanted; i++)
        for (size_t k = any_order ? 0 : from; k < given; k++)
            if (!used[k] && line_same(expected[i], got[k])) {
                found[i] = used[k] = true;
                from = k + 1;
                pairs++;
                break;
            }
    return pairs;
}

static bool check_expect(struct run *run, const struct scenario_step *step)
{
    struct output *o = output_of(run, step->table != NULL ? step->table : "");
    const struct scenario *s = run->scenario;
    const char **expected = calloc(step->count + 1, sizeof *expected), **got;
    bool *found, *used, same;
    size_t wanted = 0, given;

    if (o == NULL || expected == NULL)
        abort();
    fflush(o->to);
    got = calloc(o->bytes + 1, sizeof *got);
    given = cut(o->text, got, o->bytes + 1);
    for (size_t i = step->first; i < step->first + step->count; i++)
        if (s->lines[i] != NULL)
            expected[wanted++] = s->lines[i];
    found = calloc(wanted + 1, sizeof *found);
    used = calloc(given + 1, sizeof *used);
    if (got == NULL || found == NULL || used == NULL)
        abort();
    same = pair(expected, wanted, got, given, step->any_order, found, used) == wanted &&
           wanted == given;
    if (!same) {
        failed(run, step->line, "%s%s gave %zu row%s, %zu expected; - is missing, + is too much",
               step->table != NULL ? "table " : "the SELECT",
               step->table != NULL ? step->table : "", given, given == 1 ? "" : "s", wanted);
        tell_lines("-", expected, found, wanted);
        tell_lines("+", got, used, given);
    }
    free(expected);
    free(got);
    free(found);
    free(used);
    fclose(o->to);
    free(o->text);
    o->text = NULL;
    o->to = open_memstream(&o->text, &o->bytes);
    return same;
}

static bool check_stats(struct run *run, const struct scenario_step *step)
{
    struct mill_stats stats;
    char *text = strdup(step->argument), *at = text;
    bool same = true;

    mill_query_stats(run->query, &stats);
    for (char *pair = strtok_r(at, " \t", &at); pair != NULL; pair = strtok_r(NULL, " \t", &at)) {
        const struct {
            const char *name;
            uint64_t value;
        } known[] = {{"rows_in", stats.rows_in},   {"rows_out", stats.rows_out},
                     {"late", stats.late},         {"dead", stats.dead},
                     {"filtered", stats.filtered}, {"held", stats.held}};
        char *equals = strchr(pair, '=');
        size_t i = 0;

        if (equals != NULL)
            *equals = '\0';
        while (i < sizeof known / sizeof *known && strcmp(known[i].name, pair) != 0)
            i++;
        if (equals == NULL || i == sizeof known / sizeof *known) {
            same = failed(run, step->line,
                          "@stats wants NAME=NUMBER of rows_in, rows_out, late, dead, filtered, "
                          "held; not %s",
                          pair);
            break;
        }
        if (known[i].value != strtoull(equals + 1, NULL, 10))
            same = failed(run, step->line, "%s is %llu, %s expected", pair,
                          (unsigned long long)known[i].value, equals + 1);
    }
    free(text);
    return same;
}

/* ---- driving ---- */

/* Turns until there is nothing to do. */
static bool settle(struct run *run, unsigned line)
{
    struct mill_error error = {0};
    uint32_t work = 1;

    for (unsigned idle = 0; !run->ended && idle < 3; idle = work == 0 ? idle + 1 : 0)
        if (mill_turn(run->query, &work, &run->ended, &error) != MILL_OK)
            return failed_with(run, line, &error);
    return true;
}

static mill_input *input_of(struct run *run, unsigned line, const char *table)
{
    for (unsigned i = 0; i < run->input_count; i++)
        if (strcasecmp(run->inputs[i].name, table) == 0)
            return run->inputs[i].handle;
    failed(run, line, "the script has no table %s", table);
    return NULL;
}

static bool push_rows(struct run *run, const struct scenario_step *step)
{
    mill_input *input = input_of(run, step->line, step->table);
    const char *values[4096];

    for (size_t i = step->first; input != NULL && i < step->first + step->count; i++) {
        struct mill_error error = {0};
        char *line, *at;
        uint32_t n = 0;
        int code;

        if (run->scenario->lines[i] == NULL)
            continue;
        line = at = strdup(run->scenario->lines[i]);
        while (at != NULL && n < 4096)
            values[n++] = scenario_field(&at);
        code = mill_push_text(input, values, n, &error);
        free(line);
        if (code != MILL_OK)
            return failed_with(run, (unsigned)i + 1, &error);
        if (!settle(run, (unsigned)i + 1))
            return false;
    }
    return input != NULL;
}

static bool read_time(const struct run *run, const struct scenario_step *step, int64_t *us)
{
    struct tm t = {0};
    const char *rest = strptime(step->argument, "%Y-%m-%d %H:%M", &t);
    long fraction = 0;

    if (rest != NULL && *rest == ':')
        rest = strptime(rest, ":%S", &t);
    if (rest != NULL && *rest == '.') {
        unsigned digits = 0;

        for (rest++; isdigit((unsigned char)*rest) && digits < 6; rest++, digits++)
            fraction = fraction * 10 + (*rest - '0');
        for (; digits < 6; digits++)
            fraction *= 10;
    }
    if (rest == NULL || *rest != '\0')
        return failed(run, step->line, "'%s' is not a time, as in 2024-05-01 10:00:00.5",
                      step->argument);
    *us = (int64_t)timegm(&t) * 1000000 + fraction;
    return true;
}

/* Of one table, or of all: then the query ends too. */
static bool end_input(struct run *run, const struct scenario_step *step)
{
    if (step->table != NULL) {
        mill_input *input = input_of(run, step->line, step->table);

        if (input == NULL)
            return false;
        mill_input_end(input);
        return settle(run, step->line);
    }
    for (unsigned i = 0; i < run->input_count; i++)
        mill_input_end(run->inputs[i].handle);
    while (!run->ended)
        if (!settle(run, step->line))
            return false;
    return true;
}

static bool do_step(struct run *run, const struct scenario_step *step)
{
    struct mill_error error = {0};
    int64_t us;

    switch (step->what) {
    case SAYS_ROWS: return push_rows(run, step);
    case SAYS_EXPECT: return check_expect(run, step);
    case SAYS_STATS: return check_stats(run, step);
    case SAYS_END: return end_input(run, step);
    case SAYS_CLOCK:
        if (!read_time(run, step, &us))
            return false;
        if (us * 1000 < run->clock_ns && run->clock_ns < 4102444800000000000)
            return failed(run, step->line, "the clock does not go back");
        run->clock_ns = us * 1000;
        return settle(run, step->line);
    case SAYS_WATERMARK: {
        mill_input *input = input_of(run, step->line, step->table);

        if (input == NULL || !read_time(run, step, &us))
            return false;
        if (mill_input_watermark(input, us, &error) != MILL_OK)
            return failed_with(run, step->line, &error);
        return settle(run, step->line);
    }
    }
    return true;
}

/* ---- preparing ---- */

static bool open_inputs(struct run *run)
{
    const struct scenario *s = run->scenario;

    for (size_t i = 0; i < s->step_count; i++) {
        const struct scenario_step *step = &s->steps[i];
        struct mill_error error = {0};
        bool open = step->what != SAYS_ROWS && step->what != SAYS_WATERMARK;

        for (unsigned k = 0; k < run->input_count; k++)
            open = open || strcasecmp(run->inputs[k].name, step->table) == 0;
        if (open)
            continue;
        if (run->input_count == INPUTS_MAX)
            return failed(run, step->line, "more than %u tables with rows", INPUTS_MAX);
        struct input *in = &run->inputs[run->input_count];

        snprintf(in->name, sizeof in->name, "%s", step->table);
        in->handle = mill_input_open(run->engine, step->table, &error);
        if (in->handle == NULL)
            return failed_with(run, step->line, &error);
        run->input_count++;
    }
    return true;
}

/* Empty lines, so that what follows is in the line that it has in the script. */
static void pad(const struct run *run, const char *begin, struct text *to)
{
    size_t lines = 0;

    for (const char *s = run->scenario->sql.bytes; s < begin; s++)
        lines += *s == '\n';
    for (size_t i = 0; i < to->length; i++)
        lines -= to->bytes[i] == '\n' && lines > 0;
    for (; lines > 0; lines--)
        text_char(to, '\n');
}

/* DDL at once; one query, or INSERTs which become one statement set. */
static bool prepare(struct run *run)
{
    const char *at = run->scenario->sql.bytes, *begin;
    struct text inserts = {0}, query = {0}, one = {0};
    unsigned insert_count = 0, query_count = 0;
    struct mill_error error = {0};
    enum statement kind;
    size_t bytes;
    bool ok = true;

    while (ok && (kind = script_next(&at, &begin, &bytes)) != STATEMENT_NONE) {
        one.length = 0;
        if (kind == STATEMENT_IS_DDL)
            pad(run, begin, &one);
        script_redirect(run->scenario, begin, bytes, &one);
        text_char(&one, ';');
        if (kind == STATEMENT_IS_DDL) {
            text_char(&one, '\0');
            ok = mill_execute(run->engine, one.bytes, NULL, &error) == MILL_OK ||
                 failed_with(run, 1, &error);
        } else {
            struct text *to = kind == STATEMENT_IS_INSERT ? &inserts : &query;

            insert_count += kind == STATEMENT_IS_INSERT;
            query_count += kind == STATEMENT_IS_QUERY;
            pad(run, begin, to);
            text_add(to, one.bytes, one.length);
        }
    }
    one.length = 0;
    if (ok && query_count + (insert_count > 0) != 1)
        ok = failed(run, 1,
                    "the script has %u SELECTs and %u INSERTs: a scenario tests one SELECT, or "
                    "INSERTs alone",
                    query_count, insert_count);
    if (insert_count > 1)
        text_add(&one, "EXECUTE STATEMENT SET BEGIN ", 28);
    if (ok)
        text_add(&one, query_count > 0 ? query.bytes : inserts.bytes,
                 query_count > 0 ? query.length : inserts.length);
    if (insert_count > 1)
        text_add(&one, " END;", 5);
    text_char(&one, '\0');
    ok = ok && open_inputs(run);
    if (ok) {
        run->query = mill_prepare(run->engine, one.bytes, &run->callbacks, &error);
        ok = run->query != NULL || failed_with(run, 1, &error);
    }
    free(inserts.bytes);
    free(query.bytes);
    free(one.bytes);
    return ok;
}

static bool open_engine(struct run *run)
{
    const struct scenario *s = run->scenario;
    struct mill_error error = {0};
    struct mill_config config;

    mill_config_init(&config);
    config.shard_count = run->shards;
    config.pin = false;
    config.clock = clock_now;
    config.clock_user = run;
    run->clock_ns = 4102444800000000000; /* 2100-01-01 */
    run->callbacks =
        (struct mill_callbacks){.user = run, .on_batch = on_batch, .on_insert = on_insert};
    run->engine = mill_engine_open(&config, &error);
    if (run->engine == NULL)
        return failed_with(run, 1, &error);
    for (unsigned i = 0; i < s->define_count; i++) {
        const char *equals = strchr(s->defines[i], '=');
        char name[256];

        snprintf(name, sizeof name, "%.*s", (int)(equals - s->defines[i]), s->defines[i]);
        if (mill_set_variable(run->engine, name, equals + 1, &error) != MILL_OK)
            return failed_with(run, 1, &error);
    }
    return true;
}

static bool run_once(const struct scenario *s, unsigned shards)
{
    struct run *run = calloc(1, sizeof *run);
    bool ok;

    if (run == NULL)
        abort();
    run->scenario = s;
    run->shards = shards;
    ok = open_engine(run) && prepare(run);
    for (size_t i = 0; ok && i < s->step_count; i++) {
        const bool stops = s->steps[i].what != SAYS_EXPECT && s->steps[i].what != SAYS_STATS;
        const bool step = do_step(run, &s->steps[i]);

        ok = step && ok;
        if (!step &&
            stops) /* a wrong answer is told, and the rest looked at; the run itself must go on */
            break;
        if (!step) {
            for (i++; i < s->step_count && do_step(run, &s->steps[i]); i++)
                ;
            break;
        }
    }
    for (unsigned i = 0; i < run->output_count; i++) {
        fflush(run->outputs[i].to);
        if (ok && run->outputs[i].bytes > 0)
            ok =
                failed(run, (unsigned)s->line_count, "%s%s gave rows that no @expect looks at:\n%s",
                       run->outputs[i].name[0] != '\0' ? "table " : "the SELECT",
                       run->outputs[i].name, run->outputs[i].text);
        fclose(run->outputs[i].to);
        free(run->outputs[i].text);
    }
    mill_query_close(run->query);
    mill_engine_close(run->engine);
    free(run);
    return ok;
}

int test_main(int count, char **args)
{
    unsigned passed = 0, wrong = 0;

    if (count == 0 || args[0][0] == '-') {
        fprintf(stderr, "millstream: test wants scenario files: millstream test FILE ...\n");
        return 64;
    }
    for (int i = 0; i < count; i++) {
        struct scenario s;
        bool ok = scenario_read(args[i], &s);

        for (unsigned k = 0; ok && k < s.shard_count; k++)
            ok = run_once(&s, s.shards[k]);
        scenario_free(&s);
        printf("%s: %s\n", args[i], ok ? "passed" : "FAILED");
        passed += ok;
        wrong += !ok;
    }
    printf("%u passed, %u failed\n", passed, wrong);
    return wrong > 0;
}
