/* tests/test_api.c - the public interface as a host program uses and misuses it; expected values are worked out by hand. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE "CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'memory');"
#define SUMS "SELECT k, SUM(v), COUNT(*) FROM t GROUP BY k"

static mill_engine *engine_new(uint32_t shards, uint64_t limit)
{
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;

    mill_config_init(&config);
    config.shard_count = shards;
    config.step_rows = 100;
    config.ring_slots = 2;
    config.memory_limit = limit;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    return engine;
}

struct rows {
    int64_t k[1000], v[1000];
    struct mill_column columns[2];
    struct mill_batch batch;
};

/* k = i % 10, v = i */
static void rows_make(struct rows *r)
{
    for (int64_t i = 0; i < 1000; i++)
        r->k[i] = i % 10, r->v[i] = i;
    r->columns[0] = (struct mill_column){.values = r->k};
    r->columns[1] = (struct mill_column){.values = r->v};
    r->batch = (struct mill_batch){.rows = 1000, .column_count = 2, .columns = r->columns};
}

static mill_input *memory_table(mill_engine *engine)
{
    struct mill_error error = {0};
    mill_input *input;

    cr_assert_eq(mill_execute(engine, TABLE, NULL, &error), MILL_OK, "%s", error.message);
    input = mill_input_open(engine, "t", &error);
    cr_assert_not_null(input, "%s", error.message);
    return input;
}

static mill_query *prepare(mill_engine *engine, const char *sql,
                           const struct mill_callbacks *callbacks)
{
    struct mill_error error = {0};
    mill_query *query = mill_prepare(engine, sql, callbacks, &error);

    cr_assert_not_null(query, "%s", error.message);
    return query;
}

static void turn_to_end(mill_query *query)
{
    struct mill_error error = {0};
    bool ended = false;
    uint32_t work;

    while (!ended)
        cr_assert_eq(mill_turn(query, &work, &ended, &error), MILL_OK, "%s", error.message);
}

/* Sums of v by k over @times lots of the rows, v = k, k + 10, ... k + 990, and @more. */
static void check_sums_and(mill_query *query, int64_t times, int64_t more)
{
    const struct mill_batch *batch;
    int64_t k = 0;

    while ((batch = mill_poll(query)) != NULL)
        for (uint32_t i = 0; i < batch->rows; i++, k++) {
            cr_assert_eq(((const int64_t *)batch->columns[0].values)[i], k);
            cr_assert_eq(((const int64_t *)batch->columns[1].values)[i],
                         times * (100 * k + 49500) + more);
            cr_assert_eq(((const int64_t *)batch->columns[2].values)[i], times * 100);
        }
    cr_assert_eq(k, 10);
}

static void check_sums(mill_query *query, int64_t times)
{
    check_sums_and(query, times, 0);
}

Test(api, turns_and_polling)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        mill_engine *engine = engine_new(shards, 0);
        mill_input *input = memory_table(engine);
        mill_query *query = prepare(engine, SUMS, NULL);
        struct mill_stats stats;
        struct rows r;

        rows_make(&r);
        cr_assert_eq(mill_push(input, &r.batch, NULL), MILL_OK);
        mill_input_end(input);
        turn_to_end(query);
        check_sums(query, 1);
        mill_query_stats(query, &stats);
        cr_assert_eq(stats.rows_in, 1000);
        cr_assert_eq(stats.rows_out, 10);
        cr_assert_eq(stats.late + stats.dead + stats.held, 0);
        mill_query_close(query);
        mill_engine_close(engine);
    }
}

Test(api, lends_without_a_copy)
{
    mill_engine *engine = engine_new(2, 0);
    mill_input *input = memory_table(engine);
    mill_query *query = prepare(engine, SUMS, NULL);
    struct rows r;

    rows_make(&r);
    cr_assert_eq(mill_lend(input, &r.batch, 1, 7, NULL), MILL_OK);
    mill_input_end(input);
    cr_assert_eq(mill_run(query, NULL), MILL_OK);
    check_sums(query, 7);
    mill_engine_close(engine); /* closes what is still open */
}

