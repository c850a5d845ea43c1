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
#include "core/expr/regex.h"
#include "core/items.h"
#include "core/values.h"
#include "core/zone.h"
#include "kernels/kernels.h"

struct eval {
    struct program *program;
    struct heap *heap;
    struct batch *batch;
    const uint16_t *rows; /* NULL: 0 .. count */
    uint32_t count;
    uint32_t depth; /* 1: the batch's rows; more: some of them */
    struct eval_context *context;
    struct mill_error *error;
    int code;                 /* not 0: the run ends */
    uint64_t *bad;            /* rows that could not be computed, or NULL */
    const struct expr *where; /* the node being computed */
    const struct zone *zone;
    uint64_t seed;
    bool once;        /* a value for all rows is computed in row 0, which may be none of them */
    char reason[320]; /* why that cannot be, or "" */
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
    FN_NULLS = 1,    /* sees NULL arguments, makes its own validity */
    FN_MAY_NULL = 2, /* may give NULL for arguments that are not */
    FN_CLOCK = 4,    /* reads the step's clock: not folded */
    FN_RANDOM = 8    /* differs per row: never constant */
};

struct function {
    const char *name, *signature, *description, *category;
    uint32_t least, most; /* arguments */
    unsigned flags;
    bool (*resolve)(
        struct call *call); /* false: does not take these types (no error set) or error set */
    void (*eval)(struct eval *e, const struct column *args, uint32_t count, struct column *out);
};

/* Tables; name NULL ends one. Several entries of one name are overloads, tried in order. */
extern const struct function functions_operators[], functions_text[], functions_search[],
    functions_math[], functions_time[], functions_pattern[], functions_digest[], functions_coding[],
    functions_nested[], functions_arrays[];

/* ---- for eval ---- */
#define FOR_ROWS(e, row)                                                                           \
    for (uint32_t i_ = 0, row;                                                                     \
         i_ < (e)->count && ((row) = (e)->rows != NULL ? (e)->rows[i_] : i_, 1); i_++)
static inline uint32_t at_row(const struct column *c, uint32_t row)
{
    return c->constant ? 0 : row;
}
#define VALUE(type, column, row) (((const type *)(column)->values)[at_row((column), (row))])
#define TEXT(column, row) (&((const struct mill_view *)(column)->values)[at_row((column), (row))])
#define RESULT(type, out) ((type *)(out)->values)
/* In a body that EVAL() begins: argument i of the row. */
#define DATA(i) mill_view_data(TEXT(&args[i], row))
#define BYTES(i) (TEXT(&args[i], row)->length)
#define INT(i) VALUE(int32_t, &args[i], row)
#define EVAL(name)                                                                                 \
    static void name(struct eval *e, const struct column *args, uint32_t count, struct column *out)
/* A TIMESTAMP_LTZ as the session's clock shows it; other times as they are; and back. */
static inline int64_t eval_wall(const struct eval *e, const struct mill_type *type, int64_t v)
{
    return type->kind == MILL_TIMESTAMP_LTZ ? zone_local(e->zone, v, type_is_nanos(type)) : v;
}
static inline int64_t eval_unwall(const struct eval *e, const struct mill_type *type, int64_t v)
{
    return type->kind == MILL_TIMESTAMP_LTZ ? zone_instant(e->zone, v, type_is_nanos(type)) : v;
}
/* The row leaves the batch (on-error decides). */
void eval_bad(struct eval *e, uint32_t row, const char *reason);
/* Makes the result NULL in this row. */
void eval_null(struct eval *e, struct column *out, uint32_t row);
/* Puts text into the batch and the result; without memory the run ends. */
void eval_text(struct eval *e, struct column *out, uint32_t row, const char *text, size_t bytes);
/* A part of an argument's text: not copied, the argument's bytes live as long as the result. */
static inline void eval_slice(struct column *out, uint32_t row, const char *text, size_t bytes)
{
    RESULT(struct mill_view, out)[row] = view_of(text, (uint32_t)bytes);
}
/* The compiled pattern of e->where's call, kept by the program while the pattern stays the same; a pattern that is not
 * valid makes a bad row and NULL. */
struct regex *eval_regex(struct eval *e, const char *pattern, size_t bytes, uint32_t row);
/* A time zone by name, opened once per program. One that is none makes a bad row. */
const struct zone *eval_zone(struct eval *e, const char *name, size_t bytes, uint32_t row);
char *eval_bytes(struct eval *e, size_t bytes); /* in the batch, or NULL (then the run ends) */
void eval_no_memory(struct eval *e);            /* the run ends */

const struct mk_table *program_kernels(const struct program *program); /* NULL when folding */
static inline const struct mk_table *eval_kernels(const struct eval *e)
{
    const struct mk_table *kernels = program_kernels(e->program);

    return kernels != NULL ? kernels : &mk_scalar;
}
/* Whether a call is a comparison that the kernel select() knows. */
bool compare_kernel(const struct expr *e, enum mk_kind *kind, enum mk_compare *how);
/* Whether a call is done by a kernel that takes any bits, those of NULL rows too. */
bool takes_any_bits(const struct expr *e);

/* ---- for resolve ---- */
bool resolve_cast(struct call *call, uint32_t arg, const struct mill_type *to);
static inline const struct mill_type *arg_type(const struct call *c, uint32_t i)
{
    return &c->args[i]->type;
}
bool arg_is_null(const struct call *c, uint32_t i);
/* Casts text-like (or NULL) arguments to STRING; false for others. */
bool resolve_text(struct call *c, uint32_t arg);
bool resolve_int(struct call *c, uint32_t arg); /* integers to INT */
bool resolve_bigint(struct call *c, uint32_t arg);
bool resolve_double(struct call *c, uint32_t arg);              /* numbers to DOUBLE */
const char *resolve_literal_text(struct call *c, uint32_t arg); /* of a literal, or NULL */
bool returns(struct call *c, enum mill_kind kind);              /* sets the result type, true */

/* ---- casts (cast.c) ---- */
bool cast_allowed(const struct mill_type *from, const struct mill_type *to);
void cast_column(struct eval *e, const struct column *from, const struct mill_type *from_type,
                 struct column *out, const struct mill_type *to, bool try_cast);

/* ---- ARRAY, MAP, MULTISET (nested.c) ---- */
bool nested_cast_allowed(const struct mill_type *from, const struct mill_type *to);
/* Item by item. */
void cast_nested(struct eval *e, const struct column *from, const struct mill_type *from_type,
                 struct column *out, const struct mill_type *to, bool try_cast);
/* As value_text_in(): [a, b], {k=v}. */
size_t nested_text(const struct mill_type *type, const struct mill_view *value,
                   const struct zone *zone, char *to, size_t room);
#endif
