/* tests/test_functions.c - table functions and aggregates of a library (docs/examples/functions.c) through the public interface; expected
 * values are worked out by hand. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t shard_counts[] = {1, 2, 3, 8};
#define SHARDS (sizeof shard_counts / sizeof *shard_counts)

static char folder[] = "/tmp/mill-functions-XXXXXX";

/* Functions that are not as they should be, behind those of the example. */
static const char source[] =
    "#include \"docs/examples/functions.c\"\n"
    "EXPORT const struct mill_function no_merge = {.struct_bytes = sizeof no_merge, .name = "
    "\"no_merge\", .arg_count = 1, .arg_types = text_args, .result_type = {.kind = MILL_BIGINT}, "
    ".kind = MILL_AGGREGATE, .state_bytes = 8, .accumulate = initials_accumulate, .result = "
    "initials_result};\n"
    "static int backwards(const struct mill_column *a, uint32_t n, const struct mill_emit *e)\n"
    "{ const int32_t one = 1; const void *v[] = {&one};\n"
    "  for (uint32_t i = n; i > 0; i--) { const int c = e->row(e->context, i - 1, v); if (c) "
    "return "
    "c; }\n"
    "  return (void)a, 0; }\n"
    "static int fails(const struct mill_column *a, uint32_t n, const struct mill_emit *e)\n"
    "{ return (void)a, (void)n, (void)e, 7; }\n"
    "EXPORT const struct mill_function last_first = {.struct_bytes = sizeof last_first, .name = "
    "\"last_first\", .arg_count = 1, .arg_types = text_args, .result_type = {.kind = MILL_INT}, "
    ".kind = MILL_TABLE, .rows = backwards};\n"
    "EXPORT const struct mill_function failing = {.struct_bytes = sizeof failing, .name = "
    "\"failing\", .arg_count = 1, .arg_types = text_args, .result_type = {.kind = MILL_INT}, "
    ".kind = MILL_TABLE, .rows = fails};\n";

static void library_make(void)
{
    char command[300];
    FILE *file;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(command, sizeof command, "%s/f.c", folder);
    file = fopen(command, "w");
    cr_assert_not_null(file);
    fputs(source, file);
    fclose(file);
    snprintf(command, sizeof command, "cc -shared -fPIC -I. -o %s/f.so %s/f.c", folder, folder);
    cr_assert_eq(system(command), 0);
}

static void library_drop(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(functions, .init = library_make, .fini = library_drop);

/* ---- running ---- */

static mill_engine *engine_new(uint32_t shards, uint64_t round_trips)
{
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    char sql[1000];

    mill_config_init(&config);
    config.shard_count = shards;
    config.step_rows = 2;
    config.ring_slots = 2;
    config.roundtrip_seed = round_trips;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION SplitFunction AS 'split_words' LANGUAGE C USING LIBRARY '%s/f.so';"
             "CREATE FUNCTION WeightedAvg AS 'weighted_avg' LANGUAGE C USING LIBRARY '%s/f.so';"
             "CREATE FUNCTION Initials AS 'initials' LANGUAGE C USING LIBRARY '%s/f.so';"
             "CREATE TABLE t (k STRING, v BIGINT, w INT, s STRING, ts TIMESTAMP(3), WATERMARK FOR "
             "ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'memory');",
             folder, folder, folder);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_OK, "%s", error.message);
    return engine;
}

static void push_rows(mill_engine *engine)
{
    static const char *const rows[][5] = {{"a", "10", "1", "x", "1970-01-01 00:00:01"},
                                          {"b", "20", "2", "y", "1970-01-01 00:00:02"},
                                          {"a", "40", "2", NULL, "1970-01-01 00:00:03"},
                                          {"a", "7", "0", "", "1970-01-01 00:00:06"},
                                          {"b", NULL, "5", "zed", "1970-01-01 00:00:07"},
                                          {"a", "1", "1", "q", "1970-01-01 00:00:12"}};
    struct mill_error error = {0};
    mill_input *input = mill_input_open(engine, "t", &error);

    cr_assert_not_null(input, "%s", error.message);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_eq(mill_push_text(input, rows[i], 5, &error), MILL_OK, "%s", error.message);
    mill_input_end(input);
}

static size_t put_value(char *to, size_t room, const struct mill_type *type,
                        const struct mill_column *c, uint32_t row)
{
    if (c->validity != NULL && (c->validity[row / 64] >> row % 64 & 1) == 0)
        return (size_t)snprintf(to, room, "~");
    if (type->kind == MILL_VARCHAR || type->kind == MILL_CHAR) {
        const struct mill_view *v = (const struct mill_view *)c->values + row;

        return (size_t)snprintf(to, room, "%.*s", (int)v->length, mill_view_data(v));
    }
    return (size_t)snprintf(to, room, "%lld",
                            type->kind == MILL_INT ? (long long)((const int32_t *)c->values)[row]
                                                   : (long long)((const int64_t *)c->values)[row]);
}

