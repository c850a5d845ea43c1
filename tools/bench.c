/* tools/bench.c - millstream bench: which workloads are run, how often, with how many shards, and where the results go. */
#include "tools/bench.h"
#include "tools/bench_latency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 512

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "millstream: bench: %s%s%s; millstream help bench shows how it is called\n",
            what, value != NULL ? " " : "", value != NULL ? value : "");
    return BENCH_EXIT_USAGE;
}

/* ---- which workloads ---- */

static bool is_wanted(const struct bench *b, const struct bench_workload *w)
{
    for (uint32_t i = 0; i < b->word_count; i++)
        if (strcmp(b->words[i], w->name) == 0 || strcmp(b->words[i], w->group) == 0)
            return true;
    return b->word_count == 0 && strcmp(w->group, "self-check") != 0;
}

static uint32_t all_names(const char *names[NAMES_MAX])
{
    uint32_t count = 0;

    for (const struct bench_workload *const *t = bench_tables; *t != NULL; t++)
        for (const struct bench_workload *w = *t; w->name != NULL && count + 2 < NAMES_MAX; w++) {
            if (w == *t || strcmp(w->group, w[-1].group) != 0)
                names[count++] = w->group;
            names[count++] = w->name;
        }
    return count;
}

static int check_words(const struct bench *b)
{
    const char *names[NAMES_MAX];
    const uint32_t count = all_names(names);

    for (uint32_t i = 0; i < b->word_count; i++) {
        const char *nearest = mill_nearest_name(b->words[i], names, count);
        bool known = false;

        for (uint32_t n = 0; n < count; n++)
            known = known || strcmp(names[n], b->words[i]) == 0;
        if (known)
            continue;
        fprintf(stderr,
                "millstream: bench: there is no workload or group %s%s%s%s; millstream bench "
                "--list shows them\n",
                b->words[i], nearest != NULL ? ", did you mean " : "",
                nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
        return BENCH_EXIT_USAGE;
    }
    return 0;
}

static int list(const struct bench *b)
{
    for (const struct bench_workload *const *t = bench_tables; *t != NULL; t++)
        for (const struct bench_workload *w = *t; w->name != NULL; w++) {
            const char *sql = w->sql_file != NULL ? bench_embedded(w->sql_file) : w->sql;

            if (!is_wanted(b, w))
                continue;
            printf("%-8s %-16s %s\n", w->group, w->name, w->what);
            if (b->word_count > 0 && sql != NULL)
                printf("%s\n", sql);
            if (b->word_count > 0 && w->peer != NULL)
                printf("-- DuckDB:\n%s\n", w->peer);
        }
    return 0;
}

/* ---- options ---- */

struct options {
    struct bench bench;
    const char *peer, *compare[2], *from;
    char queries[2048]; /* --queries: names of workloads, each ended by NUL */
    bool list;
};

static int take_shards(struct bench *b, const char *text)
{
    char *end;

    b->shard_count = 0;
    for (const char *at = text;; at = end + 1) {
        const unsigned long n = strtoul(at, &end, 10);

        if (end == at || n < 1 || n > 256 || (*end != ',' && *end != '\0') ||
            b->shard_count == BENCH_SHARDS_MAX || *at == '-' || *at == '+')
            return usage("--shards needs numbers from 1 to 256 such as 1,2,4 (16 at most), not",
                         text);
        b->shards[b->shard_count++] = (uint32_t)n;
        if (*end == '\0')
            return 0;
    }
}

static int take_rows(struct bench *b, const char *text)
{
    if (bench_number(text, &b->rows) && b->rows > 0 && b->rows <= 2000000000)
        return 0;
    return usage("--rows needs 1 to 2000M, such as 500000, 500k or 20M, not", text);
}

static int take_runs(struct bench *b, const char *text)
{
    uint64_t n;

    if (!bench_number(text, &n) || n < 1 || n > BENCH_RUNS_MAX)
        return usage("--runs is 1 to 101, not", text);
    b->runs = (uint32_t)n;
    return 0;
}

static int take_peer(struct options *o, const char *name)
{
    o->peer = name;
    return strcmp(name, "duckdb") == 0 ? 0 : usage("--peer is duckdb, not", name);
}

/* q3,q5: the workloads nexmark-q3 and nexmark-q5, and no others of their group. */
static int take_queries(struct options *o, const char *list)
{
    struct bench *b = &o->bench;
    size_t used = strlen(o->queries) > 0 ? sizeof o->queries : 0;

    for (const char *at = list, *end; used < sizeof o->queries; at = end + 1) {
        end = at + strcspn(at, ",");
        if (end == at || b->word_count == sizeof b->words / sizeof *b->words ||
            used + (size_t)(end - at) + 16 > sizeof o->queries)
            break;
        b->words[b->word_count++] = o->queries + used;
        used += 1 + (size_t)sprintf(o->queries + used, "nexmark-%.*s", (int)(end - at), at);
        if (*end == '\0')
            return 0;
    }
    return usage("--queries needs names such as q3,q5, once, not", list);
}

static const char *const known[] = {"--rows",    "--shards", "--runs",  "--json",    "--markdown",
                                    "--svg",     "--peer",   "--from",  "--compare", "--events",
                                    "--queries", "--list",   "--quiet", "--no-pin"};
#define WITH_VALUE 11 /* of them */

static int take_value(struct options *o, size_t option, const char *value)
{
    const char **const texts[] = {&o->bench.json, &o->bench.markdown, &o->bench.svg};

    if (value == NULL)
        return usage("a value is missing behind", known[option]);
    switch (option) {
    case 0: return take_rows(&o->bench, value);
    case 1: return take_shards(&o->bench, value);
    case 2: return take_runs(&o->bench, value);
    case 6: return take_peer(o, value);
    case 7: o->from = value; return 0;
    case 8: o->compare[0] = value; return 0;
    case 9: return take_rows(&o->bench, value);
    case 10: return take_queries(o, value);
    default: *texts[option - 3] = value; return 0;
    }
}

static int take_word(struct options *o, const char *word)
{
    struct bench *b = &o->bench;

    if (o->compare[0] != NULL && o->compare[1] == NULL) {
        o->compare[1] = word;
        return 0;
    }
    if (b->word_count == sizeof b->words / sizeof *b->words)
        return usage("too many words:", word);
    b->words[b->word_count++] = word;
    return 0;
}

static int unknown_option(const char *word)
{
    const char *nearest = mill_nearest_name(word, known, sizeof known / sizeof *known);

    fprintf(stderr,
            "millstream: bench: there is no option %s%s%s%s; millstream help bench shows how it is "
            "called\n",
            word, nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "?" : "");
    return BENCH_EXIT_USAGE;
}

static int parse(struct options *o, int count, char **args)
{
    int code = 0;

    for (int i = 0; code == 0 && i < count; i++) {
        size_t option = 0;

        while (option < sizeof known / sizeof *known && strcmp(args[i], known[option]) != 0)
            option++;
        if (option < WITH_VALUE)
            code = take_value(o, option, i + 1 < count ? args[++i] : NULL);
        else if (option == WITH_VALUE)
            o->list = true;
        else if (option == WITH_VALUE + 1)
            o->bench.quiet = true;
        else if (option == WITH_VALUE + 2)
            o->bench.pin = false;
        else if (args[i][0] == '-')
            code = unknown_option(args[i]);
        else
            code = take_word(o, args[i]);
    }
    for (uint32_t i = 0; o->queries[0] != '\0' && i < o->bench.word_count; i++)
        if (strcmp(o->bench.words[i], "nexmark") == 0)
            o->bench.words[i] = o->queries; /* --queries says which of them */
    if (code == 0 && o->compare[0] != NULL && o->compare[1] == NULL)
        return usage("--compare needs two files, before and after; there is only", o->compare[0]);
    if (code == 0 && o->compare[0] != NULL && o->bench.word_count > 0)
        return usage("--compare takes two files and no", o->bench.words[0]);
    return code;
}

/* 1, 2, 4 ... as many as there are cpus, 16 at most; 1 and 2 always. */
static void default_shards(struct bench *b)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    for (uint32_t n = 1; b->shard_count < BENCH_SHARDS_MAX && (n <= 2 || (n <= 16 && n <= cpus));
         n *= 2)
        b->shards[b->shard_count++] = n;
}

