/* core/expr/fn_time.c - dates, times and clocks. A TIMESTAMP_LTZ is read off the session's clock. */
#include "core/expr/functions.h"

#include <stdio.h>
#include <strings.h>

#define TIME(i) VALUE(int64_t, &args[i], row)

enum unit {
    U_EPOCH,
    U_MILLENNIUM,
    U_CENTURY,
    U_DECADE,
    U_YEAR,
    U_QUARTER,
    U_MONTH,
    U_WEEK,
    U_DAY,
    U_DOY,
    U_DOW,
    U_ISODOW,
    U_HOUR,
    U_MINUTE,
    U_SECOND,
    U_MILLISECOND,
    U_MICROSECOND,
    U_NANOSECOND,
    U_NONE
};
static const char *const unit_names[] = {"EPOCH",       "MILLENNIUM", "CENTURY", "DECADE",
                                         "YEAR",        "QUARTER",    "MONTH",   "WEEK",
                                         "DAY",         "DOY",        "DOW",     "ISODOW",
                                         "HOUR",        "MINUTE",     "SECOND",  "MILLISECOND",
                                         "MICROSECOND", "NANOSECOND"};

static enum unit unit_find(const char *name, size_t bytes)
{
    if (bytes > 1 && (name[bytes - 1] | 32) == 's')
        bytes--;
    for (uint32_t i = 0; i < COUNT_OF(unit_names); i++)
        if (strlen(unit_names[i]) == bytes && strncasecmp(unit_names[i], name, bytes) == 0)
            return (enum unit)i;
    if (bytes > 9 && strncasecmp(name, "SQL_TSI_", 8) == 0)
        return unit_find(name + 8, bytes - 8);
    return U_NONE;
}

/* The unit of a literal argument; an unknown one is an error with its place. */
static bool resolve_unit(struct call *c, uint32_t arg)
{
    const char *name = resolve_literal_text(c, arg);

    if (name != NULL && unit_find(name, strlen(name)) != U_NONE)
        return true;
    mill_fail(c->error, MILL_E_NAME, c->args[arg]->line, c->args[arg]->column,
              "%s is not a unit of time: YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND ...",
              name != NULL ? name : "this");
    return false;
}

/* Any time, or text that is one, to TIMESTAMP(3..9). */
static bool resolve_time(struct call *c, uint32_t arg)
{
    const struct mill_type *t = arg_type(c, arg);
    const struct mill_type millis = type_time(MILL_TIMESTAMP, 3);

    if (type_is_time(t))
        return true;
    if (t->kind != MILL_DATE && t->kind != MILL_NULL && t->kind != MILL_TIME && !type_is_text(t))
        return false;
    return resolve_cast(c, arg, &millis);
}

/* Times mostly ascend: a row in the same hour, day ... as the row before it has its value. */
struct span {
    int64_t from;
    uint64_t length; /* 0: none yet */
};

static inline bool span_has(const struct span *s, int64_t v)
{
    return (uint64_t)v - (uint64_t)s->from < s->length;
}

/* The span of this length that @v lies in, from a multiple of it on; none at the ends of int64. */
static void span_move(struct span *s, int64_t v, int64_t length)
{
    const bool inside = v > INT64_MIN + length && v < INT64_MAX - length;

    s->from = inside ? floor_div(v, length) * length : 0;
    s->length = inside ? (uint64_t)length : 0;
}

static int64_t weekday(int64_t days)
{
    return ((days + 4) % 7 + 7) % 7;
} /* 0: Sunday */

static int64_t iso_week(int64_t days)
{
    const int64_t thursday = days - (weekday(days) + 6) % 7 + 3;
    struct civil c;

    civil_from_days(thursday, &c);
    return (thursday - days_from_civil(c.year, 1, 1)) / 7 + 1;
}

