/* tools/bench_run.c - runs one workload: data, the answer, timed runs in turn with the peer's.
 *
 * Before the timed runs of each shard count one run that is not timed gives its whole answer, which is compared with the known one.
 * Every timed run must give the same rows and the same sum of their values' bits as that one.
 */
#include "tools/bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t bench_stopped;
mill_query *volatile bench_running;

double bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

struct bench_spread bench_spread_of(const double *samples, uint32_t count)
{
    double sorted[BENCH_RUNS_MAX];

    memcpy(sorted, samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ascending);
    return (struct bench_spread){.median = count % 2 == 1
                                               ? sorted[count / 2]
                                               : (sorted[count / 2 - 1] + sorted[count / 2]) / 2,
                                 .min = sorted[0],
                                 .max = sorted[count - 1]};
}

/* ---- one run of the engine ---- */

struct once {
    const struct bench_answer *expected;
    struct bench_answer *answer; /* NULL: only the sum is wanted */
    struct bench_sum sum;
    const struct mill_schema *schema;
    struct mill_stats stats;
    double seconds, cpu_seconds;
    double used_seconds; /* of all cpus, by whomever */
    bool schema_seen;    /* rows came to on_batch */
    double *stages;      /* not NULL: the run is measured, this is filled */
};

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct once *o = user;

    (void)query;
    if (o->answer != NULL)
        bench_answer_batch(o->answer, o->schema, batch);
    bench_sum_batch(&o->sum, o->schema, batch);
    return 0;
}

static int say(const struct bench_workload *w, const struct mill_error *error)
{
    fprintf(stderr, "millstream: bench: %s: %s\n", w->name, error->message);
    if (error->excerpt[0] != '\0')
        fprintf(stderr, "%s\n", error->excerpt);
    return mill_exit_code(error->code);
}

static int lend(mill_engine *engine, const struct bench_table *t, struct mill_error *error)
{
    char *ddl = NULL;
    mill_input *input = NULL;
    int code;

    if (asprintf(&ddl, "CREATE TABLE %s (%s) WITH ('connector' = 'memory');", t->name, t->columns) <
        0)
        abort();
    code = mill_execute(engine, ddl, NULL, error);
    free(ddl);
    if (code == MILL_OK) {
        input = mill_input_open(engine, t->name, error);
        code = input == NULL     ? error->code
               : t->advance != 0 ? mill_lend_replayed(input, t->batches, t->batch_count, t->repeat,
                                                      t->time_column, t->advance, error)
                                 : mill_lend(input, t->batches, t->batch_count, t->repeat, error);
    }
    if (code == MILL_OK)
        mill_input_end(input);
    return code;
}

static mill_engine *open_engine(const struct bench *b, const struct bench_data *data,
                                uint32_t shards, bool profile, struct mill_error *error)
{
    struct mill_config config;
    mill_engine *engine;
    char rows[24];
    int code;

    mill_config_init(&config);
    config.shard_count = shards;
    config.pin = b->pin;
    config.io = data->workload->io;
    config.profile = profile;
    snprintf(rows, sizeof rows, "%" PRIu64, data->rows);
    engine = mill_engine_open(&config, error);
    if (engine == NULL)
        return NULL;
    code = mill_set_variable(engine, "ROWS", rows, error);
    if (code == MILL_OK)
        code = mill_set_variable(engine, "DIR", data->folder, error);
    if (code == MILL_OK)
        code = mill_set_variable(engine, "SINK", "'connector' = 'blackhole'", error);
    if (code == MILL_OK)
        code = mill_set_variable(engine, "COUNT_CHAR", "'count_char'", error); /* built in */
    if (code == MILL_OK)
        code = mill_set_variable(engine, "FOLDER", data->folder, error);
    if (code == MILL_OK && data->source != NULL)
        code = mill_set_variable(engine, "SOURCE", data->source, error);
    for (uint32_t i = 0; code == MILL_OK && i < data->table_count; i++)
        code = lend(engine, &data->tables[i], error);
    if (code == MILL_OK)
        return engine;
    mill_engine_close(engine);
    return NULL;
}

