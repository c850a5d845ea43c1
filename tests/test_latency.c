/* tests/test_latency.c - the path of single rows: nothing is allocated once warm, rows are pulled, many small pushes become one batch; and the
 * histogram of the latency bench against sorted values. Expected sums are computed from the rows' formula. */
#include "core/millstream.h"
#include "tools/histogram.c"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 10

struct feed {
    mill_engine *engine;
    mill_input *input;
    mill_query *query;
    uint64_t rows, pushed; /* to be pushed by on_pull(), pushed so far */
    uint64_t results, counts;
    int64_t values; /* of the results' second column */
    uint32_t widest;
    struct mill_error error;
};

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct feed *f = user;

    (void)query;
    f->results += batch->rows;
    f->widest = batch->rows > f->widest ? batch->rows : f->widest;
    for (uint32_t i = 0; i < batch->rows; i++) {
        f->counts += (uint64_t)((const int64_t *)batch->columns[0].values)[i];
        f->values += ((const int64_t *)batch->columns[1].values)[i];
    }
    return 0;
}

static void open_feed(struct feed *f, const char *sql, uint32_t shards, const char *idle)
{
    static const char ddl[] = "CREATE TABLE t (k BIGINT, v BIGINT, ts TIMESTAMP(3), "
                              "p AS PROCTIME(), WATERMARK FOR ts AS ts) "
                              "WITH ('connector' = 'memory');";
    const struct mill_callbacks callbacks = {.user = f, .on_batch = on_batch};
    struct mill_config config;

    mill_config_init(&config);
    config.shard_count = shards;
    config.idle = idle;
    f->engine = mill_engine_open(&config, &f->error);
    cr_assert_not_null(f->engine, "%s", f->error.message);
    cr_assert_eq(mill_execute(f->engine, ddl, NULL, &f->error), MILL_OK, "%s", f->error.message);
    f->input = mill_input_open(f->engine, "t", &f->error);
    f->query = mill_prepare(f->engine, sql, &callbacks, &f->error);
    cr_assert_not_null(f->query, "%s", f->error.message);
}

/* Row i: key i mod KEYS, value i, time i milliseconds. */
static void push_row(struct feed *f)
{
    const int64_t key = (int64_t)(f->pushed % KEYS), value = (int64_t)f->pushed,
                  time = (int64_t)f->pushed * 1000;
    const struct mill_column columns[] = {{.values = &key}, {.values = &value}, {.values = &time}};
    const struct mill_batch batch = {.rows = 1, .column_count = 3, .columns = columns};

    cr_assert_eq(mill_push(f->input, &batch, &f->error), MILL_OK, "%s", f->error.message);
    f->pushed++;
}

static void turn(struct feed *f, bool until_end)
{
    uint32_t work = 1;
    bool ended = false;

    while (!ended && (work > 0 || until_end))
        cr_assert_eq(mill_turn(f->query, &work, &ended, &f->error), MILL_OK, "%s",
                     f->error.message);
}

static void close_feed(struct feed *f)
{
    mill_query_close(f->query);
    mill_engine_close(f->engine);
}

static uint64_t allocations(const struct feed *f)
{
    struct mill_stats stats;

    mill_query_stats(f->query, &stats);
    return stats.allocations;
}

/* ---- nothing is allocated ---- */

static const char *const windows[] = {
    "SELECT COUNT(*), SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '0.100' SECOND)) "
    "GROUP BY window_start, window_end, k",
    "SELECT COUNT(*), SUM(v) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '0.050' SECOND, "
    "INTERVAL '0.200' SECOND)) GROUP BY window_start, window_end",
};

static const char *const steady[] = {
    "SELECT k, v FROM t WHERE v >= 0",
    "SELECT COUNT(*), SUM(v) FROM TABLE(TUMBLE_ROWS(TABLE t PARTITION BY k, DESCRIPTOR(p), 4)) "
    "GROUP BY k, window_start, window_end, window_id",
};

Test(latency, a_warm_query_allocates_nothing)
{
    const char *const all[] = {steady[0], steady[1], windows[0], windows[1]};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct feed f = {0};
        uint64_t warm;

        open_feed(&f, all[i], 1, NULL);
        for (int row = 0; row < 4000; row++) {
            push_row(&f);
            turn(&f, false);
        }
        cr_assert_gt(f.results, 0, "%s", all[i]);
        cr_assert_gt(allocations(&f), 0);
        warm = allocations(&f);
        mill_engine_warm(f.engine, true);
        for (int row = 0; row < 20000; row++) {
            push_row(&f);
            turn(&f, false);
        }
        mill_engine_warm(f.engine, false);
        cr_assert_eq(allocations(&f), warm, "%llu allocations in: %s",
                     (unsigned long long)(allocations(&f) - warm), all[i]);
        mill_input_end(f.input);
        turn(&f, true);
        close_feed(&f);
    }
}

