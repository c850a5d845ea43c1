/* millstream.h - Flink SQL on one machine: the whole public interface of libmillstream.
 *
 * An engine holds a catalog (tables, views, functions, settings). mill_execute() runs a script of
 * SQL statements against it; INSERT, STATEMENT SET and SELECT make *queries*, which run
 * when mill_run() is called (on shard threads of the engine's own) or when mill_turn() is called
 * again and again (on the caller's thread, with nothing spawned).
 *
 * Words of ownership: *borrows* (until return), *copies*, *takes* (the caller forgets it),
 * *gives* (the caller releases it), *must outlive*.
 * Threads: an engine belongs to one thread at a time; different engines are independent. Nothing
 * is spawned before mill_run(). Exceptions are said where they are made (mill_push(), mill_stop()).
 * Errors: functions that may fail return 0 or an enum mill_code and fill struct mill_error (its old content does not matter; NULL:
 * nobody wants it). They give MILL_E_ARGUMENT for a NULL that is not said to be allowed. What returns nothing does nothing then.
 * Callbacks may call mill_stop(), mill_query_stats(), mill_query_schema(), mill_push() and mill_input_end() for their engine. What else
 * can fail gives MILL_E_STATE there, and so it does while another thread is inside such a call; closing does nothing then.
 * Handles: a closed one must not be used again.
 * The library prints nothing, installs no signal handler and never exits on input.
 */
#ifndef MILLSTREAM_H
#define MILLSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILL_VERSION "0.1.0"
#define MILL_API __attribute__((visibility("default")))

/* ---- errors ---------------------------------------------------------------------------- */

/* Spaced by tens, so that a kind can be added to its group. The command's exit code is
 * mill_exit_code(code). */
enum mill_code {
    MILL_OK = 0,
    MILL_E_ARGUMENT = 10,    /* a value of the API out of its range             exit 64 */
    MILL_E_SYNTAX = 20,      /* the SQL does not parse                           exit 78 */
    MILL_E_NAME = 21,        /* unknown table, column, function, option          exit 78 */
    MILL_E_TYPE = 22,        /* types do not fit                                 exit 78 */
    MILL_E_UNSUPPORTED = 23, /* valid SQL that this engine does not execute yet  exit 78 */
    MILL_E_OPTION = 24,      /* an option's value is wrong                       exit 78 */
    MILL_E_DATA = 30,        /* a row or file that cannot be decoded             exit 65 */
    MILL_E_NO_INPUT = 40,    /* a file or folder is missing or unreadable        exit 66 */
    MILL_E_IO = 50,          /* reading or writing failed                        exit 74 */
    MILL_E_MEMORY = 60,      /* the memory limit or the machine's memory is used exit 71 */
    MILL_E_STATE = 70,       /* called at a wrong moment or from a wrong thread  exit 64 */
    MILL_E_INTERRUPTED = 80, /* mill_stop() ended the run                        exit 130 */
    MILL_E_INTERNAL = 90     /* a promise of the engine was broken, a bug        exit 70 */
};

struct mill_error {
    int code, os_errno;    /* enum mill_code; 0: no errno */
    uint32_t line, column; /* in the SQL, from 1; 0: no place */
    char message[480];
    char excerpt[240]; /* the source line, newline, and a caret under the place; or "" */
};

/* Of the command, for any @code; 70 for one that is not in enum mill_code. */
MILL_API int mill_exit_code(int code);
MILL_API const char *mill_version(void);

/* ---- types and schemas ----------------------------------------------------------------- */

enum mill_kind {
    MILL_NULL,
    MILL_BOOLEAN,
    MILL_TINYINT,
    MILL_SMALLINT,
    MILL_INT,
    MILL_BIGINT,
    MILL_FLOAT,
    MILL_DOUBLE,
    MILL_DECIMAL,
    MILL_CHAR,
    MILL_VARCHAR,
    MILL_BINARY,
    MILL_VARBINARY,
    MILL_DATE,
    MILL_TIME,
    MILL_TIMESTAMP,
    MILL_TIMESTAMP_LTZ,
    MILL_INTERVAL_MONTH,
    MILL_INTERVAL_TIME,
    MILL_ROW,
    MILL_ARRAY,
    MILL_MAP,
    MILL_MULTISET
};

