/* tools/print.c - result rows as CSV, JSON lines or a table. */
#include "tools/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512

/* ---- values as text ---- */

static void civil(int64_t days, int64_t *year, int *month, int *day)
{
    /* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" */
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

static void time_text(const struct mill_type *type, int64_t v, char *to, size_t room)
{
    const int64_t per_second = type->precision > 6 ? 1000000000 : 1000000;
    int64_t seconds = v / per_second, part = v % per_second, days, rest, year;
    int month, day, n = 0;

    if (part < 0) {
        part += per_second;
        seconds--;
    }
    days = seconds / 86400;
    rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil(days, &year, &month, &day);
    if (type->kind != MILL_TIME)
        n = snprintf(to, room, "%04" PRId64 "-%02d-%02d ", year, month, day);
    n += snprintf(to + n, room - (size_t)n, "%02d:%02d:%02d", (int)(rest / 3600),
                  (int)(rest / 60 % 60), (int)(rest % 60));
    if (type->precision > 0)
        snprintf(to + n, room - (size_t)n, ".%0*" PRId64, type->precision > 6 ? 9 : 6, part),
            to[n + 1 + type->precision] = '\0';
}

static void decimal_text(__int128 v, unsigned scale, char *to)
{
    unsigned __int128 m = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    char digits[48];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + (int)(m % 10));
        m /= 10;
    } while (m != 0 || n <= scale);
    if (v < 0)
        *to++ = '-';
    while (n > 0) {
        *to++ = digits[--n];
        if (n == scale && scale > 0)
            *to++ = '.';
    }
    *to = '\0';
}

/* The shortest text that reads back the same, in the form of Java's Double.toString. */
static void real_text(double v, bool narrow, char *to, size_t room)
{
    char shortest[64], digits[40];
    int exponent, n = 0;

    if (!isfinite(v) || v == 0) {
        snprintf(to, room, "%s",
                 isnan(v)     ? "NaN"
                 : v > 0      ? "Infinity"
                 : v < 0      ? "-Infinity"
                 : signbit(v) ? "-0.0"
                              : "0.0");
        return;
    }
    for (int places = 0; places < 17; places++) {
        snprintf(shortest, sizeof shortest, "%.*e", places, fabs(v));
        if (narrow ? strtof(shortest, NULL) == (float)fabs(v) : strtod(shortest, NULL) == fabs(v))
            break;
    }
    exponent = atoi(strchr(shortest, 'e') + 1);
    for (const char *c = shortest; *c != 'e'; c++)
        if (*c != '.')
            digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (v < 0)
        *to++ = '-';
    if (exponent < -3 || exponent >= 7)
        snprintf(to, room - 1, "%c.%.*sE%d", digits[0], n > 1 ? n - 1 : 1, n > 1 ? digits + 1 : "0",
                 exponent);
    else if (exponent < 0)
        snprintf(to, room - 1, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    else if (n <= exponent + 1)
        snprintf(to, room - 1, "%.*s%.*s.0", n, digits, exponent + 1 - n, "0000000");
    else
        snprintf(to, room - 1, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1,
                 digits + exponent + 1);
}

/* @query NULL: TIMESTAMP_LTZ as UTC. */
static const char *plain_text(const mill_query *query, const struct mill_type *type,
                              const struct mill_column *c, uint32_t row, char *to)
{
    int64_t v = 0;
    int32_t days;

    switch (type->kind) {
    case MILL_BOOLEAN: return ((const uint8_t *)c->values)[row] ? "true" : "false";
    case MILL_TINYINT: v = ((const int8_t *)c->values)[row]; break;
    case MILL_SMALLINT: v = ((const int16_t *)c->values)[row]; break;
    case MILL_INT:
    case MILL_INTERVAL_MONTH: v = ((const int32_t *)c->values)[row]; break;
    case MILL_FLOAT:
        real_text((double)((const float *)c->values)[row], true, to, TEXT_MAX);
        return to;
    case MILL_DOUBLE: real_text(((const double *)c->values)[row], false, to, TEXT_MAX); return to;
    case MILL_DECIMAL: decimal_text(((const __int128 *)c->values)[row], type->scale, to); return to;
    case MILL_DATE: {
        int64_t year;
        int month, day;

        days = ((const int32_t *)c->values)[row];
        civil(days, &year, &month, &day);
        snprintf(to, TEXT_MAX, "%04" PRId64 "-%02d-%02d", year, month, day);
        return to;
    }
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ:
        v = ((const int64_t *)c->values)[row];
        time_text(type, query != NULL ? mill_local_time(query, type, v) : v, to, TEXT_MAX);
        return to;
    default: v = ((const int64_t *)c->values)[row];
    }
    snprintf(to, TEXT_MAX, "%" PRId64, v);
    return to;
}

static bool is_text(const struct mill_type *type)
{
    return type->kind >= MILL_CHAR && type->kind <= MILL_VARBINARY;
}

static bool is_null(const struct mill_column *c, uint32_t row)
{
    return c->validity != NULL && (c->validity[row >> 6] >> (row & 63) & 1) == 0;
}

/* ---- CSV ---- */

static void csv_text(FILE *to, const char *text, size_t length)
{
    bool quoted = length == 0;

    for (size_t i = 0; i < length && !quoted; i++)
        quoted = strchr(",\"\n\r", text[i]) != NULL && text[i] != '\0';
    if (!quoted) {
        fwrite(text, 1, length, to);
        return;
    }
    fputc('"', to);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            fputc('"', to);
        fputc(text[i], to);
    }
    fputc('"', to);
}

