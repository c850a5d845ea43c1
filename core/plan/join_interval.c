/* core/plan/join_interval.c - planning of an interval join. */
#include "core/plan/join.h"

struct relation plan_interval_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "an interval join is not supported yet");
}
