/* core/sql/ast.h - the tree of a script as written: statements, queries, expressions.
 *
 * All nodes lie in one arena and have the place of their first token. Names are kept as written (backquotes
 * removed). Nothing is resolved here; what parses but is not executed yet is refused by the binder, with its place.
 * Threads: one.   Errors: parse() fills struct mill_error with place, excerpt, what was expected.
 * Includes: memory.h, error.h, types.h
 */
#ifndef MILL_AST_H
#define MILL_AST_H

#include "core/error.h"
#include "core/memory.h"
#include "core/types.h"

struct ast_at {
    uint32_t line, column;
};

/* a.b.c */
struct ast_name {
    struct ast_at at;
    uint32_t count;
    const char **parts;
};

/* ---- types as written --------------------------------------------------------------------- */

struct ast_type {
    struct ast_at at;
    struct mill_type type; /* complete: parser resolves names, lengths, ROW fields, ARRAY, MAP */
};

/* ---- expressions -------------------------------------------------------------------------- */

enum ast_expr_kind {
    AST_NAME,   /* name: column, a.b.c */
    AST_STAR,   /* name.count 0: *, else t.* */
    AST_NUMBER, /* text */
    AST_STRING, /* text, bytes */
    AST_BYTES,  /* X'0AFF': text holds the bytes */
    AST_BOOL,
    AST_NULL,     /* value */
    AST_TYPED,    /* DATE '..' TIME '..' TIMESTAMP '..': type, text */
    AST_INTERVAL, /* INTERVAL [-] '1:30' HOUR TO MINUTE: text, value = sign, from, to */
    AST_UNARY,    /* op "-" "+" "NOT"; args[0] */
    AST_BINARY,   /* op "+" "-" "*" "/" "%" "||" "=" "<>" "<" "<=" ">" ">=" "AND" "OR" */
    AST_IS,       /* op "IS NULL" "IS NOT NULL" "IS TRUE" "IS NOT TRUE" "IS FALSE" "IS NOT FALSE"
                        * "IS UNKNOWN" "IS NOT UNKNOWN"; args[0] */
    AST_DISTINCT_FROM, /* args[0], args[1]; negated: IS NOT DISTINCT FROM */
    AST_BETWEEN,       /* args[0..2]; negated; symmetric */
    AST_IN,            /* args[0] in args[1..] or query; negated */
    AST_LIKE,          /* args[0], args[1], [args[2] = ESCAPE]; negated; op "LIKE" "SIMILAR TO" */
    AST_EXISTS,        /* query */
    AST_QUERY,         /* scalar sub-query */
    AST_CASE,          /* args: [operand,] when, then, ..., [else]; has_operand, has_else */
    AST_CAST,          /* args[0] AS type; try_cast */
    AST_CALL, /* name; args; distinct; star: COUNT(*); filter; over; within (ORDER BY of LISTAGG);
                * running, final: RUNNING f(), FINAL f() of MATCH_RECOGNIZE */
    AST_EXTRACT, /* EXTRACT(text FROM args[0]) */
    AST_TRIM, /* TRIM([text: LEADING TRAILING BOTH] args[1] FROM args[0]); args[1] may be absent */
    AST_ROW,
    AST_ARRAY,
    AST_MAP,        /* constructors: args (MAP: key, value, ...) */
    AST_ELEMENT,    /* args[0][ args[1] ] */
    AST_FIELD,      /* (args[0]).text */
    AST_DESCRIPTOR, /* DESCRIPTOR(name, ...): args are AST_NAME */
    AST_TABLE_ARG,  /* TABLE name | 'path' | (query) [PARTITION BY args] [ORDER BY ...]: table */
    AST_NAMED_ARG   /* text => args[0] */
};

enum ast_unit {
    UNIT_YEAR,
    UNIT_QUARTER,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_DAY,
    UNIT_HOUR,
    UNIT_MINUTE,
    UNIT_SECOND,
    UNIT_MILLISECOND,
    UNIT_MICROSECOND,
    UNIT_NANOSECOND
};

struct ast_expr {
    enum ast_expr_kind kind;
    struct ast_at at, end; /* end: just behind the last token, for generated column names */
    struct ast_name name;
    const char *op, *text;
    uint32_t bytes;
    int32_t value;
    enum ast_unit from, to;
    bool negated, symmetric, has_operand, has_else, try_cast, distinct, star, ignore_nulls;
    bool running, final;
    struct ast_expr **args;
    uint32_t arg_count, depth; /* depth: longest way down to a leaf, at most TREE_DEPTH_MAX */
    struct ast_type *type;
    struct ast_query *query;
    struct ast_expr *filter;
    struct ast_window *over;
    struct ast_order *within;
    struct ast_table *table;
};

struct ast_order_item {
    struct ast_expr *expr;
    bool descending, nulls_first, nulls_last;
};
struct ast_order {
    uint32_t count;
    struct ast_order_item *items;
};

