/* io/fmt_csv.c - CSV (RFC 4180 and Flink's options) to columns.
 *
 * The positions of delimiters, newlines and quotes of a piece are found by a kernel, then rows are read from position
 * to position; columns nobody wants are stepped over. A row with a quote in it takes the careful way. Text lies in the
 * piece, only fields with doubled quotes or escapes are copied.
 */
#include "core/values.h"
#include "io/csv.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <strings.h>

#define INDEX_BYTES (64u << 10) /* indexed at a time: fits the second cache */
#define COLUMNS_MAX 4096u

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
    struct format_piece piece;
    const char *end, *next; /* of the piece, next row */
    const char *seen_at;    /* format_line() */
    uint64_t seen_line;
    uint32_t row;        /* rows of the piece so far, bad ones too */
    uint32_t *positions; /* of the indexed part */
    uint32_t count, at;
    const char *indexed, *indexed_end;
    struct field *fields; /* of the row being read */
};

static int one_character(const struct options *options, const char *key, char fallback, char *out,
                         struct mill_error *error)
{
    const struct option *option = option_get(options, key);

    *out = fallback;
    if (option == NULL)
        return MILL_OK;
    if (strcmp(option->value, "\\t") == 0)
        *out = '\t';
    else if (strlen(option->value) == 1 && option->value[0] != '\n' && option->value[0] != '\r')
        *out = option->value[0];
    else
        return mill_fail(error, MILL_E_OPTION, option->line, option->column,
                         "'%s' is '%s', need one ASCII character", key, option->value);
    return MILL_OK;
}

int csv_options_read(const struct options *options, struct csv_options *out,
                     struct mill_error *error)
{
    bool no_quote;

    if (one_character(options, "csv.field-delimiter", ',', &out->delimiter, error) != MILL_OK ||
        one_character(options, "csv.quote-character", '"', &out->quote, error) != MILL_OK ||
        one_character(options, "csv.escape-character", '\0', &out->escape, error) != MILL_OK ||
        option_bool(options, "csv.disable-quote-character", false, &no_quote, error) != MILL_OK ||
        option_bool(options, "csv.allow-comments", false, &out->comments, error) != MILL_OK ||
        option_bool(options, "csv.ignore-parse-errors", false, &out->ignore_errors, error) !=
            MILL_OK ||
        option_bool(options, "csv.ignore-first-line", false, &out->skip_first, error) != MILL_OK)
        return MILL_E_OPTION;
    if (no_quote)
        out->quote = '\0';
    out->null_literal = option_text(options, "csv.null-literal", NULL);
    return MILL_OK;
}

/* ---- cutting ---- */

size_t csv_cut(const struct mk_table *kernels, const struct csv_options *options, const char *bytes,
               size_t length, size_t want)
{
    const size_t near = want < length ? want : length;
    const char quote = options->quote;
    const char *newline = memrchr(bytes, '\n', near), *from;
    size_t quotes;

    if (quote != '\0' && newline != NULL && memchr(bytes, quote, near) != NULL)
        while (newline != NULL &&
               kernels->count_byte(bytes, (size_t)(newline - bytes), quote) % 2 != 0)
            newline = memrchr(bytes, '\n', (size_t)(newline - bytes));
    if (newline != NULL)
        return (size_t)(newline - bytes) + 1;
    /* no row ends in what is wanted: the first that ends behind it */
    quotes = quote != '\0' ? kernels->count_byte(bytes, near, quote) : 0;
    for (from = bytes + near;
         (newline = memchr(from, '\n', (size_t)(bytes + length - from))) != NULL;
         from = newline + 1) {
        if (quote != '\0')
            quotes += kernels->count_byte(from, (size_t)(newline - from), quote);
        if (quotes % 2 == 0)
            return (size_t)(newline - bytes) + 1;
    }
    return 0;
}

/* ---- decoder ---- */

