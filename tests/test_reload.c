/* tests/test_reload.c - a table that rows are looked up in is read anew when its interval has passed by the clock of steps. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ll

struct world {
    char folder[64];
    int64_t clock_ns;
    char got[256]; /* names looked up, one behind the other; - for NULL */
    mill_engine *engine;
    mill_query *query;
    mill_input *input;
    bool ended;
};

static int64_t clock_now(void *user)
{
    return ((struct world *)user)->clock_ns;
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct world *w = user;
    const struct mill_column *names = &batch->columns[1];

    (void)query;
    for (uint32_t i = 0; i < batch->rows; i++) {
        const struct mill_view *v = (const struct mill_view *)names->values + i;
        const bool valid =
            names->validity == NULL || (names->validity[i / 64] >> (i % 64) & 1) != 0;
        const size_t at = strlen(w->got);

        snprintf(w->got + at, sizeof w->got - at, "%.*s ", valid ? (int)v->length : 1,
                 valid ? (const char *)mill_view_data(v) : "-");
    }
    return 0;
}

static void write_file(const struct world *w, const char *name, const char *text)
{
    char path[128], hidden[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    snprintf(hidden, sizeof hidden, "%s/.new", w->folder);
    f = fopen(hidden, "w");
    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0 && rename(hidden, path) == 0);
}

static void remove_file(const struct world *w, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    unlink(path);
}

