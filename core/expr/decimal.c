/* core/expr/decimal.c - decimals of up to 38 digits in 128 bits; products and quotients in 256. */
#include "core/expr/functions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int128 decimal_power(uint32_t digits)
{
    int128 p = 1;

    while (digits-- > 0)
        p *= 10;
    return p;
}

bool decimal_fits(int128 value, uint32_t precision)
{
    const int128 limit = decimal_power(precision);

    return value < limit && value > -limit;
}

static int128 divide_half_up(int128 value, int128 by)
{
    const int128 q = value / by, r = value % by;
    const int128 twice = r < 0 ? -r : r;

    if (twice >= by - twice)
        return value < 0 ? q - 1 : q + 1;
    return q;
}

bool decimal_rescale(int128 value, uint32_t from, uint32_t to, int128 *out)
{
    if (to >= from)
        return !__builtin_mul_overflow(value, decimal_power(to - from), out);
    *out = divide_half_up(value, decimal_power(from - to));
    return true;
}

/* ---- 256 bits, unsigned ---- */

struct wide {
    uint128 high, low;
};

static struct wide wide_multiply(uint128 a, uint128 b)
{
    const uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64);
    const uint64_t b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    const uint128 p00 = (uint128)a0 * b0, p01 = (uint128)a0 * b1;
    const uint128 p10 = (uint128)a1 * b0, p11 = (uint128)a1 * b1;
    const uint128 middle = (p00 >> 64) + (uint64_t)p01 + (uint64_t)p10;

    return (struct wide){p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64),
                         (middle << 64) | (uint64_t)p00};
}

/* Quotient and remainder by bits; the quotient must fit 128 bits. False: it does not. */
static bool wide_divide(struct wide n, uint128 d, uint128 *quotient, uint128 *remainder)
{
    uint128 q = 0, r = n.high;

    if (d == 0 || n.high >= d)
        return false;
    for (int i = 127; i >= 0; i--) {
        const bool carry = r >> 127 != 0;

        r = r << 1 | (n.low >> i & 1);
        if (carry || r >= d) {
            r -= d;
            q |= (uint128)1 << i;
        }
    }
    *quotient = q;
    *remainder = r;
    return true;
}

static uint128 magnitude(int128 v)
{
    return v < 0 ? -(uint128)v : (uint128)v;
}

/* round(n / d) HALF_UP with a sign, within precision. */
static bool wide_round(struct wide n, uint128 d, bool negative, uint32_t precision, int128 *out)
{
    uint128 q, r;

    if (!wide_divide(n, d, &q, &r))
        return false;
    if (r >= d - r)
        q++;
    if (q >= (uint128)decimal_power(precision))
        return false;
    *out = negative ? -(int128)q : (int128)q;
    return true;
}

bool decimal_multiply(int128 a, int128 b, uint32_t scale, uint32_t to_scale, uint32_t precision,
                      int128 *out)
{
    const struct wide product = wide_multiply(magnitude(a), magnitude(b));

    return wide_round(product, (uint128)decimal_power(scale - to_scale), (a < 0) != (b < 0),
                      precision, out);
}

/* a / b rounded to 38 significant digits first, then to the scale, HALF_UP each. */
bool decimal_divide(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t scale,
                    uint32_t precision, int128 *out)
{
    const bool negative = (a < 0) != (b < 0);
    const int32_t shift = (int32_t)scale + (int32_t)b_scale - (int32_t)a_scale;
    struct wide n;
    uint128 d = magnitude(b);

    if (b == 0)
        return false;
    if (shift >= 0) {
        if (shift > 38)
            return false;
        n = wide_multiply(magnitude(a), (uint128)decimal_power((uint32_t)shift));
    } else {
        n = (struct wide){0, magnitude(a)};
        if (-shift > 38)
            return false;
        const struct wide wd = wide_multiply(d, (uint128)decimal_power((uint32_t)-shift));

        if (wd.high != 0) {
            *out = 0;
            return true;
        }
        d = wd.low;
    }
    return wide_round(n, d, negative, precision, out);
}

/* ---- text ---- */

