/* tools/bench_memory_tables.c - windows over a table in memory: COUNT, SUM, MIN, MAX by key, 100 s of event time in all.
 *
 * Values are whole numbers and a window's sum is below 2^53: sums of doubles are exact in any order.
 */
#include "tools/bench.h"

#include <stdlib.h>

#define TIME_MS 100000 /* of event time in all */
#define KEYS_MAX 1000000

enum keys { KEYS_NONE, KEYS_DENSE, KEYS_SPREAD, KEYS_TEXT };
enum windows { TUMBLE, HOP, SESSION, ROWS };

struct windowed {
    enum keys keys;
    uint32_t key_count;
    double zipf; /* exponent; 0: uniform */
    enum windows windows;
    uint32_t size_ms, slide_ms; /* ROWS: rows */
    uint32_t jitter_ms;         /* times are up to so much greater than in order */
};

/* Kept with the data: the rank of each row's key, and the texts of keys. */
struct kept {
    uint32_t *rank;
    char (*names)[24];
};

#define COLUMNS(type)                                                                              \
    "k " type ", v DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND"

static void fill_texts(struct bench_table *t, struct kept *kept, uint32_t key_count)
{
    struct mill_view *texts = bench_column(t, 0);
    uint32_t *codes = bench_codes(t, 0);

    for (uint32_t k = 0; k < key_count; k++)
        snprintf(kept->names[k], sizeof kept->names[k], "customer-%u", k);
    for (uint32_t i = 0; i < t->rows; i++) {
        codes[i] = kept->rank[i];
        texts[i] = bench_text(kept->names[codes[i]]);
    }
}

static int fill(struct bench_data *data)
{
    const struct windowed *w = data->workload->detail;
    const uint32_t rows = (uint32_t)data->rows;
    const size_t names =
        w->keys == KEYS_TEXT ? w->key_count * sizeof *((struct kept *)0)->names : 0;
    struct bench_table *t =
        bench_table_add(data, "t", w->keys == KEYS_TEXT ? COLUMNS("STRING") : COLUMNS("BIGINT"),
                        w->keys == KEYS_TEXT ? "sdl" : "ldl", rows);
    struct kept *kept = bench_memory(sizeof *kept + names + (size_t)rows * sizeof *kept->rank);
    int64_t *keys = bench_column(t, 0), *times = bench_column(t, 2);
    double *values = bench_column(t, 1);
    uint64_t state = 42;

    data->kept = kept;
    kept->rank = (uint32_t *)(kept + 1);
    kept->names = (void *)(kept->rank + rows);
    if (w->zipf > 0)
        bench_zipf(kept->rank, rows, w->key_count, w->zipf, &state);
    for (uint32_t i = 0; i < rows; i++) {
        if (w->zipf == 0)
            kept->rank[i] = (uint32_t)(bench_random(&state) % w->key_count);
        if (w->keys != KEYS_TEXT)
            keys[i] = w->keys == KEYS_SPREAD ? (int64_t)(kept->rank[i] * 0x9e3779b97f4a7c15ull)
                                             : kept->rank[i];
        values[i] = (double)(bench_random(&state) >> 7);
        times[i] = (int64_t)((uint64_t)i * TIME_MS / rows) * 1000;
        if (w->jitter_ms > 0)
            times[i] += (int64_t)(bench_random(&state) % (1000 * w->jitter_ms)) / 1000 * 1000;
    }
    if (w->keys == KEYS_TEXT)
        fill_texts(t, kept, w->key_count);
    return 0;
}

/* ---- the recomputation ---- */

struct cell {
    uint64_t count;
    double sum, least, most;
    int64_t first,
        last; /* times of the first and of the latest row; ROWS: first: windows before this one */
};

