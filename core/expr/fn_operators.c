/* core/expr/fn_operators.c - arithmetic, comparison, tests: what SQL writes with symbols. */
#include "core/expr/functions.h"

#include <math.h>

/* ---- kernels ---- */

/* The kernels' name of a type that they know. */
static bool kernel_kind(const struct mill_type *type, enum mk_kind *kind)
{
    switch (type_phys(type)) {
    case PHYS_BOOL:
    case PHYS_I8: *kind = MK_I8; return true;
    case PHYS_I16: *kind = MK_I16; return true;
    case PHYS_I32: *kind = MK_I32; return true;
    case PHYS_I64: *kind = MK_I64; return true;
    case PHYS_F32: *kind = MK_F32; return true;
    case PHYS_F64: *kind = MK_F64; return true;
    default: return false;
    }
}

/* All rows at once, where they are rows 0 .. count. */
static bool compare_all(struct eval *e, enum mk_compare how, const struct column *args,
                        struct column *out)
{
    const struct mk_table *kernels = program_kernels(e->program);
    enum mk_kind kind;

    if (e->rows != NULL || kernels == NULL || !kernel_kind(&e->where->args[0]->type, &kind))
        return false;
    kernels->compare(kind, how, args[0].values, args[1].values, args[0].constant, args[1].constant,
                     e->count, out->values);
    return true;
}

static bool arith_all(struct eval *e, enum mk_arith how, const struct column *args,
                      struct column *out)
{
    const struct mk_table *kernels = program_kernels(e->program);
    enum mk_kind kind;

    if (e->rows != NULL || kernels == NULL || !kernel_kind(&e->where->type, &kind))
        return false;
    kernels->arith(kind, how, args[0].values, args[1].values, args[0].constant, args[1].constant,
                   e->count, out->values);
    return true;
}

/* ---- comparison ---- */

static struct mill_type decimal_of(const struct mill_type *t)
{
    static const uint8_t digits[] =
        {[MILL_TINYINT] = 3, [MILL_SMALLINT] = 5, [MILL_INT] = 10, [MILL_BIGINT] = 19};

    return t->kind == MILL_DECIMAL ? *t : type_decimal(digits[t->kind], 0);
}

static bool cast_to_decimals(struct call *c, struct mill_type *x, struct mill_type *y)
{
    *x = decimal_of(arg_type(c, 0));
    *y = decimal_of(arg_type(c, 1));
    return resolve_cast(c, 0, x) && resolve_cast(c, 1, y);
}

/* Decimals and integers that no common type holds without rounding: compared as they are. */
static bool scales_apart(const struct mill_type *a, const struct mill_type *b,
                         const struct mill_type *common)
{
    return common->kind == MILL_DECIMAL && type_is_numeric(a) && type_is_numeric(b) &&
           common->scale < max_u32(decimal_of(a).scale, decimal_of(b).scale);
}

static int compare_decimals(const struct eval *e, const struct column *args, uint32_t row)
{
    const int128 a = VALUE(int128, &args[0], row), b = VALUE(int128, &args[1], row);
    const uint32_t a_scale = e->where->args[0]->type.scale;
    const uint32_t b_scale = e->where->args[1]->type.scale;

    return a_scale == b_scale ? (a > b) - (a < b) : decimal_compare(a, a_scale, b, b_scale);
}

/* Nested values are the same or not, none is less. */
static bool tests_equality(const struct function *f)
{
    return strcmp(f->name, "=") == 0 || strcmp(f->name, "<>") == 0 || f->name[0] == 'I';
}

static bool resolve_compare(struct call *c)
{
    const struct mill_type *a = arg_type(c, 0), *b = arg_type(c, 1);
    struct mill_type common, x, y;

    /* a literal text beside a time is that time */
    if (type_is_text(a) && !type_is_text(b) && c->args[0]->kind == EXPR_LITERAL)
        common = *b;
    else if (type_is_text(b) && !type_is_text(a) && c->args[1]->kind == EXPR_LITERAL)
        common = *a;
    else if (!type_common(a, b, &common))
        return false;
    if (common.kind == MILL_ROW || (type_is_nested(&common) && !tests_equality(c->function)))
        return false;
    if (type_is_text(&common))
        common = type_string();
    if (scales_apart(a, b, &common))
        return cast_to_decimals(c, &x, &y) && returns(c, MILL_BOOLEAN);
    for (uint32_t i = 0; i < 2; i++)
        if (!(type_is_text(arg_type(c, i)) && type_is_text(&common)) &&
            !resolve_cast(c, i, &common))
            return false;
    return returns(c, MILL_BOOLEAN);
}

