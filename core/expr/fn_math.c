/* core/expr/fn_math.c - numbers, conditions over any type, and values that are made up. */
#include "core/expr/functions.h"

#include <math.h>

#define EVAL(name)                                                                                 \
    static void name(struct eval *e, const struct column *args, uint32_t count, struct column *out)
#define REAL(i) VALUE(double, &args[i], row)

static bool reals(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!resolve_double(c, i))
            return false;
    return returns(c, MILL_DOUBLE);
}

#define DEFINE_REAL(name, expression)                                                              \
    EVAL(name)                                                                                     \
    {                                                                                              \
        (void)count;                                                                               \
        (void)args;                                                                                \
        FOR_ROWS(e, row)                                                                           \
        RESULT(double, out)[row] = (expression);                                                   \
    }
DEFINE_REAL(fn_sqrt, sqrt(REAL(0)))
DEFINE_REAL(fn_ln, log(REAL(0)))
DEFINE_REAL(fn_log10, log10(REAL(0)))
DEFINE_REAL(fn_log2, log2(REAL(0)))
DEFINE_REAL(fn_log, count == 1 ? log(REAL(0)) : log(REAL(1)) / log(REAL(0)))
DEFINE_REAL(fn_exp, exp(REAL(0)))
DEFINE_REAL(fn_power, pow(REAL(0), REAL(1)))
DEFINE_REAL(fn_sin, sin(REAL(0)))
DEFINE_REAL(fn_cos, cos(REAL(0)))
DEFINE_REAL(fn_tan, tan(REAL(0)))
DEFINE_REAL(fn_cot, 1.0 / tan(REAL(0)))
DEFINE_REAL(fn_asin, asin(REAL(0)))
DEFINE_REAL(fn_acos, acos(REAL(0)))
DEFINE_REAL(fn_atan, atan(REAL(0)))
DEFINE_REAL(fn_atan2, atan2(REAL(0), REAL(1)))
DEFINE_REAL(fn_sinh, sinh(REAL(0)))
DEFINE_REAL(fn_cosh, cosh(REAL(0)))
DEFINE_REAL(fn_tanh, tanh(REAL(0)))
DEFINE_REAL(fn_degrees, REAL(0) * (180.0 / M_PI))
DEFINE_REAL(fn_radians, REAL(0) * (M_PI / 180.0))
DEFINE_REAL(fn_pi, M_PI)
DEFINE_REAL(fn_e, M_E)

static bool same_number(struct call *c)
{
    c->result = *arg_type(c, 0);
    return type_is_numeric(&c->result);
}

EVAL(fn_abs)
{
    (void)count;
#define ABS(type, zero)                                                                            \
    FOR_ROWS(e, row)                                                                               \
    {                                                                                              \
        const type v = VALUE(type, &args[0], row);                                                 \
                                                                                                   \
        RESULT(type, out)[row] = v < 0 ? (type)((zero)-v) : v;                                     \
    }                                                                                              \
    break
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: ABS(int8_t, 0u);
    case PHYS_I16: ABS(int16_t, 0u);
    case PHYS_I32: ABS(int32_t, 0u);
    case PHYS_I64: ABS(int64_t, 0ull);
    case PHYS_F32:
        FOR_ROWS(e, row)
        RESULT(float, out)[row] = fabsf(VALUE(float, &args[0], row));
        break;
    case PHYS_F64:
        FOR_ROWS(e, row)
        RESULT(double, out)[row] = fabs(REAL(0));
        break;
    default: ABS(int128, (int128)0);
    }
}

EVAL(fn_sign)
{
    (void)count;
#define SIGN(type, one)                                                                            \
    FOR_ROWS(e, row)                                                                               \
    {                                                                                              \
        const type v = VALUE(type, &args[0], row);                                                 \
                                                                                                   \
        RESULT(type, out)[row] = v > 0 ? (type)(one) : v < 0 ? (type) - (one) : (type)0;           \
    }                                                                                              \
    break
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: SIGN(int8_t, 1);
    case PHYS_I16: SIGN(int16_t, 1);
    case PHYS_I32: SIGN(int32_t, 1);
    case PHYS_I64: SIGN(int64_t, 1);
    case PHYS_F32: SIGN(float, 1);
    case PHYS_F64: SIGN(double, 1);
    default: SIGN(int128, decimal_power(e->where->type.scale));
    }
}