/* Of the rows of a query over the table, which the options say how often to read. */
static void world_open(struct world *w, uint32_t shards, const char *path, const char *options)
{
    const struct mill_callbacks callbacks = {.user = w, .on_batch = on_batch};
    struct mill_error error = {0};
    struct mill_config config;
    char sql[600];

    mill_config_init(&config);
    config.shard_count = shards;
    config.pin = false;
    config.clock = clock_now;
    config.clock_user = w;
    w->clock_ns = 1700000000 * SECOND;
    w->engine = mill_engine_open(&config, &error);
    cr_assert_not_null(w->engine, "%s", error.message);
    snprintf(sql, sizeof sql,
             "CREATE TABLE t (k STRING, p AS PROCTIME()) WITH ('connector' = 'memory');"
             "CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'filesystem', "
             "'format' = 'csv', 'path' = '%s/%s'%s);",
             w->folder, path, options);
    cr_assert_eq(mill_execute(w->engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    w->input = mill_input_open(w->engine, "t", &error);
    w->query = mill_prepare(w->engine,
                            "SELECT t.k, n.name FROM t LEFT JOIN names FOR SYSTEM_TIME AS OF t.p "
                            "AS n ON t.k = n.k",
                            &callbacks, &error);
    cr_assert_not_null(w->query, "%s", error.message);
}

static int turns(struct world *w, struct mill_error *error)
{
    uint32_t work = 1;

    for (unsigned idle = 0; !w->ended && idle < 8; idle = work == 0 ? idle + 1 : 0)
        if (mill_turn(w->query, &work, &w->ended, error) != MILL_OK)
            return error->code;
    return MILL_OK;
}

/* The names found for these keys, pushed one by one at @seconds behind the start. */
static const char *look_up(struct world *w, int seconds, const char *keys)
{
    struct mill_error error = {0};

    w->got[0] = '\0';
    w->clock_ns = (1700000000 + seconds) * SECOND;
    for (const char *k = keys; *k != '\0'; k++) {
        const char key[2] = {*k, '\0'}, *value = key;

        cr_assert_eq(mill_push_text(w->input, &value, 1, &error), MILL_OK, "%s", error.message);
        cr_assert_eq(turns(w, &error), MILL_OK, "%s", error.message);
    }
    return w->got;
}

static void world_close(struct world *w)
{
    struct mill_error error = {0};

    mill_input_end(w->input);
    while (!w->ended)
        cr_assert_eq(turns(w, &error), MILL_OK, "%s", error.message);
    mill_query_close(w->query);
    mill_engine_close(w->engine);
}

static void world_make(struct world *w)
{
    *w = (struct world){.folder = "/tmp/mill-reload-XXXXXX"};
    cr_assert_not_null(mkdtemp(w->folder));
}

static void world_remove(struct world *w)
{
    remove_file(w, "names.csv");
    remove_file(w, "more.csv");
    rmdir(w->folder);
}

ParameterizedTestParameters(reload, by_the_clock)
{
    static uint32_t shards[] = {1, 2, 3};

    return cr_make_param_array(uint32_t, shards, 3);
}

ParameterizedTest(uint32_t *shards, reload, by_the_clock)
{
    struct world w;

    world_make(&w);
    write_file(&w, "names.csv", "a,ann\nb,bob\n");
    world_open(&w, *shards, "names.csv",
               ", 'lookup.cache' = 'FULL', 'lookup.full-cache.periodic-reload.interval' = '60 s'");
    cr_assert_str_eq(look_up(&w, 0, "abc"), "ann bob - ");
    write_file(&w, "names.csv", "a,amy\na,abe\nc,cem\n");
    cr_assert_str_eq(look_up(&w, 59, "abc"), "ann bob - ", "the interval has not passed");
    cr_assert_str_eq(look_up(&w, 60, "abc"), "amy abe - cem ", "all of it is new: %s", w.got);
    write_file(&w, "names.csv", "");
    cr_assert_str_eq(look_up(&w, 119, "c"), "cem ");
    cr_assert_str_eq(look_up(&w, 300, "ac"), "- - ", "nothing is left: %s", w.got);
    write_file(&w, "names.csv", "a,eve\n");
    cr_assert_str_eq(look_up(&w, 359, "a"), "- ", "60 s after the last reading, not after 240 s");
    cr_assert_str_eq(look_up(&w, 360, "a"), "eve ");
    world_close(&w);
    world_remove(&w);
}

Test(reload, without_an_interval_the_table_stays)
{
    struct world w;

    world_make(&w);
    write_file(&w, "names.csv", "a,ann\n");
    world_open(&w, 2, "names.csv", "");
    cr_assert_str_eq(look_up(&w, 0, "a"), "ann ");
    write_file(&w, "names.csv", "a,amy\n");
    cr_assert_str_eq(look_up(&w, 1000000, "a"), "ann ");
    world_close(&w);
    world_remove(&w);
}

Test(reload, all_files_of_a_folder)
{
    struct world w;

    world_make(&w);
    write_file(&w, "names.csv", "a,ann\n");
    write_file(&w, "more.csv", "b,bob\n");
    world_open(&w, 2, "*.csv", ", 'lookup.full-cache.periodic-reload.interval' = '1 min'");
    cr_assert_str_eq(look_up(&w, 0, "ab"), "ann bob ");
    write_file(&w, "more.csv", "b,bea\nb,ben\n");
    cr_assert_str_eq(look_up(&w, 60, "ab"), "ann bea ben ", "%s", w.got);
    write_file(&w, "names.csv", "a,amy\n");
    cr_assert_str_eq(look_up(&w, 120, "ab"), "amy bea ben ", "%s", w.got);
    world_close(&w);
    world_remove(&w);
}

Test(reload, a_file_that_is_gone_ends_the_run)
{
    const char *key = "a";
    struct mill_error error = {0};
    struct world w;

    world_make(&w);
    write_file(&w, "names.csv", "a,ann\n");
    world_open(&w, 1, "names.csv", ", 'lookup.full-cache.periodic-reload.interval' = '60 s'");
    cr_assert_str_eq(look_up(&w, 0, "a"), "ann ");
    remove_file(&w, "names.csv");
    w.clock_ns += 60 * SECOND;
    cr_assert_eq(mill_push_text(w.input, &key, 1, &error), MILL_OK);
    mill_input_end(w.input);
    for (int i = 0; i < 20 && error.code == MILL_OK && !w.ended; i++)
        turns(&w, &error);
    cr_assert_eq(error.code, MILL_E_NO_INPUT, "code %d: %s", error.code, error.message);
    cr_assert_not_null(strstr(error.message, "again"), "%s", error.message);
    mill_query_close(w.query);
    mill_engine_close(w.engine);
    world_remove(&w);
}

struct refused {
    char options[160], needs[80];
};

ParameterizedTestParameters(reload, refused)
{
    static struct refused cases[] = {
        {", 'lookup.cache' = 'PARTIAL'", "only 'FULL' is supported"},
        {", 'lookup.full-cache.reload-strategy' = 'TIMED'", "only 'PERIODIC' is supported"},
        {", 'lookup.full-cache.periodic-reload.interval' = 'soon'", "soon"},
        {", 'lookup.full-cache.periodic-reload.interval' = '0 s'", "need 1 ms or more"},
        {", 'lookup.full-cache.periodic-reload.schedule-mode' = 'x'", "need FIXED_DELAY"},
    };

    return cr_make_param_array(struct refused, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct refused *c, reload, refused)
{
    struct mill_error error = {0};
    struct mill_config config;
    mill_engine *engine;
    char sql[500];

    mill_config_init(&config);
    engine = mill_engine_open(&config, &error);
    snprintf(sql, sizeof sql,
             "CREATE TABLE t (k STRING, p AS PROCTIME()) WITH ('connector' = 'memory');"
             "CREATE TABLE n (k STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', "
             "'path' = '/dev/null'%s);",
             c->options);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    cr_assert_null(mill_prepare(engine,
                                "SELECT n.k FROM t JOIN n FOR SYSTEM_TIME AS OF t.p ON t.k = n.k",
                                NULL, &error));
    cr_assert_not_null(strstr(error.message, c->needs), "%s", error.message);
    mill_engine_close(engine);
}