#define COMPARE_LOOP(type, op)                                                                     \
    FOR_ROWS(e, row)                                                                               \
    RESULT(uint8_t, out)[row] = VALUE(type, &args[0], row) op VALUE(type, &args[1], row);          \
    break
#define COMPARE_DECIMALS(op)                                                                       \
    FOR_ROWS(e, row)                                                                               \
    RESULT(uint8_t, out)[row] = compare_decimals(e, args, row) op 0;                               \
    break
#define COMPARE_TEXT(how, op)                                                                      \
    FOR_ROWS(e, row)                                                                               \
    RESULT(uint8_t, out)                                                                           \
    [row] = how == MK_EQ   ? view_equal(TEXT(&args[0], row), TEXT(&args[1], row))                  \
            : how == MK_NE ? !view_equal(TEXT(&args[0], row), TEXT(&args[1], row))                 \
                           : view_compare(TEXT(&args[0], row), TEXT(&args[1], row)) op 0;          \
    break
#define DEFINE_COMPARE(name, how, op)                                                              \
    static void name(struct eval *e, const struct column *args, uint32_t count,                    \
                     struct column *out)                                                           \
    {                                                                                              \
        (void)count;                                                                               \
        if (compare_all(e, how, args, out))                                                        \
            return;                                                                                \
        switch (type_phys(&e->where->args[0]->type)) {                                             \
        case PHYS_BOOL:                                                                            \
        case PHYS_I8: COMPARE_LOOP(int8_t, op);                                                    \
        case PHYS_I16: COMPARE_LOOP(int16_t, op);                                                  \
        case PHYS_I32: COMPARE_LOOP(int32_t, op);                                                  \
        case PHYS_I64: COMPARE_LOOP(int64_t, op);                                                  \
        case PHYS_I128: COMPARE_DECIMALS(op);                                                      \
        case PHYS_F32: COMPARE_LOOP(float, op);                                                    \
        case PHYS_F64: COMPARE_LOOP(double, op);                                                   \
        default: COMPARE_TEXT(how, op);                                                            \
        }                                                                                          \
    }
DEFINE_COMPARE(compare_eq, MK_EQ, ==)
DEFINE_COMPARE(compare_ne, MK_NE, !=)
DEFINE_COMPARE(compare_lt, MK_LT, <)
DEFINE_COMPARE(compare_le, MK_LE, <=)
DEFINE_COMPARE(compare_gt, MK_GT, >)
DEFINE_COMPARE(compare_ge, MK_GE, >=)

bool compare_kernel(const struct expr *e, enum mk_kind *kind, enum mk_compare *how)
{
    static void (*const evals[])(struct eval *, const struct column *, uint32_t, struct column *) =
        {[MK_EQ] = compare_eq, [MK_NE] = compare_ne, [MK_LT] = compare_lt,
         [MK_LE] = compare_le, [MK_GT] = compare_gt, [MK_GE] = compare_ge};

    if (e->kind != EXPR_CALL || !kernel_kind(&e->args[0]->type, kind))
        return false;
    for (uint32_t i = 0; i < COUNT_OF(evals); i++)
        if (e->function->eval == evals[i]) {
            *how = (enum mk_compare)i;
            return true;
        }
    return false;
}

/* ---- arithmetic on numbers ---- */

static bool to_common(struct call *c, struct mill_type *common)
{
    if (!type_common(arg_type(c, 0), arg_type(c, 1), common) || !type_is_numeric(common))
        return false;
    common->not_null = false;
    return resolve_cast(c, 0, common) && resolve_cast(c, 1, common);
}

static bool both_numeric(const struct call *c)
{
    for (uint32_t i = 0; i < 2; i++)
        if (!type_is_numeric(arg_type(c, i)) && arg_type(c, i)->kind != MILL_NULL)
            return false;
    return true;
}

