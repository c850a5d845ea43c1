/* tools/millstream.c - the command: run, check, explain, gen, functions, version.
 *
 * Uses the public header and nothing else of the library. Nothing but data goes to standard output.
 */
#include "core/millstream.h"
#include "tools/bench.h"
#include "tools/gen.h"
#include "tools/files.h"
#include "tools/print.h"
#include "tools/scenario.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 64
#define EXIT_NO_INPUT 66
#define EXIT_OUTPUT 74
#define EXIT_SETTING 78

struct progress;

struct command {
    struct mill_config config;
    const char *file; /* FILE, "-" or NULL */
    char *sql;
    const char *json_summary;
    char *settings;           /* SET statements of --set, in front of the script */
    const char *json_profile; /* where each query's profile goes, or NULL */
    FILE *profiles;           /* it, while open */
    bool quiet, format_given, analyze;
    char *names[64];
    const char *values[64];
    unsigned variable_count;
    struct printer printer;
    mill_engine *engine;
    struct mill_stats total; /* over all queries of the script */
    unsigned query_count;
    struct progress *progress; /* while a script runs */
};

static volatile sig_atomic_t stopped_by;
static mill_engine *volatile running_engine; /* for the signal handler */

/* ---- help ---- */

static const struct {
    const char *verb, *calls, *notes;
} help[] = {
    {"run", "run FILE | -c SQL | -      runs a script of Flink SQL\n", NULL},
    {"check", "check FILE | -c SQL | -    parses and plans it, runs nothing\n", NULL},
    {"explain", "explain FILE | -c SQL | -  prints the plan of each query\n",
     "--analyze: runs each query too (INSERT writes, rows of a SELECT are dropped) and prints what "
     "each\noperator took, as text or with --format json as one JSON object a query.\n"},
    {"gen",
     "gen nexmark --events N [--columns 'bid_price BIGINT, ...'] [--seed S] [--rate R]\n"
     "                      [--format csv|json|columnar] --out FILE|-\n"
     "       millstream gen datagen --rows N --columns 'id BIGINT, ...' [--set fields.id.min=1]\n"
     "                      [--seed S] [--format csv|json|columnar] --out FILE|-\n",
     "the format is told by the name of FILE (.csv, .json, .jsonl, .ndjson, .mcol; .gz or .zst "
     "behind it)\nor by --format; without both it is csv. --out - is standard output.\n"},
    {"convert",
     "convert IN OUT [--format csv|json|columnar] [--schema 'a INT, ...']\n"
     "                      [-i KEY=VALUE] [-o KEY=VALUE]  options of the input, of the output\n"
     "                      [--no-header] [--quiet]\n",
     "the format is told by the name of OUT (.csv, .json, .jsonl, .ndjson, .mcol) or by --format.\n"
     "--no-header: CSV without the line of column names. --quiet: no summary.\n"},
    {"info",
     "info FILE                  format, rows, times, disorder, a CREATE TABLE\n"
     "       millstream info --verify FILE         checks all checksums of a columnar file\n",
     NULL},
    {"bench",
     "bench [WORKLOAD|GROUP ...] [--list] [--rows N] [--shards 1,2] [--runs 5] [--peer duckdb]\n"
     "                      [--json FILE] [--markdown FILE] [--svg FOLDER] [--no-pin] [--quiet]\n"
     "       millstream bench nexmark [--queries q3,q5] [--events N] [...]\n"
     "       millstream bench --compare BEFORE.json AFTER.json\n"
     "       millstream bench --from FILE.json [--markdown FILE] [--svg FOLDER]\n"
     "       millstream bench latency [--query filter|count|tumble] [--rate ROWS_A_SECOND] [--rows "
     "N] [--shards N]\n"
     "                      [--driver turns|threads] [--idle spin|yield|park] [--find P99_US]\n"
     "                      [--hgrm FILE] [--json FILE] [--svg FILE]\n",
     "measures workloads on generated data; answers are checked before a figure is printed.\n"
     "--list: the workloads; with names their SQL too. --rows: 500000, 500k, 20M. --peer: DuckDB "
     "on "
     "the\nsame data in turn. --compare: exit 1 if something is slower beyond the spread of both.\n"
     "--from: reports of a recorded run. nexmark: NEXMark's own table behind the figures.\n"
     "bench latency: rows one by one at fixed times, latency from the intended time; an empty loop "
     "stands "
     "beside.\n"
     "--driver: the caller's thread makes the turns, or the engine's threads run (without it: one\n"
     "shard turns, several run).\n"
     "--find: the highest rate whose p99 is at most so many microseconds.\n"
     "--hgrm: percentiles as HdrHistogram's plotters read them.\n"},
    {"test", "test FILE ...              runs scenario files: rows in, rows expected\n",
     "exit: 0 all as expected, 1 something is not.\n"},
    {"functions", "functions                  lists the built-in functions\n", NULL},
    {"version", "version                    version, instruction set, cpus\n", NULL},
    {"help", "help [VERB]                this, or how VERB is called\n", NULL},
};

