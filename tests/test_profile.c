/* tests/test_profile.c - mill_query_profile(): moments, growth of its structs, turns, and processor counters that a test plays. */
#include "core/env.h"
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ROWS 5000
#define OPERATORS_MAX 16

static const char ddl[] =
    "CREATE TABLE t (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH "
    "('connector' = 'memory')";
static const char sql[] =
    "SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) WHERE v < "
    "1000 GROUP BY window_start, window_end, k";

struct run {
    mill_engine *engine;
    mill_query *query;
};

/* 5,000 rows a millisecond apart, 10 keys, v = row number. */
static struct run prepare(uint32_t shards, bool profiled, const struct env *env)
{
    static int64_t keys[ROWS], values[ROWS], times[ROWS];
    const struct mill_column columns[] = {{.values = keys}, {.values = values}, {.values = times}};
    const struct mill_batch batch = {.rows = ROWS, .column_count = 3, .columns = columns};
    struct mill_config config;
    struct mill_error error;
    struct run r;
    mill_input *input;

    for (int64_t i = 0; i < ROWS; i++) {
        keys[i] = i % 10;
        values[i] = i;
        times[i] = i * 1000;
    }
    mill_config_init(&config);
    config.shard_count = shards;
    config.step_rows = 500;
    config.profile = profiled;
    config.env = env;
    r.engine = mill_engine_open(&config, &error);
    cr_assert_not_null(r.engine, "%s", error.message);
    cr_assert_eq(mill_execute(r.engine, ddl, NULL, &error), MILL_OK, "%s", error.message);
    input = mill_input_open(r.engine, "t", &error);
    r.query = mill_prepare(r.engine, sql, NULL, &error);
    cr_assert_not_null(r.query, "%s", error.message);
    cr_assert_eq(mill_push(input, &batch, &error), MILL_OK, "%s", error.message);
    mill_input_end(input);
    return r;
}

static uint32_t ask(mill_query *query, uint32_t shard, struct mill_profile *all,
                    struct mill_operator_profile operators[OPERATORS_MAX])
{
    *all = (struct mill_profile){.struct_bytes = sizeof *all, .operator_bytes = sizeof *operators};
    return mill_query_profile(query, shard, all, operators, OPERATORS_MAX);
}

static uint64_t busy_and_waits(const struct mill_profile *all,
                               const struct mill_operator_profile *operators)
{
    uint64_t ticks = all->start_ticks + all->engine_ticks + all->input_wait_ticks +
                     all->peer_wait_ticks + all->room_wait_ticks;

    for (uint32_t i = 0; i < all->operator_count; i++)
        ticks += operators[i].ticks;
    return ticks;
}

static const struct mill_operator_profile *find(const struct mill_operator_profile *operators,
                                                uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(operators[i].name, name) == 0)
            return &operators[i];
    cr_assert_fail("there is no %s", name);
    return NULL;
}

static void check_counts(const struct mill_profile *all,
                         const struct mill_operator_profile *operators)
{
    const uint32_t n = all->operator_count;
    const struct mill_operator_profile *calc = find(operators, n, "Calc");
    const struct mill_operator_profile *window = find(operators, n, "WindowAggregate");

    cr_assert_eq(all->rows_in, ROWS);
    cr_assert_eq(all->ticks, busy_and_waits(all, operators));
    cr_assert_gt(all->ticks_per_second, 0);
    cr_assert_eq(calc->rows_in, ROWS);
    cr_assert_eq(calc->rows_out, 1000);
    cr_assert_eq(calc->filtered, ROWS - 1000);
    cr_assert_eq(window->rows_in, 1000, "partials stand for the rows: %lu",
                 (unsigned long)window->rows_in);
    cr_assert_eq(window->rows_out, 10, "1,000 rows of one second, 10 keys");
    cr_assert_eq(find(operators, n, "Sink")->rows_out, 10);
    cr_assert_str_eq(calc->label, "Calc[1]");
    cr_assert_eq(calc->input_count, 1);
    cr_assert_eq(calc->inputs[0], find(operators, n, "Source")->id);
}

Test(profile, on_threads_and_by_turns)
{
    for (uint32_t shards = 1; shards <= 3; shards++)
        for (int turns = 0; turns < 2; turns++) {
            struct mill_operator_profile operators[OPERATORS_MAX];
            struct run r = prepare(shards, true, NULL);
            struct mill_profile all;
            struct mill_error error;
            bool ended = turns == 0;

            cr_assert_eq(ask(r.query, MILL_ALL_SHARDS, &all, operators), 0, "not before its start");
            if (turns == 0)
                cr_assert_eq(mill_run(r.query, &error), MILL_OK, "%s", error.message);
            while (!ended) {
                cr_assert_eq(ask(r.query, MILL_ALL_SHARDS, &all, operators), 0,
                             "nor while it runs");
                cr_assert_eq(mill_turn(r.query, NULL, &ended, &error), MILL_OK, "%s",
                             error.message);
            }
            cr_assert_gt(ask(r.query, MILL_ALL_SHARDS, &all, operators), 5);
            check_counts(&all, operators);
            for (uint32_t i = 0; i < shards; i++) {
                cr_assert_gt(ask(r.query, i, &all, operators), 5);
                cr_assert_eq(all.ticks, busy_and_waits(&all, operators));
            }
            cr_assert_eq(ask(r.query, shards, &all, operators), 0, "there is no such shard");
            mill_engine_close(r.engine);
        }
}

