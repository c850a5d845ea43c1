/* core/expr/cast.c - CAST and TRY_CAST between all types, and values as text. */
#include "core/expr/functions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool cast_allowed(const struct mill_type *from, const struct mill_type *to)
{
    if (from->kind == MILL_NULL || type_same(from, to))
        return true;
    if (type_is_nested(from) || type_is_nested(to))
        return nested_cast_allowed(from, to);
    if (from->kind == MILL_ROW || to->kind == MILL_ROW) {
        if (type_is_text(to))
            return true;
        if (from->kind != to->kind || from->field_count != to->field_count)
            return false;
        for (uint32_t i = 0; i < from->field_count; i++)
            if (!cast_allowed(&from->fields[i].type, &to->fields[i].type))
                return false;
        return true;
    }
    if (type_is_text(from))
        return to->kind != MILL_INTERVAL_MONTH && to->kind != MILL_INTERVAL_TIME;
    if (type_is_text(to))
        return true;
    if (type_is_binary(from) || type_is_binary(to))
        return type_is_binary(from) && type_is_binary(to);
    if (from->kind == MILL_BOOLEAN || to->kind == MILL_BOOLEAN)
        return type_is_numeric(from) || type_is_numeric(to);
    if (type_is_numeric(from) && type_is_numeric(to))
        return true;
    if (from->kind == to->kind)
        return true;
    if (type_is_time(from))
        return to->kind == MILL_DATE || to->kind == MILL_TIME || type_is_time(to);
    if (from->kind == MILL_DATE || from->kind == MILL_TIME)
        return type_is_time(to);
    return false;
}

/* ---- values as text ---- */

static int64_t integer_at(const struct column *c, enum phys phys, uint32_t r)
{
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: return ((const int8_t *)c->values)[r];
    case PHYS_I16: return ((const int16_t *)c->values)[r];
    case PHYS_I32: return ((const int32_t *)c->values)[r];
    default: return ((const int64_t *)c->values)[r];
    }
}

/* The 8 digits of a number below 10^8, the first in the lowest byte: halves, quarters, digits side by side. */
static inline uint64_t digits8(uint32_t v)
{
    uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32, high;

    high = (x * 10486 >> 20) & 0x7f0000007f; /* x / 100 */
    x = high | (x - high * 100) << 16;
    high = (x * 103 >> 10) & 0xf000f000f000f; /* x / 10 */
    return (high | (x - high * 10) << 8) + 0x3030303030303030;
}

size_t integer_format(int64_t value, char *to)
{
    const uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    const uint64_t parts[] = {v / 10000000000000000, v / 100000000 % 100000000, v % 100000000};
    uint32_t k = v >= 10000000000000000 ? 0 : v >= 100000000 ? 1 : 2;
    uint64_t digits = digits8((uint32_t)parts[k]);
    const uint32_t zeros =
        parts[k] == 0 ? 7 : (uint32_t)__builtin_ctzll(digits ^ 0x3030303030303030) / 8;
    size_t n = value < 0;

    *to = '-';
    digits >>= zeros * 8;
    memcpy(to + n, &digits, 8);
    n += 8 - zeros;
    for (k++; k < 3; k++, n += 8) {
        digits = digits8((uint32_t)parts[k]);
        memcpy(to + n, &digits, 8);
    }
    return n;
}

static size_t interval_text(int64_t ns, char *to, size_t room)
{
    const char *sign = ns < 0 ? "-" : "+";
    const uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    const uint64_t s = v / 1000000000;

    return (size_t)snprintf(to, room, "%s%llu %02u:%02u:%02u.%03u", sign,
                            (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24),
                            (unsigned)(s / 60 % 60), (unsigned)(s % 60),
                            (unsigned)(v / 1000000 % 1000));
}

