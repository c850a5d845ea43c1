/* tools/bench_enrich.c - orders that get their customer as he was when they were given: a stream of changes in Debezium's JSON, joined
 * in time with orders in JSON lines. */
#include "tools/bench.h"

#include <inttypes.h>
#include <stdlib.h>

#define CUSTOMERS 200000u
#define DAY_US 86400000000ll

/* Of change number i: who, and which version of him it makes. The first change of a customer creates him. */
struct change {
    uint32_t customer, version;
};

struct kept {
    uint64_t changes, orders;
    struct change *change; /* in order of time: change i comes at i ms */
    uint32_t *order_of;    /* customer of each order; order k comes at k * changes / orders ms */
};

static uint32_t customers_of(uint64_t changes)
{
    return changes / 5 + 1 < CUSTOMERS ? (uint32_t)(changes / 5 + 1) : CUSTOMERS;
}

static uint64_t order_ms(const struct kept *k, uint64_t order)
{
    return order * k->changes / k->orders;
}

static void put_time(FILE *to, uint64_t ms)
{
    fprintf(to, "\"2024-05-01 %02u:%02u:%02u.%03u\"", (unsigned)(ms / 3600000),
            (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
}

static void put_customer(FILE *to, uint32_t customer, uint32_t version, uint64_t ms)
{
    fprintf(to,
            "{\"id\":%u,\"name\":\"customer number %u\",\"city\":\"city %u\",\"level\":%u,"
            "\"changed\":",
            customer, customer, (customer + version) % 1000, version);
    put_time(to, ms);
    fputc('}', to);
}

/* Also of the change before: each customer's. */
static void put_changes(FILE *to, const struct kept *k, uint64_t *last)
{
    for (uint64_t i = 0; i < k->changes; i++) {
        const struct change c = k->change[i];

        fputs("{\"before\":", to);
        if (c.version == 0)
            fputs("null", to);
        else
            put_customer(to, c.customer, c.version - 1, last[c.customer]);
        fputs(",\"after\":", to);
        put_customer(to, c.customer, c.version, i);
        fprintf(to,
                ",\"source\":{\"version\":\"2.7\",\"connector\":\"postgresql\",\"name\":\"shop\","
                "\"ts_ms\":%" PRIu64
                ",\"db\":\"shop\",\"schema\":\"public\",\"table\":\"customers\","
                "\"lsn\":%" PRIu64 "},\"op\":\"%s\",\"ts_ms\":%" PRIu64 "}\n",
                i, 1000 * i, c.version == 0 ? "c" : "u", i);
        last[c.customer] = i;
    }
}

static void put_orders(FILE *to, const struct kept *k)
{
    for (uint64_t i = 0; i < k->orders; i++) {
        fprintf(to, "{\"order_id\":%" PRIu64 ",\"customer_id\":%u,\"amount\":%u,\"ordered\":", i,
                k->order_of[i], (unsigned)(i % 997));
        put_time(to, order_ms(k, i));
        fputs("}\n", to);
    }
}

static FILE *create(const struct bench_data *data, const char *name)
{
    char *path = NULL;
    FILE *to;

    if (asprintf(&path, "%s/%s", data->folder, name) < 0)
        abort();
    to = fopen(path, "we");
    if (to == NULL)
        fprintf(stderr, "millstream: bench: cannot write %s\n", path);
    free(path);
    return to;
}

static bool close_file(FILE *file)
{
    return file != NULL && fclose(file) == 0;
}

static int fill(struct bench_data *data)
{
    const uint64_t changes = data->rows < (uint64_t)DAY_US / 1000 ? data->rows : DAY_US / 1000;
    const uint64_t orders = changes * 12 / 100 + 1;
    const uint32_t customers = customers_of(changes);
    struct kept *k =
        bench_memory(sizeof *k + changes * sizeof *k->change + orders * sizeof *k->order_of);
    uint32_t *versions = calloc(customers, sizeof *versions);
    uint64_t *last = calloc(customers, sizeof *last), state = 42;
    FILE *to[2] = {create(data, "customers.json"), create(data, "orders.json")};
    bool ok = to[0] != NULL && to[1] != NULL && versions != NULL && last != NULL;

    data->kept = k;
    *k = (struct kept){changes, orders, (struct change *)(k + 1), NULL};
    k->order_of = (uint32_t *)(k->change + changes);
    for (uint64_t i = 0; ok && i < changes; i++) {
        const uint32_t c = (uint32_t)(bench_random(&state) % customers);

        k->change[i] = (struct change){c, versions[c]++};
    }
    for (uint64_t i = 0; ok && i < orders; i++)
        k->order_of[i] = (uint32_t)(bench_random(&state) % customers);
    if (ok) {
        put_changes(to[0], k, last);
        put_orders(to[1], k);
    }
    ok = close_file(to[0]) && ok;
    ok = close_file(to[1]) && ok;
    free(versions);
    free(last);
    return ok ? 0 : BENCH_EXIT_OUTPUT;
}

/* In order of time, a change before the orders of its millisecond. */
static int answer(const struct bench_data *data, struct bench_answer *a)
{
    const struct kept *k = data->kept;
    const uint32_t customers = customers_of(k->changes);
    int64_t *version = malloc(customers * sizeof *version);
    uint64_t changed = 0;

    if (version == NULL)
        abort();
    for (uint32_t c = 0; c < customers; c++)
        version[c] = -1;
    for (uint64_t i = 0; i < k->orders; i++) {
        const uint32_t c = k->order_of[i];
        struct bench_value v[5] = {{.kind = BENCH_WHOLE, .whole = (int64_t)i},
                                   {.kind = BENCH_WHOLE, .whole = (int64_t)(i % 997)}};
        char name[40], city[20];

        for (; changed < k->changes && changed <= order_ms(k, i); changed++)
            version[k->change[changed].customer] = k->change[changed].version;
        if (version[c] >= 0) {
            v[2].kind = v[3].kind = BENCH_TEXT;
            v[2].text.bytes = name;
            v[2].text.length = (uint32_t)snprintf(name, sizeof name, "customer number %u", c);
            v[3].text.bytes = city;
            v[3].text.length =
                (uint32_t)snprintf(city, sizeof city, "city %u", (c + (uint32_t)version[c]) % 1000);
            v[4] = (struct bench_value){.kind = BENCH_WHOLE, .whole = version[c]};
        }
        bench_answer_row(a, v, 5);
    }
    free(version);
    return 0;
}

const struct bench_workload bench_enrich_workloads[] =
    {{.name = "enrich",
      .group = "joins",
      .what =
          "orders (12 in 100) with the version of their customer, of changes in Debezium's JSON",
      .rows = 1000000,
      .sql = "CREATE TABLE customers (id BIGINT, name STRING, city STRING, level INT, changed "
             "TIMESTAMP(3), WATERMARK FOR changed AS changed, PRIMARY KEY (id) NOT ENFORCED) WITH "
             "('connector' = 'filesystem', 'format' = 'debezium-json', 'path' = "
             "'${DIR}/customers.json');\n"
             "CREATE TABLE orders (order_id BIGINT, customer_id BIGINT, amount BIGINT, ordered "
             "TIMESTAMP(3), WATERMARK FOR ordered AS ordered) WITH ('connector' = 'filesystem', "
             "'format' = 'json', 'path' = '${DIR}/orders.json');\n"
             "SELECT o.order_id, o.amount, c.name, c.city, c.level FROM orders o LEFT JOIN "
             "customers FOR SYSTEM_TIME AS OF o.ordered AS c ON o.customer_id = c.id;",
      .fill = fill,
      .answer = answer},
     {.name = NULL}};
