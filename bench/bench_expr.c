/* bench/bench_expr.c - expressions over a table in memory, one shard: nanoseconds per row of a query that selects or filters by one.
 *
 * usage: bench_expr [THOUSAND_ROWS [PART_OF_A_NAME]]. Rows are like NEXMark's bids. Each query's rows are first compared with what the C code
 * beside it computes, one by one; then it runs nine times. Printed: median, best and worst; "column" is what a query costs that
 * computes nothing. */
#include "core/millstream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 9

struct row {
    int64_t auction, price, at; /* at: microseconds since 1970 */
    double ratio;
    const char *channel, *url;
    bool has_note; /* note: auction, or NULL */
};

enum kind { NUMBER, BOOLEAN, REAL, DECIMAL, TEXT };

/* What a row must give. */
struct value {
    bool dropped, null;
    int64_t number; /* DECIMAL: the digits */
    double real;
    char text[200];
};

typedef void (*expected_fn)(const struct row *row, struct value *v);

/* ---- the same in C ---- */

#define EXPECT(name, ...)                                                                          \
    static void name(const struct row *r, struct value *v)                                         \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

static int64_t round_div(int64_t a, int64_t b) /* half away from zero, a >= 0 */
{
    return (a + b / 2) / b;
}

static void cut(struct value *v, const char *text, size_t length)
{
    memcpy(v->text, text, length);
    v->text[length] = '\0';
}

/* Part @index of @text between slashes; none: NULL. */
static void part(struct value *v, const char *text, int index)
{
    const char *end;

    for (; index > 0 && text != NULL; index--) {
        text = strchr(text, '/');
        text = text != NULL ? text + 1 : NULL;
    }
    v->null = text == NULL;
    if (text == NULL)
        return;
    end = strchr(text, '/');
    cut(v, text, end != NULL ? (size_t)(end - text) : strlen(text));
}

static void channel_id(struct value *v, const char *url)
{
    const char *at = strstr(url, "&channel_id=");

    v->null = at == NULL;
    if (at != NULL)
        cut(v, at + 12, strcspn(at + 12, "&"));
}

static void lower(struct value *v, const char *text)
{
    size_t i = 0;

    for (; text[i] != '\0'; i++)
        v->text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 32 : text[i]);
    v->text[i] = '\0';
}

static int known(const char *channel)
{
    static const char *const names[] = {"apple", "google", "facebook", "baidu"};
    struct value v;

    lower(&v, channel);
    for (int i = 0; i < 4; i++)
        if (strcmp(v.text, names[i]) == 0)
            return i;
    return -1;
}

