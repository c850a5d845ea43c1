/* bench/bench_memory.c - windows over a table in memory, lent to the engine: COUNT, SUM, MIN, MAX by key, 100 s of event time in all.
 *
 * usage: bench_memory [MILLION_ROWS [WORKLOAD...]], SHARDS=n: only with so many. Each workload runs five times with 1 and with 2 shards. Before a figure is printed the answer is
 * compared with a recomputation in this file: the number of groups, and over all of them the sums of counts, sums, least and greatest
 * values (all exact: the values are whole numbers). Printed: median, best and worst rate, and CPU nanoseconds per row. */
#include "core/millstream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define RUNS 5
#define TIME_MS 100000 /* of event time in all */

enum keys { KEYS_NONE, KEYS_DENSE, KEYS_SPREAD, KEYS_TEXT };
enum windows { TUMBLE, HOP, SESSION };

static const struct workload {
    const char *name;
    enum keys keys;
    uint32_t key_count;
    double zipf; /* exponent; 0: uniform */
    enum windows windows;
    uint32_t size_ms, slide_ms;
    uint32_t jitter_ms; /* times are up to so much greater than in order */
} workloads[] = {{"unkeyed", KEYS_NONE, 1, 0, TUMBLE, 10000, 10000, 0},
                 {"dense100", KEYS_DENSE, 100, 0, TUMBLE, 10000, 10000, 0},
                 {"random10k", KEYS_SPREAD, 10000, 0, TUMBLE, 10000, 10000, 0},
                 {"dense10k", KEYS_DENSE, 10000, 0, TUMBLE, 10000, 10000, 0},
                 {"zipf10k", KEYS_SPREAD, 10000, 1.1, TUMBLE, 10000, 10000, 0},
                 {"random1m", KEYS_SPREAD, 1000000, 0, TUMBLE, 10000, 10000, 0},
                 {"zipf1m", KEYS_SPREAD, 1000000, 1.1, TUMBLE, 10000, 10000, 0},
                 {"text10k", KEYS_TEXT, 10000, 0, TUMBLE, 10000, 10000, 0},
                 {"hop2", KEYS_SPREAD, 1000, 0, HOP, 10000, 5000, 0},
                 {"hop10", KEYS_SPREAD, 1000, 0, HOP, 10000, 1000, 0},
                 {"hop60", KEYS_SPREAD, 1000, 0, HOP, 60000, 1000, 0},
                 {"session", KEYS_SPREAD, 1000, 0, SESSION, 1000, 1000, 0},
                 {"mixed", KEYS_SPREAD, 1000, 0, TUMBLE, 1000, 1000, 800},
                 {"short", KEYS_SPREAD, 1000, 0, TUMBLE, 5, 5, 800}};

struct table {
    uint32_t rows;
    uint32_t *rank; /* of the key, from 0 */
    int64_t *keys, *times;
    struct mill_view *texts;
    double *values;
};

/* What is compared: sums over all result rows. Values are whole numbers and a window's sum is below 2^53, so all are exact. */
struct answer {
    uint64_t groups, counts;
    int64_t sums, least, most;
};

