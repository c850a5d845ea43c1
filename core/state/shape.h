/* core/state/shape.h - what the tables of an operator look like, for EXPLAIN ANALYZE.
 *
 * Threads: pure.   Errors: none.   Includes: base.h
 */
#ifndef MILL_SHAPE_H
#define MILL_SHAPE_H

#include "core/base.h"

/* What tables look like: a probe is a bucket of eight keys, or the one entry of the array by key. */
struct table_shape {
    uint64_t groups, slots, bytes; /* slots: keys that the buckets or the array have room for */
    uint64_t probed, probes;       /* groups that were looked for, and the probes this took */
    uint64_t probes_max;
};

#endif
