/* tools/bench.h - millstream bench: workloads, their data, the check of their answers, results.
 *
 * A workload is one entry of a table (bench_workloads.c, and whoever is listed in bench_tables[] there): SQL, what it reads, and how
 * its answer is known. The harness (bench.c, bench_run.c) knows no operator: it prepares the SQL, runs it, checks the answer of
 * every run and reports. A new workload is a new entry and nothing else.
 *
 * Threads: one, besides the engine's own.   Errors: functions that may fail return 0 or an exit code of the command and have said
 * on stderr what is wrong.   Includes: millstream.h
 */
#ifndef MILL_BENCH_H
#define MILL_BENCH_H

#include "core/millstream.h"

#include <signal.h>
#include <stdio.h>

#define BENCH_RUNS_MAX 101
#define BENCH_SHARDS_MAX 16
#define BENCH_COLUMNS_MAX 64
#define BENCH_TABLES_MAX 8
#define BENCH_BATCHES_MAX 64

enum bench_exit {
    BENCH_EXIT_USAGE = 64,
    BENCH_EXIT_NO_INPUT = 66,
    BENCH_EXIT_WRONG = 70, /* a wrong answer */
    BENCH_EXIT_OUTPUT = 74,
    BENCH_SKIPPED = 77 /* fill() has said why: its data are not on this machine */
};

/* ---- answers ---- */

/* A value of a result row as the recomputation gives it. BOOLEAN, all whole numbers, DATE, TIME and TIMESTAMP (in their unit: µs up
 * to precision 6) are BENCH_WHOLE, also a DECIMAL (value * 10^scale) that fits; FLOAT and DOUBLE are BENCH_REAL. */
struct bench_value {
    enum { BENCH_NONE, BENCH_WHOLE, BENCH_REAL, BENCH_TEXT } kind;
    union {
        int64_t whole;
        double real;
        struct {
            const char *bytes;
            uint32_t length;
        } text;
    };
};

/* What a result is compared by; the order of its rows does not matter. Zeroed: no rows. */
struct bench_answer {
    uint64_t rows;
    unsigned __int128 digest; /* sum of the rows' XXH3 128-bit hashes */
    uint32_t column_count;    /* 0: no rows yet */
    struct {
        uint64_t whole; /* sum of whole values, of lengths of texts; modulo 2^64 */
        double real;    /* sum of reals: differs with the order of rows in its last digits */
    } sums[BENCH_COLUMNS_MAX];
};

void bench_answer_row(struct bench_answer *answer, const struct bench_value *values,
                      uint32_t count);
/* All rows of a result batch of @schema. Nested ROWs count as their fields. */
void bench_answer_batch(struct bench_answer *answer, const struct mill_schema *schema,
                        const struct mill_batch *batch);
/* Rows and a wrapping sum of all values' bits, texts by their length: for every timed run, since it costs next to nothing. */
struct bench_sum {
    uint64_t rows, bits;
};
void bench_sum_batch(struct bench_sum *sum, const struct mill_schema *schema,
                     const struct mill_batch *batch);

/* ---- data ---- */

/* A table in memory that is lent to the engine under its name. */
struct bench_table {
    const char *name, *columns;
    char kinds[BENCH_COLUMNS_MAX + 1];
    uint32_t rows, column_count, batch_count, repeat;
    uint32_t time_column; /* whose values are greater by advance each time the rows are read over */
    int64_t advance;
    struct mill_column *column_list;
    struct mill_batch *batches;
    void *memory[BENCH_COLUMNS_MAX];
    uint32_t *codes[BENCH_COLUMNS_MAX]; /* kind s: for peers, which text it is */
    size_t bytes[BENCH_COLUMNS_MAX];
};

struct bench_workload;
struct bench_data {
    const struct bench_workload *workload;
    uint64_t rows;
    char *folder; /* for files; ${DIR} in SQL. Removed with the data. */
    char *source; /* ${SOURCE}; or NULL */
    struct bench_table tables[BENCH_TABLES_MAX];
    uint32_t table_count;
    void *kept; /* of the entry's fill(), freed with the data; may be NULL */
};

/* A table of @rows rows. @columns: what stands in CREATE TABLE @name (...), with its WATERMARK; borrowed. @kinds: a letter per
 * physical column for its width: i INT, l BIGINT and TIMESTAMP, d DOUBLE, f FLOAT, b BOOLEAN, s STRING. Its memory is that of
 * bench_column(), which the caller fills. Without memory the command ends (71). */
struct bench_table *bench_table_add(struct bench_data *data, const char *name, const char *columns,
                                    const char *kinds, uint32_t rows);
/* int32_t, int64_t, double, float, uint8_t or struct mill_view [rows] of column @index. */
void *bench_column(struct bench_table *table, uint32_t index);
/* The rows are read again and again until data->rows have come (which becomes a whole number of times), the values of @column, of 8
 * bytes, greater by @advance each time. */