static size_t row_text(const struct column *c, const struct mill_type *type, uint32_t row,
                       const struct zone *zone, char *to, size_t room)
{
    size_t n = 0;

    for (uint32_t i = 0; i < type->field_count && n + 64 < room; i++) {
        n += (size_t)snprintf(to + n, room - n, "%s", i == 0 ? "(" : ", ");
        n += value_text_in(&c->children[i], &type->fields[i].type, row, zone, to + n, room - n - 2);
    }
    if (n + 1 < room)
        to[n++] = ')';
    return n;
}

size_t value_text(const struct column *c, const struct mill_type *type, uint32_t row, char *to,
                  size_t room)
{
    return value_text_in(c, type, row, NULL, to, room);
}

size_t value_text_in(const struct column *c, const struct mill_type *type, uint32_t row,
                     const struct zone *zone, char *to, size_t room)
{
    const uint32_t r = at_row(c, row);
    size_t n;

    if (!column_valid(c, row))
        return (size_t)snprintf(to, room, "NULL");
    switch (type->kind) {
    case MILL_BOOLEAN:
        return (size_t)snprintf(to, room, "%s", ((const uint8_t *)c->values)[r] ? "TRUE" : "FALSE");
    case MILL_FLOAT: return float_format(((const float *)c->values)[r], to, room);
    case MILL_DOUBLE: return double_format(((const double *)c->values)[r], to, room);
    case MILL_DECIMAL: return decimal_format(((const int128 *)c->values)[r], type->scale, to, room);
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: {
        const struct mill_view *v = &((const struct mill_view *)c->values)[r];

        n = v->length < room ? v->length : room;
        memcpy(to, mill_view_data(v), n);
        return n;
    }
    case MILL_DATE:
    case MILL_TIME:
    case MILL_TIMESTAMP: return time_format(integer_at(c, type_phys(type), r), type, to, room);
    case MILL_TIMESTAMP_LTZ:
        return time_format(zone_local(zone, ((const int64_t *)c->values)[r], type_is_nanos(type)),
                           type, to, room);
    case MILL_INTERVAL_TIME: return interval_text(((const int64_t *)c->values)[r], to, room);
    case MILL_INTERVAL_MONTH: {
        const int32_t m = ((const int32_t *)c->values)[r];

        return (size_t)snprintf(to, room, "%s%d-%02d", m < 0 ? "-" : "+", abs(m) / 12, abs(m) % 12);
    }
    case MILL_ROW: return row_text(c, type, row, zone, to, room);
    case MILL_ARRAY:
    case MILL_MAP:
    case MILL_MULTISET:
        return nested_text(type, &((const struct mill_view *)c->values)[r], zone, to, room);
    default: CHECK(room >= 32); return integer_format(integer_at(c, type_phys(type), r), to);
    }
}

char *value_text_whole(struct arena *arena, const struct column *c, const struct mill_type *type,
                       uint32_t row, const struct zone *zone, size_t *bytes)
{
    for (size_t room = 512; room <= 2u * ITEMS_BYTES_MAX; room *= 2) {
        char *text = arena_alloc(arena, room);

        if (text == NULL)
            return NULL;
        *bytes = value_text_in(c, type, row, zone, text, room);
        if (*bytes + 64 < room)
            return text;
    }
    return NULL;
}

/* ---- one value ---- */

/* What a value is on its way from one type to another. */
struct value {
    enum { V_INTEGER, V_DECIMAL, V_DOUBLE } kind;
    int128 integer; /* V_DECIMAL: with scale */
    uint32_t scale;
    double real;
};

static struct value value_read(const struct column *c, const struct mill_type *type, uint32_t r)
{
    switch (type->kind) {
    case MILL_FLOAT: return (struct value){V_DOUBLE, 0, 0, (double)((const float *)c->values)[r]};
    case MILL_DOUBLE: return (struct value){V_DOUBLE, 0, 0, ((const double *)c->values)[r]};
    case MILL_DECIMAL:
        return (struct value){V_DECIMAL, ((const int128 *)c->values)[r], type->scale, 0};
    default: return (struct value){V_INTEGER, integer_at(c, type_phys(type), r), 0, 0};
    }
}