#define MILL_LENGTH_MAX 2147483647u /* VARCHAR of this length is STRING, VARBINARY: BYTES */

/* A value of each kind in memory, width bytes per row:
 *   BOOLEAN 1 (0 or 1)   TINYINT 1   SMALLINT 2   INT 4   BIGINT 8   FLOAT 4   DOUBLE 8
 *   DECIMAL 16 (two's complement, value * 10^scale)      CHAR VARCHAR BINARY VARBINARY: mill_view
 *   DATE 4 (days since 1970-01-01)     INTERVAL_MONTH 4 (months)   INTERVAL_TIME 8 (nanoseconds)
 *   TIME, TIMESTAMP, TIMESTAMP_LTZ 8: microseconds for precision 0 to 6, nanoseconds for 7 to 9,
 *   since midnight or 1970-01-01 00:00 (LTZ: UTC)
 *   ROW: no values of its own, one child column per field
 *   ARRAY MAP MULTISET: mill_view of bytes that mill_items() reads and mill_items_value() makes */
struct mill_type {
    uint8_t kind;      /* enum mill_kind */
    uint8_t precision; /* DECIMAL 1..38; TIME and TIMESTAMP 0..9 */
    uint8_t scale;     /* DECIMAL */
    bool not_null;
    uint32_t length;      /* CHAR, VARCHAR, BINARY, VARBINARY: characters or bytes */
    uint32_t field_count; /* ROW: fields; ARRAY, MULTISET 1 (element), MAP 2 (key, value) */
    const struct mill_field *fields;
};

struct mill_field {
    const char *name;
    struct mill_type type;
};

struct mill_schema {
    uint32_t field_count;
    const struct mill_field *fields;
};

/* A string or binary value of up to 12 bytes lies in the view, a longer one behind the pointer. */
struct mill_view {
    uint32_t length; /* bytes */
    union {
        char inlined[12];
        struct {
            char prefix[4];
            const char *data;
        } __attribute__((packed)) far;
    };
};

/* @view is not NULL. */
static inline const char *mill_view_data(const struct mill_view *view)
{
    return view->length <= 12 ? view->inlined : view->far.data;
}

/* ---- batches --------------------------------------------------------------------------- */

/* One column of rows 0 .. rows-1. Arrow's layout but for BOOLEAN (a byte) and far views (a pointer). */
struct mill_column {
    const void *values;                 /* NULL: a ROW's, or no rows */
    const uint64_t *validity;           /* bit r set: row r is not NULL; NULL: no NULLs */
    const struct mill_column *children; /* ROW */
};

/* What a value of ARRAY, MAP or MULTISET holds, as rows 0 .. count-1 of columns. */
struct mill_items {
    uint32_t count;
    struct mill_column first;  /* the elements; MAP: the keys; MULTISET: the different elements */
    struct mill_column second; /* MAP: the values; MULTISET: how often each stands, INT */
};

/* Reads @value, which is not NULL and of @type. Memory of the columns comes from alloc(context, bytes), 16-byte aligned; texts in
 * them lie in @value, which must outlive them. MILL_E_MEMORY: alloc gave NULL. MILL_E_ARGUMENT: @type is none of the three. */
MILL_API int mill_items(const struct mill_type *type, const struct mill_view *value,
                        void *(*alloc)(void *context, size_t bytes), void *context,
                        struct mill_items *out);
/* Makes a value of @items, which it copies; bytes behind the view come from alloc(context, bytes), as does memory on the way. Keys come in
 * any order, of equal ones the last stays. MILL_E_DATA: a key, or how often an element stands, is NULL. */
MILL_API int mill_items_value(const struct mill_type *type, const struct mill_items *items,
                              void *(*alloc)(void *context, size_t bytes), void *context,
                              struct mill_view *out);

struct mill_batch {
    uint32_t rows, column_count;
    const struct mill_column *columns;
    /* Of each row: 0 inserted (+I), 1 gone for a newer one (-U), 2 in place of an older one (+U), 3 deleted (-D); NULL: all 0,
     * and so must be what is pushed. */
    const int8_t *row_kinds;
};