/* ---- JSON ---- */

static void json_text(FILE *to, const char *text, size_t length)
{
    fputc('"', to);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void json_value(FILE *to, const struct mill_type *type, const struct mill_column *c,
                       uint32_t row)
{
    char text[TEXT_MAX];
    const char *plain;

    if (is_null(c, row)) {
        fputs("null", to);
    } else if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++) {
            fputs(i == 0 ? "{" : ",", to);
            json_text(to, type->fields[i].name, strlen(type->fields[i].name));
            fputc(':', to);
            json_value(to, &type->fields[i].type, &c->children[i], row);
        }
        fputc('}', to);
    } else if (is_text(type)) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[row];

        json_text(to, mill_view_data(v), v->length);
    } else {
        plain = plain_text(NULL, type, c, row, text);
        if (type->kind == MILL_TIMESTAMP_LTZ)
            strcat(text, "Z");
        if (type->kind <= MILL_DECIMAL && strpbrk(plain, "NI") == NULL)
            fputs(plain, to);
        else
            json_text(to, plain, strlen(plain));
    }
}

/* ---- cells: the text of any value ---- */

static char *cell_text(const mill_query *query, const struct mill_type *type,
                       const struct mill_column *c, uint32_t row, const char *null, size_t *length)
{
    char text[TEXT_MAX];
    char *made = NULL;
    FILE *to;

    if (!is_null(c, row) && type->kind == MILL_ROW) {
        to = open_memstream(&made, length);
        if (to != NULL) {
            json_value(to, type, c, row);
            fclose(to);
        }
        return made;
    }
    if (!is_null(c, row) && is_text(type)) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[row];

        *length = v->length;
        made = malloc(v->length + 1);
        if (made != NULL) {
            memcpy(made, mill_view_data(v), v->length);
            made[v->length] = '\0';
        }
        return made;
    }
    made = strdup(is_null(c, row) ? null : plain_text(query, type, c, row, text));
    *length = made != NULL ? strlen(made) : 0;
    return made;
}

