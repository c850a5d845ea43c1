/* tools/bench_lightsaber.c - LightSaber's queries over its data sets, lent from memory.
 *
 * The files are no part of the project: the folder that MILL_DATA names holds them, else the workloads are skipped. Rows are looped
 * until there are enough, each time moved behind the end of the last. Values that have a fraction are kept in thousandths: sums of whole numbers
 * are exact, so that the answer can be recomputed bit by bit. Replayed, as LightSaber measures itself, a bundle that stays in the cache
 * is read again and again with times moved on: nothing of the data comes from memory.
 */
#include "tools/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE_VALUES 16 /* the first so many values of a line */
#define KEYS_MAX 4096u /* the data sets have 470 of one query at most */
#define MEANS_MAX 3
#define BUNDLE_ROWS 32768u /* of what is replayed */

struct set {
    const char *file, *table, *columns, *kinds;
    int scale;               /* of measured values, which makes them whole */
    int places[LINE_VALUES]; /* of each column in a line; the time is the first */
};
static const struct set cluster =
    {"google-cluster-data.txt",
     "task_events",
     "ts TIMESTAMP(3), job BIGINT, task BIGINT, machine BIGINT, event_type INT, user_id INT, "
     "category INT, priority INT, cpu DOUBLE, ram DOUBLE, disk DOUBLE, constraints INT, WATERMARK "
     "FOR ts AS ts",
     "lllliiiidddi",
     1000,
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};
static const struct set plugs =
    {"smartgrid-data.txt",
     "plugs",
     "ts TIMESTAMP(3), reading DOUBLE, property INT, plug INT, household INT, house INT, WATERMARK "
     "FOR ts AS ts",
     "ldiiii",
     1000,
     {0, 1, 2, 3, 4, 5}};
static const struct set positions =
    {"lrb-data-small-ht.txt",
     "positions",
     "ts TIMESTAMP(3), vehicle INT, speed DOUBLE, highway INT, lane INT, direction INT, position "
     "INT, WATERMARK FOR ts AS ts",
     "lidiiii",
     1,
     {0, 1, 2, 3, 4, 5, 6}};
static const struct set sensors =
    {"DEBS2012-small.txt",
     "sensors",
     "ts TIMESTAMP(3), mf01 DOUBLE, mf02 DOUBLE, mf03 DOUBLE, WATERMARK FOR ts AS ts",
     "lddd",
     1,
     {0, 2, 3, 4}};

/* What a query asks for, by numbers of columns. */
struct question {
    const struct set *set;
    int32_t seconds;          /* of its windows, a new one every second */
    int keys[4];              /* -1 ends them */
    int means[MEANS_MAX + 1]; /* values; -1 ends them */
    bool sum;                 /* not their mean */
    int divided;              /* this key is divided by 5280; -1: none */
    int filter, wanted;       /* only rows with this value in this column; -1: all */
    double below;             /* only results below; 0: all */
    bool replayed;
};

/* ---- the data ---- */

/* Milliseconds; RFC 3339 times from the midnight of their day. */
static int64_t time_of(const char *text)
{
    int hour, minute;
    double second;

    if (sscanf(text, "%*d-%*d-%*dT%d:%d:%lf", &hour, &minute, &second) == 3)
        return (int64_t)((hour * 60 + minute) * 60000) + (int64_t)(second * 1000);
    return strtoll(text, NULL, 10) * 1000;
}

/* Row @row of @t from a line. False: it is empty. */
static bool read_row(const struct set *s, struct bench_table *t, uint32_t row, char *line)
{
    char *values[LINE_VALUES] = {NULL}, *rest = NULL, *next = strtok_r(line, " \t\r\n", &rest);

    for (int i = 0; i < LINE_VALUES && next != NULL; i++, next = strtok_r(NULL, " \t\r\n", &rest))
        values[i] = next;
    if (values[0] == NULL)
        return false;
    ((int64_t *)bench_column(t, 0))[row] = time_of(values[0]) * 1000;
    for (uint32_t c = 1; c < t->column_count; c++) {
        const char *text = values[s->places[c]] != NULL ? values[s->places[c]] : "0";

        if (s->kinds[c] == 'd')
            ((double *)bench_column(t, c))[row] = round(strtod(text, NULL) * s->scale);
        else if (s->kinds[c] == 'i')
            ((int32_t *)bench_column(t, c))[row] = (int32_t)strtoll(text, NULL, 10);
        else
            ((int64_t *)bench_column(t, c))[row] = strtoll(text, NULL, 10);
    }
    return true;
}