/* ---- engine ---------------------------------------------------------------------------- */

typedef struct mill_engine mill_engine;
typedef struct mill_query mill_query;
typedef struct mill_input mill_input; /* the pushing end of a memory table */

struct mill_config {
    uint32_t struct_bytes; /* set by mill_config_init(); lets fields be added */
    uint32_t shard_count;  /* 0: one per allowed cpu, at most 16 */
    uint32_t batch_rows;   /* 1 to 4096 */
    uint32_t step_bytes;   /* cut of byte sources, 64 to 2^30; part of the order */
    uint32_t step_rows;    /* cut of memory tables and generators, 1 to 2^24; part of the order */
    uint32_t ring_slots;   /* batches in one ring, power of two, 1 to 4096 */
    uint32_t look_back;    /* D of the split choice, 1 to 64; part of the order */
    uint32_t run_ahead;    /* K, steps, > look_back, to 1024 */
    uint64_t memory_limit; /* bytes of state and buffers; 0: 80 % of the machine's memory */
    bool pin;              /* bind shards to cpus when there are enough */
    const char *isa;  /* "scalar", "avx2", "avx512", "avx512vbmi2"; NULL: MILL_ISA or the best */
    const char *io;   /* "uring", "posix", "auto"; NULL: MILL_IO, or auto */
    const char *idle; /* a shard without work: "spin", "yield", "park"; NULL: park */
    uint64_t roundtrip_seed; /* not 0: state to bytes and back at random steps (tests) */
    uint64_t seed;           /* of RAND(), UUID() and hash tables; 0: 1 */
    const struct env *env;   /* NULL: the real world; tests give a simulated one */
    bool profile;            /* measure every query: mill_query_profile() */
    /* The wall clock, nanoseconds since 1970, in place of the machine's: for processing time, idle sources, times to live. From any
     * shard's thread; NULL: the machine's. */
    int64_t (*clock)(void *user);
    void *clock_user;
};

/* Defaults into @config; NULL: nothing happens. */
MILL_API void mill_config_init(struct mill_config *config);

/* Copies @config (NULL: defaults). NULL on failure: MILL_E_ARGUMENT (a value out of its range), MILL_E_OPTION (isa, io),
 * MILL_E_MEMORY. */
MILL_API mill_engine *mill_engine_open(const struct mill_config *config, struct mill_error *error);
/* With all its queries and inputs. NULL, and inside a callback: nothing happens. */
MILL_API void mill_engine_close(mill_engine *engine);
/* Says that the warm-up is over (@warm) or begins again: in a build with MILL_DEBUG=1 the engine stops the process with the place of an
 * allocation from then on; other builds only count (mill_stats.allocations). From any thread; NULL: nothing happens. */
MILL_API void mill_engine_warm(mill_engine *engine, bool warm);

/* ---- statements ------------------------------------------------------------------------ */

/* A value for ${NAME}; copies both; a later value for the same name counts from then on. Names not set are looked up in the
 * environment. MILL_E_ARGUMENT: an empty name. */
MILL_API int mill_set_variable(mill_engine *engine, const char *name, const char *value,
                               struct mill_error *error);

/* What one statement gave. Text results (EXPLAIN, SHOW, DESCRIBE) go to on_text, result schemas and
 * rows of bare SELECTs to on_schema and on_batch while the query runs. All borrow. */
struct mill_callbacks {
    void *user;
    void (*on_text)(void *user, const char *text, size_t bytes);
    void (*on_schema)(void *user, mill_query *query, const struct mill_schema *schema);
    /* Returns 0, or not 0 to stop the run. Called on one thread at a time, in the one order. */
    int (*on_batch)(void *user, mill_query *query, const struct mill_batch *batch);
    /* Rows that an INSERT writes to @table of connector 'memory', of @schema; NULL: they go nowhere. As on_batch. */
    int (*on_insert)(void *user, mill_query *query, const char *table,
                     const struct mill_schema *schema, const struct mill_batch *batch);
    /* A query of mill_execute() has ended with @code: the last chance for mill_query_stats(). */
    void (*on_end)(void *user, mill_query *query, int code);
};