/* CEIL and FLOOR: integers stay, DECIMAL(p, s) becomes DECIMAL(p - s + 1, 0). */
static bool resolve_whole(struct call *c)
{
    const struct mill_type *t = arg_type(c, 0);

    c->result = *t;
    if (t->kind == MILL_DECIMAL)
        c->result = type_decimal(min_u32(38, (uint32_t)t->precision - t->scale + 1), 0);
    return type_is_numeric(t);
}

static void whole(struct eval *e, const struct column *args, struct column *out, bool up)
{
    const struct mill_type *t = &e->where->args[0]->type;
    const int128 unit = t->kind == MILL_DECIMAL ? decimal_power(t->scale) : 1;

    FOR_ROWS(e, row)
    {
        switch (type_phys(t)) {
        case PHYS_F32:
            RESULT(float, out)
            [row] = up ? ceilf(VALUE(float, &args[0], row)) : floorf(VALUE(float, &args[0], row));
            break;
        case PHYS_F64: RESULT(double, out)[row] = up ? ceil(REAL(0)) : floor(REAL(0)); break;
        case PHYS_I128: {
            const int128 v = VALUE(int128, &args[0], row), q = v / unit, r = v % unit;

            RESULT(int128, out)[row] = q + (up && r > 0) - (!up && r < 0);
            break;
        }
        default:
            memcpy((char *)out->values + (size_t)row * type_width(t),
                   (const char *)args[0].values + (size_t)at_row(&args[0], row) * type_width(t),
                   type_width(t));
        }
    }
}

EVAL(fn_ceil)
{
    (void)count;
    whole(e, args, out, true);
}
EVAL(fn_floor)
{
    (void)count;
    whole(e, args, out, false);
}

/* ROUND(x[, digits]): HALF_UP away from zero; doubles through their shortest decimal form, as Java. */
static bool resolve_round(struct call *c)
{
    const struct mill_type *t = arg_type(c, 0);
    int64_t digits = 0;

    c->result = *t;
    if (!type_is_numeric(t) || (c->count > 1 && !resolve_int(c, 1)))
        return false;
    if (t->kind != MILL_DECIMAL ||
        (c->count > 1 && !expr_literal_i64(expr_fold(c->session, c->args[1]), &digits)))
        return true;
    digits = max_i64(digits, 0);
    if (digits < t->scale)
        c->result =
            type_decimal(min_u32(38, 1 + (uint32_t)t->precision - t->scale + (uint32_t)digits),
                         (uint32_t)digits);
    return true;
}

static int128 round_digits(int128 v, uint32_t scale, int32_t digits, bool truncate)
{
    const int64_t drop = (int64_t)scale - digits;
    int128 unit, half;

    if (drop <= 0)
        return v;
    if (drop > 38)
        return 0;
    unit = decimal_power((uint32_t)drop);
    half = truncate ? 0 : v < 0 ? -unit / 2 : unit / 2;
    return (v + half) / unit * unit;
}

static double round_double(double v, int32_t digits, bool truncate)
{
    int128 d;

    if (!isfinite(v) || fabs(v) >= 1e18)
        return v;
    if (!decimal_from_double(v, 38, 18, &d))
        return v;
    return decimal_to_double(round_digits(d, 18, digits, truncate), 18);
}

static void rounded(struct eval *e, const struct column *args, uint32_t count, struct column *out,
                    bool truncate)
{
    const struct mill_type *t = &e->where->type;

    FOR_ROWS(e, row)
    {
        const int32_t digits = count > 1 ? VALUE(int32_t, &args[1], row) : 0;

        switch (type_phys(t)) {
        case PHYS_I8:
            RESULT(int8_t, out)
            [row] = (int8_t)round_digits(VALUE(int8_t, &args[0], row), 0, digits, truncate);
            break;
        case PHYS_I16:
            RESULT(int16_t, out)
            [row] = (int16_t)round_digits(VALUE(int16_t, &args[0], row), 0, digits, truncate);
            break;
        case PHYS_I32:
            RESULT(int32_t, out)
            [row] = (int32_t)round_digits(VALUE(int32_t, &args[0], row), 0, digits, truncate);
            break;
        case PHYS_I64:
            RESULT(int64_t, out)
            [row] = (int64_t)round_digits(VALUE(int64_t, &args[0], row), 0, digits, truncate);
            break;
        case PHYS_F32:
            RESULT(float, out)
            [row] = (float)round_double((double)VALUE(float, &args[0], row), digits, truncate);
            break;
        case PHYS_F64: RESULT(double, out)[row] = round_double(REAL(0), digits, truncate); break;
        default: {
            const uint32_t scale = e->where->args[0]->type.scale;

            const int128 v = round_digits(VALUE(int128, &args[0], row), scale, digits, truncate) /
                             decimal_power(scale - t->scale);

            RESULT(int128, out)[row] = v;
            if (!decimal_fits(v, t->precision)) {
                e->context->decimal_overflow++;
                eval_null(e, out, row);
            }
        }
        }
    }
}

