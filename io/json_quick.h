/* io/json_quick.h - the form that a JSON value mostly has, straight into a column: inlined where objects are walked.
 *
 * Every function returns behind the value, or NULL: it is of another form, and json_value() reads it. 32 bytes from a
 * value on may be read. Includes: json.h
 */
#ifndef MILL_JSON_QUICK_H
#define MILL_JSON_QUICK_H

#include "io/json.h"

/* Bits of a view's first four bytes and next eight that belong to a text of 0 to 12 bytes. */
extern const uint64_t json_view_masks[13][2];

/* view_of() without a call, a branch or a copy in memory: 12 bytes from @p may be read. */
static ALWAYS_INLINE void quick_view(const char *p, uint32_t length, struct mill_view *out)
{
    const uint64_t *mask = json_view_masks[length < 12 ? length : 12];
    const uint64_t first = length | ((uint64_t)json_load4(p) & mask[0]) << 32;
    const uint64_t rest = length <= 12 ? json_load8(p + 4) & mask[1] : (uint64_t)(uintptr_t)p;

    _Static_assert(sizeof *out == 16 && sizeof p == 8, "a view is two words");
    memcpy(out, &first, 8);
    memcpy((char *)out + 8, &rest, 8);
}

/* ---- numbers ---- */

#define ONES 0x0101010101010101ull

/* How many of the 8 bytes at @p are digits, from the first on; *t: their values, first in the lowest byte. */
static ALWAYS_INLINE uint32_t digits8(const char *p, uint64_t *t)
{
    const uint64_t v = json_load8(p) ^ 0x30 * ONES;
    const uint64_t other = ((v + 0x76 * ONES) | v) & 0x80 * ONES;

    *t = v;
    return other == 0 ? 8 : (uint32_t)__builtin_ctzll(other) / 8;
}
/* The number of 8 digit values, the first of which weighs most. */
static ALWAYS_INLINE uint64_t number8(uint64_t t)
{
    t = (t * 10 + (t >> 8)) & 0x00ff00ff00ff00ffull;
    t = (t * 100 + (t >> 16)) & 0x0000ffff0000ffffull;
    return (t * 10000 + (t >> 32)) & 0xffffffffull;
}

/* Up to 18 digits. Returns how many there were; 19: more. */
static ALWAYS_INLINE uint32_t take_digits(const char *p, uint64_t *out)
{
    uint64_t t;
    uint32_t n = digits8(p, &t), count = n;

    if (LIKELY(n < 8)) {
        *out = n == 0 ? 0 : number8(t << (8 - n) * 8);
        return n;
    }
    *out = number8(t);
    n = digits8(p + 8, &t);
    if (LIKELY(n < 8)) {
        if (n > 0)
            *out = *out * json_tens[n] + number8(t << (8 - n) * 8);
        return count + n;
    }
    *out = *out * json_tens[8] + number8(t);
    for (count = 16; p[count] >= '0' && p[count] <= '9'; count++) {
        if (count == 18)
            return 19;
        *out = *out * 10 + (uint64_t)(p[count] - '0');
    }
    return count;
}

/* -?digits of at most 18; NULL: another form. */
static ALWAYS_INLINE const char *quick_integer(const char *p, int64_t *out)
{
    const bool negative = *p == '-';
    uint64_t v;
    uint32_t n;

    p += negative;
    n = take_digits(p, &v);
    if (UNLIKELY(n == 0 || n == 19 || (*p == '0' && n > 1) || !json_ends_scalar(p[n])))
        return NULL;
    *out = negative ? -(int64_t)v : (int64_t)v;
    return p + n;
}

/* A number without exponent and at most 18 digits, as digits and places behind the point. NULL: another form. */
static ALWAYS_INLINE const char *quick_fixed(const char *p, bool *negative, uint64_t *digits,
                                             uint32_t *places)
{
    uint64_t fraction;
    uint32_t n;

    *negative = *p == '-';
    p += *negative;
    n = take_digits(p, digits);
    if (n == 0 || n == 19 || (*p == '0' && n > 1))
        return NULL;
    p += n;
    *places = 0;
    if (*p == '.') {
        *places = take_digits(++p, &fraction);
        if (*places == 0 || n + *places > 18)
            return NULL;
        *digits = *digits * json_tens[*places] + fraction;
        p += *places;
    }
    return json_ends_scalar(*p) ? p : NULL;
}

