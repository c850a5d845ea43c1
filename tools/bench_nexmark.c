/* tools/bench_nexmark.c - NEXMark's queries over the generator, their recorded answers, and NEXMark's own table.
 *
 * Into a discarding sink: what making the events costs is in each figure, q0 is the floor. Beside them stands what Flink is published to
 * reach per core, for the queries that are known from it.
 */
#include "tools/bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 10000000
#define GENERATOR "'connector' = 'nexmark', 'events.num' = '${ROWS}'"
#define QUERY(number, text)                                                                        \
    .name = "nexmark-" number, .group = "nexmark", .rows = EVENTS, .sql_file = number,             \
    .what = "NEXMark " text, .source = GENERATOR
#define NEXMARK(number, text)                                                                      \
    {                                                                                              \
        QUERY(number, number ", " text), .recorded = true                                          \
    }

/* q13's side input: a number and the number as text. */
static int fill_side_input(struct bench_data *data)
{
    char path[4200];
    FILE *to;
    bool written;

    snprintf(path, sizeof path, "%s/side_input.txt", data->folder);
    to = fopen(path, "we");
    for (int k = 0; to != NULL && k < 10000; k++)
        fprintf(to, "%d,%d\n", k, k);
    written = to != NULL && !ferror(to);
    if (to != NULL && fclose(to) == 0 && written)
        return 0;
    fprintf(stderr, "millstream: bench: cannot write %s\n", path);
    return BENCH_EXIT_OUTPUT;
}

/* q12: all bids are counted, 46 of 50 events, the first four of which are none; in which windows the clock decides. */
static int answer_bids(const struct bench_data *data, struct bench_answer *answer)
{
    const uint64_t rest = data->rows % 50;

    answer->column_count = 2;
    answer->sums[1].whole = data->rows / 50 * 46 + (rest > 4 ? rest - 4 : 0);
    return 0;
}

const struct bench_workload bench_nexmark_workloads[] =
    {NEXMARK("q0", "pass through"),
     NEXMARK("q1", "currency conversion"),
     NEXMARK("q2", "selection"),
     NEXMARK("q3", "local item suggestion"),
     NEXMARK("q4", "average price by category"),
     NEXMARK("q5", "hot items"),
     NEXMARK("q5_counts", "inner query: bids by auction, 10 s every 2 s"),
     NEXMARK("q6", "average selling price by seller"),
     NEXMARK("q7", "highest bid"),
     NEXMARK("q8", "new users"),
     NEXMARK("q9", "winning bids"),
     {.name = "nexmark-q10",
      .group = "nexmark",
      .rows = 1000000,
      .sql_file = "q10",
      .what = "NEXMark q10, log to file system",
      .source = GENERATOR,
      .recorded = true},
     NEXMARK("q11", "user sessions"),
     {QUERY("q12", "q12, windows of processing time"), .answer = answer_bids, .clock_column = 2},
     {QUERY("q13", "q13, bounded side input"), .fill = fill_side_input, .recorded = true},
     NEXMARK("q14", "calculation, with COUNT_CHAR"),
     NEXMARK("q14_builtin", "calculation, by built-in functions"),
     NEXMARK("q15", "bidding statistics"),
     NEXMARK("q16", "channel statistics"),
     NEXMARK("q17", "auction statistics"),
     NEXMARK("q18", "last bid"),
     NEXMARK("q19", "ten highest bids"),
     NEXMARK("q20", "bids with their auctions"),
     NEXMARK("q21", "channel ids"),
     NEXMARK("q22", "directories of URLs"),
     NEXMARK("q23", "bids, bidders and their auctions"),
     NEXMARK("cep_q0", "falling prices"),
     NEXMARK("cep_q1", "low averages, one behind the other"),
     NEXMARK("cep_q2", "low averages, from every bid"),
     NEXMARK("cep_q3", "price drops within 5 s"),
     {.name = NULL}};

/* ---- recorded answers ---- */

/* A line: query, events, rows, digest in 32 hexadecimal digits, what worked it out. */
static bool read_line(const char *line, const char *query, uint64_t rows,
                      struct bench_answer *answer, const char **source)
{
    static const char *const sources[] = {"oracle", "DuckDB 2.0.1"};
    uint64_t events, high, low;
    char name[32];
    int used = 0;

