/* tests/test_live.c - live input: a row with a wrong clock, idle splits and processing time; clocks are simulated where time has to pass. */
#include "core/millstream.h"
#include "tests/sim_env.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define ROWS 4000

static const char sql[] =
    "CREATE TABLE t (ts TIMESTAMP(3), v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) "
    "WITH ('connector' = 'memory')";
static const char query_sql[] =
    "SELECT window_end, COUNT(*), SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' "
    "SECOND)) GROUP BY window_start, window_end";

static int count_rows(void *user, mill_query *query, const struct mill_batch *batch)
{
    const int64_t *counts = batch->columns[1].values;

    (void)query;
    for (uint32_t i = 0; i < batch->rows; i++)
        *(int64_t *)user += counts[i];
    return 0;
}

/* Rows a millisecond apart from now on, the one at @bad lies @ahead_us ahead; the counters at the end. */
static struct mill_stats run(uint32_t bad, int64_t ahead_us, int64_t *counted)
{
    static int64_t times[ROWS], values[ROWS];
    const struct mill_column columns[] = {{.values = times}, {.values = values}};
    const struct mill_batch batch = {.rows = ROWS, .column_count = 2, .columns = columns};
    const struct mill_callbacks callbacks = {.user = counted, .on_batch = count_rows};
    const int64_t now = (int64_t)time(NULL) * 1000000;
    struct mill_error error = {0};
    struct mill_config config;
    struct mill_stats stats;
    mill_engine *engine;
    mill_query *query;
    mill_input *input;

    for (uint32_t i = 0; i < ROWS; i++) {
        times[i] = now + i * 1000 + (i == bad ? ahead_us : 0);
        values[i] = i;
    }
    mill_config_init(&config);
    config.shard_count = 2;
    config.step_rows = 500;
    config.batch_rows = 100;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    input = mill_input_open(engine, "t", &error);
    query = mill_prepare(engine, query_sql, &callbacks, &error);
    cr_assert_not_null(query, "%s", error.message);
    cr_assert_eq(mill_push(input, &batch, &error), MILL_OK, "%s", error.message);
    mill_input_end(input);
    cr_assert_eq(mill_run(query, &error), MILL_OK, "%s", error.message);
    mill_query_stats(query, &stats);
    mill_query_close(query);
    mill_engine_close(engine);
    return stats;
}

Test(live, a_row_in_the_far_future_makes_no_row_late)
{
    int64_t counted = 0;
    const struct mill_stats stats = run(100, 86400 * (int64_t)1000000 * 365, &counted);

    cr_assert_eq(stats.late, 0, "%lu late", (unsigned long)stats.late);
    cr_assert_eq(stats.far_future, 1);
    cr_assert_eq(counted, ROWS, "the wrong row itself is kept: %ld of %d", (long)counted, ROWS);
}

/* Up to 5 minutes ahead is believed: then the rows behind it are late. */
Test(live, a_row_somewhat_ahead_moves_the_watermark)
{
    int64_t counted = 0;
    const struct mill_stats stats = run(100, 200 * (int64_t)1000000, &counted);

    cr_assert_eq(stats.far_future, 0);
    cr_assert_eq(stats.late, ROWS - 101, "%lu late", (unsigned long)stats.late);
    cr_assert_eq(counted, 101);
}

/* ---- in simulated time ---- */

#define SECOND 1000000ll
#define T0 (1700000000ll * SECOND) /* the simulated clock at the start */

struct live {
    struct sim sim;
    mill_engine *engine;
    mill_query *query;
    mill_input *inputs[2];
    struct mill_error error;
    int64_t ends[64], counts[64]; /* results: window end in seconds from T0, rows */
    uint32_t results;
};

static int keep_rows(void *user, mill_query *query, const struct mill_batch *batch)
{
    const int64_t *ends = batch->columns[0].values, *counts = batch->columns[1].values;
    struct live *l = user;

    (void)query;
    for (uint32_t i = 0; i < batch->rows && l->results < 64; i++, l->results++) {
        l->ends[l->results] = (ends[i] - T0) / SECOND;
        l->counts[l->results] = counts[i];
    }
    return 0;
}

