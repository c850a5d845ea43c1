/* tests/stress_steps.c - whole jobs on real threads with the least rings, pools, steps and batches that there are: plans
 * with one and two exchanges, UNION ALL of rows and firings. Run under ThreadSanitizer.
 *
 * Every run must give the rows of one shard in the same order, and no row may be lost: counts and sums are known from the
 * input. A run that is stopped gives a beginning of them. No time limits: a deadlock is a test that does not end.
 */
#include "core/millstream.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 1500

static const char ddl[] =
    "CREATE TABLE a (k BIGINT, j BIGINT, v BIGINT, ts TIMESTAMP(3), "
    "WATERMARK FOR ts AS ts - INTERVAL '0.4' SECOND) WITH ('connector' = 'memory');"
    "CREATE VIEW w AS SELECT k, COUNT(*) AS n, SUM(v) AS s, window_time AS ts "
    "FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
    "GROUP BY window_start, window_end, window_time, k;"
    "CREATE VIEW x AS SELECT j AS k, COUNT(*) AS n, SUM(v) AS s, window_time AS ts "
    "FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '2' SECOND)) "
    "GROUP BY window_start, window_end, window_time, j;"
    "CREATE VIEW y AS SELECT n AS k, SUM(n) AS n, SUM(s) AS s, window_time AS ts "
    "FROM TABLE(TUMBLE(TABLE w, DESCRIPTOR(ts), INTERVAL '3' SECOND)) "
    "GROUP BY window_start, window_end, window_time, n;"
    "CREATE VIEW p AS SELECT k, 1 AS n, v AS s, ts FROM a WHERE v % 3 = 0;"
    "CREATE VIEW u AS SELECT * FROM p UNION ALL SELECT * FROM w UNION ALL SELECT * FROM x;";

#define OVER_U                                                                                     \
    "SELECT k, SUM(n) AS n, SUM(s) AS s, window_time AS ts FROM TABLE(TUMBLE(TABLE u, "            \
    "DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end, window_time, k"

struct plan {
    const char *sql;
    int all, thirds; /* how often all rows, and those of p, are counted in its result */
};

static const struct plan plans[] = {
    {"SELECT * FROM w", 1, 0},
    {"SELECT * FROM y", 1, 0},
    {"SELECT * FROM p UNION ALL SELECT * FROM w", 1, 1},
    {"SELECT * FROM w UNION ALL SELECT * FROM p", 1, 1},
    {"SELECT * FROM x UNION ALL SELECT * FROM w", 2, 0},
    {"SELECT * FROM x UNION ALL SELECT * FROM p UNION ALL SELECT * FROM w", 2, 1},
    {"SELECT * FROM y UNION ALL SELECT * FROM p UNION ALL SELECT * FROM x", 2, 1},
    {"SELECT * FROM x UNION ALL SELECT * FROM p UNION ALL SELECT * FROM y", 2, 1},
    {OVER_U, 2, 1},
};

struct result {
    int64_t cell[8 * ROWS][4];
    size_t rows;
};

struct setting {
    uint32_t shards, ring_slots, batch_rows, step_rows, run_ahead;
};

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* ---- input: out of order by less than the watermark's delay ---- */

static int64_t input[4][ROWS], sum_all, sum_thirds, count_thirds;

static void input_make(void)
{
    int64_t time = 1700000000000;

    for (int i = 0; i < ROWS; i++) {
        time += random_below(30);
        input[0][i] = random_below(20);
        input[1][i] = random_below(7);
        input[2][i] = i;
        input[3][i] = (time - random_below(300)) * 1000;
        sum_all += i;
        sum_thirds += i % 3 == 0 ? i : 0;
        count_thirds += i % 3 == 0;
    }
}

static int take_rows(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct result *r = user;

    (void)query;
    for (uint32_t i = 0; i < batch->rows && r->rows < 8 * ROWS; i++, r->rows++)
        for (uint32_t c = 0; c < 4; c++)
            r->cell[r->rows][c] = ((const int64_t *)batch->columns[c].values)[i];
    return 0;
}

/* ---- one run ---- */

static void *stop_somewhere(void *query)
{
    for (uint32_t n = random_below(3000); n > 0; n--)
        sched_yield();
    mill_stop(query, false);
    return NULL;
}

