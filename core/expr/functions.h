/* core/expr/functions.h - what a built-in function is, and what its code sees of a batch.
 *
 * Resolving: given the bound arguments, a function says whether it takes them, casts them (resolve_cast) and gives its
 * result type. Evaluating: for the rows of struct eval, read the arguments' columns and write the result's.
 * Strict functions (the rule) are never shown a row where an argument is NULL; the result is NULL there.
 * Threads: one.   Includes: expr.h
 */
#ifndef MILL_FUNCTIONS_H
#define MILL_FUNCTIONS_H

#include "core/expr/expr.h"

struct eval {
    struct program *program;
    struct heap *heap;
    struct batch *batch;
    const uint16_t *rows;              /* NULL: 0 .. count */
    uint32_t count;
    struct eval_context *context;
    struct mill_error *error;
    int code;                          /* not 0: the run ends */
    uint64_t *bad;                     /* rows that could not be computed, or NULL */
    const struct expr *where;          /* the node being computed */
    const char *zone;
    uint64_t seed;
};

struct call {
    struct expr_session *session;
    struct expr **args;
    uint32_t count;
    struct mill_type result;
    struct expr_place at;
    const struct function *function;
    struct mill_error *error;
};

enum function_flags {
    FN_NULLS = 1,          /* sees NULL arguments, makes its own validity */
    FN_MAY_NULL = 2,       /* may give NULL for arguments that are not */
    FN_CLOCK = 4,          /* reads the step's clock: not folded */
    FN_RANDOM = 8          /* differs per row: never constant */
};

struct function {
    const char *name, *signature, *description, *category;
    uint32_t least, most;              /* arguments */
    unsigned flags;
    bool (*resolve)(struct call *call);/* false: does not take these types (no error set) or error set */
    void (*eval)(struct eval *e, const struct column *args, uint32_t count, struct column *out);
};

/* Tables; name NULL ends one. Several entries of one name are overloads, tried in order. */
extern const struct function functions_operators[], functions_text[], functions_math[], functions_time[];

/* ---- for eval ---- */
#define FOR_ROWS(e, row)                                                                           \
    for (uint32_t i_ = 0, row; i_ < (e)->count && ((row) = (e)->rows != NULL ? (e)->rows[i_] : i_, 1); i_++)
static inline uint32_t at_row(const struct column *c, uint32_t row) { return c->constant ? 0 : row; }
#define VALUE(type, column, row) (((const type *)(column)->values)[at_row((column), (row))])
#define TEXT(column, row) (&((const struct mill_view *)(column)->values)[at_row((column), (row))])
#define RESULT(type, out) ((type *)(out)->values)
/* The row leaves the batch (on-error decides). */
void eval_bad(struct eval *e, uint32_t row, const char *reason);
/* Makes the result NULL in this row. */
void eval_null(struct eval *e, struct column *out, uint32_t row);
/* Puts text into the batch and the result; without memory the run ends. */
void eval_text(struct eval *e, struct column *out, uint32_t row, const char *text, size_t bytes);
char *eval_bytes(struct eval *e, size_t bytes);       /* in the batch, or NULL (then the run ends) */

/* ---- for resolve ---- */
bool resolve_cast(struct call *call, uint32_t arg, const struct mill_type *to);
static inline const struct mill_type *arg_type(const struct call *c, uint32_t i) { return &c->args[i]->type; }
bool arg_is_null(const struct call *c, uint32_t i);
/* Casts text-like (or NULL) arguments to STRING; false for others. */
bool resolve_text(struct call *c, uint32_t arg);
bool resolve_int(struct call *c, uint32_t arg);       /* integers to INT */
bool resolve_bigint(struct call *c, uint32_t arg);
bool resolve_double(struct call *c, uint32_t arg);    /* numbers to DOUBLE */
const char *resolve_literal_text(struct call *c, uint32_t arg);   /* of a literal, or NULL */
bool returns(struct call *c, enum mill_kind kind);    /* sets the result type, true */

/* ---- casts (cast.c) ---- */
bool cast_allowed(const struct mill_type *from, const struct mill_type *to);
void cast_column(struct eval *e, const struct column *from, const struct mill_type *from_type,
                 struct column *out, const struct mill_type *to, bool try_cast);
/* A value as text, as Flink prints it. Returns its length; @to has room for @bytes. */
size_t value_text(const struct column *c, const struct mill_type *type, uint32_t row, char *to, size_t bytes);

/* ---- time (civil.c) ---- */
struct civil { int64_t year; uint32_t month, day, hour, minute, second, nanos; };
int64_t days_from_civil(int64_t year, uint32_t month, uint32_t day);
void civil_from_days(int64_t days, struct civil *out);
void civil_from_time(int64_t value, bool nanos, struct civil *out);
int64_t time_from_civil(const struct civil *c, bool nanos);
/* 'yyyy-MM-dd[ T]HH:mm:ss[.f...][Z]' or a date; false: not a time. Cut to @type's precision. */
bool time_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out);
bool date_parse(const char *text, size_t bytes, int32_t *out);
bool clock_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out);
size_t time_format(int64_t value, const struct mill_type *type, char *to, size_t room);
uint32_t month_days(int64_t year, uint32_t month);
int64_t add_months(int64_t days, int64_t months);

/* ---- decimals (decimal.c) ---- */
int128 decimal_power(uint32_t digits);
bool decimal_fits(int128 value, uint32_t precision);
/* value * 10^(to - from), HALF_UP when it loses digits; false: overflow. */
bool decimal_rescale(int128 value, uint32_t from, uint32_t to, int128 *out);
bool decimal_multiply(int128 a, int128 b, uint32_t scale, uint32_t to_scale, uint32_t precision, int128 *out);
bool decimal_divide(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t scale, uint32_t precision,
                    int128 *out);
bool decimal_parse(const char *text, size_t bytes, uint32_t precision, uint32_t scale, int128 *out);
size_t decimal_format(int128 value, uint32_t scale, char *to, size_t room);
double decimal_to_double(int128 value, uint32_t scale);
bool decimal_from_double(double value, uint32_t precision, uint32_t scale, int128 *out);

/* Java's Double.toString and Float.toString. */
size_t double_format(double value, char *to, size_t room);
size_t float_format(float value, char *to, size_t room);

#endif