/* ---- rows are pulled ---- */

static void on_pull(void *user, mill_input *input)
{
    struct feed *f = user;

    for (int i = 0; i < 3 && f->pushed < f->rows; i++)
        push_row(f);
    if (f->pushed == f->rows)
        mill_input_end(input);
}

static void pull_all(uint32_t shards, const char *idle)
{
    struct feed f = {.rows = 10000};

    open_feed(&f, windows[0], shards, idle);
    cr_assert_eq(mill_input_pull(f.input, on_pull, &f, &f.error), MILL_OK, "%s", f.error.message);
    cr_assert_eq(mill_run(f.query, &f.error), MILL_OK, "%s", f.error.message);
    cr_assert_eq(f.results, 10000 / 100 * KEYS); /* windows of 100 rows */
    cr_assert_eq(f.counts, 10000);
    cr_assert_eq(f.values, 10000ll * 9999 / 2);
    close_feed(&f);
}

Test(latency, rows_are_pulled)
{
    pull_all(1, "spin");
    pull_all(2, "yield");
    pull_all(3, "park");
}

Test(latency, pulling_is_set_before_the_run)
{
    struct feed f = {0};

    open_feed(&f, steady[0], 1, NULL);
    cr_assert_eq(mill_input_pull(NULL, on_pull, &f, &f.error), MILL_E_ARGUMENT);
    turn(&f, false);
    cr_assert_eq(mill_input_pull(f.input, on_pull, &f, &f.error), MILL_E_STATE);
    mill_input_end(f.input);
    turn(&f, true);
    close_feed(&f);
}

Test(latency, an_idle_strategy_has_a_known_name)
{
    struct mill_config config;
    struct mill_error error;

    mill_config_init(&config);
    config.idle = "sleep";
    cr_assert_null(mill_engine_open(&config, &error));
    cr_assert_eq(error.code, MILL_E_OPTION);
    cr_assert_not_null(strstr(error.message, "need spin, yield or park"), "%s", error.message);
}

/* ---- many small pushes ---- */

Test(latency, small_pushes_become_one_batch)
{
    struct feed f = {0};

    open_feed(&f, steady[0], 1, NULL);
    for (int row = 0; row < 1000; row++)
        push_row(&f);
    turn(&f, false);
    cr_assert_eq(f.results, 1000);
    cr_assert_eq(f.values, 1000ll * 999 / 2);
    cr_assert_eq(f.widest, 1000);
    mill_input_end(f.input);
    turn(&f, true);
    close_feed(&f);
}

/* ---- the histogram ---- */

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

Test(latency, percentiles_are_those_of_the_sorted_values)
{
    static const double wanted[] = {0, 1, 50, 90, 99, 99.9, 99.99, 100};
    static struct histogram h, halves[2];
    const size_t count = 100000;
    uint64_t *values = malloc(count * sizeof *values), state = 7;

    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        values[i] = (state >> 33) >> (state >> 20 & 31);
        histogram_add(&halves[i & 1], values[i]);
    }
    histogram_merge(&h, &halves[0]);
    histogram_merge(&h, &halves[1]);
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const double rank = ceil(wanted[i] / 100 * (double)count);
        const uint64_t exact = values[rank < 1 ? 0 : (size_t)rank - 1];
        const uint64_t found = histogram_at(&h, wanted[i]);

        cr_assert(found >= exact && found - exact <= exact / 64, "p%g is %llu, got %llu", wanted[i],
                  (unsigned long long)exact, (unsigned long long)found);
    }
    cr_assert_eq(h.count, count);
    cr_assert_eq(h.least, values[0]);
    cr_assert_eq(h.most, values[count - 1]);
    free(values);
}

/* Values 1 to 100 microseconds: the text's lines, as HdrHistogram's plotters read them. */
Test(latency, the_percentile_text)
{
    static struct histogram h;
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);

    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(&h, i * 1000);
    histogram_print(&h, to, 1);
    fclose(to);
    cr_assert_not_null(strstr(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n"));
    cr_assert_not_null(strstr(text, " 0.500000000000         50           2.00\n"), "%s", text);
    cr_assert_not_null(strstr(text, " 0.750000000000         75           4.00\n"), "%s", text);
    cr_assert_not_null(strstr(text, "     100.000 1.000000000000        100\n"), "%s", text);
    cr_assert_not_null(strstr(text, "#[Mean    =       50.500, StdDeviation   =       28.866]\n"),
                       "%s", text);
    free(text);
}

Test(latency, an_empty_histogram_and_values_beyond_its_range)
{
    static struct histogram h;

    cr_assert_eq(histogram_at(&h, 99), 0);
    histogram_add(&h, UINT64_MAX);
    cr_assert_eq(h.most, UINT64_MAX);
    cr_assert_geq(histogram_at(&h, 50), ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1);
}