/* The values of a column are greater each time the rows are read over. */
Test(api, lends_again_with_times_moved_on)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        mill_engine *engine = engine_new(shards, 0);
        mill_input *input = memory_table(engine);
        mill_query *query = prepare(engine, SUMS, NULL);
        struct mill_error error;
        struct rows r;

        rows_make(&r);
        cr_assert_eq(mill_lend_replayed(input, &r.batch, 1, 7, 99, 5, &error), MILL_E_ARGUMENT);
        cr_assert_neq(strstr(error.message, "99"), NULL, "%s", error.message);
        cr_assert_eq(mill_lend_replayed(input, &r.batch, 1, 7, 1, 1000, NULL), MILL_OK);
        mill_input_end(input);
        cr_assert_eq(mill_run(query, NULL), MILL_OK);
        check_sums_and(query, 7, 100 * 1000 * (0 + 1 + 2 + 3 + 4 + 5 + 6));
        mill_engine_close(engine);
    }
}

static void *push_all(void *arg)
{
    struct rows r;

    rows_make(&r);
    for (int i = 0; i < 300; i++) {
        int code;

        while ((code = mill_push(arg, &r.batch, NULL)) == MILL_E_MEMORY)
            usleep(100);
        if (code != MILL_OK)
            return (void *)1;
    }
    mill_input_end(arg);
    return NULL;
}

Test(api, pushes_from_another_thread)
{
    mill_engine *engine = engine_new(2, 0);
    mill_input *input = memory_table(engine);
    mill_query *query = prepare(engine, SUMS, NULL);
    struct mill_error error = {0};
    pthread_t pusher;
    void *failed;

    cr_assert_eq(pthread_create(&pusher, NULL, push_all, input), 0);
    cr_assert_eq(mill_run(query, &error), MILL_OK, "%s", error.message);
    pthread_join(pusher, &failed);
    cr_assert_null(failed);
    check_sums(query, 300);
    mill_engine_close(engine);
}

static void *whole_engine(void *arg)
{
    mill_engine *engine = engine_new(2, 0);
    mill_input *input = memory_table(engine);
    mill_query *query = prepare(engine, SUMS, NULL);
    struct rows r;

    (void)arg;
    rows_make(&r);
    mill_lend(input, &r.batch, 1, 50, NULL);
    mill_input_end(input);
    cr_assert_eq(mill_run(query, NULL), MILL_OK);
    check_sums(query, 50);
    mill_engine_close(engine);
    return NULL;
}

Test(api, two_engines_in_two_threads)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, whole_engine, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* ---- stopping ---- */

struct stopper {
    mill_query *query;
    unsigned after_us;
    bool drain;
};

static void *stop_later(void *arg)
{
    const struct stopper *s = arg;

    usleep(s->after_us);
    mill_stop(s->query, s->drain);
    return NULL;
}

Test(api, stops_at_any_instant)
{
    for (unsigned i = 0; i < 20; i++) {
        mill_engine *engine = engine_new(1 + i % 3, 0);
        mill_input *input = memory_table(engine);
        struct stopper s = {prepare(engine, SUMS, NULL), i * 300, i % 2 == 0};
        struct rows r;
        pthread_t stopper;
        struct mill_error error = {0};
        int code;

        rows_make(&r);
        mill_lend(input, &r.batch, 1, 2000000, NULL);
        pthread_create(&stopper, NULL, stop_later, &s);
        code = mill_run(s.query, &error);
        pthread_join(stopper, NULL);
        cr_assert_eq(code, s.drain ? MILL_OK : MILL_E_INTERRUPTED, "%d %s", code, error.message);
        mill_engine_close(engine);
    }
}

/* ---- misuse ---- */

static void *turn_elsewhere(void *query)
{
    bool ended;
    uint32_t work;

    return (void *)(intptr_t)mill_turn(query, &work, &ended, NULL);
}

Test(api, wrong_moments_and_threads)
{
    mill_engine *engine = engine_new(2, 0);
    mill_input *input = memory_table(engine);
    mill_query *query = prepare(engine, SUMS, NULL), *unused = prepare(engine, SUMS, NULL);
    struct mill_error error = {0};
    struct rows r;
    bool ended;
    uint32_t work;
    pthread_t other;
    void *code;

    cr_assert_null(mill_input_open(engine, "t", &error));
    cr_assert_eq(error.code, MILL_E_STATE);
    cr_assert_null(mill_input_open(engine, "nowhere", &error));
    cr_assert_eq(error.code, MILL_E_NAME);
    rows_make(&r);
    mill_push(input, &r.batch, NULL);
    cr_assert_eq(mill_turn(query, &work, &ended, &error), MILL_OK);
    pthread_create(&other, NULL, turn_elsewhere, query);
    pthread_join(other, &code);
    cr_assert_eq((int)(intptr_t)code, MILL_E_STATE);
    cr_assert_eq(mill_run(query, &error), MILL_E_STATE);
    mill_input_end(input);
    cr_assert_neq(mill_push(input, &r.batch, &error), MILL_OK);
    turn_to_end(query);
    cr_assert_eq(mill_turn(query, &work, &ended, &error), MILL_E_STATE);
    cr_assert_eq(mill_run(query, &error), MILL_E_STATE);
    mill_query_close(query);
    mill_query_close(unused); /* never run */
    mill_query_close(NULL);
    mill_engine_close(engine);
    mill_engine_close(NULL);
}