/* From one time that the first @count rows are read to the next: a second behind the last. */
static int64_t span_of(const struct bench_table *t, uint32_t count)
{
    const int64_t *times = t->memory[0], second = 1000000;

    return times[count - 1] / second * second - times[0] / second * second + second;
}

/* The @count rows that were read again and again. */
static void loop_rows(struct bench_table *t, uint32_t count)
{
    int64_t *times = bench_column(t, 0);
    const int64_t span = span_of(t, count);

    for (uint32_t row = count; row < t->rows; row++) {
        times[row] = times[row - count] + span;
        for (uint32_t c = 1; c < t->column_count; c++) {
            const size_t width = t->bytes[c] / t->rows;
            char *values = t->memory[c];

            memcpy(values + row * width, values + (row - count) * width, width);
        }
    }
}

static int fill_set(struct bench_data *data)
{
    const struct question *q = data->workload->detail;
    const struct set *s = q->set;
    const uint32_t rows =
        q->replayed && data->rows > BUNDLE_ROWS ? BUNDLE_ROWS : (uint32_t)data->rows;
    const char *folder = getenv("MILL_DATA");
    char path[4200], *line = NULL;
    struct bench_table *t;
    size_t room = 0;
    uint32_t count = 0;
    FILE *from;

    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "", s->file);
    from = folder != NULL ? fopen(path, "re") : NULL;
    if (from == NULL) {
        fprintf(stderr, "%s: skipped: MILL_DATA names no folder that holds LightSaber's %s\n",
                data->workload->name, s->file);
        return BENCH_SKIPPED;
    }
    t = bench_table_add(data, s->table, s->columns, s->kinds, rows);
    while (count < t->rows && getline(&line, &room, from) > 0)
        count += read_row(s, t, count, line);
    free(line);
    fclose(from);
    if (count == 0) {
        fprintf(stderr, "millstream: bench: there is no row in %s\n", path);
        return BENCH_EXIT_NO_INPUT;
    }
    loop_rows(t, count);
    if (q->replayed)
        bench_table_replay(data, t, 0, span_of(t, t->rows));
    return 0;
}

/* ---- the recomputation: what a second brings is added, what it brought a window ago is taken away ---- */

struct cell {
    int64_t keys[4];
    int64_t count;
    int64_t sums[MEANS_MAX];
};

static int64_t whole_at(const struct bench_table *t, int column, uint32_t row)
{
    return t->kinds[column] == 'i'   ? ((const int32_t *)t->memory[column])[row]
           : t->kinds[column] == 'd' ? (int64_t)((const double *)t->memory[column])[row]
                                     : ((const int64_t *)t->memory[column])[row];
}

/* The cell of a row's key: open addressing over KEYS_MAX. */
static struct cell *cell_of(const struct question *q, const struct bench_table *t,
                            struct cell *cells, bool *used, uint32_t row)
{
    int64_t keys[4] = {0};
    uint64_t hash = 0;

    for (int k = 0; k < 4 && q->keys[k] >= 0; k++) {
        keys[k] = whole_at(t, q->keys[k], row);
        if (q->keys[k] == q->divided)
            keys[k] /= 5280;
        hash = (hash ^ (uint64_t)keys[k]) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    }
    for (uint32_t at = (uint32_t)hash % KEYS_MAX, tries = 0;; at = (at + 1) % KEYS_MAX) {
        if (tries++ == KEYS_MAX)
            abort();
        if (!used[at])
            memcpy(cells[at].keys, keys, sizeof keys);
        if (!used[at] || memcmp(cells[at].keys, keys, sizeof keys) == 0) {
            used[at] = true;
            return &cells[at];
        }
    }
}

static void take_row(const struct question *q, const struct bench_table *t, struct cell *cells,
                     bool *used, uint64_t at, int sign)
{
    const uint32_t row = (uint32_t)(at % t->rows);
    struct cell *c;

    if (q->filter >= 0 && whole_at(t, q->filter, row) != q->wanted)
        return;
    c = cell_of(q, t, cells, used, row);
    c->count += sign;
    for (int m = 0; q->means[m] >= 0; m++)
        c->sums[m] += sign * whole_at(t, q->means[m], row);
}

