/* tests/simulate.c - the whole engine in one thread, in a simulated world, by seed.
 *
 *   simulate                 seeds 1 .. 300
 *   simulate FIRST COUNT     that many seeds from FIRST on
 *   simulate SEED            one seed, told at length: this replays a failure
 *
 * A seed chooses data, a query, step size, look-back D (these are part of the order) and, for the run under test, shards, batch size,
 * rings, run-ahead, round trips, the schedule (which shard makes the next turn; some are starved) and at most one kind of fault.
 * Checked: the bytes of the plain one-shard run where no fault fired; where one did, the same bytes or an error of the right kind, no
 * sink file that is half visible (after a crash of the disk too), all memory, handles and maps given back; memory within the limit;
 * progress: an idle system ends. The engine itself checks row conservation at the end of every run that ends well.
 * Rare ways through the protocol (enum probe) must all have been taken over the seeds.
 * Exit 0, 1 (a seed failed; the last line says how to replay it). */
#include "core/engine.h"
#include "core/shard/job.h"
#include "core/values.h"
#include "tests/sim_env.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* ---- queries ---- */

#define COLUMNS "(k INT, s STRING, v INT, d DOUBLE, ts TIMESTAMP(3), "
#define MARK "WATERMARK FOR ts AS ts - INTERVAL '2' SECOND)"
#define CSV "'connector' = 'filesystem', 'format' = 'csv', 'path' = "
#define TABLE_A "CREATE TABLE a " COLUMNS MARK " WITH (" CSV "'/in/a.csv', 'on-error' = 'skip');"
#define TABLE_Z "CREATE TABLE z " COLUMNS MARK " WITH (" CSV "'/in/z.csv.gz', 'on-error' = 'skip');"
#define TABLE_U "CREATE TABLE u " COLUMNS MARK " WITH (" CSV "'/in/u', 'on-error' = 'skip');"
#define TABLE_L                                                                                    \
    "CREATE TABLE l " COLUMNS MARK " WITH (" CSV                                                   \
    "'/in/a.csv', 'on-error' = 'dead-letter', 'dead-letter.path' = '/out/dead');"
#define TABLE_F "CREATE TABLE f " COLUMNS MARK " WITH (" CSV "'/in/a.csv');"
#define TABLE_N                                                                                    \
    "CREATE TABLE n (event_type INT, dateTime TIMESTAMP(3), bid_auction BIGINT, bid_price BIGINT," \
    " WATERMARK FOR dateTime AS dateTime - INTERVAL '1' SECOND)"                                   \
    " WITH ('connector' = 'nexmark', 'events.num' = '3000');"
#define SINK(name, columns) "CREATE TABLE " name " (" columns ") WITH (" CSV "'/out/" name ".csv');"
#define TUMBLE(t) "FROM TABLE(TUMBLE(TABLE " t ", DESCRIPTOR(ts), INTERVAL '10' SECOND))"
#define HOP(t)                                                                                     \
    "FROM TABLE(HOP(TABLE " t ", DESCRIPTOR(ts), INTERVAL '3' SECOND, INTERVAL '9' SECOND))"
#define ENDS " GROUP BY window_start, window_end"