/* More than 38 digits: integer digits stay, the scale shrinks to min(scale, 6) at least. */
static struct mill_type decimal_bounded(uint32_t precision, uint32_t scale)
{
    const uint32_t whole = precision - scale;

    if (precision <= 38)
        return type_decimal(precision, scale);
    return type_decimal(38, max_u32(38 > whole ? 38 - whole : 0, min_u32(scale, 6)));
}

static bool decimals(const struct call *c)
{
    const uint8_t a = arg_type(c, 0)->kind, b = arg_type(c, 1)->kind;

    return (a == MILL_DECIMAL || b == MILL_DECIMAL) && a != MILL_FLOAT && a != MILL_DOUBLE &&
           b != MILL_FLOAT && b != MILL_DOUBLE && a != MILL_NULL && b != MILL_NULL;
}

static bool resolve_sum(struct call *c)
{
    struct mill_type x, y;
    uint32_t scale;

    if (!both_numeric(c))
        return false;
    if (!decimals(c))
        return to_common(c, &c->result);
    if (!cast_to_decimals(c, &x, &y))
        return false;
    scale = max_u32(x.scale, y.scale);
    c->result =
        decimal_bounded(max_u32((uint32_t)x.precision - x.scale, (uint32_t)y.precision - y.scale) +
                            scale + 1,
                        scale);
    return true;
}

static bool resolve_product(struct call *c)
{
    struct mill_type x, y;

    if (!both_numeric(c))
        return false;
    if (!decimals(c))
        return to_common(c, &c->result);
    if (!cast_to_decimals(c, &x, &y))
        return false;
    c->result =
        decimal_bounded((uint32_t)x.precision + y.precision + 1, (uint32_t)x.scale + y.scale);
    return true;
}

static bool resolve_quotient(struct call *c)
{
    struct mill_type x, y;
    uint32_t scale;

    if (!both_numeric(c))
        return false;
    if (!decimals(c))
        return to_common(c, &c->result);
    if (!cast_to_decimals(c, &x, &y))
        return false;
    scale = max_u32(6, (uint32_t)x.scale + y.precision + 1);
    c->result = decimal_bounded((uint32_t)x.precision - x.scale + y.scale + scale, scale);
    return true;
}

static bool resolve_modulo(struct call *c)
{
    struct mill_type x, y;

    if (!both_numeric(c))
        return false;
    if (decimals(c)) {
        if (!cast_to_decimals(c, &x, &y))
            return false;
        c->result =
            type_decimal(min_u32((uint32_t)x.precision - x.scale, (uint32_t)y.precision - y.scale) +
                             max_u32(x.scale, y.scale),
                         max_u32(x.scale, y.scale));
        return true;
    }
    return to_common(c, &c->result);
}

static void decimal_row(struct eval *e, struct column *out, uint32_t row, bool fits, int128 value)
{
    if (fits && decimal_fits(value, e->where->type.precision)) {
        RESULT(int128, out)[row] = value;
        return;
    }
    e->context->decimal_overflow++;
    eval_null(e, out, row);
}

static int128 scaled(int128 v, const struct mill_type *from, uint32_t scale, bool *ok)
{
    int128 out = 0;

    *ok = decimal_rescale(v, from->scale, scale, &out) && *ok;
    return out;
}

static void decimal_sum(struct eval *e, const struct column *args, struct column *out, int sign)
{
    const struct mill_type *a = &e->where->args[0]->type, *b = &e->where->args[1]->type;
    const uint32_t scale = max_u32(a->scale, b->scale);

    FOR_ROWS(e, row)
    {
        bool ok = true;
        const int128 x = scaled(VALUE(int128, &args[0], row), a, scale, &ok);
        const int128 y = scaled(VALUE(int128, &args[1], row), b, scale, &ok);
        int128 sum = 0;

        ok = ok &&
             !(sign > 0 ? __builtin_add_overflow(x, y, &sum) : __builtin_sub_overflow(x, y, &sum));
        ok = ok && decimal_rescale(sum, scale, e->where->type.scale, &sum);
        if (!ok) /* more digits on the way than in the result */
            ok = decimal_add(VALUE(int128, &args[0], row), a->scale,
                             sign * VALUE(int128, &args[1], row), b->scale, e->where->type.scale,
                             e->where->type.precision, &sum);
        decimal_row(e, out, row, ok, sum);
    }
}

