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

/* Sums of v by k over @times lots of the rows: v = k, k + 10, ... k + 990. */
static void check_sums(mill_query *query, int64_t times)
{
    const struct mill_batch *batch;
    int64_t k = 0;

    while ((batch = mill_poll(query)) != NULL)
        for (uint32_t i = 0; i < batch->rows; i++, k++) {
            cr_assert_eq(((const int64_t *)batch->columns[0].values)[i], k);
            cr_assert_eq(((const int64_t *)batch->columns[1].values)[i], times * (100 * k + 49500));
            cr_assert_eq(((const int64_t *)batch->columns[2].values)[i], times * 100);
        }
    cr_assert_eq(k, 10);
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
                "SELECT three(a) FROM (VALUES (CAST(1 AS BIGINT)), (CAST(5 AS BIGINT))) AS t(a)",
                NULL);
    turn_to_end(query);
    batch = mill_poll(query);
    cr_assert_not_null(batch);
    cr_assert_eq(((const int64_t *)batch->columns[0].values)[0], 4);
    cr_assert_eq(((const int64_t *)batch->columns[0].values)[1], 16);
    mill_engine_close(engine);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