static const struct query {
    const char *name, *sql;
} queries[] = {
    {"calc", TABLE_A "SELECT k + v, UPPER(s), d, ts FROM a WHERE v > 3 AND s <> 'x'"},
    {"calc over files", TABLE_U "SELECT k, s, v, ts FROM u WHERE k <> 2"},
    {"tumble",
     TABLE_A "SELECT window_start, window_end, k, COUNT(*), SUM(v), MIN(s), MAX(d) " TUMBLE("a")
         ENDS ", k"},
    {"tumble by text",
     TABLE_Z "SELECT window_start, s, COUNT(*), SUM(d), AVG(v) " TUMBLE("z") ENDS ", s"},
    {"hop", TABLE_U "SELECT window_start, window_end, k, COUNT(*), SUM(d), COUNT(DISTINCT v) " HOP(
                "u") ENDS ", k"},
    {"cumulate", TABLE_A "SELECT window_start, window_end, s, SUM(v), FIRST_VALUE(d), "
                         "LAST_VALUE(v) FROM TABLE(CUMULATE(TABLE a, "
                         "DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND))" ENDS ", s"},
    {"session", TABLE_U "SELECT window_start, window_end, k, COUNT(*), SUM(v), LISTAGG(s) FROM "
                        "TABLE(SESSION(TABLE u PARTITION BY k, "
                        "DESCRIPTOR(ts), INTERVAL '3' SECOND))" ENDS ", k"},
    {"no key", TABLE_U "SELECT window_start, COUNT(*), SUM(d), STDDEV_POP(v) " TUMBLE("u") ENDS},
    {"rows with windows", TABLE_A "SELECT window_start, k, v " HOP("a")},
    {"group", TABLE_U "SELECT k, s, COUNT(*), SUM(v), MAX(ts), SUM(d) FROM u GROUP BY k, s"},
    {"distinct", TABLE_Z "SELECT DISTINCT k, s FROM z"},
    {"two exchanges",
     TABLE_A "CREATE VIEW c AS SELECT window_time AS ts, k, COUNT(*) AS n, SUM(d) AS d " TUMBLE(
         "a") " GROUP BY window_start, window_end, window_time, k;"
              "SELECT window_end, n, COUNT(*), SUM(d), MAX(k) FROM TABLE(TUMBLE(TABLE c, "
              "DESCRIPTOR(ts), "
              "INTERVAL '30' SECOND))" ENDS ", n"},
    {"three exchanges",
     TABLE_U "CREATE VIEW c AS SELECT window_time AS ts, k, s, COUNT(*) AS n, SUM(d) AS d " HOP(
         "u") " GROUP BY window_start, window_end, window_time, k, s;"
              "CREATE VIEW e AS SELECT window_time AS ts, s, MAX(n) AS n, SUM(d) AS d FROM "
              "TABLE(TUMBLE(TABLE c, "
              "DESCRIPTOR(ts), INTERVAL '9' SECOND)) GROUP BY window_start, window_end, "
              "window_time, s;"
              "SELECT window_end, n, SUM(d), LISTAGG(s) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), "
              "INTERVAL '27' SECOND))" ENDS ", n"},
    {"union", TABLE_A TABLE_Z
     "SELECT k, v, ts FROM a WHERE v > 2 UNION ALL SELECT k, v, ts FROM z WHERE v < 5"},
    {"union in a window",
     TABLE_A TABLE_U "CREATE VIEW w AS SELECT k, v, ts FROM a UNION ALL SELECT k, v, ts FROM u;"
                     "SELECT window_end, k, COUNT(*), SUM(v) " TUMBLE("w") ENDS ", k"},
    {"values",
     "SELECT a, b || 'x' FROM (VALUES (1, 'p'), (2, 'q'), (3, CAST(NULL AS STRING))) AS t(a, b)"},
    {"nexmark", TABLE_N
     "SELECT window_start, bid_auction, COUNT(*), MAX(bid_price) FROM TABLE(TUMBLE(TABLE n, "
     "DESCRIPTOR(dateTime), INTERVAL '1' SECOND)) WHERE event_type = 2" ENDS ", bid_auction"},
    {"dead letters", TABLE_L "SELECT window_end, k, SUM(v) " TUMBLE("l") ENDS ", k"},
    {"computed, dead letters",
     TABLE_L SINK("one", "q INT, s STRING") "INSERT INTO one SELECT v / k, s FROM l"},
    {"a bad row stops", TABLE_F "SELECT window_end, k, SUM(v) " TUMBLE("f") ENDS ", k"},
    {"sink",
     TABLE_U SINK("one", "e TIMESTAMP(3), k INT, n BIGINT") "INSERT INTO one SELECT window_end, k, "
                                                            "COUNT(*) " HOP("u") ENDS ", k"},
    {"sinks", TABLE_U TABLE_A SINK("one", "e TIMESTAMP(3), k INT, n BIGINT, d DOUBLE")
                  SINK("two", "k INT, s STRING")
                      SINK("three", "s STRING, n BIGINT") "EXECUTE STATEMENT SET BEGIN "
                                                          "INSERT INTO one SELECT window_end, k, "
                                                          "COUNT(*), SUM(d) " TUMBLE("u") ENDS
     ", k;"
     "INSERT INTO two SELECT k, s FROM u WHERE v > 4;"
     "INSERT INTO three SELECT s, COUNT(*) FROM a GROUP BY s; END"},
    {"late rows", TABLE_U
     "CREATE TABLE late (k INT, s STRING, v INT, d DOUBLE, ts TIMESTAMP(3), late_watermark "
     "TIMESTAMP(3), "
     "late_reason STRING) WITH (" CSV
     "'/out/late.csv');" SINK("one", "e TIMESTAMP(3), k INT, n BIGINT") "INSERT INTO one SELECT "
                                                                        "window_end, k, "
                                                                        "COUNT(*) " TUMBLE("u") ENDS
     ", k LATE DATA INTO late"},
    {"windows by count", TABLE_U
     "SELECT k, window_id, COUNT(*), SUM(d), LISTAGG(s) FROM TABLE(TUMBLE_ROWS(TABLE u PARTITION "
     "BY k, "
     "DESCRIPTOR(ts), 5, INTERVAL '4' SECOND)) GROUP BY window_start, window_end, window_id, k"},
    {"hops by count",
     TABLE_A "SELECT k, window_id, SUM(v), FIRST_VALUE(s) FROM TABLE(HOP_ROWS(TABLE a PARTITION BY "
             "k, DESCRIPTOR(ts), 2, 5)) GROUP BY window_start, window_end, window_id, k"},
    {"print", TABLE_A "CREATE TABLE p (k INT, n BIGINT) WITH ('connector' = 'print');"
                      "INSERT INTO p SELECT k, COUNT(*) FROM a GROUP BY k"},
};