/* @sql into a sink that drops its rows. Free; NULL: @error. */
static char *discarding(const struct bench *b, const struct bench_data *data, const char *sql,
                        struct mill_error *error)
{
    mill_engine *engine = open_engine(b, data, 1, false, error);
    mill_query *query = engine != NULL ? mill_prepare(engine, sql, NULL, error) : NULL;
    const struct mill_schema *schema = mill_query_schema(query);
    char *text = schema != NULL ? bench_discarding(sql, schema) : NULL;

    mill_query_close(query);
    mill_engine_close(engine);
    return text;
}

const char *const bench_stages[BENCH_STAGES] = {"source",   "calc",      "partial aggregate",
                                                "exchange", "aggregate", "sink, engine"};

static uint32_t stage_of(const char *name)
{
    static const struct {
        const char *part;
        uint32_t stage;
    } parts[] = {{"Source", 0},   {"Values", 0}, {"Calc", 1},      {"PartialAggregate", 2},
                 {"Exchange", 3}, {"Sink", 5},   {"Aggregate", 4}, {"Window", 4}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i].part) != NULL)
            return parts[i].stage;
    return 5;
}

static void read_stages(mill_query *query, double stages[BENCH_STAGES])
{
    struct mill_profile p = {.struct_bytes = sizeof p,
                             .operator_bytes = sizeof(struct mill_operator_profile)};
    struct mill_operator_profile ops[64];
    const uint32_t count = mill_query_profile(query, MILL_ALL_SHARDS, &p, ops, 64);
    const double scale = p.rows_in > 0 ? 1e9 / p.ticks_per_second / (double)p.rows_in : 0;

    for (uint32_t i = 0; i < count && i < 64; i++)
        stages[stage_of(ops[i].name)] += (double)ops[i].ticks * scale;
    if (count > 0)
        stages[BENCH_STAGES - 1] += (double)(p.start_ticks + p.engine_ticks) * scale;
}

static int run_once(const struct bench *b, const struct bench_data *data, const char *sql,
                    uint32_t shards, struct once *o)
{
    const struct mill_callbacks callbacks = {.user = o, .on_batch = on_batch};
    struct mill_error error = {0};
    mill_engine *engine = open_engine(b, data, shards, o->stages != NULL, &error);
    mill_query *query = engine != NULL ? mill_prepare(engine, sql, &callbacks, &error) : NULL;
    int code = query != NULL ? 0 : -1;

    if (query != NULL) {
        struct bench_ticks before, after;

        o->schema = mill_query_schema(query);
        bench_ticks_read(&before);
        const double cpu = bench_cpu_seconds(), begin = bench_now();

        bench_running = query;
        code = mill_run(query, &error);
        bench_running = NULL;
        o->seconds = bench_now() - begin;
        o->cpu_seconds = bench_cpu_seconds() - cpu;
        bench_ticks_read(&after);
        o->used_seconds = (double)(after.used - before.used) / (double)sysconf(_SC_CLK_TCK);
        mill_query_stats(query, &o->stats);
        o->schema_seen = o->schema != NULL;
        if (!o->schema_seen)
            o->sum.rows = o->stats.rows_out;
        if (o->stages != NULL && code == MILL_OK)
            read_stages(query, o->stages);
    }
    mill_query_close(query);
    mill_engine_close(engine);
    o->schema = NULL;
    if (bench_stopped != 0)
        return 128 + bench_stopped;
    return code == 0 ? 0 : say(data->workload, &error);
}

/* ---- the answer ---- */