#define WRAP(type, unsigned_type, op)                                                              \
    FOR_ROWS(e, row)                                                                               \
    RESULT(type, out)                                                                              \
    [row] = (type)((unsigned_type)VALUE(type, &args[0], row) op(unsigned_type)                     \
                       VALUE(type, &args[1], row));                                                \
    break
#define REAL(type, op)                                                                             \
    FOR_ROWS(e, row)                                                                               \
    RESULT(type, out)[row] = VALUE(type, &args[0], row) op VALUE(type, &args[1], row);             \
    break
#define DEFINE_WRAPPING(name, how, op, on_decimal)                                                 \
    static void name(struct eval *e, const struct column *args, uint32_t count,                    \
                     struct column *out)                                                           \
    {                                                                                              \
        (void)count;                                                                               \
        if (arith_all(e, how, args, out))                                                          \
            return;                                                                                \
        switch (type_phys(&e->where->type)) {                                                      \
        case PHYS_I8: WRAP(int8_t, uint32_t, op);                                                  \
        case PHYS_I16: WRAP(int16_t, uint32_t, op);                                                \
        case PHYS_I32: WRAP(int32_t, uint32_t, op);                                                \
        case PHYS_I64: WRAP(int64_t, uint64_t, op);                                                \
        case PHYS_F32: REAL(float, op);                                                            \
        case PHYS_F64: REAL(double, op);                                                           \
        default: on_decimal; break;                                                                \
        }                                                                                          \
    }

static void decimal_product(struct eval *e, const struct column *args, struct column *out)
{
    const uint32_t scale = (uint32_t)e->where->args[0]->type.scale + e->where->args[1]->type.scale;
    const bool rounds = scale != e->where->type.scale;
    const int128 limit = decimal_power(e->where->type.precision);

    FOR_ROWS(e, row)
    {
        const int128 x = VALUE(int128, &args[0], row), y = VALUE(int128, &args[1], row);
        int128 value = 0;

        if (LIKELY(!rounds && x == (int64_t)x && y == (int64_t)y)) {
            value = x * (int64_t)y; /* of 64 bits each: exact */
            if (LIKELY(value < limit && value > -limit)) {
                RESULT(int128, out)[row] = value;
                continue;
            }
        }
        const bool ok =
            decimal_multiply(x, y, scale, e->where->type.scale, e->where->type.precision, &value);

        decimal_row(e, out, row, ok, value);
    }
}

DEFINE_WRAPPING(eval_plus, MK_ADD, +, decimal_sum(e, args, out, 1))
DEFINE_WRAPPING(eval_minus, MK_SUB, -, decimal_sum(e, args, out, -1))
DEFINE_WRAPPING(eval_times, MK_MUL, *, decimal_product(e, args, out))

bool takes_any_bits(const struct expr *e)
{
    enum mk_compare how;
    enum mk_kind kind;

    if (e->kind != EXPR_CALL || !kernel_kind(&e->type, &kind))
        return false;
    return e->function->eval == eval_plus || e->function->eval == eval_minus ||
           e->function->eval == eval_times || compare_kernel(e, &kind, &how);
}

#define DIVIDE(type, low, op, overflow)                                                            \
    FOR_ROWS(e, row)                                                                               \
    {                                                                                              \
        const type x = VALUE(type, &args[0], row), y = VALUE(type, &args[1], row);                 \
                                                                                                   \
        if (y == 0)                                                                                \
            eval_bad(e, row, "division by zero");                                                  \
        else                                                                                       \
            RESULT(type, out)[row] = (type)(y == -1 && x == (low) ? (overflow) : x op y);          \
    }                                                                                              \
    break

static void eval_divide(struct eval *e, const struct column *args, uint32_t count,
                        struct column *out)
{
    const struct mill_type *a = &e->where->args[0]->type, *b = &e->where->args[1]->type;

