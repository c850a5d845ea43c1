/* tools/bench_ysb.c - the Yahoo streaming benchmark: views of ads counted by campaign in windows of 10 s, from memory.
 *
 * Of the events every third is a view, of 1,000 ads of 100 campaigns; ads are random 64-bit numbers (YSB's are UUIDs). The ads' campaigns
 * come from a file. `ysb` reads each event once; `ysb-replayed` reads a bundle that stays in the cache again and again, its
 * times moved on, as LightSaber's measurement does.
 */
#include "tools/bench.h"

#include <stdlib.h>

#define ADS 1000u
#define CAMPAIGNS 100u
#define VIEW 0
#define TIME_US 100000000ll /* of event time in all */
#define BUNDLE_ROWS 32768u

/* Several events have one time: only a later one says that no more of them will come. */
#define COLUMNS                                                                                    \
    "user_id BIGINT, page_id BIGINT, ad_id BIGINT, ad_type INT, event_type INT, "                  \
    "event_time TIMESTAMP(3), ip INT, now AS PROCTIME(), "                                         \
    "WATERMARK FOR event_time AS event_time - INTERVAL '0.001' SECOND"

static int64_t ad_of(uint64_t rank)
{
    return (int64_t)((rank + 1) * 0x9e3779b97f4a7c15ull);
}

static uint32_t campaign_of(uint64_t rank)
{
    return (uint32_t)(rank * 7 % CAMPAIGNS);
}

static int write_ads(const struct bench_data *data)
{
    char *path = NULL;
    FILE *to;

    if (asprintf(&path, "%s/ads.csv", data->folder) < 0)
        abort();
    to = fopen(path, "we");
    for (uint32_t i = 0; to != NULL && i < ADS; i++)
        fprintf(to, "%lld,%u\n", (long long)ad_of(i), campaign_of(i));
    if (to == NULL || fclose(to) != 0) {
        fprintf(stderr, "millstream: bench: cannot write %s\n", path);
        free(path);
        return BENCH_EXIT_OUTPUT;
    }
    free(path);
    return 0;
}

static int fill(struct bench_data *data)
{
    const bool replayed = data->workload->detail != NULL;
    const uint32_t rows = replayed && data->rows > BUNDLE_ROWS ? BUNDLE_ROWS : (uint32_t)data->rows;
    struct bench_table *t = bench_table_add(data, "events", COLUMNS, "llliili", rows);
    uint32_t *ranks = bench_memory((size_t)rows * sizeof *ranks);
    uint64_t state = 42;

    data->kept = ranks;
    for (uint32_t i = 0; i < rows; i++) {
        const uint64_t r = bench_random(&state), s = bench_random(&state);

        ranks[i] = (uint32_t)(r % ADS);
        ((int64_t *)bench_column(t, 0))[i] = (int64_t)(s >> 3);
        ((int64_t *)bench_column(t, 1))[i] = (int64_t)(s & 0xffff);
        ((int64_t *)bench_column(t, 2))[i] = ad_of(ranks[i]);
        ((int32_t *)bench_column(t, 3))[i] = (int32_t)(s % 5);
        ((int32_t *)bench_column(t, 4))[i] = (int32_t)(bench_random(&state) % 3);
        ((int64_t *)bench_column(t, 5))[i] =
            (int64_t)((unsigned __int128)i * TIME_US / data->rows) / 1000 * 1000;
        ((int32_t *)bench_column(t, 6))[i] = (int32_t)s;
    }
    if (replayed)
        bench_table_replay(data, t, 5, TIME_US * rows / (int64_t)data->rows / 1000 * 1000);
    return write_ads(data);
}

static int answer(const struct bench_data *data, struct bench_answer *a)
{
    const struct bench_table *t = &data->tables[0];
    const uint32_t *ranks = data->kept;
    const int32_t *types = t->memory[4];
    uint64_t counts[CAMPAIGNS] = {0};
    const int64_t size = 10000000;
    int64_t window = 0;

    for (uint64_t i = 0; i <= data->rows; i++) {
        const int64_t at = i < data->rows ? bench_time(t, 5, i) / size : INT64_MAX;

        for (uint32_t c = 0; at != window && c < CAMPAIGNS; c++) {
            const struct bench_value v[3] = {{.kind = BENCH_WHOLE, .whole = window * size},
                                             {.kind = BENCH_WHOLE, .whole = c},
                                             {.kind = BENCH_WHOLE, .whole = (int64_t)counts[c]}};

            if (counts[c] > 0)
                bench_answer_row(a, v, 3);
            counts[c] = 0;
        }
        window = at;
        if (i < data->rows && types[i % t->rows] == VIEW)
            counts[campaign_of(ranks[i % t->rows])]++;
    }
    return 0;
}

#define SQL                                                                                        \
    "CREATE TABLE ads (ad_id BIGINT, campaign_id INT) WITH ('connector' = 'filesystem', "          \
    "'format' = 'csv', 'path' = '${DIR}/ads.csv');\n"                                              \
    "CREATE VIEW views AS SELECT e.event_time, a.campaign_id FROM events e JOIN ads FOR "          \
    "SYSTEM_TIME AS OF e.now AS a ON e.ad_id = a.ad_id WHERE e.event_type = 0;\n"                  \
    "SELECT window_start, campaign_id, COUNT(*) FROM TABLE(TUMBLE(TABLE views, "                   \
    "DESCRIPTOR(event_time), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, "           \
    "campaign_id;"

const struct bench_workload bench_ysb_workloads[] =
    {{.name = "ysb",
      .group = "ysb",
      .what = "Yahoo's benchmark: views, joined with their campaigns, counted in 10 s windows",
      .rows = 20000000,
      .sql = SQL,
      .fill = fill,
      .answer = answer,
      .peer = "SELECT c5 // 10000000 * 10000000 AS w, ads.c1 AS c, count(*) AS n FROM events JOIN "
              "ads ON events.c2 = ads.c0 WHERE c4 = 0 GROUP BY w, c",
      .peer_setup = "CREATE OR REPLACE TABLE ads AS SELECT column0::BIGINT AS c0, column1::INT AS "
                    "c1 FROM read_csv('${DIR}/ads.csv', header = false)"},
     {.name = "ysb-replayed",
      .group = "ysb",
      .what = "the same, a bundle of 32,768 events read again and again, times moved on",
      .rows = 100000000,
      .sql = SQL,
      .fill = fill,
      .answer = answer,
      .detail = "replayed"},
     {.name = NULL}};