Test(api, closes_a_query_between_turns)
{
    for (int turns = 1; turns < 30; turns++) {
        mill_engine *engine = engine_new(3, 0);
        mill_input *input = memory_table(engine);
        mill_query *query = prepare(engine, SUMS, NULL);
        struct rows r;
        bool ended = false;
        uint32_t work;

        rows_make(&r);
        mill_push(input, &r.batch, NULL);
        for (int i = 0; i < turns && !ended; i++)
            mill_turn(query, &work, &ended, NULL);
        mill_query_close(query);
        mill_engine_close(engine);
    }
}

Test(api, out_of_range)
{
    for (int i = 0; i < 9; i++) {
        struct mill_config c;
        struct mill_error error = {0};

        mill_config_init(&c);
        c.shard_count = i == 0 ? 257 : 1;
        c.batch_rows = i == 1 ? 0 : i == 2 ? 4097 : 16;
        c.step_bytes = i == 3 ? 63 : 64;
        c.ring_slots = i == 4 ? 3 : 4;
        c.look_back = i == 5 ? 65 : 8;
        c.run_ahead = i == 6 ? 8 : 64;
        c.memory_limit = i == 7 ? 1000 : 0;
        c.struct_bytes = i == 8 ? 100000 : c.struct_bytes;
        cr_assert_null(mill_engine_open(&c, &error), "%d", i);
        cr_assert_eq(error.code, MILL_E_ARGUMENT, "%d: %s", i, error.message);
        cr_assert(error.message[0] != '\0');
    }
}

/* ---- NULL in every pointer argument ---- */

struct host {
    mill_engine *engine;
    mill_input *input;
    mill_query *query;
    struct rows rows;
};

#define NOTHING_SAID (-1) /* harmless: there is nothing to report */
#define H struct host *h
#define E struct mill_error *e
#define CASE(name, expected, expression)                                                           \
    static int name(H, E)                                                                          \
    {                                                                                              \
        (void)h, (void)e;                                                                          \
        return (expression);                                                                       \
    }
#define VOID(expression) ((expression), NOTHING_SAID)
/* of a call that gives a pointer: the error's code */
#define GAVE(expression) ((expression) != NULL ? MILL_OK : e != NULL ? e->code : MILL_E_ARGUMENT)

static int push_with(H, E, const struct mill_column *columns, const int8_t *kinds)
{
    const struct mill_batch batch = {3, 2, columns, kinds};

    return mill_push(h->input, &batch, e);
}

static int lend_with(H, E, const struct mill_column *columns)
{
    const struct mill_batch batch = {3, 2, columns, NULL};

    return mill_lend(h->input, &batch, 1, 1, e);
}

static int describe_with(E, const char *path, const struct mill_describe *how, char *text,
                         size_t bytes)
{
    return mill_describe_file(path, how, text, bytes, e);
}

static const struct mill_describe how = {.table = "t"}, unnamed = {.table = NULL};
static const int64_t three_values[3];
static const struct mill_column one_missing[] = {{.values = three_values}, {.values = NULL}};
static const struct mill_column both[] = {{.values = three_values}, {.values = three_values}};
static const int8_t deletes[] = {0, 3, 0};
static const char *const holey[] = {NULL, "word", NULL};
static const struct mill_type ltz = {.kind = MILL_TIMESTAMP_LTZ, .precision = 3};
static char text[4096];