    (void)count;
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: DIVIDE(int8_t, INT8_MIN, /, INT8_MIN);
    case PHYS_I16: DIVIDE(int16_t, INT16_MIN, /, INT16_MIN);
    case PHYS_I32: DIVIDE(int32_t, INT32_MIN, /, INT32_MIN);
    case PHYS_I64: DIVIDE(int64_t, INT64_MIN, /, INT64_MIN);
    case PHYS_F32: REAL(float, /);
    case PHYS_F64: REAL(double, /);
    default:
        FOR_ROWS(e, row)
        {
            const int128 y = VALUE(int128, &args[1], row);
            int128 value = 0;
            bool ok;

            if (y == 0) {
                eval_bad(e, row, "division by zero");
                continue;
            }
            ok = decimal_divide(VALUE(int128, &args[0], row), a->scale, y, b->scale,
                                e->where->type.scale, e->where->type.precision, &value);
            decimal_row(e, out, row, ok, value);
        }
    }
}

static void modulo_decimals(struct eval *e, const struct column *args, struct column *out)
{
    const struct mill_type *a = &e->where->args[0]->type, *b = &e->where->args[1]->type;

    FOR_ROWS(e, row)
    {
        const int128 x = VALUE(int128, &args[0], row), y = VALUE(int128, &args[1], row);
        int128 rest = 0;

        if (y == 0) {
            eval_bad(e, row, "division by zero");
        } else {
            const bool ok = decimal_modulo(x, a->scale, y, b->scale, &rest);

            decimal_row(e, out, row, ok, rest);
        }
    }
}

static void eval_modulo(struct eval *e, const struct column *args, uint32_t count,
                        struct column *out)
{
    (void)count;
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: DIVIDE(int8_t, INT8_MIN, %, 0);
    case PHYS_I16: DIVIDE(int16_t, INT16_MIN, %, 0);
    case PHYS_I32: DIVIDE(int32_t, INT32_MIN, %, 0);
    case PHYS_I64: DIVIDE(int64_t, INT64_MIN, %, 0);
    case PHYS_F32:
        FOR_ROWS(e, row)
        RESULT(float, out)[row] = fmodf(VALUE(float, &args[0], row), VALUE(float, &args[1], row));
        break;
    case PHYS_F64:
        FOR_ROWS(e, row)
        RESULT(double, out)[row] = fmod(VALUE(double, &args[0], row), VALUE(double, &args[1], row));
        break;
    default: modulo_decimals(e, args, out);
    }
}

static bool resolve_negate(struct call *c)
{
    const uint8_t kind = arg_type(c, 0)->kind;

    c->result = *arg_type(c, 0);
    return type_is_numeric(&c->result) || kind == MILL_INTERVAL_MONTH || kind == MILL_INTERVAL_TIME;
}

static void eval_negate(struct eval *e, const struct column *args, uint32_t count,
                        struct column *out)
{
    (void)count;
#define NEGATE(type, zero)                                                                         \
    FOR_ROWS(e, row)                                                                               \
    RESULT(type, out)[row] = (type)((zero)-VALUE(type, &args[0], row));                            \
    break
    switch (type_phys(&e->where->type)) {
    case PHYS_I8: NEGATE(int8_t, 0u);
    case PHYS_I16: NEGATE(int16_t, 0u);
    case PHYS_I32: NEGATE(int32_t, 0u);
    case PHYS_I64: NEGATE(int64_t, 0ull);
    case PHYS_F32: NEGATE(float, -0.0f);
    case PHYS_F64: NEGATE(double, -0.0);
    default: NEGATE(int128, (int128)0);
    }
}

/* ---- arithmetic on times ---- */

static bool is_interval(const struct mill_type *t)
{
    return t->kind == MILL_INTERVAL_MONTH || t->kind == MILL_INTERVAL_TIME;
}

static bool is_datetime(const struct mill_type *t)
{
    return type_is_time(t) || t->kind == MILL_DATE || t->kind == MILL_TIME;
}

/* time + interval, interval + time, time - interval, interval + interval */
static bool resolve_time_sum(struct call *c)
{
    const struct mill_type *a = arg_type(c, 0), *b = arg_type(c, 1);

    if (is_interval(a) && is_datetime(b) && c->function->name[0] == '+') {
        struct expr *swap = c->args[0];

        c->args[0] = c->args[1];
        c->args[1] = swap;
        a = arg_type(c, 0);
        b = arg_type(c, 1);
    }
    if (!is_interval(b))
        return false;
    if (is_interval(a)) {
        c->result = *a;
        return a->kind == b->kind;
    }
    if (!is_datetime(a) || (a->kind == MILL_TIME && b->kind == MILL_INTERVAL_MONTH))
        return false;
    c->result = *a;
    return true;
}