bool decimal_parse(const char *text, size_t bytes, uint32_t precision, uint32_t scale, int128 *out)
{
    const char *end = text + bytes;
    bool negative = false, any = false, point = false;
    int128 value = 0;
    int32_t places = 0, exponent = 0, round = 0;

    while (text < end && *text == ' ')
        text++;
    while (end > text && end[-1] == ' ')
        end--;
    if (text < end && (*text == '-' || *text == '+'))
        negative = *text++ == '-';
    for (; text < end; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9')
            break;
        any = true;
        if (value >= decimal_power(37)) { /* further digits only move the point, and round */
            if (round == 0)
                round = *text >= '5' ? 1 : -1;
            places -= !point;
            continue;
        }
        value = value * 10 + (*text - '0');
        places += point;
    }
    if (!any)
        return false;
    if (text < end && (*text | 32) == 'e') {
        char digits[16];
        char *stop;
        const size_t n = (size_t)(end - text - 1);

        if (n == 0 || n >= sizeof digits)
            return false;
        memcpy(digits, text + 1, n);
        digits[n] = '\0';
        exponent = (int32_t)strtol(digits, &stop, 10);
        if (*stop != '\0')
            return false;
        text = end;
    }
    if (text != end)
        return false;
    places -= exponent;
    if (round == 1 && places <= (int32_t)scale)
        value++;
    if (negative)
        value = -value;
    if (value == 0) {
        *out = 0;
        return true;
    }
    if (places < -76 || places > 76)
        return places > 76 ? (*out = 0, true) : false;
    if (places < 0) {
        if (-places > 38 || __builtin_mul_overflow(value, decimal_power((uint32_t)-places), &value))
            return false;
        places = 0;
    }
    while (places > 38 && places > (int32_t)scale) {
        value /= 10;
        places--;
    }
    return decimal_rescale(value, (uint32_t)places, scale, out) && decimal_fits(*out, precision);
}

size_t decimal_format(int128 value, uint32_t scale, char *to, size_t room)
{
    char digits[48];
    uint128 m = magnitude(value);
    uint32_t n = 0;
    char *next = to;

    CHECK(room >= 48);
    do {
        digits[n++] = (char)('0' + (int)(m % 10));
        m /= 10;
    } while (m != 0 || n <= scale);
    if (value < 0)
        *next++ = '-';
    while (n > 0) {
        *next++ = digits[--n];
        if (n == scale && scale > 0)
            *next++ = '.';
    }
    return (size_t)(next - to);
}

double decimal_to_double(int128 value, uint32_t scale)
{
    char text[64];

    text[decimal_format(value, scale, text, sizeof text)] = '\0';
    return strtod(text, NULL);
}

bool decimal_from_double(double value, uint32_t precision, uint32_t scale, int128 *out)
{
    char text[400];

    if (!isfinite(value))
        return false;
    return decimal_parse(text, (size_t)snprintf(text, sizeof text, "%.17g", value), precision,
                         scale, out);
}

/* ---- shortest text of two digits and more that reads back the same, in Java's form (as since JDK 19) ---- */

static size_t java_form(const char *shortest, char *to)
{
    /* shortest: [-]d[.ddd]e[+-]dd */
    const char *e = strchr(shortest, 'e');
    const int exponent = atoi(e + 1);
    const bool negative = shortest[0] == '-';
    char digits[40];
    int n = 0;
    char *next = to;

    for (const char *c = shortest + negative; c < e; c++)
        if (*c != '.')
            digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (negative)
        *next++ = '-';
    if (exponent >= -3 && exponent < 7) {
        if (exponent < 0) {
            *next++ = '0';
            *next++ = '.';
            for (int i = -1; i > exponent; i--)
                *next++ = '0';
            memcpy(next, digits, (size_t)n);
            return (size_t)(next + n - to);
        }
        for (int i = 0; i <= exponent || i < n; i++) {
            if (i == exponent + 1)
                *next++ = '.';
            *next++ = i < n ? digits[i] : '0';
        }
        if (n <= exponent + 1) {
            *next++ = '.';
            *next++ = '0';
        }
        return (size_t)(next - to);
    }
    *next++ = digits[0];
    *next++ = '.';
    if (n == 1)
        *next++ = '0';
    memcpy(next, digits + 1, (size_t)(n - 1));
    next += n - 1;
    return (size_t)(next - to) + (size_t)sprintf(next, "E%d", exponent);
}

static size_t special_form(double value, char *to)
{
    const char *text = isnan(value) ? "NaN"
                       : value > 0  ? "Infinity"
                       : value < 0  ? "-Infinity"
                                    : NULL;

    if (value == 0)
        text = signbit(value) ? "-0.0" : "0.0";
    strcpy(to, text);
    return strlen(text);
}

/* The next larger decimal of as many digits. False: there is none of the same exponent. */
static bool next_decimal(char *text)
{
    char *at = strchr(text, 'e') - 1;

    for (; at >= text && *at != '-'; at--) {
        if (*at == '.')
            continue;
        if (*at != '9') {
            ++*at;
            return true;
        }
        *at = '0';
    }
    return false;
}

size_t double_format(double value, char *to, size_t room)
{
    char text[48];

    CHECK(room >= 48);
    if (!isfinite(value) || value == 0)
        return special_form(value, to);
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, value);
        /* above a power of two there is more room than below: not only the nearest decimal may do */
        if (strtod(text, NULL) == value || (next_decimal(text) && strtod(text, NULL) == value))
            break;
    }
    return java_form(text, to);
}

size_t float_format(float value, char *to, size_t room)
{
    char text[48];

    CHECK(room >= 48);
    if (!isfinite(value) || value == 0)
        return special_form((double)value, to);
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, (double)value);
        if (strtof(text, NULL) == value || (next_decimal(text) && strtof(text, NULL) == value))
            break;
    }
    return java_form(text, to);
}