static void wrong(const struct bench_data *data, uint32_t shards, const char *source,
                  const struct bench_answer *got, const struct bench_answer *expected)
{
    fprintf(stderr,
            "millstream: bench: %s, %" PRIu64 " rows, %u shard%s: WRONG ANSWER\n"
            "  got       %" PRIu64 " rows, digest %016" PRIx64 "%016" PRIx64 "\n"
            "  expected  %" PRIu64 " rows, digest %016" PRIx64 "%016" PRIx64 " (%s)\n",
            data->workload->name, data->rows, shards, shards == 1 ? "" : "s", got->rows,
            (uint64_t)(got->digest >> 64), (uint64_t)got->digest, expected->rows,
            (uint64_t)(expected->digest >> 64), (uint64_t)expected->digest, source);
    for (uint32_t c = 0; c < got->column_count && c < BENCH_COLUMNS_MAX; c++)
        if (c < expected->column_count && (got->sums[c].whole != expected->sums[c].whole ||
                                           got->sums[c].real != expected->sums[c].real))
            fprintf(stderr,
                    "  column %u  its sum is %" PRId64 " and %.17g, expected %" PRId64
                    " and %.17g\n",
                    c + 1, (int64_t)got->sums[c].whole, got->sums[c].real,
                    (int64_t)expected->sums[c].whole, expected->sums[c].real);
}

static bool same(const struct bench_workload *w, const struct bench_answer *a,
                 const struct bench_answer *b)
{
    if (w->clock_column > 0)
        return a->sums[w->clock_column - 1].whole == b->sums[w->clock_column - 1].whole;
    return a->rows == b->rows && a->digest == b->digest;
}

/* The known answer, if there is one: *source says how, NULL that there is none. */
static int know_answer(const struct bench *b, const struct bench_data *data,
                       struct bench_answer *expected, const char **source)
{
    const struct bench_workload *w = data->workload;

    *source = NULL;
    if (w->answer != NULL) {
        *source = w->clock_column > 0 ? "sum of a column" : "recomputed";
        return w->answer(data, expected);
    }
    if (w->recorded && bench_recorded(w->sql_file, data->rows, expected, source))
        return 0;
    if (w->expected.source != NULL && w->expected.input_rows == data->rows) {
        *source = w->expected.source;
        expected->rows = w->expected.rows;
        expected->digest = (unsigned __int128)w->expected.digest_high << 64 |
                           (unsigned __int128)w->expected.digest_low;
        return 0;
    }
    if (w->reference != NULL) {
        struct once o = {.answer = expected};

        *source = "another query for it";
        return run_once(b, data, w->reference, 1, &o);
    }
    return 0;
}

/* @text with ${ROWS} and ${DIR} filled in. Free. */
static char *filled_in(const struct bench_data *data, const char *text)
{
    char *out = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&out, &bytes);

    if (to == NULL)
        abort();
    while (*text != '\0')
        if (strncmp(text, "${ROWS}", 7) == 0) {
            fprintf(to, "%" PRIu64, data->rows);
            text += 7;
        } else if (strncmp(text, "${DIR}", 6) == 0) {
            fputs(data->folder, to);
            text += 6;
        } else {
            fputc(*text++, to);
        }
    fclose(to);
    return out;
}

/* ---- data of one workload ---- */

static int setup(const struct bench *b, struct bench_data *data)
{
    const struct bench_workload *w = data->workload;
    const char *base = getenv("TMPDIR");
    struct mill_error error = {0};
    mill_engine *engine;
    int code;

    if (asprintf(&data->folder, "%s/millstream-bench-XXXXXX",
                 base != NULL && base[0] != '\0' ? base : "/tmp") < 0)
        abort();
    if (mkdtemp(data->folder) == NULL) {
        fprintf(stderr, "millstream: bench: cannot make a temporary folder %s: %s\n", data->folder,
                strerror(errno));
        free(data->folder);
        data->folder = NULL;
        return BENCH_EXIT_OUTPUT;
    }
    data->source = w->source != NULL ? filled_in(data, w->source) : NULL;
    code = w->fill != NULL ? w->fill(data) : 0;
    if (code != 0 || w->setup == NULL)
        return code;
    engine = open_engine(b, data, 1, false, &error);
    code = engine != NULL ? mill_execute(engine, w->setup, NULL, &error) : error.code;
    mill_engine_close(engine);
    return code == MILL_OK ? 0 : say(w, &error);
}