/* ---- the run ---- */

struct collect {
    const struct bench *bench;
    struct bench_report report;
};

static void collect(void *user, const struct bench_result *result)
{
    struct collect *c = user;
    struct bench_report *r = &c->report;

    if (r->count == r->room) {
        r->room = r->room * 2 + 16;
        r->results = realloc(r->results, r->room * sizeof *r->results);
        if (r->results == NULL)
            abort();
    }
    r->results[r->count++] = *result;
    if (!c->bench->quiet)
        bench_print(result);
}

static void on_signal(int signal)
{
    if (bench_stopped != 0)
        _exit(128 + signal);
    bench_stopped = signal;
    mill_stop(bench_running, false);
}

/* Before hours of work: whether the results can be written at all. */
static int can_write(const char *path)
{
    FILE *to = path != NULL ? fopen(path, "ae") : NULL;

    if (path == NULL || to != NULL) {
        if (to != NULL)
            fclose(to);
        return 0;
    }
    fprintf(stderr, "millstream: bench: cannot write %s: %s\n", path, strerror(errno));
    return BENCH_EXIT_OUTPUT;
}

static int write_all(const struct bench *b, const struct bench_report *report)
{
    int code = b->json != NULL ? bench_write_json(report, b->json) : 0;

    if (code == 0 && b->markdown != NULL)
        code = bench_write_markdown(report, b->markdown);
    if (code == 0 && b->svg != NULL)
        code = bench_write_plots(report, b->svg);
    return code;
}

