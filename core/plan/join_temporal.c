/* core/plan/join_temporal.c - planning of a temporal join (FOR SYSTEM_TIME AS OF a row time). */
#include "core/plan/join.h"

struct relation plan_temporal_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
              "a temporal join (FOR SYSTEM_TIME AS OF a row time) is not supported yet");
}
