/* io/json_write.c - rows as JSON lines, in the texts of Flink's JSON format.
 *
 * Times have as many fraction digits as they need; decimals lose zeros at their end and are scientific below 0.000001
 * unless 'json.encode.decimal-as-plain-number'; NaN and infinities are strings; BYTES are base64.
 */
#include "io/json.h"

#include <stdio.h>

struct json_writer {
    struct format_writer writer;
    struct heap *heap;
    const struct mill_schema *schema;
    struct json_options options;
};

int json_writer_open(const struct sink_config *config, struct format_writer **out,
                     struct mill_error *error)
{
    struct json_writer *w = heap_zalloc(config->heap, sizeof *w);
    int code = MILL_OK;

    if (w == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    w->writer.vtable = &format_json;
    w->heap = config->heap;
    w->schema = config->schema;
    *out = &w->writer;
    for (uint32_t i = 0; code == MILL_OK && i < config->schema->field_count; i++)
        code = json_check_type(&config->schema->fields[i].type, config->schema->fields[i].name,
                               config->options, error);
    if (code == MILL_OK)
        code = json_write_options(config->options, &w->options, error);
    w->options.room = batch_new(config->heap, 1, 0);
    return code != MILL_OK || w->options.room != NULL
               ? code
               : mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
}

void json_writer_close(struct format_writer *writer)
{
    struct json_writer *w = (struct json_writer *)writer;

    batch_free(w->options.room);
    heap_free(w->heap, w, sizeof *w);
}

static void put_string(struct text_buffer *to, const char *text, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t done = 0;

    text_put(to, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t n = 2;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        text_put(to, text + done, i - done);
        done = i + 1;
        switch (c) {
        case '"':
        case '\\': escape[1] = (char)c; break;
        case '\b': escape[1] = 'b'; break;
        case '\f': escape[1] = 'f'; break;
        case '\n': escape[1] = 'n'; break;
        case '\r': escape[1] = 'r'; break;
        case '\t': escape[1] = 't'; break;
        default: n = 6; break;
        }
        text_put(to, escape, n);
    }
    text_put(to, text + done, length - done);
    text_put(to, "\"", 1);
}

static void put_base64(struct text_buffer *to, const char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)bytes;

    text_put(to, "\"", 1);
    for (size_t i = 0; i < length; i += 3) {
        const uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < length ? (uint32_t)b[i + 1] << 8 : 0) |
                           (i + 2 < length ? b[i + 2] : 0);
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                              i + 1 < length ? digits[v >> 6 & 63] : '=',
                              i + 2 < length ? digits[v & 63] : '='};

        text_put(to, four, 4);
    }
    text_put(to, "\"", 1);
}

/* As java.math.BigDecimal without zeros at its end. */
static void put_decimal(struct text_buffer *to, int128 value, uint32_t scale, bool plain)
{
    char text[64], sign = value < 0 ? '-' : '\0';
    size_t n;

    while (scale > 0 && value % 10 == 0) {
        value /= 10;
        scale--;
    }
    n = decimal_format(value < 0 ? -value : value, 0, text, sizeof text);
    if (plain || scale == 0 || (int)n - 1 - (int)scale >= -6) {
        n = decimal_format(value, scale, text, sizeof text);
        text_put(to, text, n);
        return;
    }
    text_put(to, &sign, sign != '\0');
    text_put(to, text, 1);
    if (n > 1) {
        text_put(to, ".", 1);
        text_put(to, text + 1, n - 1);
    }
    n = (size_t)snprintf(text, sizeof text, "E-%u", scale + 1 - (uint32_t)n);
    text_put(to, text, n);
}

static char *put_two(char *to, uint32_t v)
{
    to[0] = (char)('0' + v / 10);
    to[1] = (char)('0' + v % 10);
    return to + 2;
}

