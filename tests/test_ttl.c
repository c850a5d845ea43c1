/* tests/test_ttl.c - 'table.exec.state.ttl' lets go of keys that never come again: with ever new ones the memory stays within a limit that
 * all of them together exceed. tests/sql_scenarios.py says what an expired key means for results. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#define ROUNDS 60
#define ROWS 20000

struct keeper {
    char sql[200];
    bool event_time; /* its keys are given by the watermark */
};

ParameterizedTestParameters(ttl, new_keys_only)
{
    static struct keeper keepers[] = {
        {"SELECT k, COUNT(*), MAX(v) FROM t GROUP BY k", false},
        {"SELECT DISTINCT k FROM t", false},
        {"SELECT t.k, u.v FROM t JOIN u ON t.k = u.k", false},
        {"SELECT t.k, u.v FROM t LEFT JOIN u ON t.k = u.k", false},
        {"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) AS n FROM t) "
         "WHERE n <= 3",
         false},
        {"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC) AS n FROM "
         "t) WHERE n = 1",
         false},
        {"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS n FROM t) "
         "WHERE n = 1",
         false},
        {"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS n FROM t) "
         "WHERE n = 1",
         true},
    };

    return cr_make_param_array(struct keeper, keepers, sizeof keepers / sizeof *keepers);
}

struct world {
    int64_t clock_ns;
    uint64_t rows;
};

static int64_t clock_now(void *user)
{
    return ((struct world *)user)->clock_ns;
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    (void)query;
    ((struct world *)user)->rows += batch->rows;
    return 0;
}

/* The code with which the rounds end: keys that have not been there, six seconds after those before. */
static int run(const struct keeper *keeper, const char *ttl, struct world *w, uint64_t *peak)
{
    static int64_t keys[ROWS], values[ROWS], times[ROWS];
    const struct mill_column columns[] = {{.values = keys}, {.values = values}, {.values = times}};
    const struct mill_batch batch = {.rows = ROWS, .column_count = 3, .columns = columns};
    const struct mill_callbacks callbacks = {.user = w, .on_batch = on_batch};
    struct mill_error error = {0};
    struct mill_config config;
    struct mill_stats stats;
    mill_engine *engine;
    mill_query *query;
    mill_input *input, *other;
    char sql[700];
    bool ended = false;

    mill_config_init(&config);
    config.shard_count = 1;
    config.memory_limit = 56u << 20;
    config.clock = clock_now;
    config.clock_user = w;
    w->clock_ns = 1700000000000000000;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    snprintf(sql, sizeof sql,
             "SET 'execution.runtime-mode' = 'streaming'; SET 'table.exec.state.ttl' = '%s';"
             "CREATE TABLE t (k BIGINT, v BIGINT, ts TIMESTAMP(3), p AS PROCTIME(), WATERMARK FOR "
             "ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'memory');"
             "CREATE TABLE u (k BIGINT, v BIGINT) WITH ('connector' = 'memory')",
             ttl);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    input = mill_input_open(engine, "t", &error);
    other = mill_input_open(engine, "u", &error);
    query = mill_prepare(engine, keeper->sql, &callbacks, &error);
    cr_assert_not_null(query, "%s", error.message);
    for (int64_t round = 0; round < ROUNDS && error.code == MILL_OK; round++) {
        uint32_t work = 1;

        w->clock_ns += 6000000000;
        for (uint32_t i = 0; i < ROWS; i++) {
            keys[i] = (round * ROWS + i) * 7919 % 1000003 + (round << 32);
            values[i] = i;
            times[i] = w->clock_ns / 1000;
        }
        if (mill_push(input, &batch, &error) != MILL_OK)
            break;
        for (unsigned idle = 0; idle < 4 && error.code == MILL_OK; idle = work == 0 ? idle + 1 : 0)
            mill_turn(query, &work, &ended, &error);
    }
    (void)other;
    mill_query_stats(query, &stats);
    *peak = stats.peak_bytes;
    mill_query_close(query);
    mill_engine_close(engine);
    return error.code;
}

ParameterizedTest(struct keeper *keeper, ttl, new_keys_only)
{
    struct world w = {0}, forever = {0};
    uint64_t peak, peak_forever;
    const int code = run(keeper, "10 s", &w, &peak);

    cr_assert_eq(code, MILL_OK, "%s: %d after %lu rows", keeper->sql, code, (unsigned long)w.rows);
    /* without it the limit is met: the test can fail */
    cr_assert_eq(run(keeper, "1 d", &forever, &peak_forever), MILL_E_MEMORY, "%s: %lu bytes",
                 keeper->sql, (unsigned long)peak_forever);
}