static int64_t extract(enum unit unit, int64_t value, bool nanos)
{
    struct civil c;
    int64_t days;

    civil_from_time(value, nanos, &c);
    days = days_from_civil(c.year, c.month, c.day);
    switch (unit) {
    case U_EPOCH: return floor_div(value, nanos ? 1000000000 : 1000000);
    case U_MILLENNIUM: return floor_div(c.year + 999, 1000);
    case U_CENTURY: return floor_div(c.year + 99, 100);
    case U_DECADE: return floor_div(c.year, 10);
    case U_YEAR: return c.year;
    case U_QUARTER: return (c.month + 2) / 3;
    case U_MONTH: return c.month;
    case U_WEEK: return iso_week(days);
    case U_DAY: return c.day;
    case U_DOY: return days - days_from_civil(c.year, 1, 1) + 1;
    case U_DOW: return weekday(days) + 1;
    case U_ISODOW: return (weekday(days) + 6) % 7 + 1;
    case U_HOUR: return c.hour;
    case U_MINUTE: return c.minute;
    case U_SECOND: return c.second;
    case U_MILLISECOND: return c.second * 1000ll + c.nanos / 1000000;
    case U_MICROSECOND: return c.second * 1000000ll + c.nanos / 1000;
    default: return c.second * 1000000000ll + c.nanos;
    }
}

/* How long a value of the unit lasts at least, in ticks of the type. */
static int64_t lasts(enum unit unit, bool nanos)
{
    const int64_t second = nanos ? 1000000000 : 1000000;

    switch (unit) {
    case U_HOUR: return 3600 * second;
    case U_MINUTE: return 60 * second;
    case U_EPOCH:
    case U_SECOND: return second;
    case U_MILLISECOND: return second / 1000;
    case U_MICROSECOND:
    case U_NANOSECOND: return 1;
    default: return 86400 * second;
    }
}

static void extract_rows(struct eval *e, const struct column *times, const struct mill_type *type,
                         enum unit unit, struct column *out)
{
    const bool nanos = type_is_nanos(type), wall = unit != U_EPOCH;
    const int64_t length = lasts(unit, nanos);
    struct span span = {0, 0};
    int64_t value = 0;

    FOR_ROWS(e, row)
    {
        const int64_t given = VALUE(int64_t, times, row);
        const int64_t v = wall ? eval_wall(e, type, given) : given;

        if (!span_has(&span, v)) {
            value = extract(unit, v, nanos);
            span_move(&span, v, length);
        }
        RESULT(int64_t, out)[row] = value;
    }
}

static bool resolve_extract(struct call *c)
{
    return resolve_unit(c, 0) && resolve_time(c, 1) && returns(c, MILL_BIGINT);
}

EVAL(fn_extract)
{
    const struct mill_view *name = TEXT(&args[0], 0);
    const enum unit unit = unit_find(mill_view_data(name), name->length);
    const struct mill_type *type = &e->where->args[1]->type;

    (void)count;
    extract_rows(e, &args[1], type, unit, out);
}

static bool resolve_part(struct call *c)
{
    return resolve_time(c, 0) && returns(c, MILL_BIGINT);
}

/* YEAR(t), HOUR(t) ...: the unit is the function's name. */
EVAL(part)
{
    static const struct {
        const char *name;
        enum unit unit;
    } names[] = {{"DAYOFYEAR", U_DOY}, {"DAYOFMONTH", U_DAY}, {"DAYOFWEEK", U_DOW}};
    const char *name = e->where->function->name;
    enum unit unit = unit_find(name, strlen(name));
    const struct mill_type *type = &e->where->args[0]->type;

    (void)count;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i].name, name) == 0)
            unit = names[i].unit;
    extract_rows(e, &args[0], type, unit, out);
}

/* ---- rounding to a unit ---- */

static bool resolve_truncate(struct call *c)
{
    if (!resolve_unit(c, 1) || !resolve_time(c, 0))
        return false;
    c->result = *arg_type(c, 0);
    return true;
}