static void give_window(const struct question *q, const struct cell *cells, const bool *used,
                        int64_t end, struct bench_answer *a)
{
    for (uint32_t i = 0; i < KEYS_MAX; i++) {
        struct bench_value values[1 + 4 + MEANS_MAX] = {{.kind = BENCH_WHOLE, .whole = end}};
        uint32_t n = 1;
        double result = 0;

        if (!used[i] || cells[i].count == 0)
            continue;
        for (int k = 0; k < 4 && q->keys[k] >= 0; k++)
            values[n++] = (struct bench_value){.kind = BENCH_WHOLE, .whole = cells[i].keys[k]};
        for (int m = 0; q->means[m] >= 0; m++) {
            result = (double)cells[i].sums[m] / (q->sum ? 1.0 : (double)cells[i].count);
            values[n++] = (struct bench_value){.kind = BENCH_REAL, .real = result};
        }
        if (q->below == 0 || result < q->below)
            bench_answer_row(a, values, n);
    }
}

static int answer_windows(const struct bench_data *data, struct bench_answer *a)
{
    const struct question *q = data->workload->detail;
    const struct bench_table *t = &data->tables[0];
    const int64_t second = 1000000;
    const int64_t last = bench_time(t, 0, data->rows - 1) / second + q->seconds;
    struct cell *cells = calloc(KEYS_MAX, sizeof *cells);
    bool *used = calloc(KEYS_MAX, sizeof *used);
    uint64_t in = 0, out = 0;

    if (cells == NULL || used == NULL)
        abort();
    for (int64_t end = bench_time(t, 0, 0) / second + 1; end <= last; end++) {
        for (; in < data->rows && bench_time(t, 0, in) < end * second; in++)
            take_row(q, t, cells, used, in, 1);
        for (; out < in && bench_time(t, 0, out) < (end - q->seconds) * second; out++)
            take_row(q, t, cells, used, out, -1);
        give_window(q, cells, used, end * second, a);
    }
    free(cells);
    free(used);
    return 0;
}

/* ---- the table ---- */

#define ENTRY(title, file, suffix, count, text, words, again, ...)                                 \
    {                                                                                              \
        .name = "lightsaber-" file suffix, .group = "lightsaber", .rows = count, .sql_file = file, \
        .what = "LightSaber's " title ", " text words, .source = "'connector' = 'memory'",         \
        .fill = fill_set, .answer = answer_windows, .detail = &(const struct question)             \
        {                                                                                          \
            __VA_ARGS__, again                                                                     \
        }                                                                                          \
    }
#define LIGHTSABER(title, file, count, text, ...)                                                  \
    ENTRY(title, file, "", count, text, "", false, __VA_ARGS__),                                   \
        ENTRY(title, file, "-replayed", 4 * (count), text, ", replayed", true, __VA_ARGS__)

const struct bench_workload bench_lightsaber_workloads[] =
    {LIGHTSABER("CM1", "cm1", 2000000, "CPU by category over 60 s every second", &cluster, 60,
                {6, -1}, {8, -1}, true, -1, -1, 0, 0),
     LIGHTSABER("CM2", "cm2", 2000000, "CPU of failed tasks by job over 60 s every second",
                &cluster, 60, {1, -1}, {8, -1}, true, -1, 4, 3, 0),
     LIGHTSABER("SG1", "sg1", 2000000, "mean load over an hour every second", &plugs, 3600, {-1},
                {1, -1}, false, -1, -1, 0, 0),
     LIGHTSABER("SG2", "sg2", 200000, "mean load by plug over 128 s every second", &plugs, 128,
                {3, 4, 5, -1}, {1, -1}, false, -1, -1, 0, 0),
     LIGHTSABER("LRB1", "lrb1", 200000, "slow segments over 300 s every second", &positions, 300,
                {3, 5, 6, -1}, {2, -1}, false, 6, -1, 0, 40),
     LIGHTSABER("ME1", "me1", 2000000, "means of three sensors over 60 s every second", &sensors,
                60, {-1}, {1, 2, 3, -1}, false, -1, -1, 0, 0),
     {.name = NULL}};
