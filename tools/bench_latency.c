/* tools/bench_latency.c - millstream bench latency: how long a row takes from its intended moment to its result.
 *
 * Open loop: row i is due at start + i / rate whatever the engine does, and its latency counts from then, so a stall is charged to all rows
 * that it held up (Gil Tene's "coordinated omission" does not happen). A run whose rows could not all be pushed in time says INVALID. The
 * same loop without an engine, on the same cpu, stands beside it: what the machine itself takes.
 *
 * Driven by turns the one thread pushes and turns. Driven by threads the shard that is about to cut asks for rows (mill_input_pull()).
 */
#include "tools/bench_latency.h"

#include "tools/bench.h"
#include "tools/bench_plot.h"
#include "tools/histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define KEYS 1000
#define PUSH_ROWS_MAX 64 /* due at one look */
#define FIND_STEPS 12

/* Results carry the row's due moment, or what tells it. */
static const struct latency_query {
    const char *name, *what, *sql;
    bool
        by_time; /* column 0 is a window's end: the row that closed it is due then plus the delay */
} queries[] = {
    {"filter", "filter and project a row", "SELECT sent, k, v * 2 FROM t WHERE v >= 0", false},
    {"count", "COUNT, SUM, MAX of every 10 rows of a key",
     "SELECT MAX(sent), COUNT(*), SUM(v), MAX(v) FROM TABLE(TUMBLE_ROWS(TABLE t PARTITION BY k, "
     "DESCRIPTOR(p), 10)) GROUP BY k, window_start, window_end, window_id HAVING COUNT(*) = 10",
     false},
    {"tumble", "COUNT, SUM, MAX by key in windows of 10 ms, from the row that closes the window",
     "SELECT window_end, k, COUNT(*), SUM(v), MAX(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), "
     "INTERVAL '0.010' SECOND)) GROUP BY window_start, window_end, k",
     true},
};

struct options {
    const struct latency_query *query;
    double rate;
    uint64_t rows, warm;
    uint32_t shards;
    bool threads; /* mill_run() instead of turns */
    double find_us;
    const char *idle, *hgrm, *json, *svg;
};

struct run {
    const struct options *options;
    uint64_t rows, pushed;   /* warm-up included */
    _Atomic bool all_pushed; /* results may be looked at by another thread than the pushing one */
    uint64_t start;          /* ticks */
    double ticks_per_ns, period;
    mill_engine *engine;
    mill_input *input;
    mill_query *query;
    uint64_t allocations; /* at the end of the warm-up */
    struct histogram found;
    uint64_t ended; /* ticks */
    struct mill_error error;
};

static uint64_t ticks(void)
{
    return __rdtsc();
}

static double calibrate(void)
{
    struct timespec a, b;
    uint64_t from, to;

    clock_gettime(CLOCK_MONOTONIC, &a);
    from = ticks();
    do
        clock_gettime(CLOCK_MONOTONIC, &b);
    while ((b.tv_sec - a.tv_sec) * 1000000000ll + (b.tv_nsec - a.tv_nsec) < 50000000);
    to = ticks();
    return (double)(to - from) /
           (double)((b.tv_sec - a.tv_sec) * 1000000000ll + (b.tv_nsec - a.tv_nsec));
}

/* Nanoseconds since the start of the run. */
static int64_t now_ns(const struct run *r)
{
    return (int64_t)((double)(ticks() - r->start) / r->ticks_per_ns);
}

static int64_t due_ns(const struct run *r, uint64_t row)
{
    return (int64_t)((double)row * r->period);
}

/* ---- rows in ---- */

/* Pushes what is due, a batch of one row each; false: it could not. */
static bool push_due(struct run *r)
{
    const int64_t now = now_ns(r);

    for (int i = 0; i < PUSH_ROWS_MAX && r->pushed < r->rows; i++) {
        const int64_t due = due_ns(r, r->pushed);
        const int64_t key = (int64_t)(r->pushed * 0x9e3779b97f4a7c15ull >> 32) % KEYS;
        const int64_t micros = due / 1000;
        const double value = (double)(r->pushed & 1023);
        const struct mill_column columns[] = {{.values = &key},
                                              {.values = &value},
                                              {.values = &due},
                                              {.values = &micros}};
        const struct mill_batch batch = {.rows = 1, .column_count = 4, .columns = columns};

        if (due > now)
            return true;
        if (mill_push(r->input, &batch, &r->error) != MILL_OK)
            return false;
        if (++r->pushed == r->options->warm) {
            struct mill_stats stats;

            mill_query_stats(r->query, &stats);
            r->allocations = stats.allocations;
            mill_engine_warm(r->engine, true);
        }
    }
    if (r->pushed == r->rows) {
        r->all_pushed = true;
        mill_input_end(r->input);
    }
    return true;
}