/* Executes a script of statements up to its end: DDL at once; each INSERT, STATEMENT SET or bare
 * SELECT is planned and *run to its end* with mill_run() before the next statement.
 * Copies @sql. @callbacks may be NULL, and so may each of them; must outlive the call. A SELECT without on_batch runs for nothing.
 * Statements before a failing one stay executed. */
MILL_API int mill_execute(mill_engine *engine, const char *sql,
                          const struct mill_callbacks *callbacks, struct mill_error *error);

/* As mill_execute(), but only up to the plans: nothing is opened or run. For `check`. */
MILL_API int mill_check(mill_engine *engine, const char *sql, struct mill_error *error);

/* As mill_check(), and gives each plan as text to on_text (NULL: to nobody), as EXPLAIN does. */
MILL_API int mill_explain(mill_engine *engine, const char *sql,
                          const struct mill_callbacks *callbacks, struct mill_error *error);

/* As mill_execute(), but each query as EXPLAIN ANALYZE: it runs, INSERT writes, the rows of a bare SELECT are dropped, and then
 * on_text receives its profile, as text or (@json) as one JSON object and a newline. */
MILL_API int mill_explain_analyze(mill_engine *engine, const char *sql, bool json,
                                  const struct mill_callbacks *callbacks, struct mill_error *error);

/* Plans the one query in @sql (DDL before it is executed) and gives it, not started. NULL on failure; MILL_E_ARGUMENT: there is no
 * query, or it is not the last statement. Copies @sql and @callbacks (may be NULL). */
MILL_API mill_query *mill_prepare(mill_engine *engine, const char *sql,
                                  const struct mill_callbacks *callbacks, struct mill_error *error);
/* NULL for a query that writes to a sink, and for NULL. Lives as long as the query. */
MILL_API const struct mill_schema *mill_query_schema(const mill_query *query);
/* Whether its results are a changelog: batches have row_kinds, and a row may be taken back by a later one. */
MILL_API bool mill_query_changes(const mill_query *query);
/* A value of a TIMESTAMP_LTZ column (of @type, which says its unit) as the clock of the session's time zone shows it
 * ('table.local-time-zone' when the query was prepared). Other types, and
 * NULLs: as it is. */
MILL_API int64_t mill_local_time(const mill_query *query, const struct mill_type *type,
                                 int64_t value);
/* Runs to the end on the engine's own shard threads; returns when they have ended. A query runs once: MILL_E_STATE afterwards, and
 * after mill_turn(). A memory table that nobody ends keeps it waiting. */
MILL_API int mill_run(mill_query *query, struct mill_error *error);
/* Instead of mill_run(): one bounded turn of all shards on the caller's thread; @work receives how
 * much was done (0: nothing to do now; may be NULL). MILL_OK while it runs; @ended says when it is over: with an error the turn may
 * have ended it, or have been refused (MILL_E_STATE: it has ended before, was run, or belongs to another thread). */
MILL_API int mill_turn(mill_query *query, uint32_t *work, bool *ended, struct mill_error *error);
/* Polls for result rows of a SELECT prepared without on_batch: NULL if there are none now, for any other query, and for NULL. Lives
 * until the next call for this query. */
MILL_API const struct mill_batch *mill_poll(mill_query *query);
/* Asks a running query to end; from any thread or a signal handler. @drain: bounded end (windows
 * flush); else what is open stays unfired, and mill_run() returns MILL_E_INTERRUPTED. Before the start: it ends with its first
 * steps. After the end, and for NULL: nothing happens. */
MILL_API void mill_stop(mill_query *query, bool drain);
/* The query that mill_execute() runs at this moment (for mill_stop(), mill_stats()), or NULL.
 * From any thread or a signal handler. NULL for NULL. */
MILL_API mill_query *mill_running(mill_engine *engine);
/* Between turns too: what is open stays unfired. NULL, and inside a callback: nothing happens. */
MILL_API void mill_query_close(mill_query *query);

/* ---- memory tables --------------------------------------------------------------------- */

