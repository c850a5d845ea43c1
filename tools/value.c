/* tools/value.c - one value as Flink writes it. */
#include "tools/print.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void text_add(struct text *to, const char *bytes, size_t length)
{
    if (to->length + length > to->capacity) {
        const size_t capacity = (to->length + length) * 2 + 256;
        char *grown = realloc(to->bytes, capacity);

        if (grown == NULL) {
            to->failed = true;
            return;
        }
        to->bytes = grown;
        to->capacity = capacity;
    }
    if (length > 0)
        memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

void text_format(struct text *to, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        text_add(to, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* The proleptic Gregorian calendar in years that begin in March. */
static void add_date(struct text *to, int64_t days)
{
    const int64_t shifted = days + 719468, era = floor_div(shifted, 146097);
    const int64_t day = shifted - era * 146097;
    const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t of_year = day - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * of_year + 2) / 153;
    const int64_t m = month < 10 ? month + 3 : month - 9;

    text_format(to, "%04lld-%02d-%02d", (long long)(year + era * 400 + (m <= 2)), (int)m,
                (int)(of_year - (153 * month + 2) / 5 + 1));
}

static void add_time_of_day(struct text *to, int64_t ns, uint32_t precision)
{
    const int64_t s = ns / 1000000000;
    char fraction[16];

    text_format(to, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    if (precision == 0)
        return;
    snprintf(fraction, sizeof fraction, ".%09d", (int)(ns % 1000000000));
    text_add(to, fraction, precision + 1);
}

static void add_time(struct text *to, const struct mill_type *type, int64_t value)
{
    const int64_t unit = type->precision > 6 ? 1 : 1000;          /* ns in one unit of the value */
    const int64_t day = 86400000000000 / unit, days = floor_div(value, day);

    if (type->kind != MILL_TIME) {
        add_date(to, days);
        text_add(to, " ", 1);
    }
    add_time_of_day(to, (value - days * day) * unit, type->precision);
}

static void add_decimal(struct text *to, const void *at, uint32_t scale)
{
    __int128 value;
    unsigned __int128 left;
    char digits[48];
    uint32_t count = 0, next = sizeof digits;

    memcpy(&value, at, sizeof value);
    left = value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    while (left > 0 || count <= scale) {
        if (count == scale && scale > 0)
            digits[--next] = '.';
        digits[--next] = (char)('0' + (int)(left % 10));
        left /= 10;
        count++;
    }
    if (value < 0)
        digits[--next] = '-';
    text_add(to, digits + next, sizeof digits - next);
}

/* "1.5e+02" as Java shows it: 150.0, or 1.5E10 outside 0.001 to 10^7. */
static void add_java(struct text *to, const char *scientific)
{
    const bool negative = scientific[0] == '-';
    const char *mantissa = scientific + negative, *e = strchr(scientific, 'e');
    const int exponent = atoi(e + 1);
    char digits[24];
    int count = 0;

    for (const char *p = mantissa; p < e; p++)
        if (*p != '.')
            digits[count++] = *p;
    if (negative)
        text_add(to, "-", 1);
    if (exponent < -3 || exponent >= 7) {
        text_format(to, "%c.%.*sE%d", digits[0], count > 1 ? count - 1 : 1,
                    count > 1 ? digits + 1 : "0", exponent);
        return;
    }
    if (exponent < 0) {
        text_format(to, "0.%.*s%.*s", -exponent - 1, "000", count, digits);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        text_add(to, i < count ? &digits[i] : "0", 1);
    text_format(to, ".%.*s", count > exponent + 1 ? count - exponent - 1 : 1,
                count > exponent + 1 ? digits + exponent + 1 : "0");
}

/* The shortest digits that read back as the same number. */
static void add_real(struct text *to, double value, bool single)
{
    char line[48];

    if (!isfinite(value)) {
        text_format(to, "%s", isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    for (int digits = 0; digits < 17; digits++) {
        snprintf(line, sizeof line, "%.*e", digits, value);
        if (single ? strtof(line, NULL) == (float)value : strtod(line, NULL) == value)
            break;
    }
    add_java(to, line);
}

static void add_interval(struct text *to, int64_t ns)
{
    const uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, s = size / 1000000000;

    text_format(to, "%c%llu %02d:%02d:%02d.%03d", ns < 0 ? '-' : '+', (unsigned long long)(s / 86400),
                (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60),
                (int)(size / 1000000 % 1000));
}

static bool valid(const struct mill_column *column, uint32_t row)
{
    return column->validity == NULL || (column->validity[row >> 6] >> (row & 63) & 1) != 0;
}

static void add_row(struct text *to, const struct mill_type *type, const struct mill_column *column,
                    uint32_t row)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        text_add(to, i == 0 ? "(" : ", ", i == 0 ? 1 : 2);
        if (valid(&column->children[i], row))
            print_value(to, &type->fields[i].type, &column->children[i], row);
        else
            text_add(to, "NULL", 4);
    }
    text_add(to, ")", 1);
}

static void add_view(struct text *to, const struct mill_column *column, uint32_t row)
{
    const struct mill_view *view = &((const struct mill_view *)column->values)[row];

    text_add(to, mill_view_data(view), view->length);
}

void print_value(struct text *to, const struct mill_type *type, const struct mill_column *column,
                 uint32_t row)
{
    const void *v = column->values;

    if (!valid(column, row))
        return;
    switch (type->kind) {
    case MILL_BOOLEAN: text_format(to, "%s", ((const uint8_t *)v)[row] ? "TRUE" : "FALSE"); break;
    case MILL_TINYINT: text_format(to, "%d", ((const int8_t *)v)[row]); break;
    case MILL_SMALLINT: text_format(to, "%d", ((const int16_t *)v)[row]); break;
    case MILL_INT: text_format(to, "%d", ((const int32_t *)v)[row]); break;
    case MILL_BIGINT: text_format(to, "%lld", (long long)((const int64_t *)v)[row]); break;
    case MILL_FLOAT: add_real(to, (double)((const float *)v)[row], true); break;
    case MILL_DOUBLE: add_real(to, ((const double *)v)[row], false); break;
    case MILL_DECIMAL: add_decimal(to, (const char *)v + 16 * (size_t)row, type->scale); break;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: add_view(to, column, row); break;
    case MILL_DATE: add_date(to, ((const int32_t *)v)[row]); break;
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: add_time(to, type, ((const int64_t *)v)[row]); break;
    case MILL_INTERVAL_MONTH: {
        const int32_t m = ((const int32_t *)v)[row];

        text_format(to, "%c%d-%02d", m < 0 ? '-' : '+', abs(m / 12), abs(m % 12));
        break;
    }
    case MILL_INTERVAL_TIME: add_interval(to, ((const int64_t *)v)[row]); break;
    case MILL_ROW: add_row(to, type, column, row); break;
    default: break;                    /* MILL_NULL; ARRAY and MAP are no result types */
    }
}
