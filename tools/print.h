/* tools/print.h - result rows as CSV, JSON lines or a table. Includes: millstream.h */
#ifndef MILL_PRINT_H
#define MILL_PRINT_H

#include "core/millstream.h"

#include <stdio.h>

enum print_format { PRINT_CSV, PRINT_JSON, PRINT_TABLE };

struct printer {
    FILE *to;
    enum print_format format;
    const mill_query *query;
    const struct mill_schema *schema; /* of the running query; lives as long as it */
    char **cells;                     /* table: rows kept until the end, to know the widths */
    size_t cell_count, cell_room;
    bool named;  /* the column names have been printed */
    bool failed; /* the reader has gone */
};

/* TIMESTAMP_LTZ is shown by the clock of the query's session zone, in JSON as UTC with a Z. */
void printer_begin(struct printer *printer, const mill_query *query,
                   const struct mill_schema *schema);
/* The column names, once: before the first row, or at the end of a query that went well without one. */
void printer_names(struct printer *printer);
void printer_rows(struct printer *printer, const struct mill_batch *batch);
void printer_end(struct printer *printer);

#endif