static void on_pull(void *user, mill_input *input)
{
    (void)input;
    push_due(user);
}

/* ---- results out ---- */

/* When the row was due that closes a window: the first at its end less a microsecond, the unit of ts. */
static int64_t closing_ns(const struct run *r, int64_t end_us)
{
    return due_ns(r, (uint64_t)ceil((double)(end_us - 1) * 1e3 / r->period));
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct run *r = user;
    const int64_t now = now_ns(r), *told = batch->columns[0].values;
    const int64_t counted = due_ns(r, r->options->warm);
    const bool by_time = r->options->query->by_time;

    (void)query;
    if (r->all_pushed && by_time) /* the end of the input closes windows: not measured */
        return 0;
    for (uint32_t i = 0; i < batch->rows; i++) {
        const int64_t due = by_time ? closing_ns(r, told[i]) : told[i];

        if (due >= counted)
            histogram_add(&r->found, now > due ? (uint64_t)(now - due) : 0);
    }
    return 0;
}

/* ---- one run ---- */

static bool open_query(struct run *r)
{
    static const char ddl[] =
        "CREATE TABLE t (k BIGINT, v DOUBLE, sent BIGINT, ts TIMESTAMP(6), p AS PROCTIME(), "
        "WATERMARK FOR ts AS ts) WITH ('connector' = 'memory');";
    const struct mill_callbacks callbacks = {.user = r, .on_batch = on_batch};
    struct mill_config config;

    mill_config_init(&config);
    config.shard_count = r->options->shards;
    config.idle = r->options->idle;
    r->engine = mill_engine_open(&config, &r->error);
    if (r->engine == NULL || mill_execute(r->engine, ddl, NULL, &r->error) != MILL_OK)
        return false;
    r->input = mill_input_open(r->engine, "t", &r->error);
    if (r->input != NULL)
        r->query = mill_prepare(r->engine, r->options->query->sql, &callbacks, &r->error);
    return r->query != NULL &&
           (!r->options->threads || mill_input_pull(r->input, on_pull, r, &r->error) == MILL_OK);
}

/* The loop that pushes and turns; without an engine it only records when it saw that a row is due. */
static bool turn_loop(struct run *r, bool empty)
{
    bool ended = false;

    while (!ended) {
        if (empty) {
            const int64_t now = now_ns(r), due = due_ns(r, r->pushed);

            ended = r->pushed == r->rows;
            if (ended || due > now)
                continue;
            if (r->pushed++ >= r->options->warm)
                histogram_add(&r->found, (uint64_t)(now - due));
        } else if ((r->pushed < r->rows && !push_due(r)) ||
                   mill_turn(r->query, NULL, &ended, &r->error) != MILL_OK) {
            return false;
        }
    }
    return true;
}

static bool measure(struct run *r, const struct options *o, bool empty)
{
    const double ratio = r->ticks_per_ns;
    bool ok = true;

    *r = (struct run){.options = o, .ticks_per_ns = ratio, .period = 1e9 / o->rate};
    r->rows = o->rows + o->warm;
    if (!empty)
        ok = open_query(r);
    r->start = ticks();
    if (ok && (empty || !o->threads))
        ok = turn_loop(r, empty);
    else if (ok)
        ok = mill_run(r->query, &r->error) == MILL_OK;
    r->ended = ticks();
    if (ok && !empty) {
        struct mill_stats stats;

        mill_query_stats(r->query, &stats);
        r->allocations = stats.allocations - r->allocations;
    }
    mill_engine_warm(r->engine, false);
    mill_query_close(r->query);
    mill_engine_close(r->engine);
    if (!ok)
        fprintf(stderr, "millstream: bench latency: %s\n", r->error.message);
    return ok;
}

/* Rows were due in rows / rate; later than that by over 1 % and 10 ms is no open loop any more. */
static bool fell_behind(const struct run *r)
{
    const double planned = (double)r->rows * r->period;
    const double took = (double)(r->ended - r->start) / r->ticks_per_ns;

    return took > planned * 1.01 + 1e7;
}

/* ---- reports ---- */

static double stolen_seconds(void)
{
    struct bench_ticks ticks = {0};

    bench_ticks_read(&ticks);
    return (double)ticks.stolen / (double)sysconf(_SC_CLK_TCK);
}

static void print_line(const char *name, const struct histogram *h)
{
    static const double at[] = {50, 90, 99, 99.9, 99.99};

    printf("  %-12s", name);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        printf(" p%g %.2f", at[i], (double)histogram_at(h, at[i]) / 1e3);
    printf(" max %.2f µs (%" PRIu64 " results)\n", (double)h->most / 1e3, h->count);
}