/* The pushing end of CREATE TABLE @table ... WITH ('connector' = 'memory'). One pusher per table.
 * Belongs to the engine, also when the table is dropped. NULL on failure: MILL_E_NAME (no such table), MILL_E_ARGUMENT (of another
 * connector), MILL_E_STATE (already open). Queries prepared before cannot read from it. */
MILL_API mill_input *mill_input_open(mill_engine *engine, const char *table,
                                     struct mill_error *error);
/* Copies the rows of @batch (columns in the order of the table's physical columns; 65,535 rows at most). Returns MILL_E_MEMORY when
 * the table's queue is full: call mill_turn() or try later. MILL_E_STATE: after mill_input_end(). From one thread, which may be
 * another than the engine's. The rows go to the query that reads the table first. */
MILL_API int mill_push(mill_input *input, const struct mill_batch *batch, struct mill_error *error);
/* Pushes one row of texts: values[i] as CAST(... AS the type of physical column i) reads it, NULL for NULL; @count must be the number
 * of columns. MILL_E_DATA: a text that is not a value of its column's type, which the message names. ROW: not supported. Else as mill_push(). */
MILL_API int mill_push_text(mill_input *input, const char *const *values, uint32_t count,
                            struct mill_error *error);
/* Says that no row with an earlier value of the WATERMARK expression will follow, as if a row with @watermark (microseconds, or
 * nanoseconds of a time with 7 to 9 digits) had come: windows close though no row comes. Goes the way of the rows. MILL_E_ARGUMENT:
 * the table has no WATERMARK. */
MILL_API int mill_input_watermark(mill_input *input, int64_t watermark, struct mill_error *error);
/* Lends a whole table without copying, once per input; @batches and all they point to must outlive the query. Read @repeat times over
 * (0: not at all). The query waits for more rows until mill_input_end(). MILL_E_STATE: a second time, or after mill_input_end(). */
MILL_API int mill_lend(mill_input *input, const struct mill_batch *batches, size_t count,
                       uint32_t repeat, struct mill_error *error);
/* As mill_lend(), and the values of column @column (from 0, of 8 bytes: BIGINT or TIMESTAMP) are greater by @advance each time the rows are read
 * over, so that a few rows are an endless stream. MILL_E_ARGUMENT: another column. */
MILL_API int mill_lend_replayed(mill_input *input, const struct mill_batch *batches, size_t count,
                                uint32_t repeat, uint32_t column, int64_t advance,
                                struct mill_error *error);
/* Has @pull called whenever the query finds no rows queued, on the thread of the shard that is about to read, one at a time: it pushes what
 * there is (mill_push(), mill_input_end()) and returns at once. So rows come from a queue of the caller's own without a thread between.
 * NULL: no more. Before the query runs: MILL_E_STATE afterwards. @user must outlive the query. */
MILL_API int mill_input_pull(mill_input *input, void (*pull)(void *user, mill_input *input),
                             void *user, struct mill_error *error);
/* No more rows will come: without it a query over the table does not end. A second time, and for NULL: nothing happens. */
MILL_API void mill_input_end(mill_input *input);

/* ---- counters -------------------------------------------------------------------------- */

struct mill_stats {
    uint64_t rows_in, rows_out, late, dead, filtered, held, bytes_in, steps;
    uint64_t sum_overflow, decimal_overflow, null_time;
    uint64_t
        far_future; /* live rows over 5 minutes ahead of the clock: they did not move the watermark */
    uint64_t state_bytes, peak_bytes;
    uint64_t ring_reads;  /* reads of files that went through io_uring; 0: all others */
    int64_t watermark_us; /* least over the sources, idle splits left out; INT64_MIN: none yet */
    uint64_t allocations; /* by the engine since it was opened: stands still once warmed up */
    uint32_t shard_count;
    double seconds; /* since the start of the run */
    char holding
        [240]; /* with rows held: which split holds the watermark, where, and when the next window closes; or "" */
};

/* At any moment, from any thread. Zeros, and no watermark, before the start and for a NULL @query; nothing for a NULL @stats. */
MILL_API void mill_query_stats(const mill_query *query, struct mill_stats *stats);

/* ---- profile: where the time goes --------------------------------------------------------- */

