/* io/csv_decode.c - CSV to columns.
 *
 * A kernel finds where fields and rows end in a block of the piece. Rows that have the table's number of fields and no
 * quote, mostly all, are converted column by column (csv_columns.c); columns nobody wants are not looked at. A row with
 * quotes is split at its marks, one that breaks RFC 4180's rules byte by byte; then row by row. Text lies in the piece,
 * only fields with doubled quotes or escapes are copied.
 */
#include "io/csv_decode.h"

#include <strings.h>

#include "core/values.h"

#include <stdio.h>

#define COLUMNS_MAX 4096u
#define PAIRS_MIN 16384u
#define RESTART_BYTES ((size_t)4 << 10) /* indexed at first after a row that broke the rules */

struct csv_decoder *csv_decoder_new(struct heap *heap, const struct source_config *config,
                                    const struct csv_options *options)
{
    struct csv_decoder *d = heap_zalloc(heap, sizeof *d);
    const char *null = options->null_literal;

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &format_csv;
    d->heap = heap;
    d->kernels = config->kernels;
    d->schema = config->schema;
    d->wanted = config->wanted;
    d->bad = config->bad;
    d->options = *options;
    d->null_is_number = null != NULL && strchr("0123456789-", null[0]) != NULL && null[0] != '\0';
    d->marks = heap_alloc(heap, (CSV_INDEX_BYTES + 65) * sizeof *d->marks);
    d->lines = heap_alloc(heap, (CSV_INDEX_BYTES + 64) * sizeof *d->lines);
    d->fields = heap_alloc(heap, (config->schema->field_count + 1) * sizeof *d->fields);
    d->pair_rows = max_u32(1, PAIRS_MIN / config->schema->field_count);
    d->pairs =
        heap_alloc(heap, (size_t)d->pair_rows * config->schema->field_count * 2 * sizeof *d->pairs);
    if (d->marks == NULL || d->lines == NULL || d->fields == NULL || d->pairs == NULL) {
        csv_decoder_free(d);
        return NULL;
    }
    d->marks[0] = UINT32_MAX;
    return d;
}

void csv_decoder_free(struct csv_decoder *d)
{
    heap_free(d->heap, d->marks, (CSV_INDEX_BYTES + 65) * sizeof *d->marks);
    heap_free(d->heap, d->lines, (CSV_INDEX_BYTES + 64) * sizeof *d->lines);
    heap_free(d->heap, d->pairs,
              (size_t)d->pair_rows * d->schema->field_count * 2 * sizeof *d->pairs);
    heap_free(d->heap, d->fields, (d->schema->field_count + 1) * sizeof *d->fields);
    heap_free(d->heap, d, sizeof *d);
}

