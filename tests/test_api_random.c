/* tests/test_api_random.c - random calls of the public interface: legal lifetimes, random order and arguments.
 *
 * What must hold is the interface's own contract: an answer of enum mill_code with a message wherever it is an error, no row counted
 * twice or lost, no access outside memory (make SAN=asan unit), no leak. SEED=n replays one, SEEDS=n plays so many.
 */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 40
#define CALLS 300 /* per seed */
#define ENGINES 2
#define TABLES 4
#define QUERIES 5
#define COLUMNS 3
#define ROWS_MAX 300

static const struct column_type {
    const char *sql;
    uint32_t width; /* 0: mill_view */
} types[] = {{"BOOLEAN", 1},        {"TINYINT", 1},
             {"SMALLINT", 2},       {"INT", 4},
             {"BIGINT", 8},         {"FLOAT", 4},
             {"DOUBLE", 8},         {"DECIMAL(38, 10)", 16},
             {"DECIMAL(9, 2)", 16}, {"CHAR(5)", 0},
             {"VARCHAR(7)", 0},     {"STRING", 0},
             {"BYTES", 0},          {"DATE", 4},
             {"TIME(3)", 8},        {"TIMESTAMP(3)", 8},
             {"TIMESTAMP(9)", 8},   {"TIMESTAMP_LTZ(3)", 8}};
#define TYPES (sizeof types / sizeof *types)
#define ROWTIME 15 /* TIMESTAMP(3) */

/* Memory that outlives the queries which read it. */
struct rows {
    struct rows *next;
    struct mill_batch batch;
    struct mill_column columns[COLUMNS + 1];
    void *values[COLUMNS];
    uint64_t validity[COLUMNS][(ROWS_MAX + 63) / 64];
    char bytes[ROWS_MAX][40];
};

struct table {
    const struct column_type *columns[COLUMNS];
    mill_input *input;
    bool made, ended;
};

struct host {
    mill_engine *engine;
    struct table tables[TABLES];
    mill_query *queries[QUERIES];
    struct rows *rows;
};

struct world {
    uint64_t seed, random;
    uint32_t calls, good, bad;
    struct host hosts[ENGINES];
};

static uint64_t any(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static bool one_in(struct world *w, uint64_t n)
{
    return any(w, n) == 0;
}

static void answered(struct world *w, int code, const struct mill_error *error)
{
    w->calls++;
    *(code == MILL_OK ? &w->good : &w->bad) += 1;
    cr_assert(code == MILL_OK || mill_exit_code(code) != 70, "seed %lu: code %d: %s",
              (unsigned long)w->seed, code, error->message);
    cr_assert_eq(error->code, code, "seed %lu: gave %d, says %d %s", (unsigned long)w->seed, code,
                 error->code, error->message);
    cr_assert_eq(error->message[0] == '\0', code == MILL_OK);
}

/* A full memory limit is an answer at any time. */
static void expected(const struct world *w, int code, bool well, const struct mill_error *error)
{
    if (code != MILL_E_MEMORY)
        cr_assert_eq(code == MILL_OK, well, "seed %lu: %d %s", (unsigned long)w->seed, code,
                     error->message);
}

/* ---- rows ---- */

static void fill_views(struct world *w, struct rows *r, struct mill_view *views, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t length = (uint32_t)any(w, one_in(w, 3) ? 41 : 13);

        views[i].length = length;
        if (length <= 12) {
            for (uint32_t b = 0; b < 12; b++)
                views[i].inlined[b] = (char)(b < length ? any(w, one_in(w, 8) ? 256 : 128) : 0);
            continue;
        }
        for (uint32_t b = 0; b < length; b++)
            r->bytes[i][b] = (char)any(w, one_in(w, 8) ? 256 : 128);
        memcpy(views[i].far.prefix, r->bytes[i], 4);
        views[i].far.data = r->bytes[i];
    }
}

/* Small numbers, so that groups and windows meet, and any bits at all. */
static void fill_numbers(struct world *w, unsigned char *values, uint32_t width, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const bool small = !one_in(w, 4);
        int64_t number = small ? (int64_t)any(w, 100) * (width == 8 ? 100000 : 1) : 0;
        const int64_t sign = number < 0 ? -1 : 0;

        if (!small)
            for (uint32_t b = 0; b < width; b++)
                values[(size_t)i * width + b] = (unsigned char)any(w, 256);
        else
            for (uint32_t b = 0; b < width; b += 8)
                memcpy(values + (size_t)i * width + b, b == 0 ? &number : &sign,
                       width < 8 ? width : 8);
    }
}

