/* tests/stress_stats.c - statistics asked for by another thread while a query runs, ends and has ended: under
 * ThreadSanitizer a race is found; what is told never goes back and is whole in the end. */
#include "core/atomic.h"
#include "core/millstream.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define ROWS 1000
#define LOTS 40
#define RUNS 20

struct watch {
    mill_engine *engine;
    at_u32 over, asked;
    const char *wrong;
};

static void *watch(void *arg)
{
    struct watch *w = arg;
    mill_query *query = NULL;
    uint64_t before = 0;

    while (at_load_relaxed(&w->over) == 0) {
        struct mill_stats stats;

        if (query == NULL)
            query = mill_running(w->engine);
        if (query == NULL) {
            sched_yield();
            continue;
        }
        mill_query_stats(query, &stats);
        at_add_relaxed(&w->asked, 1);
        if (stats.rows_in < before)
            w->wrong = "rows_in went back";
        if (stats.rows_in > ROWS * LOTS || stats.rows_out > 10 || stats.seconds < 0)
            w->wrong = "more than there is";
        before = stats.rows_in;
    }
    return NULL;
}

static const char *run(uint32_t shards, int *asked)
{
    static int64_t k[ROWS], v[ROWS];
    struct mill_column columns[2] = {{.values = k}, {.values = v}};
    const struct mill_batch batch = {.rows = ROWS, .column_count = 2, .columns = columns};
    struct mill_config config;
    struct mill_stats stats;
    struct watch w = {0};
    mill_input *input;
    mill_query *query;
    pthread_t thread;

    for (int64_t i = 0; i < ROWS; i++)
        k[i] = i % 10, v[i] = i;
    mill_config_init(&config);
    config.shard_count = shards;
    config.step_rows = 500;
    w.engine = mill_engine_open(&config, NULL);
    mill_execute(w.engine, "CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'memory')",
                 NULL, NULL);
    input = mill_input_open(w.engine, "t", NULL);
    query = mill_prepare(w.engine, "SELECT k, SUM(v) FROM t GROUP BY k", NULL, NULL);
    if (query == NULL || mill_lend(input, &batch, 1, LOTS, NULL) != MILL_OK)
        return "not set up";
    mill_input_end(input);
    pthread_create(&thread, NULL, watch, &w);
    if (mill_run(query, NULL) != MILL_OK)
        w.wrong = "the run failed";
    for (int i = 0; i < 100; i++) /* it is asked after the end too */
        sched_yield();
    at_store_relaxed(&w.over, 1);
    pthread_join(thread, NULL);
    mill_query_stats(query, &stats);
    if (stats.rows_in != ROWS * LOTS || stats.rows_out != 10)
        w.wrong = "not all in the end";
    mill_query_close(query);
    mill_engine_close(w.engine);
    *asked += (int)at_load_relaxed(&w.asked);
    return w.wrong;
}

int main(void)
{
    const char *wrong = NULL;
    int asked = 0;

    for (uint32_t i = 0; i < RUNS && wrong == NULL; i++)
        wrong = run(1 + i % 3, &asked);
    if (wrong == NULL && asked == 0)
        wrong = "nobody asked in time";
    printf("stress_stats: %s\n", wrong != NULL ? wrong : "ok");
    return wrong != NULL;
}
