/* tools/print.c - rows as a table, CSV (RFC 4180, a header line) or JSON lines. */
#include "tools/print.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_ROWS 1000u               /* rows that decide the widths */
#define TABLE_WIDTH_MAX 60u            /* of one column; longer cells stick out */

void printer_open(struct printer *printer, FILE *out, enum print_format format, bool color)
{
    *printer = (struct printer){.out = out, .format = format, .color = color};
}

void printer_close(struct printer *printer)
{
    free(printer->text.bytes);
    free(printer->cells.bytes);
    free(printer->ends);
    free(printer->widths);
    *printer = (struct printer){0};
}

static bool flush(struct printer *p)
{
    const size_t length = p->text.length;

    p->text.length = 0;
    if (p->text.failed)
        return false;
    return length == 0 || (fwrite(p->text.bytes, 1, length, p->out) == length && fflush(p->out) == 0);
}

static bool valid(const struct mill_column *column, uint32_t row)
{
    return column->validity == NULL || (column->validity[row >> 6] >> (row & 63) & 1) != 0;
}

static bool is_text(const struct mill_type *type)
{
    return type->kind >= MILL_CHAR && type->kind <= MILL_VARBINARY;
}

static bool is_number(const struct mill_type *type)
{
    return type->kind >= MILL_TINYINT && type->kind <= MILL_DECIMAL;
}

/* ---- CSV ---- */

/* Quotes the field that begins at @from, if it must be. */
static void csv_quote(struct text *to, size_t from, bool always)
{
    const size_t length = to->length - from;
    size_t quotes = 0, end;
    bool needed = always;

    for (size_t i = from; i < to->length; i++) {
        const char c = to->bytes[i];

        quotes += c == '"';
        needed = needed || c == ',' || c == '"' || c == '\n' || c == '\r';
    }
    if (!needed)
        return;
    for (size_t i = 0; i < quotes + 2; i++)
        text_add(to, "\"", 1);
    if (to->failed)
        return;
    end = to->length - 1;
    for (size_t i = length; i-- > 0;) {
        to->bytes[--end] = to->bytes[from + i];
        if (to->bytes[end] == '"')
            to->bytes[--end] = '"';
    }
    to->bytes[from] = '"';
    to->bytes[to->length - 1] = '"';
}

static void csv_field(struct text *to, const struct mill_type *type,
                      const struct mill_column *column, uint32_t row)
{
    const size_t from = to->length;

    if (!valid(column, row))
        return;
    if (type->kind == MILL_BOOLEAN)
        text_format(to, "%s", ((const uint8_t *)column->values)[row] ? "true" : "false");
    else
        print_value(to, type, column, row);
    if (is_text(type) || type->kind == MILL_ROW)
        csv_quote(to, from, to->length == from);
}

static void csv_header(struct text *to, const struct mill_schema *schema)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        size_t from;

        if (i > 0)
            text_add(to, ",", 1);
        from = to->length;
        text_add(to, schema->fields[i].name, strlen(schema->fields[i].name));
        csv_quote(to, from, false);
    }
    text_add(to, "\n", 1);
}

static void csv_row(struct text *to, const struct mill_schema *schema,
                    const struct mill_batch *batch, uint32_t row)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (i > 0)
            text_add(to, ",", 1);
        csv_field(to, &schema->fields[i].type, &batch->columns[i], row);
    }
    text_add(to, "\n", 1);
}

/* ---- JSON lines ---- */

static void json_text(struct text *to, const char *bytes, size_t length)
{
    size_t from = 0;

    text_add(to, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];

        if (c >= 32 && c != '"' && c != '\\')
            continue;
        text_add(to, bytes + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': text_add(to, "\\\"", 2); break;
        case '\\': text_add(to, "\\\\", 2); break;
        case '\n': text_add(to, "\\n", 2); break;
        case '\r': text_add(to, "\\r", 2); break;
        case '\t': text_add(to, "\\t", 2); break;
        default: text_format(to, "\\u%04x", c);
        }
    }
    text_add(to, bytes + from, length - from);
    text_add(to, "\"", 1);
}

