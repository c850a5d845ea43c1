/* tools/bench_workloads.c - all tables of workloads, and the files that the command holds. */
#include "tools/bench.h"

#include <string.h>

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

const struct bench_workload *const bench_tables[] = {bench_memory_workloads,
                                                     bench_join_workloads,
                                                     bench_enrich_workloads,
                                                     bench_ysb_workloads,
                                                     bench_input_workloads,
                                                     bench_nexmark_workloads,
                                                     bench_lightsaber_workloads,
                                                     bench_start_workloads,
                                                     check_workloads,
                                                     NULL};

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