Test(profile, only_what_was_measured)
{
    struct mill_operator_profile operators[OPERATORS_MAX];
    struct run r = prepare(1, false, NULL);
    struct mill_profile all;
    struct mill_error error;

    cr_assert_eq(mill_run(r.query, &error), MILL_OK);
    cr_assert_eq(ask(r.query, MILL_ALL_SHARDS, &all, operators), 0);
    cr_assert_eq(mill_profile_text(r.query, false, NULL, NULL, &error), MILL_E_ARGUMENT);
    cr_assert_eq(mill_profile_text(NULL, false, NULL, NULL, &error), MILL_E_ARGUMENT);
    cr_assert_eq(mill_query_profile(NULL, 0, &all, operators, 1), 0);
    cr_assert_eq(mill_query_profile(r.query, 0, NULL, NULL, 0), 0);
    mill_engine_close(r.engine);
}

/* A caller built for an older library gets what it knows, one for a newer one zeros behind. */
Test(profile, structs_grow)
{
    struct {
        struct mill_operator_profile known;
        uint64_t later;
    } wide[OPERATORS_MAX];
    uint32_t narrow[OPERATORS_MAX + 1];
    struct run r = prepare(1, true, NULL);
    struct mill_profile all = {.struct_bytes = offsetof(struct mill_profile, seconds),
                               .operator_bytes = sizeof *narrow};
    struct mill_error error;
    uint32_t count;

    cr_assert_eq(mill_run(r.query, &error), MILL_OK);
    memset(narrow, 0xab, sizeof narrow);
    count = mill_query_profile(r.query, MILL_ALL_SHARDS, &all, (void *)narrow, OPERATORS_MAX);
    cr_assert_eq(all.operator_count, count);
    cr_assert_eq(all.seconds, 0, "beyond what the caller knows");
    for (uint32_t i = 0; i <= count; i++)
        cr_assert_eq(narrow[i], i < count ? i : 0xabababab);
    memset(wide, 0xab, sizeof wide);
    all = (struct mill_profile){.struct_bytes = sizeof all, .operator_bytes = sizeof *wide};
    cr_assert_eq(mill_query_profile(r.query, MILL_ALL_SHARDS, &all, &wide[0].known, 2), count);
    cr_assert_eq(wide[1].known.id, 1);
    cr_assert_eq(wide[1].later, 0);
    cr_assert_eq(wide[2].later, 0xababababababababull, "not more than were asked for");
    mill_engine_close(r.engine);
}

/* ---- processor counters: each reading counts 1 cache miss, 2 branch misses, 10 instructions and 5 cycles ---- */

static uint64_t readings;

static void *play_open(void *self, char *why, size_t why_bytes)
{
    (void)self;
    (void)why;
    (void)why_bytes;
    return &readings;
}

static void play_read(void *self, void *counters, uint64_t values[ENV_COUNTERS])
{
    (void)self;
    (void)counters;
    readings++;
    values[ENV_INSTRUCTIONS] = 10 * readings;
    values[ENV_CYCLES] = 5 * readings;
    values[ENV_CACHE_MISSES] = readings;
    values[ENV_BRANCH_MISSES] = 2 * readings;
}

static void play_close(void *self, void *counters)
{
    (void)self;
    (void)counters;
}

static void keep(void *user, const char *text, size_t bytes)
{
    char *to = user;

    strncat(to, text, bytes);
}

Test(profile, counters_of_the_processor)
{
    struct mill_operator_profile operators[OPERATORS_MAX];
    struct env env = *env_real();
    static char text[65536];
    struct mill_profile all;
    struct mill_error error;
    struct run r;

    env.perf = (struct env_perf){play_open, play_read, play_close};
    env.clock.ticks = NULL; /* then nanoseconds serve */
    r = prepare(1, true, &env);
    cr_assert_eq(mill_run(r.query, &error), MILL_OK, "%s", error.message);
    ask(r.query, MILL_ALL_SHARDS, &all, operators);
    check_counts(&all, operators);
    cr_assert(all.counters && all.no_counters == NULL);
    cr_assert_eq(all.ticks_per_second, 1e9);
    for (uint32_t i = 0; i < all.operator_count; i++) {
        const struct mill_operator_profile *o = &operators[i];

        cr_assert_eq(o->instructions, 10 * o->cache_misses);
        cr_assert_eq(o->cycles, 5 * o->cache_misses);
        cr_assert_eq(o->branch_misses, 2 * o->cache_misses);
    }
    cr_assert_geq(find(operators, all.operator_count, "Source")->cache_misses, 2,
                  "decoding and the operator");
    cr_assert_eq(mill_profile_text(r.query, false, keep, text, &error), MILL_OK);
    cr_assert_not_null(strstr(text, "Processor counters, user mode"), "%s", text);
    cr_assert_not_null(strstr(text, "2.00"), "instructions per cycle: %s", text);
    text[0] = '\0';
    cr_assert_eq(mill_profile_text(r.query, true, keep, text, &error), MILL_OK);
    cr_assert_not_null(strstr(text, "\"counters\": true"), "%s", text);
    cr_assert_not_null(strstr(text, "\"branch_misses\": "), "%s", text);
    mill_engine_close(r.engine);

    env.perf = (struct env_perf){0};
    r = prepare(1, true, &env);
    cr_assert_eq(mill_run(r.query, &error), MILL_OK, "%s", error.message);
    ask(r.query, MILL_ALL_SHARDS, &all, operators);
    cr_assert(!all.counters && all.no_counters != NULL && operators[0].cycles == 0);
    mill_engine_close(r.engine);
}