/* Exact: the digits and the power of ten are doubles, and one division rounds once. */
static ALWAYS_INLINE const char *quick_double(const char *p, double *out)
{
    bool negative;
    uint64_t digits;
    uint32_t places;

    p = quick_fixed(p, &negative, &digits, &places);
    if (p == NULL || digits > 1ull << 53)
        return NULL;
    *out = (double)digits / (double)json_tens[places];
    if (negative)
        *out = -*out;
    return p;
}

static ALWAYS_INLINE const char *quick_decimal(const struct json_member *m, const char *p,
                                               int128 *out)
{
    bool negative;
    uint64_t digits;
    uint32_t places;

    p = quick_fixed(p, &negative, &digits, &places);
    if (p == NULL || places > m->type->scale || m->scale_up[places] == 0)
        return NULL;
    *out = (int128)digits * m->scale_up[places];
    if (*out >= m->limit)
        return NULL;
    if (negative)
        *out = -*out;
    return p;
}

/* 'yyyy-MM-dd HH:mm:ss.SSS' in the minute of the last time; NULL: another form or minute. @p at the opening quote. */
static ALWAYS_INLINE const char *quick_time(const struct json_member *m, const char *p,
                                            int64_t *out)
{
    const uint64_t rest = json_load8(p + 17); /* :ss.SSS" */

    if (json_load8(p + 1) != m->seen[0] || json_load8(p + 9) != m->seen[1])
        return NULL;
    if (UNLIKELY((rest & 0xff000000ff0000ffull) != 0x220000002e00003aull))
        return NULL;
    const uint64_t v = (rest & 0x00ffffff00ffff00ull) ^ 0x0030303000303000ull;

    if (UNLIKELY((((v + 0x76 * ONES) | v) & 0x80 * ONES) != 0))
        return NULL;
    const uint64_t second = (v >> 8 & 15) * 10 + (v >> 16 & 15);
    const uint64_t milli = (v >> 32 & 15) * 100 + (v >> 40 & 15) * 10 + (v >> 48 & 15);

    if (UNLIKELY(second > 59))
        return NULL;
    *out = (int64_t)(second * 1000 + milli);
    return p + 25;
}

/* A string without escapes, and where it lies. */
static ALWAYS_INLINE const char *quick_text(struct json_reader *r, const char *p,
                                            struct mill_view *out)
{
    const char *end;

    if (UNLIKELY(*p != '"'))
        return NULL;
    end = json_next(r, r->stops, p + 1);
    if (UNLIKELY(*end != '"'))
        return NULL;
    quick_view(p + 1, (uint32_t)(end - p - 1), out);
    return end + 1;
}

/* What nobody wants: a string without escapes, or a number of up to 15 digits. */
static ALWAYS_INLINE const char *quick_skip(struct json_reader *r, const char *p)
{
    uint64_t t;
    uint32_t n;

    if (*p == '"') {
        const char *end = json_next(r, r->stops, p + 1);

        return LIKELY(*end == '"') ? end + 1 : NULL;
    }
    p += *p == '-';
    n = digits8(p, &t);
    if (n == 8)
        n += digits8(p + 8, &t);
    return n != 0 && json_ends_scalar(p[n]) ? p + n : NULL;
}

static ALWAYS_INLINE const char *quick_value(struct json_reader *r, struct json_member *m,
                                             const char *p, uint32_t row)
{
    const char *end;
    int64_t v;

    switch (m->way) {
    case WAY_SKIP: return quick_skip(r, p);
    case WAY_I64: return quick_integer(p, &((int64_t *)m->values)[row]);
    case WAY_I32:
        end = quick_integer(p, &v);
        if (UNLIKELY(end == NULL || v != (int32_t)v))
            return NULL;
        ((int32_t *)m->values)[row] = (int32_t)v;
        return end;
    case WAY_DOUBLE: return quick_double(p, &((double *)m->values)[row]);
    case WAY_DECIMAL: return quick_decimal(m, p, &((int128 *)m->values)[row]);
    case WAY_TIME:
        if (*p != '"' || (end = quick_time(m, p, &v)) == NULL)
            return NULL;
        ((int64_t *)m->values)[row] = m->seen_value + v * m->milli;
        return end;
    case WAY_TEXT: return quick_text(r, p, &((struct mill_view *)m->values)[row]);
    default: return NULL;
    }
}

#endif