/* window_start, the key if there is one, COUNT, SUM, MIN, MAX; ROWS: the window's number instead of its start */
static void close_cell(const struct bench_data *data, struct bench_answer *a, struct cell *c,
                       uint32_t key, int64_t start)
{
    const struct windowed *w = data->workload->detail;
    const struct kept *kept = data->kept;
    struct bench_value v[6] = {{.kind = BENCH_WHOLE, .whole = start}};
    uint32_t n = 1;

    if (c->count == 0)
        return;
    if (w->keys == KEYS_TEXT) {
        v[n] = (struct bench_value){.kind = BENCH_TEXT};
        v[n].text.bytes = kept->names[key];
        v[n].text.length = (uint32_t)snprintf(NULL, 0, "%s", kept->names[key]);
        n++;
    } else if (w->keys != KEYS_NONE) {
        v[n++] = (struct bench_value){.kind = BENCH_WHOLE,
                                      .whole = w->keys == KEYS_SPREAD
                                                   ? (int64_t)(key * 0x9e3779b97f4a7c15ull)
                                                   : key};
    }
    v[n++] = (struct bench_value){.kind = BENCH_WHOLE, .whole = (int64_t)c->count};
    v[n++] = (struct bench_value){.kind = BENCH_REAL, .real = c->sum};
    v[n++] = (struct bench_value){.kind = BENCH_REAL, .real = c->least};
    v[n++] = (struct bench_value){.kind = BENCH_REAL, .real = c->most};
    bench_answer_row(a, v, n);
    c->count = 0;
}

static void add_row(struct cell *c, double v, int64_t time)
{
    if (c->count == 0) {
        c->sum = c->least = c->most = 0;
        c->first = time;
    }
    c->sum += v;
    c->least = c->count == 0 || v < c->least ? v : c->least;
    c->most = c->count == 0 || v > c->most ? v : c->most;
    c->count++;
    c->last = time;
}

/* Rows in order: the window of a key ends by a gap (one of exactly its length does not: the windows touch), or by its number of rows. */
static void by_rows(const struct bench_data *data, struct bench_answer *a, struct cell *cells)
{
    const struct windowed *w = data->workload->detail;
    const struct bench_table *t = &data->tables[0];
    const struct kept *kept = data->kept;
    const double *values = t->memory[1];
    const int64_t *times = t->memory[2];
    int64_t *closed = calloc(w->key_count, sizeof *closed);

    for (uint32_t i = 0; closed != NULL && i < t->rows; i++) {
        const uint32_t k = kept->rank[i];
        struct cell *c = &cells[k];

        if (w->windows == SESSION && c->count > 0 &&
            times[i] - c->last > (int64_t)w->size_ms * 1000)
            close_cell(data, a, c, k, c->first);
        add_row(c, values[i], times[i]);
        if (w->windows == ROWS && c->count == w->size_ms)
            close_cell(data, a, c, k, closed[k]++);
    }
    for (uint32_t k = 0; closed != NULL && k < w->key_count; k++)
        close_cell(data, a, &cells[k], k, w->windows == ROWS ? closed[k] : cells[k].first);
    free(closed);
}

/* Every window by itself: its rows lie between the first and the last place that its times can have. */
static void by_time(const struct bench_data *data, struct bench_answer *a, struct cell *cells)
{
    const struct windowed *w = data->workload->detail;
    const struct bench_table *t = &data->tables[0];
    const struct kept *kept = data->kept;
    const double *values = t->memory[1];
    const int64_t *times = t->memory[2];
    const int64_t size = (int64_t)w->size_ms * 1000, slide = (int64_t)w->slide_ms * 1000,
                  jitter = (int64_t)w->jitter_ms * 1000;
    uint32_t first = 0;

    for (int64_t start = slide - size; start < (int64_t)TIME_MS * 1000 + jitter; start += slide) {
        while (first < t->rows && times[first] < start - jitter)
            first++;
        for (uint32_t i = first; i < t->rows && times[i] < start + size + jitter; i++)
            if (times[i] >= start && times[i] < start + size)
                add_row(&cells[kept->rank[i]], values[i], times[i]);
        for (uint32_t k = 0; k < w->key_count; k++)
            close_cell(data, a, &cells[k], k, start);
    }
}

static int answer(const struct bench_data *data, struct bench_answer *a)
{
    const struct windowed *w = data->workload->detail;
    struct cell *cells = bench_memory(w->key_count * sizeof *cells);

    for (uint32_t k = 0; k < w->key_count; k++)
        cells[k].count = 0;
    if (w->windows == SESSION || w->windows == ROWS)
        by_rows(data, a, cells);
    else
        by_time(data, a, cells);
    free(cells);
    return 0;
}

/* ---- the table ---- */

#define AGGREGATES "COUNT(*), SUM(v), MIN(v), MAX(v)"
#define UNKEYED(window)                                                                            \
    .sql = "SELECT window_start, " AGGREGATES " FROM TABLE(" window                                \
           ") GROUP BY window_start, window_end;"