/* ---- one run ---- */

struct output {
    char *text;
    size_t length, room;
};

static void put(struct output *o, const char *text, size_t n)
{
    if (o->length + n + 1 > o->room) {
        o->room = (o->length + n + 1) * 2;
        o->text = realloc(o->text, o->room);
    }
    if (n > 0)
        memcpy(o->text + o->length, text, n);
    o->text[o->length += n] = '\0';
}

struct run {
    struct sim *sim;
    struct mill_config config;
    uint64_t schedule; /* 0: all shards in turn */
    uint64_t stop_turn, abandon_turn, crash_turn;
    bool drain, receiver_stops;
    const struct output *reference; /* for crashes */
    /* results */
    int code;
    bool prepared, ended;
    struct mill_error error;
    struct output out;
    const struct mill_schema *schema;
    uint64_t turns, probes[PROBE_COUNT];
};

static bool loud;
static uint64_t seed_now;
static const struct sim *sim_now;
static const char *query_now;
static char complaint[2048];

static bool complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(complaint, sizeof complaint, format, args);
    va_end(args);
    return false;
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct run *run = user;
    const struct mill_schema *schema = mill_query_schema(query);
    char text[8192];

    for (uint32_t r = 0; r < batch->rows; r++) {
        for (uint32_t c = 0; c < batch->column_count; c++) {
            const struct column column = {.values = (void *)batch->columns[c].values,
                                          .validity = (uint64_t *)batch->columns[c].validity};
            const size_t n = value_text(&column, &schema->fields[c].type, r, text, sizeof text);

            put(&run->out, text, n);
            put(&run->out, c + 1 < batch->column_count ? "," : "\n", 1);
        }
    }
    return run->receiver_stops && run->out.length > 100;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Dead letters come in the order in which shards decode: compared as a set. */
static void put_sorted(struct output *o, const char *text, size_t size)
{
    char *copy = malloc(size + 1), *lines[8192], *at = copy;
    uint32_t n = 0;

    memcpy(copy, text, size);
    copy[size] = '\0';
    while (*at != '\0' && n < COUNT_OF(lines)) {
        lines[n++] = at;
        at += strcspn(at, "\n");
        if (*at != '\0')
            *at++ = '\0';
    }
    qsort(lines, n, sizeof *lines, by_line);
    for (uint32_t i = 0; i < n; i++) {
        put(o, lines[i], strlen(lines[i]));
        put(o, "\n", 1);
    }
    free(copy);
}

static const char *const sinks[] = {"/out/one.csv", "/out/two.csv", "/out/three.csv",
                                    "/out/late.csv"};

static void put_files(struct run *run)
{
    size_t size;
    const char *text;

    for (size_t i = 0; i < COUNT_OF(sinks); i++)
        if ((text = sim_get(run->sim, sinks[i], &size)) != NULL) {
            put(&run->out, sinks[i], strlen(sinks[i]));
            put(&run->out, "\n", 1);
            put(&run->out, text, size);
        }
    if ((text = sim_get(run->sim, "/out/dead", &size)) != NULL)
        put_sorted(&run->out, text, size);
    put(&run->out, run->sim->console, run->sim->console_size);
}

/* Every sink file that has its final name is whole. */
static bool files_whole(const struct sim *sim, const struct output *reference, const char *when)
{
    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        size_t size;
        const char *text = sim_get(sim, sinks[i], &size);
        const char *title = reference->text != NULL ? strstr(reference->text, sinks[i]) : NULL;
        const char *whole = title != NULL ? strchr(title, '\n') + 1 : NULL;

        if (text == NULL)
            continue;
        if (whole == NULL || strlen(whole) < size || memcmp(whole, text, size) != 0 ||
            (whole[size] != '\0' && whole[size] != '/' && whole[size] != '{'))
            return complain("%s: %s is visible with %zu bytes, not whole", when, sinks[i], size);
    }
    return true;
}

static bool crash_check(struct run *run)
{
    struct sim after;
    bool ok;

    sim_clone_disk(run->sim, &after);
    sim_crash(&after);
    ok = files_whole(&after, run->reference, "after a crash");
    sim_close(&after);
    return ok;
}