/* clang-format off */
static const char *nearest_null(void) { return mill_nearest_name("wrod", holey, 3); }
static int ended_null(H, E) { uint32_t work; return mill_turn(h->query, &work, NULL, e); }
static int work_null(H, E) { bool ended; return mill_turn(h->query, NULL, &ended, e); }
static int turn_null(H, E) { uint32_t work; bool ended; (void)h; return mill_turn(NULL, &work, &ended, e); }
static int stats_of_null(H, E)
{
    struct mill_stats stats = {.rows_in = 7};

    (void)h, (void)e;
    mill_query_stats(NULL, &stats);
    return stats.rows_in == 0 && stats.watermark_us == INT64_MIN ? NOTHING_SAID : MILL_OK;
}
static int nearest_skips(H, E) { (void)h, (void)e; return strcmp(nearest_null(), "word") == 0 ? NOTHING_SAID : MILL_OK; }

#define A MILL_E_ARGUMENT
#define N NOTHING_SAID
#define CASES(X) \
    X(config_init, N, VOID(mill_config_init(NULL))) \
    X(engine_close, N, VOID(mill_engine_close(NULL))) \
    X(variable_engine, A, mill_set_variable(NULL, "a", "b", e)) \
    X(variable_name, A, mill_set_variable(h->engine, NULL, "b", e)) \
    X(variable_empty, A, mill_set_variable(h->engine, "", "b", e)) \
    X(variable_value, A, mill_set_variable(h->engine, "a", NULL, e)) \
    X(execute_engine, A, mill_execute(NULL, "SHOW TABLES", NULL, e)) \
    X(execute_sql, A, mill_execute(h->engine, NULL, NULL, e)) \
    X(execute_callbacks, MILL_OK, mill_execute(h->engine, "SHOW TABLES", NULL, e)) \
    X(execute_no_rows_wanted, MILL_OK, mill_execute(h->engine, "SELECT * FROM (VALUES (1))", NULL, e)) \
    X(execute_empty, MILL_OK, mill_execute(h->engine, "", NULL, e)) \
    X(check_engine, A, mill_check(NULL, "SHOW TABLES", e)) \
    X(check_sql, A, mill_check(h->engine, NULL, e)) \
    X(explain_engine, A, mill_explain(NULL, SUMS, NULL, e)) \
    X(explain_sql, A, mill_explain(h->engine, NULL, NULL, e)) \
    X(explain_callbacks, MILL_OK, mill_explain(h->engine, SUMS, NULL, e)) \
    X(prepare_engine, A, GAVE(mill_prepare(NULL, SUMS, NULL, e))) \
    X(prepare_sql, A, GAVE(mill_prepare(h->engine, NULL, NULL, e))) \
    X(prepare_nothing, A, GAVE(mill_prepare(h->engine, "SHOW TABLES", NULL, e))) \
    X(schema_query, N, mill_query_schema(NULL) == NULL ? N : MILL_OK) \
    X(local_query, N, mill_local_time(NULL, &ltz, 7) == 7 ? N : MILL_OK) \
    X(local_type, N, mill_local_time(h->query, NULL, 7) == 7 ? N : MILL_OK) \
    X(run_query, A, mill_run(NULL, e)) \
    X(poll_query, N, mill_poll(NULL) == NULL ? N : MILL_OK) \
    X(stop_query, N, VOID(mill_stop(NULL, true))) \
    X(running_engine, N, mill_running(NULL) == NULL ? N : MILL_OK) \
    X(query_close, N, VOID(mill_query_close(NULL))) \
    X(input_engine, A, GAVE(mill_input_open(NULL, "t", e))) \
    X(input_table, A, GAVE(mill_input_open(h->engine, NULL, e))) \
    X(push_input, A, mill_push(NULL, &h->rows.batch, e)) \
    X(push_batch, A, mill_push(h->input, NULL, e)) \
    X(push_columns, A, push_with(h, e, NULL, NULL)) \
    X(push_values, A, push_with(h, e, one_missing, NULL)) \
    X(push_kinds, MILL_E_UNSUPPORTED, push_with(h, e, both, deletes)) \
    X(lend_input, A, mill_lend(NULL, &h->rows.batch, 1, 1, e)) \
    X(lend_batches, A, mill_lend(h->input, NULL, 1, 1, e)) \
    X(lend_nothing, MILL_OK, mill_lend(h->input, NULL, 0, 1, e)) \
    X(lend_columns, A, lend_with(h, e, NULL)) \
    X(lend_values, A, lend_with(h, e, one_missing)) \
    X(input_end, N, VOID(mill_input_end(NULL))) \
    X(stats_stats, N, VOID(mill_query_stats(h->query, NULL))) \
    X(describe_path, A, describe_with(e, NULL, &how, text, sizeof text)) \
    X(describe_how, A, describe_with(e, "tests/shards.sql", NULL, text, sizeof text)) \
    X(describe_name, A, describe_with(e, "tests/shards.sql", &unnamed, text, sizeof text)) \
    X(describe_text, A, describe_with(e, "tests/shards.sql", &how, NULL, 10)) \
    X(build_info, N, VOID(mill_build_info(NULL, 10))) \
    X(build_info_short, N, VOID(mill_build_info(text, 0))) \
    X(functions, N, VOID(mill_functions(NULL, NULL))) \
    X(nearest_word, N, mill_nearest_name(NULL, holey, 3) == NULL ? N : MILL_OK) \
    X(nearest_names, N, mill_nearest_name("word", NULL, 3) == NULL ? N : MILL_OK)