#define KEYED(window)                                                                              \
    .sql = "SELECT window_start, k, " AGGREGATES " FROM TABLE(" window                             \
           ") GROUP BY window_start, window_end, k;"
#define TEN_SECONDS "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)"
#define PEER_KEYED(us)                                                                             \
    .peer = "SELECT c2 // " us " * " us " AS w, c0 AS k, count(*) AS n, sum(c1) AS s, "            \
            "min(c1) AS a, max(c1) AS b FROM t GROUP BY w, k"
#define DETAIL(...)                                                                                \
    .fill = fill, .answer = answer, .detail = &(const struct windowed)                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define MILLIONS20 .group = "memory", .rows = 20000000

const struct bench_workload bench_memory_workloads[] =
    {{.name = "unkeyed",
      .what = "10 s windows, no key",
      MILLIONS20,
      UNKEYED(TEN_SECONDS),
      DETAIL(KEYS_NONE, 1, 0, TUMBLE, 10000, 10000, 0),
      .peer = "SELECT c2 // 10000000 * 10000000 AS w, count(*) AS n, sum(c1) AS s, min(c1) AS a, "
              "max(c1) AS b FROM t GROUP BY w"},
     {.name = "dense100",
      .what = "10 s windows, 100 keys from 0",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_DENSE, 100, 0, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "random10k",
      .what = "10 s windows, 10,000 random 64-bit keys",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_SPREAD, 10000, 0, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "dense10k",
      .what = "10 s windows, 10,000 keys from 0",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_DENSE, 10000, 0, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "zipf10k",
      .what = "10 s windows, 10,000 keys, Zipf 1.1",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_SPREAD, 10000, 1.1, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "random1m",
      .what = "10 s windows, 1,000,000 random 64-bit keys",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_SPREAD, KEYS_MAX, 0, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "zipf1m",
      .what = "10 s windows, 1,000,000 keys, Zipf 1.1",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_SPREAD, KEYS_MAX, 1.1, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000")},
     {.name = "text10k",
      .what = "10 s windows, 10,000 texts as keys",
      MILLIONS20,
      KEYED(TEN_SECONDS),
      DETAIL(KEYS_TEXT, 10000, 0, TUMBLE, 10000, 10000, 0),
      PEER_KEYED("10000000"),
      .peer_setup = "CREATE OR REPLACE TABLE t AS SELECT 'customer-' || c0 AS c0, c1, c2 FROM t"},
     {.name = "hop2",
      .what = "windows of 10 s every 5 s, 1,000 keys",
      MILLIONS20,
      KEYED("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, HOP, 10000, 5000, 0)},
     {.name = "hop10",
      .what = "windows of 10 s every second, 1,000 keys",
      MILLIONS20,
      KEYED("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '10' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, HOP, 10000, 1000, 0)},
     {.name = "hop60",
      .what = "windows of 60 s every second, 1,000 keys",
      MILLIONS20,
      KEYED("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '60' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, HOP, 60000, 1000, 0)},
     {.name = "session",
      .what = "sessions that end with a gap of 1 s, 1,000 keys",
      MILLIONS20,
      KEYED("SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '1' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, SESSION, 1000, 1000, 0)},
     {.name = "mixed",
      .what = "1 s windows, times up to 0.8 s out of order, 1,000 keys",
      MILLIONS20,
      KEYED("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, TUMBLE, 1000, 1000, 800),
      PEER_KEYED("1000000")},
     {.name = "short",
      .what = "5 ms windows, times up to 0.8 s out of order, 1,000 keys",
      MILLIONS20,
      KEYED("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '0.005' SECOND)"),
      DETAIL(KEYS_SPREAD, 1000, 0, TUMBLE, 5, 5, 800),
      PEER_KEYED("5000")},
     {.name = "count100",
      .what = "windows of 100 rows of a key, 1,000 keys",
      MILLIONS20,
      .sql = "SELECT window_id, k, " AGGREGATES
             " FROM TABLE(TUMBLE_ROWS(TABLE t PARTITION BY k, DESCRIPTOR(ts), 100)) "
             "GROUP BY window_start, window_end, window_id, k;",
      DETAIL(KEYS_SPREAD, 1000, 0, ROWS, 100, 100, 0)},
     {.name = NULL}};