static void keep_probes(struct run *run, const struct job *job)
{
    if (job == NULL || job->shards == NULL)
        return;
    for (uint32_t i = 0; i < job->shard_count; i++)
        for (uint32_t p = 0; job->shards[i] != NULL && p < PROBE_COUNT; p++)
            run->probes[p] += job->shards[i]->probes[p];
}

/* Where everybody stands: for a run that makes no progress. */
static void tell_state(const struct job *job)
{
    for (uint32_t i = 0; job != NULL && loud && i < job->shard_count; i++) {
        const struct shard *shard = job->shards[i];

        printf("  shard %u: front %s step %llu%s%s, next cut %llu\n", i,
               shard->front.active ? "at" : "free",
               shard->front.entry != NULL ? (unsigned long long)shard->front.entry->step : 0,
               shard->front.ending ? " ending" : "", shard->stages[0].blocked ? " blocked" : "",
               (unsigned long long)job->next_step);
        for (uint32_t x = 1; x < job->stage_count; x++)
            printf("    stage %u: step %llu phase %d%s\n", x,
                   (unsigned long long)shard->stages[x].step, (int)shard->stages[x].phase,
                   shard->stages[x].blocked ? " blocked" : "");
        for (uint32_t e = 0; shard->in != NULL && e < job->edge_count; e++)
            for (uint32_t j = 0; j < job->shard_count; j++) {
                const struct edge_in *in = &shard->in[e * job->shard_count + j];
                const struct ring *r = &job->shards[j]->out[e].rings[i];

                printf("    edge %u from %u: step %lld head %s ended %d bound %d class %u place "
                       "%u; "
                       "ring %u\n",
                       e, j, (long long)in->step, in->head != NULL ? "yes" : "no", in->ended,
                       in->has_bound, in->bound.class_, in->bound.place, r->tail - r->head);
            }
    }
}

/* Turns in the seed's order: for a while each, one shard is starved or favoured. */
static int32_t next_shard(struct run *run, uint64_t *rng)
{
    const uint32_t n = run->config.shard_count;
    const uint64_t r = sim_random(rng);

    if (run->schedule == 0)
        return -1;
    if (r % 8 != 0)
        return (int32_t)(sim_random(rng) % n);
    return (int32_t)((run->turns >> 6) % n);
}

static bool drive(struct run *run, mill_query *query)
{
    uint64_t rng = run->schedule, idle = 0;

    while (!run->ended) {
        uint32_t work = 0;
        bool ended = false;

        if (run->turns == run->stop_turn)
            mill_stop(query, run->drain);
        if (run->turns == run->abandon_turn)
            return true;
        if (run->turns == run->crash_turn && !crash_check(run))
            return false;
        run->code = query_turn(query, next_shard(run, &rng), &work, &ended, &run->error);
        run->turns++;
        run->ended = ended || run->code != MILL_OK;
        idle = work == 0 ? idle + 1 : 0;
        if (idle > 4000ull * run->config.shard_count)
            tell_state(query_job(query));
        if (idle > 4000ull * run->config.shard_count)
            return complain("no progress: %llu turns without work after %llu",
                            (unsigned long long)idle, (unsigned long long)run->turns);
    }
    return true;
}

static bool memory_home(const struct run *run)
{
    const struct sim *sim = run->sim;

    if (sim->blocks != 0 || sim->bytes != 0 || sim->heaps != 0)
        return complain("%llu blocks of %llu bytes and %llu heaps were not given back",
                        (unsigned long long)sim->blocks, (unsigned long long)sim->bytes,
                        (unsigned long long)sim->heaps);
    if (sim->open_handles != 0 || sim->maps != 0 || sim->queues != 0)
        return complain("%u files are open, %llu are mapped after the end", sim->open_handles,
                        (unsigned long long)sim->maps);
    if (sim->starts != 0)
        return complain("a thread was started by mill_turn()");
    return true;
}

static bool run_query(struct run *run, const char *sql)
{
    const struct mill_callbacks callbacks = {.user = run, .on_batch = on_batch};
    mill_engine *engine;
    mill_query *query = NULL;
    bool ok = true;

    sim_now = run->sim;
    run->sim->traced = loud;
    run->config.env = &run->sim->env;
    engine = mill_engine_open(&run->config, &run->error);
    if (engine != NULL)
        query = mill_prepare(engine, sql, &callbacks, &run->error);
    run->code = run->error.code;
    run->prepared = query != NULL;
    if (query != NULL) {
        ok = drive(run, query);
        keep_probes(run, query_job(query));
        mill_query_close(query);
    }
    mill_engine_close(engine);
    put_files(run);
    return ok && memory_home(run);
}

/* ---- data ---- */

struct data {
    char *a, *z, *u[3];
    size_t a_size, z_size, u_size[3];
};