CASES(CASE)

static const struct null_case {
    const char *name;
    int expected;
    int (*call)(H, E);
} null_cases[] = {
#define ROW(name, expected, expression) {#name, expected, name},
    CASES(ROW)
    {"ended_null", A, ended_null},
    {"work_null", MILL_OK, work_null},
    {"turn_null", A, turn_null},
    {"stats_of_null", N, stats_of_null},
    {"nearest_skips", N, nearest_skips},
};
/* clang-format on */

Test(api, null_in_every_pointer_argument)
{
    for (size_t i = 0; i < sizeof null_cases / sizeof *null_cases; i++) {
        const struct null_case *c = &null_cases[i];

        for (int with_error = 1; with_error >= 0; with_error--) {
            struct mill_error error;
            struct host h = {.engine = engine_new(2, 0)};
            int code;

            memset(&error, 0x55, sizeof error); /* calls do not read it */
            h.input = memory_table(h.engine);
            h.query = prepare(h.engine, SUMS, NULL);
            rows_make(&h.rows);
            code = c->call(&h, with_error ? &error : NULL);
            cr_assert_eq(code, c->expected, "%s gave %d", c->name, code);
            if (with_error && c->expected != NOTHING_SAID)
                cr_assert_eq(error.code, c->expected, "%s says %d", c->name, error.code);
            if (with_error && c->expected > MILL_OK)
                cr_assert(memchr(error.message, '\0', sizeof error.message) > (void *)error.message,
                          "%s says nothing", c->name);
            mill_input_end(h.input);
            mill_engine_close(h.engine);
        }
    }
}

Test(api, exit_codes_of_every_number)
{
    for (int code = -1000; code < 1000; code++) {
        const int exit_code = mill_exit_code(code);

        cr_assert_eq(exit_code == 0, code == MILL_OK, "%d gives %d", code, exit_code);
        cr_assert(exit_code >= 0 && exit_code < 256);
    }
}

/* ---- wrong moments ---- */

Test(api, stopped_before_the_start)
{
    for (int drain = 0; drain < 2; drain++) {
        mill_engine *engine = engine_new(2, 0);
        mill_input *input = memory_table(engine);
        mill_query *query = prepare(engine, SUMS, NULL);
        struct rows r;

        rows_make(&r);
        cr_assert_eq(mill_push(input, &r.batch, NULL), MILL_OK);
        mill_stop(query, drain);
        cr_assert_eq(mill_run(query, NULL), drain ? MILL_OK : MILL_E_INTERRUPTED);
        mill_stop(query, drain); /* after the end: nothing */
        cr_assert_eq(mill_run(query, NULL), MILL_E_STATE);
        mill_engine_close(engine);
    }
}

Test(api, nothing_follows_the_end_of_an_input)
{
    mill_engine *engine = engine_new(1, 0);
    mill_input *input = memory_table(engine);
    struct mill_error error;
    struct rows r;

    rows_make(&r);
    mill_input_end(input);
    mill_input_end(input);
    cr_assert_eq(mill_push(input, &r.batch, &error), MILL_E_STATE);
    cr_assert_eq(mill_lend(input, &r.batch, 1, 1, &error), MILL_E_STATE);
    mill_engine_close(engine);
}

