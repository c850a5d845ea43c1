/* core/plan/join_interval.c - planning of an interval join: times of both sides between two bounds of each other. */
#include "core/plan/join.h"

#include <stdio.h>

/* A length of time in the unit of a column, as text. */
static const char *length_text(struct planner *p, int64_t value, bool nanos)
{
    const double seconds = (double)value / (nanos ? 1e9 : 1e6);

    return arena_format(p->arena, "%.9g s", seconds);
}

static const char *why(struct planner *p, const struct join_node *join)
{
    const bool nanos = type_is_nanos(&join->time_type);

    if (join->lower > join->upper)
        return "state: no row: the interval is empty";
    return arena_format(p->arena,
                        "state: left rows until the watermark is %s after their time, right "
                        "rows until it is %s after theirs",
                        length_text(p, -join->lower, nanos), length_text(p, join->upper, nanos));
}

struct relation plan_interval_join(struct planner *p, struct join_parts *j)
{
    const struct scope_column *left = &j->side[0].columns[j->time[0]];
    const struct scope_column *right = &j->side[1].columns[j->time[1]];
    struct relation out;
    struct join_node *join;
    struct phys_node *node = join_make(p, j, NODE_INTERVAL_JOIN, &join, &out);

    join->time_type = left->type;
    join->unit = min_i64(type_time_unit(&left->type), type_time_unit(&right->type));
    node->why = why(p, join);
    for (uint32_t i = 0; i < out.count && join->processing_time; i++)
        out.columns[i].rowtime = false; /* rows wait for the clock, whatever their times */
    if (!join->processing_time)
        node->hold_back = time_mul(max_i64(0, max_i64(-join->lower, join->upper)),
                                   type_is_nanos(&join->time_type) ? 1 : 1000);
    return out;
}