static struct rows *rows_new(struct world *w, struct host *h, const struct table *t)
{
    struct rows *r = calloc(1, sizeof *r);
    const uint32_t rows = (uint32_t)any(w, ROWS_MAX);

    r->next = h->rows;
    h->rows = r;
    r->batch = (struct mill_batch){rows, COLUMNS, r->columns, NULL};
    for (uint32_t c = 0; c < COLUMNS; c++) {
        const uint32_t width = t->columns[c]->width;

        r->values[c] = calloc(ROWS_MAX, width != 0 ? width : sizeof(struct mill_view));
        if (width == 0)
            fill_views(w, r, r->values[c], rows);
        else
            fill_numbers(w, r->values[c], width, rows);
        if (width == 1 && t->columns[c] == types)
            for (uint32_t i = 0; i < rows; i++)
                ((uint8_t *)r->values[c])[i] &= 1;
        r->columns[c].values = r->values[c];
        for (size_t i = 0; i < sizeof r->validity[c] / 8; i++)
            r->validity[c][i] = w->random * any(w, UINT64_MAX);
        if (one_in(w, 2) && t->columns[c] != &types[ROWTIME])
            r->columns[c].validity = r->validity[c];
    }
    return r;
}

static void host_close(struct host *h)
{
    mill_engine_close(h->engine);
    while (h->rows != NULL) {
        struct rows *r = h->rows;

        h->rows = r->next;
        for (uint32_t c = 0; c < COLUMNS; c++)
            free(r->values[c]);
        free(r);
    }
    *h = (struct host){0};
}

/* ---- calls ---- */

static void open_engine(struct world *w, struct host *h)
{
    static const char *const isas[] = {NULL, "scalar", "avx2", "none"};
    struct mill_error error;
    struct mill_config c;
    int code;

    mill_config_init(&c);
    c.shard_count = (uint32_t)any(w, 4);
    c.batch_rows = one_in(w, 20) ? (uint32_t)any(w, 6000) : 1 + (uint32_t)any(w, 200);
    c.step_rows = 1 + (uint32_t)any(w, 500);
    c.ring_slots = one_in(w, 20) ? (uint32_t)any(w, 5000) : 1u << any(w, 5);
    c.look_back = 1 + (uint32_t)any(w, 8);
    c.run_ahead = c.look_back + (uint32_t)any(w, 30);
    c.memory_limit = one_in(w, 4) ? (2 << 20) + any(w, 32 << 20) : 256 << 20;
    c.isa = isas[any(w, one_in(w, 20) ? 4 : 3)];
    c.roundtrip_seed = one_in(w, 3) ? any(w, 1000) : 0;
    c.seed = any(w, 1000);
    c.pin = one_in(w, 2);
    h->engine = mill_engine_open(&c, &error);
    answered(w, h->engine != NULL ? MILL_OK : error.code, &error);
    if (h->engine == NULL)
        return;
    code = mill_execute(h->engine, "CREATE TABLE b (s STRING) WITH ('connector' = 'blackhole')",
                        NULL, &error);
    answered(w, code, &error);
}

static void make_table(struct world *w, struct host *h, uint32_t t)
{
    struct table *table = &h->tables[t];
    struct mill_error error;
    char sql[600];
    int n = snprintf(sql, sizeof sql, "CREATE TABLE t%u (", t), code;
    struct table made = {.made = true};
    const bool timed = one_in(w, 2), numbers = one_in(w, 3);

    for (uint32_t c = 0; c < COLUMNS; c++) {
        made.columns[c] = &types[timed && c == 0 ? ROWTIME
                                 : numbers       ? 1 + any(w, 8)
                                                 : any(w, TYPES)];
        n += snprintf(sql + n, sizeof sql - (size_t)n, "c%u %s, ", c, made.columns[c]->sql);
    }
    snprintf(sql + n - 2, sizeof sql - (size_t)n + 2, "%s) WITH ('connector' = 'memory')",
             strcmp(made.columns[0]->sql, "TIMESTAMP(3)") == 0 ? ", WATERMARK FOR c0 AS c0" : "");
    code = mill_execute(h->engine, sql, NULL, &error);
    answered(w, code, &error);
    expected(w, code, !table->made, &error);
    if (code == MILL_OK)
        *table = made;
}

static void drop_table(struct world *w, struct host *h, uint32_t t)
{
    struct mill_error error;
    char sql[60];
    int code;

    snprintf(sql, sizeof sql, "DROP TABLE t%u", t);
    code = mill_execute(h->engine, sql, NULL, &error);
    answered(w, code, &error);
    expected(w, code, h->tables[t].made, &error);
    if (code != MILL_OK)
        return;
    mill_input_end(h->tables[t].input); /* queries over it live on */
    h->tables[t] = (struct table){0};
}

