/* core/plan/join_lookup.c - planning of a lookup join (FOR SYSTEM_TIME AS OF processing time). */
#include "core/plan/join.h"

static bool reads_key(const struct join_parts *j, uint32_t column)
{
    for (uint32_t k = 0; k < j->key_count; k++)
        if (j->keys[1][k] == column)
            return true;
    return false;
}

struct relation plan_lookup_join(struct planner *p, struct join_parts *j)
{
    const struct phys_node *left = j->side[0].node;
    struct join_node *join;
    struct relation out;
    struct phys_node *node;

    if (j->type != JOIN_TYPE_INNER && j->type != JOIN_TYPE_LEFT)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "a lookup join is an inner or a LEFT JOIN");
    if (left->updating)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                  "the left side of a lookup join must keep its rows, and %s changes them",
                  left->updating_by);
    j->time[0] = j->time[1] = -1;
    lookup_key(j);
    node = join_make(p, j, NODE_LOOKUP_JOIN, &join, &out);
    join->processing_time = true;
    join->upserts = j->unique_count > 0 && j->key_count == j->unique_count;
    for (uint32_t i = 0; i < j->unique_count; i++)
        join->upserts = join->upserts && reads_key(j, j->unique[i]);
    node->rowtime = left->rowtime;
    node->updating = false;
    node->why = "the whole right side is kept; a bounded one is read before the first row of the "
                "left";
    for (uint32_t i = j->side[0].count; i < out.count; i++)
        out.columns[i].rowtime = out.columns[i].proctime = false;
    return out;
}