static int64_t shift_months(struct eval *e, int64_t instant, const struct mill_type *type,
                            int64_t months)
{
    const int64_t v = eval_wall(e, type, instant);
    const int64_t day = type_is_nanos(type) ? 86400000000000ll : 86400000000ll;
    const int64_t days = floor_div(v, day);

    return eval_unwall(e, type,
                       time_add(time_mul(add_months(days, months), day), floor_mod(v, day)));
}

static int64_t shift_time(int64_t v, const struct mill_type *type, int64_t ns)
{
    const int64_t day = type_is_nanos(type) ? 86400000000000ll : 86400000000ll;
    const int64_t moved = time_add(v, type_is_nanos(type) ? ns : floor_div(ns, 1000));

    return type->kind == MILL_TIME ? floor_mod(moved, day) : moved;
}

static void time_sum(struct eval *e, const struct column *args, struct column *out, int64_t sign)
{
    const struct mill_type *type = &e->where->type;
    const bool months = e->where->args[1]->type.kind == MILL_INTERVAL_MONTH;

    if (type->kind == MILL_INTERVAL_MONTH) {
        FOR_ROWS(e, row)
        RESULT(int32_t, out)
        [row] = (int32_t)(VALUE(int32_t, &args[0], row) + sign * VALUE(int32_t, &args[1], row));
    } else if (type->kind == MILL_INTERVAL_TIME) {
        FOR_ROWS(e, row)
        RESULT(int64_t, out)
        [row] = time_add(VALUE(int64_t, &args[0], row), sign * VALUE(int64_t, &args[1], row));
    } else if (type->kind == MILL_DATE) {
        FOR_ROWS(e, row)
        {
            const int64_t days = VALUE(int32_t, &args[0], row);

            RESULT(int32_t, out)
            [row] =
                (int32_t)(months
                              ? add_months(days, sign * VALUE(int32_t, &args[1], row))
                              : days + sign * (VALUE(int64_t, &args[1], row) / 86400000000000ll));
        }
    } else {
        FOR_ROWS(e, row)
        {
            const int64_t v = VALUE(int64_t, &args[0], row);

            RESULT(int64_t, out)
            [row] = months ? shift_months(e, v, type, sign * VALUE(int32_t, &args[1], row))
                           : shift_time(v, type, sign * VALUE(int64_t, &args[1], row));
        }
    }
}

static void eval_time_plus(struct eval *e, const struct column *args, uint32_t count,
                           struct column *out)
{
    (void)count;
    time_sum(e, args, out, 1);
}

static void eval_time_minus(struct eval *e, const struct column *args, uint32_t count,
                            struct column *out)
{
    (void)count;
    time_sum(e, args, out, -1);
}

/* time - time: an interval */
static bool resolve_time_difference(struct call *c)
{
    struct mill_type common;

    if (!is_datetime(arg_type(c, 0)) || !is_datetime(arg_type(c, 1)) ||
        !type_common(arg_type(c, 0), arg_type(c, 1), &common))
        return false;
    if (common.kind == MILL_DATE)
        common = type_time(MILL_TIMESTAMP, 3);
    return resolve_cast(c, 0, &common) && resolve_cast(c, 1, &common) &&
           returns(c, MILL_INTERVAL_TIME);
}

static void eval_time_difference(struct eval *e, const struct column *args, uint32_t count,
                                 struct column *out)
{
    const int64_t unit = type_is_nanos(&e->where->args[0]->type) ? 1 : 1000;

    (void)count;
    FOR_ROWS(e, row)
    RESULT(int64_t, out)
    [row] = (int64_t)((uint64_t)(VALUE(int64_t, &args[0], row) - VALUE(int64_t, &args[1], row)) *
                      (uint64_t)unit);
}

static bool resolve_interval_product(struct call *c)
{
    if (is_interval(arg_type(c, 1))) {
        struct expr *swap = c->args[0];

        c->args[0] = c->args[1];
        c->args[1] = swap;
    }
    c->result = *arg_type(c, 0);
    return is_interval(&c->result) && resolve_bigint(c, 1);
}