static int64_t truncated(int64_t value, enum unit unit, bool nanos, bool up)
{
    const int64_t tick = nanos ? 1 : 1000, day = 86400000000000ll / tick;
    static const int64_t lengths[] =
        {[U_DAY] = 86400000000000ll, [U_HOUR] = 3600000000000ll,  [U_MINUTE] = 60000000000ll,
         [U_SECOND] = 1000000000ll,  [U_MILLISECOND] = 1000000ll, [U_MICROSECOND] = 1000ll,
         [U_NANOSECOND] = 1};
    int64_t days = floor_div(value, day), start, next;
    struct civil c;

    if (unit >= U_HOUR || unit == U_DAY) {
        const int64_t length = max_i64(1, lengths[unit] / tick);

        start = time_mul(floor_div(value, length), length);
        return up && start != value ? time_add(start, length) : start;
    }
    civil_from_days(days, &c);
    switch (unit) {
    case U_WEEK:
        start = days - weekday(days);
        next = start + 7;
        break;
    case U_MONTH:
        start = days_from_civil(c.year, c.month, 1);
        next = add_months(start, 1);
        break;
    case U_QUARTER:
        start = days_from_civil(c.year, (c.month - 1) / 3 * 3 + 1, 1);
        next = add_months(start, 3);
        break;
    case U_DECADE:
        start = days_from_civil(floor_div(c.year, 10) * 10, 1, 1);
        next = add_months(start, 120);
        break;
    case U_CENTURY:
        start = days_from_civil(floor_div(c.year - 1, 100) * 100 + 1, 1, 1);
        next = add_months(start, 1200);
        break;
    case U_MILLENNIUM:
        start = days_from_civil(floor_div(c.year - 1, 1000) * 1000 + 1, 1, 1);
        next = add_months(start, 12000);
        break;
    default: start = days_from_civil(c.year, 1, 1); next = add_months(start, 12);
    }
    return time_mul(up && time_mul(start, day) != value ? next : start, day);
}

static void to_unit(struct eval *e, const struct column *args, struct column *out, bool up)
{
    const struct mill_view *name = TEXT(&args[1], 0);
    const enum unit unit = unit_find(mill_view_data(name), name->length);
    const struct mill_type *type = &e->where->type;
    const bool nanos = type_is_nanos(type);
    const int64_t length = lasts(unit, nanos);
    struct span span = {0, 0};
    int64_t value = 0;

    FOR_ROWS(e, row)
    {
        const int64_t v = eval_wall(e, type, TIME(0));

        if (!span_has(&span, v) || (up && v == span.from)) {
            value = eval_unwall(e, type, truncated(v, unit, nanos, up));
            span_move(&span, v, length);
            if (up && v == span.from) /* is its own ceiling, unlike what follows it */
                span.length = 0;
        }
        RESULT(int64_t, out)[row] = value;
    }
}

EVAL(floor_to)
{
    (void)count;
    to_unit(e, args, out, false);
}
EVAL(ceil_to)
{
    (void)count;
    to_unit(e, args, out, true);
}

/* ---- sums and differences ---- */

static uint32_t months_of(enum unit unit)
{
    return unit == U_YEAR ? 12 : unit == U_QUARTER ? 3 : unit == U_MONTH ? 1 : 0;
}

static int64_t length_of(enum unit unit)
{
    switch (unit) {
    case U_WEEK: return 604800000000000ll;
    case U_DAY: return 86400000000000ll;
    case U_HOUR: return 3600000000000ll;
    case U_MINUTE: return 60000000000ll;
    case U_SECOND: return 1000000000ll;
    case U_MILLISECOND: return 1000000ll;
    case U_MICROSECOND: return 1000ll;
    default: return 1;
    }
}

static bool resolve_add(struct call *c)
{
    if (!resolve_unit(c, 0) || !resolve_bigint(c, 1) || !resolve_time(c, 2))
        return false;
    c->result = *arg_type(c, 2);
    return true;
}

EVAL(timestamp_add)
{
    const struct mill_view *name = TEXT(&args[0], 0);
    const enum unit unit = unit_find(mill_view_data(name), name->length);
    const struct mill_type *type = &e->where->type;
    const int64_t tick = type_is_nanos(type) ? 1 : 1000, day = 86400000000000ll / tick;

    (void)count;
    FOR_ROWS(e, row)
    {
        const int64_t v = eval_wall(e, type, TIME(2)), n = TIME(1), days = floor_div(v, day);

        RESULT(int64_t, out)
        [row] =
            months_of(unit) != 0
                ? eval_unwall(e, type,
                              time_add(time_mul(add_months(days, time_mul(n, months_of(unit))),
                                                day),
                                       floor_mod(v, day)))
                : time_add(TIME(2), length_of(unit) >= tick ? time_mul(n, length_of(unit) / tick)
                                                            : n / (tick / length_of(unit)));
    }
}