static double value_double(const struct value *v)
{
    return v->kind == V_DOUBLE    ? v->real
           : v->kind == V_DECIMAL ? decimal_to_double(v->integer, v->scale)
                                  : (double)(int64_t)v->integer;
}

/* Java: doubles saturate, NaN is 0; wide integers are cut to the low bits. */
static int64_t value_integer(const struct value *v, const struct mill_type *to)
{
    static const int64_t most[] = {[MILL_TINYINT] = INT32_MAX,
                                   [MILL_SMALLINT] = INT32_MAX,
                                   [MILL_INT] = INT32_MAX,
                                   [MILL_BIGINT] = INT64_MAX};

    if (v->kind == V_INTEGER)
        return (int64_t)v->integer;
    if (v->kind == V_DECIMAL)
        return (int64_t)(v->integer / decimal_power(v->scale));
    if (isnan(v->real))
        return 0;
    if (v->real >= (double)most[to->kind])
        return most[to->kind];
    if (v->real <= -(double)most[to->kind])
        return -most[to->kind] - 1;
    return (int64_t)v->real;
}

static void integer_write(struct column *out, enum phys phys, uint32_t row, int64_t value)
{
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: RESULT(int8_t, out)[row] = (int8_t)value; break;
    case PHYS_I16: RESULT(int16_t, out)[row] = (int16_t)value; break;
    case PHYS_I32: RESULT(int32_t, out)[row] = (int32_t)value; break;
    default: RESULT(int64_t, out)[row] = value;
    }
}

static bool decimal_write(const struct value *v, const struct mill_type *to, int128 *out)
{
    if (v->kind == V_DOUBLE)
        return decimal_from_double(v->real, to->precision, to->scale, out);
    return decimal_rescale(v->integer, v->kind == V_DECIMAL ? v->scale : 0, to->scale, out) &&
           decimal_fits(*out, to->precision);
}

static void number_write(struct eval *e, const struct value *v, struct column *out,
                         const struct mill_type *to, uint32_t row)
{
    switch (to->kind) {
    case MILL_BOOLEAN: RESULT(uint8_t, out)[row] = value_double(v) != 0; break;
    case MILL_FLOAT: RESULT(float, out)[row] = (float)value_double(v); break;
    case MILL_DOUBLE: RESULT(double, out)[row] = value_double(v); break;
    case MILL_DECIMAL:
        if (!decimal_write(v, to, &RESULT(int128, out)[row])) {
            e->context->decimal_overflow++;
            eval_null(e, out, row);
        }
        break;
    default: integer_write(out, type_phys(to), row, value_integer(v, to));
    }
}

/* ---- text to values ---- */

static bool text_integer(const char *text, size_t bytes, const struct mill_type *to, int64_t *out)
{
    static const int64_t most[] = {[MILL_TINYINT] = INT8_MAX,
                                   [MILL_SMALLINT] = INT16_MAX,
                                   [MILL_INT] = INT32_MAX,
                                   [MILL_BIGINT] = INT64_MAX};
    int128 value;

    /* as Flink: '12.7' is cut to 12 */
    if (!decimal_parse(text, bytes, 38, 18, &value))
        return false;
    value /= decimal_power(18);
    if (value > most[to->kind] || value < -(int128)most[to->kind] - 1)
        return false;
    *out = (int64_t)value;
    return true;
}

bool double_parse(const char *text, size_t bytes, double *out)
{
    char copy[400];
    char *stop;

    while (bytes > 0 && *text == ' ')
        text++, bytes--;
    while (bytes > 0 && text[bytes - 1] == ' ')
        bytes--;
    if (bytes == 0 || bytes >= sizeof copy)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    if (strpbrk(copy, "xXpP") != NULL)
        return false;
    *out = strtod(copy, &stop);
    return *stop == '\0';
}