static void eval_interval_product(struct eval *e, const struct column *args, uint32_t count,
                                  struct column *out)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const uint64_t n = (uint64_t)VALUE(int64_t, &args[1], row);

        if (e->where->type.kind == MILL_INTERVAL_MONTH)
            RESULT(int32_t, out)
        [row] = (int32_t)((uint32_t)VALUE(int32_t, &args[0], row) * (uint32_t)n);
        else RESULT(int64_t, out)[row] = (int64_t)((uint64_t)VALUE(int64_t, &args[0], row) * n);
    }
}

/* ---- tests ---- */

static bool resolve_any(struct call *c)
{
    returns(c, MILL_BOOLEAN);
    c->result.not_null = true;
    return true;
}

static bool resolve_boolean(struct call *c)
{
    const struct mill_type type = type_make(MILL_BOOLEAN);

    if (arg_type(c, 0)->kind != MILL_BOOLEAN && arg_type(c, 0)->kind != MILL_NULL)
        return false;
    c->result = type;
    return resolve_cast(c, 0, &type);
}

static bool resolve_truth(struct call *c)
{
    if (!resolve_boolean(c))
        return false;
    c->result.not_null = true;
    return true;
}

static void eval_not(struct eval *e, const struct column *args, uint32_t count, struct column *out)
{
    (void)count;
    FOR_ROWS(e, row)
    RESULT(uint8_t, out)[row] = !VALUE(uint8_t, &args[0], row);
}

#define DEFINE_TEST(name, condition)                                                               \
    static void name(struct eval *e, const struct column *args, uint32_t count,                    \
                     struct column *out)                                                           \
    {                                                                                              \
        (void)count;                                                                               \
        FOR_ROWS(e, row)                                                                           \
        {                                                                                          \
            const bool valid = column_valid(&args[0], row);                                        \
                                                                                                   \
            RESULT(uint8_t, out)[row] = (condition);                                               \
        }                                                                                          \
    }
#define TRUTH VALUE(uint8_t, &args[0], row)
DEFINE_TEST(is_null, !valid)
DEFINE_TEST(is_not_null, valid)
DEFINE_TEST(is_true, valid &&TRUTH)
DEFINE_TEST(is_not_true, !(valid && TRUTH))
DEFINE_TEST(is_false, valid && !TRUTH)
DEFINE_TEST(is_not_false, !(valid && !TRUTH))

static bool resolve_distinct(struct call *c)
{
    if (!resolve_compare(c))
        return false;
    c->result.not_null = true;
    return true;
}

static bool same_value(const struct eval *e, const struct column *args, uint32_t row)
{
    const enum phys phys = type_phys(&e->where->args[0]->type);
    const uint32_t width = type_width(&e->where->args[0]->type);

    if (phys == PHYS_VIEW)
        return view_compare(TEXT(&args[0], row), TEXT(&args[1], row)) == 0;
    if (phys == PHYS_I128)
        return compare_decimals(e, args, row) == 0;
    if (phys == PHYS_F64)
        return VALUE(double, &args[0], row) == VALUE(double, &args[1], row);
    if (phys == PHYS_F32)
        return VALUE(float, &args[0], row) == VALUE(float, &args[1], row);
    return memcmp((const char *)args[0].values + (size_t)at_row(&args[0], row) * width,
                  (const char *)args[1].values + (size_t)at_row(&args[1], row) * width, width) == 0;
}

static void is_distinct(struct eval *e, const struct column *args, uint32_t count,
                        struct column *out)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const bool a = column_valid(&args[0], row), b = column_valid(&args[1], row);

        RESULT(uint8_t, out)[row] = a != b || (a && !same_value(e, args, row));
    }
}

#define COMPARISON "comparison"
/* Of a sub-query as a value: how many rows it has given. */
static void eval_one_row(struct eval *e, const struct column *args, uint32_t count,
                         struct column *out)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        RESULT(uint8_t, out)[row] = VALUE(int64_t, &args[0], row) <= 1;
        if (VALUE(int64_t, &args[0], row) > 1)
            eval_bad(e, row, "a sub-query as a value gives more than one row");
    }
}

#define ARITHMETIC "arithmetic"
#define LOGIC "logic"