static bool resolve_diff(struct call *c)
{
    struct mill_type common;

    if (!resolve_unit(c, 0) || !resolve_time(c, 1) || !resolve_time(c, 2) ||
        !type_common(arg_type(c, 1), arg_type(c, 2), &common))
        return false;
    return resolve_cast(c, 1, &common) && resolve_cast(c, 2, &common) && returns(c, MILL_INT);
}

static int64_t months_between(int64_t from, int64_t to, bool nanos)
{
    const int64_t day = nanos ? 86400000000000ll : 86400000000ll;
    struct civil a, b;
    int64_t months;

    if (from > to)
        return -months_between(to, from, nanos);
    civil_from_time(from, nanos, &a);
    civil_from_time(to, nanos, &b);
    months = (b.year - a.year) * 12 + b.month - (int64_t)a.month;
    if (time_add(time_mul(add_months(floor_div(from, day), months), day), floor_mod(from, day)) >
        to)
        months--;
    return months;
}

EVAL(timestamp_diff)
{
    const struct mill_view *name = TEXT(&args[0], 0);
    const enum unit unit = unit_find(mill_view_data(name), name->length);
    const struct mill_type *type = &e->where->args[1]->type;
    const bool nanos = type_is_nanos(type);

    (void)count;
    FOR_ROWS(e, row)
    RESULT(int32_t, out)
    [row] = (int32_t)(months_of(unit) != 0 ? months_between(eval_wall(e, type, TIME(1)),
                                                            eval_wall(e, type, TIME(2)), nanos) /
                                                 months_of(unit)
                                           : (int64_t)(((int128)TIME(2) - TIME(1)) *
                                                       (nanos ? 1 : 1000) / length_of(unit)));
}

/* ---- text ---- */

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

/* As %0*lld. */
static size_t put_number(char *to, uint32_t width, int64_t value)
{
    char digits[20];
    uint32_t n = 0;

    if (value < 0)
        return (size_t)sprintf(to, "%0*lld", (int)width, (long long)value);
    do
        digits[sizeof digits - ++n] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    width = max_u32(width, n);
    memset(to, '0', width - n);
    memcpy(to + width - n, digits + sizeof digits - n, n);
    return width;
}

/* One run of a pattern letter of Java's DateTimeFormatter. Returns its length; 0: not a letter that is known. */
static size_t format_run(char letter, uint32_t n, const struct civil *c, char *to)
{
    int64_t days;

    switch (letter) {
    case 'y':
    case 'u': return put_number(to, n, n == 2 ? c->year % 100 : c->year);
    case 'M':
    case 'L':
        return n >= 3 ? (size_t)sprintf(to, n == 3 ? "%.3s" : "%s", month_names[c->month - 1])
                      : put_number(to, n, c->month);
    case 'd': return put_number(to, n, c->day);
    case 'D':
        days = days_from_civil(c->year, c->month, c->day);
        return put_number(to, n, days - days_from_civil(c->year, 1, 1) + 1);
    case 'H': return put_number(to, n, c->hour);
    case 'h': return put_number(to, n, (c->hour + 11) % 12 + 1);
    case 'm': return put_number(to, n, c->minute);
    case 's': return put_number(to, n, c->second);
    case 'a': return (size_t)sprintf(to, "%s", c->hour < 12 ? "AM" : "PM");
    case 'E':
        days = days_from_civil(c->year, c->month, c->day);
        return (size_t)sprintf(to, n <= 3 ? "%.3s" : "%s", day_names[weekday(days)]);
    case 'S': {
        char digits[16];

        sprintf(digits, "%09u", c->nanos);
        memset(to, '0', n);
        memcpy(to, digits, n < 9 ? n : 9);
        return n;
    }
    default: return 0;
    }
}

