/* core/plan/bind.h - what binding passes around: relations with their columns, the plan being made.
 *
 * Binding turns a query straight into physical nodes. A failure leaves by longjmp to plan_statement(), with the error
 * filled. Includes: catalog.h
 */
#ifndef MILL_BIND_H
#define MILL_BIND_H

#include "core/plan/catalog.h"

enum column_role {
    ROLE_NONE,
    ROLE_WINDOW_START,
    ROLE_WINDOW_END,
    ROLE_WINDOW_TIME,
    ROLE_WINDOW_ID
};

struct scope_column {
    const char *table; /* alias, or NULL */
    const char *name;
    struct mill_type type;
    bool rowtime, proctime;
    bool local;  /* a window's bound, in the session zone */
    bool merged; /* of USING: the column by this name alone is another, and so in SELECT * */
    enum column_role role;
    struct phys_node *rank; /* of a RANK node that may get a limit; or NULL */
};

/* What a query or a table in FROM gives. A *pending* window function has not been applied: its window columns stand
 * behind the node's own, and only an aggregation or op_assign can give them values. */
struct relation {
    struct phys_node *node;
    struct expr *filter; /* not yet in a node: goes into the next calc */
    struct scope_column *columns;
    uint32_t count; /* columns; pending: the last ones are the window's */
    uint32_t
        outer; /* the first columns are of the query around a sub-query: names are looked for behind them first */
    bool pending;
    struct window_spec window;
    uint32_t *window_keys; /* PARTITION BY of SESSION, TUMBLE_ROWS ...: columns */
    uint32_t window_key_count;
    struct ast_at at;
};

struct source_made {
    struct source_made *next;
    const struct table *table;
    struct relation relation;
};
struct with_made {
    struct with_made *next;
    const struct ast_with *with;
};

/* A call with OVER of the SELECT at hand, and the column that it has become. */
struct over_bound {
    struct over_bound *next;
    const struct ast_expr *call;
    uint32_t column;
    struct mill_type type;
    enum agg_kind
        collects; /* ARRAY_AGG, COLLECT: what is aggregated are packed items of this type; else 0 */
    struct mill_type item;
};

/* A sub-query as a value in the SELECT at hand, and its value over the columns of FROM. */
struct scalar_bound {
    struct scalar_bound *next;
    const struct ast_expr *query;
    struct expr *value;
};

struct planner {
    struct catalog *catalog;
    const struct plan_config *config;
    struct arena *arena;
    struct expr_session session;
    struct mill_error *error;
    jmp_buf failed;
    struct phys_node **nodes;
    uint32_t count, room;
    struct source_made *sources;
    struct with_made *with;
    uint32_t sink_count, depth;
    uint32_t query;               /* which INSERT is being planned */
    struct over_bound *overs;     /* of the SELECT list that is being bound */
    struct scalar_bound *scalars; /* of the SELECT that is being bound */
    struct where_parts *
        where_parts; /* of the SELECT whose FROM is being bound: joins take what is theirs; or NULL */
};