static void open_input(struct world *w, struct host *h, uint32_t t)
{
    struct mill_error error;
    char name[20];
    mill_input *input;

    snprintf(name, sizeof name, "t%u", t);
    input = mill_input_open(h->engine, name, &error);
    answered(w, input != NULL ? MILL_OK : error.code, &error);
    expected(w, error.code, h->tables[t].made && h->tables[t].input == NULL, &error);
    if (input != NULL)
        h->tables[t].input = input;
}

/* A query over one of the tables, now and then cut short or with a letter changed. */
static void make_sql(struct world *w, uint32_t t, char *sql, size_t bytes)
{
    static const char *const shapes[] =
        {"SELECT * FROM t%u",
         "SELECT CAST(c0 AS STRING), CAST(c1 AS STRING), CAST(c2 AS STRING) FROM t%u",
         "SELECT c0, COUNT(*), COUNT(DISTINCT c1), MIN(c2), MAX(c2) FROM t%u GROUP BY c0",
         "SELECT c1, c2, FIRST_VALUE(c0), LAST_VALUE(c0) FROM t%u GROUP BY c1, c2",
         "SELECT SUM(c0), AVG(c1), STDDEV_POP(c2) FROM t%u",
         "SELECT window_start, c1, COUNT(*), MAX(c2) FROM TABLE(TUMBLE(TABLE t%u, DESCRIPTOR(c0), "
         "INTERVAL '1' SECOND)) GROUP BY window_start, window_end, c1",
         "SELECT window_end, LISTAGG(CAST(c1 AS STRING)) FROM TABLE(HOP(TABLE t%u, DESCRIPTOR(c0), "
         "INTERVAL '1' SECOND, INTERVAL '3' SECOND)) GROUP BY window_start, window_end",
         "SELECT window_start, window_end, COUNT(*) FROM TABLE(SESSION(TABLE t%u PARTITION BY c1, "
         "DESCRIPTOR(c0), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, c1",
         "SELECT UPPER(CAST(c1 AS STRING)), CHAR_LENGTH(CAST(c2 AS STRING)) FROM t%u WHERE c0 IS "
         "NOT NULL AND CAST(c1 AS STRING) LIKE '%%1_%%'",
         "SELECT c0 FROM t%u WHERE c1 = c2 OR c0 <> c1 UNION ALL SELECT c1 FROM t%u",
         "SELECT EXTRACT(YEAR FROM c0), TIMESTAMPADD(DAY, 1, c1), DATE_FORMAT(c2, 'yyyy-MM-dd') "
         "FROM t%u",
         "SELECT c0 + c1, c1 * c2, c0 / c2, -c1, MOD(c0, c2) FROM t%u",
         "SELECT COALESCE(c0, c1), NULLIF(c1, c2), CASE WHEN c0 > c1 THEN c2 END FROM t%u",
         "SELECT CAST(c0 AS BIGINT), CAST(c1 AS DOUBLE), CAST(c2 AS DECIMAL(10, 3)) FROM t%u",
         "SELECT TRY_CAST(CAST(c0 AS STRING) AS INT), SUBSTRING(CAST(c1 AS STRING), 2, 3) FROM t%u",
         "INSERT INTO b SELECT CAST(c1 AS STRING) FROM t%u",
         "INSERT INTO nowhere SELECT * FROM t%u"};
    const size_t shape = any(w, sizeof shapes / sizeof *shapes);
    size_t length;

    snprintf(sql, bytes, shapes[shape], t, t); /* the second number only where there are two */
    length = strlen(sql);
    if (one_in(w, 20))
        sql[any(w, length)] = '\0';
    if (one_in(w, 20))
        sql[any(w, strlen(sql) + 1)] = (char)(1 + any(w, 255));
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    const struct mill_schema *schema = mill_query_schema(query);
    struct world *w = user;

    cr_assert_eq(schema->field_count, batch->column_count);
    return w != NULL && w->random % 50 == 0;
}

static void make_query(struct world *w, struct host *h, mill_query **query, uint32_t t)
{
    const struct mill_callbacks callbacks = {.user = w, .on_batch = on_batch};
    struct mill_error error;
    char sql[600];
    int code;

    if (*query != NULL) {
        mill_query_close(*query);
        *query = NULL;
        return;
    }
    make_sql(w, t, sql, sizeof sql);
    switch (any(w, 8)) {
    case 0:
        code = mill_check(h->engine, sql, &error);
        answered(w, code, &error);
        return;
    case 1:
        code = mill_explain(h->engine, sql, &callbacks, &error);
        answered(w, code, &error);
        return;
    default:
        *query = mill_prepare(h->engine, sql, one_in(w, 2) ? &callbacks : NULL, &error);
        answered(w, *query != NULL ? MILL_OK : error.code, &error);
    }
}

