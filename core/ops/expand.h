/* core/ops/expand.h - a row for each grouping set: GROUPING SETS, ROLLUP and CUBE.
 *
 * Output columns: those of the input, then a copy of each key, NULL where the set leaves it out, then the set's number BIGINT.
 */
#ifndef MILL_EXPAND_H
#define MILL_EXPAND_H

#include "core/base.h"

struct expand_node {
    const uint32_t *keys; /* input columns, at most 64 */
    uint32_t key_count;
    const uint64_t *sets; /* bit k: key k is in the set */
    uint32_t set_count;
};

#endif