/* OVER (...) or a named window. */
struct ast_window {
    struct ast_at at;
    const char *name; /* reference, or NULL */
    struct ast_expr **partition;
    uint32_t partition_count;
    struct ast_order *order;
    enum { FRAME_NONE, FRAME_ROWS, FRAME_RANGE } frame;
    struct ast_expr *from, *to; /* NULL: UNBOUNDED PRECEDING; CURRENT ROW: to == NULL */
    bool from_unbounded, from_following, to_unbounded, to_following, to_current;
};

/* ---- queries ------------------------------------------------------------------------------ */

enum ast_table_kind {
    AST_TABLE_NAME,   /* name [OPTIONS hint] [FOR SYSTEM_TIME AS OF expr] */
    AST_TABLE_FILE,   /* 'path' */
    AST_TABLE_QUERY,  /* (query) */
    AST_TABLE_CALL,   /* TABLE(call) or LATERAL TABLE(call): window functions, table functions */
    AST_TABLE_JOIN,   /* left, right */
    AST_TABLE_UNNEST, /* UNNEST(expr) [WITH ORDINALITY] */
    AST_TABLE_MATCH,  /* left MATCH_RECOGNIZE (match) */
    AST_TABLE_VALUES,
    AST_TABLE_BOUND /* the planner's own: a relation that it has */
};
enum ast_join {
    JOIN_INNER,
    JOIN_LEFT,
    JOIN_RIGHT,
    JOIN_FULL,
    JOIN_CROSS,
    JOIN_ASOF,
    JOIN_ASOF_LEFT,
    JOIN_COGROUP
};

struct ast_table {
    enum ast_table_kind kind;
    struct ast_at at;
    struct ast_name name;
    const char *text;             /* FILE: path */
    const char *alias;            /* or NULL */
    const char **columns;         /* alias column list */
    struct ast_property *options; /* of the hint OPTIONS */
    uint32_t option_count;
    uint32_t column_count;
    struct ast_query *query;
    struct ast_expr *call, *as_of;
    bool lateral, with_ordinality;
    enum ast_join join;
    struct ast_table *left, *right;
    struct ast_expr *on;
    const char **using_columns;
    uint32_t using_count;
    struct ast_match *match;
    const void *bound;           /* BOUND: struct relation */
    struct ast_expr **partition; /* TABLE t PARTITION BY ... as an argument */
    uint32_t partition_count;
    struct ast_order *order;
};

struct ast_item { /* one of a SELECT list */
    struct ast_at at;
    struct ast_expr *expr;
    const char *alias; /* or NULL */
};

enum ast_group_kind { GROUP_PLAIN, GROUP_SETS, GROUP_ROLLUP, GROUP_CUBE };
struct ast_group { /* one item of GROUP BY */
    enum ast_group_kind kind;
    struct ast_at at;
    struct ast_expr *expr;   /* PLAIN */
    struct ast_expr ***sets; /* set_count lists; of ROLLUP and CUBE each of one expression */
    uint32_t *set_sizes;
    uint32_t set_count;
};

struct ast_select {
    struct ast_at at;
    bool distinct;
    struct ast_item *items;
    uint32_t item_count;
    struct ast_table *from; /* NULL: SELECT 1 */
    struct ast_expr *where, *having, *qualify;
    struct ast_group *groups;
    uint32_t group_count;
    struct ast_window **windows; /* WINDOW w AS (...) */
    uint32_t window_count;
    struct ast_name *late_data_into; /* extension, or NULL */
};

enum ast_query_kind {
    QUERY_SELECT,
    QUERY_VALUES,
    QUERY_UNION,
    QUERY_UNION_ALL,
    QUERY_INTERSECT,
    QUERY_EXCEPT
};

struct ast_with {
    struct ast_at at;
    const char *name;
    const char **columns;
    uint32_t column_count;
    struct ast_query *query;
};

struct ast_query {
    enum ast_query_kind kind;
    bool all; /* INTERSECT, EXCEPT */
    struct ast_at at;
    struct ast_with *with;
    uint32_t with_count;
    struct ast_select *select;
    struct ast_expr ***rows; /* VALUES */
    uint32_t *row_sizes;
    uint32_t row_count;
    struct ast_query *left, *right; /* set operations */
    uint32_t depth;                 /* of set operations, at most TREE_DEPTH_MAX */
    struct ast_order *order;        /* or NULL */
    struct ast_expr *limit, *offset;
};

