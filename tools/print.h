/* tools/print.h - result rows as CSV, JSON lines or a table. Includes: text.h */
#ifndef MILL_PRINT_H
#define MILL_PRINT_H

#include "tools/text.h"

#include <stdio.h>

enum print_format { PRINT_CSV, PRINT_JSON, PRINT_TABLE };

/* The last time of a column as it was written. */
struct printed_time {
    int64_t value;
    uint32_t length; /* 0: there is none */
    char bytes[TEXT_SHORT];
};

struct printer {
    FILE *to;
    enum print_format format;
    const mill_query *query;
    const struct mill_schema *schema; /* of the running query; lives as long as it */
    char **cells;                     /* table: rows kept until the end, to know the widths */
    size_t cell_count, cell_room;
    struct text out;            /* CSV, JSON: not yet written */
    struct printed_time *times; /* one per column */
    bool changes;               /* a changelog: the first column says what a row does */
    bool named;                 /* the column names have been printed */
    bool failed;                /* the reader has gone */
};

/* TIMESTAMP_LTZ is shown by the clock of the query's session zone, in JSON as UTC with a Z. */
void printer_begin(struct printer *printer, const mill_query *query,
                   const struct mill_schema *schema);
/* The column names, once: before the first row, or at the end of a query that went well without one. */
void printer_names(struct printer *printer);
void printer_rows(struct printer *printer, const struct mill_batch *batch);
void printer_end(struct printer *printer);

#endif