static int run(struct bench *b)
{
    struct collect c = {.bench = b};
    struct bench_report *report = &c.report;
    const double begin = bench_now();
    struct bench_ticks before, after;
    int code = 0, wrong = 0;

    bench_machine_read(&report->machine);
    if (!b->quiet)
        printf("%s, %u cpus; %s; commit %s\n", report->machine.cpu, report->machine.cpus,
               report->machine.build, report->machine.commit);
    bench_ticks_read(&before);
    for (const struct bench_workload *const *t = bench_tables; *t != NULL; t++)
        for (const struct bench_workload *w = *t; w->name != NULL && code < 128; w++)
            if (is_wanted(b, w)) {
                code = bench_run(b, w, collect, &c);
                wrong = code != 0 && wrong == 0 ? code : wrong; /* the others still run */
            }
    bench_ticks_read(&after);
    report->seconds = bench_now() - begin;
    if (after.all > before.all)
        report->stolen = (double)(after.stolen - before.stolen) / (double)(after.all - before.all);
    if (code < 128)
        code = write_all(b, report);
    else if (report->count > 0)
        write_all(b, report); /* stopped by a signal: what there is */
    if (!b->quiet)
        bench_print_nexmark(report);
    if (code == 0 && !b->quiet)
        printf("%u results in %.0f s; the host took %.1f %% of the machine's time\n", report->count,
               report->seconds, report->stolen * 100);
    bench_report_close(report);
    return wrong != 0 ? wrong : code;
}

static int again(const struct options *o)
{
    struct bench_report report;
    int code = bench_read_json(o->from, &report);

    if (code != 0)
        return code;
    for (uint32_t i = 0; !o->bench.quiet && i < report.count; i++)
        bench_print(&report.results[i]);
    if (!o->bench.quiet)
        bench_print_nexmark(&report);
    code = write_all(&o->bench, &report);
    bench_report_close(&report);
    return code;
}

int bench_main(int count, char **args)
{
    struct options o = {.bench = {.runs = 5, .pin = true}};
    int code;

    if (count > 0 && strcmp(args[0], "latency") == 0)
        return bench_latency(count - 1, args + 1);
    code = parse(&o, count, args);
    if (code != 0)
        return code;
    if (o.compare[0] != NULL)
        return bench_compare(o.compare[0], o.compare[1]);
    if (o.from != NULL)
        return again(&o);
    code = check_words(&o.bench);
    if (code == 0 && o.list)
        return list(&o.bench);
    if (code == 0)
        code = can_write(o.bench.json);
    if (code == 0)
        code = can_write(o.bench.markdown);
    if (code != 0)
        return code;
    if (o.bench.shard_count == 0)
        default_shards(&o.bench);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (o.peer != NULL)
        code = bench_peer_open(o.peer, &o.bench.peer);
    if (code == 0)
        code = run(&o.bench);
    bench_peer_close(o.bench.peer);
    return code;
}
