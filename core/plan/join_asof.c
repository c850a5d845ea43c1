/* core/plan/join_asof.c - planning of ASOF JOIN. */
#include "core/plan/join.h"

struct relation plan_asof_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "ASOF JOIN is not supported yet");
}