static void csv_rows(uint64_t *rng, uint32_t rows, bool bad, int64_t start, struct output *o)
{
    static const char *const words[] =
        {"x", "yy", "a longer word than twelve", "\"quo\"\"ted\"", "\"a,b\"", ""};
    const uint32_t keys = 1 + (uint32_t)(sim_random(rng) % 40);
    int64_t t = start;
    char line[256];

    for (uint32_t i = 0; i < rows; i++) {
        const uint64_t r = sim_random(rng);
        int64_t at;
        int n;

        t += (int64_t)(r % 400);
        at = t - (r >> 40 & 15 ? 0 : (int64_t)(sim_random(rng) % 20000)); /* some are late */
        at = at < 0 ? 0 : at;
        n = snprintf(line, sizeof line, "%u,%s,%u,%u.%02u,1970-01-01 00:%02u:%02u.%03u\n",
                     (uint32_t)(r >> 8 & 255) % keys, words[(r >> 16 & 255) % COUNT_OF(words)],
                     (uint32_t)(r >> 24 & 7), (uint32_t)(r >> 32 & 255), (uint32_t)(r >> 48) % 100,
                     (uint32_t)(at / 60000 % 60), (uint32_t)(at / 1000 % 60),
                     (uint32_t)(at % 1000));
        if (bad && sim_random(rng) % 50 == 0)
            n = snprintf(line, sizeof line, "%u,x,notanumber,1,2\n", i);
        put(o, line, (size_t)n);
    }
}

static char *gzip(const struct output *o, size_t *size)
{
    z_stream z = {0};
    char *to = malloc(o->length + 1024);

    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (unsigned char *)o->text;
    z.avail_in = (unsigned)o->length;
    z.next_out = (unsigned char *)to;
    z.avail_out = (unsigned)o->length + 1024;
    deflate(&z, Z_FINISH);
    *size = z.total_out;
    deflateEnd(&z);
    return to;
}

static void data_make(struct data *d, uint64_t *rng)
{
    struct output o = {0};
    const uint32_t rows = (uint32_t)(sim_random(rng) % 600);
    const bool bad = sim_random(rng) % 3 == 0;

    put(&o, "", 0);
    csv_rows(rng, rows, bad, 0, &o);
    d->a = o.text;
    d->a_size = o.length;
    o = (struct output){0};
    put(&o, "", 0);
    csv_rows(rng, (uint32_t)(sim_random(rng) % 300), bad, 5000, &o);
    d->z = gzip(&o, &d->z_size);
    free(o.text);
    for (uint32_t i = 0; i < 3; i++) {
        o = (struct output){0};
        put(&o, "", 0);
        csv_rows(rng, (uint32_t)(sim_random(rng) % 250), bad, (int64_t)(sim_random(rng) % 20000),
                 &o);
        d->u[i] = o.text;
        d->u_size[i] = o.length;
    }
}

static void data_free(struct data *d)
{
    free(d->a);
    free(d->z);
    for (uint32_t i = 0; i < 3; i++)
        free(d->u[i]);
}

static void world(struct sim *sim, const struct data *d, uint64_t seed)
{
    sim_open(sim, seed);
    sim_put(sim, "/in/a.csv", d->a, d->a_size);
    sim_put(sim, "/in/z.csv.gz", d->z, d->z_size);
    sim_put(sim, "/in/u/2.csv", d->u[0], d->u_size[0]);
    sim_put(sim, "/in/u/1.csv", d->u[1], d->u_size[1]);
    sim_put(sim, "/in/u/3.csv", d->u[2], d->u_size[2]);
}

/* ---- one seed ---- */

enum fault {
    FAULT_NONE,
    FAULT_ALLOC_ONCE,
    FAULT_ALLOC_ALWAYS,
    FAULT_ALLOC_SHARE,
    FAULT_FILE_ONCE,
    FAULT_FILE_ALWAYS,
    FAULT_SHORT,
    FAULT_LIMIT,
    FAULT_STOP,
    FAULT_ABANDON,
    FAULT_RECEIVER,
    FAULT_CRASH,
    FAULT_COUNT
};
static const char *const fault_names[] =
    {"none",      "allocation once", "allocations from k", "allocations by chance",
     "file once", "file always",     "short reads",        "memory limit",
     "stop",      "abandoned",       "receiver stops",     "crash"};
static uint64_t fired[FAULT_COUNT], tried[FAULT_COUNT], absorbed[FAULT_COUNT];
static uint64_t probes[PROBE_COUNT], query_runs[COUNT_OF(queries)], query_rows[COUNT_OF(queries)];
static const char *const probe_names[] = {"pool empty",         "ring full",
                                          "suspended in rows",  "suspended in a firing",
                                          "position told",      "position used",
                                          "merge waited",       "run-ahead K reached",
                                          "look-back D waited", "bytes waited for",
                                          "round trip"};
