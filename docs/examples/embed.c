/* embed.c - VWAP per second over pushed trades, on the caller's own thread.
 *
 * Build: cc embed.c $(pkg-config --cflags --libs millstream)      Prints one line per second: time, symbol, volume-weighted average price. */
#include <millstream.h>

#include <stdio.h>

static const char sql[] = "CREATE TABLE trades (symbol STRING, price DOUBLE, volume BIGINT, ts "
                          "TIMESTAMP(6), WATERMARK FOR ts AS ts) "
                          "WITH ('connector' = 'memory');";
static const char query_sql[] =
    "SELECT window_start, symbol, SUM(price * volume) / SUM(volume) AS vwap "
    "FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
    "GROUP BY window_start, window_end, symbol;";

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    const int64_t *start = batch->columns[0].values;
    const struct mill_view *symbol = batch->columns[1].values;
    const double *vwap = batch->columns[2].values;

    (void)user;
    (void)query;
    for (uint32_t i = 0; i < batch->rows; i++)
        printf("%lld s %.*s %.2f\n", (long long)(start[i] / 1000000), (int)symbol[i].length,
               mill_view_data(&symbol[i]), vwap[i]);
    return 0;
}

int main(void)
{
    /* 0 s: (10 x 100 + 11 x 300) / 400 = 10.75; 1 s: 12 */
    const struct mill_view symbols[] = {{3, .inlined = "ABC"},
                                        {3, .inlined = "ABC"},
                                        {3, .inlined = "ABC"}};
    const double prices[] = {10, 11, 12};
    const int64_t volumes[] = {100, 300, 50}, times[] = {100000, 900000, 1500000};
    const struct mill_column columns[] = {{.values = symbols},
                                          {.values = prices},
                                          {.values = volumes},
                                          {.values = times}};
    const struct mill_batch batch = {.rows = 3, .column_count = 4, .columns = columns};
    const struct mill_callbacks callbacks = {.on_batch = on_batch};
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    mill_input *trades = NULL;
    mill_query *query = NULL;
    bool ended = false;
    uint32_t work;

    mill_config_init(&config);
    config.shard_count = 1;
    engine = mill_engine_open(&config, &error);
    if (engine != NULL && mill_execute(engine, sql, NULL, &error) == MILL_OK)
        trades = mill_input_open(engine, "trades", &error);
    if (trades != NULL)
        query = mill_prepare(engine, query_sql, &callbacks, &error);
    if (query != NULL && mill_push(trades, &batch, &error) == MILL_OK) {
        mill_input_end(trades);
        while (!ended && mill_turn(query, &work, &ended, &error) == MILL_OK)
            ;
    }
    if (error.code != MILL_OK)
        fprintf(stderr, "embed: %s\n", error.message);
    mill_query_close(query);
    mill_engine_close(engine);
    return error.code != MILL_OK;
}