static const char help_options[] =
    "options: --shards N        threads, each with its own share of the keys (default: one per "
    "cpu)\n"
    "         --set KEY=VALUE   shards, batch-rows, step-bytes, step-rows, ring-slots, "
    "memory-limit, idle,\n"
    "                           or a setting as in SET 'key' = 'value'\n"
    "         -D NAME=VALUE     replaces ${NAME} in the script\n"
    "         --format csv|json|table   of bare SELECTs (default: table on a terminal, else csv)\n"
    "         --quiet           no progress, no summary\n"
    "         --json-summary FILE       the summary as one JSON object\n"
    "         --profile         run: what each operator took, to standard error\n"
    "         --json-profile FILE       the same, one JSON object a query\n"
    "         --analyze         explain: run the queries and print their profiles\n";

/* Of one verb, or of all. */
static void put_help(FILE *to, const char *verb)
{
    const char *lead = "usage:";

    for (size_t i = 0; i < sizeof help / sizeof *help; i++)
        if (verb == NULL || strcmp(verb, help[i].verb) == 0) {
            fprintf(to, "%-6s millstream %s", lead, help[i].calls);
            lead = "";
            if (verb != NULL && help[i].notes != NULL)
                fputs(help[i].notes, to);
        }
    if (verb == NULL || strcmp(verb, "run") == 0 || strcmp(verb, "check") == 0 ||
        strcmp(verb, "explain") == 0)
        fputs(help_options, to);
    fputs("exit: 0 well, 64 usage, 65 bad data, 66 no input, 70 internal, 71 memory, 74 I/O, 78 "
          "SQL or option,\n"
          "      130 or 143 stopped by a signal\n",
          to);
}

static bool asks_help(int count, char **args)
{
    for (int i = 0; i < count; i++)
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0)
            return true;
    return false;
}

static int bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "millstream: %s%s%s; millstream help shows how it is called\n", what,
            value != NULL ? " " : "", value != NULL ? value : "");
    return EXIT_USAGE;
}

/* A word that is none of @known: with the one the user may have meant. */
static int unknown_word(const char *what, const char *word, const char *const *known, size_t count)
{
    const char *nearest = mill_nearest_name(word, known, count);

    fprintf(stderr, "millstream: there is no %s %s%s%s%s; millstream help shows how it is called\n",
            what, word, nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "?" : "");
    return EXIT_USAGE;
}

/* ---- options ---- */

static void append(char **text, const char *format, const char *a, const char *b)
{
    char *made = NULL;
    const char *before = *text != NULL ? *text : "";
    char line[2048];

    snprintf(line, sizeof line, format, a, b);
    if (asprintf(&made, "%s%s", before, line) < 0)
        abort();
    free(*text);
    *text = made;
}

static bool number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && text[0] != '-';
}

/* "64 mb", "1G", "1073741824": Flink's memory sizes. */
static bool memory_size(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},    {"b", 0},  {"bytes", 0}, {"k", 10}, {"kb", 10}, {"m", 20},
                 {"mb", 20}, {"g", 30}, {"gb", 30},   {"t", 40}, {"tb", 40}};
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (end == text || errno != 0 || text[0] == '-')
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcasecmp(end, units[i].unit) == 0 && *out <= UINT64_MAX >> units[i].shift) {
            *out <<= units[i].shift;
            return true;
        }
    return false;
}

