/* core/ops/match.h - MATCH_RECOGNIZE as the planner hands it to the operator: pattern program, items, conditions.
 *
 * A pattern becomes a program for a machine of ordered threads (Pike; "Regular Expression Matching: the Virtual Machine
 * Approach", R. Cox): a CHAR takes one row as a variable, a SPLIT prefers x to y. The order of the threads is the
 * standard's order of preference, so greedy and reluctant quantifiers and alternatives need no going back.
 *
 * An *item* is a value that a condition or a measure reads: a column in a row found by variable and offset, an
 * aggregate over a variable's rows, the number of the match. Conditions are ordinary expressions over the items.
 * Rows are numbered from the first one of the match. A set of variables is a mask, at most 64.
 *
 * Threads: read-only after planning.   Includes: ast.h, expr.h, aggregate.h
 */
#ifndef MILL_MATCH_H
#define MILL_MATCH_H

#include "core/expr/expr.h"
#include "core/ops/aggregate.h"
#include "core/sql/ast.h"

#define MATCH_VARIABLES_MAX 64u
#define MATCH_CODE_MAX 4096u
#define MATCH_LOOPS_MAX 63u /* one in another */
#define MATCH_REPEATS_MAX 1000u
#define MATCH_PERMUTE_MAX 6u
#define MATCH_OFFSET_MAX 10000u

enum match_instruction {
    MATCH_CHAR,  /* takes a row as variable x; excluded: {- -} */
    MATCH_SPLIT, /* first x, then y */
    MATCH_JUMP,  /* x */
    MATCH_CHECK, /* only if the round of loop x has taken a row */
    MATCH_START, /* only before the first row of the partition */
    MATCH_END,   /* only behind the last one */
    MATCH_ACCEPT
};

struct match_code {
    enum match_instruction op;
    uint32_t x, y;
    uint32_t body,
        loop; /* SPLIT: at body begins a round beyond the least number, of loop (from 1; 0: no loop) */
    bool excluded;
};

struct match_pattern {
    struct match_code *code;
    uint32_t count;
    const char *text; /* as written, for EXPLAIN */
};

enum match_item_kind {
    ITEM_VALUE,      /* column of a row */
    ITEM_CLASSIFIER, /* its variable's name */
    ITEM_AGGREGATE,
    ITEM_NUMBER /* MATCH_NUMBER() */
};

/* The row: the (first ? offset-th : offset-th last) of those taken as a variable of @mask, then @physical rows on. */
struct match_item {
    enum match_item_kind kind;
    uint64_t mask;
    uint32_t column; /* VALUE: of the input */
    uint32_t offset;
    int32_t physical;
    bool first;
    bool final; /* over the whole match; else up to the row at hand */
    struct agg_spec agg;
    struct mill_type type;
};

enum match_skip {
    MATCH_SKIP_NEXT_ROW,
    MATCH_SKIP_PAST_LAST,
    MATCH_SKIP_TO_FIRST,
    MATCH_SKIP_TO_LAST
};

/* What must hold for a row to be taken as a variable; neither: nothing. */
struct match_define {
    int32_t column;         /* a BOOLEAN input column, -1: none */
    struct expr *condition; /* over the define items, or NULL */
};

struct match_order {
    uint32_t column;
    bool descending, nulls_last;
};

struct match_node {
    const uint32_t *keys;
    uint32_t key_count;
    int32_t time; /* input column, -1: processing time */
    struct mill_type time_type;
    struct match_order *orders; /* behind the time */
    uint32_t order_count;
    const char **variables;
    struct match_define *defines; /* per variable */
    uint32_t variable_count;
    struct match_pattern pattern;
    struct match_item *define_items;
    uint32_t define_item_count;
    struct mill_schema define_schema; /* of the items */
    /* The node's columns: keys (or, of all rows, the first @pass_count input columns), then these. */
    struct match_item *items;
    uint32_t item_count, pass_count;
    bool all_rows, show_empty, unmatched;
    enum match_skip skip;
    uint64_t skip_mask;
    uint32_t skip_line, skip_column;
    const char *skip_name;
    int64_t within;       /* in the unit of the time, 0: none */
    uint32_t back, ahead; /* physical rows that some item reads */
    uint32_t partials_max;
    uint32_t line, column; /* in the SQL */
};

/* Compiles @pattern; @variable gives a name's number. The program lies in @arena, whose on_full is set. 0 or a code with
 * @error at the part that cannot be. */
int match_compile(const struct ast_pattern *pattern, struct arena *arena,
                  uint32_t (*variable)(void *user, const struct ast_pattern *part), void *user,
                  struct match_pattern *out, struct mill_error *error);
/* The pattern as SQL, for EXPLAIN; of @arena, whose on_full is set. */
const char *match_pattern_text(struct arena *arena, const struct ast_pattern *pattern);
/* The variables that threads at each place may still take rows as: one mask per instruction. */
void match_reachable(const struct match_pattern *pattern, uint64_t *out);

#endif