/* As much as can be done at this moment. */
static void settle(struct live *l)
{
    bool ended = false;

    for (uint32_t quiet = 0; quiet < 100 && !ended; quiet++) {
        uint32_t work = 0;

        cr_assert_eq(mill_turn(l->query, &work, &ended, &l->error), MILL_OK, "%s",
                     l->error.message);
        quiet = work > 0 ? 0 : quiet;
    }
}

static void pass(struct live *l, int64_t seconds)
{
    l->sim.wall += seconds * SECOND * 1000;
    settle(l);
}

/* A row at T0 + @second. */
static void push(struct live *l, uint32_t input, int64_t second)
{
    const int64_t time = T0 + second * SECOND;
    const struct mill_column column = {.values = &time};
    const struct mill_batch batch = {.rows = 1, .column_count = 1, .columns = &column};

    cr_assert_eq(mill_push(l->inputs[input], &batch, &l->error), MILL_OK, "%s", l->error.message);
    settle(l);
}

static void start(struct live *l, uint32_t shards, const char *ddl, const char *select,
                  uint32_t inputs)
{
    static const char *const names[] = {"a", "b"};
    const struct mill_callbacks callbacks = {.user = l, .on_batch = keep_rows};
    struct mill_config config;

    sim_open(&l->sim, 1);
    l->sim.clock = SIM_FROZEN;
    mill_config_init(&config);
    config.shard_count = shards;
    config.memory_limit = 1u << 28;
    config.env = &l->sim.env;
    l->engine = mill_engine_open(&config, &l->error);
    cr_assert_not_null(l->engine, "%s", l->error.message);
    cr_assert_eq(mill_execute(l->engine, ddl, NULL, &l->error), MILL_OK, "%s", l->error.message);
    for (uint32_t i = 0; i < inputs; i++)
        l->inputs[i] = mill_input_open(l->engine, names[i], &l->error);
    l->query = mill_prepare(l->engine, select, &callbacks, &l->error);
    cr_assert_not_null(l->query, "%s", l->error.message);
    settle(l);
}

static struct mill_stats finish(struct live *l)
{
    struct mill_stats stats;

    for (uint32_t i = 0; i < 2; i++)
        mill_input_end(l->inputs[i]);
    settle(l);
    mill_query_stats(l->query, &stats);
    mill_query_close(l->query);
    mill_engine_close(l->engine);
    sim_close(&l->sim);
    return stats;
}

