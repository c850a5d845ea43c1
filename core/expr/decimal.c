/* core/expr/decimal.c - decimals of up to 38 digits in 128 bits; products and quotients in 256. */
#include "core/expr/functions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UPTO_8(p)                                                                                  \
    (p), (p)*10, (p)*100, (p)*1000, (p)*10000, (p)*100000, (p)*1000000, (p)*10000000, (p)*100000000
#define NINE 1000000000

static const int128 powers[] = {UPTO_8((int128)1),
                                UPTO_8((int128)NINE),
                                UPTO_8((int128)NINE *NINE),
                                UPTO_8((int128)NINE *NINE *NINE),
                                (int128)NINE *NINE *NINE *NINE,
                                (int128)NINE *NINE *NINE *NINE * 10,
                                (int128)NINE *NINE *NINE *NINE * 100};

_Static_assert(COUNT_OF(powers) == 39, "10^0 to 10^38");

int128 decimal_power(uint32_t digits)
{
    ASSERT(digits < COUNT_OF(powers));
    return powers[digits];
}

bool decimal_fits(int128 value, uint32_t precision)
{
    const int128 limit = decimal_power(precision);

    return value < limit && value > -limit;
}

static int128 divide_half_up(int128 value, int128 by)
{
    if (value == (int64_t)value && by <= INT64_MAX) { /* a division of 64 bits is much faster */
        const int64_t q = (int64_t)value / (int64_t)by, r = (int64_t)value % (int64_t)by;
        const int64_t twice = r < 0 ? -r : r;

        return twice >= (int64_t)by - twice ? (value < 0 ? q - 1 : q + 1) : q;
    }
    const int128 q = value / by, r = value % by;
    const int128 twice = r < 0 ? -r : r;

    if (twice >= by - twice)
        return value < 0 ? q - 1 : q + 1;
    return q;
}

bool decimal_rescale(int128 value, uint32_t from, uint32_t to, int128 *out)
{
    if (to == from) {
        *out = value;
        return true;
    }
    if (to > from)
        return !__builtin_mul_overflow(value, decimal_power(to - from), out);
    *out = divide_half_up(value, decimal_power(from - to));
    return true;
}

