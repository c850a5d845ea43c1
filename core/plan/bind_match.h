/* core/plan/bind_match.h - what binding a MATCH_RECOGNIZE passes between its clauses and its expressions.
 *
 * Includes: bind.h, match.h
 */
#ifndef MILL_BIND_MATCH_H
#define MILL_BIND_MATCH_H

#include "core/ops/match.h"
#include "core/plan/bind.h"

/* The items that the conditions, or the measures, read: as a relation to bind against. */
struct match_items {
    struct match_item *items;
    struct expr **sources; /* of VALUE: the expression over the table */
    struct relation columns;
    uint32_t room;
};

struct match_named {
    const char *name;
    uint64_t mask;
};

struct match_bind {
    struct planner *p;
    struct relation *r; /* what stands before MATCH_RECOGNIZE */
    const struct ast_match *m;
    struct match_node *node;
    /* columns of the operator's input: expressions over the table */
    struct expr **inputs;
    struct scope_column *input_columns;
    uint32_t input_count, input_room;
    struct match_named *variables, *subsets; /* variables: bit i */
    uint32_t variable_count, subset_count;
    struct match_items defines, measures;
    struct match_items *now; /* which of them is being bound */
    bool defining;
};

/* The column of the operator's input that holds @e. */
uint32_t match_input(struct match_bind *b, struct expr *e, const struct scope_column *column);
/* The rows that a name of a variable or subset stands for; 0: it is none. */
uint64_t match_mask(const struct match_bind *b, const char *name);
uint64_t match_all(const struct match_bind *b);
/* @x bound over the items b->now, which get those that it needs. */
struct expr *match_expr(struct match_bind *b, const struct ast_expr *x);
/* MATCH_NUMBER() as an expression over the items b->now. */
struct expr *match_number(struct match_bind *b, struct ast_at at);
/* "A, B, C" for messages. */
const char *match_names(const struct match_bind *b);

#endif