static bool text_boolean(const char *text, size_t bytes, uint8_t *out)
{
    static const char *const names[] = {"false", "f", "no", "n", "0", "true", "t", "yes", "y", "1"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strlen(names[i]) == bytes && strncasecmp(text, names[i], bytes) == 0) {
            *out = i >= 5;
            return true;
        }
    return false;
}

/* A text that ends in Z is an instant, another one a local time. */
static bool text_instant(struct eval *e, const char *text, size_t bytes, const struct mill_type *to,
                         int64_t *out)
{
    size_t n = bytes;

    if (!time_parse(text, bytes, to, out))
        return false;
    while (text[n - 1] == ' ')
        n--;
    if (text[n - 1] != 'Z')
        *out = zone_instant(e->zone, *out, type_is_nanos(to));
    return true;
}

static bool text_write(struct eval *e, const char *text, size_t bytes, struct column *out,
                       const struct mill_type *to, uint32_t row)
{
    int64_t integer = 0;
    double real = 0;

    switch (to->kind) {
    case MILL_BOOLEAN: return text_boolean(text, bytes, &RESULT(uint8_t, out)[row]);
    case MILL_FLOAT:
        if (!double_parse(text, bytes, &real))
            return false;
        RESULT(float, out)[row] = (float)real;
        return true;
    case MILL_DOUBLE: return double_parse(text, bytes, &RESULT(double, out)[row]);
    case MILL_DECIMAL:
        return decimal_parse(text, bytes, to->precision, to->scale, &RESULT(int128, out)[row]);
    case MILL_DATE: return date_parse(text, bytes, &RESULT(int32_t, out)[row]);
    case MILL_TIME: return clock_parse(text, bytes, to, &RESULT(int64_t, out)[row]);
    case MILL_TIMESTAMP: return time_parse(text, bytes, to, &RESULT(int64_t, out)[row]);
    case MILL_TIMESTAMP_LTZ: return text_instant(e, text, bytes, to, &RESULT(int64_t, out)[row]);
    default:
        if (!text_integer(text, bytes, to, &integer))
            return false;
        integer_write(out, type_phys(to), row, integer);
        return true;
    }
}

/* ---- to text: VARCHAR(n) cuts, CHAR(n) cuts and pads ---- */

static size_t utf8_prefix(const char *text, size_t bytes, uint32_t characters, uint32_t *found)
{
    size_t i = 0;

    *found = 0;
    while (i < bytes) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) {
            if (*found == characters)
                break;
            ++*found;
        }
        i++;
    }
    return i;
}

/* @lasts: the text lives as long as the result. */
static void text_fit(struct eval *e, struct column *out, uint32_t row, const char *text,
                     size_t bytes, const struct mill_type *to, bool lasts)
{
    const bool pads = to->kind == MILL_CHAR || to->kind == MILL_BINARY;
    uint32_t found;

    if (!pads && bytes <= to->length) {
        if (lasts)
            eval_slice(out, row, text, bytes);
        else
            eval_text(e, out, row, text, bytes);
        return;
    }
    const size_t kept = type_is_text(to) ? utf8_prefix(text, bytes, to->length, &found)
                                         : (found = (uint32_t)min_u64(bytes, to->length));

    if (pads && found < to->length && to->length < 1u << 20) {
        const size_t all = kept + (to->length - found);
        char *padded = eval_bytes(e, all);

        if (padded == NULL)
            return;
        memcpy(padded, text, kept);
        memset(padded + kept, to->kind == MILL_CHAR ? ' ' : 0, all - kept);
        RESULT(struct mill_view, out)[row] = view_of(padded, (uint32_t)all);
        return;
    }
    eval_text(e, out, row, text, kept);
}

/* ---- times ---- */

static int64_t rescale_time(int64_t v, const struct mill_type *from, const struct mill_type *to)
{
    const int64_t unit = type_time_unit(to);

    if (type_is_nanos(from) && !type_is_nanos(to))
        v = floor_div(v, 1000);
    else if (!type_is_nanos(from) && type_is_nanos(to))
        v = time_mul(v, 1000);
    return time_mul(floor_div(v, unit), unit);
}