static void give_rows(struct world *w, struct host *h, struct table *t)
{
    const bool lend = one_in(w, 4);
    struct mill_error error;
    struct rows *r;
    int code;

    if (t->input == NULL)
        return;
    if (one_in(w, 12)) {
        mill_input_end(t->input);
        t->ended = true;
        return;
    }
    r = rows_new(w, h, t);
    r->batch.column_count += one_in(w, 30);
    code = lend ? mill_lend(t->input, &r->batch, 1, (uint32_t)any(w, 3), &error)
                : mill_push(t->input, &r->batch, &error);
    answered(w, code, &error);
    if (t->ended)
        cr_assert_eq(code, MILL_E_STATE);
}

/* A run would wait for rows while an input is open: those are asked to end first. */
static void run(struct world *w, struct host *h, mill_query *query)
{
    bool all_ended = true;
    struct mill_error error;
    int code;

    for (uint32_t t = 0; t < TABLES; t++)
        all_ended = all_ended && (h->tables[t].input == NULL || h->tables[t].ended);
    if (!all_ended || one_in(w, 4))
        mill_stop(query, one_in(w, 2));
    code = mill_run(query, &error);
    answered(w, code, &error);
}

static void turn(struct world *w, mill_query *query)
{
    const uint64_t turns = 1 + any(w, 30);
    struct mill_error error;
    bool ended = false;
    int code = MILL_OK;

    for (uint64_t i = 0; i < turns && code == MILL_OK && !ended; i++) {
        uint32_t work;

        code = mill_turn(query, one_in(w, 3) ? NULL : &work, &ended, &error);
        answered(w, code, &error);
    }
}

static void look(struct world *w, struct host *h, mill_query *query)
{
    const struct mill_batch *batch;
    struct mill_stats stats;

    mill_query_stats(query, &stats);
    w->calls += 2;
    cr_assert(stats.seconds >= 0);
    cr_assert_null(mill_running(h->engine));
    for (int i = 0; i < 4 && (batch = mill_poll(query)) != NULL; i++)
        on_batch(NULL, query, batch);
}

static void call(struct world *w)
{
    struct host *h = &w->hosts[any(w, ENGINES)];
    mill_query **query = &h->queries[any(w, QUERIES)];
    uint32_t t = (uint32_t)any(w, TABLES);
    struct mill_error error;

    if (h->engine == NULL) {
        open_engine(w, h);
        return;
    }
    for (uint32_t i = 0; i < TABLES && h->tables[t].input == NULL && !one_in(w, 8); i++)
        t = (t + 1) % TABLES;
    switch (any(w, 100)) {
    case 0:
        if (one_in(w, 4))
            host_close(h);
        return;
    case 1:
    case 2:
    case 3: drop_table(w, h, t); return;
    case 4: answered(w, mill_set_variable(h->engine, "a", "b", &error), &error); return;
    case 5: mill_stop(*query, one_in(w, 2)); return;
    default: break;
    }
    if (h->tables[t].input == NULL && !h->tables[t].made)
        make_table(w, h, t);
    if (h->tables[t].input == NULL || one_in(w, 50))
        open_input(w, h, t);
    if (one_in(w, 60))
        make_table(w, h, t);
    if (one_in(w, 3))
        give_rows(w, h, &h->tables[t]);
    else if (*query == NULL || one_in(w, 6))
        make_query(w, h, query, t);
    else if (one_in(w, 8))
        run(w, h, *query);
    else if (one_in(w, 4))
        look(w, h, *query);
    else
        turn(w, *query);
}

Test(api_random, calls, .timeout = 300)
{
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    const uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    const uint64_t last = only != NULL ? first : many != NULL ? strtoull(many, NULL, 10) : SEEDS;
    uint64_t calls = 0, good = 0;

    for (uint64_t seed = first; seed <= last; seed++) {
        struct world w = {.seed = seed, .random = seed * 0x9e3779b97f4a7c15u};

        if (many != NULL)
            fprintf(stderr, "seed %lu\n", (unsigned long)seed);
        for (uint32_t i = 0; i < CALLS || w.calls < CALLS; i++)
            call(&w);
        for (uint32_t i = 0; i < ENGINES; i++)
            host_close(&w.hosts[i]);
        calls += w.calls;
        good += w.good;
    }
    if (only == NULL) {
        cr_assert(calls >= 10000, "%lu calls", (unsigned long)calls);
        cr_assert(good > calls / 4, "%lu of %lu calls went well", (unsigned long)good,
                  (unsigned long)calls);
    }
}
