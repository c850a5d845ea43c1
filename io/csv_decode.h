/* io/csv_decode.h - what the files of the CSV decoder share. Includes: csv.h, kernels.h */
#ifndef MILL_CSV_DECODE_H
#define MILL_CSV_DECODE_H

#include "io/csv.h"
#include "kernels/kernels.h"

#define CSV_INDEX_BYTES ((size_t)64 << 10) /* indexed at a time: fits the second cache */
#define CSV_RUN_ROWS 1024u

struct field {
    const char *text;
    uint32_t length;
    bool quoted;
};

struct csv_decoder {
    struct format_decoder decoder;
    struct heap *heap;
    const struct mk_table *kernels;
    const struct mill_schema *schema;
    const bool *wanted;
    struct bad_rows *bad;
    struct csv_options options;
    bool null_is_number; /* the null literal may be taken for a value */
    struct format_piece piece;
    const char *end, *next; /* of the piece, next row */
    const char *seen_at;    /* format_line() */
    uint64_t seen_line;
    uint32_t row;         /* rows of the piece so far, bad ones too */
    struct field *fields; /* of the row being read */

    /* The index: bytes[block .. block + block_bytes) begins with a row. Row l is the marks behind that of line l - 1 up to
     * and with lines[l], as long as quotes stand where RFC 4180 has them: next == the beginning of row line. */
    const char *block;
    size_t block_bytes, block_want;
    uint32_t *marks; /* marks[0] == UINT32_MAX, the kernel's from 1 */
    uint32_t *lines; /* index of the row's newline in marks + 1 */
    uint32_t line;
    struct mk_csv_marks found;
    uint32_t *pairs; /* of rows with quotes: before and end of each field */
    uint32_t pair_rows;

    /* A run of rows being converted. */
    int64_t values[CSV_RUN_ROWS];
    uint32_t nanos[CSV_RUN_ROWS], ends[2 * CSV_RUN_ROWS];
    uint8_t places[CSV_RUN_ROWS];
    uint64_t other[CSV_RUN_ROWS / 64], failed[CSV_RUN_ROWS / 64];
    uint16_t failed_column[CSV_RUN_ROWS];
    bool any_failed;
};

/* csv_fields.c: one field. False: it is none of the column's type. */
bool csv_store(struct column *c, const struct mill_type *type, const struct field *f, uint32_t row);
bool csv_is_null(const struct csv_decoder *d, const struct mill_type *type, const struct field *f);
bool csv_utf8_valid(const char *text, size_t bytes); /* and without NUL */
/* NULL or the field's value; false: bad, or *memory is false. */
bool csv_put(struct csv_decoder *d, struct batch *out, uint32_t column, const struct field *f,
             uint32_t row, bool *memory);

/* Read only of rows that pass the decoder's filter. */
static inline bool csv_is_late(const struct csv_decoder *d, uint32_t column)
{
    return d->decoder.filter != NULL && d->decoder.filter->late[column];
}

/* @count rows of as many fields as the table has columns; field k of row r lies between
 * marks[(r * columns + k) * spread] and the mark behind it. They become rows @at .. of the batch. */
struct csv_run {
    const uint32_t *marks;
    uint32_t spread, count, at;
};
/* csv_columns.c: stores the wanted columns, notes rows that do not fit in d->failed. False without memory. *code: of a filter that
 * failed. */
bool csv_columns(struct csv_decoder *d, struct batch *out, const struct csv_run *rows, int *code,
                 struct mill_error *error);

#endif