static size_t format_time(const struct mill_view *pattern, const struct civil *c, char *to,
                          size_t room)
{
    const char *p = mill_view_data(pattern), *end = p + pattern->length;
    size_t used = 0;

    while (p < end && used + 40 < room) {
        uint32_t n = 1;

        if (*p == '\'') {
            const char *stop = memchr(p + 1, '\'', (size_t)(end - p - 1));

            if (stop == p + 1)
                to[used++] = '\'';
            for (p++; stop != NULL && p < stop && used + 1 < room; p++)
                to[used++] = *p;
            p = stop != NULL ? stop + 1 : end;
            continue;
        }
        while (p + n < end && p[n] == *p && n < 20)
            n++;
        const size_t made =
            (*p | 32) >= 'a' && (*p | 32) <= 'z' ? format_run(*p, n, c, to + used) : 0;

        if (made == 0)
            for (uint32_t i = 0; i < n; i++)
                to[used + i] = *p;
        used += made > 0 ? made : n;
        p += n;
    }
    return used;
}

static bool resolve_format(struct call *c)
{
    return resolve_time(c, 0) && resolve_text(c, 1) && returns(c, MILL_VARCHAR);
}

/* The finest unit that a pattern shows; letters between quotes count as well. */
static enum unit finest(const struct mill_view *pattern)
{
    static const struct {
        const char *letters;
        enum unit unit;
    } units[] = {{"S", U_NANOSECOND}, {"s", U_SECOND}, {"m", U_MINUTE}, {"Hha", U_HOUR}};
    const char *p = mill_view_data(pattern);

    for (size_t u = 0; u < COUNT_OF(units); u++)
        for (uint32_t i = 0; i < pattern->length; i++)
            if (p[i] != '\0' && strchr(units[u].letters, p[i]) != NULL)
                return units[u].unit;
    return U_DAY;
}

EVAL(date_format)
{
    const struct mill_type *type = &e->where->args[0]->type;
    const bool nanos = type_is_nanos(type);
    const int64_t length = args[1].constant && e->count > 0
                               ? lasts(finest(TEXT(&args[1], 0)), nanos)
                               : 0; /* no row has the text of the row before it */
    struct span span = {0, 0};
    uint32_t last = 0; /* the row that has the text of the span */

    (void)count;
    FOR_ROWS(e, row)
    {
        const int64_t v = eval_wall(e, type, TIME(0));
        char text[512];
        struct civil c;

        if (span_has(&span, v)) {
            RESULT(struct mill_view, out)[row] = RESULT(struct mill_view, out)[last];
            continue;
        }
        civil_from_time(v, nanos, &c);
        eval_text(e, out, row, text, format_time(TEXT(&args[1], row), &c, text, sizeof text));
        last = row;
        if (length > 0)
            span_move(&span, v, length);
    }
}

static const struct mill_view default_pattern = {19, .far = {"yyyy", "yyyy-MM-dd HH:mm:ss"}};

static bool resolve_from_unixtime(struct call *c)
{
    return resolve_bigint(c, 0) && (c->count < 2 || resolve_text(c, 1)) && returns(c, MILL_VARCHAR);
}

EVAL(from_unixtime)
{
    FOR_ROWS(e, row)
    {
        char text[512];
        struct civil c;

        civil_from_time(zone_local(e->zone, (int64_t)((uint64_t)TIME(0) * 1000000), false), false,
                        &c);
        eval_text(e, out, row, text,
                  format_time(count > 1 ? TEXT(&args[1], row) : &default_pattern, &c, text,
                              sizeof text));
    }
}

static bool resolve_unix_timestamp(struct call *c)
{
    if (c->count == 2)
        return resolve_text(c, 0) && resolve_text(c, 1) && returns(c, MILL_BIGINT);
    if (c->count == 1 && !resolve_time(c, 0))
        return false;
    return returns(c, MILL_BIGINT);
}

EVAL(unix_timestamp)
{
    const struct mill_type *type = count > 0 ? &e->where->args[0]->type : NULL;

    FOR_ROWS(e, row)
    {
        int64_t v;

        if (type == NULL) {
            RESULT(int64_t, out)[row] = floor_div(e->context->clock_ns, 1000000000);
            continue;
        }
        v = type->kind == MILL_TIMESTAMP_LTZ ? TIME(0)
                                             : zone_instant(e->zone, TIME(0), type_is_nanos(type));
        RESULT(int64_t, out)[row] = floor_div(v, type_is_nanos(type) ? 1000000000 : 1000000);
    }
}