EVAL(fn_round)
{
    rounded(e, args, count, out, false);
}
EVAL(fn_truncate)
{
    rounded(e, args, count, out, true);
}

/* ---- conditions ---- */

static bool all_common(struct call *c, uint32_t from)
{
    struct mill_type common = *arg_type(c, from), next;

    for (uint32_t i = from + 1; i < c->count; i++) {
        if (!type_common(&common, arg_type(c, i), &next))
            return false;
        common = next;
    }
    for (uint32_t i = from; i < c->count; i++)
        if (!resolve_cast(c, i, &common))
            return false;
    c->result = common;
    c->result.not_null = false;
    return type_phys(&common) != PHYS_ROW && type_phys(&common) != PHYS_NONE;
}

static void copy_value(struct eval *e, struct column *out, const struct column *from, uint32_t row)
{
    const uint32_t width = type_width(&e->where->type);

    memcpy((char *)out->values + (size_t)row * width,
           (const char *)from->values + (size_t)at_row(from, row) * width, width);
}

static bool resolve_coalesce(struct call *c)
{
    bool not_null = false;

    for (uint32_t i = 0; i < c->count; i++)
        not_null = not_null || arg_type(c, i)->not_null;
    if (!all_common(c, 0))
        return false;
    c->result.not_null = not_null;
    return true;
}

EVAL(coalesce)
{
    FOR_ROWS(e, row)
    {
        uint32_t a = 0;

        while (a < count && !column_valid(&args[a], row))
            a++;
        if (a == count)
            eval_null(e, out, row);
        else
            copy_value(e, out, &args[a], row);
    }
}

static bool resolve_extreme(struct call *c)
{
    return all_common(c, 0) && type_phys(&c->result) != PHYS_BOOL && type_orders(&c->result);
}

static int compare_values(const struct eval *e, const struct column *a, const struct column *b,
                          uint32_t row)
{
#define ORDER(type)                                                                                \
    ((VALUE(type, a, row) > VALUE(type, b, row)) - (VALUE(type, a, row) < VALUE(type, b, row)))
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: return ORDER(int8_t);
    case PHYS_I16: return ORDER(int16_t);
    case PHYS_I32: return ORDER(int32_t);
    case PHYS_I64: return ORDER(int64_t);
    case PHYS_I128: return ORDER(int128);
    case PHYS_F32: return ORDER(float);
    case PHYS_F64: return ORDER(double);
    default: return view_compare(TEXT(a, row), TEXT(b, row));
    }
}

static void extreme(struct eval *e, const struct column *args, uint32_t count, struct column *out,
                    int sign)
{
    FOR_ROWS(e, row)
    {
        uint32_t best = 0;

        for (uint32_t a = 1; a < count; a++)
            if (compare_values(e, &args[a], &args[best], row) * sign > 0)
                best = a;
        copy_value(e, out, &args[best], row);
    }
}

EVAL(greatest)
{
    extreme(e, args, count, out, 1);
}
EVAL(least)
{
    extreme(e, args, count, out, -1);
}

static bool resolve_if(struct call *c)
{
    return arg_type(c, 0)->kind == MILL_BOOLEAN && all_common(c, 1);
}

EVAL(fn_if)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const bool yes = column_valid(&args[0], row) && VALUE(uint8_t, &args[0], row) != 0;
        const struct column *from = &args[yes ? 1 : 2];

        if (!column_valid(from, row))
            eval_null(e, out, row);
        else
            copy_value(e, out, from, row);
    }
}