static void expect(const struct live *l, uint32_t count, const int64_t (*rows)[2])
{
    cr_assert_eq(l->results, count, "%u results, expected %u", l->results, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert(l->ends[i] == rows[i][0] && l->counts[i] == rows[i][1],
                  "result %u: %ld rows up to second %ld, expected %ld up to %ld", i,
                  (long)l->counts[i], (long)l->ends[i], (long)rows[i][1], (long)rows[i][0]);
}

static struct mill_stats stats_of(const struct live *l)
{
    struct mill_stats stats;

    mill_query_stats(l->query, &stats);
    return stats;
}

#define TABLE(name, options)                                                                       \
    "CREATE TABLE " name " (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = "         \
    "'memory'" options ");"
#define BOTH "CREATE VIEW u AS SELECT ts FROM a UNION ALL SELECT ts FROM b;"
#define COUNTS                                                                                     \
    "SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL '10' "        \
    "SECOND)) GROUP BY window_start, window_end;"
#define EACH_SHARDS for (uint32_t shards = 1; shards <= 2; shards++)

Test(live, an_idle_split_stops_holding_the_watermark)
{
    static const int64_t first[][2] = {{10, 2}}, second[][2] = {{10, 2}, {20, 1}},
                         all[][2] = {{10, 2}, {20, 1}, {30, 2}, {40, 1}};

    EACH_SHARDS
    {
        struct live l = {0};

        start(&l, shards,
              "SET 'table.exec.source.idle-timeout' = '5 s';" TABLE("a", "") TABLE("b", "") BOTH,
              COUNTS, 2);
        push(&l, 0, 1);
        push(&l, 1, 2);
        push(&l, 0, 15);
        pass(&l, 4);
        push(&l, 0, 16 + 5);
        expect(&l, 0, first);
        cr_assert_not_null(strstr(stats_of(&l).holding, "split b holds the watermark at"), "%s",
                           stats_of(&l).holding);
        pass(&l, 2); /* b has had no row for 6 s, a for 2 s */
        expect(&l, 2, second);
        cr_assert_eq(stats_of(&l).watermark_us, T0 + 21 * SECOND);
        push(&l, 1, 5);  /* both its window and the next have fired: late */
        push(&l, 1, 22); /* in time */
        cr_assert_eq(stats_of(&l).watermark_us, T0 + 21 * SECOND, "it does not go back: %ld",
                     (long)(stats_of(&l).watermark_us - T0));
        push(&l, 0, 35);
        expect(&l, 2, second); /* b holds again, at 22 */
        push(&l, 1, 33);
        expect(&l, 3, all);
        cr_assert_eq(finish(&l).late, 1);
        expect(&l, 4, (const int64_t[][2]){{10, 2}, {20, 1}, {30, 2}, {40, 2}});
    }
}

Test(live, without_a_timeout_nobody_is_idle)
{
    EACH_SHARDS
    {
        struct live l = {0};

        start(&l, shards, TABLE("a", "") TABLE("b", "") BOTH, COUNTS, 2);
        push(&l, 0, 1);
        push(&l, 0, 100);
        pass(&l, 86400);
        expect(&l, 0, NULL);
        cr_assert_not_null(strstr(stats_of(&l).holding,
                                  "split b holds the watermark: it has had no row"),
                           "%s", stats_of(&l).holding);
        cr_assert_eq(finish(&l).late, 0);
    }
}

Test(live, a_table_has_its_own_timeout)
{
    static const int64_t first[][2] = {{10, 1}};

    EACH_SHARDS
    {
        struct live l = {0};

        start(&l, shards,
              "SET 'table.exec.source.idle-timeout' = '5 s';" TABLE("a", "")
                  TABLE("b", ", 'scan.watermark.idle-timeout' = '1 min'") BOTH,
              COUNTS, 2);
        push(&l, 0, 1);
        push(&l, 0, 12);
        pass(&l, 59);
        push(&l, 0, 13);
        expect(&l, 0, first);
        pass(&l, 2);
        expect(&l, 1, first);
        finish(&l);
    }
}

Test(live, when_all_are_idle_the_watermark_stays)
{
    static const int64_t first[][2] = {{10, 1}};

    EACH_SHARDS
    {
        struct live l = {0};

        start(&l, shards,
              "SET 'table.exec.source.idle-timeout' = '5 s';" TABLE("a", "") TABLE("b", "") BOTH,
              COUNTS, 2);
        push(&l, 0, 7);
        push(&l, 1, 12);
        pass(&l, 3600);
        expect(&l, 0, first);
        push(&l, 1, 14); /* a is left out: the watermark is b's */
        expect(&l, 1, first);
        cr_assert_eq(stats_of(&l).watermark_us, T0 + 14 * SECOND);
        finish(&l);
    }
}

Test(live, a_processing_time_window_fires_without_new_rows)
{
    static const int64_t first[][2] = {{10, 2}};

    EACH_SHARDS
    {
        struct live l = {0};

        start(&l, shards,
              "CREATE TABLE a (ts TIMESTAMP(3), p AS PROCTIME()) WITH ('connector' = 'memory');",
              "SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(p), INTERVAL '10' "
              "SECOND)) GROUP BY window_start, window_end;",
              1);
        push(&l, 0, 0);
        pass(&l, 8);
        push(&l, 0, 0);
        pass(&l, 1);
        expect(&l, 0, first);
        pass(&l, 2);
        expect(&l, 1, first);
        finish(&l);
        expect(&l, 1, first);
    }
}