/* Times are in ticks of the processor's time-stamp counter, which runs at mill_profile.ticks_per_second whatever the clock of the
 * cores does. Each tick of a shard belongs to one operator, to the engine, or to a wait; what an operator hands on is not its own. */

#define MILL_ALL_SHARDS UINT32_MAX

/* One operator of the plan, as EXPLAIN numbers it; of one shard or the sum over all. Counts of rows are the same however many shards
 * there are; counts of batches, and of what an exchange waited for, depend on the moment. */
struct mill_operator_profile {
    uint32_t id, stage;
    uint32_t input_count;
    const uint32_t *inputs; /* ids; live as long as the query */
    const char *name;       /* "Source", "Calc", "WindowAggregate", "Exchange", "Sink", ... */
    const char *label;      /* with its table or keys; lives as long as the query */
    uint64_t rows_in, rows_out, batches;
    uint64_t filtered, late, dead, held,
        consumed;   /* in = out or consumed, + filtered + late + dead + held */
    uint64_t ticks; /* all of its own: the three below too */
    /* sources */
    uint64_t bytes_in;                             /* read; of all shards only */
    uint64_t decode_ticks, read_ticks, wait_ticks; /* waiting for bytes is not in ticks */
    /* operators with state: when they had most entries, within a tenth */
    uint64_t state_bytes;            /* most at any time */
    uint64_t entries, slots, tables; /* slots: keys the hash tables have room for */
    double probes_mean; /* buckets of eight keys looked at for one; of a sample of the entries */
    uint64_t probes_max, windows_fired;
    /* exchanges, with several shards */
    uint64_t receive_ticks;
    uint64_t batches_sent, batches_lent, bytes_copied; /* lent: sent in place of a copy */
    uint64_t ring_full, pool_empty; /* times the sender found no slot, no batch */
    uint64_t suspended, empty; /* times it put its rows off; times the receiver found nothing */
    /* the processor's counters, in user mode; zeros without: mill_profile.counters */
    uint64_t instructions, cycles, cache_misses, branch_misses;
};

/* A whole query, or one shard of it. */
struct mill_profile {
    uint32_t struct_bytes;   /* set by the caller: sizeof(struct mill_profile) */
    uint32_t operator_bytes; /* and sizeof(struct mill_operator_profile): lets fields be added */
    uint32_t operator_count, shard_count;
    double seconds, ticks_per_second;
    uint64_t ticks;        /* from start to end; of all shards: their sum */
    uint64_t start_ticks;  /* opening operators, rings and pools */
    uint64_t engine_ticks; /* busy with no operator: turns, steps, ending */
    uint64_t input_wait_ticks, peer_wait_ticks,
        room_wait_ticks; /* for bytes, for another shard, for room in an exchange */
    uint64_t rows_in;
    bool counters;           /* there are the processor's */
    const char *no_counters; /* else why not; lives as long as the query */
};

/* Of @shard, or of MILL_ALL_SHARDS, once the query has ended: fills @profile and the first @most records of @operators (may be
 * NULL), which lie @profile->operator_bytes apart. Returns how many operators there are; 0: the query was not measured (mill_config.profile,
 * EXPLAIN ANALYZE), has not ended, or there is no such shard; then nothing is filled. */
MILL_API uint32_t mill_query_profile(mill_query *query, uint32_t shard,
                                     struct mill_profile *profile,
                                     struct mill_operator_profile *operators, uint32_t most);
/* The same as EXPLAIN ANALYZE prints it, or as one JSON object, to @text. MILL_E_STATE where mill_query_profile() gives 0. */
MILL_API int mill_profile_text(mill_query *query, bool json,
                               void (*text)(void *user, const char *text, size_t bytes), void *user,
                               struct mill_error *error);

/* ---- files ------------------------------------------------------------------------------ */

struct mill_describe {
    const char *table; /* its name in the statement */
    const char *path;  /* the table's 'path', where it is not the described file; or NULL */
    const char *extra; /* a line behind the columns, such as a WATERMARK; or NULL */
};
/* The CREATE TABLE statement for which FROM 'path' stands, columns and options guessed, into @text (@bytes at most,
 * else MILL_E_ARGUMENT). MILL_E_NO_INPUT, MILL_E_DATA: the file is missing or not understood. */