static bool resolve_nullif(struct call *c)
{
    return all_common(c, 0);
}

EVAL(fn_nullif)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        if (!column_valid(&args[0], row) ||
            (column_valid(&args[1], row) && compare_values(e, &args[0], &args[1], row) == 0))
            eval_null(e, out, row);
        else
            copy_value(e, out, &args[0], row);
    }
}

/* ---- made up, from the job's seed and the row's place ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t random_at(const struct eval *e, uint32_t row, uint64_t salt)
{
    const uint64_t place = e->batch->step << 32 | batch_place(e->batch, row);

    return mix(mix(place + e->seed * 0x9e3779b97f4a7c15ull) + salt +
               ((uint64_t)e->where->line << 32) + e->where->column);
}

DEFINE_REAL(fn_rand, (double)(random_at(e, row, 1) >> 11) * 0x1p-53)

static bool resolve_rand_integer(struct call *c)
{
    return resolve_int(c, c->count - 1) && (c->count < 2 || resolve_int(c, 0)) &&
           returns(c, MILL_INT);
}

EVAL(rand_integer)
{
    FOR_ROWS(e, row)
    {
        const int32_t bound = VALUE(int32_t, &args[count - 1], row);

        if (bound <= 0)
            eval_bad(e, row, "RAND_INTEGER needs a bound above 0");
        else
            RESULT(int32_t, out)[row] = (int32_t)(random_at(e, row, 2) % (uint64_t)bound);
    }
}

static bool resolve_uuid(struct call *c)
{
    return returns(c, MILL_VARCHAR);
}

EVAL(uuid)
{
    static const char digits[] = "0123456789abcdef";

    (void)args;
    (void)count;
    FOR_ROWS(e, row)
    {
        const uint64_t bits[] = {random_at(e, row, 3), random_at(e, row, 4)};
        char text[36];

        for (uint32_t i = 0, k = 0; i < 36; i++) {
            uint32_t v;

            if (i == 8 || i == 13 || i == 18 || i == 23) {
                text[i] = '-';
                continue;
            }
            v = (uint32_t)(bits[k / 16] >> (k % 16 * 4)) & 15;
            v = i == 14 ? 4 : i == 19 ? 8 | (v & 3) : v;
            text[i] = digits[v];
            k++;
        }
        eval_text(e, out, row, text, sizeof text);
    }
}

static bool resolve_bin(struct call *c)
{
    return resolve_bigint(c, 0) && returns(c, MILL_VARCHAR);
}

EVAL(bin)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        uint64_t v = (uint64_t)VALUE(int64_t, &args[0], row);
        char text[64];
        uint32_t at = sizeof text;

        do
            text[--at] = (char)('0' + (v & 1));
        while ((v >>= 1) != 0);
        eval_text(e, out, row, text + at, sizeof text - at);
    }
}

static bool resolve_typeof(struct call *c)
{
    return returns(c, MILL_VARCHAR);
}

EVAL(fn_typeof)
{
    char text[400];

    (void)args;
    (void)count;
    type_name(&e->where->args[0]->type, text, sizeof text);
    FOR_ROWS(e, row)
    eval_text(e, out, row, text, strlen(text));
}

#define M "math"
#define C "conditional"
const struct function functions_math[] =
    {{"ABS", "ABS(x)", "absolute value", M, 1, 1, 0, same_number, fn_abs},
     {"SIGN", "SIGN(x)", "-1, 0 or 1", M, 1, 1, 0, same_number, fn_sign},
     {"CEIL", "CEIL(x)", "least whole number not below x", M, 1, 1, 0, resolve_whole, fn_ceil},
     {"CEILING", "CEILING(x)", "least whole number not below x", M, 1, 1, 0, resolve_whole,
      fn_ceil},
     {"FLOOR", "FLOOR(x)", "greatest whole number not above x", M, 1, 1, 0, resolve_whole,
      fn_floor},
     {"ROUND", "ROUND(x[, digits])", "rounded half up to digits behind the point", M, 1, 2, 0,
      resolve_round, fn_round},
     {"TRUNCATE", "TRUNCATE(x[, digits])", "cut to digits behind the point", M, 1, 2, 0,
      resolve_round, fn_truncate},
     {"SQRT", "SQRT(x)", "square root", M, 1, 1, 0, reals, fn_sqrt},
     {"LN", "LN(x)", "natural logarithm", M, 1, 1, 0, reals, fn_ln},
     {"LOG10", "LOG10(x)", "logarithm to base 10", M, 1, 1, 0, reals, fn_log10},
     {"LOG2", "LOG2(x)", "logarithm to base 2", M, 1, 1, 0, reals, fn_log2},
     {"LOG", "LOG([base, ]x)", "logarithm", M, 1, 2, 0, reals, fn_log},
     {"EXP", "EXP(x)", "e to the power of x", M, 1, 1, 0, reals, fn_exp},
     {"POWER", "POWER(x, y)", "x to the power of y", M, 2, 2, 0, reals, fn_power},
     {"SIN", "SIN(x)", "sine", M, 1, 1, 0, reals, fn_sin},
     {"COS", "COS(x)", "cosine", M, 1, 1, 0, reals, fn_cos},
     {"TAN", "TAN(x)", "tangent", M, 1, 1, 0, reals, fn_tan},
     {"COT", "COT(x)", "cotangent", M, 1, 1, 0, reals, fn_cot},
     {"ASIN", "ASIN(x)", "arc sine", M, 1, 1, 0, reals, fn_asin},
     {"ACOS", "ACOS(x)", "arc cosine", M, 1, 1, 0, reals, fn_acos},
     {"ATAN", "ATAN(x)", "arc tangent", M, 1, 1, 0, reals, fn_atan},
     {"ATAN2", "ATAN2(y, x)", "angle of a point", M, 2, 2, 0, reals, fn_atan2},
     {"SINH", "SINH(x)", "hyperbolic sine", M, 1, 1, 0, reals, fn_sinh},
     {"COSH", "COSH(x)", "hyperbolic cosine", M, 1, 1, 0, reals, fn_cosh},
     {"TANH", "TANH(x)", "hyperbolic tangent", M, 1, 1, 0, reals, fn_tanh},
     {"DEGREES", "DEGREES(x)", "radians to degrees", M, 1, 1, 0, reals, fn_degrees},
     {"RADIANS", "RADIANS(x)", "degrees to radians", M, 1, 1, 0, reals, fn_radians},
     {"PI", "PI()", "3.14159...", M, 0, 0, 0, reals, fn_pi},
     {"E", "E()", "2.71828...", M, 0, 0, 0, reals, fn_e},
     {"BIN", "BIN(n)", "binary digits of an integer", M, 1, 1, 0, resolve_bin, bin},
     {"RAND", "RAND()", "number from 0 to 1, from the job's seed and the row's place", M, 0, 0,
      FN_RANDOM, reals, fn_rand},
     {"RAND_INTEGER", "RAND_INTEGER([seed, ]bound)",
      "integer from 0 to below bound, from the row's place", M, 1, 2, FN_RANDOM,
      resolve_rand_integer, rand_integer},
     {"UUID", "UUID()", "identifier from the job's seed and the row's place", M, 0, 0, FN_RANDOM,
      resolve_uuid, uuid},
     {"COALESCE", "COALESCE(a, ...)", "the first that is not NULL", C, 1, 255, FN_NULLS,
      resolve_coalesce, coalesce},
     {"IFNULL", "IFNULL(a, b)", "a, or b if a is NULL", C, 2, 2, FN_NULLS, resolve_coalesce,
      coalesce},
     {"NULLIF", "NULLIF(a, b)", "NULL if a equals b, else a", C, 2, 2, FN_NULLS, resolve_nullif,
      fn_nullif},
     {"IF", "IF(condition, a, b)", "a if the condition is TRUE, else b", C, 3, 3, FN_NULLS,
      resolve_if, fn_if},
     {"GREATEST", "GREATEST(a, ...)", "the greatest; NULL if one is NULL", C, 1, 255, 0,
      resolve_extreme, greatest},
     {"LEAST", "LEAST(a, ...)", "the least; NULL if one is NULL", C, 1, 255, 0, resolve_extreme,
      least},
     {"TYPEOF", "TYPEOF(a)", "the name of its type", "conversion", 1, 1, FN_NULLS, resolve_typeof,
      fn_typeof},
     {0}};