static bool scan_time(const struct mill_view *pattern, const struct mill_view *text,
                      struct civil *c);

/* UNIX_TIMESTAMP(s, pattern) */
EVAL(unix_timestamp_by)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        struct civil c;

        if (!scan_time(TEXT(&args[1], row), TEXT(&args[0], row), &c))
            eval_null(e, out, row);
        else
            RESULT(int64_t, out)
        [row] = floor_div(zone_instant(e->zone, time_from_civil(&c, false), false), 1000000);
    }
}

/* Reads by a Java pattern of fixed letters; false: the text does not follow it. */
static bool scan_time(const struct mill_view *pattern, const struct mill_view *text,
                      struct civil *c)
{
    const char *p = mill_view_data(pattern), *p_end = p + pattern->length;
    const char *s = mill_view_data(text), *s_end = s + text->length;

    *c = (struct civil){.year = 1970, .month = 1, .day = 1};
    while (p < p_end) {
        uint32_t n = 1, digits = 0;
        int64_t v = 0;

        while (p + n < p_end && p[n] == *p)
            n++;
        if (strchr("yMdHhmsS", *p) == NULL) {
            for (uint32_t i = 0; i < n; i++)
                if (s >= s_end || *s++ != *p)
                    return false;
            p += n;
            continue;
        }
        while (s < s_end && digits < (n == 1 ? 9 : n) && *s >= '0' && *s <= '9') {
            v = v * 10 + (*s++ - '0');
            digits++;
        }
        if (digits == 0)
            return false;
        switch (*p) {
        case 'y': c->year = v; break;
        case 'M': c->month = (uint32_t)v; break;
        case 'd': c->day = (uint32_t)v; break;
        case 'H':
        case 'h': c->hour = (uint32_t)v; break;
        case 'm': c->minute = (uint32_t)v; break;
        case 's': c->second = (uint32_t)v; break;
        default:
            for (; digits < 9; digits++)
                v *= 10;
            c->nanos = (uint32_t)v;
        }
        p += n;
    }
    return s == s_end && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= month_days(c->year, c->month) && c->hour < 24 && c->minute < 60 &&
           c->second < 60;
}

static bool resolve_to_time(struct call *c)
{
    if (!resolve_text(c, 0) || (c->count > 1 && !resolve_text(c, 1)))
        return false;
    c->result = c->function->name[3] == 'D' ? type_make(MILL_DATE) : type_time(MILL_TIMESTAMP, 3);
    return true;
}

EVAL(to_time)
{
    const bool date = e->where->type.kind == MILL_DATE;

    FOR_ROWS(e, row)
    {
        const struct mill_view *s = TEXT(&args[0], row);
        struct civil c;
        bool good;

        if (count > 1) {
            good = scan_time(TEXT(&args[1], row), s, &c);
            if (good && date)
                RESULT(int32_t, out)[row] = (int32_t)days_from_civil(c.year, c.month, c.day);
            else if (good)
                RESULT(int64_t, out)[row] = floor_div(time_from_civil(&c, false), 1000) * 1000;
        } else if (date) {
            good = date_parse(mill_view_data(s), s->length, &RESULT(int32_t, out)[row]);
        } else {
            good = time_parse(mill_view_data(s), s->length, &e->where->type,
                              &RESULT(int64_t, out)[row]);
        }
        if (!good)
            eval_null(e, out, row);
    }
}

static bool resolve_to_ltz(struct call *c)
{
    int64_t precision = 3;

    if (!resolve_bigint(c, 0) || (c->count > 1 && !expr_literal_i64(c->args[1], &precision)))
        return false;
    if (precision != 0 && precision != 3) {
        mill_fail(c->error, MILL_E_TYPE, c->args[1]->line, c->args[1]->column,
                  "TO_TIMESTAMP_LTZ takes seconds (0) or milliseconds (3), not %lld",
                  (long long)precision);
        return false;
    }
    c->result = type_time(MILL_TIMESTAMP_LTZ, 3);
    return true;
}