Test(api, lends_once_and_empty_batches_end)
{
    mill_engine *engine = engine_new(1, 0);
    mill_input *input = memory_table(engine);
    mill_query *query = prepare(engine, SUMS, NULL);
    const struct mill_batch empty[3] = {{.column_count = 2}, {.column_count = 2}, {0, 2, NULL, 0}};
    struct mill_error error;
    struct rows r;

    rows_make(&r);
    cr_assert_eq(mill_lend(input, empty, 3, UINT32_MAX, &error), MILL_OK, "%s", error.message);
    cr_assert_eq(mill_lend(input, &r.batch, 1, 1, &error), MILL_E_STATE);
    mill_input_end(input);
    cr_assert_eq(mill_run(query, &error), MILL_OK, "%s", error.message);
    cr_assert_null(mill_poll(query));
    mill_engine_close(engine);
}

Test(api, polls_only_what_a_select_keeps)
{
    mill_engine *engine = engine_new(1, 0);
    mill_input *input = memory_table(engine);
    mill_query *query;

    cr_assert_eq(mill_execute(engine,
                              "CREATE TABLE b (k BIGINT, v BIGINT) WITH ('connector' = "
                              "'blackhole')",
                              NULL, NULL),
                 MILL_OK);
    query = prepare(engine, "INSERT INTO b SELECT k, v FROM t", NULL);
    cr_assert_null(mill_poll(query)); /* not started */
    cr_assert_null(mill_query_schema(query));
    mill_input_end(input);
    turn_to_end(query);
    cr_assert_null(mill_poll(query));
    mill_engine_close(engine);
}

Test(api, declares_after_a_run_and_opens_a_table_made_again)
{
    mill_engine *engine = engine_new(1, 0);
    mill_input *input = memory_table(engine), *again;
    mill_query *query = prepare(engine, SUMS, NULL);
    struct mill_error error;
    struct rows r;

    rows_make(&r);
    mill_input_end(input);
    turn_to_end(query);
    cr_assert_eq(mill_execute(engine, TABLE, NULL, &error), MILL_E_NAME);
    cr_assert_eq(mill_execute(engine, "DROP TABLE t", NULL, &error), MILL_OK);
    again = memory_table(engine);
    cr_assert_neq(again, input);
    query = prepare(engine, SUMS, NULL);
    cr_assert_eq(mill_push(again, &r.batch, &error), MILL_OK, "%s", error.message);
    cr_assert_eq(mill_push(input, &r.batch, &error), MILL_E_STATE);
    mill_input_end(again);
    turn_to_end(query);
    check_sums(query, 1);
    mill_engine_close(engine);
}

Test(api, a_memory_table_that_nobody_opened)
{
    mill_engine *engine = engine_new(1, 0);
    struct mill_error error;
    mill_query *query;
    bool ended;

    cr_assert_eq(mill_execute(engine, TABLE, NULL, &error), MILL_OK);
    query = prepare(engine, SUMS, NULL);
    cr_assert_eq(mill_turn(query, NULL, &ended, &error), MILL_E_STATE);
    cr_assert_not_null(strstr(error.message, "mill_input_open"));
    mill_engine_close(engine);
}

struct reentry {
    mill_engine *engine;
    int codes[9], calls;
};

static int reenter(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct reentry *r = user;
    bool ended;

    (void)batch;
    r->calls++;
    mill_query_close(query);
    mill_engine_close(r->engine);
    r->codes[0] = mill_run(query, NULL);
    r->codes[1] = mill_turn(query, NULL, &ended, NULL);
    r->codes[2] = mill_execute(r->engine, "SHOW TABLES", NULL, NULL);
    r->codes[3] = mill_check(r->engine, SUMS, NULL);
    r->codes[4] = mill_explain(r->engine, SUMS, NULL, NULL);
    r->codes[5] = mill_prepare(r->engine, SUMS, NULL, NULL) == NULL ? MILL_E_STATE : MILL_OK;
    r->codes[6] = mill_input_open(r->engine, "t", NULL) == NULL ? MILL_E_STATE : MILL_OK;
    r->codes[7] = mill_set_variable(r->engine, "a", "b", NULL);
    return 0;
}

static void reenter_text(void *user, const char *said, size_t bytes)
{
    struct reentry *r = user;

    (void)said, (void)bytes;
    r->calls++;
    r->codes[8] = mill_execute(r->engine, "SHOW TABLES", NULL, NULL);
}

