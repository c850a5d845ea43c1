/* core/plan/join_asof.c - planning of ASOF JOIN: the latest row of the right that is not after the left's. */
#include "core/plan/join.h"

static const char *why(struct planner *p, const struct join_node *join)
{
    const double second = type_is_nanos(&join->time_type) ? 1e9 : 1e6;

    return join->upper == TIME_MAX
               ? "of each key of the right the latest row that the watermark has passed and all "
                 "later ones; rows of the left until the watermark reaches their time"
               : arena_format(p->arena,
                              "rows of the right until the watermark is %.9g s after their time; "
                              "rows of the left until it reaches theirs",
                              (double)join->upper / second);
}

struct relation plan_asof_join(struct planner *p, struct join_parts *j)
{
    struct join_node *join;
    struct relation out;
    struct phys_node *node;

    if (!j->bounded_below || j->proctime)
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "ASOF JOIN needs a condition left.time >= right.time (or >) on the time "
                  "attributes of both sides, the columns of their WATERMARKs");
    if (j->lower < 0 || (j->bounded_above && j->upper < j->lower))
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                  "ASOF JOIN looks back from the left row's time: left.time >= right.time, and "
                  "left.time - right.time <= an interval that is not negative");
    for (uint32_t s = 0; s < 2; s++)
        if (j->side[s].node->updating)
            plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                      "ASOF JOIN takes rows that stay, and %s changes them",
                      j->side[s].node->updating_by);
    join_check_times(p, j, "ASOF JOIN");
    node = join_make(p, j, NODE_ASOF_JOIN, &join, &out);
    join->time_type = j->side[0].columns[j->time[0]].type;
    join->unit = type_time_unit(&join->time_type);
    join->upper = j->bounded_above ? j->upper : TIME_MAX;
    node->rowtime = j->time[0];
    node->why = why(p, join);
    for (uint32_t i = j->side[0].count; i < out.count; i++)
        out.columns[i].rowtime = out.columns[i].proctime = false;
    return out;
}
