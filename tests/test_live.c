/* tests/test_live.c - live input: one row with a wrong clock must not make the good rows behind it late. */
#include "core/millstream.h"

#include <criterion/criterion.h>
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
