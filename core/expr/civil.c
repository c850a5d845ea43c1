/* core/expr/civil.c - the proleptic Gregorian calendar.
 *
 * Days to dates and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */
#include "core/expr/functions.h"

#include <stdio.h>

#define DAY_US 86400000000ll
#define MONTHS_MOST ((int64_t)1 << 36) /* more years than 64 bits of microseconds have */

int64_t days_from_civil(int64_t year, uint32_t month, uint32_t day)
{
    const int64_t y = year - (month <= 2);
    const int64_t era = floor_div(y, 400);
    const int64_t yoe = y - era * 400;
    const int64_t doy = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void civil_from_days(int64_t days, struct civil *out)
{
    const int64_t z = days + 719468;
    const int64_t era = floor_div(z, 146097);
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;

    *out = (struct civil){.day = (uint32_t)(doy - (153 * mp + 2) / 5 + 1),
                          .month = (uint32_t)(mp < 10 ? mp + 3 : mp - 9)};
    out->year = yoe + era * 400 + (out->month <= 2);
}

void civil_from_time(int64_t value, bool nanos, struct civil *out)
{
    const int64_t per_second = nanos ? 1000000000 : 1000000;
    const int64_t seconds = floor_div(value, per_second);
    const int64_t days = floor_div(seconds, 86400);
    const int64_t rest = seconds - days * 86400;

    civil_from_days(days, out);
    out->hour = (uint32_t)(rest / 3600);
    out->minute = (uint32_t)(rest / 60 % 60);
    out->second = (uint32_t)(rest % 60);
    out->nanos = (uint32_t)(floor_mod(value, per_second) * (nanos ? 1 : 1000));
}

int64_t time_from_civil(const struct civil *c, bool nanos)
{
    const int64_t seconds = days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600ll +
                            c->minute * 60ll + c->second;
    int64_t out;

    if (!nanos)
        return time_add(time_mul(seconds, 1000000), c->nanos / 1000);
    if (__builtin_mul_overflow(seconds, (int64_t)1000000000, &out) ||
        __builtin_add_overflow(out, (int64_t)c->nanos, &out))
        return seconds < 0 ? TIME_MIN + 1 : TIME_MAX - 1;
    return out;
}

uint32_t month_days(int64_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

int64_t add_months(int64_t days, int64_t months)
{
    struct civil c;
    int64_t total;

    civil_from_days(days, &c);
    months = min_i64(max_i64(months, -MONTHS_MOST), MONTHS_MOST);
    total = c.year * 12 + c.month - 1 + months;
    c.year = floor_div(total, 12);
    c.month = (uint32_t)(total - c.year * 12) + 1;
    c.day = min_u32(c.day, month_days(c.year, c.month));
    return days_from_civil(c.year, c.month, c.day);
}

/* ---- reading ---- */

struct text {
    const char *next, *end;
};

/* Between @least and @most digits. */
static bool take_number(struct text *t, uint32_t least, uint32_t most, int64_t *out)
{
    uint32_t n = 0;

    *out = 0;
    for (; n < most && t->next < t->end && *t->next >= '0' && *t->next <= '9'; n++)
        *out = *out * 10 + (*t->next++ - '0');
    return n >= least;
}

static bool take(struct text *t, char c)
{
    if (t->next >= t->end || *t->next != c)
        return false;
    t->next++;
    return true;
}

static bool take_date(struct text *t, struct civil *c)
{
    int64_t year, month, day;

    if (!take_number(t, 1, 4, &year) || !take(t, '-') || !take_number(t, 1, 2, &month) ||
        !take(t, '-') || !take_number(t, 1, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, (uint32_t)month))
        return false;
    c->year = year;
    c->month = (uint32_t)month;
    c->day = (uint32_t)day;
    return true;
}

static bool take_clock(struct text *t, struct civil *c)
{
    int64_t hour, minute, second = 0;

    if (!take_number(t, 1, 2, &hour) || !take(t, ':') || !take_number(t, 1, 2, &minute))
        return false;
    if (take(t, ':') && !take_number(t, 1, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    c->hour = (uint32_t)hour;
    c->minute = (uint32_t)minute;
    c->second = (uint32_t)second;
    c->nanos = 0;
    if (take(t, '.')) {
        uint32_t unit = 100000000;

        if (t->next >= t->end || *t->next < '0' || *t->next > '9')
            return false;
        for (; t->next < t->end && *t->next >= '0' && *t->next <= '9'; t->next++, unit /= 10)
            c->nanos += (uint32_t)(*t->next - '0') * unit;
    }
    return true;
}

static struct text trimmed(const char *text, size_t bytes)
{
    struct text t = {text, text + bytes};

    while (t.next < t.end && *t.next == ' ')
        t.next++;
    while (t.end > t.next && t.end[-1] == ' ')
        t.end--;
    return t;
}

static int64_t cut(int64_t value, int64_t unit)
{
    return floor_div(value, unit) * unit;
}

bool time_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out)
{
    struct text t = trimmed(text, bytes);
    struct civil c = {0};
    int64_t value;

    if (!take_date(&t, &c))
        return false;
    if (t.next < t.end) {
        if (!take(&t, ' ') && !take(&t, 'T'))
            return false;
        if (!take_clock(&t, &c))
            return false;
        take(&t, 'Z');
    }
    if (t.next != t.end)
        return false;
    value = time_from_civil(&c, type_is_nanos(type));
    if (value == TIME_MIN + 1 || value == TIME_MAX - 1)
        return false; /* outside int64 nanoseconds */
    *out = cut(value, type_time_unit(type));
    return true;
}

bool date_parse(const char *text, size_t bytes, int32_t *out)
{
    struct text t = trimmed(text, bytes);
    struct civil c = {0};

    if (!take_date(&t, &c))
        return false;
    if (t.next < t.end) { /* a time of day is cut off */
        if (!take(&t, ' ') && !take(&t, 'T'))
            return false;
        if (!take_clock(&t, &c) || t.next != t.end)
            return false;
    }
    *out = (int32_t)days_from_civil(c.year, c.month, c.day);
    return true;
}

bool clock_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out)
{
    struct text t = trimmed(text, bytes);
    struct civil c = {0};

    if (!take_clock(&t, &c) || t.next != t.end)
        return false;
    c.year = 1970;
    c.month = c.day = 1;
    *out = cut(time_from_civil(&c, type_is_nanos(type)), type_time_unit(type));
    return true;
}

/* ---- writing ---- */

static char *put_digits(char *to, uint32_t value, uint32_t digits)
{
    for (uint32_t i = digits; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

size_t time_format(int64_t value, const struct mill_type *type, char *to, size_t room)
{
    const uint32_t precision = type->precision;
    struct civil c;
    char *next = to;

    CHECK(room >= 40);
    if (type->kind == MILL_DATE) {
        civil_from_days(value, &c);
    } else {
        civil_from_time(value, type_is_nanos(type), &c);
    }
    if (type->kind != MILL_TIME) {
        if (c.year < 0 || c.year > 9999)
            next += snprintf(next, 24, "%lld", (long long)c.year);
        else
            next = put_digits(next, (uint32_t)c.year, 4);
        *next++ = '-';
        next = put_digits(next, c.month, 2);
        *next++ = '-';
        next = put_digits(next, c.day, 2);
        if (type->kind == MILL_DATE)
            return (size_t)(next - to);
        *next++ = ' ';
    }
    next = put_digits(next, c.hour, 2);
    *next++ = ':';
    next = put_digits(next, c.minute, 2);
    *next++ = ':';
    next = put_digits(next, c.second, 2);
    if (precision > 0) {
        *next++ = '.';
        put_digits(next, c.nanos, 9);
        next += precision;
    }
    return (size_t)(next - to);
}