/* ---- timed runs ---- */

struct timing {
    const struct bench *bench;
    const struct bench_data *data;
    struct bench_answer expected, answer;
    const char *source;
    char *checked_sql, *timed_sql, *peer_sql;
    struct bench_peer *peer;
    double seconds,
        foreign; /* of our timed runs with one number of shards; of others on the cpus meanwhile */
    void (*each)(void *user, const struct bench_result *result);
    void *user;
};

static bool near(double a, double b)
{
    const double distance = a < b ? b - a : a - b, size = (a < 0 ? -a : a) + (b < 0 ? -b : b);

    return distance <= 1e-9 * size || a == b;
}

/* The peer's rows and sums of columns against ours. */
static int check_peer(const struct timing *t, const struct bench_answer *peer)
{
    const struct bench_answer *ours = &t->answer;
    bool differs = ours->rows != peer->rows;

    for (uint32_t c = 0; c < ours->column_count && c < BENCH_COLUMNS_MAX; c++)
        if (ours->sums[c].whole != peer->sums[c].whole ||
            !near(ours->sums[c].real, peer->sums[c].real)) {
            fprintf(stderr,
                    "millstream: bench: %s: column %u: our sum is %" PRId64
                    " and %.17g, the peer's %" PRId64 " and %.17g\n",
                    t->data->workload->name, c + 1, (int64_t)ours->sums[c].whole,
                    ours->sums[c].real, (int64_t)peer->sums[c].whole, peer->sums[c].real);
            differs = true;
        }
    if (differs)
        fprintf(stderr,
                "millstream: bench: %s: WRONG ANSWER: %" PRIu64 " rows, the peer has %" PRIu64
                " and other values; see above\n",
                t->data->workload->name, ours->rows, peer->rows);
    return differs ? BENCH_EXIT_WRONG : 0;
}

/* The run that is not timed, and the sum that all timed ones must have. */
static int check_answer(struct timing *t, uint32_t shards, struct bench_sum *sum)
{
    struct bench_answer got = {0};
    struct once o = {.answer = &got};
    int code = run_once(t->bench, t->data, t->checked_sql, shards, &o);

    if (code != 0)
        return code;
    if (t->source != NULL && !same(t->data->workload, &got, &t->expected)) {
        wrong(t->data, shards, t->source, &got, &t->expected);
        return BENCH_EXIT_WRONG;
    }
    if (t->source == NULL) { /* the first one's is the one that all must have */
        t->source = "the same for all runs and shards";
        t->expected = got;
    }
    t->answer = got;
    *sum = o.sum;
    return 0;
}

/* What the workloads before have freed goes back to the system, where the engine has loaded mimalloc. */
static void collect_freed(void)
{
    void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_NOLOAD);
    void (*collect)(bool) = NULL;

    if (library == NULL)
        return;
    *(void **)&collect = dlsym(library, "mi_collect");
    if (collect != NULL)
        collect(true);
    dlclose(library);
}

/* The greatest resident size of the process is counted anew from here on; where the system cannot, from its start. */
static void reset_peak_rss(void)
{
    FILE *to = fopen("/proc/self/clear_refs", "we");

    collect_freed();
    if (to != NULL) {
        fputs("5", to);
        fclose(to);
    }
}

static uint64_t peak_rss(void)
{
    FILE *from = fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kib = 0;

    while (from != NULL && fgets(line, sizeof line, from) != NULL &&
           sscanf(line, "VmHWM: %llu", &kib) != 1)
        ;
    if (from != NULL)
        fclose(from);
    return kib * 1024;
}

