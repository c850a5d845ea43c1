/* core/plan/bind.h - what the parts of the planner share: the catalog's tables, relations, the binder.
 *
 * The binder makes trees of struct phys_node (without stages and exchanges); physical.c copies what one statement
 * needs, cuts it into stages and numbers it. A relation is such a tree and what its columns mean.
 * Failing paths leave by bind_fail(), which jumps to the statement's entry: no code here looks at return values.
 *
 * Threads: one.   Errors: by jump.   Includes: plan.h
 */
#ifndef MILL_BIND_H
#define MILL_BIND_H

#include "core/plan/plan.h"

#include <setjmp.h>

struct setting {
    struct setting *next;
    const char *key, *value;
};

struct late_sink;

/* A windowed relation: pending windows have their columns numbered behind the node's, nothing computes them yet. */
struct windowed {
    bool is, pending;
    struct window_spec spec;
    int32_t start, end, time, id;      /* columns of the relation, -1: none */
    const uint32_t *keys;              /* PARTITION BY of SESSION, TUMBLE_ROWS, HOP_ROWS */
    uint32_t key_count;
    struct ast_at at;
    const char *name;
};

struct relation {
    struct phys_node *node;
    struct mill_schema schema;         /* node's, and the columns of pending windows */
    const char **qualifiers;           /* alias per column, or NULL */
    bool *proctime;                    /* per column: PROCTIME() */
    int32_t rowtime;                   /* -1: none */
    struct windowed windowed;
};

struct table {
    struct table *next;
    const char *name;
    bool dropped, is_view;
    struct relation relation;          /* what FROM gives */
    /* tables */
    const struct connector *connector;
    struct options options;
    struct source_node source;
    const bool *nullable;
    const char *const *extras;         /* per column: for DESCRIBE */
    const char *watermark_text;
    const char *const *primary_key;
    uint32_t primary_key_count;
    const char *const *partitioned_by;
    uint32_t partitioned_by_count;
    struct ast_at watermark_at;
};

struct user_function {
    struct user_function *next;
    const char *name;
    const struct mill_function *function;   /* NULL: another name of a built-in */
    const char *builtin;
    bool dropped;
};

struct catalog {
    struct heap *heap;
    const struct env *env;
    struct arena arena;
    struct table *tables;
    struct user_function *functions;
    struct setting *settings;
};

/* Names that WITH gives, innermost first. */
struct binding {
    struct binding *next;
    const char *name;
    struct relation relation;
};

struct binder {
    struct catalog *catalog;
    struct arena *arena;
    struct expr_session session;
    struct mill_error *error;
    jmp_buf *out;
    struct binding *names;
    struct phys_node *late[16];        /* SINK nodes of LATE DATA INTO; input: the aggregation */
    uint32_t late_count;
};

_Noreturn void bind_fail(struct binder *b, int code, struct ast_at at, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Leaves with the error that a maker has filled. */
_Noreturn void bind_failed(struct binder *b);
_Noreturn void bind_unsupported(struct binder *b, struct ast_at at, const char *what);
void binder_open(struct binder *b, struct catalog *catalog, struct arena *arena, jmp_buf *out,
                 struct mill_error *error);
static inline struct expr_place place_of(struct ast_at at)
{
    return (struct expr_place){at.line, at.column};
}

/* ---- catalog.c ---- */
struct table *catalog_find(const struct catalog *catalog, const char *name);
/* The table named, or leaves with the nearest name. */
struct table *bind_table(struct binder *b, const struct ast_name *name);
void table_create(struct binder *b, const struct ast_statement *s);          /* table.c */
/* A table over a file, its schema inferred. */
struct table *table_of_file(struct binder *b, const struct ast_table *t);
bool table_is_bounded(const struct table *table);

/* ---- bind_expr.c ---- */
enum { AGG_BASE = 1 << 20, WINDOW_BASE = 1 << 21 };    /* columns that stand for aggregates and window bounds */
struct aggregates {
    struct agg_spec *specs;
    struct expr **args, **filters;     /* NULL: none */
    uint32_t count, capacity;
    struct mill_type window_types[5];  /* by out_kind - OUT_WINDOW_START; proctime last */
    bool windowed;                     /* GROUP BY TUMBLE(...) and the like */
};
struct expr *bind_expr(struct binder *b, const struct relation *r, struct aggregates *aggs,
                       const struct ast_expr *e);
struct expr *bind_condition(struct binder *b, const struct relation *r, struct aggregates *aggs,
                            const struct ast_expr *e, const char *clause);
int64_t bind_interval_ns(struct binder *b, const struct ast_expr *e, const char *what);
bool has_aggregate(const struct ast_expr *e);
bool is_group_window(const struct ast_expr *e, enum window_kind *kind);
/* Copies @e with columns replaced by @with[index]. */
struct expr *expr_substitute(struct arena *arena, struct expr *e, struct expr *const *with);
void expr_columns(const struct expr *e, bool *used);
int32_t bind_column(struct binder *b, const struct relation *r, const char *qualifier, const char *name,
                    struct ast_at at);

/* ---- bind_window.c ---- */
void bind_window_call(struct binder *b, const struct ast_expr *call, struct relation *out);
void bind_group_window(struct binder *b, const struct relation *r, const struct ast_expr *call,
                       struct window_spec *spec);
/* Turns pending windows into columns that are there. */
void windows_assign(struct binder *b, struct relation *r);

/* ---- bind_aggregate.c ---- */
void bind_aggregate(struct binder *b, struct relation *r, const struct ast_select *s);

/* ---- bind.c ---- */
struct phys_node *node_new(struct binder *b, enum node_kind kind, struct ast_at at, struct phys_node *input);
void relation_of(struct binder *b, struct phys_node *node, struct relation *out);
/* filter, then project (NULL: all), merged with a calc below. */
void relation_calc(struct binder *b, struct relation *r, struct expr *filter, struct expr **project,
                   const char **names, uint32_t count, struct ast_at at);
void bind_query(struct binder *b, const struct ast_query *q, struct relation *out);
void bind_table_ref(struct binder *b, const struct ast_table *t, struct relation *out);
/* Expands the SELECT list; returns the count. */
uint32_t bind_items(struct binder *b, const struct relation *r, struct aggregates *aggs,
                    const struct ast_select *s, struct expr ***exprs, const char ***names);
/* The rows of @r as the columns of @to, with implicit casts. */
void relation_coerce(struct binder *b, struct relation *r, const struct mill_schema *to, const char *what,
                     struct ast_at at);

#endif
