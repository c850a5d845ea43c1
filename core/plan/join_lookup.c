/* core/plan/join_lookup.c - planning of a lookup join (FOR SYSTEM_TIME AS OF processing time). */
#include "core/plan/join.h"

struct relation plan_lookup_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
              "a lookup join (FOR SYSTEM_TIME AS OF processing time) is not supported yet");
}