static int timed_run(struct timing *t, uint32_t shards, const struct bench_sum *sum,
                     struct bench_result *r, double *cpu)
{
    const struct bench_workload *w = t->data->workload;
    struct once o = {0};
    int code = run_once(t->bench, t->data, t->timed_sql, shards, &o);

    if (code != 0)
        return code;
    if (w->clock_column == 0 &&
        (o.sum.rows != sum->rows || (o.schema_seen && o.sum.bits != sum->bits))) {
        fprintf(stderr,
                "millstream: bench: %s, %u shards: WRONG ANSWER: a run gave %" PRIu64
                " rows and sum %" PRIx64 ", the one before %" PRIu64 " and %" PRIx64 "\n",
                w->name, shards, o.sum.rows, o.sum.bits, sum->rows, sum->bits);
        return BENCH_EXIT_WRONG;
    }
    r->rows = o.stats.rows_in > 0 ? o.stats.rows_in : t->data->rows;
    r->bytes = o.stats.bytes_in;
    r->result_rows = o.sum.rows;
    if (o.stats.peak_bytes > r->peak_bytes)
        r->peak_bytes = o.stats.peak_bytes;
    r->samples[r->runs] = (double)r->rows / o.seconds;
    t->seconds += o.seconds;
    t->foreign += o.used_seconds - o.cpu_seconds;
    cpu[r->runs] = o.cpu_seconds / (double)r->rows * 1e9;
    return 0;
}

static int peer_run(struct timing *t, struct bench_result *r, double *ratios, bool check)
{
    struct bench_answer answer = {0};
    double seconds = 0;
    int code = bench_peer_run(t->peer, t->peer_sql, &seconds, check ? &answer : NULL);

    if (code == 0 && check)
        return check_peer(t, &answer);
    if (code == 0) {
        r->peer_samples[r->runs] = (double)r->rows / seconds;
        ratios[r->runs] = r->samples[r->runs] / r->peer_samples[r->runs];
    }
    return code;
}

/* One more run, for what each stage takes. */
static int measured_run(struct timing *t, uint32_t shards, double stages[BENCH_STAGES])
{
    struct once o = {.stages = stages};

    return run_once(t->bench, t->data, t->timed_sql, shards, &o);
}

static int with_shards(struct timing *t, uint32_t shards)
{
    const struct bench_workload *w = t->data->workload;
    struct bench_result r = {.name = w->name,
                             .group = w->group,
                             .what = w->what,
                             .unit = "rows/s",
                             .shards = shards};
    double cpu[BENCH_RUNS_MAX], ratios[BENCH_RUNS_MAX];
    struct bench_ticks before, after;
    struct bench_sum sum = {0};
    int code = check_answer(t, shards, &sum);

    if (code == 0 && t->peer != NULL)
        code = bench_peer_threads(t->peer, shards);
    if (code == 0 && t->peer != NULL)
        code = peer_run(t, &r, ratios, true);
    t->seconds = t->foreign = 0;
    bench_ticks_read(&before);
    reset_peak_rss();
    for (; code == 0 && r.runs < t->bench->runs; r.runs++) {
        code = timed_run(t, shards, &sum, &r, cpu);
        if (code == 0 && t->peer != NULL)
            code = peer_run(t, &r, ratios, false);
    }
    bench_ticks_read(&after);
    r.peak_rss_bytes = peak_rss();
    if (code == 0)
        code = measured_run(t, shards, r.stages);
    if (code != 0)
        return code;
    if (after.all > before.all)
        r.stolen = (double)(after.stolen - before.stolen) / (double)(after.all - before.all);
    if (t->foreign > 0 && t->seconds > 0)
        r.elsewhere = t->foreign / (t->seconds * (double)sysconf(_SC_NPROCESSORS_ONLN));
    r.checked = t->source;
    r.digest = t->answer.digest;
    r.rate = bench_spread_of(r.samples, r.runs);
    r.cpu = bench_spread_of(cpu, r.runs);
    if (t->peer != NULL) {
        r.peer_name = "DuckDB";
        snprintf(r.peer_version, sizeof r.peer_version, "%s", bench_peer_version(t->peer));
        r.peer_rate = bench_spread_of(r.peer_samples, r.runs);
        r.peer_ratio = bench_spread_of(ratios, r.runs);
    }
    t->each(t->user, &r);
    return 0;
}

