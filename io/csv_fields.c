/* io/csv_fields.c - a field of CSV to a value of its column's type, the careful way. */
#include "core/values.h"
#include "io/csv_decode.h"

#include <stdlib.h>
#include <strings.h>

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

bool csv_utf8_valid(const char *text, size_t bytes)
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
bool csv_store(struct column *c, const struct mill_type *type, const struct field *f, uint32_t row)
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
        return type->kind > MILL_VARCHAR || csv_utf8_valid(f->text, f->length);
    }
}

bool csv_is_null(const struct csv_decoder *d, const struct mill_type *type, const struct field *f)
{
    if (d->options.null_literal != NULL)
        return !f->quoted && strlen(d->options.null_literal) == f->length &&
               memcmp(f->text, d->options.null_literal, f->length) == 0;
    return f->length == 0 && !f->quoted && !type_is_text(type) && !type_is_binary(type);
}
bool csv_put(struct csv_decoder *d, struct batch *out, uint32_t column, const struct field *f,
             uint32_t row, bool *memory)
{
    const struct mill_type *type = &d->schema->fields[column].type;
    struct column *c = &out->columns[column];

    if (!csv_is_null(d, type, f))
        return csv_store(c, type, f, row);
    if (type->not_null)
        return false;
    if (c->validity == NULL && !column_own_validity(out, c)) {
        *memory = false;
        return false;
    }
    memset((char *)c->values + (size_t)row * type_width(type), 0, type_width(type));
    column_set_null(c, row);
    return true;
}
