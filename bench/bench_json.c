/* bench_json.c - JSON lines to columns on one core: the decoder against simdjson's on-demand parser.
 *
 * NEXMark-like bids of about 140 bytes in memory, decoded to two shapes: all six columns, and two of six. Both sides fill
 * arrays of the same types, and their sums must be equal. Alternating runs, medians. bench_json [rows] [runs]
 */
#include "io/format.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct sums {
    uint64_t rows, numbers, bytes, times;
};
/* simdjson_shim.cc; @bytes has 64 spare bytes behind @length. @all: six columns, else price and dateTime. */
struct sums simdjson_decode(const char *bytes, size_t length, bool all);
const char *simdjson_name(void);

static double now(void) /* of this thread: others on the machine do not count */
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *make_rows(uint32_t rows, size_t *length)
{
    static const char *const channels[] = {"Google", "Facebook", "Baidu", "Apple"};
    char *bytes = malloc((size_t)rows * 200 + 64), *to = bytes;
    uint64_t z = 1;

    for (uint32_t i = 0; i < rows; i++) {
        char channel[32];

        z = z * 6364136223846793005u + 1442695040888963407u;
        if (z >> 63)
            snprintf(channel, sizeof channel, "channel-%u", (unsigned)(z >> 40) % 10000);
        else
            snprintf(channel, sizeof channel, "%s", channels[z >> 61 & 3]);
        to += sprintf(to,
                      "{\"auction\":%u,\"bidder\":%u,\"price\":%u,\"channel\":\"%s\","
                      "\"dateTime\":\"2015-07-15 %02u:%02u:%02u.%03u\",\"extra\":\"%.*s\"}\n",
                      1000 + i / 20 + (unsigned)(z >> 33) % 100,
                      1000 + i / 50 + (unsigned)(z >> 35) % 1000,
                      (unsigned)(z >> 30) % (z >> 62 ? 100000 : 10000000), channel,
                      i / 36000000 % 24, i / 600000 % 60, i / 10000 % 60, i / 10 % 1000,
                      10 + (int)(z >> 45) % 20, "abcdefghijklmnopqrstuvwxyzabcdefghij");
    }
    memset(to, 0, 64);
    *length = (size_t)(to - bytes);
    return bytes;
}

static int no_bad_rows(struct bad_rows *self, const struct bad_row *row, struct mill_error *error)
{
    (void)self;
    return mill_fail(error, MILL_E_DATA, 0, 0, "%s", row->reason);
}

static struct sums add_batch(const struct batch *b, bool all, struct sums s)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        s.numbers += (uint64_t)((const int64_t *)b->columns[2].values)[i];
        s.times += (uint64_t)((const int64_t *)b->columns[4].values)[i];
        if (!all)
            continue;
        s.numbers += (uint64_t)((const int64_t *)b->columns[0].values)[i] +
                     (uint64_t)((const int64_t *)b->columns[1].values)[i];
        s.bytes += ((const struct mill_view *)b->columns[3].values)[i].length +
                   ((const struct mill_view *)b->columns[5].values)[i].length;
    }
    s.rows += b->rows;
    return s;
}

static struct sums own_decode(struct format *format, struct heap *heap, const char *bytes,
                              size_t length, bool all)
{
    struct format_decoder *decoder = format->vtable->decoder_new(format, heap);
    struct batch *batch = batch_new(heap, 4096, 6);
    struct sums s = {0};
    struct mill_error error = {0};

    for (size_t at = 0; at < length;) {
        const size_t n = format->vtable->cut(format, at, bytes + at, length - at, 1 << 20);
        const struct format_piece piece = {.bytes = bytes + at,
                                           .length = n > 0 ? n : length - at,
                                           .file = "bench",
                                           .offset = at,
                                           .first_line = 1};
        int more = 1;

        format->vtable->begin(decoder, &piece);
        while (more == 1) {
            batch_reset(batch, 6);
            more = format->vtable->decode(decoder, batch, &error);
            if (more < 0) {
                fprintf(stderr, "%s\n", error.message);
                exit(1);
            }
            s = add_batch(batch, all, s);
        }
        at += piece.length;
    }
    batch_free(batch);
    format->vtable->decoder_free(decoder);
    return s;
}

static int ascending(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

int main(int count, char **args)
{
    static const struct mill_field fields[] =
        {{"auction", {.kind = MILL_BIGINT}},
         {"bidder", {.kind = MILL_BIGINT}},
         {"price", {.kind = MILL_BIGINT}},
         {"channel", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
         {"dateTime", {.kind = MILL_TIMESTAMP, .precision = 3}},
         {"extra", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}}};
    static const bool wanted[2][6] = {{false, false, true, false, true, false},
                                      {true, true, true, true, true, true}};
    const uint32_t rows = count > 1 ? (uint32_t)atoi(args[1]) : 1000000;
    const uint32_t runs = count > 2 ? min_u32((uint32_t)atoi(args[2]), 101) : 11;
    const struct mill_schema schema = {6, fields};
    const struct options options = {.table = "bench"};
    struct bad_rows bad = {no_bad_rows};
    struct budget budget = {.limit = 1ull << 32};
    struct heap heap;
    char why[80];
    size_t length;
    const char *bytes = make_rows(rows, &length);

    heap_open(&heap, env_real(), &budget);
    for (uint32_t all = 0; all < 2; all++) {
        struct source_config config = {.env = env_real(),
                                       .kernels = mk_select(NULL, why, sizeof why),
                                       .heap = &heap,
                                       .options = &options,
                                       .schema = &schema,
                                       .wanted = wanted[all],
                                       .bad = &bad};
        struct mill_error error = {0};
        struct format *format = NULL;
        double own[101], other[101];

        if (format_json.open(&config, &format, &error) != MILL_OK)
            return 1;
        for (uint32_t i = 0; i < runs; i++) {
            double start = now();
            const struct sums a = own_decode(format, &heap, bytes, length, all);

            own[i] = now() - start;
            start = now();
            const struct sums b = simdjson_decode(bytes, length, all);

            other[i] = now() - start;
            if (a.rows != rows || memcmp(&a, &b, sizeof a) != 0) {
                fprintf(stderr, "the sums differ: %llu and %llu rows\n", (unsigned long long)a.rows,
                        (unsigned long long)b.rows);
                return 1;
            }
        }
        qsort(own, runs, sizeof *own, ascending);
        qsort(other, runs, sizeof *other, ascending);
        printf("json, %.0f B rows, %s of 6 columns, %s: median %.2f GB/s (best %.2f, worst %.2f), "
               "%s "
               "%.2f GB/s, ratio %.2f\n",
               (double)length / rows, all ? "6" : "2", config.kernels->isa,
               (double)length / own[runs / 2] / 1e9, (double)length / own[0] / 1e9,
               (double)length / own[runs - 1] / 1e9, simdjson_name(),
               (double)length / other[runs / 2] / 1e9, other[runs / 2] / own[runs / 2]);
        format->vtable->close(format);
    }
    heap_close(&heap);
    return 0;
}
