/* tools/print.h - result rows as a table, CSV or JSON lines, the way Flink prints values.
 *
 * A NULL is <NULL> in a table, nothing in CSV ("" is the empty string) and null in JSON. TIMESTAMP_LTZ
 * is shown in UTC, with a Z in JSON. A table fixes its column widths after the first TABLE_ROWS rows.
 *
 * Threads: one at a time.   Errors: false, with errno.   Includes: millstream.h
 */
#ifndef TOOLS_PRINT_H
#define TOOLS_PRINT_H

#include "core/millstream.h"

#include <stdio.h>

enum print_format { PRINT_TABLE, PRINT_CSV, PRINT_JSON };

struct text {
    char *bytes;
    size_t length, capacity;
    bool failed;               /* no memory: the text is cut */
};
void text_add(struct text *to, const char *bytes, size_t length);
void text_format(struct text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct printer {
    FILE *out;
    enum print_format format;
    bool color;
    struct text text;                          /* what goes out next */
    const struct mill_schema *schema;          /* borrowed from the running query */
    /* table: the cells of the first rows, until the widths are fixed */
    struct text cells;
    size_t *ends;                              /* of cell i in cells */
    size_t cell_count, cell_capacity;
    uint32_t *widths;
    bool fixed;
};

void printer_open(struct printer *printer, FILE *out, enum print_format format, bool color);
/* A query's rows follow: print_schema, print_batch ..., print_end. */
bool print_schema(struct printer *printer, const struct mill_schema *schema);
bool print_batch(struct printer *printer, const struct mill_batch *batch);
bool print_end(struct printer *printer);
void printer_close(struct printer *printer);

/* One value as text, for tables and CSV. NULL adds nothing. */
void print_value(struct text *to, const struct mill_type *type, const struct mill_column *column,
                 uint32_t row);

#endif