static mill_engine *engine_new(const struct setting *s)
{
    struct mill_column columns[4];
    const struct mill_batch batch = {.rows = ROWS, .column_count = 4, .columns = columns};
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    mill_input *in;

    for (int c = 0; c < 4; c++)
        columns[c] = (struct mill_column){.values = input[c]};
    mill_config_init(&config);
    config.shard_count = s->shards;
    config.ring_slots = s->ring_slots;
    config.batch_rows = s->batch_rows;
    config.step_rows = s->step_rows;
    config.look_back = 1;
    config.run_ahead = s->run_ahead;
    engine = mill_engine_open(&config, &error);
    if (engine == NULL || mill_execute(engine, ddl, NULL, &error) != MILL_OK ||
        (in = mill_input_open(engine, "a", &error)) == NULL ||
        mill_push(in, &batch, &error) != MILL_OK) {
        fprintf(stderr, "stress_steps: %s\n", error.message);
        exit(1);
    }
    mill_input_end(in);
    return engine;
}

static int run(const struct plan *plan, const struct setting *s, bool stop, struct result *out)
{
    const struct mill_callbacks callbacks = {.user = out, .on_batch = take_rows};
    mill_engine *engine = engine_new(s);
    struct mill_error error = {0};
    mill_query *query = mill_prepare(engine, plan->sql, &callbacks, &error);
    pthread_t stopper;
    int code;

    out->rows = 0;
    if (query == NULL || (stop && pthread_create(&stopper, NULL, stop_somewhere, query) != 0)) {
        fprintf(stderr, "stress_steps: %s\n", error.message);
        exit(1);
    }
    code = mill_run(query, &error);
    if (stop)
        pthread_join(stopper, NULL);
    if (code != MILL_OK && !(stop && code == MILL_E_INTERRUPTED))
        fprintf(stderr, "stress_steps: %s\n", error.message);
    mill_query_close(query);
    mill_engine_close(engine);
    return code;
}

/* ---- what must hold ---- */

static bool complete(const struct plan *plan, const struct result *r)
{
    int64_t n = 0, s = 0;

    for (size_t i = 0; i < r->rows; i++) {
        n += r->cell[i][1];
        s += r->cell[i][2];
    }
    return n == plan->all * (int64_t)ROWS + plan->thirds * count_thirds &&
           s == plan->all * sum_all + plan->thirds * sum_thirds;
}

static bool begins(const struct result *part, const struct result *whole)
{
    return part->rows <= whole->rows &&
           memcmp(part->cell, whole->cell, part->rows * sizeof part->cell[0]) == 0;
}

static int check(const struct plan *plan, const struct setting *s, bool stop)
{
    static struct result expected, got;
    static const struct plan *last;
    static uint32_t last_step_rows;
    int code;
    bool good;

    if (last != plan || last_step_rows != s->step_rows) {
        const struct setting one = {1, 64, 4096, s->step_rows, 64};

        if (run(plan, &one, false, &expected) != MILL_OK || !complete(plan, &expected)) {
            fprintf(stderr, "stress_steps: one shard loses rows: %s\n", plan->sql);
            return 1;
        }
        last = plan;
        last_step_rows = s->step_rows;
    }
    code = run(plan, s, stop, &got);
    if (stop && code == MILL_E_INTERRUPTED)
        good = begins(&got, &expected);
    else
        good = code == MILL_OK && got.rows == expected.rows && begins(&got, &expected);
    if (!good)
        fprintf(stderr,
                "stress_steps: %s: %zu rows, one shard gives %zu%s; %u shards, ring-slots %u, "
                "batch-rows %u, step-rows %u, run-ahead %u\n",
                plan->sql, got.rows, expected.rows,
                begins(&got, &expected) ? "" : ", others or in another order", s->shards,
                s->ring_slots, s->batch_rows, s->step_rows, s->run_ahead);
    return good ? 0 : 1;
}

int main(void)
{
    static const uint32_t shards[] = {2, 3, 8}, step_rows[] = {40, 400};
    int failed = 0, runs = 0;

    input_make();
    for (size_t p = 0; p < sizeof plans / sizeof *plans; p++)
        for (int steps = 0; steps < 2; steps++)
            for (int i = 0; i < 9; i++, runs++) {
                const struct setting s = {shards[i % 3], 1u << random_below(2),
                                          i < 3 ? 7 : 1 + random_below(100), step_rows[steps],
                                          2 + random_below(6)};

                failed += check(&plans[p], &s, i >= 6);
            }
    printf("stress_steps: %s, %d runs\n", failed ? "failed" : "ok", runs);
    return failed > 0;
}
