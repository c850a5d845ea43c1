/* core/plan/join.h - a join as bound: its sides, and its condition taken apart.
 *
 * Includes: bind.h, core/ops/join.h
 */
#ifndef MILL_PLAN_JOIN_H
#define MILL_PLAN_JOIN_H

#include "core/ops/join.h"
#include "core/plan/bind.h"

struct join_parts {
    const struct ast_table *table; /* the JOIN */
    enum join_type type;
    struct relation side[2]; /* materialised: no filter, no pending window */
    struct relation both;    /* columns of the left, then of the right; no node */
    /* Equalities left = right, by column of each side. Computed ones have been added behind the side's own columns. */
    uint32_t keys[2][64];
    bool null_safe[64];
    uint32_t key_count;
    struct expr *residual; /* the rest, over own columns of both; NULL: nothing */
    /* Bounds on left time - right time, of time attributes of both sides. */
    int32_t time[2]; /* columns; -1: no bounds found */
    bool bounded_below, bounded_above;
    int64_t lower, upper;   /* inclusive, in the columns' unit */
    bool windows;           /* keys contain window_start and window_end of both sides */
    bool proctime;          /* the bounds are of processing times */
    struct expr *bounds[8]; /* conditions that gave the bounds, over both */
    uint32_t bound_count;
    bool versioned; /* which row of the right is met comes before any condition on it */
    /* Temporal join: the right's PRIMARY KEY; equalities of other columns are conditions on the pair. */
    uint32_t unique[64], unique_count;
    bool covered[64];
};

/* A text for errors and EXPLAIN: "the LEFT JOIN at 3:7". */
const char *join_text(struct planner *p, const struct join_parts *j, const char *kind);
/* For joins that take the bounds on times as conditions like others. */
void join_keep_bounds(struct planner *p, struct join_parts *j);
/* Both sides' exchanges and the node of @kind over them, with join->keys, own, residual ... filled from @j; the caller adds what
 * its kind needs. @out: the relation that it gives, both sides' columns under their names. */
struct phys_node *join_make(struct planner *p, struct join_parts *j, enum node_kind kind,
                            struct join_node **join, struct relation *out);

/* Whether all rows of @node have come when its sources have ended: nothing waits for the end of the run. */
bool join_ends_with_sources(const struct phys_node *node);
/* Bytes of the files below @node; -1: not known. */
int64_t join_bytes_below(const struct planner *p, const struct phys_node *node);

/* One file each: core/plan/join_<kind>.c */
struct relation plan_regular_join(struct planner *p, struct join_parts *j);
struct relation plan_interval_join(struct planner *p, struct join_parts *j);
struct relation plan_window_join(struct planner *p, struct join_parts *j);
struct relation plan_asof_join(struct planner *p, struct join_parts *j);
/* t FOR SYSTEM_TIME AS OF left.time; j->side[1] is the versioned or looked up table. */
struct relation plan_temporal_join(struct planner *p, struct join_parts *j);
/* Fills j->unique before the condition is taken apart. */
void temporal_key(struct planner *p, struct join_parts *j);
/* The same of a lookup join, afterwards: any column may be a key. */
void lookup_key(struct join_parts *j);
/* Both times of a join that goes by them, for errors: of the same kind and unit. */
void join_check_times(struct planner *p, const struct join_parts *j, const char *what);
struct relation plan_lookup_join(struct planner *p, struct join_parts *j);

#endif
