/* core/plan/join_window.c - planning of a window join. */
#include "core/plan/join.h"

struct relation plan_window_join(struct planner *p, struct join_parts *j)
{
    plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "a window join is not supported yet");
}