static void time_cast(struct eval *e, const struct column *c, const struct mill_type *from,
                      struct column *out, const struct mill_type *to, uint32_t row)
{
    const int64_t given = integer_at(c, type_phys(from), at_row(c, row));
    const bool same = from->kind == to->kind;
    const int64_t v = same ? given : eval_wall(e, from, given);
    const int64_t day = type_is_nanos(from) ? 86400000000000ll : 86400000000ll;
    const struct mill_type micros = type_time(MILL_TIMESTAMP, 6);

    if (from->kind == MILL_DATE && to->kind != MILL_DATE)
        RESULT(int64_t, out)[row] = rescale_time(time_mul(v, 86400000000ll), &micros, to);
    else if (to->kind == MILL_DATE)
        RESULT(int32_t, out)
    [row] = from->kind == MILL_DATE ? (int32_t)v : (int32_t)floor_div(v, day);
    else if (to->kind == MILL_TIME && from->kind != MILL_TIME) RESULT(int64_t, out)[row] =
        rescale_time(floor_mod(v, day), from, to);
    else if (type_phys(to) == PHYS_I64) RESULT(int64_t, out)[row] =
        to->kind == MILL_INTERVAL_TIME ? v : rescale_time(v, from, to);
    else integer_write(out, type_phys(to), row, v);
    if (to->kind == MILL_TIMESTAMP_LTZ && !same)
        RESULT(int64_t, out)[row] = eval_unwall(e, to, RESULT(int64_t, out)[row]);
}

/* ---- columns ---- */

static void cast_from_text(struct eval *e, const struct column *from,
                           const struct mill_type *from_type, struct column *out,
                           const struct mill_type *to, bool try_cast, uint32_t row)
{
    const struct mill_view *v = TEXT(from, row);
    const char *text = mill_view_data(v);
    char reason[200], name[80], raw[60];

    if (type_is_text(to) || type_is_binary(to)) {
        text_fit(e, out, row, text, v->length, to, true);
        return;
    }
    (void)from_type;
    if (text_write(e, text, v->length, out, to, row))
        return;
    if (try_cast) {
        eval_null(e, out, row);
        return;
    }
    snprintf(reason, sizeof reason, "cannot cast '%s' to %s; TRY_CAST gives NULL instead",
             text_shown(text, v->length, raw, sizeof raw), type_name(to, name, sizeof name));
    eval_bad(e, row, reason);
}

static void cast_row(struct eval *e, const struct column *from, const struct mill_type *from_type,
                     struct column *out, const struct mill_type *to, bool try_cast)
{
    for (uint32_t i = 0; i < to->field_count; i++) {
        out->children[i].constant = false;
        if (type_same(&from_type->fields[i].type, &to->fields[i].type))
            out->children[i] = from->children[i];
        else
            cast_column(e, &from->children[i], &from_type->fields[i].type, &out->children[i],
                        &to->fields[i].type, try_cast);
    }
}

static void cast_one(struct eval *e, const struct column *from, const struct mill_type *from_type,
                     struct column *out, const struct mill_type *to, bool try_cast, uint32_t row)
{
    if (type_is_text(from_type) || type_is_binary(from_type)) {
        cast_from_text(e, from, from_type, out, to, try_cast, row);
    } else if (type_is_text(to)) {
        char text[256];
        const bool whole = from_type->kind < MILL_ROW;
        size_t bytes = whole ? value_text_in(from, from_type, row, e->zone, text, sizeof text) : 0;
        const char *made =
            whole ? text
                  : value_text_whole(&e->batch->bytes, from, from_type, row, e->zone, &bytes);

        if (made == NULL)
            eval_no_memory(e);
        else
            text_fit(e, out, row, made, bytes, to, !whole);
    } else if (type_is_numeric(from_type) || from_type->kind == MILL_BOOLEAN) {
        const struct value v = value_read(from, from_type, at_row(from, row));

        number_write(e, &v, out, to, row);
    } else {
        time_cast(e, from, from_type, out, to, row);
    }
}