EVAL(to_ltz)
{
    int64_t precision = 3;

    if (count > 1)
        expr_literal_i64(e->where->args[1], &precision);
    FOR_ROWS(e, row)
    RESULT(int64_t, out)[row] = (int64_t)((uint64_t)TIME(0) * (precision == 0 ? 1000000u : 1000u));
}

static bool resolve_convert_tz(struct call *c)
{
    for (uint32_t i = 0; i < 3; i++) {
        const struct zone *zone;
        const char *name;

        if (!resolve_text(c, i))
            return false;
        name = i > 0 ? resolve_literal_text(c, i) : NULL;
        if (name != NULL && zone_open(c->session->env, c->session->arena, name, c->args[i]->line,
                                      c->args[i]->column, &zone, c->error) != MILL_OK)
            return false;
    }
    return returns(c, MILL_VARCHAR);
}

EVAL(convert_tz)
{
    const struct mill_type seconds = type_time(MILL_TIMESTAMP, 0);

    (void)count;
    FOR_ROWS(e, row)
    {
        const struct zone *from = eval_zone(e, DATA(1), BYTES(1), row);
        const struct zone *to = eval_zone(e, DATA(2), BYTES(2), row);
        char text[64];
        int64_t v;

        if (!time_parse(DATA(0), BYTES(0), &seconds, &v)) {
            eval_null(e, out, row);
            continue;
        }
        v = zone_local(to, zone_instant(from, v, false), false);
        eval_text(e, out, row, text, time_format(v, &seconds, text, sizeof text));
    }
}

/* ---- clocks: the step's ---- */

static bool resolve_ltz(struct call *c)
{
    c->result = type_time(MILL_TIMESTAMP_LTZ, 3);
    c->result.not_null = true;
    return true;
}

static bool resolve_local(struct call *c)
{
    const char *name = c->function->name;

    c->result = strstr(name, "DATE") != NULL        ? type_make(MILL_DATE)
                : strstr(name, "TIMESTAMP") != NULL ? type_time(MILL_TIMESTAMP, 3)
                                                    : type_time(MILL_TIME, 0);
    return true;
}

EVAL(clock_now)
{
    const int64_t instant = floor_div(e->context->clock_ns, 1000000) * 1000;
    const bool local = e->where->type.kind != MILL_TIMESTAMP_LTZ;
    const int64_t us = local ? zone_local(e->zone, instant, false) : instant;
    const int64_t day = floor_div(us, 86400000000ll);

    (void)args;
    (void)count;
    FOR_ROWS(e, row)
    {
        if (e->where->type.kind == MILL_DATE)
            RESULT(int32_t, out)[row] = (int32_t)day;
        else if (e->where->type.kind == MILL_TIME)
            RESULT(int64_t, out)[row] = (us - day * 86400000000ll) / 1000000 * 1000000;
        else
            RESULT(int64_t, out)[row] = us;
    }
}