static int set_option(struct command *c, const char *pair)
{
    static const char *const names[] = {"shards", "batch-rows", "step-bytes", "step-rows",
                                        "ring-slots"};
    uint32_t *const fields[] = {&c->config.shard_count, &c->config.batch_rows,
                                &c->config.step_bytes, &c->config.step_rows, &c->config.ring_slots};
    const char *equals = strchr(pair, '=');
    char key[256];
    uint64_t value;

    if (equals == NULL || (size_t)(equals - pair) >= sizeof key)
        return bad_usage("--set needs KEY=VALUE, not", pair);
    snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0) {
            if (!number(equals + 1, &value) || value > UINT32_MAX)
                return bad_usage("--set needs a number in", pair);
            *fields[i] = (uint32_t)value;
            return 0;
        }
    if (strcmp(key, "memory-limit") == 0)
        return memory_size(equals + 1, &c->config.memory_limit)
                   ? 0
                   : bad_usage("--set needs bytes, or a size such as 512mb, in", pair);
    if (strcmp(key, "idle") == 0) {
        c->config.idle = equals + 1; /* arguments live as long as the process */
        return 0;
    }
    append(&c->settings, "SET '%s' = '%s';", key, equals + 1);
    return 0;
}

static int define(struct command *c, const char *pair)
{
    const char *equals = strchr(pair, '=');

    if (equals == NULL)
        return bad_usage("-D needs NAME=VALUE, not", pair);
    if (c->variable_count == 64)
        return bad_usage("more than 64 times -D", NULL);
    c->names[c->variable_count] = strndup(pair, (size_t)(equals - pair));
    c->values[c->variable_count++] = equals + 1;
    return 0;
}

static int set_format(struct command *c, const char *name)
{
    static const char *const names[] = {"csv", "json", "table"};

    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            c->printer.format = (enum print_format)i;
            c->format_given = true;
            return 0;
        }
    return bad_usage("--format is csv, json or table, not", name);
}

/* Options with a value: 1 taken, 0 not one of them, else an exit code. */
static int take_option(struct command *c, const char *name, const char *value)
{
    uint64_t n;
    int code;

    if (strcmp(name, "--shards") != 0 && strcmp(name, "--set") != 0 && strcmp(name, "-D") != 0 &&
        strcmp(name, "--format") != 0 && strcmp(name, "--json-summary") != 0 &&
        strcmp(name, "--json-profile") != 0 && strcmp(name, "-c") != 0)
        return 0;
    if (value == NULL)
        return bad_usage("a value is missing behind", name);
    if (strcmp(name, "--shards") == 0) {
        if (!number(value, &n) || n < 1 || n > 256)
            return bad_usage("--shards is 1 to 256, not", value);
        c->config.shard_count = (uint32_t)n;
        return 1;
    }
    if (strcmp(name, "-c") == 0) {
        c->sql = strdup(value);
        return 1;
    }
    if (strcmp(name, "--json-summary") == 0) {
        c->json_summary = value;
        return 1;
    }
    if (strcmp(name, "--json-profile") == 0) {
        c->json_profile = value;
        return 1;
    }
    code = strcmp(name, "--set") == 0 ? set_option(c, value)
           : strcmp(name, "-D") == 0  ? define(c, value)
                                      : set_format(c, value);
    return code == 0 ? 1 : code;
}

static int parse_options(struct command *c, int count, char **args)
{
    static const char *const known[] =
        {"--shards",       "--set",          "-D",       "--format", "-c", "--quiet", "--profile",
         "--json-summary", "--json-profile", "--analyze"};

    for (int i = 0; i < count; i++) {
        const int taken = take_option(c, args[i], i + 1 < count ? args[i + 1] : NULL);

        if (taken > 1)
            return taken;
        if (taken == 1)
            i++;
        else if (strcmp(args[i], "--quiet") == 0)
            c->quiet = true;
        else if (strcmp(args[i], "--profile") == 0)
            c->config.profile = true;
        else if (strcmp(args[i], "--analyze") == 0)
            c->analyze = true;
        else if (args[i][0] == '-' && args[i][1] != '\0')
            return unknown_word("option", args[i], known, sizeof known / sizeof *known);
        else if (c->file != NULL)
            return bad_usage("one script is run at a time; what is", args[i]);
        else
            c->file = args[i];
    }
    if (c->file == NULL && c->sql == NULL)
        return bad_usage("give a FILE, -c SQL, or - for standard input", NULL);
    if (c->file != NULL && c->sql != NULL)
        return bad_usage("give a FILE or -c SQL, not both", NULL);
    return 0;
}