static int write_hgrm(const char *path, const struct histogram *h)
{
    FILE *to = fopen(path, "w");

    if (to != NULL)
        histogram_print(h, to, 5);
    if (to != NULL && fclose(to) == 0)
        return 0;
    fprintf(stderr, "millstream: bench latency: cannot write %s: %s\n", path, strerror(errno));
    return 74;
}

static int write_json(const char *path, const struct run *r, const struct histogram *empty,
                      double stolen)
{
    const struct options *o = r->options;
    FILE *to = fopen(path, "w");

    if (to == NULL) {
        fprintf(stderr, "millstream: bench latency: cannot write %s: %s\n", path, strerror(errno));
        return 74;
    }
    fprintf(to,
            "{\"bench\": \"latency\", \"query\": \"%s\", \"shards\": %u, \"driver\": \"%s\", "
            "\"rate\": %.0f, \"rows\": %" PRIu64 ", \"valid\": %s, \"stolen_seconds\": %.3f, "
            "\"allocations\": %" PRIu64 ", \"microseconds\": {",
            o->query->name, o->shards, o->threads ? "threads" : "turns", o->rate, o->rows,
            fell_behind(r) ? "false" : "true", stolen, r->allocations);
    for (int k = 0; k < 2; k++) {
        const struct histogram *h = k == 0 ? &r->found : empty;

        fprintf(to,
                "%s\"%s\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, "
                "\"p99.99\": %.3f, \"max\": %.3f, \"count\": %" PRIu64 "}",
                k == 0 ? "" : ", ", k == 0 ? "engine" : "empty_loop",
                (double)histogram_at(h, 50) / 1e3, (double)histogram_at(h, 90) / 1e3,
                (double)histogram_at(h, 99) / 1e3, (double)histogram_at(h, 99.9) / 1e3,
                (double)histogram_at(h, 99.99) / 1e3, (double)h->most / 1e3, h->count);
    }
    fprintf(to, "}}\n");
    return fclose(to) == 0 ? 0 : 74;
}

/* Two lines up to the last percentile that ten results stand behind. */
static int write_svg(const char *path, const struct options *o, const struct histogram *found,
                     const struct histogram *empty)
{
    static double x[2][200], y[2][200];
    const struct histogram *both[] = {found, empty};
    struct plot_line lines[] = {{"engine", x[0], y[0], 0}, {"empty loop", x[1], y[1], 0}};
    char title[160];

    for (int k = 0; k < 2; k++)
        for (double left = 1; left * (double)both[k]->count >= 10 && lines[k].count < 200;
             left *= 0.8) {
            const double at = 100 * (1 - left);
            const double us = (double)histogram_at(both[k], at) / 1e3;

            x[k][lines[k].count] = at;
            y[k][lines[k].count++] = us > 0.01 ? us : 0.01;
        }
    snprintf(title, sizeof title, "%s, %u shard%s, %.0f rows/s: microseconds by percentile",
             o->query->name, o->shards, o->shards > 1 ? "s" : "", o->rate);
    return lines[0].count > 1 && lines[1].count > 1 ? plot_latency(path, title, lines, 2) : 0;
}

static int report(struct run *r, struct run *empty, const struct options *o)
{
    const double before = stolen_seconds();
    double stolen;
    int code = 0;

    if (!measure(empty, o, true) || !measure(r, o, false))
        return 70;
    stolen = stolen_seconds() - before;
    printf("latency, %s, %u shard%s, %s, %.0f rows/s offered, %" PRIu64 " rows after %" PRIu64
           " to warm up%s\n",
           o->query->name, o->shards, o->shards > 1 ? "s" : "",
           o->threads ? "the engine's threads" : "the caller's thread", o->rate, o->rows, o->warm,
           fell_behind(r) ? ": INVALID, rows could not be pushed in time" : "");
    print_line("engine", &r->found);
    print_line("empty loop", &empty->found);
    printf("  stolen by the host %.2f s; allocations after the warm-up %" PRIu64 "\n", stolen,
           r->allocations);
    fflush(stdout);
    if (o->hgrm != NULL)
        code = write_hgrm(o->hgrm, &r->found);
    if (code == 0 && o->svg != NULL)
        code = write_svg(o->svg, o, &r->found, &empty->found);
    if (code == 0 && o->json != NULL)
        code = write_json(o->json, r, &empty->found, stolen);
    return code;
}

/* Of three runs: a machine that is not one's own disturbs a run now and then. @behind: most of them fell behind. */
static bool median_p99(struct run *r, const struct options *o, double *p99, bool *behind)
{
    double found[3];
    int late = 0;

    for (int i = 0; i < 3; i++) {
        if (!measure(r, o, false))
            return false;
        found[i] = (double)histogram_at(&r->found, 99) / 1e3;
        late += fell_behind(r);
    }
    *p99 = fmax(fmin(found[0], found[1]), fmin(fmax(found[0], found[1]), found[2]));
    *behind = late > 1;
    return true;
}