static void keep_cell(struct printer *p, char *cell)
{
    if (p->cell_count == p->cell_room) {
        p->cell_room = p->cell_room == 0 ? 256 : p->cell_room * 2;
        p->cells = realloc(p->cells, p->cell_room * sizeof *p->cells);
        if (p->cells == NULL)
            abort();
    }
    p->cells[p->cell_count++] = cell;
}

/* ---- the printer ---- */

void printer_begin(struct printer *p, const mill_query *query, const struct mill_schema *schema)
{
    p->query = query;
    p->schema = schema;
    p->named = false;
}

static void csv_names(const struct printer *p)
{
    for (uint32_t i = 0; i < p->schema->field_count; i++) {
        const char *name = p->schema->fields[i].name;

        if (i > 0)
            fputc(',', p->to);
        csv_text(p->to, name, strlen(name));
    }
    fputc('\n', p->to);
}

void printer_names(struct printer *p)
{
    if (p->named)
        return;
    p->named = true;
    if (p->format == PRINT_CSV)
        csv_names(p);
    for (uint32_t i = 0; p->format == PRINT_TABLE && i < p->schema->field_count; i++)
        keep_cell(p, strdup(p->schema->fields[i].name));
}

static void print_row(struct printer *p, const struct mill_batch *batch, uint32_t row)
{
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const struct mill_type *type = &p->schema->fields[i].type;
        size_t length = 0;
        char *cell;

        if (p->format == PRINT_JSON) {
            fputs(i == 0 ? "{" : ",", p->to);
            json_text(p->to, p->schema->fields[i].name, strlen(p->schema->fields[i].name));
            fputc(':', p->to);
            json_value(p->to, type, &batch->columns[i], row);
            continue;
        }
        cell = cell_text(p->query, type, &batch->columns[i], row,
                         p->format == PRINT_TABLE ? "<NULL>" : "", &length);
        if (p->format == PRINT_TABLE) {
            keep_cell(p, cell);
            continue;
        }
        if (i > 0)
            fputc(',', p->to);
        if (is_null(&batch->columns[i], row))
            ; /* nothing at all: an empty text is quoted */
        else
            csv_text(p->to, cell, length);
        free(cell);
    }
    if (p->format == PRINT_JSON)
        fputc('}', p->to);
    if (p->format != PRINT_TABLE)
        fputc('\n', p->to);
}

void printer_rows(struct printer *p, const struct mill_batch *batch)
{
    for (uint32_t row = 0; row < batch->rows; row++)
        print_row(p, batch, row);
    if (p->format != PRINT_TABLE)
        fflush(p->to); /* live results do not wait for a buffer to be full */
    p->failed = p->failed || ferror(p->to) != 0;
}

static size_t shown_width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void printer_end(struct printer *p)
{
    const uint32_t columns = p->schema->field_count;
    size_t *widths = calloc(columns + 1, sizeof *widths);

    for (size_t i = 0; widths != NULL && i < p->cell_count; i++)
        if (shown_width(p->cells[i]) > widths[i % columns])
            widths[i % columns] = shown_width(p->cells[i]);
    for (size_t i = 0; widths != NULL && i < p->cell_count; i++) {
        const size_t k = i % columns;

        fprintf(p->to, "%s%s%*s", k == 0 ? "| " : " | ", p->cells[i],
                (int)(widths[k] - shown_width(p->cells[i])), "");
        if (k + 1 < columns)
            continue;
        fputs(" |\n", p->to);
        if (i + 1 == columns) {
            for (uint32_t c = 0; c < columns; c++) {
                fputs(c == 0 ? "|" : "+", p->to);
                for (size_t w = 0; w < widths[c] + 2; w++)
                    fputc('-', p->to);
            }
            fputs("|\n", p->to);
        }
    }
    for (size_t i = 0; i < p->cell_count; i++)
        free(p->cells[i]);
    free(p->cells);
    free(widths);
    p->cells = NULL;
    p->cell_count = p->cell_room = 0;
    p->schema = NULL;
    if (fflush(p->to) != 0)
        p->failed = true;
}