static int read_script(struct command *c)
{
    FILE *from;
    char *text = NULL;
    size_t room = 0;

    if (c->sql != NULL)
        return 0;
    from = strcmp(c->file, "-") == 0 ? stdin : fopen(c->file, "re");
    if (from == NULL || (getdelim(&text, &room, EOF, from) < 0 && ferror(from))) {
        fprintf(stderr, "millstream: cannot read %s: %s\n", c->file, strerror(errno));
        free(text);
        if (from != NULL && from != stdin)
            fclose(from);
        return EXIT_NO_INPUT;
    }
    if (from != stdin)
        fclose(from);
    c->sql = text != NULL ? text : strdup("");
    return 0;
}

/* ---- results ---- */

static void on_text(void *user, const char *text, size_t bytes)
{
    (void)user;
    fwrite(text, 1, bytes, stdout);
}

static void on_schema(void *user, mill_query *query, const struct mill_schema *schema)
{
    struct command *c = user;

    printer_begin(&c->printer, query, schema);
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct command *c = user;

    (void)query;
    if (batch->rows > 0)
        printer_names(&c->printer);
    printer_rows(&c->printer, batch);
    return c->printer.failed;
}

static int report(const struct command *c, const struct mill_error *error)
{
    const char *name = c->file != NULL && strcmp(c->file, "-") != 0 ? c->file : "SQL";

    const char *no_color =
        getenv("NO_COLOR"); /* https://no-color.org: any text that is not empty */
    const bool colored = isatty(2) && (no_color == NULL || *no_color == '\0');
    const char *red = colored ? "\033[1;31m" : "", *plain = colored ? "\033[0m" : "";

    fflush(stdout);
    if (error->code == MILL_E_INTERRUPTED && c->total.held == 0) {
        fprintf(stderr, "%smillstream:%s the run was stopped\n", red, plain);
        return 128 + (int)stopped_by;
    }
    if (error->line > 0)
        fprintf(stderr, "%smillstream:%s %s:%u:%u: %s\n", red, plain, name, error->line,
                error->column, error->message);
    else
        fprintf(stderr, "%smillstream:%s %s\n", red, plain, error->message);
    if (error->excerpt[0] != '\0')
        fprintf(stderr, "%s\n", error->excerpt);
    if (stopped_by != 0)
        return 128 + (int)stopped_by;
    return mill_exit_code(error->code);
}

/* ---- progress, signals, summary ---- */

static void on_signal(int signal)
{
    mill_query *query = running_engine != NULL ? mill_running(running_engine) : NULL;

    if (stopped_by != 0 || query == NULL)
        _exit(128 + signal); /* the second time, or nothing runs yet */
    stopped_by = signal;
    mill_stop(query, false);
}

struct progress {
    struct command *command;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool terminal, started, over, shown, said;
    uint64_t rows_seen;
    time_t moved_at;
};

/* After 5 s without a row: once, which split holds the watermark back and why. */
static void show_holding(struct progress *p, const struct mill_stats *s)
{
    const time_t now = time(NULL);

    if (s->rows_in + s->rows_out != p->rows_seen) {
        p->rows_seen = s->rows_in + s->rows_out;
        p->moved_at = now;
        p->said = false;
    } else if (!p->said && now - p->moved_at >= 5 && s->holding[0] != '\0') {
        fprintf(stderr, "%smillstream: no progress for 5 s: %s\n", p->terminal ? "\r\033[K" : "",
                s->holding);
        p->said = true;
    }
}

/* "watermark 2015-07-15 00:03:20, lag 3 s": lag is how far the wall clock is ahead; none for old data. */
static void put_watermark(char *to, size_t bytes, int64_t watermark_us)
{
    const time_t at = (time_t)(watermark_us / 1000000), now = time(NULL);
    struct tm tm;
    size_t n;

    *to = '\0';
    if (watermark_us == INT64_MIN || watermark_us == INT64_MAX || gmtime_r(&at, &tm) == NULL)
        return;
    n = strftime(to, bytes, ", watermark %Y-%m-%d %H:%M:%S", &tm);
    if (now >= at && now - at < 86400)
        snprintf(to + n, bytes - n, ", lag %ld s", (long)(now - at));
}