Test(api, refuses_calls_from_callbacks)
{
    for (int how_run = 0; how_run < 3; how_run++) {
        mill_engine *engine = engine_new(2, 0);
        struct reentry r = {.engine = engine};
        const struct mill_callbacks callbacks = {&r, reenter_text, NULL, reenter, NULL};
        struct mill_error error;

        if (how_run == 2) {
            cr_assert_eq(mill_execute(engine, TABLE "SHOW TABLES; SELECT * FROM (VALUES (1), (2))",
                                      &callbacks, &error),
                         MILL_OK, "%s", error.message);
            cr_assert_eq(r.codes[8], MILL_E_STATE);
        } else {
            mill_query *query = prepare(engine, "SELECT * FROM (VALUES (1), (2))", &callbacks);

            if (how_run == 0)
                cr_assert_eq(mill_run(query, &error), MILL_OK, "%s", error.message);
            else
                turn_to_end(query);
        }
        cr_assert(r.calls > 0);
        for (int i = 0; i < 8; i++)
            cr_assert_eq(r.codes[i], MILL_E_STATE, "call %d gave %d", i, r.codes[i]);
        mill_engine_close(engine);
    }
}

/* ---- memory ---- */

Test(api, memory_limit_is_an_error_that_names_itself)
{
    mill_engine *engine = engine_new(2, 32 << 20);
    struct mill_error error = {0};
    int code = mill_execute(engine,
                            "CREATE TABLE n (bid_auction BIGINT, bid_price BIGINT, bid_url STRING, "
                            "dateTime TIMESTAMP(3)) WITH ('connector' = 'nexmark', "
                            "'events.num' = '5000000'); CREATE TABLE b (a BIGINT, p BIGINT, u "
                            "STRING, n BIGINT) WITH ('connector' = 'blackhole');"
                            "INSERT INTO b SELECT bid_auction, bid_price, bid_url, COUNT(*) FROM n "
                            "GROUP BY bid_auction, bid_price, bid_url",
                            NULL, &error);

    cr_assert_eq(code, MILL_E_MEMORY, "%d %s", code, error.message);
    cr_assert_not_null(strstr(error.message, "memory"));
    mill_engine_close(engine);
}

/* ---- functions in C ---- */

static const char library[] =
    "#include \"core/millstream.h\"\n"
    "static int eval(const struct mill_column *a, uint32_t n, void *out, uint64_t *valid,\n"
    "                void *(*alloc)(void *, size_t), void *context)\n"
    "{ (void)alloc, (void)context, (void)valid;\n"
    "  for (uint32_t i = 0; i < n; i++) if (((const int64_t *)a[0].values)[i] == 2) return 1;\n"
    "  for (uint32_t i = 0; i < n; i++) ((int64_t *)out)[i] = 3 * ((const int64_t "
    "*)a[0].values)[i] + 1;\n"
    "  return 0; }\n"
    "static const struct mill_type args[] = {{.kind = MILL_BIGINT}};\n"
    "__attribute__((visibility(\"default\"))) const struct mill_function three = {sizeof three, "
    "\"three\", 1, args, "
    "{.kind = MILL_BIGINT}, eval};\n";

Test(api, functions_of_a_library)
{
    char folder[] = "/tmp/mill-api-XXXXXX", path[256], command[600], sql[600];
    mill_engine *engine = engine_new(1, 0);
    struct mill_error error = {0};
    mill_query *query;
    const struct mill_batch *batch;
    FILE *file;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/three.c", folder);
    file = fopen(path, "w");
    fputs(library, file);
    fclose(file);
    snprintf(command, sizeof command, "cc -shared -fPIC -I. -o %s/three.so %s", folder, path);
    cr_assert_eq(system(command), 0);
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION three AS 'three' LANGUAGE C USING LIBRARY '%s/three.so';", folder);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    query =
        prepare(engine,
                "SELECT three(a), CASE WHEN a < 3 THEN three(a) END FROM (VALUES (CAST(2 AS "
                "BIGINT)), (CAST(1 AS BIGINT)), (CAST(2 AS BIGINT)), (CAST(5 AS BIGINT))) AS t(a) "
                "WHERE a <> 2",
                NULL);
    turn_to_end(query);
    batch = mill_poll(query);
    cr_assert_not_null(batch);
    cr_assert_eq(((const int64_t *)batch->columns[0].values)[0], 4);
    cr_assert_eq(((const int64_t *)batch->columns[0].values)[1], 16);
    cr_assert_eq(((const int64_t *)batch->columns[1].values)[0], 4);
    cr_assert_eq(batch->columns[1].validity[0] & 3, 1);
    mill_engine_close(engine);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