_Static_assert(COUNT_OF(probe_names) == PROBE_COUNT, "a name for each");
_Static_assert(COUNT_OF(fault_names) == FAULT_COUNT, "a name for each");

static uint64_t log_uniform(uint64_t *rng, uint64_t least, uint64_t most)
{
    uint32_t bits = 1;
    uint64_t top;

    while (bits < 63 && (least << bits) < most)
        bits++;
    top = least << (sim_random(rng) % (bits + 1));
    top = top > most ? most : top;
    return least + sim_random(rng) % (top - least + 1);
}

static void choose_order(struct mill_config *c, uint64_t *rng)
{
    mill_config_init(c);
    c->shard_count = 1;
    c->pin = false;
    c->memory_limit = 1ull << 30;
    c->step_bytes = (uint32_t)log_uniform(rng, 64, 1 << 20);
    c->step_rows = (uint32_t)log_uniform(rng, 16, 16384);
    c->look_back = (uint32_t)log_uniform(rng, 1, 64);
    c->run_ahead = c->look_back + 64;
}

static void choose_run(struct mill_config *c, uint64_t *rng)
{
    static const uint32_t shards[] = {1, 2, 2, 2, 3, 3, 4, 5, 8};

    c->shard_count = shards[sim_random(rng) % COUNT_OF(shards)];
    c->batch_rows = (uint32_t)log_uniform(rng, 1, 4096);
    c->ring_slots = 1u << sim_random(rng) % 4;
    c->run_ahead = c->look_back + (uint32_t)log_uniform(rng, 1, 64);
    c->roundtrip_seed = sim_random(rng) % 2 == 0 ? 0 : 1 + sim_random(rng) % 1000;
    if (sim_random(rng) % 4 == 0)
        c->isa = "scalar";
}

static void choose_file_fault(struct sim_faults *f, enum fault fault, uint64_t *rng,
                              const struct sim *plain)
{
    static const int codes[] = {EIO, ENOSPC, EINTR, EAGAIN};
    uint64_t ops = 0;

    /* one kind, or all */
    f->file_kinds =
        sim_random(rng) % 3 == 0 ? (1u << SIM_OPS) - 1 : 1u << sim_random(rng) % SIM_OPS;
    for (uint32_t i = 0; i < SIM_OPS; i++)
        if ((f->file_kinds >> i & 1) != 0)
            ops += plain->file_ops[i];
    f->file_at = sim_random(rng) % (ops + 1);
    f->file_always = fault == FAULT_FILE_ALWAYS;
    /* "try again" for ever is tried again for ever */
    f->file_code = codes[sim_random(rng) % (f->file_always ? 2 : COUNT_OF(codes))];
}

static void choose_fault(struct run *run, enum fault fault, uint64_t *rng, const struct sim *plain,
                         const struct run *reference)
{
    struct sim_faults *f = &run->sim->faults;
    const uint64_t allocs = plain->allocs * (run->config.shard_count > 1 ? 3 : 1);

    run->stop_turn = run->abandon_turn = run->crash_turn = UINT64_MAX;
    f->no_map = sim_random(rng) % 2 == 0;
    f->no_queue = sim_random(rng) % 2 == 0;
    run->sim->clock = (enum sim_clock)(sim_random(rng) % 4);
    switch (fault) {
    case FAULT_ALLOC_ONCE:
    case FAULT_ALLOC_ALWAYS:
        f->alloc_at = sim_random(rng) % 2 == 0 ? sim_random(rng) % (allocs + 1)
                                               : log_uniform(rng, 1, allocs + 2);
        f->alloc_always = fault == FAULT_ALLOC_ALWAYS;
        break;
    case FAULT_ALLOC_SHARE:
        f->alloc_share = (uint32_t)log_uniform(rng, 1, 8192);
        f->alloc_from = sim_random(rng) % 2 == 0 ? 0 : sim_random(rng) % (allocs + 1);
        f->alloc_until = f->alloc_from + log_uniform(rng, 1, allocs + 2);
        break;
    case FAULT_FILE_ONCE:
    case FAULT_FILE_ALWAYS: choose_file_fault(f, fault, rng, plain); break;
    case FAULT_SHORT: f->short_share = (uint32_t)log_uniform(rng, 64, 60000); break;
    case FAULT_LIMIT:
        run->config.memory_limit = log_uniform(rng, 1 << 20, (1 << 21) + plain->bytes_peak * 2);
        break;
    case FAULT_STOP:
        run->stop_turn = sim_random(rng) % (reference->turns * run->config.shard_count + 1);
        run->drain = sim_random(rng) % 2 == 0;
        break;
    case FAULT_ABANDON:
        run->abandon_turn = sim_random(rng) % (reference->turns * run->config.shard_count + 1);
        break;
    case FAULT_RECEIVER: run->receiver_stops = true; break;
    case FAULT_CRASH:
        run->crash_turn = sim_random(rng) % (reference->turns * run->config.shard_count + 1);
        break;
    default: break;
    }
}