MILL_API int mill_describe_file(const char *path, const struct mill_describe *how, char *text,
                                size_t bytes, struct mill_error *error);

/* ---- what the machine and the build offer ------------------------------------------------ */

/* Text lines: version, cpu, chosen ISA, io back end, compiler. @bytes of @text are written at most, the NUL included. */
MILL_API void mill_build_info(char *text, size_t bytes);
/* Calls @each (NULL: nothing happens) for every built-in function: name, signature, one line of description, category. */
MILL_API void mill_functions(void (*each)(void *user, const char *name, const char *signature,
                                          const char *description, const char *category),
                             void *user);
/* The nearest of @names (@count) to a word that is none of them, for "did you mean"; NULL: none is near. NULLs among
 * them are passed over. Borrows. */
MILL_API const char *mill_nearest_name(const char *word, const char *const *names, size_t count);

/* ---- user functions in C ----------------------------------------------------------------- */

enum mill_function_kind { MILL_SCALAR, MILL_TABLE, MILL_AGGREGATE };

/* Where a table function's rows go: row(context, r, values) gives one more row for row r of the arguments; values[i] points to the
 * value of column i (a mill_view for texts), NULL: NULL. Copies. r never goes back. What it returns, if not 0, the function returns. */
struct mill_emit {
    void *context;
    int (*row)(void *context, uint32_t row, const void *const *values);
};

/* What CREATE FUNCTION ... LANGUAGE C USING LIBRARY names: a symbol of this type in a shared object, MILL_E_OPTION if its types or
 * what its kind calls are missing. Arguments are columns; a NULL must be looked up in their validity. eval and rows return 0, or
 * anything else for a failure, which ends the query. All must depend on nothing but their arguments, and may be called from several threads at a
 * time. Arguments and results of ARRAY, MAP and MULTISET: mill_items(), mill_items_value().
 *
 *   MILL_SCALAR     f(x) gives a value per row: eval
 *   MILL_TABLE      FROM t, LATERAL TABLE(f(x)): rows per row: rows. result_type: a ROW of its columns, or the type of its one column
 *   MILL_AGGREGATE  f(x) in GROUP BY, windows and OVER: init, accumulate, merge, result over a state of state_bytes. The state is
 *                   plain bytes, 8-byte aligned: no pointers in it, for it is copied, saved and moved. What cannot be computed is NULL */
struct mill_function {
    uint32_t struct_bytes; /* sizeof(struct mill_function) */
    const char *name;
    uint32_t arg_count;
    const struct mill_type *arg_types;
    struct mill_type result_type;
    /* Computes rows 0 .. rows-1 of the result from @args, only rows whose value is needed (no filter or CASE has left them out).
     * Strings that it makes come from alloc(context, bytes), which lives as long as the batch. */
    int (*eval)(const struct mill_column *args, uint32_t rows, void *out_values,
                uint64_t *out_validity, void *(*alloc)(void *context, size_t bytes), void *context);
    uint32_t kind; /* enum mill_function_kind; from here on 0 where a kind does not use it */
    /* Gives rows for rows 0 .. rows-1 of @args. */
    int (*rows)(const struct mill_column *args, uint32_t rows, const struct mill_emit *emit);
    uint32_t state_bytes;      /* 1 to 65536 */
    void (*init)(void *state); /* NULL: zeros */
    /* Row @row of @args, in the order of the rows; NULLs are shown too. */
    void (*accumulate)(void *state, const struct mill_column *args, uint32_t row);
    /* Takes back a row that has been accumulated; NULL: cannot, and rows that change are refused at planning. */
    void (*retract)(void *state, const struct mill_column *args, uint32_t row);
    void (*merge)(void *into, const void *from); /* rows of @from come behind those of @into */
    /* Puts the value into @value (of the type's width) or sets *null; strings come from alloc(context, bytes), NULL: no memory. */
    void (*result)(const void *state, void *value, bool *null,
                   void *(*alloc)(void *context, size_t bytes), void *context);
};

#ifdef __cplusplus
}
#endif
#endif