void csv_begin(struct csv_decoder *d, const struct format_piece *piece)
{
    const char *bytes = piece->bytes, *newline;

    d->piece = *piece;
    d->end = bytes + piece->length;
    if (piece->offset == 0 && piece->length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        bytes += 3;
    if (piece->offset == 0 && d->options.skip_first) {
        newline = memchr(bytes, '\n', (size_t)(d->end - bytes));
        bytes = newline != NULL ? newline + 1 : d->end;
    }
    d->next = bytes;
    d->seen_at = NULL;
    d->row = 0;
    d->block_want = CSV_INDEX_BYTES;
    d->found = (struct mk_csv_marks){0};
    d->line = 0;
}

/* Indexes from the next row on. */
static void index_block(struct csv_decoder *d)
{
    d->block = d->next;
    d->block_bytes = min_u64((uint64_t)(d->end - d->next), d->block_want);
    d->block_want = min_u64(d->block_want * 2, CSV_INDEX_BYTES);
    d->line = 0;
    d->kernels->csv_marks(d->block, d->block_bytes, d->options.delimiter, d->options.quote,
                          d->marks + 1, d->lines, &d->found);
    if (!d->found.plain && d->found.lines > 0) { /* well-formed text needs no second look either */
        const size_t rows = d->marks[d->lines[d->found.lines - 1] + 1];

        d->found.plain =
            memchr(d->block, '\0', rows) == NULL && d->kernels->utf8_valid(d->block, rows);
    }
}

/* After a row read without the index: where the index stands, or nowhere if it disagrees. */
static void index_rejoin(struct csv_decoder *d)
{
    const size_t newline = (size_t)(d->next - d->block) - 1;

    while (d->line < d->found.lines && d->marks[d->lines[d->line] + 1] < newline)
        d->line++;
    if (d->line < d->found.lines && d->marks[d->lines[d->line] + 1] == newline) {
        d->line++;
        return;
    }
    if (d->line < d->found.lines)
        d->block_want = RESTART_BYTES;
    d->line = d->found.lines;
}

static int report(struct csv_decoder *d, uint32_t place, const char *row, size_t length,
                  const char *column, const char *reason, struct mill_error *error)
{
    const struct bad_row bad = {.step = d->piece.step,
                                .place = place,
                                .file = d->piece.file,
                                .offset = d->piece.offset + (uint64_t)(row - d->piece.bytes),
                                .line = format_line(&d->piece, row, &d->seen_at, &d->seen_line),
                                .column = column,
                                .reason = reason,
                                .raw = row,
                                .raw_bytes = length,
                                .ignorable = d->options.ignore_errors};

    return d->bad->report(d->bad, &bad, error);
}

static int bad_value(struct csv_decoder *d, uint32_t place, const char *row, size_t length,
                     uint32_t column, const struct field *f, struct mill_error *error)
{
    const struct mill_field *field = &d->schema->fields[column];
    const bool heading = d->piece.offset == 0 && row == d->piece.bytes &&
                         strlen(field->name) == f->length &&
                         strncasecmp(field->name, f->text, f->length) == 0;
    char reason[220], type[60], shown[80];

    if (!type_is_text(&field->type) ||
        !text_fault(f->text, f->length, " of the field", reason, sizeof reason))
        snprintf(reason, sizeof reason, "'%s' is no %s%s",
                 text_shown(f->text, f->length, shown, sizeof shown),
                 type_name(&field->type, type, sizeof type),
                 heading ? " (a header line? 'csv.ignore-first-line' = 'true' leaves it out)" : "");
    return report(d, place, row, length, field->name, reason, error);
}

/* ---- rows one by one ---- */

/* A copy without what protects quotes. NULL without memory. */
static const char *unquoted(struct csv_decoder *d, struct batch *out, const char *from,
                            const char *to, uint32_t *length)
{
    const char quote = d->options.quote, escape = d->options.escape;
    char *copy = arena_alloc(&out->bytes, (size_t)(to - from) + 1);
    uint32_t n = 0;

    for (const char *c = from; copy != NULL && c < to; c++) {
        if ((escape != '\0' && *c == escape) || *c == quote)
            c++;
        copy[n++] = *c;
    }
    *length = n;
    return copy;
}

/* A quoted field from behind its opening quote. Returns behind its closing quote; NULL: never closed, or no memory. */
static const char *quoted_field(struct csv_decoder *d, struct batch *out, const char *s,
                                struct field *field, bool *memory)
{
    const char quote = d->options.quote, escape = d->options.escape;
    const char *start = s;
    bool plain = true;

    for (; s < d->end; s++) {
        if (escape != '\0' && *s == escape && s + 1 < d->end) {
            plain = false;
            s++;
        } else if (*s == quote) {
            if (s + 1 >= d->end || s[1] != quote)
                break;
            plain = false;
            s++;
        }
    }
    if (s >= d->end)
        return NULL;
    *field = (struct field){start, (uint32_t)(s - start), true};
    if (!plain)
        field->text = unquoted(d, out, start, s, &field->length);
    *memory = field->text != NULL;
    return *memory ? s + 1 : NULL;
}

static const char *field_end(const struct csv_decoder *d, const char *s)
{
    while (s < d->end && *s != d->options.delimiter && *s != '\n')
        s++;
    return s;
}

/* Splits the row at d->next, byte by byte. Returns how many fields; d->next stands behind its newline; *end: behind its last byte. */
static uint32_t split_bytes(struct csv_decoder *d, struct batch *out, const char **end,
                            const char **fault, bool *memory)
{
    const uint32_t most = d->schema->field_count;
    const char *s = d->next;
    uint32_t n = 0;

    for (;;) {
        struct field field = {s, 0, false};
        const char *mark;

        if (s < d->end && d->options.quote != '\0' && *s == d->options.quote) {
            const char *behind = quoted_field(d, out, s + 1, &field, memory);

            if (behind == NULL) {
                *fault = "a quoted field is never closed";
                d->next = *end = d->end;
                return n;
            }
            mark = field_end(d, behind);
            if (mark != behind && !(mark == behind + 1 && *behind == '\r'))
                *fault = "something follows a closing quote";
        } else { /* a quote inside an unquoted field is a plain character */
            mark = field_end(d, s);
            field.length = (uint32_t)(mark - s);
        }
        const bool last = mark >= d->end || *mark == '\n';

        if (last && !field.quoted && field.length > 0 && s[field.length - 1] == '\r')
            field.length--;
        if (n < most)
            d->fields[n] = field;
        n++;
        if (last) {
            *end = mark;
            d->next = mark < d->end ? mark + 1 : d->end;
            return n;
        }
        s = mark + 1;
    }
}

/* The quoted field that opens at mark *k. *k becomes the mark that ends it; false: not as RFC 4180 has it. */
static bool quoted_at(struct csv_decoder *d, struct batch *out, uint32_t *k, uint32_t newline,
                      struct field *field)
{
    const char *start = d->block + d->marks[*k] + 1, *close;
    uint32_t j = *k + 1;
    bool doubled = false;

    for (; j + 1 < newline && d->marks[j + 1] == d->marks[j] + 1 &&
           d->block[d->marks[j + 1]] == d->options.quote;
         j += 2)
        doubled = true;
    if (j >= newline)
        return false;
    close = d->block + d->marks[j];
    *field = (struct field){start, (uint32_t)(close - start), true};
    if (doubled)
        field->text = unquoted(d, out, start, close, &field->length);
    *k = j + 1;
    return field->text != NULL && d->block[d->marks[*k]] != d->options.quote &&
           (d->marks[*k] == d->marks[j] + 1 ||
            (*k == newline && d->marks[*k] == d->marks[j] + 2 && close[1] == '\r'));
}

/* Splits the row at d->next by its marks. 0: it breaks RFC 4180's rules. */
static uint32_t split_marks(struct csv_decoder *d, struct batch *out, const char **end)
{
    const uint32_t newline = d->lines[d->line] + 1, most = d->schema->field_count;
    uint32_t k = d->line > 0 ? d->lines[d->line - 1] + 2 : 1, n = 0;
    const char *s = d->next;

    for (;; k++) {
        const char *mark = d->block + d->marks[k];
        struct field field = {s, (uint32_t)(mark - s), false};

        if (*mark == d->options.quote && d->options.quote != '\0') {
            if (mark != s || !quoted_at(d, out, &k, newline, &field))
                return 0;
        } else if (k == newline && field.length > 0 && mark[-1] == '\r') {
            field.length--;
        }
        if (n < most)
            d->fields[n] = field;
        n++;
        s = d->block + d->marks[k] + 1;
        if (k == newline)
            break;
    }
    *end = s - 1;
    d->next = s;
    d->line++;
    return n;
}

/* Empty lines and comments are no rows. */
static bool skip_line(struct csv_decoder *d)
{
    const char *row = d->next;

    if (*row == '\n' || (*row == '\r' && row + 1 < d->end && row[1] == '\n')) {
        d->next += *row == '\r' ? 2 : 1;
    } else if (d->options.comments && *row == '#') {
        const char *newline = memchr(row, '\n', (size_t)(d->end - row));

        d->next = newline != NULL ? newline + 1 : d->end;
    } else {
        return false;
    }
    index_rejoin(d);
    return true;
}

/* A field that did not fit may have cleared earlier columns' bits for this row: set them again. */
static void forget_row(const struct csv_decoder *d, struct batch *out, uint32_t row)
{
    for (uint32_t i = 0; i < d->schema->field_count; i++)
        if (out->columns[i].validity != NULL)
            out->columns[i].validity[row >> 6] |= 1ull << (row & 63);
}

/* The wanted fields that are late, or those that are not. Gives the first that did not fit, or the number of columns. */
static uint32_t put_fields(struct csv_decoder *d, struct batch *out, uint32_t row, bool late,
                           bool *memory)
{
    uint32_t column = 0;

    while (column < d->schema->field_count &&
           (!d->wanted[column] || csv_is_late(d, column) != late ||
            csv_put(d, out, column, &d->fields[column], row, memory)))
        column++;
    return column;
}

static bool row_passes(struct csv_decoder *d, const struct batch *out, uint32_t row, int *code,
                       struct mill_error *error)
{
    struct early_filter *filter = d->decoder.filter;
    uint64_t pass;
    int passed = 1;

    if (!filter->exact)
        passed = filter->run(filter, out, row, 1, &pass, error);
    *code = passed < 0 ? -passed : MILL_OK;
    return passed > 0;
}

/* The row at d->next to row *n of @out, or reported. */
static int decode_row(struct csv_decoder *d, struct batch *out, uint32_t *n,
                      struct mill_error *error, bool *memory)
{
    const uint32_t columns = d->schema->field_count;
    const char *row = d->next, *end = NULL, *fault = NULL;
    const uint32_t place = d->row;
    uint32_t fields = 0, column;
    int code = MILL_OK;
    char reason[100];

    if (skip_line(d))
        return MILL_OK;
    if (d->line < d->found.lines && d->options.escape == '\0')
        fields = split_marks(d, out, &end);
    if (fields == 0) {
        fields = split_bytes(d, out, &end, &fault, memory);
        index_rejoin(d);
    }
    d->row++;
    if (!*memory)
        return MILL_OK;
    if (fault == NULL && fields != columns) {
        snprintf(reason, sizeof reason, "the row has %u fields, the table %u columns", fields,
                 columns);
        fault = reason;
    }
    if (fault != NULL)
        return report(d, place, row, (size_t)(end - row), NULL, fault, error);
    column = put_fields(d, out, *n, false, memory);
    if (column == columns && d->decoder.filter != NULL && *memory) {
        if (row_passes(d, out, *n, &code, error))
            column = put_fields(d, out, *n, true, memory);
        if (code != MILL_OK)
            return code;
    }
    if (column == columns) {
        ++*n;
        return MILL_OK;
    }
    forget_row(d, out, *n);
    return *memory
               ? bad_value(d, place, row, (size_t)(end - row), column, &d->fields[column], error)
               : MILL_OK;
}

/* ---- runs of rows ---- */

/* How many rows from d->line on have @columns fields. */
static uint32_t even_rows(const struct csv_decoder *d, uint32_t columns, uint32_t most)
{
    const uint32_t *line = d->lines + d->line;
    uint32_t expected = (d->line > 0 ? line[-1] : UINT32_MAX) + columns, n = 0;

    for (; n < most && line[n] == expected; n++)
        expected += columns;
    return n;
}

/* How many rows from d->line on have the table's fields and no quote, @most at most. */
static uint32_t run_length(const struct csv_decoder *d, uint32_t most)
{
    const uint32_t columns = d->schema->field_count;
    const char quote = d->options.quote;
    uint32_t n = 0, before = d->line > 0 ? d->lines[d->line - 1] + 1 : 0;

    most = min_u32(min_u32(most, d->found.lines - d->line), CSV_RUN_ROWS);
    if (d->found.quotes == 0 && !d->options.comments && columns > 1)
        return even_rows(d, columns, most);
    for (; n < most; n++) {
        const uint32_t newline = d->lines[d->line + n] + 1;
        const char *row = d->block + (d->marks[before] + 1u);

        if (newline - before != columns || (d->options.comments && *row == '#') ||
            (columns == 1 && (*row == '\n' || *row == '\r')))
            break;
        if (d->found.quotes > 0) {
            uint32_t k = before + 1;

            while (k <= newline && d->block[d->marks[k]] != quote)
                k++;
            if (k <= newline)
                break;
        }
        before = newline;
    }
    return n;
}

/* Closes the gap of the rows that failed. Returns how many stay. */
static uint32_t close_gaps(struct csv_decoder *d, struct batch *out, uint32_t count, uint32_t at)
{
    uint32_t kept = 0;

    for (uint32_t r = 0; r < count; r++) {
        if ((d->failed[r / 64] >> r % 64 & 1) != 0)
            continue;
        for (uint32_t i = 0; i < d->schema->field_count && kept < r; i++) {
            const uint32_t width = type_width(&d->schema->fields[i].type);
            struct column *c = &out->columns[i];
            const uint32_t from = at + r, to = at + kept;

            if (!d->wanted[i])
                continue;
            memcpy((char *)c->values + (size_t)to * width,
                   (const char *)c->values + (size_t)from * width, width);
            if (c->validity != NULL && !column_valid(c, from))
                column_set_null(c, to);
            else if (c->validity != NULL)
                c->validity[to >> 6] |= 1ull << (to & 63);
        }
        kept++;
    }
    for (uint32_t r = kept; r < count; r++)
        forget_row(d, out, at + r);
    return kept;
}

/* The fields of row @line as pairs. False: not one a run may hold; a quoted field may be text only, neither empty nor
 * with a quote in it, for quoted ones are never NULL. */
static bool pair_row(const struct csv_decoder *d, uint32_t line, uint32_t *pairs)
{
    const uint32_t newline = d->lines[line] + 1, columns = d->schema->field_count;
    const char *block = d->block, quote = d->options.quote;
    uint32_t k = line > 0 ? d->lines[line - 1] + 1 : 0, n = 0;

    if (d->options.comments && block[d->marks[k] + 1u] == '#')
        return false;
    for (; k < newline && n < columns; n++) {
        uint32_t before = d->marks[k], end = d->marks[k + 1];

        if (block[end] == quote) {
            if (end != before + 1 || k + 3 > newline || d->marks[k + 3] != d->marks[k + 2] + 1 ||
                d->marks[k + 2] == end + 1 || block[d->marks[k + 3]] == quote ||
                !type_is_text(&d->schema->fields[n].type))
                return false;
            before = end;
            end = d->marks[k + 2];
            k += 2;
        }
        pairs[2 * n] = before;
        pairs[2 * n + 1] = end;
        k++;
    }
    return n == columns && k == newline &&
           (columns > 1 || (pairs[1] != pairs[0] + 1 && block[pairs[0] + 1u] != '\r'));
}

/* How many rows from d->line on stand in d->pairs. */
static uint32_t pair_run(struct csv_decoder *d, uint32_t most)
{
    uint32_t n = 0;

    if (d->found.quotes == 0 || d->options.escape != '\0' || d->options.null_literal != NULL)
        return 0;
    most = min_u32(min_u32(most, d->found.lines - d->line), min_u32(CSV_RUN_ROWS, d->pair_rows));
    while (n < most && pair_row(d, d->line + n, d->pairs + (size_t)n * d->schema->field_count * 2))
        n++;
    return n;
}

static int run_failures(struct csv_decoder *d, const uint32_t *marks, uint32_t spread,
                        uint32_t count, struct mill_error *error)
{
    const uint32_t columns = d->schema->field_count;
    int code = MILL_OK;

    for (uint32_t r = 0; r < count && code == MILL_OK; r++) {
        const uint32_t line = d->line + r, c = d->failed_column[r];
        const uint32_t *m = marks + (r * columns + c) * spread;
        const char *row = d->block + (line > 0 ? d->marks[d->lines[line - 1] + 1] + 1u : 0);
        const char *end = d->block + d->marks[d->lines[line] + 1];
        struct field f = {d->block + (m[0] + 1u), m[1] - (m[0] + 1u), false};

        if ((d->failed[r / 64] >> r % 64 & 1) == 0)
            continue;
        if (c + 1 == columns && f.length > 0 && f.text[f.length - 1] == '\r')
            f.length--;
        code = bad_value(d, d->row + r, row, (size_t)(end - row), c, &f, error);
    }
    return code;
}

static int decode_run(struct csv_decoder *d, struct batch *out, uint32_t *n,
                      const struct csv_run *run, struct mill_error *error, bool *memory)
{
    int code = MILL_OK;

    *memory = csv_columns(d, out, run, &code, error);
    if (*memory && code == MILL_OK && d->any_failed) {
        code = run_failures(d, run->marks, run->spread, run->count, error);
        *n += close_gaps(d, out, run->count, *n);
    } else {
        *n += run->count;
    }
    d->line += run->count;
    d->row += run->count;
    d->next = d->block + d->marks[d->lines[d->line - 1] + 1] + 1;
    return code;
}

/* The next rows, as many as are alike. */
static int decode_some(struct csv_decoder *d, struct batch *out, uint32_t *n,
                       struct mill_error *error, bool *memory)
{
    struct csv_run run = {.spread = 1, .at = *n};
    uint32_t paired;

    if (d->line == d->found.lines)
        index_block(d);
    run.count = run_length(d, out->capacity - *n);
    run.marks = d->marks + (d->line > 0 ? d->lines[d->line - 1] + 1 : 0);
    paired = run.count < 32 ? pair_run(d, out->capacity - *n) : 0;
    if (paired > run.count)
        run = (struct csv_run){d->pairs, 2, paired, *n};
    if (run.count > 0)
        return decode_run(d, out, n, &run, error, memory);
    return decode_row(d, out, n, error, memory);
}

static bool own_wanted(struct csv_decoder *d, struct batch *out)
{
    for (uint32_t i = 0; i < d->schema->field_count; i++)
        if (d->wanted[i] && !column_own(out, &out->columns[i], &d->schema->fields[i].type))
            return false;
    return true;
}

int csv_decode(struct csv_decoder *d, struct batch *out, struct mill_error *error)
{
    bool memory = own_wanted(d, out);
    uint32_t n = 0;

    while (memory && d->next < d->end && n < out->capacity) {
        const int code = decode_some(d, out, &n, error, &memory);

        if (code != MILL_OK)
            return -code;
    }
    if (!memory)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode CSV");
    out->rows = out->live = n;
    return d->next < d->end;
}