/* The highest rate whose p99 stays under the wish: up or down in threes, then by bisection. */
static int find_rate(struct run *r, struct options *o)
{
    double low = 0, high = 0, p99;

    o->rate = 100000;
    for (int i = 0; i < FIND_STEPS; i++) {
        bool good, behind;

        o->rows = (uint64_t)(o->rate * 1.0);
        o->warm = (uint64_t)(o->rate * 0.2);
        if (!median_p99(r, o, &p99, &behind))
            return 70;
        good = !behind && p99 <= o->find_us;
        printf("  %.0f rows/s: p99 %.2f µs%s%s\n", o->rate, p99, behind ? ", INVALID" : "",
               good ? "" : ", too much");
        fflush(stdout);
        if (good)
            low = o->rate;
        else
            high = o->rate;
        if (high == 0)
            o->rate *= 3;
        else if (low == 0)
            o->rate /= 3;
        else if (high / low < 1.1)
            break;
        else
            o->rate = (low + high) / 2;
    }
    if (low > 0)
        printf("latency, %s, %u shard%s: %.0f rows/s with p99 <= %g µs\n", o->query->name,
               o->shards, o->shards > 1 ? "s" : "", low, o->find_us);
    else
        printf("latency, %s, %u shard%s: no rate tried has p99 <= %g µs\n", o->query->name,
               o->shards, o->shards > 1 ? "s" : "", o->find_us);
    return 0;
}

/* ---- options ---- */

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "millstream: bench latency: %s%s%s; millstream help bench shows the options\n",
            what, value != NULL ? " " : "", value != NULL ? value : "");
    return 64;
}

static int number(const char *option, const char *text, double least, double most, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(*out >= least && *out <= most)) {
        fprintf(stderr, "millstream: bench latency: %s is %s, need a number from %.0f to %.0f\n",
                option, text, least, most);
        return 64;
    }
    return 0;
}

static int read_query(struct options *o, const char *name)
{
    const char *names[sizeof queries / sizeof *queries], *nearest;

    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        names[i] = queries[i].name;
        if (strcmp(name, names[i]) == 0) {
            o->query = &queries[i];
            return 0;
        }
    }
    nearest = mill_nearest_name(name, names, sizeof names / sizeof *names);
    fprintf(stderr, "millstream: bench latency: there is no query %s", name);
    fprintf(stderr,
            nearest != NULL ? ", did you mean %s?\n" : "; there are filter, count, tumble\n",
            nearest);
    return 64;
}

static int read_option(struct options *o, const char *name, const char *value)
{
    double n = 0;
    int code = 0;

    if (strcmp(name, "--query") == 0)
        return read_query(o, value);
    if (strcmp(name, "--hgrm") == 0) {
        o->hgrm = value;
    } else if (strcmp(name, "--json") == 0) {
        o->json = value;
    } else if (strcmp(name, "--svg") == 0) {
        o->svg = value;
    } else if (strcmp(name, "--idle") == 0) {
        o->idle = value;
    } else if (strcmp(name, "--driver") == 0) {
        o->threads = strcmp(value, "threads") == 0;
        if (!o->threads && strcmp(value, "turns") != 0)
            return usage("--driver is turns or threads, not", value);
    } else if (strcmp(name, "--rate") == 0) {
        code = number(name, value, 1, 1e9, &o->rate);
    } else if (strcmp(name, "--rows") == 0) {
        code = number(name, value, 1, 1e11, &n);
        o->rows = (uint64_t)n;
    } else if (strcmp(name, "--shards") == 0) {
        code = number(name, value, 1, 64, &n);
        o->shards = (uint32_t)n;
    } else if (strcmp(name, "--find") == 0) {
        code = number(name, value, 1e-3, 1e9, &o->find_us);
    } else {
        return usage("there is no option", name);
    }
    return code;
}

int bench_latency(int count, char **args)
{
    static struct run run, empty;
    struct options o = {.query = &queries[0], .rate = 1e6, .shards = 1, .idle = "spin"};
    bool driver_given = false;
    int code;

    for (int i = 0; i < count; i += 2) {
        if (i + 1 == count)
            return usage("there is no value for", args[i]);
        code = read_option(&o, args[i], args[i + 1]);
        if (code != 0)
            return code;
        driver_given = driver_given || strcmp(args[i], "--driver") == 0;
    }
    if (!driver_given)
        o.threads = o.shards > 1;
    if (o.rows == 0)
        o.rows = (uint64_t)(o.rate * 3);
    o.warm = (uint64_t)(o.rate * 0.5) + 1;
    run.ticks_per_ns = empty.ticks_per_ns = calibrate();
    return o.find_us > 0 ? find_rate(&run, &o) : report(&run, &empty, &o);
}