/* "12.34 M rows/s", "5.60 K rows/s", "7 rows/s" */
static const char *rate_text(double rate, char to[48])
{
    if (rate >= 1e6)
        snprintf(to, 48, "%.2f M rows/s", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(to, 48, "%.2f K rows/s", rate / 1e3);
    else
        snprintf(to, 48, "%.0f rows/s", rate);
    return to;
}

static void show_progress(struct progress *p)
{
    mill_query *query = mill_running(p->command->engine);
    struct mill_stats s;
    char watermark[80], rate[48];

    if (query == NULL)
        return;
    mill_query_stats(query, &s);
    put_watermark(watermark, sizeof watermark, s.watermark_us);
    show_holding(p, &s);
    if (!p->terminal)
        return;
    fprintf(stderr,
            "\r%" PRIu64 " rows in, %s, %.1f MB/s, %" PRIu64 " rows out%s, state %.1f MB\033[K",
            s.rows_in, rate_text(s.seconds > 0 ? (double)s.rows_in / s.seconds : 0.0, rate),
            s.seconds > 0 ? (double)s.bytes_in / s.seconds / 1e6 : 0.0, s.rows_out, watermark,
            (double)s.state_bytes / 1e6);
    p->shown = true;
}

static void *progress_main(void *arg)
{
    struct progress *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->over) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&p->wake, &p->lock, &until);
        if (!p->over)
            show_progress(p);
    }
    if (p->shown)
        fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void progress_start(struct progress *p, struct command *c)
{
    *p = (struct progress){.command = c};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->terminal = isatty(2) != 0;
    p->moved_at = time(NULL);
    if (!c->quiet)
        p->started = pthread_create(&p->thread, NULL, progress_main, p) == 0;
}

static void progress_end(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    p->over = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    if (p->started)
        pthread_join(p->thread, NULL);
}

/* What went well by the rules and is rarely wanted: a line each. */
static void remarks(const struct mill_stats *s)
{
    const struct {
        uint64_t count;
        const char *what;
    } all[] = {
        {s->far_future, "rows over 5 minutes ahead of the clock did not move the watermark"},
        {s->sum_overflow, "integer sums left their type and wrapped"},
        {s->decimal_overflow, "decimals left their precision and became NULL"},
        {s->null_time, "rows without a time are in no window"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].count > 0)
            fprintf(stderr, "millstream: %" PRIu64 " %s\n", all[i].count, all[i].what);
    if (s->held > 0)
        fprintf(stderr,
                "millstream: %" PRIu64 " rows were held back and are not in the result%s%s\n",
                s->held, s->holding[0] != '\0' ? ": " : "", s->holding);
}

/* 0, or an exit code: the summary could not be written. */
static int summary(const struct command *c, const struct mill_stats *s)
{
    const double rate = s->seconds > 0 ? (double)s->rows_in / s->seconds : 0;
    struct rusage usage;
    char shown[48];
    FILE *to;

    getrusage(RUSAGE_SELF, &usage);
    if (!c->quiet && s->shard_count > 0)
        fprintf(stderr,
                "%" PRIu64 " rows in, %" PRIu64 " rows out, %" PRIu64 " late, %" PRIu64
                " dead, %.3f s, %s, %ld MB peak, %u shards\n",
                s->rows_in, s->rows_out, s->late, s->dead, s->seconds, rate_text(rate, shown),
                usage.ru_maxrss / 1024, s->shard_count);
    if (!c->quiet)
        remarks(s);
    if (c->json_summary == NULL)
        return 0;
    to = fopen(c->json_summary, "we");
    if (to == NULL) {
        fprintf(stderr, "millstream: cannot write %s: %s\n", c->json_summary, strerror(errno));
        return EXIT_OUTPUT;
    }
    fprintf(to,
            "{\"rows_in\": %" PRIu64 ", \"rows_out\": %" PRIu64 ", \"late\": %" PRIu64
            ", \"dead\": %" PRIu64 ", \"bytes_in\": %" PRIu64
            ", \"seconds\": %.6f, \"rows_per_second\": %.0f, \"peak_rss_bytes\": %ld, "
            "\"shards\": %u, \"ring_reads\": %" PRIu64 "}\n",
            s->rows_in, s->rows_out, s->late, s->dead, s->bytes_in, s->seconds, rate,
            usage.ru_maxrss * 1024L, s->shard_count, s->ring_reads);
    if (fclose(to) == 0)
        return 0;
    fprintf(stderr, "millstream: cannot write %s: %s\n", c->json_summary, strerror(errno));
    return EXIT_OUTPUT;
}