/* Rows as "a|1 b|2 ": values of a row divided by bars, with its kind before it if rows change. */
static const char *rows_of(const char *sql, uint32_t shards, uint64_t round_trips)
{
    static char text[4000];
    static const char kinds[] = "+-u!";
    mill_engine *engine = engine_new(shards, round_trips);
    struct mill_error error = {0};
    const struct mill_batch *batch;
    mill_query *query;
    size_t used = 0;

    push_rows(engine);
    query = mill_prepare(engine, sql, NULL, &error);
    cr_assert_not_null(query, "%s: %s", sql, error.message);
    cr_assert_eq(mill_run(query, &error), MILL_OK, "%s: %s", sql, error.message);
    text[0] = '\0';
    while ((batch = mill_poll(query)) != NULL)
        for (uint32_t row = 0; row < batch->rows; row++) {
            if (batch->row_kinds != NULL)
                text[used++] = kinds[batch->row_kinds[row]];
            for (uint32_t c = 0; c < batch->column_count; c++) {
                used +=
                    put_value(text + used, sizeof text - used,
                              &mill_query_schema(query)->fields[c].type, &batch->columns[c], row);
                used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                         c + 1 < batch->column_count ? "|" : " ");
            }
        }
    mill_engine_close(engine);
    return text;
}

static void gives(const char *sql, const char *expected)
{
    for (size_t i = 0; i < SHARDS; i++)
        for (uint64_t round_trips = 0; round_trips < 2; round_trips++) {
            const char *got = rows_of(sql, shard_counts[i], round_trips);

            cr_assert_str_eq(got, expected, "%u shards: %s:\n%s\nexpected\n%s", shard_counts[i],
                             sql, got, expected);
        }
}

static void refused(const char *sql, int code, const char *says)
{
    mill_engine *engine = engine_new(1, 0);
    struct mill_error error = {0};

    cr_assert_eq(mill_check(engine, sql, &error), code, "%s: %d %s", sql, error.code,
                 error.message);
    cr_assert_not_null(strstr(error.message, says), "%s: %s", sql, error.message);
    cr_assert_gt(error.line, 0);
    mill_engine_close(engine);
}

/* ---- table functions ---- */

#define LINES                                                                                      \
    "(VALUES (1, 'Hello World'), (2, CAST(NULL AS STRING)), (3, ''), (4, 'a word "                 \
    "longer-than-twelve')) AS l (id, line)"

Test(functions, rows_of_a_table_function)
{
    gives("SELECT id, word, length FROM " LINES ", LATERAL TABLE(SplitFunction(line))",
          "1|Hello|5 1|World|5 4|a|1 4|word|4 4|longer-than-twelve|18 ");
    gives("SELECT id, w, n FROM " LINES
          " LEFT JOIN LATERAL TABLE(SplitFunction(line)) AS t (w, n) ON TRUE",
          "1|Hello|5 1|World|5 2|~|~ 3|~|~ 4|a|1 4|word|4 4|longer-than-twelve|18 ");
    gives("SELECT id, w FROM " LINES
          " JOIN LATERAL TABLE(SplitFunction(line)) AS t (w, n) ON n > 4 WHERE id <> 4",
          "1|Hello 1|World ");
    gives("SELECT word FROM TABLE(SplitFunction('one two'))", "one two ");
    gives("SELECT id, word, i FROM " LINES ", LATERAL TABLE(SplitFunction(CASE WHEN id > 1 THEN "
          "line END)) AS t (word, n), UNNEST(ARRAY[n, id]) AS u (i) WHERE n < 5",
          "4|a|1 4|a|4 4|word|4 4|word|4 ");
    gives("SELECT n, COUNT(*) FROM " LINES
          " CROSS JOIN LATERAL TABLE(SplitFunction(line)) AS t (w, n) GROUP BY n",
          "1|1 4|1 5|2 18|1 ");
}

static void fails(const char *function, const char *says)
{
    mill_engine *engine = engine_new(2, 0);
    struct mill_error error = {0};
    char sql[600];

    snprintf(sql, sizeof sql,
             "CREATE FUNCTION x AS '%s' LANGUAGE C USING LIBRARY '%s/f.so';"
             "SELECT * FROM (VALUES ('a'), ('b')) AS t (s), LATERAL TABLE(x(s)) AS r (n)",
             function, folder);
    cr_assert_eq(mill_execute(engine, sql, NULL, &error), MILL_E_DATA, "%s", error.message);
    cr_assert_not_null(strstr(error.message, says), "%s", error.message);
    mill_engine_close(engine);
}

Test(functions, table_functions_that_fail)
{
    fails("last_first", "out of their order");
    fails("failing", "reported a failure");
}

