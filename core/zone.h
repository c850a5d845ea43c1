/* core/zone.h - time zones: between instants and the local times of clocks on the wall.
 *
 * The rules come from the zone files of the time zone database (TZif, RFC 8536), those of years to come from the file's
 * POSIX rule. A local time that exists twice means the first one, one that is skipped moves on by what was skipped, as in
 * java.time. Times are int64 in micro- or nanoseconds; TIME_MIN and TIME_MAX stay what they are; NULL is UTC everywhere.
 *
 * Threads: immutable once opened.   Includes: error.h, memory.h
 */
#ifndef MILL_ZONE_H
#define MILL_ZONE_H

#include "core/error.h"
#include "core/memory.h"

struct zone;

/* "Europe/Berlin", "+02:00", "GMT-8"; "UTC", "GMT" and "Z" give NULL in @out. Lives as long as @arena. @at_line, @at_column:
 * the place of the name in the SQL. Errors: MILL_E_OPTION for no such name or a file that is no zone file. */
int zone_open(const struct env *env, struct arena *arena, const char *name, uint32_t at_line,
              uint32_t at_column, const struct zone **out, struct mill_error *error);
const char *zone_name(const struct zone *zone);

int64_t zone_local(const struct zone *zone, int64_t instant, bool nanos);
int64_t zone_instant(const struct zone *zone, int64_t local, bool nanos);
/* From this instant on every local time is at or behind @local: the later one of two, the jump where it is skipped. */
int64_t zone_reached(const struct zone *zone, int64_t local, bool nanos);
/* Whether one offset holds from @from to @to (instants). */
bool zone_is_steady(const struct zone *zone, int64_t from, int64_t to, bool nanos);

#endif