/* Bytes are base64 in JSON, as Flink writes them. */
static void json_base64(struct text *to, const unsigned char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    text_add(to, "\"", 1);
    for (size_t i = 0; i < length; i += 3) {
        const uint32_t rest = length - i < 3 ? (uint32_t)(length - i) : 3;
        uint32_t bits = 0;

        for (uint32_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < rest ? bytes[i + k] : 0);
        for (uint32_t k = 0; k < 4; k++)
            text_add(to, k <= rest ? &digits[bits >> (18 - 6 * k) & 63] : "=", 1);
    }
    text_add(to, "\"", 1);
}

static void json_fields(struct text *to, const struct mill_field *fields, uint32_t count,
                        const struct mill_column *columns, uint32_t row);

static void json_value(struct text *to, const struct mill_type *type,
                       const struct mill_column *column, uint32_t row)
{
    const struct mill_view *view = (const struct mill_view *)column->values + row;
    size_t from;

    if (!valid(column, row) || type->kind == MILL_NULL) {
        text_add(to, "null", 4);
    } else if (type->kind == MILL_ROW) {
        json_fields(to, type->fields, type->field_count, column->children, row);
    } else if (type->kind == MILL_CHAR || type->kind == MILL_VARCHAR) {
        json_text(to, mill_view_data(view), view->length);
    } else if (is_text(type)) {
        json_base64(to, (const unsigned char *)mill_view_data(view), view->length);
    } else if (type->kind == MILL_BOOLEAN) {
        text_format(to, "%s", ((const uint8_t *)column->values)[row] ? "true" : "false");
    } else {
        if (!is_number(type))
            text_add(to, "\"", 1);
        from = to->length;
        print_value(to, type, column, row);
        if (type->kind == MILL_TIMESTAMP_LTZ)
            text_add(to, "Z", 1);
        if (!is_number(type)) {
            text_add(to, "\"", 1);
        } else if (to->length > from && strchr("NI", to->bytes[from + (to->bytes[from] == '-')])) {
            const char *name = to->bytes[from] == '-'   ? "\"-Infinity\""
                               : to->bytes[from] == 'N' ? "\"NaN\""
                                                        : "\"Infinity\"";

            to->length = from;                 /* JSON has no such numbers */
            text_add(to, name, strlen(name));
        }
    }
}

static void json_fields(struct text *to, const struct mill_field *fields, uint32_t count,
                        const struct mill_column *columns, uint32_t row)
{
    for (uint32_t i = 0; i < count; i++) {
        text_add(to, i == 0 ? "{" : ",", 1);
        json_text(to, fields[i].name, strlen(fields[i].name));
        text_add(to, ":", 1);
        json_value(to, &fields[i].type, &columns[i], row);
    }
    text_add(to, count == 0 ? "{}" : "}", count == 0 ? 2 : 1);
}

/* ---- table ---- */

/* Terminal cells: code points; good enough without a width table. */
static uint32_t cell_width(const char *bytes, size_t length)
{
    uint32_t width = 0;

    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return width;
}

static void add_spaces(struct text *to, uint32_t count)
{
    for (; count > 0; count--)
        text_add(to, " ", 1);
}

/* Numbers stand at the right. */
static void pad_cell(struct printer *p, uint32_t column, const char *bytes, size_t length)
{
    const uint32_t width = cell_width(bytes, length), full = p->widths[column];
    const uint32_t space = width < full ? full - width : 0;
    const bool right = is_number(&p->schema->fields[column].type);

    text_add(&p->text, column == 0 ? "| " : " | ", column == 0 ? 2 : 3);
    if (right)
        add_spaces(&p->text, space);
    text_add(&p->text, bytes, length);
    if (!right)
        add_spaces(&p->text, space);
    if (column + 1 == p->schema->field_count)
        text_add(&p->text, " |\n", 3);
}

static void table_line(struct printer *p)
{
    for (uint32_t i = 0; i < p->schema->field_count; i++) {
        text_add(&p->text, "+", 1);
        for (uint32_t k = 0; k < p->widths[i] + 2; k++)
            text_add(&p->text, "-", 1);
    }
    text_add(&p->text, "+\n", 2);
}