struct csv_decoder *csv_decoder_new(struct heap *heap, const struct source_config *config,
                                    const struct csv_options *options)
{
    struct csv_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->heap = heap;
    d->kernels = config->kernels;
    d->schema = config->schema;
    d->wanted = config->wanted;
    d->bad = config->bad;
    d->options = *options;
    d->positions = heap_alloc(heap, (INDEX_BYTES + 64) * sizeof *d->positions);
    d->fields = heap_alloc(heap, (config->schema->field_count + 1) * sizeof *d->fields);
    if (d->positions == NULL || d->fields == NULL) {
        csv_decoder_free(d);
        return NULL;
    }
    return d;
}

void csv_decoder_free(struct csv_decoder *d)
{
    heap_free(d->heap, d->positions, (INDEX_BYTES + 64) * sizeof *d->positions);
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
    d->indexed = d->indexed_end = bytes;
    d->count = d->at = 0;
}

static void index_more(struct csv_decoder *d)
{
    const size_t left = (size_t)(d->end - d->indexed_end);
    const size_t n = left < INDEX_BYTES ? left : INDEX_BYTES;

    d->indexed = d->indexed_end;
    d->count =
        d->kernels->find_any3(d->indexed, n, d->options.delimiter, '\n',
                              d->options.quote != '\0' ? d->options.quote : d->options.delimiter,
                              d->positions);
    d->at = 0;
    d->indexed_end = d->indexed + n;
}

/* The next delimiter, newline or quote at or behind @from; the piece's end if there is none. */
static const char *next_mark(struct csv_decoder *d, const char *from)
{
    for (;;) {
        while (d->at < d->count) {
            const char *mark = d->indexed + d->positions[d->at];

            if (mark >= from)
                return mark;
            d->at++;
        }
        if (d->indexed_end >= d->end)
            return d->end;
        index_more(d);
    }
}