static int hour(const struct row *r)
{
    return (int)(r->at / 3600000000 % 24);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

EXPECT(column, v->number = r->price)
EXPECT(plus, v->number = r->price + r->auction)
EXPECT(linear, v->number = r->price * 3 + r->auction - 7)
EXPECT(real, v->real = r->ratio * 0.908 + 1.5)
EXPECT(euros, v->number = r->price * 908)
EXPECT(quotient, v->number = r->price / 7)
EXPECT(modulo, v->number = r->auction % 123)
EXPECT(to_real, v->real = (double)r->price)
EXPECT(to_int, v->number = (int32_t)r->price)
EXPECT(from_real, v->number = (int64_t)r->ratio)
EXPECT(to_decimal, v->number = r->price * 100)
EXPECT(to_text, snprintf(v->text, sizeof v->text, "%lld", (long long)r->price))
EXPECT(nullable, v->null = !r->has_note; v->number = r->auction + 1)
EXPECT(coalesced, v->number = r->has_note ? r->auction : -1)
EXPECT(is_less, v->number = r->price < 5000)
EXPECT(both, v->number = r->price > 100 && r->auction % 2 == 0)
EXPECT(case_two, v->number = r->price > 10000 ? 2 : r->price > 100 ? 1 : 0)
EXPECT(case_text, strcpy(v->text, hour(r) >= 8 && hour(r) <= 18   ? "dayTime"
                                  : hour(r) <= 6 || hour(r) >= 20 ? "nightTime"
                                                                  : "otherTime"))
EXPECT(the_hour, v->number = hour(r))
EXPECT(the_minute, v->number = r->at / 60000000 % 60)
EXPECT(day_text, const int day = (int)(r->at / 86400000000 - 16631);
       snprintf(v->text, sizeof v->text, "2015-07-%02d", 15 + day))
EXPECT(minute_text, day_text(r, v);
       snprintf(v->text + 10, 100, " %02d:%02d", hour(r), (int)(r->at / 60000000 % 60)))
EXPECT(to_minute, v->number = r->at / 60000000 * 60000000)
EXPECT(later, v->number = r->at + 10000000)
EXPECT(lowered, lower(v, r->channel))
EXPECT(length, v->number = (int64_t)strlen(r->channel))
EXPECT(begins, v->number = strncmp(r->url, "https://www.nexmark.com/a", 25) == 0)
EXPECT(holds, v->number = strstr(r->url, "channel_id") != NULL)
EXPECT(ends, v->number = ends_with(r->url, "=77"))
EXPECT(middle, const char *q = strstr(r->url, "query");
       v->number = q != NULL && strstr(q + 5, "channel") != NULL)
EXPECT(dir3, part(v, r->url, 3))
EXPECT(extracted, channel_id(v, r->url))
EXPECT(sub, cut(v, r->url, 12))
EXPECT(joined, snprintf(v->text, sizeof v->text, "%s-%lld", r->channel, (long long)r->auction))
EXPECT(is_text, v->number = strcmp(r->channel, "Google") == 0)
EXPECT(keeps_price, v->dropped = !(r->price > 1000000); v->number = r->price)
EXPECT(keeps_range, v->dropped = !(r->price > 1000 && r->price < 50000 && r->auction > 2000);
       v->number = r->price)
EXPECT(keeps_modulo, v->dropped = r->auction % 123 != 0; v->number = r->price)
EXPECT(keeps_euros, v->dropped = !(r->price * 908 > 1000000000 && r->price * 908 < 50000000000);
       v->number = r->price * 908)
EXPECT(keeps_list, v->dropped = known(r->channel) < 0; v->number = r->price)
EXPECT(keeps_either, v->dropped = !(r->price < 200 || r->price > 1000000); v->number = r->price)
EXPECT(keeps_like, v->dropped = strstr(r->url, "channel_id") == NULL; v->number = r->price)
EXPECT(keeps_text, v->dropped = strcmp(r->channel, "Google") != 0; v->number = r->price)
EXPECT(keeps_noted, v->dropped = !(r->has_note && r->auction < 50000); v->number = r->price)
EXPECT(
    q21, channel_id(v, r->url); v->dropped = v->null && known(r->channel) < 0;
    if (known(r->channel) >= 0) {
        v->null = false;
        snprintf(v->text, sizeof v->text, "%d", known(r->channel));
    })
EXPECT(rounded, v->number = round_div(r->price * 908, 10))

#define LOW "LOWER(channel)"
#define ID "REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2)"
static const struct query {
    const char *name, *select;
    enum kind kind;
    expected_fn expected;
} queries[] = {
    {"column", "price", NUMBER, column},
    {"price + auction", "price + auction", NUMBER, plus},
    {"price * 3 + auction - 7", "price * 3 + auction - 7", NUMBER, linear},
    {"ratio * 0.908e0 + 1.5e0", "ratio * 0.908e0 + 1.5e0", REAL, real},
    {"price * 0.908 (q1)", "0.908 * price", DECIMAL, euros},
    {"DECIMAL rounded", "CAST(0.908 * price AS DECIMAL(23, 2))", DECIMAL, rounded},
    {"price / 7", "price / 7", NUMBER, quotient},
    {"MOD(auction, 123)", "MOD(auction, 123)", NUMBER, modulo},
    {"BIGINT to DOUBLE", "CAST(price AS DOUBLE)", REAL, to_real},
    {"BIGINT to INT", "CAST(CAST(price AS INT) AS BIGINT)", NUMBER, to_int},
    {"DOUBLE to BIGINT", "CAST(ratio AS BIGINT)", NUMBER, from_real},
    {"BIGINT to DECIMAL", "CAST(price AS DECIMAL(20, 2))", DECIMAL, to_decimal},
    {"BIGINT to STRING", "CAST(price AS STRING)", TEXT, to_text},
    {"note + 1, half NULL", "note + 1", NUMBER, nullable},
    {"COALESCE(note, -1)", "COALESCE(note, -1)", NUMBER, coalesced},
    {"price < 5000", "price < 5000", BOOLEAN, is_less},
    {"price > 100 AND MOD = 0", "price > 100 AND MOD(auction, 2) = 0", BOOLEAN, both},
    {"CASE of two numbers",
     "CASE WHEN price > 10000 THEN 2 WHEN price > 100 THEN 1 ELSE CAST(0 AS BIGINT) END", NUMBER,
     case_two},
    {"CASE of hours (q14)",
     "CASE WHEN HOUR(ts) >= 8 AND HOUR(ts) <= 18 THEN 'dayTime' WHEN HOUR(ts) <= 6 OR HOUR(ts) >= "
     "20 THEN 'nightTime' ELSE 'otherTime' END",
     TEXT, case_text},
    {"EXTRACT(HOUR)", "EXTRACT(HOUR FROM ts)", NUMBER, the_hour},
    {"EXTRACT(MINUTE)", "EXTRACT(MINUTE FROM ts)", NUMBER, the_minute},
    {"DATE_FORMAT day (q10)", "DATE_FORMAT(ts, 'yyyy-MM-dd')", TEXT, day_text},
    {"DATE_FORMAT minute", "DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')", TEXT, minute_text},
    {"FLOOR TO MINUTE", "FLOOR(ts TO MINUTE)", NUMBER, to_minute},
    {"ts + INTERVAL", "ts + INTERVAL '10' SECOND", NUMBER, later},
    {"LOWER", LOW, TEXT, lowered},
    {"CHAR_LENGTH", "CAST(CHAR_LENGTH(channel) AS BIGINT)", NUMBER, length},
    {"LIKE 'x%'", "url LIKE 'https://www.nexmark.com/a%'", BOOLEAN, begins},
    {"LIKE '%x%'", "url LIKE '%channel_id%'", BOOLEAN, holds},
    {"LIKE '%x'", "url LIKE '%=77'", BOOLEAN, ends},
    {"LIKE '%x%y%'", "url LIKE '%query%channel%'", BOOLEAN, middle},
    {"SPLIT_INDEX 3 (q22)", "SPLIT_INDEX(url, '/', 3)", TEXT, dir3},
    {"REGEXP_EXTRACT (q21)", ID, TEXT, extracted},
    {"SUBSTRING", "SUBSTRING(url, 1, 12)", TEXT, sub},
    {"CONCAT", "channel || '-' || CAST(auction AS STRING)", TEXT, joined},
    {"channel = 'Google'", "channel = 'Google'", BOOLEAN, is_text},
    {"WHERE price >", "price FROM t WHERE price > 1000000", NUMBER, keeps_price},
    {"WHERE three ranges", "price FROM t WHERE price > 1000 AND price < 50000 AND auction > 2000",
     NUMBER, keeps_range},
    {"WHERE MOD = 0 (q2)", "price FROM t WHERE MOD(auction, 123) = 0", NUMBER, keeps_modulo},
    {"WHERE euros (q14)",
     "0.908 * price FROM t WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000", DECIMAL,
     keeps_euros},
    {"WHERE LOWER IN", "price FROM t WHERE " LOW " IN ('apple', 'google', 'facebook', 'baidu')",
     NUMBER, keeps_list},
    {"WHERE OR", "price FROM t WHERE price < 200 OR price > 1000000", NUMBER, keeps_either},
    {"WHERE LIKE '%x%'", "price FROM t WHERE url LIKE '%channel_id%'", NUMBER, keeps_like},
    {"WHERE channel =", "price FROM t WHERE channel = 'Google'", NUMBER, keeps_text},
    {"WHERE note <", "price FROM t WHERE note < 50000", NUMBER, keeps_noted},
    {"q21",
     "CASE WHEN " LOW " = 'apple' THEN '0' WHEN " LOW " = 'google' THEN '1' WHEN " LOW
     " = 'facebook' THEN '2' WHEN " LOW " = 'baidu' THEN '3' ELSE " ID " END FROM t WHERE " ID
     " IS NOT NULL OR " LOW " IN ('apple', 'google', 'facebook', 'baidu')",
     TEXT, q21},
};

/* ---- the table ---- */

struct table {
    uint32_t rows;
    struct row *of;
    int64_t *auction, *price, *at, *note;
    double *ratio;
    struct mill_view *channel, *url;
    uint64_t *noted;
};

static uint64_t random_word(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static struct mill_view view_of(const char *text)
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

static void *column_of(uint32_t rows, size_t width)
{
    void *memory = calloc(rows + 64, width);

    if (memory == NULL) {
        fprintf(stderr, "bench_expr: no memory for %u rows\n", rows);
        exit(1);
    }
    return memory;
}

static void fill_row(struct table *t, uint32_t i, char *text, uint64_t *state)
{
    static const char *const names[] = {"Google", "Facebook", "Baidu", "Apple"};
    const uint64_t channel = random_word(state);
    struct row *r = &t->of[i];

    r->auction = 1000 + (int64_t)(random_word(state) % 100000);
    r->price = (int64_t)(100 * pow(10, 6 * ((double)random_word(state) / 2147483648.0)));
    r->at =
        1436918400000000 + (int64_t)i * 257 * 1000; /* 2015-07-15, three days in a million rows */
    r->ratio = (double)random_word(state) / 1000.0;
    r->has_note = random_word(state) % 2 == 0;
    r->channel = names[channel % 4];
    if (channel % 8 >= 4) {
        r->channel = text;
        text += sprintf(text, "channel-%u", (unsigned)(channel >> 8) % 10000) + 1;
    }
    r->url = text;
    sprintf(text, "https://www.nexmark.com/%c%c%c/%c%c%c/item.htm?query=1%s%.0u",
            (char)('a' + channel % 26), (char)('a' + channel % 25), (char)('a' + channel % 24),
            (char)('a' + channel % 23), (char)('a' + channel % 22), (char)('a' + channel % 21),
            channel % 8 >= 4 ? "&channel_id=" : "",
            channel % 8 >= 4 ? (unsigned)(channel >> 8) % 10000 : 0);
    t->auction[i] = t->note[i] = r->auction;
    t->price[i] = r->price;
    t->at[i] = r->at;
    t->ratio[i] = r->ratio;
    t->channel[i] = view_of(r->channel);
    t->url[i] = view_of(r->url);
    t->noted[i / 64] |= (uint64_t)r->has_note << i % 64;
}

static struct table table_new(uint32_t rows)
{
    struct table t = {.rows = rows,
                      .of = column_of(rows, sizeof *t.of),
                      .auction = column_of(rows, 8),
                      .price = column_of(rows, 8),
                      .at = column_of(rows, 8),
                      .note = column_of(rows, 8),
                      .ratio = column_of(rows, 8),
                      .channel = column_of(rows, sizeof *t.channel),
                      .url = column_of(rows, sizeof *t.url),
                      .noted = column_of(rows, 1)};
    char *texts = column_of(rows, 120);
    uint64_t state = 42;

    for (uint32_t i = 0; i < rows; i++)
        fill_row(&t, i, texts + (size_t)i * 120, &state);
    return t;
}

/* ---- the engine ---- */

struct check {
    const struct table *table;
    const struct query *query;
    uint32_t next; /* row of the table */
    uint64_t rows;
    bool differs;
};

static bool same(const struct mill_column *c, uint32_t i, enum kind kind, const struct value *v)
{
    const bool null = c->validity != NULL && (c->validity[i / 64] >> i % 64 & 1) == 0;
    const struct mill_view *view = &((const struct mill_view *)c->values)[i];

    if (null || v->null)
        return null == v->null;
    switch (kind) {
    case NUMBER: return ((const int64_t *)c->values)[i] == v->number;
    case BOOLEAN: return ((const uint8_t *)c->values)[i] == v->number;
    case REAL: return ((const double *)c->values)[i] == v->real;
    case DECIMAL: return ((const __int128 *)c->values)[i] == v->number;
    default:
        return view->length == strlen(v->text) &&
               memcmp(mill_view_data(view), v->text, view->length) == 0;
    }
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct check *c = user;

    (void)query;
    c->rows += batch->rows;
    for (uint32_t i = 0; c->table != NULL && !c->differs && i < batch->rows; i++) {
        struct value v;

        do {
            v.dropped = v.null = false;
            if (c->next == c->table->rows)
                break;
            c->query->expected(&c->table->of[c->next++], &v);
        } while (v.dropped);
        c->differs = v.dropped || !same(&batch->columns[0], i, c->query->kind, &v);
    }
    return 0;
}

static void complain(const char *name, const struct mill_error *error)
{
    fprintf(stderr, "bench_expr: %s: %s\n", name, error->message);
    exit(1);
}

/* Seconds of one run. */
static double run(const struct table *t, const struct query *q, struct check *check)
{
    static const char ddl[] =
        "CREATE TABLE t (auction BIGINT NOT NULL, price BIGINT NOT NULL, ratio DOUBLE NOT NULL, "
        "channel STRING NOT NULL, url STRING NOT NULL, ts TIMESTAMP(3) NOT NULL, note BIGINT) "
        "WITH ('connector' = 'memory');";
    const struct mill_column columns[] = {{.values = t->auction},   {.values = t->price},
                                          {.values = t->ratio},     {.values = t->channel},
                                          {.values = t->url},       {.values = t->at},
                                          {t->note, t->noted, NULL}};
    const struct mill_batch batch = {.rows = t->rows, .column_count = 7, .columns = columns};
    const struct mill_callbacks callbacks = {.user = check, .on_batch = on_batch};
    struct mill_config config;
    struct mill_error error = {0};
    struct mill_stats stats = {0};
    mill_engine *engine;
    mill_input *input = NULL;
    mill_query *query = NULL;
    char sql[700];

    snprintf(sql, sizeof sql, "SELECT %s%s", q->select,
             strstr(q->select, "FROM t ") != NULL ? "" : " FROM t");
    mill_config_init(&config);
    config.shard_count = 1;
    engine = mill_engine_open(&config, &error);
    if (engine != NULL && mill_execute(engine, ddl, NULL, &error) == MILL_OK)
        input = mill_input_open(engine, "t", &error);
    if (input != NULL && mill_lend(input, &batch, 1, 1, &error) == MILL_OK) {
        mill_input_end(input);
        query = mill_prepare(engine, sql, &callbacks, &error);
    }
    if (query == NULL || mill_run(query, &error) != MILL_OK)
        complain(q->name, &error);
    mill_query_stats(query, &stats);
    mill_query_close(query);
    mill_engine_close(engine);
    return stats.seconds;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static bool measure(const struct table *t, const struct query *q)
{
    struct check check = {.table = t, .query = q};
    uint64_t kept = 0;
    double seconds[RUNS];
    struct value v;

    run(t, q, &check);
    for (uint32_t i = 0; i < t->rows; i++) {
        v.dropped = false;
        q->expected(&t->of[i], &v);
        kept += !v.dropped;
    }
    if (check.differs || check.rows != kept) {
        fprintf(stderr, "bench_expr: %s: row %u of the table: the answer differs\n", q->name,
                check.next - 1);
        return false;
    }
    for (int i = 0; i < RUNS; i++) {
        struct check none = {.rows = 0};

        seconds[i] = run(t, q, &none) / t->rows * 1e9;
    }
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    printf("expr, %-26s %6.2f ns a row (%.2f to %.2f)\n", q->name, seconds[RUNS / 2], seconds[0],
           seconds[RUNS - 1]);
    fflush(stdout);
    return true;
}

int main(int count, char **args)
{
    const uint32_t rows = (uint32_t)(count > 1 ? strtoul(args[1], NULL, 10) : 1000) * 1000;
    const struct table t = table_new(rows);
    bool ok = true;

    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (count < 3 || strstr(queries[i].name, args[2]) != NULL)
            ok = measure(&t, &queries[i]) && ok;
    return ok ? 0 : 1;
}