static uint64_t random_word(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static void *column(uint32_t rows, size_t width)
{
    void *memory = aligned_alloc(1 << 21, (rows * width + (1 << 21) - 1) >> 21 << 21);

    if (memory == NULL) {
        fprintf(stderr, "bench_memory: no memory for %u rows\n", rows);
        exit(1);
    }
    madvise(memory, rows * width, MADV_HUGEPAGE);
    return memory;
}

/* Ranks by inversion of the cumulated harmonic sums. */
static void zipf_ranks(struct table *t, const struct workload *w, uint64_t *state)
{
    double *upto = malloc(w->key_count * sizeof *upto), total = 0;

    for (uint32_t k = 0; upto != NULL && k < w->key_count; k++)
        upto[k] = total += pow(k + 1, -w->zipf);
    for (uint32_t i = 0; upto != NULL && i < t->rows; i++) {
        const double u = (double)random_word(state) / 2147483648.0 * total;
        uint32_t low = 0, high = w->key_count - 1;

        while (low < high) {
            const uint32_t middle = (low + high) / 2;

            if (upto[middle] < u)
                low = middle + 1;
            else
                high = middle;
        }
        t->rank[i] = low;
    }
    free(upto);
}

static struct mill_view text_view(const char *text)
{
    struct mill_view view = {.length = (uint32_t)strlen(text)};

    if (view.length <= sizeof view.inlined) {
        memcpy(view.inlined, text, view.length);
    } else {
        memcpy(view.far.prefix, text, sizeof view.far.prefix);
        view.far.data = text;
    }
    return view;
}

static void fill(struct table *t, const struct workload *w)
{
    static char names[10000][24];
    uint64_t state = 42;

    if (w->zipf > 0)
        zipf_ranks(t, w, &state);
    for (uint32_t i = 0; i < t->rows; i++) {
        if (w->zipf == 0)
            t->rank[i] = (uint32_t)(random_word(&state) % w->key_count);
        t->keys[i] =
            w->keys == KEYS_DENSE ? t->rank[i] : (int64_t)(t->rank[i] * 0x9e3779b97f4a7c15ull);
        t->values[i] = (double)(random_word(&state) >> 7);
        t->times[i] = (int64_t)((uint64_t)i * TIME_MS / t->rows) * 1000;
        if (w->jitter_ms > 0)
            t->times[i] += (int64_t)(random_word(&state) % (1000 * w->jitter_ms));
    }
    for (uint32_t k = 0; w->keys == KEYS_TEXT && k < w->key_count; k++)
        snprintf(names[k], sizeof names[k], "customer-%u", k);
    for (uint32_t i = 0; w->keys == KEYS_TEXT && i < t->rows; i++)
        t->texts[i] = text_view(names[t->rank[i]]);
}

/* ---- the recomputation ---- */

struct cell {
    uint64_t count;
    double sum, least, most;
    int64_t last; /* SESSION: time of the latest row */
};

static void close_cell(struct answer *a, struct cell *c)
{
    if (c->count == 0)
        return;
    a->groups++;
    a->counts += c->count;
    a->sums += (int64_t)c->sum;
    a->least += (int64_t)c->least;
    a->most += (int64_t)c->most;
    c->count = 0;
}

static void add_row(struct cell *c, double v, int64_t time)
{
    c->sum = c->count == 0 ? v : c->sum + v;
    c->least = c->count == 0 || v < c->least ? v : c->least;
    c->most = c->count == 0 || v > c->most ? v : c->most;
    c->count++;
    c->last = time;
}

/* Every window by itself: its rows lie between the first and the last place that its times can have. */
static struct answer recompute(const struct table *t, const struct workload *w)
{
    const int64_t size = (int64_t)w->size_ms * 1000, slide = (int64_t)w->slide_ms * 1000;
    const int64_t jitter = (int64_t)w->jitter_ms * 1000;
    struct cell *cells = calloc(w->key_count, sizeof *cells);
    struct answer a = {0};
    uint32_t first = 0;

    if (cells == NULL)
        exit(1);
    if (w->windows == SESSION)
        for (uint32_t i = 0; i < t->rows; i++) {
            struct cell *c = &cells[t->rank[i]];

            if (c->count > 0 && t->times[i] - c->last > size)
                close_cell(&a, c);
            add_row(c, t->values[i], t->times[i]);
        }
    for (int64_t start = slide - size;
         w->windows != SESSION && start < (int64_t)TIME_MS * 1000 + jitter; start += slide) {
        while (first < t->rows && t->times[first] < start - jitter)
            first++;
        for (uint32_t i = first; i < t->rows && t->times[i] < start + size + jitter; i++)
            if (t->times[i] >= start && t->times[i] < start + size)
                add_row(&cells[t->rank[i]], t->values[i], t->times[i]);
        for (uint32_t k = 0; k < w->key_count; k++)
            close_cell(&a, &cells[k]);
    }
    for (uint32_t k = 0; k < w->key_count; k++)
        close_cell(&a, &cells[k]);
    free(cells);
    return a;
}

/* ---- the engine ---- */

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    const int64_t *counts = batch->columns[0].values;
    const double *sums = batch->columns[1].values, *least = batch->columns[2].values,
                 *most = batch->columns[3].values;
    struct answer *a = user;

    (void)query;
    a->groups += batch->rows;
    for (uint32_t i = 0; i < batch->rows; i++) {
        a->counts += (uint64_t)counts[i];
        a->sums += (int64_t)sums[i];
        a->least += (int64_t)least[i];
        a->most += (int64_t)most[i];
    }
    return 0;
}

static void make_sql(const struct workload *w, char ddl[400], char sql[500])
{
    static const char *const functions[] = {"TUMBLE", "HOP", "SESSION"};
    const char *by = w->keys == KEYS_NONE ? "" : ", k";
    char lengths[100];

    snprintf(ddl, 400,
             "CREATE TABLE t (k %s, v DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL "
             "'1' SECOND) WITH ('connector' = 'memory');",
             w->keys == KEYS_TEXT ? "STRING" : "BIGINT");
    if (w->windows == HOP)
        snprintf(lengths, sizeof lengths, "INTERVAL '%u.%03u' SECOND, INTERVAL '%u.%03u' SECOND",
                 w->slide_ms / 1000, w->slide_ms % 1000, w->size_ms / 1000, w->size_ms % 1000);
    else
        snprintf(lengths, sizeof lengths, "INTERVAL '%u.%03u' SECOND", w->size_ms / 1000,
                 w->size_ms % 1000);
    snprintf(sql, 500,
             "SELECT COUNT(*), SUM(v), MIN(v), MAX(v) FROM TABLE(%s(TABLE t%s, DESCRIPTOR(ts), "
             "%s)) GROUP BY window_start, window_end%s;",
             functions[w->windows], w->windows == SESSION ? " PARTITION BY k" : "", lengths, by);
}