static bool same_output(const struct output *a, const struct output *b)
{
    size_t at = 0;

    if (a->length == b->length && (a->length == 0 || memcmp(a->text, b->text, a->length) == 0))
        return true;
    while (at < a->length && at < b->length && a->text[at] == b->text[at])
        at++;
    while (at > 0 && a->text[at - 1] != '\n')
        at--;
    return complain("the output differs from the plain run at byte %zu (%zu and %zu bytes):\n  "
                    "plain: %.*s\n  here:  %.*s",
                    at, b->length, a->length, (int)strcspn(b->text + at, "\n"), b->text + at,
                    (int)strcspn(a->text + at, "\n"), a->text + at);
}

/* Which codes a fault may end a run with. */
static bool right_code(enum fault fault, const struct run *run)
{
    const int code = run->code;

    switch (fault) {
    case FAULT_ALLOC_ONCE:
    case FAULT_ALLOC_ALWAYS:
    case FAULT_ALLOC_SHARE:
    case FAULT_LIMIT: return code == MILL_E_MEMORY;
    case FAULT_FILE_ONCE:
    case FAULT_FILE_ALWAYS: return code == MILL_E_IO || code == MILL_E_NO_INPUT;
    case FAULT_STOP: return code == MILL_E_INTERRUPTED && !run->drain;
    case FAULT_RECEIVER: return code == MILL_E_INTERRUPTED;
    default: return false;
    }
}

static bool judge(enum fault fault, struct run *run, const struct run *reference)
{
    const bool expected_bad = reference->code != MILL_OK; /* the query itself fails on this data */

    if (run->abandon_turn != UINT64_MAX && !run->ended)
        return files_whole(run->sim, &reference->out, "abandoned") && crash_check(run);
    if (run->code != MILL_OK && run->error.message[0] == '\0')
        return complain("code %d without a message", run->code);
    if (run->code == MILL_OK && fault == FAULT_STOP && run->drain)
        return true; /* what was cut before has been processed */
    if (run->code == MILL_OK && !expected_bad) {
        absorbed[fault]++;
        return same_output(&run->out, &reference->out) && crash_check(run);
    }
    if (run->code == reference->code)
        return true;
    if (run->code != MILL_OK && !right_code(fault, run))
        return complain("code %d is not right for this fault: %s", run->code, run->error.message);
    if (run->code == MILL_OK)
        return complain("the plain run fails with %d, this one does not", reference->code);
    fired[fault]++;
    if (sim_find(run->sim, ".inprogress") != NULL && run->sim->file_faults == 0)
        return complain("%s was left behind", sim_find(run->sim, ".inprogress"));
    return files_whole(run->sim, &reference->out, "failed") && crash_check(run);
}

static void tell(const struct run *run, const struct query *query, enum fault fault)
{
    const struct mill_config *c = &run->config;

    printf("  query %s, fault %s: %u shards, batch %u, ring %u, K %u, D %u, step %u bytes %u rows, "
           "round trips %llu, limit %llu, "
           "alloc %llu%s, file %llu of kinds %x code %d\n",
           query->name, fault_names[fault], c->shard_count, c->batch_rows, c->ring_slots,
           c->run_ahead, c->look_back, c->step_bytes, c->step_rows,
           (unsigned long long)c->roundtrip_seed, (unsigned long long)c->memory_limit,
           (unsigned long long)run->sim->faults.alloc_at, run->sim->faults.alloc_always ? "+" : "",
           (unsigned long long)run->sim->faults.file_at, run->sim->faults.file_kinds,
           run->sim->faults.file_code);
    fflush(stdout);
}

static void tell_end(const struct run *run, const struct run *reference)
{
    printf("  plain: code %d, %zu bytes; here: code %d %s, %zu bytes after %llu turns, faults %llu "
           "%llu\n",
           reference->code, reference->out.length, run->code, run->error.message, run->out.length,
           (unsigned long long)run->turns, (unsigned long long)run->sim->alloc_faults,
           (unsigned long long)run->sim->file_faults);
}

