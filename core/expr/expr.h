/* core/expr/expr.h - typed expressions: built by the binder, folded, compiled, run over batches.
 *
 * The makers check types, insert the implicit casts of Flink SQL and give typed nodes, or NULL with an
 * error at the node's place. A compiled program runs node by node over the selected rows of a batch.
 *
 * Threads: a program belongs to one shard.   Includes: batch.h, error.h
 */
#ifndef MILL_EXPR_H
#define MILL_EXPR_H

#include "core/batch.h"
#include "core/error.h"

struct function;

enum expr_kind {
    EXPR_COLUMN,  /* index */
    EXPR_LITERAL, /* literal: a column of one row; literal_null */
    EXPR_CALL,    /* function over args */
    EXPR_CAST,    /* args[0] to type; TRY: try_cast */
    EXPR_CASE,    /* args: when, then, when, then, ..., else */
    EXPR_AND,
    EXPR_OR,    /* args[0], args[1]; Kleene logic, second only where it matters */
    EXPR_FIELD, /* args[0] is a ROW, index its field */
    EXPR_ROW,   /* args are its fields */
    EXPR_USER   /* user function */
};

struct expr {
    enum expr_kind kind;
    struct mill_type type; /* type.not_null: cannot be NULL */
    uint32_t line, column; /* place in the SQL */
    uint32_t index;
    const struct function *function;
    const struct mill_function *user;
    struct expr **args;
    uint32_t arg_count;
    bool try_cast, literal_null;
    struct column literal; /* one value, constant */
};

struct expr_place {
    uint32_t line, column;
};

/* What expressions may ask of their surroundings when they are bound. */
struct expr_session {
    const struct env *env;
    struct arena *arena;     /* nodes; must outlive programs; on_full may be set */
    const struct zone *zone; /* 'table.local-time-zone'; NULL: UTC */
    uint64_t seed;
};

/* ---- makers ------------------------------------------------------------------------------- */

struct expr *expr_column(struct expr_session *s, uint32_t index, const struct mill_type *type,
                         struct expr_place at);
struct expr *expr_null(struct expr_session *s, const struct mill_type *type, struct expr_place at);
struct expr *expr_bool(struct expr_session *s, bool value, struct expr_place at);
struct expr *expr_i64(struct expr_session *s, int64_t value, const struct mill_type *type,
                      struct expr_place at); /* INT, BIGINT, times, intervals, dates */
struct expr *expr_string(struct expr_session *s, const char *text, size_t bytes,
                         struct expr_place at); /* CHAR(n) as in Flink */
/* "12" INT or BIGINT, "0.908" DECIMAL(3,3), "1e3" DOUBLE. */
struct expr *expr_number(struct expr_session *s, const char *text, struct expr_place at,
                         struct mill_error *error);
/* A call by SQL name or operator: "+", "=", "<>", "LIKE", "NOT", "IS NULL", "BETWEEN", "IN", "UPPER" ...
 * Checks number and types of @args, finds the overload, inserts casts. Unknown: MILL_E_NAME with nearest. */
struct expr *expr_call(struct expr_session *s, const char *name, struct expr **args, uint32_t count,
                       struct expr_place at, struct mill_error *error);
struct expr *expr_cast(struct expr_session *s, struct expr *arg, const struct mill_type *to,
                       bool try_cast, struct expr_place at, struct mill_error *error);
/* Inserts an implicit cast where Flink would, else MILL_E_TYPE naming both types. For INSERT, UNION. */
struct expr *expr_coerce(struct expr_session *s, struct expr *arg, const struct mill_type *to,
                         struct mill_error *error);
struct expr *expr_case(struct expr_session *s, struct expr **args, uint32_t count,
                       struct expr_place at,
                       struct mill_error *error); /* odd count: last is ELSE */
struct expr *expr_field(struct expr_session *s, struct expr *row, const char *name,
                        struct expr_place at, struct mill_error *error);
/* ROW(a, b): fields EXPR$0, EXPR$1 ... as in Flink; texts become STRING. */
struct expr *expr_row(struct expr_session *s, struct expr **args, uint32_t count,
                      struct expr_place at, struct mill_error *error);
struct expr *expr_user(struct expr_session *s, const struct mill_function *function,
                       struct expr **args, uint32_t count, struct expr_place at,
                       struct mill_error *error);
/* The type both can be cast to without loss of meaning (CASE, UNION, IN, COALESCE); false: none. */
bool type_common(const struct mill_type *a, const struct mill_type *b, struct mill_type *out);

/* Replaces calls over literals by their values. A fold that would make a bad row (1/0) is left. */
struct expr *expr_fold(struct expr_session *s, struct expr *e);
/* True if it reads no clock and no randomness: the same rows give the same values. */
bool expr_is_pure(const struct expr *e);
bool expr_same(const struct expr *a, const struct expr *b); /* structurally, for GROUP BY */
/* SQL text for EXPLAIN; column names from @schema. Returns @to. */
const char *expr_text(const struct expr *e, const struct mill_schema *schema, char *to,
                      size_t bytes);
/* The value of a non-NULL literal of an integer-like type (INT, times, intervals). */
bool expr_literal_i64(const struct expr *e, int64_t *out);

/* ---- programs ----------------------------------------------------------------------------- */

struct eval_context {
    int64_t clock_ns;       /* the step's clock: PROCTIME(), CURRENT_TIMESTAMP ... */
    int64_t start_clock_ns; /* of the query */
    uint64_t step;
    uint64_t decimal_overflow; /* counts up */
    /* Called for a row whose value cannot be computed (division by zero, CAST of bad text). Returns 0: the
     * row is dropped from the selection; else a code that ends the run. NULL: the first one fails. */
    int (*bad_row)(void *user, const struct batch *batch, uint32_t row, const char *reason,
                   const struct expr *where, struct mill_error *error);
    void *bad_user;
    const struct zone *zone; /* the session's; NULL: UTC */
    uint64_t seed;
};

struct program;
/* Compiles @count expressions over batches with @input's columns. Gives; NULL with @error. The expressions
 * must outlive it. */
struct program *program_new(struct heap *heap, const struct mk_table *kernels,
                            struct expr *const *expressions, uint32_t count,
                            const struct mill_schema *input, struct mill_error *error);
/* Computes expression i into @out[i] for the live rows of @batch. Column references borrow (no copy);
 * computed columns live in batch->bytes. May shrink the selection (bad rows). Returns 0 or a code. */
int program_run(struct program *program, struct batch *batch, struct column *out,
                struct eval_context *context, struct mill_error *error);
/* For a program of one BOOLEAN expression: keeps only the rows where it is TRUE. Returns the count removed
 * as filtered in @filtered. */
int program_filter(struct program *program, struct batch *batch, struct eval_context *context,
                   uint64_t *filtered, struct mill_error *error);
void program_free(struct program *program);

/* MILL_OK, or the error that there is no built-in function of this name, with the nearest one. */
int function_known(const char *name, struct expr_place at, struct mill_error *error);

/* For mill_functions() and docs: every built-in. */
void functions_each(void (*each)(void *user, const char *name, const char *signature,
                                 const char *description, const char *category),
                    void *user);

#endif