/* Seconds of one run; negative: it failed. */
static double run(const struct table *t, const struct workload *w, uint32_t shards,
                  struct answer *answer)
{
    const struct mill_column columns[] = {{.values = w->keys == KEYS_TEXT ? (const void *)t->texts
                                                                          : t->keys},
                                          {.values = t->values},
                                          {.values = t->times}};
    const struct mill_batch batch = {.rows = t->rows, .column_count = 3, .columns = columns};
    const struct mill_callbacks callbacks = {.user = answer, .on_batch = on_batch};
    char ddl[400], sql[500];
    struct mill_config config;
    struct mill_error error = {0};
    struct mill_stats stats = {0};
    mill_engine *engine;
    mill_input *input = NULL;
    mill_query *query = NULL;

    make_sql(w, ddl, sql);
    mill_config_init(&config);
    config.shard_count = shards;
    engine = mill_engine_open(&config, &error);
    if (engine != NULL && mill_execute(engine, ddl, NULL, &error) == MILL_OK)
        input = mill_input_open(engine, "t", &error);
    if (input != NULL && mill_lend(input, &batch, 1, 1, &error) == MILL_OK) {
        mill_input_end(input);
        query = mill_prepare(engine, sql, &callbacks, &error);
    }
    if (query != NULL && mill_run(query, &error) == MILL_OK)
        mill_query_stats(query, &stats);
    mill_query_close(query);
    mill_engine_close(engine);
    if (error.code != MILL_OK)
        fprintf(stderr, "bench_memory: %s: %s\n", w->name, error.message);
    return error.code == MILL_OK ? stats.seconds : -1;
}

static double cpu_seconds(void)
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

static bool measure(const struct table *t, const struct workload *w, uint32_t shards,
                    const struct answer *expected)
{
    double seconds[RUNS];
    const double before = cpu_seconds();

    for (int i = 0; i < RUNS; i++) {
        struct answer got = {0};

        seconds[i] = run(t, w, shards, &got);
        if (seconds[i] < 0)
            return false;
        if (memcmp(&got, expected, sizeof got) != 0) {
            fprintf(stderr,
                    "bench_memory: %s, %u shards: %llu groups, %llu rows, sums %lld %lld %lld; "
                    "expected %llu, %llu, %lld %lld %lld\n",
                    w->name, shards, (unsigned long long)got.groups, (unsigned long long)got.counts,
                    (long long)got.sums, (long long)got.least, (long long)got.most,
                    (unsigned long long)expected->groups, (unsigned long long)expected->counts,
                    (long long)expected->sums, (long long)expected->least,
                    (long long)expected->most);
            return false;
        }
    }
    const double cpu = cpu_seconds() - before;

    qsort(seconds, RUNS, sizeof *seconds, ascending);
    printf("memory, %s, %u shards, %llu groups: median %.1f M rows/s (best %.1f, worst %.1f), %.1f "
           "CPU ns a row\n",
           w->name, shards, (unsigned long long)expected->groups, t->rows / seconds[RUNS / 2] / 1e6,
           t->rows / seconds[0] / 1e6, t->rows / seconds[RUNS - 1] / 1e6,
           cpu / RUNS / t->rows * 1e9);
    fflush(stdout);
    return true;
}

static bool is_wanted(const struct workload *w, int count, char **args)
{
    for (int i = 2; i < count; i++)
        if (strcmp(args[i], w->name) == 0)
            return true;
    return count < 3;
}

int main(int count, char **args)
{
    const uint32_t rows = (uint32_t)(count > 1 ? strtoul(args[1], NULL, 10) : 20) * 1000000;
    struct table t = {.rows = rows,
                      .rank = column(rows, sizeof *t.rank),
                      .keys = column(rows, sizeof *t.keys),
                      .times = column(rows, sizeof *t.times),
                      .texts = column(rows, sizeof *t.texts),
                      .values = column(rows, sizeof *t.values)};
    const char *only = getenv("SHARDS");
    bool ok = true;

    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        const struct workload *w = &workloads[i];

        if (!is_wanted(w, count, args))
            continue;
        fill(&t, w);
        const struct answer expected = recompute(&t, w);

        if (only != NULL)
            ok = measure(&t, w, (uint32_t)strtoul(only, NULL, 10), &expected) && ok;
        for (uint32_t shards = 1; only == NULL && shards <= 2; shards++)
            ok = measure(&t, w, shards, &expected) && ok;
    }
    free(t.rank);
    free(t.keys);
    free(t.times);
    free(t.texts);
    free(t.values);
    return ok ? 0 : 1;
}