Test(functions, table_functions_refused)
{
    refused("SELECT SplitFunction('a') FROM t", MILL_E_TYPE, "LATERAL TABLE(SplitFunction(...))");
    refused("SELECT * FROM t, LATERAL TABLE(SplitFunctio(s))", MILL_E_NAME,
            "did you mean SplitFunction?");
    refused("SELECT * FROM t, LATERAL TABLE(SplitFunction(s, s))", MILL_E_TYPE, "it takes 1");
    refused("SELECT * FROM t, LATERAL TABLE(SplitFunction(v))", MILL_E_TYPE, "CAST(... AS STRING)");
    refused("SELECT * FROM t LEFT JOIN LATERAL TABLE(SplitFunction(s)) AS x ON length = 1",
            MILL_E_UNSUPPORTED, "ON TRUE only");
    refused("SELECT * FROM t RIGHT JOIN LATERAL TABLE(SplitFunction(s)) AS x ON TRUE",
            MILL_E_UNSUPPORTED, "LEFT JOIN");
}

/* ---- aggregates ---- */

#define BOTH "WeightedAvg(v, w), Initials(s)"

Test(functions, aggregates_of_groups)
{
    gives("SELECT k, " BOTH " FROM t GROUP BY k", "a|22|x?-q b|20|yz ");
    gives("SELECT " BOTH ", COUNT(*), SUM(v) FROM t", "21|xy?-zq|6|78 ");
    gives("SELECT k, WeightedAvg(v, w) FILTER (WHERE v > 9) FROM t GROUP BY k", "a|30 b|20 ");
    gives("SELECT " BOTH " FROM t WHERE k = 'c'", "~|~ ");
    gives("SELECT k, WeightedAvg(v + 1, 2) * 10 FROM t GROUP BY k HAVING Initials(s) = 'yz'",
          "b|210 ");
}

#define WINDOW(call) "SELECT k, " BOTH " FROM TABLE(" call ") GROUP BY k, window_start, window_end"

Test(functions, aggregates_of_windows)
{
    gives(WINDOW("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)"),
          "a|30|x? b|20|y a|~|- b|~|z a|1|q ");
    gives(WINDOW("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)"),
          "a|30|x? b|20|y a|30|x?- b|20|yz a|1|-q b|~|z a|1|q ");
    gives(WINDOW("CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)"),
          "a|30|x? b|20|y a|30|x?- b|20|yz a|1|q a|1|q ");
    gives(WINDOW("SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '3' SECOND)"),
          "b|20|y a|30|x?- b|~|z a|1|q ");
    gives(WINDOW("TUMBLE_ROWS(TABLE t PARTITION BY k, DESCRIPTOR(ts), 2)"),
          "a|30|x? b|20|yz a|1|-q ");
}

#define OVER(frame) "OVER (PARTITION BY k ORDER BY ts " frame ")"

Test(functions, aggregates_over_rows)
{
    gives("SELECT k, WeightedAvg(v, w) " OVER("") ", Initials(s) " OVER("") " FROM t",
          "a|10|x b|20|y a|30|x? a|30|x?- b|20|yz a|22|x?-q ");
    gives("SELECT k, WeightedAvg(v, w) " OVER(
              "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW") ", Initials(s) " OVER("ROWS BETWEEN 1 "
                                                                                "PRECEDING AND "
                                                                                "CURRENT ROW") " FR"
                                                                                               "OM "
                                                                                               "t",
          "a|10|x b|20|y a|30|x? a|40|?- b|20|yz a|1|-q ");
}

/* Counts of a and b after each row: 1 0, 1 1, 2 1, 3 1, 3 2, 4 2; a row that changes leaves before it comes. */
Test(functions, rows_taken_back)
{
    gives("SET 'execution.runtime-mode' = 'streaming'; SELECT WeightedAvg(c * 10, 1) FROM (SELECT "
          "k, COUNT(*) AS c FROM t GROUP BY k) AS q",
          "+10 -10 u15 -15 u10 -10 u20 -20 u30 -30 u25 -25 u20 -20 u30 ");
    refused("SET 'execution.runtime-mode' = 'streaming'; SELECT Initials(k) FROM (SELECT k, "
            "COUNT(*) AS c FROM t GROUP BY k) AS q",
            MILL_E_UNSUPPORTED, "cannot take rows back");
}

Test(functions, aggregates_refused)
{
    char sql[300];

    refused("SELECT WeightedAvg(DISTINCT v, w) FROM t", MILL_E_UNSUPPORTED, "DISTINCT");
    refused("SELECT WeightedAvg(v) FROM t", MILL_E_TYPE, "it takes 2");
    refused("SELECT WeightedAvg(s, w) FROM t", MILL_E_TYPE, "CAST(... AS BIGINT)");
    refused("SELECT k FROM t WHERE Initials(s) = 'a'", MILL_E_TYPE, "HAVING");
    refused("SELECT WeightedAvg(SUM(v), 1) FROM t", MILL_E_TYPE, "inside an aggregate");
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION n AS 'no_merge' LANGUAGE C USING LIBRARY '%s/f.so'; SELECT 1",
             folder);
    refused(sql, MILL_E_OPTION, "merge is NULL");
}