int decimal_compare(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale)
{
    int128 up;

    if (a_scale > b_scale)
        return -decimal_compare(b, b_scale, a, a_scale);
    if (!decimal_rescale(a, a_scale, b_scale, &up)) /* more digits than @b can have */
        return a < 0 ? -1 : 1;
    return (up > b) - (up < b);
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
    if (n.high == 0) {
        *quotient = d == 1 ? n.low : n.low / d;
        *remainder = d == 1 ? 0 : n.low % d;
        return true;
    }
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

static struct wide wide_tenth(struct wide n)
{
    const uint128 high = n.high / 10, middle = (n.high % 10) << 64 | n.low >> 64;
    const uint128 low = (middle % 10) << 64 | (uint64_t)n.low;

    return (struct wide){high, (middle / 10) << 64 | low / 10};
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

/* a + b, exact, then rounded to @to_scale. */
bool decimal_add(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t to_scale,
                 uint32_t precision, int128 *out)
{
    const uint32_t scale = max_u32(a_scale, b_scale);
    struct wide x = wide_multiply(magnitude(a), (uint128)decimal_power(scale - a_scale));
    struct wide y = wide_multiply(magnitude(b), (uint128)decimal_power(scale - b_scale));
    const bool y_greater = y.high > x.high || (y.high == x.high && y.low > x.low);
    bool negative = a < 0;

    if ((a < 0) == (b < 0)) {
        x.low += y.low;
        x.high += y.high + (x.low < y.low);
    } else {
        const struct wide more = y_greater ? y : x, less = y_greater ? x : y;

        negative = y_greater ? b < 0 : a < 0;
        x = (struct wide){more.high - less.high - (more.low < less.low), more.low - less.low};
    }
    return wide_round(x, (uint128)decimal_power(scale - to_scale), negative, precision, out);
}

bool decimal_multiply(int128 a, int128 b, uint32_t scale, uint32_t to_scale, uint32_t precision,
                      int128 *out)
{
    struct wide product = wide_multiply(magnitude(a), magnitude(b));
    uint32_t drop = scale - to_scale;

    /* whether the rest is a half or more shows in its first digits */
    for (; drop > 38; drop--)
        product = wide_tenth(product);
    return wide_round(product, (uint128)decimal_power(drop), (a < 0) != (b < 0), precision, out);
}

bool decimal_modulo(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, int128 *out)
{
    const uint128 x = magnitude(a), y = magnitude(b);
    uint128 q, r = x;
    struct wide d;

    if (a_scale <= b_scale) {
        const bool ok =
            wide_divide(wide_multiply(x % y, (uint128)decimal_power(b_scale - a_scale)), y, &q, &r);

        if (!ok)
            return false;
    } else {
        d = wide_multiply(y, (uint128)decimal_power(a_scale - b_scale));
        r = d.high == 0 ? x % d.low : x;
    }
    *out = a < 0 ? -(int128)r : (int128)r;
    return true;
}

static uint32_t digits_of(uint128 v)
{
    uint32_t n = 1;

    while (n < 38 && v >= (uint128)decimal_power(n))
        n++;
    return n;
}

/* n = @a * 10^@digits, at most 38 of them before and behind. */
static struct wide wide_shift(uint128 a, uint32_t digits)
{
    const uint32_t room = 38 - digits_of(a), first = min_u32(digits, room);

    return wide_multiply(a * (uint128)decimal_power(first), (uint128)decimal_power(digits - first));
}

/* @a / @b with its 38 significant digits, HALF_UP, times 10^@shift: all of 38 digits, so never 0. */
static uint128 quotient_38(uint128 a, uint128 b, uint32_t *shift)
{
    /* the first digit of a / b is that of 10^e */
    int32_t e = (int32_t)digits_of(a) - (int32_t)digits_of(b);
    uint128 q = 0, r = 0;

    if (e >= 0 ? a / (uint128)decimal_power((uint32_t)e) < b
               : a * (uint128)decimal_power((uint32_t)-e) < b)
        e--;
    *shift = (uint32_t)(37 - e);
    CHECK(wide_divide(wide_shift(a, *shift), b, &q, &r));
    return r >= b - r ? q + 1 : q;
}

/* a / b rounded to 38 significant digits first, then to the scale, HALF_UP each. */
bool decimal_divide(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t scale,
                    uint32_t precision, int128 *out)
{
    uint32_t shift;
    int128 q;
    int32_t more;

    *out = 0;
    if (a == 0 || b == 0)
        return b != 0;
    q = (int128)quotient_38(magnitude(a), magnitude(b), &shift);
    more = (int32_t)scale + (int32_t)b_scale - (int32_t)a_scale - (int32_t)shift;
    if (more > 0 || more < -38)
        return more < 0; /* too many digits, or none that shows */
    if (more < 0)
        q = divide_half_up(q, decimal_power((uint32_t)-more));
    if (!decimal_fits(q, precision))
        return false;
    *out = (a < 0) != (b < 0) ? -q : q;
    return true;
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

/* @n digits, the first before the point, times 10^@exponent. */
static size_t java_digits(bool negative, const char *digits, int n, int exponent, char *to)
{
    char *next = to;

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

/* @shortest: [-]d[.ddd]e[+-]dd */
static size_t java_form(const char *shortest, char *to)
{
    const char *e = strchr(shortest, 'e');
    const bool negative = shortest[0] == '-';
    char digits[40];
    int n = 0;

    for (const char *c = shortest + negative; c < e; c++)
        if (*c != '.')
            digits[n++] = *c;
    return java_digits(negative, digits, n, atoi(e + 1), to);
}

/* Up to 15 (@single: 6) digits, whose decimal number is the only one of so few that reads back as @v, 1e-3 or more: a
 * quotient of two exact numbers is rounded once, as reading is. 0: there is none, or @v is too great to look. */
static int few_digits(double v, bool single, char digits[24], int *exponent)
{
    static const double tens[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const double most = single ? 1e6 : 1e15;
    const int places_most = single ? 10 : 18;

    for (int places = 0; places <= places_most && v * tens[places] < most - 0.5; places++) {
        uint64_t m = (uint64_t)(v * tens[places] + 0.5);
        char all[24];
        int n = 0;

        if (single ? (float)m / (float)tens[places] != (float)v : (double)m / tens[places] != v)
            continue;
        for (; m > 0; m /= 10)
            all[n++] = (char)('0' + m % 10);
        for (int i = 0; i < n; i++)
            digits[i] = all[n - 1 - i];
        *exponent = n - 1 - places;
        return n;
    }
    return 0;
}

/* Whether few_digits() knows all numbers of so few digits that could be @v. */
static bool is_handy(double v, bool single)
{
    return v >= 1e-3 && v < (single ? 1e6 : 1e15);
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
    const bool handy = is_handy(fabs(value), false);
    char text[48], few[24];
    int exponent, n;

    CHECK(room >= 48);
    if (!isfinite(value) || value == 0)
        return special_form(value, to);
    if (handy && (n = few_digits(fabs(value), false, few, &exponent)) > 0)
        return java_digits(value < 0, few, n, exponent, to);
    for (int digits = handy ? 15 : 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, value);
        /* above a power of two there is more room than below: not only the nearest decimal may do */
        if (strtod(text, NULL) == value || (next_decimal(text) && strtod(text, NULL) == value))
            break;
    }
    return java_form(text, to);
}

size_t float_format(float value, char *to, size_t room)
{
    const bool handy = is_handy(fabs((double)value), true);
    char text[48], few[24];
    int exponent, n;

    CHECK(room >= 48);
    if (!isfinite(value) || value == 0)
        return special_form((double)value, to);
    if (handy && (n = few_digits(fabs((double)value), true, few, &exponent)) > 0)
        return java_digits(value < 0, few, n, exponent, to);
    for (int digits = handy ? 6 : 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, (double)value);
        if (strtof(text, NULL) == value || (next_decimal(text) && strtof(text, NULL) == value))
            break;
    }
    return java_form(text, to);
}