/* A workload that measures by itself. */
static int measure(struct timing *t, uint32_t shards)
{
    const struct bench_workload *w = t->data->workload;
    struct bench_result r = {.name = w->name,
                             .group = w->group,
                             .what = w->what,
                             .unit = w->unit,
                             .shards = shards,
                             .checked = "recomputed"};
    struct bench_ticks before, after;
    int code = 0;

    bench_ticks_read(&before);
    for (; code == 0 && r.runs < t->bench->runs; r.runs++) {
        code = w->measure(t->bench, t->data, shards, &r.samples[r.runs]);
        if (code == 0 && bench_stopped != 0)
            code = 128 + bench_stopped;
    }
    if (code != 0)
        return code;
    bench_ticks_read(&after);
    if (after.all > before.all)
        r.stolen = (double)(after.stolen - before.stolen) / (double)(after.all - before.all);
    r.rows = t->data->rows;
    r.rate = bench_spread_of(r.samples, r.runs);
    t->each(t->user, &r);
    return 0;
}

static int all_shards(struct timing *t)
{
    const struct bench *b = t->bench;
    const struct bench_workload *w = t->data->workload;
    int code = 0;

    for (uint32_t i = 0; code == 0 && i < b->shard_count; i++)
        if (w->shards_max == 0 || b->shards[i] <= w->shards_max)
            code = w->measure != NULL ? measure(t, b->shards[i]) : with_shards(t, b->shards[i]);
    return code;
}

static int prepare(struct timing *t)
{
    const struct bench_workload *w = t->data->workload;
    struct mill_error error = {0};
    int code = know_answer(t->bench, t->data, &t->expected, &t->source);

    t->checked_sql = bench_as_select(w->sql);
    if (code == 0 && w->discard) {
        t->timed_sql = discarding(t->bench, t->data, t->checked_sql, &error);
        if (t->timed_sql == NULL)
            return say(w, &error);
    } else if (code == 0) {
        t->timed_sql = strdup(w->sql);
    }
    if (code == 0 && w->peer != NULL && t->bench->peer != NULL) {
        t->peer = t->bench->peer;
        t->peer_sql = filled_in(t->data, w->peer);
        code = bench_peer_load(t->peer, t->data);
        if (code == 0 && w->peer_setup != NULL) {
            char *sql = filled_in(t->data, w->peer_setup);

            code = bench_peer_run(t->peer, sql, NULL, NULL);
            free(sql);
        }
    }
    return code;
}

int bench_run(const struct bench *bench, const struct bench_workload *workload,
              void (*each)(void *user, const struct bench_result *result), void *user)
{
    struct bench_workload w = *workload;
    struct bench_data data = {.workload = &w, .rows = bench->rows != 0 ? bench->rows : w.rows};
    struct timing t = {.bench = bench, .data = &data, .each = each, .user = user};
    int code;

    if (w.sql_file != NULL && (w.sql = bench_embedded(w.sql_file)) == NULL) {
        fprintf(stderr, "millstream: bench: %s: there is no query %s in the command\n", w.name,
                w.sql_file);
        return BENCH_EXIT_WRONG;
    }
    code = setup(bench, &data);
    if (code == 0 && w.measure == NULL)
        code = prepare(&t);
    if (code == 0)
        code = all_shards(&t);
    free(t.checked_sql);
    free(t.timed_sql);
    free(t.peer_sql);
    bench_data_close(&data);
    return code == BENCH_SKIPPED ? 0 : code;
}
