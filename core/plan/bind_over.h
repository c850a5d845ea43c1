/* core/plan/bind_over.h - windows of OVER as bound, for OVER aggregations and ranks.
 *
 * Includes: bind.h, core/ops/over.h
 */
#ifndef MILL_BIND_OVER_H
#define MILL_BIND_OVER_H

#include "core/ops/over.h"
#include "core/plan/bind.h"

#define OVER_PARTS_MAX 64u
#define OVER_FRAMES_MAX 16u
#define OVER_GROUPS_MAX 16u

/* Calls with the same PARTITION BY and ORDER BY: one operator. Expressions over the relation. */
struct over_group {
    struct ast_at at;
    struct expr *keys[OVER_PARTS_MAX];
    uint32_t key_count;
    struct expr *order[OVER_PARTS_MAX];
    bool descending[OVER_PARTS_MAX], nulls_last[OVER_PARTS_MAX];
    uint32_t order_count;
    bool event_time, processing_time; /* of the first of the order */
    int32_t time;                     /* column of the event time, -1: none */
    struct mill_type time_type;
    bool
        needs_all; /* some call looks at rows that follow, or counts a RANGE by what is no time attribute */
    struct over_frame frames[OVER_FRAMES_MAX];
    uint32_t frame_count;
};

/* Adds the items of an ORDER BY to @g. */
void over_order(struct planner *p, struct relation *r, const struct ast_order *order,
                struct over_group *g);
bool over_is_proctime(const struct ast_expr *x);
/* What an OVER_VIEW keeps, and for how long. */
const char *over_view_why(struct planner *p, const struct phys_node *node);

/* The columns of a node and, behind them, expressions over them that an operator needs as columns. */
struct over_input;
struct over_input *over_input_new(struct planner *p, const struct phys_node *node, uint32_t extra);
uint32_t over_input_given(const struct over_input *in); /* columns of the node */
/* A column as it is, or a new one. */
uint32_t over_input_column(struct planner *p, struct over_input *in, struct expr *e);
/* A calc over the relation's node where one is needed, with the relation's filter. */
void over_input_plan(struct planner *p, struct relation *r, struct over_input *in);
struct sort_column *over_sort_columns(struct planner *p, struct over_input *in,
                                      const struct over_group *g);

/* bind_rank.c: a node for a rank, open for a limit. Its column is @bound's. */
struct phys_node *rank_make(struct planner *p, struct relation *r, const struct over_group *g,
                            enum over_function function, struct over_bound *bound);

#endif