void bench_table_replay(struct bench_data *data, struct bench_table *table, uint32_t column,
                        int64_t advance);
/* Column @column of row @row of all rows that come: rows that are read over have times of their own. */
int64_t bench_time(const struct bench_table *table, uint32_t column, uint64_t row);
/* For peers: the number of the text in each row of a column of kind s. */
uint32_t *bench_codes(struct bench_table *table, uint32_t index);
/* @text must outlive the data. */
struct mill_view bench_text(const char *text);
/* A seeded generator: 31 random bits. */
uint64_t bench_random(uint64_t *state);
/* 0 .. count-1, rank k with a probability in proportion to (k + 1)^-exponent, into ranks[rows]. */
void bench_zipf(uint32_t *ranks, uint32_t rows, uint32_t count, double exponent, uint64_t *state);
/* Memory on huge pages where there are some; release with free(). */
void *bench_memory(size_t bytes);
/* Numbers such as 250000, 250k, 20M. */
bool bench_number(const char *text, uint64_t *out);

/* ---- workloads ---- */

struct bench;

struct bench_workload {
    const char *name, *group; /* unique; a group can be asked for by its name */
    const char *what;         /* one line */
    uint64_t rows;            /* of input, unless --rows says another number */
    /* Statements; the last one is the query that is measured, a SELECT, or an INSERT INTO ... SELECT.
     * ${ROWS} and ${DIR} stand for the number of rows and the temporary folder. */
    const char *sql;
    const char *sql_file; /* instead: the name of a file of bench/queries/, without .sql */
    /* What stands for ${SOURCE} of such a file, in WITH (...); ${SINK} is a discarding one. The rows of an INSERT INTO ... SELECT are
     * looked at in a run that is not timed, as those of its SELECT. */
    const char *source;
    /* Statements that are executed once before, e.g. to write files into ${DIR}; NULL: none. */
    const char *setup;
    /* Makes tables and files; NULL: none. Also files: data->folder. */
    int (*fill)(struct bench_data *data);
    /* Parameters for fill() and answer(); what it points to is theirs. */
    const void *detail;
    /* How the answer is known: the first of these that is there. What is used stands in the report.
     *   answer     recomputes it from the data
     *   expected   rows and digest that were worked out elsewhere, for the number of rows that stands in them
     *   recorded   the same for many numbers of rows: bench_recorded()
     *   reference  another query for the same rows, e.g. over the generator instead of a file
     *   none       the peer's answer, and that all runs and shard counts agree */
    int (*answer)(const struct bench_data *data, struct bench_answer *answer);
    struct {
        uint64_t input_rows, rows, digest_high, digest_low;
        const char *source; /* where it comes from */
    } expected;
    bool recorded;
    const char *reference;
    /* Results follow the clock: runs differ, and only the sum of this column (from 1) is known, by answer(). 0: they do not. */
    uint32_t clock_column;
    /* Timed runs write into a discarding sink instead of giving rows to the program (its number of rows is compared). */
    bool discard;
    const char *io; /* struct mill_config.io; NULL: as it is */
    /* DuckDB's queries over the tables of the same names, each a whole number of columns as ours; NULL: no peer. Times are BIGINT
     * µs. peer_setup: a statement before it that is not measured. ${ROWS} and ${DIR} as above. */
    const char *peer, *peer_setup;
    uint32_t shards_max; /* 0: any number */
    /* Instead of all that: measures once and gives the value in @unit, of which less is better unless it ends in "/s". */
    int (*measure)(const struct bench *bench, const struct bench_data *data, uint32_t shards,
                   double *value);
    const char *unit;
};

/* All tables of entries, ended by NULL; each ends with an entry without a name. */
extern const struct bench_workload *const bench_tables[];
extern const struct bench_workload bench_memory_workloads[], bench_join_workloads[],
    bench_ysb_workloads[], bench_enrich_workloads[], bench_input_workloads[],
    bench_lightsaber_workloads[], bench_start_workloads[], bench_nexmark_workloads[];

/* Rows and digest of the query of bench/queries/@query.sql over @rows events (bench/results/nexmark_answers.txt), *source what worked them
 * out. False: they are not recorded. */
bool bench_recorded(const char *query, uint64_t rows, struct bench_answer *answer,
                    const char **source);

/* Text of an embedded file (bench/queries/NAME.sql, bench/peers/NAME.py); NULL: there is none. */
const char *bench_embedded(const char *name);

/* ---- the run ---- */

struct bench {
    uint64_t rows; /* 0: the workload's own */
    uint32_t shards[BENCH_SHARDS_MAX], shard_count;
    uint32_t runs;
    bool pin, quiet;
    const char *json, *markdown, *svg, *label;
    const char *words[256]; /* workloads and groups that are wanted; none: all */
    uint32_t word_count;
    struct bench_peer *peer; /* NULL: none is wanted, or there is none */
};

