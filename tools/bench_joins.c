/* tools/bench_joins.c - joins of tables in memory: a million rows to be looked up in, by random 64-bit keys, and those that look. */
#include "tools/bench.h"

#include <stdlib.h>

#define BUILD_ROWS 1000000u

static int64_t key_of(uint64_t rank)
{
    return (int64_t)(rank * 0x9e3779b97f4a7c15ull);
}

static int fill(struct bench_data *data)
{
    struct bench_table *t =
        bench_table_add(data, "t", "k BIGINT, v BIGINT", "ll", (uint32_t)data->rows);
    struct bench_table *d = bench_table_add(data, "d", "id BIGINT, w BIGINT", "ll", BUILD_ROWS);
    int64_t *keys = bench_column(t, 0), *values = bench_column(t, 1);
    int64_t *ids = bench_column(d, 0), *weights = bench_column(d, 1);
    uint64_t state = 42;

    for (uint32_t i = 0; i < BUILD_ROWS; i++) {
        ids[i] = key_of(i);
        weights[i] = (int64_t)bench_random(&state);
    }
    for (uint32_t i = BUILD_ROWS; i-- > 1;) { /* in no order */
        const uint32_t k = (uint32_t)(bench_random(&state) % (i + 1));
        const int64_t id = ids[i];

        ids[i] = ids[k];
        ids[k] = id;
    }
    for (uint32_t i = 0; i < t->rows; i++) {
        keys[i] = key_of(bench_random(&state) % BUILD_ROWS);
        values[i] = (int64_t)bench_random(&state);
    }
    return 0;
}

/* Every row finds one; its weight by the key's rank. */
static int answer(const struct bench_data *data, struct bench_answer *a)
{
    const struct bench_table *t = &data->tables[0], *d = &data->tables[1];
    const int64_t *keys = t->memory[0], *values = t->memory[1], *ids = d->memory[0],
                  *weights = d->memory[1];
    int64_t *by_rank = bench_memory(BUILD_ROWS * sizeof *by_rank);
    struct bench_value v[3] = {{.kind = BENCH_WHOLE, .whole = t->rows},
                               {.kind = BENCH_WHOLE},
                               {.kind = BENCH_WHOLE}};
    const uint64_t inverse = 0xf1de83e19937733dull; /* of the factor in key_of(), modulo 2^64 */

    for (uint32_t i = 0; i < BUILD_ROWS; i++)
        by_rank[(uint64_t)ids[i] * inverse] = weights[i];
    for (uint32_t i = 0; i < t->rows; i++) {
        v[1].whole += values[i];
        v[2].whole += by_rank[(uint64_t)keys[i] * inverse];
    }
    free(by_rank);
    bench_answer_row(a, v, 3);
    return 0;
}

const struct bench_workload bench_join_workloads[] =
    {{.name = "join1m",
      .group = "joins",
      .what = "inner join, 1,000,000 rows to look up in, random 64-bit keys",
      .rows = 100000000,
      .sql = "SELECT COUNT(*), SUM(v), SUM(w) FROM t JOIN d ON t.k = d.id;",
      .fill = fill,
      .answer = answer,
      .peer = "SELECT count(*) AS n, sum(t.c1) AS v, sum(d.c1) AS w FROM t JOIN d ON t.c0 = d.c0"},
     {.name = NULL}};