#define T "time"
const struct function functions_time[] =
    {{"EXTRACT", "EXTRACT(unit FROM t)", "a part of a time", T, 2, 2, 0, resolve_extract,
      fn_extract},
     {"YEAR", "YEAR(t)", "year", T, 1, 1, 0, resolve_part, part},
     {"QUARTER", "QUARTER(t)", "quarter of the year, 1 to 4", T, 1, 1, 0, resolve_part, part},
     {"MONTH", "MONTH(t)", "month, 1 to 12", T, 1, 1, 0, resolve_part, part},
     {"WEEK", "WEEK(t)", "ISO week of the year", T, 1, 1, 0, resolve_part, part},
     {"DAYOFYEAR", "DAYOFYEAR(t)", "day of the year, from 1", T, 1, 1, 0, resolve_part, part},
     {"DAYOFMONTH", "DAYOFMONTH(t)", "day of the month, from 1", T, 1, 1, 0, resolve_part, part},
     {"DAYOFWEEK", "DAYOFWEEK(t)", "day of the week, 1 is Sunday", T, 1, 1, 0, resolve_part, part},
     {"HOUR", "HOUR(t)", "hour, 0 to 23", T, 1, 1, 0, resolve_part, part},
     {"MINUTE", "MINUTE(t)", "minute, 0 to 59", T, 1, 1, 0, resolve_part, part},
     {"SECOND", "SECOND(t)", "second, 0 to 59", T, 1, 1, 0, resolve_part, part},
     {"FLOOR", "FLOOR(t TO unit)", "the beginning of the unit that t lies in", T, 2, 2, 0,
      resolve_truncate, floor_to},
     {"CEIL", "CEIL(t TO unit)", "t, or the beginning of the next unit", T, 2, 2, 0,
      resolve_truncate, ceil_to},
     {"TIMESTAMPADD", "TIMESTAMPADD(unit, n, t)", "t moved by n units", T, 3, 3, 0, resolve_add,
      timestamp_add},
     {"TIMESTAMPDIFF", "TIMESTAMPDIFF(unit, from, to)", "whole units between two times", T, 3, 3, 0,
      resolve_diff, timestamp_diff},
     {"DATE_FORMAT", "DATE_FORMAT(t, pattern)",
      "t as text by a pattern of Java's DateTimeFormatter", T, 2, 2, 0, resolve_format,
      date_format},
     {"FROM_UNIXTIME", "FROM_UNIXTIME(seconds[, pattern])",
      "seconds since 1970 as text, in the session zone", T, 1, 2, 0, resolve_from_unixtime,
      from_unixtime},
     {"UNIX_TIMESTAMP", "UNIX_TIMESTAMP([t])", "seconds since 1970", T, 0, 1, FN_CLOCK,
      resolve_unix_timestamp, unix_timestamp},
     {"UNIX_TIMESTAMP", "UNIX_TIMESTAMP(s, pattern)",
      "seconds since 1970 of a text in the session zone; not one: NULL", T, 2, 2, FN_MAY_NULL,
      resolve_unix_timestamp, unix_timestamp_by},
     {"CONVERT_TZ", "CONVERT_TZ(s, from, to)",
      "a text 'yyyy-MM-dd HH:mm:ss' from one time zone's clock to another's; not one: NULL", T, 3,
      3, FN_MAY_NULL, resolve_convert_tz, convert_tz},
     {"TO_DATE", "TO_DATE(s[, pattern])", "a date from text; not one: NULL", T, 1, 2, FN_MAY_NULL,
      resolve_to_time, to_time},
     {"TO_TIMESTAMP", "TO_TIMESTAMP(s[, pattern])", "a TIMESTAMP(3) from text; not one: NULL", T, 1,
      2, FN_MAY_NULL, resolve_to_time, to_time},
     {"TO_TIMESTAMP_LTZ", "TO_TIMESTAMP_LTZ(n[, 0 or 3])",
      "a time from seconds or milliseconds since 1970", T, 1, 2, 0, resolve_to_ltz, to_ltz},
     {"PROCTIME", "PROCTIME()", "processing time: the clock of the row's step", T, 0, 0, FN_CLOCK,
      resolve_ltz, clock_now},
     {"NOW", "NOW()", "the clock of the row's step", T, 0, 0, FN_CLOCK, resolve_ltz, clock_now},
     {"CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP", "the clock of the row's step", T, 0, 0, FN_CLOCK,
      resolve_ltz, clock_now},
     {"CURRENT_ROW_TIMESTAMP", "CURRENT_ROW_TIMESTAMP()", "the clock of the row's step", T, 0, 0,
      FN_CLOCK, resolve_ltz, clock_now},
     {"LOCALTIMESTAMP", "LOCALTIMESTAMP", "the step's clock in the session zone", T, 0, 0, FN_CLOCK,
      resolve_local, clock_now},
     {"CURRENT_DATE", "CURRENT_DATE", "the date of the step's clock in the session zone", T, 0, 0,
      FN_CLOCK, resolve_local, clock_now},
     {"CURRENT_TIME", "CURRENT_TIME", "the time of day of the step's clock in the session zone", T,
      0, 0, FN_CLOCK, resolve_local, clock_now},
     {"LOCALTIME", "LOCALTIME", "the time of day of the step's clock in the session zone", T, 0, 0,
      FN_CLOCK, resolve_local, clock_now},
     {0}};