/* median, least and greatest of the samples */
struct bench_spread {
    double median, min, max;
};

#define BENCH_STAGES 6
extern const char *const bench_stages[BENCH_STAGES];

struct bench_result {
    const char *name, *group, *what, *unit, *checked;
    uint64_t rows, bytes, result_rows;
    uint32_t shards, runs;
    unsigned __int128 digest;
    struct bench_spread rate; /* rows/s, or the unit's */
    struct bench_spread cpu;  /* CPU ns per row; zeros where the workload has a unit of its own */
    double samples[BENCH_RUNS_MAX];
    /* of one more run that is measured: ns of all shards per row of input by bench_stages[]; zeros: none was */
    double stages[BENCH_STAGES];
    double stolen; /* share of the machine's time, 0 to 1 */
    double
        elsewhere; /* the same, of other processes while ours ran: counted in ticks, so that short runs say little */
    uint64_t peak_bytes, peak_rss_bytes; /* of state; of the process during the timed runs */
    /* the peer, in turn with our runs */
    const char *peer_name; /* NULL: none */
    char peer_version[32];
    struct bench_spread peer_rate, peer_ratio; /* ours / theirs, run by run */
    double peer_samples[BENCH_RUNS_MAX];
};

/* The script with its last INSERT INTO ... SELECT as a SELECT; with its last SELECT of @schema into a sink that drops the rows. Free. */
char *bench_as_select(const char *sql);
char *bench_discarding(const char *sql, const struct mill_schema *schema);
struct bench_spread bench_spread_of(const double *samples, uint32_t count);
double bench_now(void);         /* seconds, monotonic */
double bench_cpu_seconds(void); /* of this process, user and system */

/* Runs @workload with each shard count; calls @each for every finished result. */
int bench_run(const struct bench *bench, const struct bench_workload *workload,
              void (*each)(void *user, const struct bench_result *result), void *user);
void bench_data_close(struct bench_data *data);
/* A signal has come: end soon. @running: the query to stop. */
extern volatile sig_atomic_t bench_stopped;
extern mill_query *volatile bench_running;

/* ---- peers ---- */

/* Starts @name ("duckdb"). *peer NULL and 0: it is not on this machine, which has been said. */
int bench_peer_open(const char *name, struct bench_peer **peer);
void bench_peer_close(struct bench_peer *peer);
const char *bench_peer_version(const struct bench_peer *peer);
/* Hands over the tables of @data and executes the workload's peer_setup. */
int bench_peer_load(struct bench_peer *peer, const struct bench_data *data);
int bench_peer_threads(struct bench_peer *peer, uint32_t threads);
/* Runs @sql once; @seconds of the run; *answer (NULL: not wanted): rows and sums of columns, no digest. */
int bench_peer_run(struct bench_peer *peer, const char *sql, double *seconds,
                   struct bench_answer *answer);

/* ---- the machine ---- */

struct bench_machine {
    char cpu[128], caches[128], kernel[160], build[512], commit[64], flags[256], date[32];
    uint32_t cpus;
    uint64_t memory_bytes;
};
void bench_machine_read(struct bench_machine *machine);
/* Of all cpus since the boot, in ticks: all, stolen by the host, and used. */
struct bench_ticks {
    uint64_t all, stolen, used;
};
void bench_ticks_read(struct bench_ticks *ticks);

/* ---- reports ---- */

struct bench_report {
    struct bench_machine machine;
    struct bench_result *results;
    uint32_t count, room;
    double stolen, seconds; /* over the whole run */
    char *text;             /* of a report that was read: its strings */
};
void bench_print(const struct bench_result *result);
/* NEXMark's own table for each number of shards, of the results of group nexmark; nothing without any. */
void bench_print_nexmark(const struct bench_report *report);
int bench_write_json(const struct bench_report *report, const char *path);
int bench_write_markdown(const struct bench_report *report, const char *path);

/* Per group: rates as bars for each shard count, what a row costs by stage, and with several shard counts the scaling; into @folder. */
int bench_write_plots(const struct bench_report *report, const char *folder);
/* What bench_write_json() has written; free with bench_report_close(). */
int bench_read_json(const char *path, struct bench_report *report);
void bench_report_close(struct bench_report *report);
/* "149.2 M rows/s", "3.1 ms" */
const char *bench_rate_text(const struct bench_result *result, double rate, char to[48]);
bool bench_less_is_better(const struct bench_result *result);

/* millstream bench [...]: the words behind it. Returns the exit code. */
int bench_main(int count, char **args);
/* millstream bench --compare A.json B.json */
int bench_compare(const char *before, const char *after);

#endif
