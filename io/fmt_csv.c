/* io/fmt_csv.c - CSV (RFC 4180 and Flink's options): options, where rows end, writing rows. Reading: csv_decode.c. */
#include "core/values.h"
#include "io/csv.h"
#include "kernels/kernels.h"

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

static bool in_numbers(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' ||
           c == '-' || c == '.' || c == ':' || c == ' ';
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
    out->bare = !in_numbers(out->delimiter) && !in_numbers(out->quote);
    return MILL_OK;
}

/* ---- cutting ---- */

enum place { ROW_BEGIN, FIELD_BEGIN, IN_FIELD, IN_QUOTES, BEHIND_QUOTES, IN_COMMENT };

/* Rows as the decoder reads them, from mark to mark. */
struct cutter {
    const struct csv_options *options;
    const char *bytes;
    size_t length, want;
    size_t field; /* where the field begins */
    enum place place;
    size_t skip; /* marks before it are plain characters */
    size_t last; /* behind the last row's newline at or before want */
};

/* A delimiter, a newline, a quote or an escape character at @at. True: a row ends here, at or behind want. */
static bool cut_mark(struct cutter *c, size_t at)
{
    const struct csv_options *o = c->options;
    const char mark = c->bytes[at];
    const bool quote = mark == o->quote && o->quote != '\0';

    if (at < c->skip)
        return false;
    if (c->place == ROW_BEGIN)
        c->place = o->comments && c->bytes[c->field] == '#' ? IN_COMMENT : FIELD_BEGIN;
    if (c->place == FIELD_BEGIN)
        c->place = quote && at == c->field ? IN_QUOTES : IN_FIELD;
    else if (c->place == IN_QUOTES && mark == o->escape && o->escape != '\0')
        c->skip = at + 2;
    else if (c->place == IN_QUOTES && quote && at + 1 < c->length && c->bytes[at + 1] == o->quote)
        c->skip = at + 2;
    else if (c->place == IN_QUOTES && quote)
        c->place = BEHIND_QUOTES;
    if (c->place == IN_QUOTES || (mark != '\n' && (quote || c->place == IN_COMMENT)))
        return false;
    if (mark != '\n' && mark != o->delimiter)
        return false;
    c->field = at + 1;
    c->place = mark == '\n' ? ROW_BEGIN : FIELD_BEGIN;
    if (mark != '\n' || (at + 1 > c->want && c->last > 0))
        return mark == '\n';
    c->last = at + 1;
    return at + 1 >= c->want;
}

/* Quotes may hold newlines: every row from the first on. */
static size_t cut_quoted(const struct mk_table *kernels, const struct csv_options *o,
                         const char *bytes, size_t length, size_t want)
{
    struct cutter c = {.options = o, .bytes = bytes, .length = length, .want = want};
    uint32_t marks[4096 + 64];

    for (size_t i = 0; i < length; i += 4096) {
        const size_t n = min_u64(length - i, 4096);
        uint32_t count = 0;

        if (o->escape == '\0')
            count = kernels->find_any3(bytes + i, n, o->delimiter, '\n', o->quote, marks);
        else
            for (uint32_t k = 0; k < n; k++) {
                const char b = bytes[i + k];

                marks[count] = k;
                count += b == o->delimiter || b == '\n' || b == o->quote || b == o->escape;
            }
        for (uint32_t k = 0; k < count; k++)
            if (cut_mark(&c, i + marks[k]))
                return c.last;
    }
    return c.last;
}

size_t csv_cut(const struct mk_table *kernels, const struct csv_options *options, const char *bytes,
               size_t length, size_t want)
{
    const size_t near = want < length ? want : length;
    const char *newline;

    if (options->quote != '\0' && memchr(bytes, options->quote, near) != NULL)
        return cut_quoted(kernels, options, bytes, length, want);
    newline = memrchr(bytes, '\n', near);
    if (newline != NULL)
        return (size_t)(newline - bytes) + 1;
    if (options->quote != '\0') /* one may stand behind what is wanted */
        return cut_quoted(kernels, options, bytes, length, want);
    newline = memchr(bytes + near, '\n', length - near);
    return newline != NULL ? (size_t)(newline - bytes) + 1 : 0;
}

/* ---- writing ---- */

static inline uint64_t has_byte(uint64_t word, char c)
{
    return zero_bytes(word ^ (uint8_t)c * 0x0101010101010101u);
}

static bool needs_quotes(const char *text, size_t length, char delimiter, char quote)
{
    uint64_t found = 0;
    size_t i = 0;

    for (; i + 8 <= length; i += 8) {
        uint64_t word;

        memcpy(&word, text + i, 8);
        found |= has_byte(word, delimiter) | has_byte(word, quote) | has_byte(word, '\n') |
                 has_byte(word, '\r');
    }
    for (; i < length; i++)
        found |=
            (text[i] == delimiter) | (text[i] == quote) | (text[i] == '\n') | (text[i] == '\r');
    return found != 0 || length == 0;
}

static void put_text(struct text_buffer *to, const char *text, size_t length,
                     const struct csv_options *o)
{
    const char quote = o->quote != '\0' ? o->quote : '"';

    if (!needs_quotes(text, length, o->delimiter, quote)) {
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

static void put_names(struct text_buffer *to, const struct mill_schema *schema,
                      const struct csv_options *options)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (i > 0)
            text_put(to, &options->delimiter, 1);
        put_text(to, schema->fields[i].name, strlen(schema->fields[i].name), options);
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
    if (o->bare)
        text_put(to, text, n);
    else
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
    bool header;
};

static int refuse_rows(const struct mill_schema *schema, const struct options *options,
                       struct mill_error *error)
{
    char name[120];

    for (uint32_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].type.kind >= MILL_ROW)
            return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                             "table %s: column %s is %s, which CSV cannot hold: CAST it to STRING, "
                             "or take 'format' = 'json'",
                             options->table, schema->fields[i].name,
                             type_name(&schema->fields[i].type, name, sizeof name));
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

    /* a byte order mark is no part of the first field */
    const size_t mark = offset == 0 && length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const size_t cut = csv_cut(f->config.kernels, &f->options, bytes + mark, length - mark,
                               want > mark ? want - mark : 0);

    return cut > 0 ? cut + mark : 0;
}

static struct format_decoder *format_decoder_new(const struct format *format, struct heap *heap)
{
    const struct csv_format *f = (const struct csv_format *)format;
    struct csv_decoder *d = csv_decoder_new(heap, &f->config, &f->options);

    if (d == NULL)
        return NULL;
    return (struct format_decoder *)d;
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

/* Well-formed text needs no look at its fields. */
static bool format_asks_filter(const struct options *options, const struct mill_type *type,
                               bool exact)
{
    return !exact || (type_is_text(type) && option_text(options, "csv.null-literal", NULL) == NULL);
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
    if (code == MILL_OK)
        code = option_bool(config->options, "csv.write-header", false, &w->header, error);
    return code != MILL_OK ? code : csv_options_read(config->options, &w->options, error);
}

static void writer_close(struct format_writer *writer)
{
    struct csv_writer *w = (struct csv_writer *)writer;

    heap_free(w->heap, w, sizeof *w);
}

static void writer_begin(struct format_writer *writer, struct text_buffer *to)
{
    struct csv_writer *w = (struct csv_writer *)writer;

    if (w->header)
        put_names(to, w->schema, &w->options);
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
                                            "csv.write-header",
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
                                         .asks_filter = format_asks_filter,
                                         .writer_open = writer_open,
                                         .writer_close = writer_close,
                                         .write_begin = writer_begin,
                                         .write = writer_write};
