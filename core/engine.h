/* core/engine.h - what tests see of the engine beside the public header: single shards' turns, and the job.
 *
 * Threads: as mill_turn().   Errors: as mill_turn().   Includes: millstream.h
 */
#ifndef MILL_ENGINE_H
#define MILL_ENGINE_H

#include "core/millstream.h"

struct job;

/* As mill_turn(), for shard @only alone if it is not negative: any schedule of the shards can be played on one thread. */
int query_turn(mill_query *query, int32_t only, uint32_t *work, bool *ended,
               struct mill_error *error);
/* NULL before the first turn. Lives as long as the query. */
const struct job *query_job(const mill_query *query);
/* Bytes of the memory limit that the engine has taken now. */
uint64_t engine_memory(const mill_engine *engine);

#endif
