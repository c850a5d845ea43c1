/* tools/bench_workloads.c - all tables of workloads, and the queries that are kept as files (bench/queries). */
#include "tools/bench.h"

#include <string.h>

#define NEXMARK(number, text)                                                                      \
    {                                                                                              \
        .name = "nexmark-" number, .group = "nexmark", .rows = 5000000, .sql_file = number,        \
        .what = text, .source = "'connector' = 'nexmark', 'events.num' = '${ROWS}'"                \
    }

/* Over the generator, into a discarding sink: what making the events costs is in them, q0 is the floor. */
static const struct bench_workload query_workloads[] =
    {NEXMARK("q0", "NEXMark q0, pass through"),
     NEXMARK("q1", "NEXMark q1, currency conversion"),
     NEXMARK("q2", "NEXMark q2, selection"),
     NEXMARK("q5_counts", "NEXMark q5, inner query: bids by auction, 10 s every 2 s"),
     {.name = "nexmark-q10",
      .group = "nexmark",
      .rows = 500000,
      .sql_file = "q10",
      .what = "NEXMark q10, log to file system",
      .source = "'connector' = 'nexmark', 'events.num' = '${ROWS}'"},
     NEXMARK("q11", "NEXMark q11, user sessions"),
     NEXMARK("q14", "NEXMark q14, calculation, with COUNT_CHAR"),
     NEXMARK("q14_builtin", "NEXMark q14, calculation, by built-in functions"),
     NEXMARK("q21", "NEXMark q21, channel ids"),
     NEXMARK("q22", "NEXMark q22, directories of URLs"),
     {.name = NULL}};

#define SEVEN                                                                                      \
    "CREATE TABLE s (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '${ROWS}');"

/* Wrong on purpose: what says that an answer is wrong is itself tested by them (tests/sql_bench.py). Never run unless asked for. */
static const struct bench_workload check_workloads[] =
    {{.name = "wrong-answer",
      .group = "self-check",
      .rows = 100,
      .what = "must fail: the answer that is said to be known is wrong",
      .sql = SEVEN "SELECT COUNT(*) FROM s;",
      .expected = {.input_rows = 100, .rows = 1, .digest_low = 7, .source = "wrong on purpose"}},
     {.name = "wrong-reference",
      .group = "self-check",
      .rows = 100,
      .what = "must fail: the other query has other rows",
      .sql = SEVEN "SELECT COUNT(*) FROM s;",
      .reference = SEVEN "SELECT COUNT(*) + 1 FROM s;"},
     {.name = "wrong-peer",
      .group = "self-check",
      .rows = 100,
      .what = "must fail with a peer: its query has other rows",
      .sql = SEVEN "SELECT COUNT(*) FROM s;",
      .peer = "SELECT 99 AS n"},
     {.name = NULL}};

const struct bench_workload *const bench_tables[] =
    {bench_memory_workloads,     bench_join_workloads,  bench_input_workloads, query_workloads,
     bench_lightsaber_workloads, bench_start_workloads, check_workloads,       NULL};

extern const struct bench_file {
    const char *name, *text;
} bench_files[]; /* made by tools/embed.sh */

const char *bench_embedded(const char *name)
{
    for (const struct bench_file *f = bench_files; f->name != NULL; f++)
        if (strcmp(f->name, name) == 0)
            return f->text;
    return NULL;
}