_Noreturn void plan_fail(struct planner *p, struct ast_at at, int code, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* For makers that fill the error themselves. */
void *need(struct planner *p, void *made);

struct phys_node *plan_node(struct planner *p, enum node_kind kind, struct phys_node *const *inputs,
                            uint32_t count);
struct phys_node *plan_exchange(struct planner *p, struct phys_node *input, const uint32_t *keys,
                                uint32_t count);
/* A calc over the relation's node: its filter and these expressions. */
struct phys_node *plan_calc(struct planner *p, struct relation *r, struct expr **project,
                            const struct scope_column *columns, uint32_t count);
struct mill_schema plan_schema(struct planner *p, const struct scope_column *columns,
                               uint32_t count);

/* bind_expr.c */
struct aggregation;
struct expr *bind_expr(struct planner *p, struct relation *r, struct aggregation *agg,
                       const struct ast_expr *x);
bool has_aggregate(const struct planner *p, const struct ast_expr *x);
int64_t bind_interval(struct planner *p, const struct ast_expr *x,
                      bool *months); /* nanoseconds or months */
static inline struct expr_place place(struct ast_at at)
{
    return (struct expr_place){at.line, at.column};
}
/* Aggregate calls and window columns met while binding over groups. */
struct expr *aggregation_call(struct planner *p, struct aggregation *agg, const struct ast_expr *x);
struct expr *aggregation_group(struct planner *p, struct aggregation *agg,
                               const struct ast_expr *x);

/* bind_query.c */
struct relation bind_query(struct planner *p, const struct ast_query *q);
struct relation bind_select(struct planner *p, const struct ast_select *s);
struct relation bind_from(struct planner *p, const struct ast_table *t);
void materialize_window(struct planner *p, struct relation *r);
/* Columns that its node gives: all but those of a pending window. */
uint32_t relation_own(const struct relation *r);
/* A filter over a pending window function may not go below it: its windows depend on rows that the filter drops. */
bool window_needs_all_rows(const struct relation *r);
struct expr *expr_both(struct planner *p, struct expr *a,
                       struct expr *b); /* a AND b; a may be NULL */
void materialize_filter(struct planner *p, struct relation *r);
bool is_aggregated(const struct planner *p, const struct ast_select *s);
const char *item_name(struct planner *p, const struct ast_item *item, uint32_t index);

/* A relation of one row without columns. */
struct relation one_row(struct planner *p, struct ast_at at);

/* bind_join.c */
struct relation bind_join(struct planner *p, const struct ast_table *t);
/* l COGROUP JOIN r: core/plan/join_cogroup.c */
struct relation bind_cogroup(struct planner *p, const struct ast_table *t);
/* Rows of @left with (@anti: without) a partner in @right, for which all conditions over the columns of both are TRUE. Neither has a
 * filter or a pending window. */
struct relation join_semi(struct planner *p, const struct relation *left,
                          const struct relation *right, bool anti, struct expr *const *conditions,
                          uint32_t count, struct ast_at at);
/* LEFT JOIN, likewise. */
struct relation join_left(struct planner *p, const struct relation *left,
                          const struct relation *right, struct expr *const *conditions,
                          uint32_t count, struct ast_at at);
/* bind_scalar.c: sub-queries as values. */
bool has_scalar(const struct ast_expr *x);
/* Those in @x are joined to @r as columns that neither names nor * see: planner.scalars while what they stand in is bound. */
void bind_scalars(struct planner *p, struct relation *r, const struct ast_expr *x);
/* The value of such a sub-query. Over groups: of any row, for all rows of a group have the same. */
struct expr *scalar_value(struct planner *p, struct aggregation *agg, const struct ast_expr *x);
/* bind_aggregate.c: the greatest value of @e in the group. */
struct expr *aggregation_greatest(struct planner *p, struct aggregation *a, struct expr *e,
                                  struct ast_at at);
/* bind_subquery.c: whether a part of WHERE is [NOT] EXISTS or [NOT] IN (query), and the rows that it keeps. */
bool is_sub_query(const struct ast_expr *part);
struct relation bind_sub_query(struct planner *p, struct relation r, const struct ast_expr *part);
struct where_parts *join_where(struct planner *p, const struct ast_expr *where);
/* Fails where a part that a join has taken means nothing, or two things, over the whole FROM. */
void join_where_check(struct planner *p, struct relation *r, const struct where_parts *parts);
/* The next part, from *at on, that no join has taken; NULL: none. */
const struct ast_expr *join_where_left(const struct where_parts *parts, uint32_t *at);

/* bind_collect.c: the aggregate of a library that @x calls, or NULL; its arguments as one ROW over @r, @spec filled. */
const struct mill_function *user_aggregate(const struct planner *p, const struct ast_expr *x);
struct expr *user_arguments(struct planner *p, struct relation *r, const struct ast_expr *x,
                            const struct mill_function *function, struct agg_spec *spec);
/* What ARRAY_AGG or COLLECT, call @x, aggregate of @arg; @spec becomes that of LISTAGG. And what they give of it. */
static inline bool agg_collects(enum agg_kind kind)
{
    return kind == AGG_ARRAY || kind == AGG_COLLECT;
}
struct expr *collect_pack(struct planner *p, struct expr *arg, const struct ast_expr *x,
                          struct agg_spec *spec);
struct expr *collect_unpack(struct planner *p, enum agg_kind kind, const struct mill_type *item,
                            struct expr *packed, struct ast_at at);

/* bind_unnest.c: whether @t makes rows of each row of what stands to its left, and such rows; @join: NULL or how. */
bool is_lateral(const struct planner *p, const struct ast_table *t);
struct relation bind_lateral(struct planner *p, struct relation left, const struct ast_table *t,
                             const struct ast_table *join);

/* bind_over.c */
bool select_has_over(const struct ast_select *s);
/* Nodes for the calls with OVER of the SELECT list, behind whose columns results stand: planner.overs while the list is bound. */
struct over_bound *bind_over(struct planner *p, struct relation *r, const struct ast_select *s);
/* The column of such a call. */
struct expr *over_column(struct planner *p, const struct ast_expr *x);

/* bind_rank.c: a condition that is an upper bound of a rank; true: it need not be tested any more. */
bool rank_takes(struct planner *p, struct relation *r, const struct expr *e);
/* Ranks that have no upper bound. */
void plan_ranks(struct planner *p);

/* bind_union.c: UNION, INTERSECT, EXCEPT. */
struct relation bind_set_operation(struct planner *p, const struct ast_query *q);
/* SELECT DISTINCT: groups of all columns, without aggregates. */
struct relation bind_distinct(struct planner *p, struct relation r, struct ast_at at);

/* bind_sort.c: ORDER BY, LIMIT, OFFSET. */
struct relation bind_sorted(struct planner *p, struct relation r, const struct ast_query *q,
                            uint32_t hidden);
/* The query with columns behind those of its SELECT list for what ORDER BY reads besides; @hidden: how many. */
const struct ast_query *order_hidden(struct planner *p, const struct ast_query *q,
                                     uint32_t *hidden);

/* bind_match.c */
struct relation bind_match(struct planner *p, const struct ast_table *t);

/* updates.c */
/* Whether results over @input that change are to leave as changes: by 'execution.runtime-mode', else where the input is not
 * bounded. False: final rows once, at the end. */
bool plan_changelog(const struct planner *p, const struct phys_node *input);
bool plan_is_unbounded(const struct phys_node *node);
/* A setting that is a duration, in nanoseconds; 0: not set. */
int64_t plan_duration_ns(struct planner *p, const char *key);
/* 'table.exec.state.ttl' in microseconds; 0: none. */
int64_t plan_state_ttl(struct planner *p);
/* @node's rows have kinds, for what @why says ("the LEFT JOIN at 3:7"). */
void plan_updating(struct phys_node *node, const char *why);
/* Refuses rows with kinds where they cannot be taken, naming both places. In the final order. */
void plan_check_updates(struct planner *p);

/* join_regular.c: which sources are read before the others, for regular joins that give final rows. In the final order. */
void plan_read_first(struct planner *p);

/* stages.c: flows that have nothing to do with each other stand in stages of their own. In the final order. */
void plan_stages(struct planner *p);
/* positions.c: origins of row results, what exchanges may tell. In the final order. */
void plan_positions(struct planner *p);

/* bind_window.c */
struct relation bind_window_function(struct planner *p, const struct ast_table *t);
/* Whether TUMBLE_START(...) and the like, a call of @function, speak of this window. */
bool window_is_same(struct planner *p, struct relation *r, const struct ast_expr *call,
                    const char *function, const struct window_spec *window);
void window_from_call(struct planner *p, struct relation *r, const struct ast_expr *call,
                      struct window_spec *out);
bool is_group_window(const struct ast_expr *x);

/* bind_emit.c: what 'table.exec.emit.*' says for windows over @input at @at; *revises: results are given more than once. */
struct window_emit plan_emit(struct planner *p, const struct window_spec *window,
                             const struct phys_node *input, struct ast_at at, bool *revises);

/* physical.c: the sink of late rows behind window @node; @at: the relation's columns among the node's input. */
void plan_late_sink(struct planner *p, struct phys_node *node, const struct relation *r,
                    const uint32_t *at, const struct ast_name *name);

/* needs.c: what sources must decode; what nobody reads is computed no more. */
void plan_needs(struct planner *p);

/* filters.c */
void plan_move_filters(struct planner *p);
/* After columns that nobody reads are known: what decoders may drop by. @exact: bad values are found all the same. */
void plan_early_filters(struct planner *p, bool exact);
/* Nodes that feed a sink, inputs first; calcs that do nothing are left out. */
void plan_order(struct planner *p);
/* Takes no time to speak of and fails on no row. */
bool expr_is_cheap(const struct expr *e);
bool expr_reads(const struct expr *e, uint32_t column);
/* A copy of @e with columns[i] in place of column i, where it is not NULL. */
struct expr *expr_over(struct planner *p, const struct expr *e, struct expr *const *columns);

/* share.c: nodes in order. Leaves what is not needed any more to plan_order(). */
void plan_share(struct planner *p);
/* The same for windows of other lengths over the same groups: slices are shared. Then, in the final order, plan_views(). */
void plan_share_slices(struct planner *p);
void plan_views(struct planner *p);
int64_t plan_slice_width(const struct aggregate_node *node);

/* bind_aggregate.c */
/* Refuses types that rows cannot be grouped by. */
void check_key(struct planner *p, const struct mill_type *type, struct ast_at at);
struct relation bind_aggregate(struct planner *p, struct relation r, const struct ast_select *s);

#endif