/* All rows as they lie where all are asked for, else one by one. */
#define CAST_LOOP(from_c, to_c, value)                                                             \
    if (e->rows == NULL && !from->constant)                                                        \
        for (uint32_t row = 0; row < e->count; row++) {                                            \
            const from_c v = ((const from_c *)from->values)[row];                                  \
                                                                                                   \
            RESULT(to_c, out)[row] = (value);                                                      \
        }                                                                                          \
    else                                                                                           \
        FOR_ROWS(e, row)                                                                           \
        {                                                                                          \
            const from_c v = VALUE(from_c, from, row);                                             \
                                                                                                   \
            RESULT(to_c, out)[row] = (value);                                                      \
        }                                                                                          \
    break
#define CAST_FROM(from_c)                                                                          \
    switch (to->kind) {                                                                            \
    case MILL_INT: CAST_LOOP(from_c, int32_t, (int32_t)v);                                         \
    case MILL_BIGINT: CAST_LOOP(from_c, int64_t, v);                                               \
    case MILL_DOUBLE: CAST_LOOP(from_c, double, (double)v);                                        \
    default: CAST_LOOP(from_c, int128, v *power); /* DECIMAL */                                    \
    }                                                                                              \
    break

/* Casts of INT and BIGINT that cannot fail, of any bits: NULL rows too. False: it is none. */
static bool cast_numbers(struct eval *e, const struct column *from,
                         const struct mill_type *from_type, struct column *out,
                         const struct mill_type *to)
{
    const bool wide = from_type->kind == MILL_BIGINT;
    const bool holds = to->kind == MILL_DECIMAL && to->precision - to->scale >= (wide ? 19 : 10);
    const int128 power = holds ? decimal_power(to->scale) : 1;

    if ((from_type->kind != MILL_INT && !wide) ||
        (to->kind != MILL_INT && to->kind != MILL_BIGINT && to->kind != MILL_DOUBLE && !holds))
        return false;
    FOR_ROWS(e, row)
    {
        if (from->validity == NULL)
            break;
        if (!column_valid(from, row))
            eval_null(e, out, row);
    }
    switch (type_phys(from_type)) {
    case PHYS_I32: CAST_FROM(int32_t);
    default: CAST_FROM(int64_t);
    }
    return true;
}

static void integers_to_text(struct eval *e, const struct column *from,
                             const struct mill_type *from_type, struct column *out)
{
    const enum phys phys = type_phys(from_type);

    FOR_ROWS(e, row)
    {
        char text[32];
        size_t n;

        if (!column_valid(from, row)) {
            eval_null(e, out, row);
            continue;
        }
        n = integer_format(integer_at(from, phys, at_row(from, row)), text);
        if (n <= 12)
            eval_slice(out, row, text, n);
        else
            eval_text(e, out, row, text, n);
    }
}

void cast_column(struct eval *e, const struct column *from, const struct mill_type *from_type,
                 struct column *out, const struct mill_type *to, bool try_cast)
{
    if (to->kind == MILL_ROW) {
        cast_row(e, from, from_type, out, to, try_cast);
        FOR_ROWS(e, row)
        if (!column_valid(from, row))
            eval_null(e, out, row);
        return;
    }
    if (type_is_nested(to)) {
        cast_nested(e, from, from_type, out, to, try_cast);
        return;
    }
    if (cast_numbers(e, from, from_type, out, to))
        return;
    if (type_is_integer(from_type) && to->kind == MILL_VARCHAR && to->length >= 20) {
        integers_to_text(e, from, from_type, out);
        return;
    }
    FOR_ROWS(e, row)
    {
        if (!column_valid(from, row))
            eval_null(e, out, row);
        else
            cast_one(e, from, from_type, out, to, try_cast, row);
        if (e->code != MILL_OK)
            return;
    }
}
