/* tools/text.c - values as text. */
#include "tools/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void text_grow(struct text *text, size_t more)
{
    char *bytes;

    text->room = text->room * 2 > text->length + more ? text->room * 2 : text->length + more + 4096;
    bytes = realloc(text->bytes, text->room);
    if (bytes == NULL)
        abort();
    text->bytes = bytes;
}

/* ---- digits ---- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static char *two(char *to, uint32_t v)
{
    memcpy(to, pairs + (size_t)v * 2, 2);
    return to + 2;
}

/* The digits of @v before @end. Returns where they begin. */
static char *digits_before(char *end, uint64_t v)
{
    for (; v >= 100; v /= 100) {
        end -= 2;
        two(end, (uint32_t)(v % 100));
    }
    if (v >= 10)
        return end -= 2, two(end, (uint32_t)v), end;
    *--end = (char)('0' + (char)v);
    return end;
}

void text_integer(struct text *text, int64_t value)
{
    char digits[24], *end = digits + sizeof digits;
    char *begin = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);

    if (value < 0)
        *--begin = '-';
    text_add(text, begin, (size_t)(end - begin));
}

void text_decimal(struct text *text, __int128 value, unsigned scale)
{
    unsigned __int128 m = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    char digits[48], *to = text_end(text, TEXT_SHORT);
    const char *begin = to;
    unsigned n = 0;

    for (; m >> 64 != 0; m /= 10)
        digits[n++] = (char)('0' + (int)(m % 10));
    for (uint64_t rest = (uint64_t)m; rest != 0 || n <= scale; rest /= 10)
        digits[n++] = (char)('0' + (int)(rest % 10));
    if (value < 0)
        *to++ = '-';
    while (n > 0) {
        *to++ = digits[--n];
        if (n == scale && scale > 0)
            *to++ = '.';
    }
    text->length += (size_t)(to - begin);
}

/* ---- floating point ---- */

/* Up to 15 (FLOAT: 6) digits, whose decimal number is the only one of so few that reads back as @v: a quotient of two exact
 * numbers is rounded once, as reading is. @digits and @exponent of the first one are the shortest. 0: there is none. */
static int few_digits(double v, bool narrow, char *digits, int *exponent)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const double most = narrow ? 1e6 : 1e15;
    const int places_most = narrow ? 10 : 18;

    for (int places = 0; places <= places_most && v * powers[places] < most - 0.5; places++) {
        const uint64_t m = (uint64_t)(v * powers[places] + 0.5);
        char all[24], *end = all + sizeof all, *begin;
        int n;

        if (narrow ? (float)m / (float)powers[places] != (float)v : (double)m / powers[places] != v)
            continue;
        begin = digits_before(end, m);
        n = (int)(end - begin);
        memcpy(digits, begin, (size_t)n);
        *exponent = n - 1 - places;
        return n;
    }
    return 0;
}

static int shortest_digits(double v, bool narrow, int places, char *digits, int *exponent)
{
    char shortest[64];
    int n = 0;

    for (; places < 17; places++) {
        snprintf(shortest, sizeof shortest, "%.*e", places, v);
        if (narrow ? strtof(shortest, NULL) == (float)v : strtod(shortest, NULL) == v)
            break;
    }
    *exponent = atoi(strchr(shortest, 'e') + 1);
    for (const char *c = shortest; *c != 'e'; c++)
        if (*c != '.')
            digits[n++] = *c;
    return n;
}

static char *copy(char *to, const char *bytes, int n)
{
    memcpy(to, bytes, (size_t)n);
    return to + n;
}

void text_real(struct text *text, double value, bool narrow)
{
    const double v = fabs(value);
    char digits[40], *to = text_end(text, TEXT_SHORT);
    const char *begin = to;
    int exponent = 0, n = 0;

    if (!isfinite(value) || value == 0) {
        const char *name = isnan(value)     ? "NaN"
                           : value > 0      ? "Infinity"
                           : value < 0      ? "-Infinity"
                           : signbit(value) ? "-0.0"
                                            : "0.0";

        text_add(text, name, strlen(name));
        return;
    }
    if (v >= 1e-3 && v < (narrow ? 1e6 : 1e15)) {
        n = few_digits(v, narrow, digits, &exponent);
        if (n == 0) /* none of 15 (6) digits, then */
            n = shortest_digits(v, narrow, narrow ? 6 : 15, digits, &exponent);
    } else {
        n = shortest_digits(v, narrow, 0, digits, &exponent);
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (value < 0)
        *to++ = '-';
    if (exponent < -3 || exponent >= 7) {
        *to++ = digits[0];
        *to++ = '.';
        to = n > 1 ? copy(to, digits + 1, n - 1) : copy(to, "0", 1);
        to += sprintf(to, "E%d", exponent);
    } else if (exponent < 0) {
        to = copy(copy(copy(to, "0.", 2), "000", -exponent - 1), digits, n);
    } else if (n <= exponent + 1) {
        to = copy(copy(copy(to, digits, n), "0000000", exponent + 1 - n), ".0", 2);
    } else {
        to = copy(copy(to, digits, exponent + 1), ".", 1);
        to = copy(to, digits + exponent + 1, n - exponent - 1);
    }
    text->length += (size_t)(to - begin);
}

/* ---- time ---- */

static char *date_to(char *to, int64_t days)
{
    /* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" */
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    const uint32_t day = (uint32_t)(doy - (153 * mp + 2) / 5 + 1);
    const uint32_t month = (uint32_t)(mp < 10 ? mp + 3 : mp - 9);
    const int64_t year = yoe + era * 400 + (month <= 2);

    if (year < 0 || year > 9999) {
        to += sprintf(to, "%04" PRId64, year);
    } else {
        to = two(to, (uint32_t)year / 100);
        to = two(to, (uint32_t)year % 100);
    }
    *to++ = '-';
    to = two(to, month);
    *to++ = '-';
    return two(to, day);
}

void text_date(struct text *text, int64_t days)
{
    char *to = text_end(text, TEXT_SHORT);

    text->length += (size_t)(date_to(to, days) - to);
}

void text_time(struct text *text, const struct mill_type *type, int64_t value)
{
    const int64_t per_second = type->precision > 6 ? 1000000000 : 1000000;
    int64_t seconds = value / per_second, part = value % per_second, days;
    char *to = text_end(text, TEXT_SHORT);
    const char *begin = to;
    uint32_t rest;

    if (part < 0) {
        part += per_second;
        seconds--;
    }
    days = seconds / 86400 - (seconds % 86400 < 0);
    rest = (uint32_t)(seconds - days * 86400);
    if (type->kind != MILL_TIME) {
        to = date_to(to, days);
        *to++ = ' ';
    }
    to = two(to, rest / 3600);
    *to++ = ':';
    to = two(to, rest / 60 % 60);
    *to++ = ':';
    to = two(to, rest % 60);
    if (type->precision > 0) {
        char digits[24], *end = digits + sizeof digits;
        const char *one = digits_before(end, (uint64_t)(part + per_second)); /* keeps the zeroes */

        *to++ = '.';
        to = copy(to, one + 1, type->precision);
    }
    text->length += (size_t)(to - begin);
}