/* MATCH_RECOGNIZE */
enum ast_pattern_kind {
    PATTERN_VAR,
    PATTERN_SEQ,
    PATTERN_ALT,
    PATTERN_QUANT,
    PATTERN_EXCLUDE,
    PATTERN_PERMUTE,
    PATTERN_EMPTY,
    PATTERN_START, /* ^ */
    PATTERN_END    /* $ */
};
struct ast_pattern {
    enum ast_pattern_kind kind;
    struct ast_at at;
    const char *name;
    struct ast_pattern **parts;
    uint32_t part_count;
    uint32_t least, most; /* QUANT; most UINT32_MAX: unbounded */
    bool reluctant;
};
struct ast_match {
    struct ast_at at;
    struct ast_expr **partition;
    uint32_t partition_count;
    struct ast_order *order;
    struct ast_item *measures;
    uint32_t measure_count;
    bool all_rows;
    enum { EMPTY_SHOW, EMPTY_OMIT, EMPTY_UNMATCHED } empty; /* ALL ROWS: WITH UNMATCHED ROWS */
    enum {
        SKIP_NEXT_ROW,
        SKIP_PAST_LAST,
        SKIP_TO_FIRST,
        SKIP_TO_LAST,
        SKIP_TO_VAR,
        SKIP_DEFAULT
    } skip;
    const char *skip_variable;
    struct ast_at skip_at;
    struct ast_pattern *pattern;
    struct ast_expr *within;
    struct ast_item *subsets; /* alias = expr AST_ROW of names */
    uint32_t subset_count;
    struct ast_item *defines;
    uint32_t define_count;
};

/* ---- statements --------------------------------------------------------------------------- */

struct ast_property {
    struct ast_at at, value_at;
    const char *key, *value;
};

enum ast_column_kind { COLUMN_PHYSICAL, COLUMN_COMPUTED, COLUMN_METADATA };
struct ast_column {
    enum ast_column_kind kind;
    struct ast_at at;
    const char *name;
    struct ast_type *type;    /* COMPUTED: NULL */
    struct ast_expr *expr;    /* COMPUTED */
    const char *metadata_key; /* METADATA FROM 'key', or NULL: the name */
    bool virtual_, primary_key;
    const char *comment;
};

enum ast_statement_kind {
    STATEMENT_CREATE_TABLE,
    STATEMENT_CREATE_VIEW,
    STATEMENT_CREATE_FUNCTION,
    STATEMENT_INSERT,
    STATEMENT_SET_OF_INSERTS,
    STATEMENT_SELECT,
    STATEMENT_EXPLAIN,
    STATEMENT_DESCRIBE,
    STATEMENT_SHOW,
    STATEMENT_SET,
    STATEMENT_RESET,
    STATEMENT_DROP,
    STATEMENT_USE
};
enum ast_show {
    SHOW_TABLES,
    SHOW_VIEWS,
    SHOW_FUNCTIONS,
    SHOW_CREATE_TABLE,
    SHOW_CREATE_VIEW,
    SHOW_COLUMNS,
    SHOW_SETTINGS
};
enum ast_drop { DROP_TABLE, DROP_VIEW, DROP_FUNCTION };

/* CREATE TABLE ... LIKE: what is taken from the other table. OVERWRITING: the new table's own wins. */
enum ast_like { LIKE_INCLUDING, LIKE_EXCLUDING, LIKE_OVERWRITING };
struct ast_like_rules {
    enum ast_like constraints, generated, metadata, options, partitions, watermarks;
};

struct ast_statement {
    enum ast_statement_kind kind;
    struct ast_at at;
    const char *source; /* as written, ${} replaced; not of statements inside others */
    struct ast_name name;
    bool if_not_exists, if_exists, temporary, or_replace, overwrite, analyze, json;
    /* CREATE TABLE */
    struct ast_column *columns;
    uint32_t column_count;
    struct ast_at watermark_at;
    struct ast_name *watermark_column; /* or NULL */
    struct ast_expr *watermark;
    const char **primary_key;
    uint32_t primary_key_count;
    const char **partitioned_by;
    uint32_t partitioned_by_count;
    struct ast_property *properties; /* WITH */
    uint32_t property_count;
    struct ast_name *like; /* CREATE TABLE t LIKE s, or NULL */
    struct ast_like_rules like_rules;
    const char *comment;
    /* CREATE VIEW, INSERT, SELECT, EXPLAIN of a query */
    struct ast_query *query;
    const char **insert_columns; /* INSERT (cols), VIEW (cols) */
    uint32_t insert_column_count;
    struct ast_property *static_partition;
    uint32_t static_partition_count;
    /* CREATE FUNCTION name AS 'text' [LANGUAGE language] [USING LIBRARY 'library'] */
    const char *text, *language, *library;
    /* EXPLAIN, STATEMENT SET */
    struct ast_statement **inner;
    uint32_t inner_count;
    /* SET key = value, SHOW, DROP */
    const char *key, *value;
    enum ast_show show;
    enum ast_drop drop;
};

struct ast_script {
    struct ast_statement **statements;
    uint32_t count;
};

/* Looks up ${NAME}; NULL: unset (an error that names it). */
typedef const char *(*ast_variable)(void *user, const char *name);

/* Parses a whole script. @sql need not be NUL-terminated; the tree copies what it keeps. Returns 0 or
 * MILL_E_SYNTAX (or MILL_E_NAME for an unset variable, MILL_E_MEMORY) with place, excerpt and what was expected. */
int parse(struct arena *arena, const char *sql, size_t bytes, ast_variable variable, void *user,
          struct ast_script *out, struct mill_error *error);

/* Puts the source line with a caret under (line, column) into error->excerpt, for errors found later. */
void error_excerpt(struct mill_error *error, const char *sql, size_t bytes);

#endif
