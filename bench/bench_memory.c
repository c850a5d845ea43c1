/* bench/bench_memory.c - windows over a table in memory, lent to the engine: 10 s tumbling, COUNT, SUM, MIN, MAX by key.
 *
 * usage: bench_memory [KEYS [MILLION_ROWS [SHARDS]]]. Keys are random, times ascend (10 windows in all). The counts of all
 * windows must add up to the rows, or nothing is printed. Best and median of five runs. */
#include "core/millstream.h"

#include <stdio.h>
#include <stdlib.h>

static const char ddl[] = "CREATE TABLE t (k BIGINT, v DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts "
                          "AS ts - INTERVAL '1' SECOND) "
                          "WITH ('connector' = 'memory');";
static const char keyed[] = "SELECT k, COUNT(*), SUM(v), MIN(v), MAX(v) FROM TABLE(TUMBLE(TABLE t, "
                            "DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
                            "GROUP BY window_start, window_end, k;";
static const char unkeyed[] = "SELECT 0, COUNT(*), SUM(v), MIN(v), MAX(v) FROM TABLE(TUMBLE(TABLE "
                              "t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
                              "GROUP BY window_start, window_end;";

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    const int64_t *counts = batch->columns[1].values;

    (void)query;
    for (uint32_t i = 0; i < batch->rows; i++)
        *(int64_t *)user += counts[i];
    return 0;
}

/* Seconds of one run; negative: it failed or the answer is wrong. */
static double run(const struct mill_batch *batch, uint32_t shards, bool has_keys)
{
    int64_t counted = 0;
    const struct mill_callbacks callbacks = {.user = &counted, .on_batch = on_batch};
    struct mill_config config;
    struct mill_error error = {0};
    struct mill_stats stats = {0};
    mill_engine *engine;
    mill_input *input = NULL;
    mill_query *query = NULL;

    mill_config_init(&config);
    config.shard_count = shards;
    engine = mill_engine_open(&config, &error);
    if (engine != NULL && mill_execute(engine, ddl, NULL, &error) == MILL_OK)
        input = mill_input_open(engine, "t", &error);
    if (input != NULL && mill_lend(input, batch, 1, 1, &error) == MILL_OK) {
        mill_input_end(input);
        query = mill_prepare(engine, has_keys ? keyed : unkeyed, &callbacks, &error);
    }
    if (query != NULL && mill_run(query, &error) == MILL_OK)
        mill_query_stats(query, &stats);
    mill_query_close(query);
    mill_engine_close(engine);
    if (error.code != MILL_OK)
        fprintf(stderr, "bench_memory: %s\n", error.message);
    return error.code == MILL_OK && counted == (int64_t)batch->rows ? stats.seconds : -1;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int count, char **args)
{
    const uint64_t keys = count > 1 ? strtoull(args[1], NULL, 10) : 10000;
    const uint32_t rows = (uint32_t)(count > 2 ? strtoul(args[2], NULL, 10) : 20) * 1000000;
    const uint32_t shards = count > 3 ? (uint32_t)strtoul(args[3], NULL, 10) : 1;
    int64_t *k = malloc(rows * sizeof *k), *ts = malloc(rows * sizeof *ts);
    double *v = malloc(rows * sizeof *v), seconds[5];
    const struct mill_column columns[] = {{.values = k}, {.values = v}, {.values = ts}};
    const struct mill_batch batch = {.rows = rows, .column_count = 3, .columns = columns};
    uint64_t state = 42;

    for (uint32_t i = 0; k != NULL && ts != NULL && v != NULL && i < rows; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        k[i] = (int64_t)(keys > 0 ? (state >> 33) % keys * 2654435761u : 0);
        v[i] = (double)(state >> 40);
        ts[i] = (int64_t)((uint64_t)i * 100000 / rows) * 1000;
    }
    for (int i = 0; i < 5; i++) {
        seconds[i] = run(&batch, shards, keys > 0);
        if (seconds[i] < 0)
            return 1;
    }
    qsort(seconds, 5, sizeof *seconds, ascending);
    printf("memory, %llu keys, %u shards: median %.1f M rows/s (best %.1f)\n",
           (unsigned long long)keys, shards, rows / seconds[2] / 1e6, rows / seconds[0] / 1e6);
    free(k);
    free(ts);
    free(v);
    return 0;
}