    if (sscanf(line, "%31s %" SCNu64 " %" SCNu64 " %16" SCNx64 "%16" SCNx64 " %n", name, &events,
               &answer->rows, &high, &low, &used) != 5 ||
        strcmp(name, query) != 0 || events != rows)
        return false;
    answer->digest = (unsigned __int128)high << 64 | low;
    *source = "recorded";
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strncmp(line + used, sources[i], strlen(sources[i])) == 0)
            *source = sources[i];
    return true;
}

bool bench_recorded(const char *query, uint64_t rows, struct bench_answer *answer,
                    const char **source)
{
    const char *at = bench_embedded("nexmark_answers");
    struct bench_answer found = {0};

    for (; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1)
        if (read_line(at, query, rows, &found, source)) {
            *answer = found;
            return true;
        }
    return false;
}

/* ---- NEXMark's table ---- */

/* Thousand events per second and core that Flink is published to reach (versions 1.13 to 2.0, 8 slots, RocksDB). */
static double published(const char *query)
{
    static const struct {
        const char *query;
        int rate;
    } known[] = {{"q0", 155},  {"q1", 158},  {"q2", 175}, {"q3", 152}, {"q4", 34},   {"q5", 22},
                 {"q7", 12},   {"q8", 146},  {"q9", 14},  {"q10", 58}, {"q11", 40},  {"q12", 76},
                 {"q13", 131}, {"q14", 161}, {"q15", 72}, {"q16", 19}, {"q17", 117}, {"q18", 54},
                 {"q19", 44},  {"q20", 19},  {"q21", 98}, {"q22", 130}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].query, query) == 0)
            return known[i].rate;
    return 0;
}

/* What is known of the answer: nothing, if only that all runs agree. */
static const char *checked_by(const struct bench_result *r)
{
    return strcmp(r->checked, "the same for all runs and shards") == 0 ? "unchecked" : r->checked;
}

/* Returns how many times the published rate; 0: there is none. */
static double print_line(const struct bench_result *r)
{
    const char *query = r->name + strlen("nexmark-");
    const double seconds = (double)r->rows / r->rate.median,
                 cpu = r->cpu.median * 1e-9 * (double)r->rows,
                 per_core = (double)r->rows / cpu / 1e3, flink = published(query);

    printf("%-12s %11" PRIu64 " %6.2f %9.3f %11.3f %12.0f", query, r->rows, cpu / seconds, seconds,
           cpu, per_core);
    if (flink > 0)
        printf(" %8.0f %7.1f", flink, per_core / flink);
    else
        printf(" %8s %7s", "", "");
    printf(" %8.0f MB  %s\n", (double)r->peak_rss_bytes / 1e6, checked_by(r));
    return flink > 0 ? per_core / flink : 0;
}

static bool is_nexmark(const struct bench_result *r)
{
    return strncmp(r->name, "nexmark-", 8) == 0 && r->cpu.median > 0;
}

static void print_table(const struct bench_report *report, uint32_t shards)
{
    double logs = 0, least = INFINITY;
    uint32_t count = 0;

    printf("\nNEXMark, %u shard%s\n%-12s %11s %6s %9s %11s %12s %8s %7s %11s  %s\n", shards,
           shards == 1 ? "" : "s", "query", "events", "cores", "time s", "cores x s", "k ev/s/core",
           "Flink's", "ratio", "peak RSS", "answer");
    for (uint32_t i = 0; i < report->count; i++) {
        const struct bench_result *r = &report->results[i];

        if (is_nexmark(r) && r->shards == shards) {
            const double ratio = print_line(r);

            count += ratio > 0;
            logs += ratio > 0 ? log(ratio) : 0;
            least = ratio > 0 && ratio < least ? ratio : least;
        }
    }
    if (count > 0)
        printf("ratio to Flink's published rate per core: geometric mean %.1f, least %.1f, of %u "
               "queries\n",
               exp(logs / count), least, count);
}

void bench_print_nexmark(const struct bench_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        bool first = is_nexmark(&report->results[i]);

        for (uint32_t k = 0; first && k < i; k++)
            first = !is_nexmark(&report->results[k]) ||
                    report->results[k].shards != report->results[i].shards;
        if (first)
            print_table(report, report->results[i].shards);
    }
}
