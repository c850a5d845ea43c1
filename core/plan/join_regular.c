/* core/plan/join_regular.c - planning of a regular join. */
#include "core/plan/join.h"

struct relation plan_regular_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "a regular join is not supported yet");
}