const struct function functions_operators[] =
    {{"=", "a = b", "equal", COMPARISON, 2, 2, 0, resolve_compare, compare_eq},
     {"<>", "a <> b", "not equal", COMPARISON, 2, 2, 0, resolve_compare, compare_ne},
     {"<", "a < b", "less", COMPARISON, 2, 2, 0, resolve_compare, compare_lt},
     {"<=", "a <= b", "less or equal", COMPARISON, 2, 2, 0, resolve_compare, compare_le},
     {">", "a > b", "greater", COMPARISON, 2, 2, 0, resolve_compare, compare_gt},
     {">=", "a >= b", "greater or equal", COMPARISON, 2, 2, 0, resolve_compare, compare_ge},
     {"$ONE_ROW", NULL, NULL, NULL, 1, 1, 0, resolve_any, eval_one_row},
     {"IS NULL", "a IS NULL", "TRUE if a is NULL", COMPARISON, 1, 1, FN_NULLS, resolve_any,
      is_null},
     {"IS NOT NULL", "a IS NOT NULL", "TRUE if a is not NULL", COMPARISON, 1, 1, FN_NULLS,
      resolve_any, is_not_null},
     {"IS DISTINCT FROM", "a IS DISTINCT FROM b", "not equal, where NULL equals NULL", COMPARISON,
      2, 2, FN_NULLS, resolve_distinct, is_distinct},
     {"NOT", "NOT a", "logical negation, NULL stays NULL", LOGIC, 1, 1, 0, resolve_boolean,
      eval_not},
     {"IS TRUE", "a IS TRUE", "TRUE if a is TRUE, else FALSE", LOGIC, 1, 1, FN_NULLS, resolve_truth,
      is_true},
     {"IS NOT TRUE", "a IS NOT TRUE", "FALSE if a is TRUE, else TRUE", LOGIC, 1, 1, FN_NULLS,
      resolve_truth, is_not_true},
     {"IS FALSE", "a IS FALSE", "TRUE if a is FALSE, else FALSE", LOGIC, 1, 1, FN_NULLS,
      resolve_truth, is_false},
     {"IS NOT FALSE", "a IS NOT FALSE", "FALSE if a is FALSE, else TRUE", LOGIC, 1, 1, FN_NULLS,
      resolve_truth, is_not_false},
     {"IS UNKNOWN", "a IS UNKNOWN", "TRUE if the condition is NULL", LOGIC, 1, 1, FN_NULLS,
      resolve_truth, is_null},
     {"IS NOT UNKNOWN", "a IS NOT UNKNOWN", "TRUE if the condition is not NULL", LOGIC, 1, 1,
      FN_NULLS, resolve_truth, is_not_null},
     {"+", "a + b", "sum; integers wrap, decimals that do not fit give NULL; time + interval",
      ARITHMETIC, 2, 2, 0, resolve_sum, eval_plus},
     {"+", "time + interval", NULL, NULL, 2, 2, 0, resolve_time_sum, eval_time_plus},
     {"-", "a - b", "difference; time - interval, time - time", ARITHMETIC, 2, 2, 0, resolve_sum,
      eval_minus},
     {"-", "time - interval", NULL, NULL, 2, 2, 0, resolve_time_sum, eval_time_minus},
     {"-", "time - time", NULL, NULL, 2, 2, 0, resolve_time_difference, eval_time_difference},
     {"-", "- a", NULL, NULL, 1, 1, 0, resolve_negate, eval_negate},
     {"*", "a * b", "product", ARITHMETIC, 2, 2, 0, resolve_product, eval_times},
     {"*", "interval * integer", NULL, NULL, 2, 2, 0, resolve_interval_product,
      eval_interval_product},
     {"/", "a / b", "quotient; integers truncate; by zero: a bad row", ARITHMETIC, 2, 2, 0,
      resolve_quotient, eval_divide},
     {"%", "a % b", "remainder with the sign of a; by zero: a bad row", ARITHMETIC, 2, 2, 0,
      resolve_modulo, eval_modulo},
     {"MOD", "MOD(a, b)", "remainder with the sign of a; by zero: a bad row", ARITHMETIC, 2, 2, 0,
      resolve_modulo, eval_modulo},
     {0}};
