/* core/plan/aggregation.h - an aggregation while it is bound. Includes: bind.h */
#ifndef MILL_AGGREGATION_H
#define MILL_AGGREGATION_H

#include "core/plan/bind.h"

#define KEYS_MAX 256u
#define AGGS_MAX 256u

struct aggregation {
    struct planner *planner;
    struct relation *input;
    struct expr *keys[KEYS_MAX]; /* over the input */
    uint32_t key_count;
    /* GROUPING SETS, ROLLUP, CUBE: bit k of a set stands for keys[k]; the last key is the set's number. 0: none of them. */
    uint64_t *sets;
    uint32_t set_count;
    struct agg_spec specs[AGGS_MAX]; /* arg and filter: positions in args, while binding */
    uint32_t agg_count;
    struct expr *args[2 * AGGS_MAX + KEYS_MAX + 4096 + 8];
    uint32_t arg_count;
    bool windowed;  /* results have window_start, window_end, window_time */
    bool changelog; /* results that change leave as changes */
    bool attached;  /* over columns of the input */
    struct window_emit emit;
    bool revises;       /* early or late results: they change */
    bool retracts;      /* the input's rows may be taken back */
    int32_t start, end; /* attached: input columns */
    struct window_spec window;
    struct mill_type time_type;
    const struct ast_expr *call; /* the window in GROUP BY, or NULL */
    uint32_t *late_at;           /* LATE DATA INTO: the input's columns among args */
    /* WHERE over a window function whose windows depend on other rows: all rows make windows, those that pass count. */
    struct expr *row_filter;
};

/* bind_aggregate.c: the key or the window that @x of GROUP BY means; its bit among the keys, 0 of a window. */
uint64_t bind_group_key(struct planner *p, struct aggregation *a, struct relation *r,
                        const struct ast_select *s, const struct ast_expr *x);

/* bind_sets.c */
/* GROUP BY: keys, windows, grouping sets. */
void bind_group_sets(struct planner *p, struct aggregation *a, struct relation *r,
                     const struct ast_select *s);
/* The set's number as a key; GROUPING(...) over it: NULL if @x is no such call. */
struct expr *bind_grouping(struct planner *p, struct aggregation *a, const struct ast_expr *x);
/* The rows of @calc, whose columns are the aggregation's arguments, for each set; keys[0 .. key_count) become its columns. */
struct phys_node *plan_expand(struct planner *p, struct aggregation *a, struct phys_node *calc,
                              uint32_t *keys);

#endif