/* ---- verbs ---- */

static int open_engine(struct command *c, struct mill_error *error)
{
    c->engine = mill_engine_open(&c->config, error);
    if (c->engine == NULL)
        return error->code;
    for (unsigned i = 0; i < c->variable_count; i++)
        if (mill_set_variable(c->engine, c->names[i], c->values[i], error) != MILL_OK)
            return error->code;
    return c->settings != NULL ? mill_execute(c->engine, c->settings, NULL, error) : MILL_OK;
}

static void put_to(void *user, const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, user);
}

/* --profile and --json-profile. */
static void put_profiles(const struct command *c, mill_query *query)
{
    fflush(stdout); /* what the library has printed stands before the summary */
    if (c->analyze)
        return;
    if (c->config.profile && c->profiles == NULL)
        mill_profile_text(query, false, put_to, stderr, NULL);
    else if (c->profiles != NULL)
        mill_profile_text(query, true, put_to, c->profiles, NULL);
}

/* 0 or an exit code. */
static int open_profiles(struct command *c)
{
    if (c->json_profile == NULL)
        return 0;
    c->config.profile = true;
    c->profiles = fopen(c->json_profile, "we");
    if (c->profiles != NULL)
        return 0;
    fprintf(stderr, "millstream: cannot write %s: %s\n", c->json_profile, strerror(errno));
    return EXIT_OUTPUT;
}

static int close_profiles(struct command *c)
{
    if (c->profiles == NULL || fclose(c->profiles) == 0)
        return 0;
    fprintf(stderr, "millstream: cannot write %s: %s\n", c->json_profile, strerror(errno));
    return EXIT_OUTPUT;
}

static void on_end(void *user, mill_query *query, int code)
{
    struct command *c = user;
    struct mill_stats s;

    if (c->printer.schema != NULL && code == MILL_OK)
        printer_names(&c->printer);
    if (c->printer.schema != NULL) /* the schema goes with the query */
        printer_end(&c->printer);
    /* from here on the progress thread sees no running query; let it finish with this one */
    if (c->progress != NULL) {
        pthread_mutex_lock(&c->progress->lock);
        pthread_mutex_unlock(&c->progress->lock);
    }
    put_profiles(c, query);
    mill_query_stats(query, &s);
    c->query_count++;
    c->total.rows_in += s.rows_in;
    c->total.rows_out += s.rows_out;
    c->total.late += s.late;
    c->total.dead += s.dead;
    c->total.bytes_in += s.bytes_in;
    c->total.ring_reads += s.ring_reads;
    c->total.seconds += s.seconds;
    c->total.shard_count = s.shard_count;
    c->total.held += s.held;
    c->total.far_future += s.far_future;
    c->total.sum_overflow += s.sum_overflow;
    c->total.decimal_overflow += s.decimal_overflow;
    c->total.null_time += s.null_time;
    if (s.holding[0] != '\0')
        memcpy(c->total.holding, s.holding, sizeof s.holding);
}

/* The 'stdout' connector's reader has gone, as a printer's. */
static bool reader_gone(const struct mill_error *error)
{
    return error->os_errno == EPIPE && strstr(error->message, "standard output") != NULL;
}

static int run_script(struct command *c)
{
    const struct mill_callbacks callbacks = {.user = c,
                                             .on_text = on_text,
                                             .on_schema = on_schema,
                                             .on_batch = on_batch,
                                             .on_end = on_end};
    struct mill_error error = {0};
    struct progress progress;
    int code = open_profiles(c), unwritten;

    if (code != 0)
        return code;
    code = open_engine(c, &error);
    if (code == MILL_OK) {
        running_engine = c->engine;
        progress_start(&progress, c);
        c->progress = &progress;
        code = c->analyze ? mill_explain_analyze(c->engine, c->sql, c->printer.format == PRINT_JSON,
                                                 &callbacks, &error)
                          : mill_execute(c->engine, c->sql, &callbacks, &error);
        c->progress = NULL;
        progress_end(&progress);
        running_engine = NULL;
    }
    if (c->printer.failed || reader_gone(&error))
        code = MILL_OK; /* the reader of a pipe has gone: nobody wants the rest */
    if (code != MILL_OK)
        code = report(c, &error);
    unwritten = summary(c, &c->total);
    if (unwritten == 0)
        unwritten = close_profiles(c);
    return code != 0 ? code : unwritten;
}