/* The first rows are known: the header and they go out. */
static void table_fix(struct printer *p)
{
    const uint32_t columns = p->schema->field_count;
    size_t begin = 0;

    p->fixed = true;
    table_line(p);
    if (p->color)
        text_add(&p->text, "\033[1m", 4);
    for (uint32_t i = 0; i < columns; i++)
        pad_cell(p, i, p->schema->fields[i].name, strlen(p->schema->fields[i].name));
    if (p->color)
        text_add(&p->text, "\033[0m", 4);
    table_line(p);
    for (size_t i = 0; i < p->cell_count; i++) {
        pad_cell(p, (uint32_t)(i % columns), p->cells.bytes + begin, p->ends[i] - begin);
        begin = p->ends[i];
    }
    p->cells.length = 0;
    p->cell_count = 0;
}

static void table_cell(struct printer *p, uint32_t column, const struct mill_column *values,
                       uint32_t row)
{
    const size_t from = p->cells.length;
    uint32_t width;

    if (valid(values, row))
        print_value(&p->cells, &p->schema->fields[column].type, values, row);
    else
        text_add(&p->cells, "<NULL>", 6);
    for (size_t i = from; i < p->cells.length; i++)
        if ((unsigned char)p->cells.bytes[i] < 32 || p->cells.bytes[i] == 127)
            p->cells.bytes[i] = ' ';           /* a value must not steer the terminal */
    if (p->fixed) {
        pad_cell(p, column, p->cells.bytes + from, p->cells.length - from);
        p->cells.length = from;
        return;
    }
    width = cell_width(p->cells.bytes + from, p->cells.length - from);
    width = width < TABLE_WIDTH_MAX ? width : TABLE_WIDTH_MAX;
    if (p->widths[column] < width)
        p->widths[column] = width;
    if (p->cell_count == p->cell_capacity) {
        const size_t capacity = p->cell_capacity * 2 + 64;
        size_t *grown = realloc(p->ends, capacity * sizeof *grown);

        if (grown == NULL) {
            p->text.failed = true;
            return;
        }
        p->ends = grown;
        p->cell_capacity = capacity;
    }
    p->ends[p->cell_count++] = p->cells.length;
}

static void table_row(struct printer *p, const struct mill_batch *batch, uint32_t row)
{
    for (uint32_t i = 0; i < p->schema->field_count; i++)
        table_cell(p, i, &batch->columns[i], row);
    if (!p->fixed && p->cell_count >= (size_t)TABLE_ROWS * p->schema->field_count)
        table_fix(p);
}

/* ---- a query's rows ---- */

bool print_schema(struct printer *p, const struct mill_schema *schema)
{
    p->schema = schema;
    p->fixed = false;
    p->cells.length = 0;
    p->cell_count = 0;
    if (p->format == PRINT_CSV)
        csv_header(&p->text, schema);
    if (p->format != PRINT_TABLE)
        return true;
    free(p->widths);
    p->widths = calloc(schema->field_count + 1, sizeof *p->widths);
    for (uint32_t i = 0; p->widths != NULL && i < schema->field_count; i++)
        p->widths[i] = cell_width(schema->fields[i].name, strlen(schema->fields[i].name));
    return p->widths != NULL;
}

bool print_batch(struct printer *p, const struct mill_batch *batch)
{
    for (uint32_t row = 0; row < batch->rows; row++) {
        switch (p->format) {
        case PRINT_CSV: csv_row(&p->text, p->schema, batch, row); break;
        case PRINT_JSON:
            json_fields(&p->text, p->schema->fields, p->schema->field_count, batch->columns, row);
            text_add(&p->text, "\n", 1);
            break;
        case PRINT_TABLE: table_row(p, batch, row); break;
        }
    }
    if (p->cells.failed)
        p->text.failed = true;
    return flush(p);
}

bool print_end(struct printer *p)
{
    if (p->schema != NULL && p->format == PRINT_TABLE && p->widths != NULL) {
        if (!p->fixed)
            table_fix(p);
        table_line(p);
    }
    p->schema = NULL;
    return flush(p);
}
