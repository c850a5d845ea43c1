/* tools/gen.c - millstream gen nexmark | datagen: the connectors of these names written to a file.
 *
 * NEXMark events are Flink's nested table in JSON and columnar files, a flat one in CSV, which holds no ROWs, unless --columns
 * names those of the connector that are wanted.
 */
#include "tools/gen.h"

#include "core/millstream.h"
#include "tools/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 64

static const char flat_columns[] =
    "event_type INT, person_id BIGINT, person_name STRING, person_city STRING, person_state "
    "STRING, "
    "auction_id BIGINT, auction_seller BIGINT, auction_category BIGINT, bid_auction BIGINT, "
    "bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, bid_url STRING, dateTime "
    "TIMESTAMP(3)";
static const char nested_columns[] =
    "event_type INT, "
    "person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, "
    "state STRING, dateTime TIMESTAMP(3), extra STRING>, "
    "auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, "
    "reserve BIGINT, dateTime TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, "
    "extra STRING>, "
    "bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, "
    "dateTime TIMESTAMP(3), extra STRING>";

struct gen {
    const char *rows, *seed, *rate, *format, *out, *columns;
    const char *settings[64]; /* datagen: fields.id.min=1 */
    unsigned setting_count;
    char *sql;
    size_t length, capacity;
};

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "millstream: %s%s%s; millstream help shows how it is called\n", what,
            value != NULL ? " " : "", value != NULL ? value : "");
    return EXIT_USAGE;
}

static bool is_number(const char *text)
{
    char *end;

    errno = 0;
    strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && text[0] != '-';
}

static void put(struct gen *g, const char *text, size_t n)
{
    if (g->length + n + 1 > g->capacity) {
        g->capacity = (g->capacity + n) * 2 + 1024;
        g->sql = realloc(g->sql, g->capacity);
        if (g->sql == NULL)
            abort();
    }
    memcpy(g->sql + g->length, text, n);
    g->length += n;
    g->sql[g->length] = '\0';
}

static void add(struct gen *g, const char *text)
{
    put(g, text, strlen(text));
}

/* As an SQL string. */
static void add_quoted(struct gen *g, const char *text, size_t length)
{
    add(g, "'");
    for (size_t i = 0; i < length; i++)
        put(g, text[i] == '\'' ? "''" : text + i, text[i] == '\'' ? 2 : 1);
    add(g, "'");
}

static void add_option(struct gen *g, const char *key, const char *value)
{
    add(g, ", ");
    add_quoted(g, key, strlen(key));
    add(g, " = ");
    add_quoted(g, value, strlen(value));
}

static int run(struct gen *g)
{
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    int code = MILL_OK;

    mill_config_init(&config);
    engine = mill_engine_open(&config, &error);
    if (engine == NULL || mill_execute(engine, g->sql, NULL, &error) != MILL_OK) {
        fprintf(stderr, "millstream: gen: %s\n", error.message);
        code = mill_exit_code(error.code);
    }
    mill_engine_close(engine);
    free(g->sql);
    return code;
}

static int read_options(struct gen *g, int count, char **args, bool nexmark)
{
    for (int i = 1; i < count; i += 2) {
        const char **to = strcmp(args[i], "--seed") == 0                ? &g->seed
                          : strcmp(args[i], "--format") == 0            ? &g->format
                          : strcmp(args[i], "--out") == 0               ? &g->out
                          : nexmark && strcmp(args[i], "--events") == 0 ? &g->rows
                          : nexmark && strcmp(args[i], "--rate") == 0   ? &g->rate
                          : !nexmark && strcmp(args[i], "--rows") == 0  ? &g->rows
                          : strcmp(args[i], "--columns") == 0           ? &g->columns
                                                                        : NULL;

        if (to == NULL && (nexmark || strcmp(args[i], "--set") != 0))
            return usage(nexmark ? "gen nexmark has no option" : "gen datagen has no option",
                         args[i]);
        if (i + 1 == count)
            return usage("a value is missing behind", args[i]);
        if (to != NULL)
            *to = args[i + 1];
        else if (g->setting_count == 64 || strchr(args[i + 1], '=') == NULL)
            return usage("--set needs KEY=VALUE (64 times at most), not", args[i + 1]);
        else
            g->settings[g->setting_count++] = args[i + 1];
    }
    if (g->out == NULL || g->rows == NULL || (!nexmark && g->columns == NULL))
        return usage(nexmark ? "gen nexmark needs --events N and --out FILE"
                             : "gen datagen needs --rows N, --columns 'a INT, ...' and --out FILE",
                     NULL);
    if (!is_number(g->rows) || !is_number(g->seed) || !is_number(g->rate))
        return usage("a number is needed, not", !is_number(g->rows)   ? g->rows
                                                : !is_number(g->seed) ? g->seed
                                                                      : g->rate);
    return 0;
}

/* Told by the name, if not by --format; a name without an extension is CSV. */
static int find_format(struct gen *g)
{
    const char *slash = strrchr(g->out, '/'), *name = slash != NULL ? slash + 1 : g->out;

    if (g->format != NULL)
        return 0;
    g->format = strchr(name, '.') != NULL ? format_of(name) : "csv";
    if (g->format != NULL)
        return 0;
    return usage("the name tells no format (.csv, .txt, .tsv, .json, .jsonl, .ndjson, .mcol, with "
                 ".gz or .zst behind it): give --format for",
                 g->out);
}

int gen_main(int count, char **args)
{
    struct gen g = {.seed = "1", .rate = "10000"};
    const bool nexmark = count > 0 && strcmp(args[0], "nexmark") == 0;
    int code;

    if (!nexmark && (count < 1 || strcmp(args[0], "datagen") != 0))
        return usage("gen makes nexmark or datagen, not", count > 0 ? args[0] : "nothing");
    code = read_options(&g, count, args, nexmark);
    if (code == 0)
        code = find_format(&g);
    if (code != 0)
        return code;
    if (g.columns == NULL)
        g.columns = strcmp(g.format, "csv") == 0 ? flat_columns : nested_columns;
    add(&g, "CREATE TABLE n (");
    add(&g, g.columns);
    add(&g, nexmark ? ") WITH ('connector' = 'nexmark'" : ") WITH ('connector' = 'datagen'");
    add_option(&g, nexmark ? "events.num" : "number-of-rows", g.rows);
    add_option(&g, "seed", g.seed);
    if (nexmark)
        add_option(&g, "rate", g.rate);
    for (unsigned i = 0; i < g.setting_count; i++) {
        const char *equals = strchr(g.settings[i], '=');

        add(&g, ", ");
        add_quoted(&g, g.settings[i], (size_t)(equals - g.settings[i]));
        add(&g, " = ");
        add_quoted(&g, equals + 1, strlen(equals + 1));
    }
    add(&g, "); CREATE TABLE f (");
    add(&g, g.columns);
    add(&g, ") WITH ('connector' = ");
    add(&g, strcmp(g.out, "-") == 0 ? "'stdout'" : "'filesystem'");
    add_option(&g, "format", g.format);
    if (strcmp(g.out, "-") != 0)
        add_option(&g, "path", g.out);
    if (strcmp(g.format, "json") == 0)
        add_option(&g, "json.encode.time-fraction-digits", "fixed");
    add(&g, "); INSERT INTO f SELECT * FROM n;");
    return run(&g);
}