static bool one_seed(uint64_t seed)
{
    uint64_t rng = seed * 0x9e3779b97f4a7c15ull;
    const uint32_t q = (uint32_t)(sim_random(&rng) % COUNT_OF(queries));
    const enum fault fault =
        sim_random(&rng) % 3 == 0 ? FAULT_NONE : (enum fault)(sim_random(&rng) % FAULT_COUNT);
    static struct sim plain, sim; /* large */
    struct data data;
    struct run reference = {.sim = &plain,
                            .stop_turn = UINT64_MAX,
                            .abandon_turn = UINT64_MAX,
                            .crash_turn = UINT64_MAX};
    struct run run = {.sim = &sim, .schedule = seed, .reference = &reference.out};
    bool ok;

    query_now = queries[q].name;
    data_make(&data, &rng);
    choose_order(&reference.config, &rng);
    run.config = reference.config;
    choose_run(&run.config, &rng);
    world(&plain, &data, seed);
    world(&sim, &data, seed + 1);
    if (loud)
        printf("  query %s, fault %s\n", queries[q].name, fault_names[fault]);
    ok = run_query(&reference, queries[q].sql);
    choose_fault(&run, fault, &rng, &plain, &reference);
    if (loud)
        tell(&run, &queries[q], fault);
    if (ok && !reference.prepared)
        ok = complain("the query is refused: %s", reference.error.message);
    if (ok)
        ok = run_query(&run, queries[q].sql);
    if (ok && fault == FAULT_LIMIT && sim.bytes_peak > run.config.memory_limit / 20 * 21)
        ok = complain("%llu bytes were used, the limit is %llu", (unsigned long long)sim.bytes_peak,
                      (unsigned long long)run.config.memory_limit);
    ok = ok && judge(fault, &run, &reference);
    if (!ok || loud)
        tell(&run, &queries[q], fault), tell_end(&run, &reference);
    tried[fault]++;
    query_runs[q]++;
    query_rows[q] += reference.out.length;
    for (uint32_t p = 0; p < PROBE_COUNT; p++)
        probes[p] += run.probes[p];
    free(reference.out.text);
    free(run.out.text);
    data_free(&data);
    sim_close(&plain);
    sim_close(&sim);
    return ok;
}

/* ---- all seeds ---- */

static void on_abort(int signal)
{
    char line[160];
    const int n = snprintf(line, sizeof line,
                           "simulate: seed %llu (%s) stopped the process; replay: simulate %llu\n",
                           (unsigned long long)seed_now, query_now != NULL ? query_now : "",
                           (unsigned long long)seed_now);

    if (write(2, line, (size_t)n) < 0)
        _exit(3);
    if (loud && sim_now != NULL)
        sim_tell_blocks(sim_now);
    (void)signal;
    _exit(1);
}

/* Under a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void on_death(void)
{
    on_abort(0);
}

/* With enough seeds every rare way must have been taken, every query have given rows, every fault have fired. */
static int probes_missing(uint64_t seeds)
{
    int missing = 0;

    for (uint32_t p = 0; p < PROBE_COUNT; p++) {
        printf("  %-24s %llu\n", probe_names[p], (unsigned long long)probes[p]);
        /* a pool outlasts all rings and one open batch per receiver: it may never be empty */
        if (probes[p] == 0 && seeds >= 300 && p != PROBE_POOL_EMPTY)
            missing++, printf("simulate: probe '%s' was never hit\n", probe_names[p]);
    }
    for (uint32_t f = 1; f < FAULT_COUNT; f++) {
        const bool must = f != FAULT_SHORT && f != FAULT_ABANDON && f != FAULT_CRASH;

        printf("  fault %-24s tried %llu, ended a run %llu, absorbed %llu\n", fault_names[f],
               (unsigned long long)tried[f], (unsigned long long)fired[f],
               (unsigned long long)absorbed[f]);
        if (must && fired[f] == 0 && seeds >= 300)
            missing++, printf("simulate: fault '%s' never ended a run\n", fault_names[f]);
    }
    for (uint32_t q = 0; q < COUNT_OF(queries); q++)
        if (query_rows[q] == 0 && seeds >= 300)
            missing++, printf("simulate: query '%s' never gave a row (%llu runs)\n",
                              queries[q].name, (unsigned long long)query_runs[q]);
    return missing;
}

int main(int argc, char **argv)
{
    const uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : 300;
    uint64_t failed = 0;

    loud = argc == 2;
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(on_death);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    for (seed_now = first; seed_now < first + count; seed_now++)
        if (!one_seed(seed_now)) {
            printf("simulate: seed %llu failed: %s\n  replay: simulate %llu\n",
                   (unsigned long long)seed_now, complaint, (unsigned long long)seed_now);
            if (++failed >= 20)
                break;
        }
    if (!loud)
        failed += (uint64_t)probes_missing(failed > 0 ? 0 : count);
    printf("simulate: %llu seeds, %llu failed\n", (unsigned long long)count,
           (unsigned long long)failed);
    return failed > 0;
}