static void put_time(struct text_buffer *to, const struct mill_type *type, int64_t value,
                     const struct json_options *o)
{
    struct civil c;
    char text[64], *p = text;

    civil_from_time(value, type_is_nanos(type), &c);
    *p++ = '"';
    if (type->kind != MILL_TIME) {
        p += snprintf(p, 24, "%04lld-", (long long)c.year);
        p = put_two(p, c.month);
        *p++ = '-';
        p = put_two(p, c.day);
        *p++ = o->iso_times ? 'T' : ' ';
    }
    p = put_two(p, c.hour);
    *p++ = ':';
    p = put_two(p, c.minute);
    *p++ = ':';
    p = put_two(p, c.second);
    if (o->fixed_fractions && type->precision > 0) {
        snprintf(p, 12, ".%09u", c.nanos);
        p += 1 + type->precision;
    } else if (c.nanos != 0) {
        p += snprintf(p, 12, ".%09u", c.nanos);
        while (p[-1] == '0')
            p--;
    }
    if (type->kind == MILL_TIMESTAMP_LTZ)
        *p++ = 'Z';
    *p++ = '"';
    text_put(to, text, (size_t)(p - text));
}

static void put_real(struct text_buffer *to, const struct column *c, const struct mill_type *type,
                     uint32_t row, double v)
{
    char text[64];
    const size_t n = value_text(c, type, row, text, sizeof text);
    const bool finite = v - v == 0;

    text_put(to, "\"", !finite);
    text_put(to, text, n);
    text_put(to, "\"", !finite);
}

static void put_row(struct text_buffer *to, const struct mill_field *fields, uint32_t count,
                    const struct column *columns, uint32_t row, const struct json_options *o);

void json_put_value(struct text_buffer *to, const struct column *c, const struct mill_type *type,
                    uint32_t row, const struct json_options *o)
{
    const uint32_t r = c->constant ? 0 : row;
    char text[64];

    if (!column_valid(c, row)) {
        text_put(to, "null", 4);
        return;
    }
    switch (type->kind) {
    case MILL_ROW: put_row(to, type->fields, type->field_count, c->children, row, o); return;
    case MILL_ARRAY:
    case MILL_MAP:
    case MILL_MULTISET:
        json_put_nested(to, type, &((const struct mill_view *)c->values)[r], o);
        return;
    case MILL_BOOLEAN:
        if (((const uint8_t *)c->values)[r])
            text_put(to, "true", 4);
        else
            text_put(to, "false", 5);
        return;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: {
        const struct mill_view *v = &((const struct mill_view *)c->values)[r];

        (type_is_text(type) ? put_string : put_base64)(to, mill_view_data(v), v->length);
        return;
    }
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: put_time(to, type, ((const int64_t *)c->values)[r], o); return;
    case MILL_DECIMAL:
        put_decimal(to, ((const int128 *)c->values)[r], type->scale, o->plain_decimals);
        return;
    case MILL_FLOAT: put_real(to, c, type, row, ((const float *)c->values)[r]); return;
    case MILL_DOUBLE: put_real(to, c, type, row, ((const double *)c->values)[r]); return;
    default: {
        const size_t n = value_text(c, type, row, text, sizeof text);

        text_put(to, "\"", type->kind == MILL_DATE);
        text_put(to, text, n);
        text_put(to, "\"", type->kind == MILL_DATE);
        return;
    }
    }
}

static void put_row(struct text_buffer *to, const struct mill_field *fields, uint32_t count,
                    const struct column *columns, uint32_t row, const struct json_options *o)
{
    bool first = true;

    text_put(to, "{", 1);
    for (uint32_t i = 0; i < count; i++) {
        if (o->ignore_nulls && !column_valid(&columns[i], row))
            continue;
        text_put(to, ",", !first);
        first = false;
        put_string(to, fields[i].name, strlen(fields[i].name));
        text_put(to, ":", 1);
        json_put_value(to, &columns[i], &fields[i].type, row, o);
    }
    text_put(to, "}", 1);
}

void json_write(struct format_writer *writer, const struct batch *batch, struct text_buffer *to)
{
    const struct json_writer *w = (const struct json_writer *)writer;

    for (uint32_t i = 0; i < batch->live; i++) {
        put_row(to, w->schema->fields, w->schema->field_count, batch->columns, batch_row(batch, i),
                &w->options);
        batch_reset(w->options.room, 0);
        text_put(to, "\n", 1);
    }
}
