/* tools/bench_data.c - what workloads read: tables in memory, seeded numbers. */
#include "tools/bench.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)

void *bench_memory(size_t bytes)
{
    const size_t room = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    void *memory = aligned_alloc(HUGE_BYTES, room > 0 ? room : HUGE_BYTES);

    if (memory == NULL) {
        fprintf(stderr, "millstream: bench: no memory for %zu MB of data; try a smaller --rows\n",
                bytes >> 20);
        exit(mill_exit_code(MILL_E_MEMORY));
    }
    if (bytes >= HUGE_BYTES)
        madvise(memory, room, MADV_HUGEPAGE);
    return memory;
}

bool bench_number(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1}, {"k", 1000}, {"K", 1000}, {"m", 1000000}, {"M", 1000000}};
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (end == text || errno != 0 || text[0] == '-')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0 && *out <= UINT64_MAX / units[i].factor) {
            *out *= units[i].factor;
            return true;
        }
    return false;
}

uint64_t bench_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Ranks by inversion of the cumulated harmonic sums. */
void bench_zipf(uint32_t *ranks, uint32_t rows, uint32_t count, double exponent, uint64_t *state)
{
    double *upto = bench_memory(count * sizeof *upto), total = 0;

    for (uint32_t k = 0; k < count; k++)
        upto[k] = total += pow(k + 1, -exponent);
    for (uint32_t i = 0; i < rows; i++) {
        const double u = (double)bench_random(state) / 2147483648.0 * total;
        uint32_t low = 0, high = count - 1;

        while (low < high) {
            const uint32_t middle = (low + high) / 2;

            if (upto[middle] < u)
                low = middle + 1;
            else
                high = middle;
        }
        ranks[i] = low;
    }
    free(upto);
}

struct mill_view bench_text(const char *text)
{
    struct mill_view view = {.length = (uint32_t)strlen(text)};

    if (view.length <= sizeof view.inlined) {
        memcpy(view.inlined, text, view.length);
    } else {
        memcpy(view.far.prefix, text, sizeof view.far.prefix);
        view.far.data = text;
    }
    return view;
}

static size_t width_of(char kind)
{
    switch (kind) {
    case 'b': return 1;
    case 'i':
    case 'f': return 4;
    case 's': return sizeof(struct mill_view);
    default: return 8;
    }
}

struct bench_table *bench_table_add(struct bench_data *data, const char *name, const char *columns,
                                    const char *kinds, uint32_t rows)
{
    struct bench_table *t;

    if (data->table_count == BENCH_TABLES_MAX || strlen(kinds) > BENCH_COLUMNS_MAX) {
        fprintf(stderr, "millstream: bench: %s: too many tables or columns\n", name);
        exit(BENCH_EXIT_WRONG);
    }
    t = &data->tables[data->table_count++];
    *t = (struct bench_table){.name = name, .columns = columns, .rows = rows, .repeat = 1};
    snprintf(t->kinds, sizeof t->kinds, "%s", kinds);
    t->column_count = (uint32_t)strlen(kinds);
    t->column_list = calloc(t->column_count, sizeof *t->column_list);
    t->batches = calloc(1, sizeof *t->batches);
    if (t->column_list == NULL || t->batches == NULL)
        abort();
    for (uint32_t c = 0; c < t->column_count; c++) {
        t->bytes[c] = width_of(kinds[c]) * rows;
        t->memory[c] = bench_memory(t->bytes[c]);
        t->codes[c] = kinds[c] == 's' ? bench_memory(sizeof(uint32_t) * (size_t)rows) : NULL;
        t->column_list[c].values = t->memory[c];
    }
    t->batches[0] = (struct mill_batch){.rows = rows,
                                        .column_count = t->column_count,
                                        .columns = t->column_list};
    t->batch_count = 1;
    return t;
}

void *bench_column(struct bench_table *table, uint32_t index)
{
    return table->memory[index];
}

void bench_table_replay(struct bench_data *data, struct bench_table *table, uint32_t column,
                        int64_t advance)
{
    table->repeat = (uint32_t)(data->rows / table->rows);
    table->time_column = column;
    table->advance = advance;
    data->rows = (uint64_t)table->repeat * table->rows;
}

int64_t bench_time(const struct bench_table *table, uint32_t column, uint64_t row)
{
    return ((const int64_t *)table->memory[column])[row % table->rows] +
           (int64_t)(row / table->rows) * table->advance;
}

uint32_t *bench_codes(struct bench_table *table, uint32_t index)
{
    return table->codes[index];
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char *inside = NULL;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            asprintf(&inside, "%s/%s", path, entry->d_name) < 0)
            continue;
        if (unlink(inside) != 0 && (errno == EISDIR || errno == EPERM))
            remove_folder(inside);
        free(inside);
    }
    if (folder != NULL)
        closedir(folder);
    rmdir(path);
}

void bench_data_close(struct bench_data *data)
{
    for (uint32_t i = 0; i < data->table_count; i++) {
        struct bench_table *t = &data->tables[i];

        for (uint32_t c = 0; c < t->column_count; c++) {
            free(t->memory[c]);
            free(t->codes[c]);
        }
        free(t->column_list);
        free(t->batches);
    }
    free(data->kept);
    free(data->source);
    if (data->folder != NULL)
        remove_folder(data->folder);
    free(data->folder);
    *data = (struct bench_data){0};
}
