/* io/perf.h - the processor's counters through perf_event_open(), for struct env_perf.
 *
 * Threads: each counts the thread that opened them and is read by it.   Errors: NULL with the reason.   Includes: env.h
 */
#ifndef MILL_PERF_H
#define MILL_PERF_H

#include "core/env.h"

void *perf_open(void *self, char *why, size_t why_bytes);
void perf_read(void *self, void *counters, uint64_t values[ENV_COUNTERS]);
void perf_close(void *self, void *counters);

#endif