static int report(struct csv_decoder *d, const char *row, size_t length, const char *column,
                  const char *reason, struct mill_error *error)
{
    const struct bad_row bad = {.step = d->piece.step,
                                .place = d->row,
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

/* A quoted field from behind its opening quote. Returns behind its closing quote; NULL: never closed. */
static const char *quoted_field(struct csv_decoder *d, struct batch *out, const char *s,
                                struct field *field)
{
    const char quote = d->options.quote, escape = d->options.escape;
    const char *start = s;
    bool plain = true;
    char *copy;
    uint32_t n = 0;

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
    if (plain)
        return s + 1;
    copy = arena_alloc(&out->bytes, field->length + 1);
    if (copy == NULL)
        return NULL;
    for (const char *c = start; c < s; c++) {
        if ((escape != '\0' && *c == escape) || *c == quote)
            c++;
        copy[n++] = *c;
    }
    *field = (struct field){copy, n, true};
    return s + 1;
}

/* Splits the row at d->next. Returns how many fields; d->next stands behind its newline; *end: behind its last byte. */
static uint32_t split_row(struct csv_decoder *d, struct batch *out, const char **end,
                          const char **fault)
{
    const uint32_t most = d->schema->field_count;
    const char *s = d->next;
    uint32_t n = 0;

    *fault = NULL;
    for (;;) {
        struct field field = {s, 0, false};
        /* mostly the next mark is the next one in the index */
        const char *mark = d->at < d->count ? d->indexed + d->positions[d->at] : NULL;

        if (UNLIKELY(mark == NULL || mark < s))
            mark = next_mark(d, s);

        if (mark < d->end && *mark == d->options.quote && d->options.quote != '\0' && mark == s) {
            const char *behind = quoted_field(d, out, s + 1, &field);

            if (behind == NULL) {
                *fault = "a quoted field is never closed";
                d->next = *end = d->end;
                return n;
            }
            mark = next_mark(d, behind);
            if (mark != behind && !(mark == behind + 1 && *behind == '\r') && mark <= d->end)
                *fault = "something follows a closing quote";
        } else {
            /* a quote inside an unquoted field is a plain character */
            while (mark < d->end && *mark == d->options.quote && d->options.quote != '\0')
                mark = next_mark(d, mark + 1);
            field.length = (uint32_t)(mark - s);
        }
        const bool last = mark >= d->end || *mark == '\n';

        if (last && !field.quoted && field.length > 0 && s[field.length - 1] == '\r')
            field.length--;
        d->at++;
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

/* ---- values ---- */

static bool parse_integer(const struct field *f, int64_t least, int64_t most, int64_t *out)
{
    const char *s = f->text, *end = s + f->length;
    bool negative = false;
    uint64_t v = 0;

    while (s < end && *s == ' ')
        s++;
    while (end > s && end[-1] == ' ')
        end--;
    if (s < end && (*s == '-' || *s == '+'))
        negative = *s++ == '-';
    if (s == end || end - s > 19)
        return false;
    for (; s < end; s++) {
        const unsigned digit = (unsigned)(*s - '0');

        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return *out >= least && *out <= most;
}

/* Up to 15 digits and a small power of ten are exact in one operation; else strtod. */
static bool parse_double(const struct field *f, double *out)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *s = f->text, *end = s + f->length;
    const bool negative = s < end && *s == '-';
    uint64_t v = 0;
    uint32_t digits = 0, places = 0;
    bool point = false;

    for (s += negative; s < end; s++) {
        if (*s == '.' && !point) {
            point = true;
            continue;
        }
        if ((unsigned)(*s - '0') > 9)
            break;
        v = v * 10 + (unsigned)(*s - '0');
        digits++;
        places += point;
    }
    if (s != end || digits == 0 || digits > 15)
        return double_parse(f->text, f->length, out);
    *out = (double)v / powers[places];
    if (negative)
        *out = -*out;
    return true;
}

static bool parse_boolean(const struct field *f, uint8_t *out)
{
    *out = f->length == 4 && strncasecmp(f->text, "true", 4) == 0;
    return *out || (f->length == 5 && strncasecmp(f->text, "false", 5) == 0);
}

/* Exactly 'yyyy-MM-dd?HH:mm:ss[.fff]', the common form, without a call. */
static bool parse_plain_time(const struct field *f, const struct mill_type *type, int64_t *out)
{
    const char *s = f->text;
    struct civil c = {0};
    uint32_t unit = 100000000;

#define TWO(i) ((uint32_t)(s[i] - '0') * 10 + (uint32_t)(s[(i) + 1] - '0'))
    if (f->length < 19 || s[4] != '-' || s[7] != '-' || (s[10] != ' ' && s[10] != 'T') ||
        s[13] != ':' || s[16] != ':' || (f->length > 19 && s[19] != '.'))
        return time_parse(f->text, f->length, type, out);
    for (uint32_t i = 0; i < 19; i++)
        if (i != 4 && i != 7 && i != 10 && i != 13 && i != 16 && (unsigned)(s[i] - '0') > 9)
            return false;
    c = (struct civil){TWO(0) * 100 + TWO(2), TWO(5), TWO(8), TWO(11), TWO(14), TWO(17), 0};
    for (uint32_t i = 20; i < f->length; i++, unit /= 10) {
        if ((unsigned)(s[i] - '0') > 9)
            return time_parse(f->text, f->length, type, out);
        c.nanos += (uint32_t)(s[i] - '0') * unit;
    }
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > month_days(c.year, c.month) ||
        c.hour > 23 || c.minute > 59 || c.second > 59)
        return false;
    *out = time_from_civil(&c, type_is_nanos(type));
    if (*out == TIME_MIN + 1 || *out == TIME_MAX - 1)
        return false;
    *out = floor_div(*out, type_time_unit(type)) * type_time_unit(type);
    return true;
#undef TWO
}

static bool utf8_valid(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + bytes;

    while (s < end) {
        uint32_t n, c;

        if (*s < 0x80) {
            if (*s++ == 0)
                return false;
            continue;
        }
        n = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : *s >= 0xc2 ? 1 : 0;
        if (n == 0 || *s > 0xf4 || (size_t)(end - s) <= n)
            return false;
        c = *s & (0x3fu >> n);
        for (uint32_t i = 1; i <= n; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (s[i] & 0x3f);
        }
        if ((n == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
            (n == 3 && (c < 0x10000 || c > 0x10ffff)))
            return false;
        s += n + 1;
    }
    return true;
}

/* Stores the field; false: it is none of the column's type. */
static bool store(struct column *c, const struct mill_type *type, const struct field *f,
                  uint32_t row)
{
    int64_t v = 0;

    switch (type->kind) {
    case MILL_BOOLEAN: return parse_boolean(f, &((uint8_t *)c->values)[row]);
    case MILL_TINYINT:
        if (!parse_integer(f, INT8_MIN, INT8_MAX, &v))
            return false;
        ((int8_t *)c->values)[row] = (int8_t)v;
        return true;
    case MILL_SMALLINT:
        if (!parse_integer(f, INT16_MIN, INT16_MAX, &v))
            return false;
        ((int16_t *)c->values)[row] = (int16_t)v;
        return true;
    case MILL_INT:
        if (!parse_integer(f, INT32_MIN, INT32_MAX, &v))
            return false;
        ((int32_t *)c->values)[row] = (int32_t)v;
        return true;
    case MILL_BIGINT: return parse_integer(f, INT64_MIN, INT64_MAX, &((int64_t *)c->values)[row]);
    case MILL_FLOAT: {
        double d;

        if (!parse_double(f, &d))
            return false;
        ((float *)c->values)[row] = (float)d;
        return true;
    }
    case MILL_DOUBLE: return parse_double(f, &((double *)c->values)[row]);
    case MILL_DECIMAL:
        return decimal_parse(f->text, f->length, type->precision, type->scale,
                             &((int128 *)c->values)[row]);
    case MILL_DATE: return date_parse(f->text, f->length, &((int32_t *)c->values)[row]);
    case MILL_TIME: return clock_parse(f->text, f->length, type, &((int64_t *)c->values)[row]);
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: return parse_plain_time(f, type, &((int64_t *)c->values)[row]);
    default:
        ((struct mill_view *)c->values)[row] = view_of(f->text, f->length);
        return type->kind > MILL_VARCHAR || utf8_valid(f->text, f->length);
    }
}

static bool is_null(const struct csv_decoder *d, const struct mill_type *type,
                    const struct field *f)
{
    if (d->options.null_literal != NULL)
        return !f->quoted && strlen(d->options.null_literal) == f->length &&
               memcmp(f->text, d->options.null_literal, f->length) == 0;
    return f->length == 0 && !f->quoted && !type_is_text(type) && !type_is_binary(type);
}

/* Stores the row's wanted fields. Returns NULL, or the name of the column that does not fit. */
static const char *store_row(struct csv_decoder *d, struct batch *out, uint32_t row, bool *memory)
{
    for (uint32_t i = 0; i < d->schema->field_count; i++) {
        struct column *c = &out->columns[i];
        const struct mill_type *type = &d->schema->fields[i].type;

        if (!d->wanted[i])
            continue;
        if (!is_null(d, type, &d->fields[i])) {
            if (!store(c, type, &d->fields[i], row))
                return d->schema->fields[i].name;
            continue;
        }
        if (type->not_null)
            return d->schema->fields[i].name;
        if (c->validity == NULL && !column_own_validity(out, c)) {
            *memory = false;
            return NULL;
        }
        memset((char *)c->values + (size_t)row * type_width(type), 0, type_width(type));
        column_set_null(c, row);
    }
    return NULL;
}

/* A field that did not fit may have cleared earlier columns' bits for this row: set them again. */
static void forget_row(const struct csv_decoder *d, struct batch *out, uint32_t row)
{
    for (uint32_t i = 0; i < d->schema->field_count; i++)
        if (out->columns[i].validity != NULL)
            out->columns[i].validity[row >> 6] |= 1ull << (row & 63);
}

static int bad_row(struct csv_decoder *d, const char *row, const char *end, uint32_t fields,
                   const char *column, const char *fault, struct mill_error *error)
{
    char reason[200], type[60];

    if (fault != NULL)
        return report(d, row, (size_t)(end - row), NULL, fault, error);
    if (column == NULL) {
        snprintf(reason, sizeof reason, "the row has %u fields, the table %u columns", fields,
                 d->schema->field_count);
        return report(d, row, (size_t)(end - row), NULL, reason, error);
    }
    const int i = schema_find(d->schema, column);
    const struct field *f = &d->fields[i];

    snprintf(reason, sizeof reason, "'%.*s' is no %s", (int)min_u32(f->length, 60), f->text,
             type_name(&d->schema->fields[i].type, type, sizeof type));
    return report(d, row, (size_t)(end - row), column, reason, error);
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
        const char *row = d->next, *end, *fault, *column = NULL;
        uint32_t fields;

        if (*row == '\n' || (*row == '\r' && row + 1 < d->end && row[1] == '\n')) {
            d->next += *row == '\r' ? 2 : 1; /* an empty line is no row */
            continue;
        }
        if (d->options.comments && *row == '#') {
            const char *newline = memchr(row, '\n', (size_t)(d->end - row));

            d->next = newline != NULL ? newline + 1 : d->end;
            continue;
        }
        fields = split_row(d, out, &end, &fault);
        if (fault == NULL && fields == d->schema->field_count)
            column = store_row(d, out, n, &memory);
        if (fault != NULL || fields != d->schema->field_count || column != NULL) {
            const int code = bad_row(d, row, end, fields, column, fault, error);

            forget_row(d, out, n);
            d->row++;
            if (code != MILL_OK)
                return -code;
            continue;
        }
        n++;
        d->row++;
    }
    if (!memory)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode CSV");
    out->rows = out->live = n;
    return d->next < d->end;
}

/* ---- writing ---- */

static void put_text(struct text_buffer *to, const char *text, size_t length,
                     const struct csv_options *o)
{
    const char quote = o->quote != '\0' ? o->quote : '"';
    bool quoted = length == 0;

    for (size_t i = 0; i < length && !quoted; i++)
        quoted = text[i] == o->delimiter || text[i] == quote || text[i] == '\n' || text[i] == '\r';
    if (!quoted) {
        text_put(to, text, length);
        return;
    }
    text_put(to, &quote, 1);
    for (size_t i = 0; i < length; i++) {
        text_put(to, &text[i], 1);
        if (text[i] == quote)
            text_put(to, &quote, 1);
    }
    text_put(to, &quote, 1);
}

void csv_write_header(struct text_buffer *to, const struct mill_schema *schema, char delimiter)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (i > 0)
            text_put(to, &delimiter, 1);
        text_put(to, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    text_put(to, "\n", 1);
}

static void put_value(struct text_buffer *to, const struct column *c, const struct mill_type *type,
                      uint32_t row, const struct csv_options *o)
{
    char text[4096];

    if (!column_valid(c, row)) {
        if (o->null_literal != NULL)
            text_put(to, o->null_literal, strlen(o->null_literal));
        return;
    }
    if (type_phys(type) == PHYS_VIEW) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[c->constant ? 0 : row];

        put_text(to, mill_view_data(v), v->length, o);
        return;
    }
    const size_t n = value_text(c, type, row, text, sizeof text);

    if (type->kind == MILL_BOOLEAN)
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(text[i] | 32); /* true, false */
    put_text(to, text, n, o);
}

void csv_write_rows(struct text_buffer *to, const struct batch *batch,
                    const struct mill_schema *schema, const struct csv_options *options)
{
    for (uint32_t i = 0; i < batch->live; i++) {
        for (uint32_t k = 0; k < schema->field_count; k++) {
            if (k > 0)
                text_put(to, &options->delimiter, 1);
            put_value(to, &batch->columns[k], &schema->fields[k].type, batch_row(batch, i),
                      options);
        }
        text_put(to, "\n", 1);
    }
}

/* ---- the format ---- */

struct csv_format {
    struct format format;
    struct source_config config;
    struct csv_options options;
};
struct csv_writer {
    struct format_writer writer;
    struct heap *heap;
    const struct mill_schema *schema;
    struct csv_options options;
};

static int refuse_rows(const struct mill_schema *schema, const struct options *options,
                       struct mill_error *error)
{
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (type_phys(&schema->fields[i].type) == PHYS_ROW)
            return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                             "table %s: column %s is a ROW, which CSV cannot hold", options->table,
                             schema->fields[i].name);
    return MILL_OK;
}

static int format_open(const struct source_config *config, struct format **out,
                       struct mill_error *error)
{
    struct csv_format *f = heap_zalloc(config->heap, sizeof *f);
    int code;

    if (f == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    f->format.vtable = &format_csv;
    f->config = *config;
    *out = &f->format;
    code = refuse_rows(config->schema, config->options, error);
    return code != MILL_OK ? code : csv_options_read(config->options, &f->options, error);
}

static void format_close(struct format *format)
{
    struct csv_format *f = (struct csv_format *)format;

    heap_free(f->config.heap, f, sizeof *f);
}

static size_t format_cut(const struct format *format, uint64_t offset, const char *bytes,
                         size_t length, size_t want)
{
    const struct csv_format *f = (const struct csv_format *)format;

    (void)offset;
    return csv_cut(f->config.kernels, &f->options, bytes, length, want);
}

static struct format_decoder *format_decoder_new(const struct format *format, struct heap *heap)
{
    const struct csv_format *f = (const struct csv_format *)format;
    struct csv_decoder *d = csv_decoder_new(heap, &f->config, &f->options);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &format_csv;
    return &d->decoder;
}

static void format_decoder_free(struct format_decoder *decoder)
{
    csv_decoder_free((struct csv_decoder *)decoder);
}

static void format_begin(struct format_decoder *decoder, const struct format_piece *piece)
{
    csv_begin((struct csv_decoder *)decoder, piece);
}

static int format_decode(struct format_decoder *decoder, struct batch *out,
                         struct mill_error *error)
{
    return csv_decode((struct csv_decoder *)decoder, out, error);
}

static int writer_open(const struct sink_config *config, struct format_writer **out,
                       struct mill_error *error)
{
    struct csv_writer *w = heap_zalloc(config->heap, sizeof *w);
    int code;

    if (w == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    w->writer.vtable = &format_csv;
    w->heap = config->heap;
    w->schema = config->schema;
    *out = &w->writer;
    code = refuse_rows(config->schema, config->options, error);
    return code != MILL_OK ? code : csv_options_read(config->options, &w->options, error);
}

static void writer_close(struct format_writer *writer)
{
    struct csv_writer *w = (struct csv_writer *)writer;

    heap_free(w->heap, w, sizeof *w);
}

static void writer_write(struct format_writer *writer, const struct batch *batch,
                         struct text_buffer *to)
{
    struct csv_writer *w = (struct csv_writer *)writer;

    csv_write_rows(to, batch, w->schema, &w->options);
}

static const char *const read_options[] =
    {"csv.field-delimiter",     "csv.quote-character",   "csv.disable-quote-character",
     "csv.escape-character",    "csv.allow-comments",    "csv.null-literal",
     "csv.ignore-parse-errors", "csv.ignore-first-line", NULL};
static const char *const write_options[] = {"csv.field-delimiter",
                                            "csv.quote-character",
                                            "csv.disable-quote-character",
                                            "csv.escape-character",
                                            "csv.null-literal",
                                            NULL};
const struct format_vtable format_csv = {.name = "csv",
                                         .extension = "csv",
                                         .read_options = read_options,
                                         .write_options = write_options,
                                         .open = format_open,
                                         .close = format_close,
                                         .cut = format_cut,
                                         .decoder_new = format_decoder_new,
                                         .decoder_free = format_decoder_free,
                                         .begin = format_begin,
                                         .decode = format_decode,
                                         .writer_open = writer_open,
                                         .writer_close = writer_close,
                                         .write = writer_write};
