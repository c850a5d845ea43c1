/* tools/scenario.h - scenario files: rows, clocks and watermarks in, rows expected; `millstream test`.
 *
 *     # a comment
 *     @job ../orders.sql              the script to test, beside this file; or its SQL in the lines that follow
 *     @define LIMIT=5                 ${LIMIT} in it
 *     @shards 1,3                     numbers of shards to run with (default: 1,2)
 *     @rows orders                    rows of a table that the script reads, as CSV; they come one by one, in this order
 *     @clock 2024-05-01 10:00:00      sets the clock (it stands still at 2100-01-01 before)
 *     @watermark orders 2024-05-01 10:05:00   no row with an earlier value of the WATERMARK expression will follow
 *     @expect alerts                  what the script has written to a table since the last @expect of it, as CSV
 *     @expect                         the same of the script's SELECT;  @expect in any order, @expect alerts in any order
 *     @end                            the end of all inputs (without it: before the @expects at the end of the file)
 *     @end sensors                    the end of one: what is read before other tables (the right of a lookup join) is whole
 *     @stats late=1 dead=0            counters so far
 *
 * Threads: one.   Errors: to standard error, with file and line.
 */
#ifndef MILL_SCENARIO_H
#define MILL_SCENARIO_H

#include "tools/text.h"

enum directive { SAYS_ROWS, SAYS_CLOCK, SAYS_WATERMARK, SAYS_EXPECT, SAYS_END, SAYS_STATS };

/* One directive. Lines of @rows and @expect are those first .. first + count of the file. */
struct scenario_step {
    enum directive what;
    unsigned line;
    char *table;    /* or NULL */
    char *argument; /* of clock, watermark, stats */
    bool any_order;
    size_t first, count;
};

struct scenario {
    const char *path;
    char *text;   /* the file, cut into lines */
    char **lines; /* from 0; NULL: blank or a comment */
    size_t line_count;
    char *job;       /* path, or NULL */
    struct text sql; /* NUL-terminated */
    char *defines[64];
    unsigned define_count;
    unsigned shards[16], shard_count;
    struct scenario_step *steps;
    size_t step_count;
};

/* False: said why, with its line. */
bool scenario_read(const char *path, struct scenario *out);
void scenario_free(struct scenario *scenario);
/* Whether @table is fed by @rows or @watermark, or looked at by @expect. */
bool scenario_names(const struct scenario *scenario, const char *table);

/* One value of a CSV line; NULL: nothing between the commas (an empty text is ""). Cuts @at in place; *at becomes NULL at the end. */
const char *scenario_field(char **at);

/* ---- scripts ---- */

enum statement { STATEMENT_IS_DDL, STATEMENT_IS_INSERT, STATEMENT_IS_QUERY, STATEMENT_NONE };

/* The next statement of *@at, which moves behind it: its bytes, without the semicolon. */
enum statement script_next(const char **at, const char **begin, size_t *bytes);
/* A CREATE TABLE of a table that the scenario names gets connector 'memory'; anything else as it is. */
void script_redirect(const struct scenario *scenario, const char *statement, size_t bytes,
                     struct text *out);

/* `millstream test FILE...`; the exit code. */
int test_main(int count, char **args);

#endif