static int plan_script(struct command *c, bool explain)
{
    const struct mill_callbacks callbacks = {.user = c, .on_text = on_text};
    struct mill_error error = {0};
    int code = open_engine(c, &error);

    if (code == MILL_OK)
        code = explain ? mill_explain(c->engine, c->sql, &callbacks, &error)
                       : mill_check(c->engine, c->sql, &error);
    if (code != MILL_OK)
        return report(c, &error);
    if (!explain && !c->quiet)
        fputs("ok\n", stderr);
    return 0;
}

static int check_script(struct command *c)
{
    return plan_script(c, false);
}

static int explain_script(struct command *c)
{
    return c->analyze ? run_script(c) : plan_script(c, true);
}

static void each_function(void *user, const char *name, const char *signature,
                          const char *description, const char *category)
{
    (void)user;
    printf("%s\t%s\t%s\t%s\n", name, signature, description, category);
}

static int verb_script(int (*script)(struct command *), int count, char **args)
{
    struct command c = {.printer = {.to = stdout, .format = PRINT_CSV}};
    int code;

    mill_config_init(&c.config);
    code = parse_options(&c, count, args);
    if (code == 0)
        code = read_script(&c);
    if (!c.format_given && isatty(1))
        c.printer.format = PRINT_TABLE;
    if (code == 0)
        code = script(&c);
    mill_engine_close(c.engine);
    for (unsigned i = 0; i < c.variable_count; i++)
        free(c.names[i]);
    free(c.sql);
    free(c.settings);
    return code;
}

static int verb_help(int count, char **args)
{
    const char *names[sizeof help / sizeof *help];
    const size_t all = sizeof help / sizeof *help;

    if (count == 0 || asks_help(count, args)) {
        put_help(stdout, NULL);
        return 0;
    }
    for (size_t i = 0; i < all; i++) {
        names[i] = help[i].verb;
        if (strcmp(args[0], names[i]) == 0) {
            put_help(stdout, names[i]);
            return 0;
        }
    }
    return unknown_word("verb", args[0], names, all);
}

static int verb_functions(int count, char **args)
{
    (void)count;
    (void)args;
    mill_functions(each_function, NULL);
    return 0;
}

static int verb_version(int count, char **args)
{
    char text[1024];

    (void)count;
    (void)args;
    mill_build_info(text, sizeof text);
    fputs(text, stdout);
    return 0;
}

static int verb_run(int count, char **args)
{
    return verb_script(run_script, count, args);
}

static int verb_check(int count, char **args)
{
    return verb_script(check_script, count, args);
}

static int verb_explain(int count, char **args)
{
    return verb_script(explain_script, count, args);
}

int main(int count, char **args)
{
    static const struct {
        const char *name;
        int (*call)(int count, char **args);
    } verbs[] =
        {{"run", verb_run},         {"check", verb_check},     {"explain", verb_explain},
         {"test", test_main},       {"convert", convert_main}, {"info", info_main},
         {"gen", gen_main},         {"bench", bench_main},     {"functions", verb_functions},
         {"version", verb_version}, {"help", verb_help},       {"--version", verb_version},
         {"--help", verb_help},     {"-h", verb_help}};
    const size_t all = sizeof verbs / sizeof *verbs;
    const char *verb = count > 1 ? args[1] : "", *names[sizeof verbs / sizeof *verbs];

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file above its limit is an error of write() */
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (count < 2) {
        put_help(stderr, NULL);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < all; i++) {
        names[i] = verbs[i].name;
        if (strcmp(verb, names[i]) != 0)
            continue;
        if (!asks_help(count - 2, args + 2))
            return verbs[i].call(count - 2, args + 2);
        put_help(stdout, verb[0] != '-' && strcmp(verb, "help") != 0 ? verb : NULL);
        return 0;
    }
    return unknown_word("verb", verb, names, all - 3);
}
